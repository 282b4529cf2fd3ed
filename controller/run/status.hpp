#pragma once

#include "base/error.hpp"
#include "base/instant.hpp"
#include "domain/desired.hpp"
#include "domain/next.hpp"
#include "domain/observed.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

// What a daemon knows of itself and of the world, as one value: the endpoint and the store show it, metrics are made
// from it, `postern status` prints it. No secret is in it; credentials appear by id and fingerprint.
namespace postern::run {

struct token_status {
    std::string name;
    std::string cadence_key;
    std::string token_id;
    std::string client_id;
    std::string fingerprint;
    std::optional<instant> expires_at;   // nothing: never, or not known
    std::optional<instant> rotation_due; // when it will be, or became, due
    std::optional<instant> previous_until;
    std::string stage; // what is under way: "", "intend", "mint", "hold", "prove", "deliver", "overlap", …
};

// One of Postern's own keys.
struct connection_status {
    std::string resource; // "CloudflareAccount/raxx"
    std::optional<instant> expires_at;
};

struct status {
    std::string version;
    std::string holder; // this process
    std::int64_t epoch = 0;
    bool leading = false;
    std::string leader; // who leads, as the lease says; empty: nobody, or it is not known
    // Who holds the lease, but did not renew it while somebody looked on: only in what was read from a store.
    std::string silent_holder;
    bool observing = false;
    std::string revision;      // of the documents in force; empty: none were ever good
    std::string specs_problem; // why newer documents, or a newer reading, are not in force; empty: they are
    std::string store_problem; // empty: the store answers
    instant started_at{};
    instant at{};                      // of this value
    std::int64_t pass = 0;             // passes ended
    std::optional<instant> pass_began; // of the last that ended
    std::optional<duration> pass_took;
    std::optional<instant> last_whole_pass; // read the whole world, and was not interrupted
    std::optional<instant> last_good_pass;  // the same, and nothing failed or was still failing (`Retrying`) at its end
    std::optional<instant> next_pass;
    std::vector<token_status> tokens; // sorted by name
    std::vector<connection_status> connections;
    std::vector<domain::condition> conditions; // sorted by resource, type
};

// What the records and the world say of each token of the documents.
std::vector<token_status> tokens_of(const domain::desired& wanted, const domain::observed& world, instant now);

// Of one token alone: its line and its conditions; the process and its own keys stay. `spec`, with a suggestion, where
// there is no such token.
result<status> only_token(status s, const std::string& name);

// One JSON document, and back: what parse_status(to_json(s)) gives is `s`, but that names and messages are `printable`.
// Members that another version added are passed over; what is missing, of another type or of another format is an error
// that names it.
std::string to_json(const status& s);
result<status> parse_status(std::string_view document);

// "True", "False", "Unknown"; "fine", "told", "waiting", "blocked", "failed".
std::string_view word_of(domain::status s);
std::string_view word_of(domain::weight w);

} // namespace postern::run
