#pragma once

#include "domain/step.hpp"

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

// The remotes as they are, small enough to be explored exhaustively: Cloudflare's tokens and policies, the edge that
// enforces them a little later, the vault, Heroku's apps. Secrets are symbols: the credential "t1.access:2" is the
// second secret of token t1, and it is its own fingerprint. Writes happen here and nowhere else.
namespace postern::model {

using namespace postern::domain;

inline constexpr const char* creds_path = "/creds";
inline constexpr const char* state_path = "/state";

// A service token and what the API never shows of it.
struct token {
    live_token seen;
    int version = 1;        // of the secret that is in force
    int before = 0;         // the secret that a rotation replaced; 0: none
    instant before_until{}; // when that one dies
    std::string spec;       // the document it was minted for; empty: somebody else's
    bool maimed = false;    // somebody else disabled it
};

// An application with its policies as they are set, and as the edge enforces them.
struct guarded {
    live_application seen;
    std::vector<live_policy> edge;
    std::optional<instant> lags_until; // the edge has not heard of the last change; it will have by then
    std::set<std::string> robbed;      // ids of tokens whose admission somebody else took away
};

struct running_app {
    std::map<std::string, std::string> vars;
    std::map<std::string, std::string> runs; // what its dynos were started with
    std::vector<release_view> releases;      // newest first
};

struct remotes {
    std::vector<token> tokens;
    std::vector<guarded> applications;
    bool initialised = false;
    std::string installation;
    std::map<std::string, record> records;
    std::set<std::string> clobbered;
    std::map<std::string, std::string> held;  // "<token>.<nonce>" → credential
    std::map<std::string, std::string> creds; // the consumers' folder
    std::map<std::string, running_app> apps;
    std::map<std::string, instant> promises; // credential that was replaced → when the records said it ends
    int next_token = 1;
    int next_policy = 1;
};

// A write on its way: what was checked before it was sent is not checked again when it arrives.
struct request {
    action what;
    std::optional<live_policy> put; // the whole policy, as PUT sends it
    std::string installation;       // as the sender would initialise the folder
};

// How a write may land, apart from at once and in full.
enum class manner { plain, edge_lags, release_pends };

// What the remote does and answers.
outcome land(remotes& r, const request& q, instant now, manner how = manner::plain);

std::string client_id_of(const std::string& credential);
std::string credential_of(const token& t, int version);
vault_value view_of(const std::string& credential);

const token* find_token(const remotes& r, const std::string& id);
const token* token_of(const remotes& r, const std::string& credential);
token* find_token(remotes& r, const std::string& id);
live_policy* find_policy(guarded& g, const std::string& id);
bool includes(const live_policy& p, const std::string& token_id);
bool admits(const std::vector<live_policy>& policies, const std::string& token_id);
void set_version(live_policy& p);

// Whether the secret is one that Cloudflare still takes.
bool lives(const remotes& r, const std::string& credential, instant now);

// Whether the edge lets the credential into the application.
bool passes(const remotes& r, const guarded& at, const std::string& credential, instant now);

// Whoever reads the vault or runs at Heroku uses what it holds: Cloudflare notes when.
void use_everything(remotes& r, instant now);

// The edge hears of what was set; a release ends well.
void catch_up(guarded& g);
void end_release(running_app& a);

error trouble_of(error_kind kind, std::string what);
outcome failing(error why);

} // namespace postern::model
