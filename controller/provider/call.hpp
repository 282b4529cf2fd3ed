#pragma once

#include "base/instant.hpp"
#include "base/secret.hpp"
#include "net/http.hpp"

#include <boost/json/fwd.hpp>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

// What every provider's requests and answers have in common.
namespace postern::provider {

struct url_parts {
    std::string origin;
    std::string path; // without a slash at its end
};
url_parts split_url(std::string_view url);

// "Authorization: Bearer <key>".
void authorize(net::request& r, const secret& key);
void send_json(net::request& r, const boost::json::value& body);

// The remote's clock minus ours, where the answer has a Date.
std::optional<duration> skew_of(const net::response& r, instant now);

// The transport's own failure, as the error of this call.
error lost(error e, const std::string& where, const std::vector<secret>& known);

} // namespace postern::provider
