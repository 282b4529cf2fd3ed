#pragma once

#include "bench/decades.hpp"
#include "bench/dice.hpp"
#include "domain/desired.hpp"
#include "model/world.hpp"

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

// The consumers of an estate, and whether they are let in. For each token: who reads the vault's key at each use, who
// keeps what was read for up to a day, and for each app its next dynos, its dynos, and one that outlives the restart by
// up to a day. What a consumer is answered changes only when something changes: a value, a policy at the edge, a token,
// a date that is reached. It is asked then; all knocks until the next change have the same answer.
namespace postern::bench {

class witness {
public:
    // `at` is asked to call back at an instant.
    witness(const model::remotes& world, tally& done, dice& chance,
            std::function<void(instant, std::function<void()>)> at);

    // The documents are these from now on. Who is new comes to hold something later; who left is not asked any more.
    void follow(const domain::desired& wanted, instant now);

    // What may have changed; consumers that it can concern are asked.
    void key_changed(const std::string& key, instant now);
    void app_changed(const std::string& app, instant now);
    void site_changed(const std::string& application, instant now);
    void token_changed(const std::string& client_id, instant now);
    void ask_all(instant now);

    // Cloudflare notes when each token was used last.
    void use_tokens(model::remotes& world, instant now);

    const std::optional<std::string>& refusal() const { return refusal_; }
    const std::string& refused_token() const { return refused_token_; }

private:
    enum class habit { reads, keeps, starts, runs, lasts };
    struct consumer {
        std::string name;
        std::string token;
        habit has = habit::reads;
        std::string app;                   // empty: the vault
        std::string slot;                  // the vault's key or the config var
        std::map<std::string, bool> sites; // application → whether it was let in there
        std::string holds;
        instant holds_since{};
        std::optional<instant> reads_again;
        std::optional<instant> asked;
        bool present = true;
    };

    const std::string* source(const consumer& c) const;
    void look(consumer& c, instant now);
    void ask(consumer& c, instant now);
    void add(consumer c);
    template<class Which>
    void ask_those(instant now, Which which);

    const model::remotes& world_;
    tally& done_;
    dice& chance_;
    std::function<void(instant, std::function<void()>)> at_;
    std::map<std::string, consumer> consumers_;
    std::vector<std::pair<std::string, instant>> last_uses_; // client ids of credentials that were given up
    std::optional<std::string> refusal_;
    std::string refused_token_;
};

} // namespace postern::bench
