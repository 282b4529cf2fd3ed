#pragma once

#include "base/error.hpp"
#include "base/secret.hpp"
#include "net/http.hpp"
#include "net/wiping.hpp"

#include <string>

// Requests as HTTP/1.1 puts them into bytes. The bytes are wiped when they go, for they hold what the request holds.
namespace postern::net {

// "host", "host:8443", "[::1]:8080": the port only where it is not the scheme's own.
std::string authority(const origin_parts& to);

// Whether the target and the headers can be sent. A value with a control character in it is an error of kind spec,
// which does not show it: it would smuggle in headers of its own. What only a program gets wrong is a bug.
result<void> check_text(const request& r);

// With Host, User-Agent, Accept-Encoding: identity (the latter two give way to the request's own) and Content-Length.
wiping_buffer request_text(const request& r, const origin_parts& origin, const std::string& user_agent);

// What a proxy is asked for a way to `to`.
wiping_buffer connect_text(const origin_parts& to, const secret& authorization);

} // namespace postern::net
