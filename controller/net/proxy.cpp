#include "net/proxy.hpp"

#include "base/text.hpp"

#include <openssl/evp.h>

#include <optional>

namespace postern::net {

namespace {

std::optional<int> hex_digit(char c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    c = static_cast<char>(c | 0x20);
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return {};
}

std::string percent_decode(std::string_view text) {
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
        auto high = text[i] == '%' && i + 2 < text.size() ? hex_digit(text[i + 1]) : std::nullopt;
        auto low = high ? hex_digit(text[i + 2]) : std::nullopt;
        if (low) {
            out += static_cast<char>(*high * 16 + *low);
            i += 2;
        } else {
            out += text[i];
        }
    }
    return out;
}

secret basic_authorization(std::string_view user_and_password) {
    auto plain = percent_decode(user_and_password);
    std::string value = "Basic ";
    auto prefix = value.size();
    value.resize(prefix + (plain.size() + 2) / 3 * 4 + 1);
    EVP_EncodeBlock(reinterpret_cast<unsigned char*>(value.data() + prefix),
                    reinterpret_cast<const unsigned char*>(plain.data()), static_cast<int>(plain.size()));
    value.pop_back();
    wipe(plain);
    return secret::consume(value);
}

bool is_loopback(std::string_view host) {
    return host == "localhost" || host.ends_with(".localhost") || host == "::1" || host.starts_with("127.");
}

} // namespace

result<proxy> parse_proxy(std::string_view url) {
    auto bad = [](std::string what) { return failure(error_kind::spec, "HTTPS_PROXY", std::move(what)); };
    auto scheme_end = url.find("://");
    if (scheme_end != std::string_view::npos) {
        if (lower(url.substr(0, scheme_end)) != "http")
            return bad("only a proxy reached by http:// is supported");
        url.remove_prefix(scheme_end + 3);
    }
    proxy out;
    if (auto at = url.rfind('@'); at != std::string_view::npos) {
        out.authorization = basic_authorization(url.substr(0, at));
        url.remove_prefix(at + 1);
    }
    if (url.ends_with('/'))
        url.remove_suffix(1);
    auto address = parse_origin("http://" + std::string{url});
    if (!address)
        return bad("write it like http://host:port");
    out.host = address->host;
    out.port = address->port;
    return out;
}

bool bypasses_proxy(std::string_view no_proxy, const origin_parts& to) {
    if (is_loopback(to.host))
        return true;
    for (auto part : split(no_proxy, ',')) {
        auto rule = lower(trim(part));
        if (rule == "*")
            return true;
        // One colon is a port; more are an IPv6 address.
        if (auto colon = rule.find(':'); colon != std::string::npos && rule.find(':', colon + 1) == std::string::npos) {
            if (rule.substr(colon + 1) != to.port)
                continue;
            rule.resize(colon);
        }
        if (rule.starts_with("*."))
            rule.erase(0, 1);
        if (rule.starts_with('.'))
            rule.erase(0, 1);
        if (!rule.empty() && (to.host == rule || to.host.ends_with("." + rule)))
            return true;
    }
    return false;
}

} // namespace postern::net
