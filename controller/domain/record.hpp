#pragma once

#include "base/instant.hpp"
#include "domain/desired.hpp"

#include <map>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <vector>

// What Postern remembers about one service token, kept in the vault under the token's name beside the write-once
// credential keys. It holds pointers and notes, no secret, and is never the only place where anything is known: a lost
// record is rebuilt from the write-once keys and the world.
namespace postern::domain {

// A credential that exists: which token it belongs to and under which write-once key it is kept.
struct credential {
    std::string nonce; // its write-once key is "<token>.<nonce>"; empty while nobody has kept its secret
    std::string token_id;
    std::string client_id;
    std::string fingerprint;                    // of "client_id:client_secret"; empty while nobody can show its secret
    std::optional<instant> made = std::nullopt; // when its making was begun, where that was by us
    bool operator==(const credential&) const = default;
};

// A credential that is about to be made: written before the request that makes it.
struct intent {
    std::string nonce;
    std::string reason; // CamelCase, why it is made
    std::string holder; // the process that may send the request
    instant started{};
    instant deadline{};               // until when somebody else leaves the request alone
    strategy how = strategy::replace; // in_place: a second secret of the current token
    bool operator==(const intent&) const = default;
};

// A rotation that somebody asked for, or that is due and has to wait. Done once the current credential was made no
// earlier than this, or the expiry moved where only that was asked.
struct rotation_request {
    instant at{};
    std::string reason;          // CamelCase: Requested, Compromised, or why it is due
    std::optional<strategy> how; // other than the document's
    std::string by;
    bool done = false;
    bool operator==(const rotation_request&) const = default;
};

// What a binding has on one application: the policy that is its own there, the token ids that we put into it, and
// the fingerprint with which this token last passed all of the application's hosts.
struct policy_note {
    std::string binding;
    std::string application;
    std::string policy;
    std::vector<std::string> put;
    std::string proved;
    bool operator==(const policy_note&) const = default;
};

// Variables of one app that get the credential: what was its newest release before our PATCH, and what we delivered.
struct delivery_note {
    std::string account; // a HerokuAccount's name
    std::string app;
    std::vector<std::string> vars;
    int before = 0;        // release version seen before the PATCH that carries `intended`
    std::string intended;  // fingerprint that is being delivered
    std::string delivered; // fingerprint that was delivered and confirmed last; empty: never
    bool operator==(const delivery_note&) const = default;
    bool is_of(const heroku_binding& b, const std::string& on) const {
        return account == b.account && app == on && vars == b.vars();
    }
    // The order in which a record keeps them; one of a place.
    static bool in_order(const delivery_note& a, const delivery_note& b) {
        return std::tie(a.account, a.app, a.vars) < std::tie(b.account, b.app, b.vars);
    }
};

struct record {
    static constexpr int format = 1;

    int v = format;
    std::string installation;
    std::string holder;
    int epoch = 0; // grows with every intent
    std::string source;
    deletion_policy deletion = deletion_policy::retain;
    std::string account; // where the token lives: a CloudflareAccount's name
    std::string path;    // where consumers read it
    std::string key;

    std::optional<credential> current;
    std::optional<credential> previous;
    std::optional<instant> previous_until; // null until confirm; nothing is retired before it
    std::optional<instant> cut_off;        // in place: when Cloudflare was last told to end the previous secret
    std::vector<credential> lingering;     // retired tokens that something else still references
    std::optional<intent> pending;
    std::optional<rotation_request> request;
    std::string reason;                    // why `current` was made, until it is confirmed
    std::vector<policy_note> policies;     // sorted by binding, application
    std::vector<delivery_note> deliveries; // sorted by account, app, vars
    std::set<std::string> authorizations;  // used up
    std::string promoted;                  // "path/key" of the vault key that held a credential of ours last
    std::string confirmed;                 // fingerprint that vault, apps and hosts last agreed on

    bool operator==(const record&) const = default;
};

} // namespace postern::domain
