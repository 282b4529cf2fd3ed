#include "net/request_text.hpp"

#include "base/text.hpp"

#include <algorithm>

namespace postern::net {

namespace {

bool is_token(std::string_view text) {
    auto ok = [](char c) {
        return c > ' ' && c < 0x7f && std::string_view{"()<>@,;:\\\"/[]?={}"}.find(c) == std::string_view::npos;
    };
    return !text.empty() && std::all_of(text.begin(), text.end(), ok);
}

bool is_target(std::string_view text) {
    auto ok = [](char c) { return c > ' ' && c < 0x7f; };
    return text.starts_with('/') && std::all_of(text.begin(), text.end(), ok);
}

// A value that would end its line early would smuggle in headers of its own.
bool is_value(std::string_view text) {
    auto ok = [](char c) { return static_cast<unsigned char>(c) >= ' ' || c == '\t'; };
    return std::all_of(text.begin(), text.end(), ok) && text.find('\x7f') == std::string_view::npos;
}

void append(wiping_buffer& to, std::string_view text) {
    to.insert(to.end(), text.begin(), text.end());
}

void append_line(wiping_buffer& to, std::string_view name, std::string_view value) {
    append(to, name);
    append(to, ": ");
    append(to, value);
    append(to, "\r\n");
}

bool has_header(const request& r, std::string_view name) {
    return std::any_of(r.headers.begin(), r.headers.end(), [&](const header& h) { return lower(h.name) == name; });
}

std::string bracketed(const std::string& host) {
    return host.find(':') == std::string::npos ? host : "[" + host + "]";
}

} // namespace

std::string authority(const origin_parts& to) {
    auto usual = to.scheme == "https" ? "443" : "80";
    return to.port == usual ? bracketed(to.host) : bracketed(to.host) + ":" + to.port;
}

result<void> check_text(const request& r) {
    if (!is_target(r.target))
        return failure(error_kind::bug, {}, "the request's target is not a percent-encoded path");
    for (const auto& h : r.headers) {
        auto name = lower(h.name);
        if (!is_token(name))
            return failure(error_kind::bug, {}, "a header has a name that HTTP does not allow");
        if (name == "host" || name == "content-length" || name == "transfer-encoding" || name == "connection")
            return failure(error_kind::bug, {}, "the header " + h.name + " is the transport's own to set");
        if (!is_value(h.value.reveal()))
            return failure(error_kind::spec, {},
                           "the value for the header " + h.name +
                               " holds a control character: does its source end in a newline?");
    }
    return {};
}

wiping_buffer request_text(const request& r, const origin_parts& origin, const std::string& user_agent) {
    wiping_buffer out;
    // Room for everything at once: growing would leave copies, though wiped ones, and cost time.
    std::size_t size = 512 + r.target.size() + origin.host.size() + user_agent.size() + r.body.size();
    for (const auto& h : r.headers)
        size += h.name.size() + h.value.size() + 4;
    out.reserve(size);
    append(out, to_string(r.verb));
    append(out, " ");
    append(out, r.target);
    append(out, " HTTP/1.1\r\n");
    append_line(out, "Host", authority(origin));
    if (!has_header(r, "user-agent"))
        append_line(out, "User-Agent", user_agent);
    if (!has_header(r, "accept-encoding"))
        append_line(out, "Accept-Encoding", "identity");
    for (const auto& h : r.headers)
        append_line(out, h.name, h.value.reveal());
    bool may_have_body = r.verb == method::post || r.verb == method::put || r.verb == method::patch;
    if (may_have_body || !r.body.empty())
        append_line(out, "Content-Length", std::to_string(r.body.size()));
    append(out, "\r\n");
    append(out, r.body.reveal());
    return out;
}

wiping_buffer connect_text(const origin_parts& to, const secret& authorization) {
    auto target = bracketed(to.host) + ":" + to.port;
    wiping_buffer out;
    out.reserve(128 + 2 * target.size() + authorization.size());
    append(out, "CONNECT " + target + " HTTP/1.1\r\n");
    append_line(out, "Host", target);
    if (!authorization.empty())
        append_line(out, "Proxy-Authorization", authorization.reveal());
    append(out, "\r\n");
    return out;
}

} // namespace postern::net
