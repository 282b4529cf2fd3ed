#pragma once

#include "domain/observed.hpp"

#include <boost/json/fwd.hpp>

#include <map>
#include <optional>
#include <string>
#include <vector>

// Cloudflare Access objects between their JSON and our own types, without I/O. What we do not know of an object stays
// in its JSON, which is what goes back.
namespace postern::provider::access {

// Nothing where an object lacks its id.
std::optional<domain::live_token> token(const boost::json::value& from);
domain::live_group group(const boost::json::value& from);

// `reusable`: what to believe where the object does not say. Its version is a digest of what the policy means: the same
// for the policy's own GET and for the one inlined in an application, whatever the order of rules, and null, false, []
// and absent being one.
std::optional<domain::live_policy> policy(const boost::json::value& from, bool reusable);

// Those that the account lists as reusable, by id.
using reusable_policies = std::map<std::string, const boost::json::value*>;
// Nothing where a policy of it cannot be read, unless no service token can pass the application anyway.
std::optional<domain::live_application> application(const boost::json::value& from, const reusable_policies& reusable);
// Notes how many applications use a reusable policy, as its own list counts them, beyond these.
void count_users_elsewhere(std::vector<domain::live_application>& applications, const reusable_policies& reusable);

// The rule {"service_token": {"token_id": id}}.
boost::json::object admits(const std::string& token);

struct policy_change {
    bool make_non_identity = false;
    std::vector<std::string> add;
    std::vector<std::string> remove;
};
bool carries(const domain::live_policy& policy, const policy_change& change);
// The body of the PUT: every field and rule as it was read, but for those that a PUT must not have, and the change.
boost::json::value edited(const boost::json::value& policy, const policy_change& change);

} // namespace postern::provider::access
