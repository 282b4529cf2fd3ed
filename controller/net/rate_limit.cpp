#include "net/rate_limit.hpp"

#include "base/text.hpp"

#include <algorithm>
#include <charconv>

namespace postern::net {

namespace {

constexpr duration longest_window = std::chrono::hours{1};
constexpr std::int64_t most = 1'000'000'000; // requests or seconds, more than anybody means: sums stay numbers

std::optional<std::int64_t> whole_number(std::string_view text) {
    text = trim(text);
    std::int64_t value = 0;
    auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), value);
    // A fraction ("1.5") is cut off: some limiters write seconds that way.
    bool ended = end == text.data() + text.size() || (end != text.data() && *end == '.');
    if (ec != std::errc{} || !ended || value < 0)
        return {};
    return value;
}

// Seconds from now, or the second of the epoch: nobody asks to wait for thirty years.
duration wait_of(std::int64_t seconds, instant now) {
    constexpr std::int64_t thirty_years = 1'000'000'000;
    constexpr std::int64_t three_thousand_years = 100'000'000'000;
    seconds = std::min(seconds, three_thousand_years);
    if (seconds < thirty_years)
        return std::chrono::seconds{seconds};
    return std::max(duration{0}, duration{std::chrono::seconds{seconds}} - now.time_since_epoch());
}

std::optional<duration> wait_named(const response& r, std::string_view name, instant now) {
    auto seconds = whole_number(r.header(name));
    return seconds ? std::optional{wait_of(*seconds, now)} : std::nullopt;
}

// The parameter of one entry of a structured list: `"default";r=50;t=30`.
std::optional<std::int64_t> parameter(std::string_view entry, std::string_view name) {
    for (auto part : split(entry, ';')) {
        part = trim(part);
        if (part.starts_with(name) && part.substr(name.size()).starts_with('='))
            return whole_number(part.substr(name.size() + 1));
    }
    return {};
}

std::string_view name_of(std::string_view entry) {
    return trim(entry.substr(0, entry.find(';')));
}

std::optional<quota> quota_of(std::string_view entry) {
    const auto requests = parameter(entry, "q");
    const auto window = parameter(entry, "w");
    if (!requests || !window || *requests < 1 || *window < 1 ||
        *window > std::chrono::duration_cast<std::chrono::seconds>(longest_window).count())
        return {};
    return quota{std::min(*requests, most), std::chrono::seconds{*window}};
}

void read_structured(const response& r, rate_limit& out) {
    constexpr std::size_t most_policies = 4;
    auto policies = split(r.header("ratelimit-policy"), ',');
    for (auto entry : policies) {
        if (auto one = quota_of(entry); one && out.policies.size() < most_policies)
            out.policies.push_back(*one);
    }
    for (auto entry : split(r.header("ratelimit"), ',')) {
        auto remaining = parameter(entry, "r");
        if (!remaining || (out.remaining && *remaining >= *out.remaining))
            continue;
        out.remaining = remaining;
        auto reset = parameter(entry, "t");
        out.reset = reset ? std::optional<duration>{std::chrono::seconds{std::min(*reset, most)}} : std::nullopt;
        out.limit.reset();
        out.window.reset();
        for (auto policy : policies) {
            if (policies.size() != 1 && name_of(policy) != name_of(entry))
                continue;
            out.limit = parameter(policy, "q");
            const auto named = quota_of(policy);
            out.window = named ? std::optional{named->window} : std::nullopt;
        }
    }
}

std::optional<duration> read_retry_after(const response& r, instant now) {
    if (auto ms = whole_number(r.header("retry-after-ms")))
        return duration{std::min(*ms, most)};
    if (auto wait = wait_named(r, "retry-after", now))
        return wait;
    auto until = parse_http_date(r.header("retry-after"));
    if (!until)
        return {};
    return std::max(duration{0}, *until - now);
}

} // namespace

rate_limit read_rate_limit(const response& r, instant now) {
    now = parse_http_date(r.header("date")).value_or(now);
    rate_limit out;
    read_structured(r, out);
    if (!out.remaining) {
        out.remaining = whole_number(r.header("ratelimit-remaining"));
        out.reset = wait_named(r, "ratelimit-reset", now);
        out.limit = whole_number(r.header("ratelimit-limit"));
    }
    if (!out.remaining) {
        out.remaining = whole_number(r.header("x-ratelimit-remaining"));
        out.reset = wait_named(r, "x-ratelimit-reset", now);
        out.limit = whole_number(r.header("x-ratelimit-limit"));
    }
    for (auto* count : {&out.remaining, &out.limit}) {
        if (*count)
            *count = std::min(**count, most);
    }
    out.retry_after = read_retry_after(r, now);
    for (auto* wait : {&out.reset, &out.retry_after}) {
        if (!*wait || **wait <= longest_window)
            continue;
        out.unbelievable = std::max(**wait, out.unbelievable.value_or(duration{}));
        *wait = longest_window;
    }
    return out;
}

} // namespace postern::net
