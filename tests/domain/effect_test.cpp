#include "world.hpp"

#include <algorithm>

namespace effect_test {

// What the world is after a step, also where the answer was not what was hoped for.

using namespace postern;
using namespace postern::domain;
using namespace postern::domain::testing;
using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

namespace {

step with(action what, std::string lock = "lock") {
    return {"ServiceToken/probe", "x", "Requested", "x", {std::move(lock)}, std::move(what)};
}

error why(error_kind kind, std::string code = {}) {
    return {kind, "somewhere", "it did not work", 0, std::move(code), {}};
}

outcome failed(error_kind kind) {
    outcome o;
    o.failure = why(kind);
    return o;
}

} // namespace

TEST_CASE("an answer without what was asked for changes nothing that a decision would rest on") {
    auto s = provisioned();
    const auto id = s.rec().current->token_id;
    const auto policies = s.application(0).policies.size();
    s.world.unsent = {"n9"};
    effect(s.world, with(steps::mint{"raxx", "probe", "n9", "name", "8760h"}), {}, s.now);
    CHECK(!s.world.unsent.contains("n9")); // it was sent: whatever came of it is looked for
    CHECK(s.world.minted.empty());
    CHECK(s.account().tokens.size() == 1);
    effect(s.world, with(steps::rotate{"raxx", "probe", id, "n9", s.now}), {}, s.now);
    CHECK(s.world.minted.empty());
    effect(s.world, with(steps::create_policy{"raxx", "app-1", "p", {id}, 2}), {}, s.now);
    effect(s.world, with(steps::edit_policy{"raxx", "app-1", "people-app-1", false, "v1", true, {id}, {}, 1}), {},
           s.now);
    CHECK(s.application(0).policies.size() == policies);
    CHECK(s.application(0).policies[0].decides == decision::allow);
    CHECK(s.world.touched.empty());
    effect(s.world, with(steps::prove{"probe", "app-1", "one.raxx.app", "/health", "fp"}), {}, s.now);
    effect(s.world, with(steps::try_retired{"probe", "app-1", "one.raxx.app", "/health", "fp"}), {}, s.now);
    CHECK(s.world.proofs.empty());
    CHECK(s.world.refusals.empty());
    const auto before = s.heroku("prod");
    effect(s.world, with(steps::deliver{"heroku", "probe", "prod", "CF_PROBE", {}, {}, "fp", "x", {}}), {}, s.now);
    effect(s.world, with(steps::await_release{"heroku", "probe", "prod"}), {}, s.now);
    CHECK(s.heroku("prod") == before);
    effect(s.world, with(steps::look_token{"raxx", id}), {}, s.now);
    CHECK(s.account().proved_absent.at(id) == false);
}

TEST_CASE("what went away meanwhile is no reason to fall over") {
    auto s = provisioned();
    outcome made;
    made.policy = policy("new", "p", decision::non_identity, {of_token("t")});
    effect(s.world, with(steps::create_policy{"raxx", "gone", "p", {"t"}, 2}), made, s.now);
    CHECK(s.world.touched.empty());
    effect(s.world, with(steps::delete_policy{"raxx", "gone", "p", "v1"}), {}, s.now);
    steps::update_token update;
    update.account = "raxx";
    update.token_id = "gone";
    update.name = "renamed";
    const auto step_of_it = with(update);
    CHECK(!predicted(s.world, step_of_it, s.now).token);
    outcome answered;
    answered.token = token("gone", "renamed");
    effect(s.world, step_of_it, answered, s.now);
    CHECK(std::none_of(s.account().tokens.begin(), s.account().tokens.end(),
                       [](const auto& t) { return t.name == "renamed"; }));
    const auto rotated = predicted(s.world, with(steps::rotate{"raxx", "probe", "gone", "n9", s.now}), s.now);
    CHECK(!rotated.token);
    effect(s.world, with(steps::delete_key{"infisical", "/nowhere", "probe.n9", "fp"}), {}, s.now);
    effect(s.world, with(steps::delete_key{"infisical", "/state", "nobody.n9", "fp"}), {}, s.now);
    CHECK(s.state().held.at("probe").size() == 1);
}

TEST_CASE("a reusable policy changes wherever it is used, and keeps its place in each; another of its id does not") {
    scene s;
    auto shared = policy("p", "shared", decision::allow, {of_token("t")}, 3, true);
    s.application(0).policies.push_back(shared);
    shared.precedence = 7;
    s.application(1).policies.push_back(shared);
    steps::edit_policy edit{"raxx", "app-1", "p", true, "v1", true, {"u"}, {}, 2};
    auto taken = with(edit);
    effect(s.world, taken, predicted(s.world, taken, s.now), s.now);
    for (auto i : {0U, 1U}) {
        const auto& p = s.application(i).policies.back();
        CHECK(p.decides == decision::non_identity);
        CHECK(p.include == std::vector<rule>{of_token("t"), of_token("u")});
        CHECK(p.precedence == (i == 0 ? 3 : 7));
        for (const auto* id : {"t", "u"}) // both are let in anew: each owes a proof
            CHECK(s.world.touched.contains({s.application(i).id, id}));
    }
    s.application(1).policies.back().reusable = false;
    edit.reusable = false;
    edit.add = {"v"};
    taken = with(edit);
    effect(s.world, taken, predicted(s.world, taken, s.now), s.now);
    CHECK(s.application(0).policies.back().include.size() == 3);
    CHECK(s.application(1).policies.back().include.size() == 2);
}

TEST_CASE("a request that was never acted on may still be sent by this process, another may not") {
    struct row {
        error_kind kind;
        bool again;
    };
    for (const auto& r :
         {row{error_kind::unavailable, true}, row{error_kind::throttled, true}, row{error_kind::refused, true},
          row{error_kind::credential, true}, row{error_kind::timeout, false}, row{error_kind::ambiguous, false},
          row{error_kind::conflict, false}}) {
        CAPTURE(static_cast<int>(r.kind));
        scene s;
        effect(s.world, with(steps::mint{"raxx", "probe", "n9", "name", "8760h"}), failed(r.kind), s.now);
        effect(s.world, with(steps::rotate{"raxx", "probe", "t", "n10", s.now}), failed(r.kind), s.now);
        CHECK(s.world.unsent.contains("n9") == r.again);
        CHECK(s.world.unsent.contains("n10") == r.again);
        // After these the world is read again before anything is decided.
        CHECK(s.world.stale == (r.kind == error_kind::ambiguous || r.kind == error_kind::conflict));
    }
}

TEST_CASE("failures are waited out for longer each time; where an account has no room, nothing was tried") {
    scene s;
    auto taken = with(steps::look_releases{"heroku", "prod"}, "heroku:heroku/prod");
    const auto wait = [&] { return s.world.troubles.at("heroku:heroku/prod").again - s.now; };
    duration last{};
    for (int i = 0; i < 6; ++i) {
        effect(s.world, taken, failed(error_kind::unavailable), s.now);
        CHECK(wait() > last);
        last = wait();
    }
    for (int i = 0; i < 6; ++i)
        effect(s.world, taken, failed(error_kind::unavailable), s.now);
    CHECK(wait() == seconds{60});
    CHECK(s.world.troubles.at("heroku:heroku/prod").count == 12);
    effect(s.world, taken, {}, s.now);
    CHECK(s.world.troubles.empty());
    outcome full = failed(error_kind::throttled);
    full.failure->retry_after = minutes{5};
    for (int i = 0; i < 9; ++i)
        effect(s.world, taken, full, s.now);
    CHECK(s.world.troubles.at("heroku:heroku/prod").count == 0);
    CHECK(wait() == minutes{5});
}

TEST_CASE("what failed is told by its kind, at the document it is for, with what the remote said") {
    struct row {
        error_kind kind;
        const char* code;
        int count;
        const char* reason;
        weight heft;
    };
    // After the last try, but for those against which waiting does not help.
    for (const auto& r : {row{error_kind::unavailable, "", 1, "Retrying", weight::waiting},
                          row{error_kind::unavailable, "", 4, "Unavailable", weight::failed},
                          row{error_kind::timeout, "", 4, "Unavailable", weight::failed},
                          row{error_kind::cancelled, "", 4, "Unavailable", weight::failed},
                          row{error_kind::conflict, "", 4, "Conflict", weight::failed},
                          row{error_kind::ambiguous, "", 4, "Conflict", weight::failed},
                          row{error_kind::refused, "release_failed", 1, "ReleaseFailed", weight::blocked},
                          row{error_kind::refused, "", 1, "Refused", weight::blocked},
                          row{error_kind::credential, "", 1, "Refused", weight::blocked},
                          row{error_kind::spec, "", 1, "Refused", weight::blocked},
                          row{error_kind::bug, "", 1, "Refused", weight::blocked}}) {
        CAPTURE(static_cast<int>(r.kind));
        struct place {
            const char* word;
            const char* resource;
            const char* type;
        };
        for (const auto& at :
             {place{"bind", "AccessBinding/probe", "Bound"}, place{"prove", "ServiceToken/probe", "Verified"},
              place{"promote", "ServiceToken/probe", "Provisioned"},
              place{"deliver", "HerokuBinding/probe", "Delivered"}}) {
            INFO(at.word);
            scene s;
            for (bool found = false; !found;) {
                auto j = s.ask();
                REQUIRE(!j.steps.empty());
                for (const auto& x : j.steps) {
                    if (word(x) != at.word) {
                        effect(s.world, x, predicted(s.world, x, s.now), s.now);
                        continue;
                    }
                    found = true;
                    s.world.troubles[x.locks.front()] = {why(r.kind, r.code), r.count, s.now + seconds{8}};
                }
            }
            const auto j = s.ask();
            const auto* c = find(j, at.resource, at.type);
            REQUIRE(c != nullptr);
            CHECK(c->reason == r.reason);
            CHECK(c->heft == r.heft);
            CHECK_MESSAGE(c->message.find("somewhere: it did not work") != std::string::npos, c->message);
            CHECK(std::none_of(j.steps.begin(), j.steps.end(), [&](const auto& x) { return word(x) == at.word; }));
        }
    }
}

TEST_CASE("a daemon tries again what was given up, ever more rarely") {
    auto s = provisioned();
    s.account().tokens[0].enabled = false;
    s.how.for_ever = true;
    duration last{};
    for (int failures = 4; failures < 10; ++failures) {
        const auto again = s.now + minutes{1};
        s.world.troubles["token:probe"] = {why(error_kind::unavailable), failures, again};
        auto j = s.ask();
        CHECK(j.steps.empty());
        REQUIRE(j.wake);
        const auto rest = *j.wake - again;
        CHECK(rest >= last);
        CHECK(rest <= hours{1});
        last = rest;
        CHECK(find(j, "ServiceToken/probe", "Provisioned")->message.find("tried again at " + format_instant(*j.wake)) !=
              std::string::npos);
        s.now = *j.wake;
        j = s.ask();
        REQUIRE(j.steps.size() == 1);
        CHECK(word(j.steps[0]) == "enable");
    }
    CHECK(last == hours{1});
}

TEST_CASE("a write that the vault answers with an approval request is not written again, and what depends waits") {
    for (bool of_state : {true, false}) {
        CAPTURE(of_state);
        scene s;
        const std::string last = of_state ? "intend" : "promote";
        for (bool found = false; !found;) {
            auto j = s.ask();
            REQUIRE(!j.steps.empty());
            for (const auto& x : j.steps) {
                found = found || word(x) == last;
                auto o = predicted(s.world, x, s.now);
                o.awaiting_approval = word(x) == last;
                effect(s.world, x, o, s.now);
            }
        }
        CHECK(!s.folder().values.contains("CF_PROBE"));
        CHECK(s.settle().empty());
        const auto j = s.ask();
        CHECK(reason_at(j, "ServiceToken/probe", "Provisioned") == "AwaitingApproval");
        const auto* c = find(j, "ServiceToken/probe", "Provisioned");
        CHECK(c->heft == weight::blocked);
        CHECK(c->message.find(of_state ? "a write to /state" : "a write to /creds") != std::string::npos);
        CHECK(s.account().tokens.size() == (of_state ? 0U : 1U));
    }
}

TEST_CASE("asked about one token, nothing is done or told of another") {
    scene s;
    s.wanted.tokens.push_back(scene::spec("other", "CF_OTHER"));
    auto theirs = s.wanted.bindings[0];
    theirs.name = theirs.policy_name = "other";
    theirs.tokens = {"other"};
    s.wanted.bindings.push_back(theirs);
    s.how.only = "probe";
    s.settle();
    CHECK(s.rec().confirmed == s.rec().current->fingerprint);
    CHECK(!s.state().records.contains("other"));
    CHECK(s.account().tokens.size() == 1);
    auto j = s.ask();
    for (const auto& c : j.conditions)
        CHECK_MESSAGE(c.resource.find("/other") == std::string::npos, c.resource);
    CHECK(reason_at(j, "AccessBinding/probe", "Bound") == "AsDeclared");
    CHECK(reason_at(j, "InfisicalVault/infisical", "Ready") == "Reachable");
    CHECK(reason_at(j, "HerokuAccount/heroku", "Ready") == "Reachable");
    s.how.only.clear();
    s.settle();
    CHECK(s.state().records.contains("other"));
}

TEST_CASE("what is only observed is offered, and marked so, to whoever wants to know where it leads") {
    scene s;
    s.how.observe = true;
    s.how.released = true;
    auto j = s.ask();
    REQUIRE(!j.steps.empty());
    CHECK(word(j.steps[0]) == "intend");
    CHECK(j.steps[0].observed);
    CHECK(s.settle().back() == "confirm");
    // Looking is no writing: those are not marked.
    s.restart();
    s.folder().values.erase("CF_PROBE");
    j = s.ask();
    REQUIRE(!j.steps.empty());
    for (const auto& x : j.steps)
        CHECK(x.observed == writes(x));
}

} // namespace effect_test
