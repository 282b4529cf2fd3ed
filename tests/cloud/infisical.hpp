#pragma once

#include "cloud/books.hpp"
#include "cloud/dice.hpp"
#include "cloud/exchange.hpp"
#include "cloud/virtual_time.hpp"

#include <deque>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

// The part of Infisical's API that a machine uses: universal-auth login with lockout, token renewal and revocation, one
// project with environments and folders, v3 raw and v4 secrets with their batches. It behaves as a server of late 2026
// does; `old_server` turns it into one of 2024 (other statuses and texts, no v4, `version` ignored, JWT lifetimes).
// Values are trimmed, creation is a 400 on an existing key, every PATCH makes a version, a list of a missing folder is
// empty: the ways in which it surprises are the point.
namespace postern::testcloud {

struct infisical_switches {
    bool old_server = false;
    bool v4 = true;                       // else v4 and v2 routes are a route 404
    std::set<std::string> approval_paths; // writes below these folders answer {"approval"} and store nothing
    bool hide_values = false;             // may describe but not read: placeholders in lists, 403 on a GET
    bool version_ignored = false;         // as before April 2025
    bool race_creates = false;            // a create of an existing key makes a second row
    duration create_gap{};                // a create does not see rows that are younger: it looks, then inserts
    bool lockout = true;                  // three bad logins lock the client id for 300 s
    bool login_contention = false;        // a bad login answers 429
    bool enforce_limits = false;          // per route and minute, below
    std::size_t read_limit = 200;
    std::size_t write_limit = 90;
    std::size_t secret_limit = 120;
    bool limit_headers = true;
};

struct machine_identity {
    std::string id;
    std::string client_id;
    std::vector<std::string> client_secrets;
    std::string role = "member"; // admin, member, viewer, no-access; "" is not a member of the project
    std::int64_t ttl = 2592000;  // seconds; 0 never ends
    std::int64_t max_ttl = 2592000;
    std::int64_t uses_limit = 0; // of each access token; 0 is none
    int bad_logins = 0;
    instant last_bad_login{};
    instant locked_until{};
};

struct access_token {
    std::string identity_id;
    instant expires_at{};     // by its TTL
    instant max_expires_at{}; // past it no renewal
    bool forever = false;
    bool revoked = false;
    std::int64_t uses = 0;
};

struct secret_row {
    std::string id;
    std::string key;
    std::string value;
    std::string comment;
    json::value metadata; // what `secretMetadata` said
    bool skip_multiline = false;
    std::int64_t version = 1;
    std::map<std::int64_t, std::string> history;
    instant created_at{};
    instant updated_at{};
};

struct vault_folder {
    std::string id;
    std::string parent_id;
    std::string name;                               // "root" for "/"
    std::multimap<std::string, secret_row> secrets; // by key; equal keys are duplicate rows in order of creation
    instant created_at{};
    instant updated_at{};
};

struct vault_environment {
    std::string id;
    std::string name;
    std::string slug;
    std::map<std::string, vault_folder> folders; // by path: "/", "/MooseQuest/cloudflare"
};

class infisical {
public:
    infisical(virtual_time& time, dice& ids, books& ledger);

    reply serve(const request& r, bool by_operator = false);

    std::string project_id;
    std::string project_slug = "moosequest-68e8db";
    std::string project_name = "MooseQuest";
    std::string organization_id;
    std::vector<vault_environment> environments;
    std::deque<machine_identity> identities;           // references stay good while more are added
    std::map<std::string, access_token> access_tokens; // by value
    std::map<std::string, std::string> static_tokens;  // token auth: value → identity id
    infisical_switches switches;

    machine_identity& add_identity(std::string role = "member");
    vault_environment* environment(std::string_view slug);
    // Makes the folder and its parents where they are missing.
    vault_folder& folder(vault_environment& env, const std::string& path);
    // Writes as an operator would: updates the key where it exists. `duplicate` adds a second row instead.
    secret_row& put(vault_folder& into, const std::string& key, const std::string& value, bool duplicate = false);

private:
    struct caller {
        const machine_identity* identity = nullptr;
        bool is_operator = false;
    };
    struct place { // where a secrets request points; `refused` says why it points nowhere
        vault_environment* env = nullptr;
        vault_folder* folder = nullptr;
        std::string path;
        std::optional<reply> refused;
    };

    reply route(const request& r, bool by_operator);
    reply login(const json::object& body);
    reply renew(const json::object& body);
    reply revoke(const json::object& body);
    reply token_reply(const std::string& value, const machine_identity& identity) const;
    std::string new_token(const machine_identity& identity);
    std::optional<reply> authenticate(const std::string& token, caller& who, bool counts);
    std::optional<reply> forbid(const caller& who, std::string_view action);
    bool known_project(std::string_view id) const { return id == project_id; }

    reply project(const request& r, std::span<const std::string> rest, bool by_slug, bool wrapped);
    json::object project_json() const;
    reply folders(const request& r, const caller& who, const json::object& body, std::span<const std::string> rest);
    json::object folder_json(const vault_environment& env, const std::string& path, const vault_folder& f) const;

    reply secrets(const request& r, const caller& who, const json::object& body, std::span<const std::string> rest,
                  bool v4);
    place find_place(const request& r, const json::object& body, bool v4, std::string_view operation);
    reply list_secrets(const request& r, place at, bool v4);
    reply get_secret(const request& r, place at, const std::string& key);
    reply create_secret(const json::object& body, place at, const std::string& key);
    reply update_secret(const json::object& body, place at, const std::string& key);
    reply delete_secret(place at, const std::string& key);
    reply batch(const request& r, const json::object& body, place at);
    json::object secret_json(const vault_environment& env, const std::string& path, const secret_row& row, bool listed,
                             bool hidden) const;
    bool needs_approval(const std::string& path) const;
    reply approval();

    reply failure(int status, std::string_view error, std::string_view message);
    reply failure_with(int status, std::string_view error, json::value message);
    reply validation(std::string_view field, std::string_view expected, std::string_view received);
    reply not_a_boolean(std::string_view parameter, const std::string& received);
    reply no_route(const request& r) const;
    std::optional<reply> throttle(const request& r, reply& headers_into);

    struct counter {
        instant since{};
        std::size_t used = 0;
    };
    virtual_time& time_;
    dice& ids_;
    books& ledger_;
    std::map<std::string, counter> counters_;
};

// A folder's path without its trailing slash.
std::string vault_path(std::string path);
// RFC 3339, always with milliseconds.
std::string vault_stamp(instant at);
// GETs carry their parameters in the query, the other verbs in the body.
std::optional<std::string> vault_parameter(const request& r, const json::object& body, std::string_view name);

// What the server makes of a value: trimmed on both ends, one final newline kept.
std::string stored_value(std::string_view value);

} // namespace postern::testcloud
