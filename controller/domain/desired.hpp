#pragma once

#include "base/instant.hpp"

#include <compare>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

// What the documents in git ask for, as plain values: defaults filled in, references between documents resolved to
// names that exist, contradictions already refused by the loader. Nothing here says how it is reached.
namespace postern::domain {

// Where a document stands, for messages: "specs/console.yaml:12".
struct origin {
    std::string file;
    int line = 0;
};

// Where a value comes from. A secret field holds nothing else.
struct from_env {
    std::string name;
    auto operator<=>(const from_env&) const = default;
};
struct from_file {
    std::string path;
    auto operator<=>(const from_file&) const = default;
};
struct from_vault {
    std::string vault; // an InfisicalVault's name
    std::string path;  // a folder: one of that vault's vendorPaths
    std::string key;
    auto operator<=>(const from_vault&) const = default;
};
using value_source = std::variant<from_env, from_file, from_vault>;
// A literal, or a source: for values that are no secret.
using text_value = std::variant<std::string, value_source>;

struct cloudflare_account {
    std::string name;
    origin at;
    std::string api_url; // no trailing slash: "https://api.cloudflare.com/client/v4"
    text_value account_id;
    value_source api_token;
    std::vector<std::string> applications;    // host globs; empty: any host
    std::vector<std::string> only_hosts = {}; // the same, by the operator's flag
};

struct universal_auth {
    text_value client_id;
    value_source client_secret;
};
struct token_auth {
    value_source token;
};

struct infisical_vault {
    std::string name;
    origin at;
    std::string url;        // may carry a base path; no trailing slash
    std::string project_id; // exactly one of id and slug is not empty
    std::string project_slug;
    std::string environment;
    std::variant<universal_auth, token_auth> auth;
    std::map<std::string, std::string> vendor_paths; // vendor → folder
    std::string state_path;
};

struct heroku_account {
    std::string name;
    origin at;
    std::string api_url;
    value_source api_key;
    std::vector<std::string> apps; // name globs; empty: any app
};

enum class strategy { replace, in_place, renew };
enum class mode { enforce, observe };
enum class deletion_policy { retain, delete_ };

struct service_token {
    std::string name;
    origin at;
    std::string account; // a CloudflareAccount's name
    std::string vault;   // an InfisicalVault's name
    std::string display_name;
    std::string duration_text;        // as Cloudflare takes it: "8760h" or "forever"
    std::optional<duration> lifetime; // nothing: forever
    std::string key;
    std::string path; // folder of the credential
    std::string cadence_key;
    strategy how = strategy::replace;
    duration renew_before{};
    std::optional<duration> every;
    duration overlap{};
    std::string authorization; // as written; empty where the operator gave none
    std::string adopt;         // a token id, or empty
    mode enforcement = mode::enforce;
    deletion_policy deletion = deletion_policy::retain;
};

struct application_ref {
    enum class kind { id, domain, name } by = kind::id;
    std::string text;
    auto operator<=>(const application_ref&) const = default;
};

struct smoke_test {
    std::string path = "/health";
    int expect_status = 200;
    int attempts = 5;
    duration interval = std::chrono::seconds{5};
    std::vector<std::string> hosts; // narrows the applications' own hosts, or fills their wildcards
};

struct access_binding {
    std::string name;
    origin at;
    std::string account; // of its tokens; all tokens of a binding are of one account
    std::vector<std::string> tokens;
    std::string policy_name;
    std::vector<application_ref> applications;
    smoke_test smoke;
};

struct heroku_binding {
    std::string name;
    origin at;
    std::string account; // a HerokuAccount's name
    std::string token;
    std::vector<std::string> apps; // in the order in which they are served
    bool adopt = false;
    // Either one variable with client_id:client_secret, or two.
    std::string config_var;
    std::string client_id_var;
    std::string client_secret_var;

    bool combined() const { return !config_var.empty(); }
    // In the order in which a delivery's note keeps them.
    std::vector<std::string> vars() const {
        return combined() ? std::vector<std::string>{config_var}
                          : std::vector<std::string>{client_id_var, client_secret_var};
    }
};

struct desired {
    std::vector<cloudflare_account> cloudflare;
    std::vector<infisical_vault> vaults;
    std::vector<heroku_account> heroku;
    std::vector<service_token> tokens;
    std::vector<access_binding> bindings;
    std::vector<heroku_binding> heroku_bindings;
    std::string source; // what the records name as their origin: a folder's or repository's stable name
};

} // namespace postern::domain
