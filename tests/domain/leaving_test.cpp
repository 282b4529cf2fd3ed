#include "world.hpp"

namespace leaving_test {

// A document that left git, with deletionPolicy Delete and --prune: what keeps a token from being deleted, in words,
// and what is taken back on the way.

using namespace postern;
using namespace postern::domain;
using namespace postern::domain::testing;

namespace {

// What was delivered is seen under the name of what was left.
void leave_git(scene& s) {
    for (auto& [name, app] : s.world.heroku["heroku"]->apps) {
        for (const auto& b : s.wanted.heroku_bindings) {
            auto node = app->values.extract(b.name);
            node.key() = left_name("probe", b.vars());
            app->values.insert(std::move(node));
        }
    }
    s.wanted.tokens.clear();
    s.wanted.bindings.clear();
    s.wanted.heroku_bindings.clear();
}

scene left() {
    scene s;
    s.wanted.tokens[0].deletion = deletion_policy::delete_;
    s.settle();
    s.restart();
    leave_git(s);
    s.how.prune = true;
    return s;
}

credential ours(scene& s) {
    return *s.rec().current;
}

error answer(int status) {
    return {status == 404 ? error_kind::refused : error_kind::unavailable, "heroku GET", "no", status, {}, {}};
}

const condition& told(const judgement& j) {
    const auto* c = find(j, "ServiceToken/probe", "Ready");
    REQUIRE(c != nullptr);
    return *c;
}

} // namespace

TEST_CASE("each thing that keeps a token of a document that left git from being deleted is named") {
    struct row {
        const char* name;
        void (*bend)(scene&);
        const char* reason;
        const char* words;
        weight heft;
    };
    const row rows[] = {
        {"not asked for", [](scene& s) { s.how.prune = false; }, "LeftGit", "apply --prune deletes it", weight::told},
        {"its account cannot be read", [](scene& s) { s.world.accounts["raxx"].seen.reset(); }, "Unreadable",
         "its account or its folder could not be read", weight::failed},
        {"its folder cannot be read", [](scene& s) { s.world.vaults["infisical"]->folders.erase("/creds"); },
         "Unreadable", "its account or its folder could not be read", weight::failed},
        {"another document claims its key", [](scene& s) { s.wanted.tokens = {scene::spec("other", "CF_PROBE")}; },
         "ClaimedElsewhere", "ServiceToken other now claims CF_PROBE in /creds", weight::blocked},
        {"another document uses its token",
         [](scene& s) {
             s.wanted.tokens = {scene::spec("other", "CF_OTHER")};
             s.folder().values["CF_OTHER"] = s.folder().values.at("CF_PROBE");
         },
         "ClaimedElsewhere", "ServiceToken other now uses its token", weight::blocked},
        {"an app cannot be read",
         [](scene& s) {
             auto& app = s.world.heroku["heroku"]->apps["prod"];
             app.seen.reset();
             app.failure = answer(503);
         },
         "AppUnreadable", "app prod could not be read", weight::failed},
        {"a binding of another token serves its credential",
         [](scene& s) {
             s.world.heroku["heroku"]->apps["prod"]->values["other"] = {false, ours(s).fingerprint, ours(s).client_id};
         },
         "StillHeld", "HerokuBinding other still serves its credential to prod", weight::blocked},
        {"another token left its credential behind",
         [](scene& s) {
             s.world.heroku["heroku"]->apps["prod"]->values["left/another/CF"] = {false, ours(s).fingerprint,
                                                                                  ours(s).client_id};
         },
         "StillHeld", "what ServiceToken another left behind is its credential, on prod", weight::blocked},
        {"an app holds another secret of its token",
         [](scene& s) {
             s.world.heroku["heroku"]->apps["prod"]->values["left/probe/CF_PROBE"] = {false, "fp-rotated",
                                                                                      ours(s).client_id};
         },
         "StillHeld", "app prod holds another secret of its token", weight::blocked},
        {"somebody copied it to another key",
         [](scene& s) {
             s.folder().values["COPY"] = {"fp-copy", ours(s).client_id};
         },
         "StillHeld", "a vault key or an app of another document holds its credential", weight::blocked},
        {"a reusable policy admits it alone", [](scene& s) { s.application(1).policies.at(1).reusable = true; },
         "StillHeld", "reusable policy \"probe (service token)\" admits nobody but this token: detach and delete it",
         weight::blocked},
        {"a group names it",
         [](scene& s) {
             live_group g;
             g.id = "g";
             g.name = "machines";
             g.include = {of_token(ours(s).token_id)};
             s.account().groups.push_back(g);
         },
         "StillReferenced", "group \"machines\" names it", weight::blocked},
    };
    for (const auto& r : rows) {
        INFO(r.name);
        auto s = left();
        const auto id = ours(s).token_id;
        r.bend(s);
        // All that may be done is done, and the token is none of it.
        for (int i = 0; i < 100; ++i) {
            auto j = s.ask();
            std::erase_if(j.steps, [](const step& x) { return x.resource != "ServiceToken/probe"; });
            if (j.steps.empty())
                break;
            effect(s.world, j.steps[0], predicted(s.world, j.steps[0], s.now), s.now);
        }
        const auto j = s.ask();
        CHECK(told(j).reason == r.reason);
        CHECK(told(j).heft == r.heft);
        CHECK_MESSAGE(told(j).message.find(r.words) != std::string::npos, told(j).message);
        CHECK(s.state().records.contains("probe"));
        if (s.world.accounts["raxx"])
            CHECK(std::any_of(s.account().tokens.begin(), s.account().tokens.end(),
                              [&](const auto& t) { return t.id == id; }));
    }
}

TEST_CASE("what keeps nobody from it: an app that is gone, a variable that is unset, others in its policy") {
    auto s = left();
    SUBCASE("an app that is gone") {
        auto& app = s.world.heroku["heroku"]->apps["prod"];
        app.seen.reset();
        app.failure = answer(404);
    }
    SUBCASE("a variable that nobody sees any more") {
        s.world.heroku["heroku"]->apps["prod"]->values.clear();
    }
    SUBCASE("a policy that others work with: it stays theirs") {
        s.application(1).policies.at(1).include.push_back(of_token("stranger"));
        s.settle();
        REQUIRE(s.application(1).policies.size() == 2);
        CHECK(s.application(1).policies.at(1).include == std::vector<rule>{of_token("stranger")});
    }
    SUBCASE("nothing was held under a write-once key any more") {
        s.state().held.clear();
    }
    s.settle();
    CHECK(s.account().tokens.empty());
    CHECK(s.state().records.empty());
    CHECK(!s.folder().values.contains("CF_PROBE"));
}

TEST_CASE("two variables of one app are taken back together") {
    scene s;
    s.wanted.tokens[0].deletion = deletion_policy::delete_;
    auto& b = s.wanted.heroku_bindings[0];
    b.config_var.clear();
    b.client_id_var = "CF_ID";
    b.client_secret_var = "CF_SECRET";
    s.settle();
    s.restart();
    const auto fingerprint = s.rec().current->fingerprint;
    leave_git(s);
    s.how.prune = true;
    auto j = s.ask();
    REQUIRE(j.steps.size() == 1);
    CHECK(word(j.steps[0]) == "withdraw");
    CHECK(kind_of(j.steps[0]) == change::delete_);
    const auto& sent = std::get<steps::deliver>(j.steps[0].what);
    CHECK(sent.config_var.empty());
    CHECK(sent.client_id_var == "CF_ID");
    CHECK(sent.client_secret_var == "CF_SECRET");
    CHECK(sent.fingerprint.empty());
    CHECK(sent.before == fingerprint);
    s.settle();
    CHECK(s.account().tokens.empty());
}

TEST_CASE("a document of another name that took the token over is named, and the old record goes when that is asked") {
    auto s = left();
    s.wanted.tokens = {scene::spec("renamed", "CF_PROBE")};
    access_binding b;
    b.name = "probe";
    b.account = "raxx";
    b.tokens = {"renamed"};
    b.policy_name = "probe (service token)";
    b.applications = {{application_ref::kind::id, "app-1"}};
    s.wanted.bindings = {b};
    s.how.prune = false;
    s.settle();
    REQUIRE(s.rec("renamed").confirmed == s.rec("renamed").current->fingerprint);
    const auto j = s.ask();
    CHECK(told(j).reason == "LeftGit");
    CHECK(told(j).heft == weight::told);
    CHECK(told(j).message == "its token is kept for ServiceToken renamed now");
    s.how.prune = true;
    s.settle();
    CHECK(!s.state().records.contains("probe"));
    CHECK(s.account().tokens.size() == 1);
}

} // namespace leaving_test
