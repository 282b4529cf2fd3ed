#include "domain/reason.hpp"
#include "world.hpp"

namespace own_app_test {

using namespace postern::domain;
using namespace postern::domain::testing;

// The app that Postern itself runs on is served when nothing else is left: its PATCH is a restart.

namespace {

bool serves(const step& s, const std::string& app) {
    const auto* sent = std::get_if<steps::deliver>(&s.what);
    return sent != nullptr && sent->app == app;
}

// Two tokens, both for "prod"; the first also for "staging", which is listed first and is where this process runs.
scene own_first() {
    scene s;
    s.how.own_apps = {"staging"};
    s.wanted.tokens.push_back(scene::spec("other", "CF_OTHER"));
    s.wanted.bindings[0].tokens.push_back("other");
    heroku_binding h = s.wanted.heroku_bindings[0];
    h.name = "other";
    h.token = "other";
    h.apps = {"prod"};
    h.config_var = "CF_OTHER";
    s.wanted.heroku_bindings.push_back(h);
    s.world.heroku["heroku"]->apps["prod"]->values["other"] = {};
    return s;
}

// Takes steps as predicted until nothing is offered but what would restart us, or nothing at all.
judgement until_last(scene& s) {
    s.how.imagined = true;
    for (int i = 0; i < 200; ++i) {
        auto j = s.ask();
        const bool own =
            std::any_of(j.steps.begin(), j.steps.end(), [](const auto& x) { return serves(x, "staging"); });
        if (own || j.steps.empty())
            return j;
        for (const auto& x : j.steps)
            effect(s.world, x, predicted(s.world, x, s.now), s.now);
    }
    FAIL("no fixed point");
    return {};
}

void check_waits(const judgement& j, const std::string& words) {
    CHECK(std::none_of(j.steps.begin(), j.steps.end(), [](const auto& x) { return serves(x, "staging"); }));
    const auto* c = find(j, "HerokuBinding/probe", "Delivered");
    REQUIRE(c != nullptr);
    CHECK(c->reason == "OwnAppLast");
    CHECK(c->heft == weight::waiting);
    CHECK(c->is == status::false_);
    CHECK_MESSAGE(c->message.find(words) != std::string::npos, c->message);
}

} // namespace

TEST_CASE("the own app, listed first, is served alone and last, and all ends as without it") {
    auto s = own_first();
    auto j = until_last(s);
    REQUIRE(j.steps.size() == 1);
    CHECK(serves(j.steps[0], "staging"));
    CHECK(s.heroku("prod").fingerprint == s.rec().current->fingerprint);
    CHECK(s.heroku("staging").absent);
    CHECK(s.rec("other").confirmed == s.rec("other").current->fingerprint);
    const auto& notes = s.rec().deliveries;
    CHECK(std::any_of(notes.begin(), notes.end(),
                      [&](const auto& n) { return n.app == "staging" && n.intended == s.rec().current->fingerprint; }));
    auto rest = s.settle();
    CHECK(rest == std::vector<std::string>{"deliver", "confirm"});
    CHECK(reason_at(s.ask(), "ServiceToken/probe", "Ready") == "AsDeclared");
    CHECK(reason_at(s.ask(), "HerokuBinding/probe", "Delivered") == "AsDeclared");
}

TEST_CASE("it is known by its id, too, and another name is nobody's own") {
    auto s = own_first();
    s.how.own_apps = {"01234567-89ab-cdef-0123-456789abcdef", "prod"};
    auto words = s.settle();
    CHECK(words.back() == "confirm");
    auto t = own_first();
    t.how.own_apps = {"stagin", "elsewhere"};
    t.how.imagined = true;
    std::vector<std::string> order;
    for (auto j = t.ask(); !j.steps.empty(); j = t.ask()) {
        for (const auto& x : j.steps) {
            if (const auto* sent = std::get_if<steps::deliver>(&x.what); sent != nullptr && sent->binding == "probe")
                order.push_back(sent->app);
            effect(t.world, x, predicted(t.world, x, t.now), t.now);
        }
    }
    CHECK(order == std::vector<std::string>{"staging", "prod"});
}

TEST_CASE("nothing that is offered or under way stands beside it") {
    auto s = own_first();
    until_last(s);
    SUBCASE("a step is offered") {
        s.world.vaults["infisical"]->folders["/creds"]->values.erase("CF_OTHER");
        auto j = s.ask();
        CHECK(!j.steps.empty());
        check_waits(j, "promote CF_OTHER");
    }
    SUBCASE("a step is under way") {
        auto j = next(s.wanted, s.world, s.how, s.now, {"something"});
        CHECK(j.steps.empty());
        check_waits(j, "steps are under way");
    }
    SUBCASE("a step is tried again later") {
        s.folder().values.erase("CF_OTHER");
        trouble t;
        t.why.kind = postern::error_kind::unavailable;
        t.count = 1;
        t.again = s.now + std::chrono::seconds{10};
        s.world.troubles["key:infisical/creds/CF_OTHER"] = t;
        auto j = s.ask();
        check_waits(j, "ServiceToken/other Retrying");
        CHECK(j.wake == t.again);
    }
    SUBCASE("the world has to be read again") {
        s.world.stale = true;
        check_waits(s.ask(), "the world is read again");
    }
    SUBCASE("much has to be done, of which some is named") {
        for (int i = 0; i < 5; ++i) {
            s.wanted.cloudflare.push_back(s.wanted.cloudflare[0]);
            auto& name = s.wanted.cloudflare.back().name = "apart-" + std::to_string(i);
            s.world.accounts[name].failure = postern::error{postern::error_kind::unavailable, "x", "down", 0, {}, {}};
        }
        check_waits(s.ask(), "; and 2 more");
    }
    SUBCASE("a remote does not answer") {
        s.world.accounts["apart"].failure = postern::error{postern::error_kind::unavailable, "x", "down", 0, {}, {}};
        s.wanted.cloudflare.push_back(s.wanted.cloudflare[0]);
        s.wanted.cloudflare.back().name = "apart";
        check_waits(s.ask(), "CloudflareAccount/apart Unavailable");
    }
    SUBCASE("a new credential is in this process alone") {
        auto& r = s.rec("other");
        intent i;
        i.nonce = "n9";
        i.holder = "me";
        i.started = s.now;
        i.deadline = s.now + std::chrono::seconds{30};
        r.pending = i;
        s.world.minted["n9"] = credential{"n9", "t9", "t9.access", "f9"};
        trouble t;
        t.why.kind = postern::error_kind::refused;
        t.count = 1;
        s.world.troubles["hold:other"] = t;
        check_waits(s.ask(), "a new credential of ServiceToken/other is not kept yet");
    }
    SUBCASE("another delivery is stuck") {
        s.world.heroku["heroku"]->apps["prod"]->values["other"] = app_value{false, "somebody's", ""};
        s.rec("other").deliveries.clear();
        until_last(s);
        check_waits(s.ask(), "HerokuBinding/other ConfigVarTaken");
    }
}

TEST_CASE("what waits for a person, or for this very delivery, does not keep it waiting") {
    SUBCASE("a token without the operator's word") {
        auto s = own_first();
        s.wanted.tokens[1].authorization.clear();
        auto j = until_last(s);
        REQUIRE(j.steps.size() == 1);
        CHECK(serves(j.steps[0], "staging"));
        CHECK(reason_at(j, "ServiceToken/other", "Provisioned") == "AuthorizationMissing");
    }
    SUBCASE("a rotation that waits for its turn") {
        auto s = own_first();
        s.settle();
        s.restart();
        s.how.max_rotations = 1;
        s.now += std::chrono::hours{1};
        s.how.requests["probe"] = rotation_request{s.now, "Requested", {}, "test", false};
        s.now += std::chrono::seconds{1};
        s.how.requests["other"] = rotation_request{s.now, "Requested", {}, "test", false};
        bool queued = false;
        int own = 0;
        s.how.imagined = true;
        for (auto j = s.ask(); !j.steps.empty(); j = s.ask()) {
            for (const auto& x : j.steps) {
                const bool is_own = serves(x, "staging");
                own += is_own ? 1 : 0;
                queued = queued || (is_own && reason_at(j, "ServiceToken/other", "RotationDue") == "Queued");
                effect(s.world, x, predicted(s.world, x, s.now), s.now);
            }
            REQUIRE(own < 3);
        }
        CHECK(own == 1);
        CHECK(queued);
        CHECK(s.rec("other").previous);
        CHECK(s.rec("probe").previous);
    }
}

TEST_CASE("under the brake it is told like everything else") {
    auto s = own_first();
    until_last(s);
    s.how.observe = true;
    auto j = s.ask();
    CHECK(j.steps.empty());
    const auto* c = find(j, "HerokuBinding/probe", "Ready");
    REQUIRE(c != nullptr);
    CHECK(c->reason == "ObservedDrift");
    CHECK(c->message.find("deliver CF_PROBE on app staging") != std::string::npos);
    CHECK(reason_at(j, "HerokuBinding/probe", "Delivered") != "OwnAppLast");
}

TEST_CASE("taken back from the apps, the own one is last, too") {
    scene s;
    s.how.own_apps = {"prod"}; // sorts first
    s.wanted.tokens[0].deletion = deletion_policy::delete_;
    s.settle();
    s.restart();
    s.how.prune = true;
    s.wanted.tokens.clear();
    s.wanted.bindings.clear();
    s.wanted.heroku_bindings.clear();
    for (auto& [name, app] : s.world.heroku["heroku"]->apps) {
        auto value = app->values.at("probe");
        app->values = {{"left/probe/CF_PROBE", value}};
    }
    auto first = s.ask();
    REQUIRE(first.steps.size() == 1);
    CHECK(serves(first.steps[0], "staging"));
    effect(s.world, first.steps[0], predicted(s.world, first.steps[0], s.now), s.now);
    auto second = s.ask();
    REQUIRE(second.steps.size() == 1);
    CHECK(serves(second.steps[0], "prod"));
}

} // namespace own_app_test
