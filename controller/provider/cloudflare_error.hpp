#pragma once

#include "base/error.hpp"
#include "base/instant.hpp"
#include "base/secret.hpp"
#include "net/http.hpp"

#include <boost/json/value.hpp>

#include <string>
#include <vector>

// What an answer of Cloudflare's that is not a success means: the HTTP status decides first, then the code in the
// envelope, and its words only where a code stands for many things. Edge failures come as HTML or plain text.
namespace postern::provider {

// Whether a body is Cloudflare's own: an object that says `success`.
bool is_envelope(const result<boost::json::value>& body);

// `permission` is what the API token must have for the call, for the words of a refusal; `now` where the answer has no
// date of its own. The error's `where` is the caller's to fill in.
error failed(const net::response& r, const result<boost::json::value>& body, net::repeat repeatable,
             const std::string& permission, const std::vector<secret>& known, instant now);

// The object is gone, in Cloudflare's own words: a wrong account or path is a 404 too (7000, 7003), and a page without
// an envelope is somebody else's 404.
bool is_gone(const error& e);

} // namespace postern::provider
