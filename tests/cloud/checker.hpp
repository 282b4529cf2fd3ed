#pragma once

#include "cloud/books.hpp"
#include "cloud/edge.hpp"
#include "cloud/heroku.hpp"
#include "cloud/infisical.hpp"

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

// The invariant: no consumer is ever refused. It is asked after every request that changed something, at the instant at
// which a secret or a token ends, and whenever an edge location learns of a change.
//
// A *consumer* is whoever runs with a credential: one config var of a Heroku app that holds "client id:secret", a pair
// of config vars of one app that hold the two halves, or one vault key that holds "client id:secret". It becomes one by
// itself, the first time its value is a credential that Cloudflare has given out; from then on whatever it holds
// counts. Folders that are the controller's own book-keeping are no consumers: those below `own_folders`, and every
// folder that has a key named "postern".
//
// A consumer's *hosts* are the places ("host" or "host/path") of applications that once admitted what it held, at every
// edge location, and the places that a test names with expect(). A refusal is recorded when
//   - a consumer holds a value, and
//   - Access would not let that value pass one of its hosts, at any location (or at all of them: `only_everywhere`).
// So a wrong value counts as much as a dead one; a removed or empty value is no refusal, nor is an application that is
// gone or open to all, nor a host that never admitted this consumer. What is broken stays one refusal until it is whole
// again (`until`).
//
// Nobody has to ask for refusals: a cloud that ends with one that is not excused fails the test that it was in (see
// cloud::when_refused). What a test breaks on purpose it excuses, with a reason and no wider than that: what a person
// breaks at one instant by on_purpose(), what follows later by the consumer, place or credential that it concerns.
namespace postern::testcloud {

struct refusal {
    instant at{};
    std::optional<instant> until;
    std::string consumer;
    std::string place;
    std::string client_id;     // of what it held; empty where that was no credential
    std::string why;           // "expired", "wrong secret", "not admitted", ...
    std::string cause;         // the request or the event that brought it about
    std::size_t locations = 0; // that refuse
    bool excused = false;
};

struct excuse {
    // Each that is not empty must match; at least one is not.
    std::string consumer;
    std::string place;
    std::string client_id;
    std::string reason; // why a refusal is meant here; never empty
};

struct consumer {
    std::string name; // "heroku:app/VAR", "heroku:app/ID_VAR+SECRET_VAR", "vault:prod:/folder/KEY"
    std::set<std::string> hosts;
    // What it would send, as last seen: nothing for a value that is no credential; more than one while the dynos of a
    // former release still run; empty where it holds no value.
    std::vector<std::optional<credential>> held;
    std::map<std::string, std::size_t> broken; // place → index of its open refusal
};

// What a change can have touched at Access. What consumers hold is looked at always.
struct touched {
    enum class reach { nothing, tokens, everything };
    reach how_far = reach::everything;
    std::set<std::string> client_ids; // of `tokens`
};

class checker {
public:
    checker(virtual_time& time, books& ledger, cloudflare& access, infisical& vault, heroku& apps, edge& locations);

    // Asks for every consumer that the change can concern. `cause` is what a refusal found now is put down to.
    void check(const std::string& cause, const touched& by = {});

    void expect(const std::string& consumer_name, const std::string& place);
    // Throws std::logic_error where the excuse has no reason, or covers everybody.
    void excuse_from_now_on(excuse e);
    void excuse_no_more() { excuses_.clear(); }
    // Excuses whoever is refused by this change alone, which the cloud must have been told of when it returns.
    void on_purpose(const std::string& reason, const std::function<void()>& change);
    // For a test that brings refusals about and has judged each of them: excuses them, where they are that many.
    // Throws std::logic_error otherwise.
    void meant(std::size_t count, const std::string& reason);

    // Not excused ones, in order; none is what a test asks for.
    std::vector<refusal> refusals() const;
    // The same in words, a line each: who was refused where, when, with what, why and what brought it about.
    std::string complaint() const;
    const std::vector<refusal>& all_refusals() const { return refusals_; }
    const std::map<std::string, consumer>& consumers() const { return consumers_; }

    std::set<std::string> own_folders{"/MooseQuest/postern"};
    bool only_everywhere = false;
    bool enabled = true;

private:
    using holdings = std::map<std::string, std::vector<std::optional<credential>>>;

    holdings look();
    void look_at_heroku(const heroku_app& app, const config_map& config, holdings& out);
    void look_at_vault(holdings& out);
    bool own_folder(const std::string& path, const vault_folder& f) const;
    void register_pairs(const heroku_app& app, const config_map& config);
    void learn_places();
    const application* guard(const access_config& config, const std::string& place);
    verdict judge_place(std::size_t location, const std::string& place, const std::optional<credential>& shown);
    void admit(const credential& held, consumer& who);
    void ask(consumer& who, const std::string& cause);
    // What is wrong with that consumer at that place; nothing where it passes.
    std::optional<refusal> refused(const std::vector<std::optional<credential>>& held, const std::string& place);
    bool excused(const refusal& r) const;

    virtual_time& time_;
    books& ledger_;
    cloudflare& access_;
    infisical& vault_;
    heroku& apps_;
    edge& edge_;
    std::map<std::string, consumer> consumers_;
    std::map<std::string, std::set<std::pair<std::string, std::string>>> pairs_; // app id → (id var, secret var)
    std::vector<refusal> refusals_;
    std::vector<excuse> excuses_;
    bool on_purpose_ = false;
    std::map<std::string, std::set<std::string>> places_by_token_; // token id (or "*") → places
    std::map<std::string, std::string> guards_;                    // place → app id, of one generation
    std::uint64_t guards_generation_ = ~std::uint64_t{0};
};

json::object to_json(const refusal& r);

} // namespace postern::testcloud
