#include "model/explore.hpp"
#include "model/scenes.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <utility>

// The core, broken on purpose: what it is shown, or what it answers, is bent in one way, and the model must find it.
namespace postern::model {

namespace {

struct question {
    const desired& wanted;
    observed world; // as it is shown to the core
    settings how;
    instant now;
};

const state_view& state_in(const observed& world) {
    return *world.vaults.at("infisical")->state;
}
state_view& state_in(observed& world) {
    return *world.vaults.at("infisical")->state;
}

bool is_read(const observed& world) {
    auto vault = world.vaults.find("infisical");
    return vault != world.vaults.end() && vault->second && vault->second->state && world.accounts.at("raxx");
}

// `ask` bends the question, `answer` the judgement.
template<class Ask, class Answer>
judging bent(Ask ask, Answer answer) {
    return [ask, answer](const desired& wanted, const observed& world, const settings& how, instant now,
                         const std::set<std::string>& busy) {
        question q{wanted, world, how, now};
        if (is_read(world))
            ask(q);
        auto j = next(wanted, q.world, q.how, now, busy);
        if (is_read(world))
            answer(world, j, now);
        return j;
    };
}

constexpr auto as_it_is = [](auto&&...) {};

void is_caught(setting in, const state& first, const std::string& rule) {
    auto found = explore(in, first);
    INFO(in.name);
    REQUIRE_MESSAGE(found.violation, "it is not noticed");
    INFO(*found.violation);
    CHECK(found.violation->find(rule) != std::string::npos);
}

setting broken(std::string name, strategy how = strategy::replace) {
    auto in = setting_of(std::move(name), {1, 1, 2});
    in.wanted.tokens.front().how = how;
    in.most.jumps = 2;
    return in;
}

} // namespace

TEST_CASE("the core as it is passes where the broken ones do not") {
    for (auto how : {strategy::replace, strategy::in_place}) {
        auto in = broken("as it is", how);
        in.judge = bent(as_it_is, as_it_is);
        auto found = explore(in, due_for_rotation(in, {1, 1, 2}));
        CHECK_MESSAGE(!found.violation, *found.violation);
    }
}

TEST_CASE("promote before proof") {
    auto in = broken("promote before proof");
    in.judge = bent(
        [](question& q) {
            for (const auto& [nonce, value] : state_in(q.world).held["probe"]) {
                for (const auto& app : q.world.accounts.at("raxx")->applications)
                    q.world.proofs[{app.destinations.front(), "/health", value.fingerprint}].last = verdict::passed;
            }
        },
        as_it_is);
    is_caught(in, due_for_rotation(in, {1, 1, 2}), "was given");
}

TEST_CASE("retire before delivery") {
    auto in = broken("retire before delivery");
    in.judge = bent(as_it_is, [](const observed& world, judgement& j, instant) {
        const auto& records = state_in(world).records;
        auto r = records.find("probe");
        if (r == records.end() || !r->second.previous)
            return;
        const auto& apps = world.heroku.at("heroku")->apps;
        bool lags = std::any_of(apps.begin(), apps.end(), [&](const auto& app) {
            return app.second && app.second->values.at("probe").fingerprint == r->second.previous->fingerprint;
        });
        if (!lags)
            return;
        const auto& id = r->second.previous->token_id;
        for (const auto& app : world.accounts.at("raxx")->applications) {
            for (const auto& p : app.policies) {
                if (includes(p, id))
                    j.steps.push_back({"ServiceToken/probe",
                                       p.id,
                                       "Broken",
                                       "too early",
                                       {"broken"},
                                       steps::edit_policy{"raxx", app.id, p.id, false, p.version, false, {}, {id}, 1}});
            }
        }
    });
    is_caught(in, due_for_rotation(in, {1, 1, 2}), "let in and now refuses");
}

TEST_CASE("overwrite a held credential") {
    auto in = broken("overwrite a held credential");
    in.judge = bent(as_it_is, [](const observed& world, judgement& j, instant) {
        for (auto& s : j.steps) {
            const auto* hold = std::get_if<steps::hold>(&s.what);
            const auto& records = state_in(world).records;
            if (hold == nullptr || !records.contains("probe") || !records.at("probe").current)
                continue;
            const auto& current = *records.at("probe").current;
            s.what = steps::write_credential{hold->vault,       hold->path,          "probe." + current.nonce,
                                             hold->fingerprint, current.fingerprint, hold->client_id};
        }
    });
    is_caught(in, due_for_rotation(in, {1, 1, 2}), "write-once key");
}

TEST_CASE("rotate without an overlap") {
    auto in = broken("rotate without an overlap", strategy::in_place);
    in.judge = bent(as_it_is, [](const observed&, judgement& j, instant now) {
        for (auto& s : j.steps) {
            if (auto* rotate = std::get_if<steps::rotate>(&s.what))
                rotate->cut_off = now;
        }
    });
    is_caught(in, due_for_rotation(in, {1, 1, 2}), "let in and now refuses");

    in = broken("a second token without an overlap");
    in.wanted.tokens.front().overlap = {};
    in.judge = bent(
        [](question& q) {
            // Confirmed the moment it is promoted, so that nobody is waited for.
            for (auto& [name, r] : state_in(q.world).records) {
                if (r.previous && r.current) {
                    r.confirmed = r.current->fingerprint;
                    r.previous_until = q.now;
                    for (auto& [app, view] : q.world.heroku.at("heroku")->apps)
                        view->values.at("probe") = {false, r.current->fingerprint, r.current->client_id};
                }
            }
        },
        as_it_is);
    is_caught(in, due_for_rotation(in, {1, 1, 2}), "let in and now refuses");
}

TEST_CASE("rotate twice inside an overlap") {
    for (auto how : {strategy::replace, strategy::in_place}) {
        auto in = broken("rotate twice inside an overlap", how);
        in.judge = bent(
            [](question& q) {
                // It sees no credential but the one in force and the one on its way, and is asked for another one.
                for (auto& [name, r] : state_in(q.world).records) {
                    if (!r.previous_until && !r.request)
                        continue;
                    std::erase_if(state_in(q.world).held[name], [&, &known = r](const auto& key) {
                        return key.first != known.current->nonce &&
                               !(known.pending && key.first == known.pending->nonce);
                    });
                    if (!r.previous_until)
                        continue;
                    const auto confirmed = *r.previous_until - q.wanted.tokens.front().overlap;
                    q.how.requests["probe"] = {confirmed, "Requested", {}, "somebody", false};
                    r.previous.reset();
                    r.previous_until.reset();
                    r.current->made.reset();
                }
            },
            as_it_is);
        is_caught(in, due_for_rotation(in, {1, 1, 2}), how == strategy::replace ? "tokens in use" : "was promised");
    }
}

TEST_CASE("touch what is not ours") {
    auto in = broken("touch what is not ours");
    in.judge = bent(as_it_is, [](const observed&, judgement& j, instant) {
        steps::update_token what;
        what.account = "raxx";
        what.token_id = "f1";
        what.duration = "8760h";
        j.steps.push_back({"ServiceToken/probe", "f1", "Broken", "not ours", {"broken"}, what});
    });
    is_caught(in, due_for_rotation(in, {1, 1, 2}), "not ours was touched");
}

TEST_CASE("come to no end") {
    auto in = broken("never confirm");
    in.judge = bent(as_it_is, [](const observed&, judgement& j, instant) {
        std::erase_if(j.steps, [](const step& s) { return word(s) == "confirm"; });
    });
    is_caught(in, due_for_rotation(in, {1, 1, 2}), "without a person");
}

} // namespace postern::model
