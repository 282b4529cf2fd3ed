#pragma once

#include "base/error.hpp"
#include "base/instant.hpp"
#include "domain/record.hpp"

#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

// What was seen of the world in this pass, as one value: the only thing besides the documents that a decision may rest
// on. No secret is in it: credentials appear by client id and fingerprint.
namespace postern::domain {

// What was read, or why it could not be. Both empty: nobody tried in this pass.
template<class T>
struct reading {
    std::optional<T> seen;
    std::optional<error> failure;

    explicit operator bool() const { return seen.has_value(); }
    const T& operator*() const { return *seen; }
    T& operator*() { return *seen; }
    const T* operator->() const { return &*seen; }
    T* operator->() { return &*seen; }
};

// ---- Cloudflare Access

struct live_token {
    std::string id;
    std::string client_id;
    std::string name;
    std::string duration; // as the remote says it; "forever" has no expiry
    bool enabled = true;
    std::optional<instant> expires_at;
    std::optional<instant> created_at;
    std::optional<instant> last_seen_at;
};

enum class decision { allow, deny, non_identity, bypass, other };

// One rule of a policy or group. What Postern does not know is kept as text and never satisfied by a machine.
struct rule {
    enum class kind { service_token, any_valid_service_token, everyone, group, other } is = kind::other;
    std::string id;  // of the token or group
    std::string raw; // the rule as JSON, for `other`
    bool operator==(const rule&) const = default;
};

struct rules {
    std::vector<rule> include; // any of
    std::vector<rule> exclude; // none of
    std::vector<rule> require; // all of
    bool operator==(const rules&) const = default;
};

struct live_policy : rules {
    std::string id;
    std::string name;
    decision decides = decision::other;
    int precedence = 0;
    bool reusable = false;
    std::optional<instant> created_at;
    std::string version; // digest of the object as read: a write stops if it no longer fits
    // Applications that use this reusable policy, as Cloudflare counts them, beyond those that were listed.
    int users_elsewhere = 0;
};

struct live_application {
    std::string id;
    std::string name;
    std::string type;
    std::string aud;
    std::vector<std::string> destinations; // public ones: "host", "*.host", "host/path"; lower-case host
    std::vector<std::string> open_paths;   // path patterns that skip Access altogether
    std::vector<live_policy> policies;
};

struct live_group : rules {
    std::string id;
    std::string name;
};

struct account_view {
    std::string id; // Cloudflare's account id
    std::vector<live_token> tokens;
    std::vector<live_application> applications;
    std::vector<live_group> groups;
    bool empty_list = false; // the list showed no token, and the GET of one did
    bool strict = false;     // strict_service_token_auth
    // The remote's clock minus ours, from its Date headers.
    duration skew{};
    // Tokens whose own GET was asked in this pass: true where it answered 404.
    std::map<std::string, bool> proved_absent;
};

// By more than whole seconds and slow answers explain.
inline bool clock_differs(const account_view& account) {
    return std::chrono::abs(account.skew) > std::chrono::seconds{60};
}

// A time of ours by a clock that others can trust: what one that is ahead dates would wait for everybody.
inline instant dated(const account_view& account, instant ours) {
    return clock_differs(account) ? ours + account.skew : ours;
}

// Whether a record that has this request says all that is asked. The remote's clock is read in whole seconds: what is
// dated by it is not dated the same twice.
bool notes(const rotation_request& noted, const rotation_request& asked, const account_view& account);

// ---- the vault

// A value that a consumer reads, or might.
struct vault_value {
    std::string fingerprint; // of the value as the vault stores it
    std::string client_id;   // where the value has the form "client_id:client_secret"
    bool hidden = false;     // we may see that it exists, not what it is
    bool duplicated = false; // several rows of one name
    bool operator==(const vault_value&) const = default;
};

struct folder_view {
    bool exists = false;
    std::map<std::string, vault_value> values;
};

// A folder's write-once credentials and records, already taken apart.
struct state_view {
    bool initialised = false;                      // the folder's own key exists
    std::string installation;                      // as it says, or the one that will be written
    std::map<std::string, record> records;         // by token name
    std::map<std::string, std::string> unreadable; // token name → why its record must be left alone
    std::set<std::string> clobbered;               // names of tokens whose record is rebuilt
    std::set<std::string> doubled; // names whose record stands in rows that differ; `records` has the one that counts
    std::map<std::string, std::map<std::string, vault_value>> held; // token name → nonce → credential
};

struct vault_view {
    reading<state_view> state;
    std::map<std::string, reading<folder_view>> folders; // by path
};

// ---- Heroku

// What an app's config vars hold for one binding.
struct app_value {
    bool absent = true;      // none of the binding's variables is set
    std::string fingerprint; // of "client_id:client_secret", put together where there are two variables
    std::string client_id;
    bool operator==(const app_value&) const = default;
};

struct release_view {
    int version = 0;
    std::string status; // pending, succeeded, failed, expired
    std::string description;

    // By its description, which names what was set or removed: "Set MY_TOKEN, URL config vars" is not of TOKEN.
    bool is_of(std::string_view var) const;
    bool is_of_any(const std::vector<std::string>& vars) const;
};

// The newest that still runs and is of any of these, or null. Until it ends, the config vars show what was before it.
const release_view* pending_release(const std::vector<release_view>& newest_first,
                                    const std::vector<std::string>& vars);

// Under which name the value is seen that a record's note tells of and that no HerokuBinding of its token asks for any
// more: "left/<token>/<VAR>", or "left/<token>/<VAR>,<VAR>".
std::string left_name(const std::string& token, const std::vector<std::string>& vars);
// The token of such a name; empty for a HerokuBinding's.
std::string token_of_left_name(const std::string& name);

struct app_view {
    // By HerokuBinding name, or by left_name().
    std::map<std::string, app_value> values;
    // By HerokuBinding name: the fingerprint whose release this process saw succeed.
    std::map<std::string, std::string> released;
    // Newest releases first, where they were asked for in this pass.
    std::optional<std::vector<release_view>> releases;
};

struct heroku_view {
    std::map<std::string, reading<app_view>> apps; // by name, as the binding writes it
};

// ---- the edge

enum class verdict {
    passed,
    login_redirect, // 302 to the login page: not recognised, or no policy admits it
    unauthorized,   // 401 by Access
    forbidden,      // 403 by Access
    firewall,       // WAF or bot rule: 1010, 1020, a challenge
    origin_error,   // 5xx
    unexpected,     // the origin's own answer, but not the status that was expected
    unreachable,    // DNS, TLS, connect, timeout
    public_path,    // the host did not refuse a stranger
    not_access,     // the host refused, but not the way Access does
};

struct proof_key {
    std::string host;
    std::string path;
    std::string fingerprint;
    auto operator<=>(const proof_key&) const = default;
};

struct proof {
    verdict last = verdict::unreachable;
    int rounds = 0;     // how often all attempts were used up
    std::string detail; // status, ray id, the likely cure
    instant again{};    // not before this
    instant at{};       // when the credential was last shown to the host
};

// ---- what this process knows of itself

// Something that failed for a resource, and when to come back to it.
struct trouble {
    error why;
    int count = 0;
    instant again{};
};

struct observed {
    std::map<std::string, reading<account_view>> accounts;
    std::map<std::string, reading<vault_view>> vaults;
    std::map<std::string, reading<heroku_view>> heroku;
    std::map<proof_key, proof> proofs;
    std::map<proof_key, proof> refusals;     // retired credentials that were tried
    std::set<std::string> renewed;           // token ids whose expiry this process has moved
    std::map<std::string, instant> cut_offs; // token id → when this pass told its previous secret to end
    std::map<std::string, trouble> troubles; // by step::lock
    // (vault, path) where a write was answered with `approval`: nothing was stored, nobody writes there again.
    std::set<std::pair<std::string, std::string>> awaiting_approval;
    // Token ids that were put into a policy in this pass, with the application: each owes a proof before the pass ends.
    std::set<std::pair<std::string, std::string>> touched; // (application id, token id)
    // Credentials minted in this process whose write-once key is not written yet, by nonce.
    std::map<std::string, credential> minted;
    // Nonces whose minting request this process has not sent yet: only it may still send it.
    std::set<std::string> unsent;
    std::string holder; // this process
    std::string salt;   // random, new in each process: makes nonces unlike those of any other
    // When the world was read; an intent whose deadline is later has to be looked at again.
    instant seen_at{};
    // A conflict or a lost reply: read the world again before deciding anything.
    bool stale = false;
};

} // namespace postern::domain
