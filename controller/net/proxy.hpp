#pragma once

#include "base/error.hpp"
#include "base/secret.hpp"
#include "net/http.hpp"

#include <string>
#include <string_view>

// The proxy that HTTPS_PROXY and NO_PROXY name, as other programs read these variables. Only https goes through it.
namespace postern::net {

struct proxy {
    std::string host;
    std::string port;
    secret authorization; // the whole value of Proxy-Authorization; empty where the URL names no user
};

// "http://user:password@host:port", "host:port", "host" (port 80). An error of kind spec never repeats the password.
result<proxy> parse_proxy(std::string_view url);

// Whether this host is reached directly: loopback always; else what `no_proxy` lists, by comma: "*", a host, a domain
// (with or without a leading dot, for all below it), each with ":port" or without.
bool bypasses_proxy(std::string_view no_proxy, const origin_parts& to);

} // namespace postern::net
