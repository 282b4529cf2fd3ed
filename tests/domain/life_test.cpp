#include "world.hpp"

#include <optional>
#include <set>

namespace life_test {

// What there is of a token where the world shows only part of it.

using namespace postern;
using namespace postern::domain;
using namespace postern::domain::testing;
using std::chrono::hours;
using std::chrono::minutes;

namespace {

template<class T>
void fail(reading<T>& of, error_kind kind, int status) {
    of.seen.reset();
    of.failure = error{kind, "GET", "what it said", status, {}, {}};
}

std::set<std::string> looked_for(const judgement& j) {
    std::set<std::string> ids;
    for (const auto& x : j.steps) {
        const auto* look = std::get_if<steps::look_token>(&x.what);
        ids.insert(look == nullptr ? "(" + word(x) + ")" : look->token_id);
    }
    return ids;
}

} // namespace

TEST_CASE("what cannot be read is told at its document with what the remote said, and nothing is done without it") {
    struct row {
        const char* name;
        void (*bend)(scene&);
        const char* resource;
        const char* reason;
        const char* words;
    };
    const row rows[] = {
        {"the account", [](scene& s) { fail(s.world.accounts["raxx"], error_kind::credential, 403); },
         "CloudflareAccount/raxx", "Refused", "what it said"},
        {"the account, not even tried", [](scene& s) { s.world.accounts.clear(); }, "ServiceToken/probe", "Unreadable",
         "CloudflareAccount raxx could not be read"},
        {"the vault", [](scene& s) { fail(s.world.vaults["infisical"], error_kind::throttled, 429); },
         "InfisicalVault/infisical", "Unavailable", "what it said"},
        {"the vault, not even tried", [](scene& s) { s.world.vaults.clear(); }, "ServiceToken/probe", "Unreadable",
         "InfisicalVault infisical could not be read"},
        {"Postern's folder", [](scene& s) { fail(s.world.vaults["infisical"]->state, error_kind::unavailable, 503); },
         "InfisicalVault/infisical", "Unavailable", "what it said"},
        {"the credential's folder",
         [](scene& s) { fail(s.world.vaults["infisical"]->folders["/creds"], error_kind::unavailable, 503); },
         "ServiceToken/probe", "Unreadable", "folder /creds could not be read: GET: what it said"},
        {"the credential's folder, not even tried", [](scene& s) { s.world.vaults["infisical"]->folders.clear(); },
         "ServiceToken/probe", "Unreadable", "folder /creds could not be read"},
        {"the Heroku account", [](scene& s) { fail(s.world.heroku["heroku"], error_kind::credential, 401); },
         "HerokuAccount/heroku", "Refused", "what it said"},
    };
    for (const auto& r : rows) {
        INFO(r.name);
        for (bool is_new : {true, false}) {
            CAPTURE(is_new);
            scene s;
            if (!is_new)
                s = provisioned();
            r.bend(s);
            const auto j = s.ask();
            CHECK(std::none_of(j.steps.begin(), j.steps.end(), [](const step& x) { return writes(x); }));
            const auto* c = find(j, r.resource, "Ready");
            REQUIRE(c != nullptr);
            CHECK(c->reason == r.reason);
            CHECK_MESSAGE(c->message.find(r.words) != std::string::npos, c->message);
            CHECK(reason_at(j, "ServiceToken/probe", "Ready") != "AsDeclared");
        }
    }
}

TEST_CASE("an empty list within an overlap: both credentials are asked for by their ids before anything is decided") {
    auto s = provisioned();
    s.now += hours{100};
    s.restart();
    s.how.requests["probe"] = {s.now, "Requested", {}, "somebody", false};
    s.settle();
    s.how.requests.clear();
    REQUIRE(s.rec().previous);
    // Another token of the account, so that more than one is missed.
    s.wanted.tokens.push_back(scene::spec("other", "CF_OTHER"));
    s.wanted.bindings[0].tokens.push_back("other");
    s.settle();
    s.restart();
    const auto all = s.account().tokens;
    s.account().tokens.clear();
    auto j = s.ask();
    CHECK(looked_for(j) == std::set<std::string>{s.rec().previous->token_id, s.rec().current->token_id,
                                                 s.rec("other").current->token_id});
    CHECK(reason_at(j, "ServiceToken/probe", "Ready") == "EmptyList");
    for (const auto& x : j.steps) {
        outcome there;
        for (const auto& t : all) {
            if (t.id == std::get<steps::look_token>(x.what).token_id)
                there.token = t;
        }
        effect(s.world, x, there, s.now);
    }
    CHECK(s.ask().steps.empty());
    CHECK(s.account().tokens.size() == all.size());
}

TEST_CASE("a credential that is kept under another key than the record says is kept well enough") {
    auto s = provisioned();
    auto& held = s.state().held.at("probe");
    auto node = held.extract(held.begin());
    node.key() = "n9";
    held.insert(std::move(node));
    s.folder().values.clear(); // so that the record alone tells what is in force
    auto words = s.settle();
    CHECK(std::count(words.begin(), words.end(), "hold") == 0);
    CHECK(s.rec().current->nonce == "n9");
    CHECK(s.folder().values.at("CF_PROBE").fingerprint == s.rec().current->fingerprint);
    CHECK(held.size() == 1);
}

TEST_CASE("a lost record and two credentials that were on their way: the younger comes into force, the other ends") {
    scene s;
    for (bool held = false; !held;) {
        const auto taken = s.ask().steps.at(0);
        held = word(taken) == "hold";
        effect(s.world, taken, predicted(s.world, taken, s.now), s.now);
    }
    const auto first = s.state().held.at("probe").begin()->first;
    for (const auto* nonce : {"a-younger", "z-older"}) {
        auto t = token(nonce, std::string{"probe (pending "} + nonce + ")");
        t.created_at = *s.account().tokens.at(0).created_at + hours{nonce == std::string{"a-younger"} ? 1 : -1};
        s.account().tokens.push_back(t);
        s.state().held["probe"][nonce] = {std::string{"fp-"} + nonce, t.client_id};
    }
    s.state().records.clear();
    s.now += hours{2};
    s.restart();
    s.settle();
    CHECK(s.rec().current->nonce == "a-younger");
    CHECK(s.heroku("prod").fingerprint == "fp-a-younger");
    for (int i = 0; i < 3; ++i) {
        s.now += hours{49};
        s.restart();
        s.settle();
    }
    CHECK(s.account().tokens.size() == 1);
    CHECK(s.state().held.at("probe").size() == 1);
    CHECK(!s.state().held.at("probe").contains(first));
}

TEST_CASE("an application that a binding names twice has one policy") {
    scene s;
    s.wanted.bindings[0].applications.push_back({application_ref::kind::domain, "one.raxx.app"});
    s.settle();
    CHECK(s.application(0).policies.size() == 2);
    CHECK(s.rec().policies.size() == 2);
    CHECK(reason_at(s.ask(), "ServiceToken/probe", "Ready") == "AsDeclared");
}

TEST_CASE("a reusable policy that is used by what nobody listed is not ours to work with") {
    for (int elsewhere : {0, 1}) {
        CAPTURE(elsewhere);
        scene s;
        auto shared = policy("shared", "probe (service token)", decision::non_identity, {of_token("t")}, 2, true);
        shared.users_elsewhere = elsewhere;
        s.application(0).policies.push_back(shared);
        s.settle();
        const auto& policies = s.application(0).policies;
        CHECK(policies.size() == (elsewhere == 0 ? 2U : 3U));
        CHECK((policies.at(1).include == shared.include) == (elsewhere == 1));
        CHECK(reason_at(s.ask(), "ServiceToken/probe", "Ready") == "AsDeclared");
    }
}

TEST_CASE("a variable that moved to a Heroku at another address has left the first") {
    auto s = provisioned();
    auto again = s.wanted.heroku[0];
    again.name = "elsewhere";
    again.api_url = "https://heroku.example";
    s.wanted.heroku.push_back(again);
    s.wanted.heroku_bindings[0].account = "elsewhere";
    s.world.heroku["elsewhere"] = s.world.heroku["heroku"];
    for (auto& [name, app] : s.world.heroku["heroku"]->apps) {
        auto node = app->values.extract("probe");
        node.key() = "left/probe/CF_PROBE";
        app->values.insert(std::move(node));
    }
    for (auto& [name, app] : s.world.heroku["elsewhere"]->apps)
        app->values["probe"] = {};
    s.settle();
    for (const auto* app : {"staging", "prod"})
        CHECK(s.world.heroku["elsewhere"]->apps[app]->values.at("probe").fingerprint == s.rec().current->fingerprint);
    const auto j = s.ask();
    CHECK(reason_at(j, "ServiceToken/probe", "Delivered") == "LeftGit");
    CHECK(find(j, "ServiceToken/probe", "Delivered")->message.find("unset it there") != std::string::npos);
    CHECK(s.rec().deliveries.size() == 4);
}

TEST_CASE("a token that an app holds is not deleted, whatever made it look like nobody's") {
    scene s;
    for (std::string last; last != "bind";) {
        const auto taken = s.ask().steps.at(0);
        last = word(taken);
        effect(s.world, taken, predicted(s.world, taken, s.now), s.now);
    }
    s.account().tokens.push_back(token("late", s.account().tokens.at(0).name));
    s.folder().values["COPY"] = {"fp", "late.access"};
    s.settle();
    CHECK(s.account().tokens.size() == 2);
    const auto j = s.ask();
    const auto* c = find(j, "ServiceToken/probe", "Ready");
    REQUIRE(c != nullptr);
    CHECK(c->reason == "AsDeclared");
}

TEST_CASE("a vault that cannot be read stops its own tokens and nobody else's") {
    auto s = provisioned();
    auto second = s.wanted.vaults[0];
    second.name = "apart";
    s.wanted.vaults.push_back(second);
    fail(s.world.vaults["apart"], error_kind::unavailable, 503);
    auto theirs = scene::spec("theirs", "CF_THEIRS");
    theirs.vault = "apart";
    s.wanted.tokens.push_back(theirs);
    // One that is adopted, in a binding of its own that left a token of ours out.
    s.wanted.tokens.push_back(scene::spec("adopted", "CF_ADOPTED"));
    s.account().tokens.push_back(token("tok-1", "by hand"));
    s.folder().values["CF_ADOPTED"] = {"fp-hand", "tok-1.access"};
    auto apart = s.wanted.bindings[0];
    apart.name = apart.policy_name = "apart";
    apart.tokens = {"adopted"};
    s.wanted.bindings.push_back(apart);
    s.settle();
    CHECK(s.rec("adopted").confirmed == "fp-hand");
    const auto j = s.ask();
    CHECK(reason_at(j, "ServiceToken/probe", "Ready") == "AsDeclared");
    CHECK(reason_at(j, "ServiceToken/adopted", "Ready") == "AsDeclared");
    CHECK(reason_at(j, "ServiceToken/theirs", "Ready") == "Unreadable");
    CHECK(reason_at(j, "InfisicalVault/apart", "Ready") == "Unavailable");
    // Whether a token that left the binding is anybody's still, the other vault's records might say.
    s.wanted.bindings[1].tokens = {"adopted", "theirs"};
    s.application(0).policies.back().include.push_back(of_token("gone"));
    s.rec("adopted").policies.at(0).put.push_back("gone");
    s.account().tokens.push_back(token("gone", "of somebody"));
    s.how.prune = true;
    s.settle();
    CHECK(s.application(0).policies.back().include.size() == 2);
}

TEST_CASE("a release that sets a variable of a pair is waited for, and is ours where it sets both") {
    struct row {
        std::string description;
        std::string status;
        std::string word;
        std::string reason;
    };
    const std::string waits = "await-release";
    for (const auto& r : {row{"Set CF_ID, CF_SECRET config vars", "pending", waits, "ReleasePending"},
                          row{"Set CF_SECRET, CF_ID config vars", "pending", waits, "ReleasePending"},
                          row{"Set CF_ID config vars", "pending", waits, "ReleasePending"},
                          row{"Set CF_ID, OTHER config vars", "pending", waits, "ReleasePending"},
                          row{"Remove CF_ID config vars", "pending", waits, "ReleasePending"},
                          row{"Set CF_IDS config vars", "pending", "deliver", "(none)"},
                          row{"Deploy CF_ID, CF_SECRET", "pending", "deliver", "(none)"},
                          row{"Set CF_ID config vars", "failed", "deliver", "(none)"},
                          row{"Set CF_ID, CF_SECRET config vars", "failed", "", "ReleaseFailed"}}) {
        INFO(r.description, " ", r.status);
        scene s;
        auto& b = s.wanted.heroku_bindings[0];
        b.config_var.clear();
        b.client_id_var = "CF_ID";
        b.client_secret_var = "CF_SECRET";
        std::optional<step> next;
        while (!next) {
            for (const auto& x : s.ask().steps) {
                if (word(x) == "deliver")
                    next = x;
                else
                    effect(s.world, x, predicted(s.world, x, s.now), s.now);
            }
        }
        const auto app = std::get<steps::deliver>(next->what).app;
        s.world.heroku["heroku"]->apps[app]->releases = {{1, r.status, r.description}};
        auto j = s.ask();
        CHECK(reason_at(j, "HerokuBinding/probe", "Delivered") == r.reason);
        CHECK((j.steps.empty() ? "" : word(j.steps[0])) == r.word);
        if (j.steps.empty())
            continue;
        if (r.word == waits) {
            auto o = predicted(s.world, j.steps[0], s.now);
            REQUIRE(o.releases);
            o.releases = {{1, "succeeded", r.description}};
            o.value = app_value{false, s.rec().current->fingerprint, s.rec().current->client_id};
            effect(s.world, j.steps[0], o, s.now);
        }
        s.settle();
        CHECK(s.world.heroku["heroku"]->apps[app]->values.at("probe").fingerprint == s.rec().current->fingerprint);
        CHECK(reason_at(s.ask(), "HerokuBinding/probe", "Delivered") == "AsDeclared");
    }
}

TEST_CASE("groups that contain each other are gone through once, and let a token in only where one of them names it") {
    for (bool named : {false, true}) {
        CAPTURE(named);
        auto s = provisioned();
        const auto old = *s.rec().current;
        for (const auto* id : {"g1", "g2"}) {
            live_group g;
            g.id = g.name = id;
            g.include = {{rule::kind::group, id == std::string{"g1"} ? "g2" : "g1", {}}};
            s.account().groups.push_back(g);
        }
        if (named)
            s.account().groups[1].include.push_back(of_token(old.token_id));
        auto elsewhere = app("app-3", "three.raxx.app");
        elsewhere.policies.push_back(policy("p", "p", decision::non_identity, {{rule::kind::group, "g1", {}}}));
        s.account().applications.push_back(elsewhere);
        s.now += hours{8760 - 700};
        s.restart();
        s.settle();
        CHECK((s.rec().current->token_id == old.token_id) == named);
        CHECK((reason_at(s.ask(), "ServiceToken/probe", "RotationDue") == "ReferencedElsewhere") == named);
    }
}

} // namespace life_test
