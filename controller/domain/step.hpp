#pragma once

#include "domain/observed.hpp"

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

// One thing to do, as plain data: what, for which resource, where, and why. A step says nothing about how: run/execute
// turns it into calls. Credentials are named by fingerprint; the process's key ring knows the secret behind it.
namespace postern::domain::steps {

// Create the state folder and its own key, which holds the installation id and the key of the fingerprints.
struct initialise {
    std::string vault;
    std::string path;
};

// Write the record of a token. `stage` is the word of the chain that it stands for: intend, promote, confirm, record.
struct write_record {
    std::string vault;
    std::string path;
    std::string token;
    record value;
    bool exists = false; // PATCH instead of POST
    std::string stage;
    bool doubled = false; // rows that differ: they are deleted and this one is created
};

// POST service_tokens. Sent only by the process that knows that it has not sent it before.
struct mint {
    std::string account;
    std::string token;
    std::string nonce;
    std::string name;
    std::string duration;
    instant deadline = instant::max(); // not sent after this: somebody else may have taken over
};

// POST service_tokens/{id}/rotate: a second secret of the same token. The one before works until `cut_off`. Sent only
// by the process that knows that it has not sent it before.
struct rotate {
    std::string account;
    std::string token;
    std::string token_id;
    std::string nonce;
    instant cut_off{};
    instant deadline = instant::max();
};

// Create the write-once key "<token>.<nonce>", and read it back.
struct hold {
    std::string vault;
    std::string path;
    std::string token;
    std::string nonce;
    std::string fingerprint;
    std::string client_id;
};

// POST apps/{id}/policies: non_identity, including `tokens`, after all others.
struct create_policy {
    std::string account;
    std::string application;
    std::string name;
    std::vector<std::string> tokens;
    int precedence = 0;
};

// PUT of one policy with everything else echoed, after reading it again and finding it at `version`.
struct edit_policy {
    std::string account;
    std::string application;
    std::string policy;
    bool reusable = false;
    std::string version;
    bool make_non_identity = false;
    std::vector<std::string> add;
    std::vector<std::string> remove; // done before `add`: an id that stands in both is left once
    int shared_by = 1;               // how many applications use it
};

struct delete_policy {
    std::string account;
    std::string application;
    std::string policy;
    std::string version;
};

// Knock without headers, then with the credential, until it passes twice in a row or the attempts are used up.
struct prove {
    std::string token;
    std::string application;
    std::string host;
    std::string path;
    std::string fingerprint;
    int expect_status = 200;
    int attempts = 5;
    duration interval{};
};

// Knock without headers, then with a retired credential, until that is refused or the attempts are used up.
struct try_retired {
    std::string token;
    std::string application;
    std::string host;
    std::string path;
    std::string fingerprint;
    int attempts = 5;
    duration interval{};
};

// Write the consumers' own key, after reading it again and finding `before` (empty: absent); read it back.
struct write_credential {
    std::string vault;
    std::string path;
    std::string key;
    std::string fingerprint;
    std::string before;
    std::string client_id;
};

// PUT service_tokens/{id} with what is given.
struct update_token {
    std::string account;
    std::string token_id;
    std::optional<std::string> name;
    std::optional<std::string> duration;
    std::optional<bool> enabled;
    std::optional<instant> previous_expires_at = std::nullopt; // when the previous secret ends
};

struct delete_token {
    std::string account;
    std::string token_id;
};

// GET service_tokens/{id}: a 404 proves that it is gone.
struct look_token {
    std::string account;
    std::string token_id;
};

// GET apps/{app}/releases, newest first.
struct look_releases {
    std::string account;
    std::string app;
};

// One PATCH of config vars, after reading them again and finding `before`; then wait for the release, read back.
struct deliver {
    std::string account;
    std::string binding;
    std::string app;
    std::string config_var;    // combined form, or
    std::string client_id_var; // both of these
    std::string client_secret_var;
    std::string fingerprint; // empty: unset the variables
    std::string client_id;
    std::string before; // fingerprint found when judged; empty: absent
};

// A release of the binding's variables still runs, ours or somebody's: it is waited for, never repeated.
struct await_release {
    std::string account;
    std::string binding;
    std::string app;
};

// Delete one key of the vault that holds `fingerprint`: a credential of a document that left git, its held keys, its
// record.
struct delete_key {
    std::string vault;
    std::string path;
    std::string key;
    std::string fingerprint; // empty: a record
};

} // namespace postern::domain::steps

namespace postern::domain {

using action =
    std::variant<steps::initialise, steps::write_record, steps::mint, steps::rotate, steps::hold, steps::create_policy,
                 steps::edit_policy, steps::delete_policy, steps::prove, steps::try_retired, steps::write_credential,
                 steps::update_token, steps::delete_token, steps::look_token, steps::look_releases, steps::deliver,
                 steps::await_release, steps::delete_key>;

// How a plan marks it.
enum class change { look, create, change, replace, delete_ };

struct step {
    std::string resource; // the document it is for: "ServiceToken/console-self-probe"
    std::string
        target; // the object it touches, in words: "policy console-self-probe (service token) on console.raxx.app"
    std::string reason;             // CamelCase, from the vocabulary in reason.hpp
    std::string words;              // the reason in words
    std::vector<std::string> locks; // objects that one step at a time may touch; the first names the step's troubles
    action what;
    bool observed = false; // only a released judgement offers it: its document, or everything, is only observed
};

// The word for the step: initialise, intend, mint, hold, bind, correct, prove, promote, repair, deliver, confirm, …
std::string word(const step& s);
change kind_of(const step& s);

// The vault and its folder that the step writes to; nothing where it writes elsewhere.
std::optional<std::pair<std::string, std::string>> vault_folder_of(const step& s);

// Whether the step writes anywhere. The others may be taken by a plan.
bool writes(const step& s);

// What came of a step. `failure` set: nothing else is, but for `requests`.
struct outcome {
    std::optional<error> failure;
    std::optional<live_token> token;                   // mint, rotate, update_token
    std::string fingerprint;                           // mint, rotate
    std::optional<live_policy> policy;                 // create_policy, edit_policy
    std::optional<proof> proved;                       // prove, try_retired
    std::optional<bool> absent;                        // look_token
    std::optional<std::vector<release_view>> releases; // look_releases, await_release
    std::optional<app_value> value;                    // deliver, await_release: as read back
    bool released = false;                             // deliver: its release was seen to succeed
    bool awaiting_approval = false;                    // a vault write that stored nothing
    std::vector<std::string> requests = {};            // the remotes' ids of what was asked of them for it, in order
};

// What the step found and what it left, for the journal: the fingerprint of a credential, or a policy's version. Empty
// where there was nothing, where the step changes no value, and after a failure: then nobody knows what is there.
std::pair<std::string, std::string> fingerprints(const step& s, const outcome& came);

} // namespace postern::domain
