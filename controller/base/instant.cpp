#include "base/instant.hpp"

#include "base/text.hpp"

#include <array>
#include <cstdint>
#include <cstdio>

namespace postern {

namespace {

// Takes exactly `digits` decimal digits from the front of `text`.
std::optional<int> take_number(std::string_view& text, std::size_t digits) {
    if (text.size() < digits)
        return {};
    int value = 0;
    for (std::size_t i = 0; i < digits; ++i) {
        if (text[i] < '0' || text[i] > '9')
            return {};
        value = value * 10 + (text[i] - '0');
    }
    text.remove_prefix(digits);
    return value;
}

bool take(std::string_view& text, std::string_view expected) {
    if (!text.starts_with(expected))
        return false;
    text.remove_prefix(expected.size());
    return true;
}

std::optional<instant> compose(int year, int month, int day, int hour, int minute, int second) {
    std::chrono::year_month_day date{std::chrono::year{year}, std::chrono::month{static_cast<unsigned>(month)},
                                     std::chrono::day{static_cast<unsigned>(day)}};
    // A leap second (":60") is a time that exists; it counts as the next second.
    if (!date.ok() || hour > 23 || minute > 59 || second > 60)
        return {};
    return instant{std::chrono::sys_days{date}.time_since_epoch()} + std::chrono::hours{hour} +
           std::chrono::minutes{minute} + std::chrono::seconds{second};
}

struct unit {
    std::string_view name;
    std::int64_t nanoseconds;
};
constexpr std::array<unit, 7> units{{{"ms", 1'000'000},
                                     {"us", 1'000},
                                     {"\xc2\xb5s", 1'000},
                                     {"ns", 1},
                                     {"h", 3'600'000'000'000},
                                     {"m", 60'000'000'000},
                                     {"s", 1'000'000'000}}};

error bad_duration(std::string_view text) {
    return {.kind = error_kind::spec,
            .where = {},
            .what = "\"" + printable(text) + "\" is not a duration: write it like 8760h, 90m, 1h30m, 5s or 500ms",
            .status = 0,
            .code = {},
            .retry_after = {}};
}

} // namespace

std::optional<instant> parse_instant(std::string_view text) {
    auto year = take_number(text, 4);
    bool separated = take(text, "-");
    auto month = take_number(text, 2);
    separated = take(text, "-") && separated;
    auto day = take_number(text, 2);
    separated = (take(text, "T") || take(text, "t") || take(text, " ")) && separated;
    auto hour = take_number(text, 2);
    separated = take(text, ":") && separated;
    auto minute = take_number(text, 2);
    separated = take(text, ":") && separated;
    auto second = take_number(text, 2);
    if (!separated || !year || !month || !day || !hour || !minute || !second)
        return {};
    auto at = compose(*year, *month, *day, *hour, *minute, *second);
    if (!at)
        return {};
    if (take(text, ".")) {
        int scale = 100;
        if (text.empty() || text[0] < '0' || text[0] > '9')
            return {};
        while (!text.empty() && text[0] >= '0' && text[0] <= '9') {
            *at += duration{(text[0] - '0') * scale};
            scale /= 10;
            text.remove_prefix(1);
        }
    }
    if (text == "Z" || text == "z")
        return at;
    int sign = take(text, "+") ? -1 : take(text, "-") ? 1 : 0;
    auto offset_hour = take_number(text, 2);
    if (sign == 0 || !offset_hour || !take(text, ":"))
        return {};
    auto offset_minute = take_number(text, 2);
    if (!offset_minute || !text.empty())
        return {};
    return *at + sign * (std::chrono::hours{*offset_hour} + std::chrono::minutes{*offset_minute});
}

std::string format_instant(instant at) {
    auto day = std::chrono::floor<std::chrono::days>(at);
    std::chrono::year_month_day date{day};
    std::chrono::hh_mm_ss time{at - day};
    std::array<char, 64> buffer{};
    std::snprintf(buffer.data(), buffer.size(), "%04d-%02u-%02uT%02d:%02d:%02d", static_cast<int>(date.year()),
                  static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                  static_cast<int>(time.hours().count()), static_cast<int>(time.minutes().count()),
                  static_cast<int>(time.seconds().count()));
    std::string out = buffer.data();
    if (time.subseconds().count() != 0) {
        std::snprintf(buffer.data(), buffer.size(), ".%03d", static_cast<int>(time.subseconds().count()));
        out += buffer.data();
    }
    return out + "Z";
}

std::optional<instant> parse_http_date(std::string_view text) {
    constexpr std::array<std::string_view, 12> months{"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                      "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    text = trim(text);
    auto comma = text.find(", ");
    if (comma != 3)
        return {};
    text.remove_prefix(5);
    auto day = take_number(text, 2);
    if (!day || !take(text, " "))
        return {};
    int month = 0;
    for (std::size_t i = 0; i < months.size(); ++i) {
        if (take(text, months[i]))
            month = static_cast<int>(i) + 1;
    }
    if (month == 0 || !take(text, " "))
        return {};
    auto year = take_number(text, 4);
    bool separated = take(text, " ");
    auto hour = take_number(text, 2);
    separated = take(text, ":") && separated;
    auto minute = take_number(text, 2);
    separated = take(text, ":") && separated;
    auto second = take_number(text, 2);
    if (!separated || !year || !hour || !minute || !second || text != " GMT")
        return {};
    return compose(*year, month, *day, *hour, *minute, *second);
}

result<duration> parse_duration(std::string_view text) {
    auto rest = text;
    // Its 64 bits of mantissa hold every nanosecond below 290 years; a double's 53 lost milliseconds there.
    long double total = 0;
    if (rest == "0")
        return duration{0};
    if (rest.empty())
        return bad_duration(text);
    while (!rest.empty()) {
        long double value = 0;
        long double scale = 0;
        std::size_t digits = 0;
        while (!rest.empty() && ((rest[0] >= '0' && rest[0] <= '9') || (rest[0] == '.' && scale == 0))) {
            if (rest[0] == '.') {
                scale = 1;
            } else {
                ++digits;
                value = value * 10 + (rest[0] - '0');
                scale *= 10;
            }
            rest.remove_prefix(1);
        }
        const unit* found = nullptr;
        for (const auto& u : units) {
            if (found == nullptr && rest.starts_with(u.name))
                found = &u;
        }
        if (digits == 0 || found == nullptr)
            return bad_duration(text);
        rest.remove_prefix(found->name.size());
        total += (scale > 1 ? value / scale : value) * static_cast<long double>(found->nanoseconds);
    }
    if (total > 9.1e18L)
        return bad_duration(text);
    return duration{static_cast<std::int64_t>(total / 1e6L + 1e-7L)};
}

std::string format_duration(duration d) {
    if (d.count() == 0)
        return "0s";
    std::string out;
    auto rest = d.count();
    auto part = [&](std::int64_t size, const char* name) {
        if (rest / size != 0)
            out += std::to_string(rest / size) + name;
        rest %= size;
    };
    part(3'600'000, "h");
    part(60'000, "m");
    part(1'000, "s");
    part(1, "ms");
    return out;
}

} // namespace postern
