#pragma once

#include "domain/next.hpp"
#include "run/gather.hpp"

#include <boost/asio/awaitable.hpp>

#include <optional>
#include <string>
#include <vector>

// When the keys that Postern itself works with end. Cloudflare tells it of its API tokens to whoever shows one. Heroku
// shows an authorization's end only to scopes that Postern does not ask for, and Infisical that of a client secret only
// to whoever manages identities: of these there is no date, which is no failure.
namespace postern::run {

struct key_expiry {
    std::string resource; // "CloudflareAccount/raxx"
    std::optional<instant> expires_at;
    std::optional<error> failure; // the remote was asked and did not say
};

// One entry per connection, in the order of the documents. Uses the connections as they were opened last, with the keys
// of that time, and asks once or twice per Cloudflare account: seldom enough not to count, so not in every pass. One
// that was never opened has no date and no failure: the pass says why. Not while a pass may open or drop connections.
boost::asio::awaitable<std::vector<key_expiry>> look_at_own_keys(surroundings around);

// `AccessExpiring` for each key that ends soon: told from 30 days before, blocked from 7 days before.
std::vector<domain::condition> own_key_conditions(const std::vector<key_expiry>& keys, instant now);

} // namespace postern::run
