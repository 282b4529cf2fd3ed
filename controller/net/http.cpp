#include "net/http.hpp"

#include "base/text.hpp"

#include <algorithm>
#include <charconv>

namespace postern::net {

namespace {

bool is_unreserved(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.' ||
           c == '_' || c == '~';
}

bool is_port(std::string_view text) {
    unsigned value = 0;
    auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), value);
    return ec == std::errc{} && end == text.data() + text.size() && value >= 1 && value <= 65535;
}

bool is_name(std::string_view host) {
    if (host.empty() || host.size() > 253)
        return false;
    for (char c : host) {
        if (!is_unreserved(c))
            return false;
    }
    return true;
}

bool is_ipv6(std::string_view host) {
    return host.find(':') != std::string_view::npos &&
           host.find_first_not_of("0123456789abcdefABCDEF:.") == std::string_view::npos;
}

} // namespace

std::string_view to_string(method m) {
    switch (m) {
    case method::get:
        return "GET";
    case method::post:
        return "POST";
    case method::put:
        return "PUT";
    case method::patch:
        return "PATCH";
    case method::delete_:
        return "DELETE";
    }
    return "GET";
}

request request::copy() const {
    request out;
    out.verb = verb;
    out.origin = origin;
    out.target = target;
    out.headers.reserve(headers.size());
    for (const auto& h : headers)
        out.headers.push_back({h.name, h.value.copy()});
    out.body = body.copy();
    out.repeatable = repeatable;
    out.login = login;
    out.lane = lane;
    out.quota = quota;
    out.what = what;
    out.timeout = timeout;
    out.patience = patience;
    out.start_by = start_by;
    out.finishes = finishes;
    out.body_limit = body_limit;
    out.connect_to = connect_to;
    return out;
}

instant latest_start(const request& r, instant came, duration timeout) {
    constexpr duration enough = std::chrono::seconds{5};
    auto latest = r.repeatable == repeat::once ? came + timeout - std::min(enough, timeout / 2) : instant::max();
    if (r.patience)
        latest = std::min(latest, came + *r.patience);
    return std::min(latest, r.start_by.value_or(instant::max()));
}

std::string_view response::header(std::string_view name) const {
    auto wanted = lower(name);
    for (const auto& [key, value] : headers) {
        if (lower(key) == wanted)
            return value;
    }
    return {};
}

std::optional<origin_parts> parse_origin(std::string_view origin) {
    auto colon = origin.find("://");
    if (colon == std::string_view::npos)
        return {};
    origin_parts out;
    out.scheme = lower(origin.substr(0, colon));
    auto rest = origin.substr(colon + 3);
    if (out.scheme != "http" && out.scheme != "https")
        return {};
    if (rest.starts_with('[')) {
        auto close = rest.find(']');
        if (close == std::string_view::npos || !is_ipv6(rest.substr(1, close - 1)))
            return {};
        out.host = lower(rest.substr(1, close - 1));
        rest.remove_prefix(close + 1);
    } else {
        auto end = std::min(rest.find(':'), rest.size());
        if (!is_name(rest.substr(0, end)))
            return {};
        out.host = lower(rest.substr(0, end));
        rest.remove_prefix(end);
    }
    out.port = out.scheme == "https" ? "443" : "80";
    if (rest.empty())
        return out;
    if (!rest.starts_with(':') || !is_port(rest.substr(1)))
        return {};
    out.port = rest.substr(1);
    return out;
}

std::string percent_encode(std::string_view text) {
    constexpr std::string_view digits = "0123456789ABCDEF";
    std::string out;
    for (char c : text) {
        if (is_unreserved(c)) {
            out += c;
            continue;
        }
        auto byte = static_cast<unsigned char>(c);
        out += '%';
        out += digits[byte >> 4U];
        out += digits[byte & 0xfU];
    }
    return out;
}

} // namespace postern::net
