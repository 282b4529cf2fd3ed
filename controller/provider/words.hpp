#pragma once

#include "base/secret.hpp"
#include "net/http.hpp"

#include <string>
#include <string_view>
#include <vector>

// What a remote said, made fit to be repeated in an error: without a secret, also where the remote echoes one, and
// short.
namespace postern::provider {

// Strikes out the known values (and their halves, where one has the form "id:secret"), new and old service token
// secrets (cfast_…, long runs of hex digits), JWTs and Heroku keys. Cut at 600 characters.
std::string struck(std::string_view text, const std::vector<secret>& known);

// What a body that is not the JSON that was expected has to say: the title of a page, or the first words.
std::string excerpt(const net::response& r, const std::vector<secret>& known);

} // namespace postern::provider
