#include "cloud/exchange.hpp"

#include "base/text.hpp"

#include <openssl/evp.h>

#include <array>
#include <ctime>
#include <utility>

namespace postern::testcloud {

namespace {

constexpr std::array<std::pair<service, std::string_view>, 5> service_names{{{service::cloudflare, "cloudflare"},
                                                                             {service::infisical, "infisical"},
                                                                             {service::heroku, "heroku"},
                                                                             {service::edge, "edge"},
                                                                             {service::control, "control"}}};

int hex_value(char c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

std::string decode(std::string_view text, bool plus_is_space) {
    std::string out;
    out.reserve(text.size());
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] == '%' && i + 2 < text.size() && hex_value(text[i + 1]) >= 0 && hex_value(text[i + 2]) >= 0) {
            out += static_cast<char>(hex_value(text[i + 1]) * 16 + hex_value(text[i + 2]));
            i += 2;
        } else if (text[i] == '+' && plus_is_space) {
            out += ' ';
        } else {
            out += text[i];
        }
    }
    return out;
}

std::optional<std::string> find(const std::vector<field>& fields, std::string_view name) {
    const std::string wanted = lower(name);
    for (const auto& f : fields)
        if (lower(f.name) == wanted)
            return f.value;
    return std::nullopt;
}

} // namespace

std::string_view to_string(service s) {
    return service_names[static_cast<std::size_t>(s)].second;
}

std::optional<service> parse_service(std::string_view text) {
    for (const auto& [value, name] : service_names)
        if (name == text)
            return value;
    return std::nullopt;
}

std::string_view to_string(fate f) {
    constexpr std::array<std::string_view, 6> names{"answer", "drop", "reset", "hang", "cut", "hold"};
    return names[static_cast<std::size_t>(f)];
}

std::optional<std::string> request::header(std::string_view name) const {
    return find(headers, name);
}

std::size_t request::header_count(std::string_view name) const {
    std::size_t count = 0;
    for (const auto& h : headers)
        if (lower(h.name) == lower(name))
            ++count;
    return count;
}

std::optional<std::string> request::query_value(std::string_view name) const {
    for (const auto& q : query)
        if (q.name == name)
            return q.value;
    return std::nullopt;
}

std::optional<json::object> request::object() const {
    if (body.empty())
        return json::object{};
    boost::system::error_code ec;
    auto value = json::parse(body, ec);
    if (ec || !value.is_object())
        return std::nullopt;
    return std::move(value.get_object());
}

request make_request(service to, std::string method, std::string target, std::vector<field> headers, std::string body) {
    request r;
    r.to = to;
    r.method = std::move(method);
    r.target = std::move(target);
    r.headers = std::move(headers);
    r.body = std::move(body);
    const std::string_view whole = r.target;
    const auto question = whole.find('?');
    r.path = whole.substr(0, question);
    for (auto part : split(r.path, '/'))
        if (!part.empty())
            r.segments.push_back(decode(part, false));
    if (question == std::string_view::npos)
        return r;
    for (auto pair : split(whole.substr(question + 1), '&')) {
        if (pair.empty())
            continue;
        const auto equals = pair.find('=');
        const auto value = equals == std::string_view::npos ? std::string_view{} : pair.substr(equals + 1);
        r.query.push_back({decode(pair.substr(0, equals), true), decode(value, true)});
    }
    return r;
}

std::optional<std::string> reply::header(std::string_view name) const {
    return find(headers, name);
}

json::value reply::parsed() const {
    boost::system::error_code ec;
    auto value = json::parse(body, ec);
    return ec ? json::value{} : value;
}

reply json_reply(int status, const json::value& body) {
    return text_reply(status, "application/json", json::serialize(body));
}

reply text_reply(int status, std::string content_type, std::string body) {
    reply r;
    r.status = status;
    r.body = std::move(body);
    r.with("Content-Type", std::move(content_type));
    return r;
}

std::optional<std::string> text_at(const json::object& o, std::string_view key) {
    const auto* value = o.if_contains(key);
    if (value == nullptr || !value->is_string())
        return std::nullopt;
    return std::string{value->get_string()};
}

std::optional<bool> flag_at(const json::object& o, std::string_view key) {
    const auto* value = o.if_contains(key);
    if (value == nullptr || !value->is_bool())
        return std::nullopt;
    return value->get_bool();
}

std::optional<std::int64_t> number_at(const json::object& o, std::string_view key) {
    const auto* value = o.if_contains(key);
    if (value == nullptr || !value->is_number())
        return std::nullopt;
    boost::system::error_code ec;
    const auto number = value->to_number<std::int64_t>(ec);
    if (ec)
        return std::nullopt;
    return number;
}

const json::object* object_at(const json::object& o, std::string_view key) {
    const auto* value = o.if_contains(key);
    return value == nullptr ? nullptr : value->if_object();
}

const json::array* array_at(const json::object& o, std::string_view key) {
    const auto* value = o.if_contains(key);
    return value == nullptr ? nullptr : value->if_array();
}

instant whole_seconds(instant at) {
    return std::chrono::floor<std::chrono::seconds>(at);
}

std::string base64(std::string_view bytes) {
    std::string out(4 * ((bytes.size() + 2) / 3) + 1, '\0');
    const auto length =
        EVP_EncodeBlock(reinterpret_cast<unsigned char*>(out.data()),
                        reinterpret_cast<const unsigned char*>(bytes.data()), static_cast<int>(bytes.size()));
    out.resize(static_cast<std::size_t>(length));
    return out;
}

std::string http_date(instant at) {
    const auto seconds = std::chrono::system_clock::to_time_t(at);
    std::tm parts{};
    gmtime_r(&seconds, &parts);
    std::array<char, 40> text{};
    const auto length = std::strftime(text.data(), text.size(), "%a, %d %b %Y %H:%M:%S GMT", &parts);
    return {text.data(), length};
}

} // namespace postern::testcloud
