#pragma once

#include "cloud/exchange.hpp"

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

// What Cloudflare Access knows and how it judges a visit, the way the edge does it: the longest matching application,
// bypass and Service Auth policies first, then allow and deny by precedence. Plain data that tests may read and change
// (call cloud::changed() afterwards) and one pure function over it; API and edge both stand on this.
namespace postern::testcloud {

struct service_token {
    std::string id;
    std::string client_id;
    std::string name;
    std::string secret;
    std::optional<std::string> previous_secret; // accepted until previous_until
    instant previous_until{};
    std::string duration = "8760h";
    bool enabled = true;
    std::optional<instant> expires_at; // nothing: never
    std::int64_t secret_version = 1;
    instant created_at{};
    instant updated_at{};
    std::optional<instant> last_seen_at;

    bool expired(instant now) const { return expires_at && now >= *expires_at; }
};

// Rules stay as they were sent, so that selectors nobody here knows survive.
struct policy {
    std::string id;
    std::string name;
    std::string decision; // allow, deny, non_identity, bypass
    json::array include;
    json::array exclude;
    json::array require;
    json::object extra; // every other field that was set
    bool reusable = false;
    instant created_at{};
    instant updated_at{};
};

struct policy_link {
    std::string policy_id;
    std::int64_t precedence = 1;
};

struct application {
    std::string id;
    std::string name;
    std::string type = "self_hosted";
    std::string aud;
    std::optional<std::string> domain; // "host" or "host/path", may hold '*'
    json::object settings;             // every other field that was set: destinations, session_duration, flags
    std::vector<policy_link> policies;
    instant created_at{};
    instant updated_at{};

    // "host[/path]" of everything that it guards.
    std::vector<std::string> places() const;
    bool flag(std::string_view setting) const { return flag_at(settings, setting).value_or(false); }
};

struct group {
    std::string id;
    std::string name;
    json::array include;
    json::array exclude;
    json::array require;
    instant created_at{};
    instant updated_at{};
};

struct organization {
    std::string name = "Raxx";
    std::string auth_domain = "raxx.cloudflareaccess.com";
    bool strict_service_token_auth = false;
    std::optional<json::object> service_token_inactivity;
};

struct access_config {
    std::map<std::string, service_token> tokens;
    std::map<std::string, policy> policies;
    std::map<std::string, application> apps;
    std::map<std::string, group> groups;
    organization org;
    // Goes up whenever an application came, went or moved, so that a cache of "who guards this place" can be kept.
    std::uint64_t places_generation = 0;

    const service_token* token_by_client_id(const std::string& client_id) const;

private:
    // Only ever a hint: each hit is checked against `tokens`, which tests change as they like.
    mutable std::unordered_map<std::string, std::string> ids_by_client_id_;
};

// Where the vendor's own words leave it open, the answer can be set.
struct edge_switches {
    bool half_credential_is_forbidden = false;   // strict: one header of two gives 403 instead of 401
    bool service_auth_only_is_forbidden = false; // not strict, only Service Auth policies: 403 page instead of 302
    bool flag_401_without_token = true;          // 401 flag and only Service Auth policies: no headers give 401
};

struct credential {
    std::string client_id;
    std::string secret;
    bool operator==(const credential&) const = default;
};

enum class token_state { absent, muddled, unknown, wrong_secret, expired, disabled, valid };
std::string_view to_string(token_state s);

struct visit {
    std::string host;
    std::string path = "/";
    std::optional<credential> shown;
    bool muddled = false;                  // one header of two, a header twice, or both styles at once
    std::set<std::string> session_of_auds; // applications whose session cookie came along
    std::string ip = "192.0.2.7";
};

enum class ruling { unguarded, public_path, bypassed, session, admitted, login, unauthorized, forbidden };
std::string_view to_string(ruling r);

struct verdict {
    ruling what = ruling::unguarded;
    token_state token = token_state::absent;
    std::string token_id;    // of the token that was shown, where its client id is known
    std::string app_id;      // of the application that judged
    std::string policy_id;   // of the policy that admitted or blocked
    bool recognised = false; // what the login redirect's meta says as service_token_status

    bool passes() const { return what <= ruling::admitted; }
};

verdict judge(const access_config& config, const visit& v, instant now, const edge_switches& switches = {});
// The same by an application that is known to guard the place (nothing: unguarded).
verdict judge_by(const access_config& config, const application* app, const visit& v, instant now,
                 const edge_switches& switches = {});

// The application that guards host and path (longest match), or nothing.
const application* guard_of(const access_config& config, std::string_view host, std::string_view path);

token_state state_of(const access_config& config, const credential& shown, instant now);

// The ids of tokens that policies of that application name, through groups too; any_valid_service_token counts as "*".
std::set<std::string> tokens_named_by(const access_config& config, const application& app);

// Whether any policy or group names that token.
bool token_in_use(const access_config& config, std::string_view token_id);

} // namespace postern::testcloud
