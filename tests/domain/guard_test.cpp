#include "domain/reason.hpp"
#include "world.hpp"

#include <set>

namespace guard_test {

// What must not happen, whatever the world looks like: a living credential cut off, something of somebody else's
// overwritten or deleted, a decision on half of what there is. Each of these did happen once.

using namespace postern;
using namespace postern::domain;
using namespace postern::domain::testing;
using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

namespace {

// Two tokens in one binding.
scene pair() {
    scene s;
    s.wanted.tokens.push_back(scene::spec("other", "CF_OTHER"));
    s.wanted.bindings[0].tokens.push_back("other");
    s.settle();
    s.restart();
    REQUIRE(s.ask().steps.empty());
    return s;
}

// A new scene, up to and with the first step of that word; then another process, a minute later.
scene stopped_after(const std::string& last) {
    scene s;
    for (int i = 0; i < 100; ++i) {
        auto j = s.ask();
        REQUIRE(!j.steps.empty());
        const auto st = j.steps.front();
        effect(s.world, st, predicted(s.world, st, s.now), s.now);
        if (word(st) == last)
            break;
    }
    s.now += minutes{1};
    s.restart();
    return s;
}

std::set<std::string> words(const judgement& j) {
    std::set<std::string> out;
    for (const auto& st : j.steps)
        out.insert(word(st));
    return out;
}

// The document leaves git, with everything that names it.
void leave_git(scene& s) {
    for (auto& [name, app] : s.world.heroku["heroku"]->apps) {
        app->values["left/probe/CF_PROBE"] = app->values.at("probe");
        app->values.erase("probe");
    }
    std::erase_if(s.wanted.tokens, [](const auto& t) { return t.name == "probe"; });
    std::erase(s.wanted.bindings[0].tokens, "probe");
    if (s.wanted.bindings[0].tokens.empty())
        s.wanted.bindings.clear();
    s.wanted.heroku_bindings.clear();
    s.how.prune = true;
}

error answer(int status) {
    return {status == 403 ? error_kind::refused : error_kind::unavailable, "GET", "no", status, {}, {}};
}

} // namespace

TEST_CASE("--prune takes no living token out of its policy because a pass saw half of the world") {
    auto s = pair();
    s.how.prune = true;
    SUBCASE("a list leaves it out") {
        auto id = s.rec().current->token_id;
        std::erase_if(s.account().tokens, [&](const auto& t) { return t.id == id; });
        CHECK(words(s.ask()) == std::set<std::string>{"look"});
    }
    SUBCASE("its folder cannot be read") {
        auto& folder = s.world.vaults["infisical"]->folders["/creds"];
        folder.seen.reset();
        folder.failure = answer(503);
        CHECK(words(s.ask()).empty());
    }
    SUBCASE("its record cannot be read") {
        s.state().records.erase("probe");
        s.state().unreadable["probe"] = "a newer version";
        CHECK(words(s.ask()).empty());
    }
}

TEST_CASE("--prune leaves a token that left git to its deletionPolicy, consumers first") {
    auto s = pair();
    SUBCASE("Retain") {
        leave_git(s);
        CHECK(words(s.ask()).empty());
    }
    SUBCASE("Delete") {
        s.rec().deletion = deletion_policy::delete_;
        leave_git(s);
        CHECK(words(s.ask()) == std::set<std::string>{"withdraw"});
        s.settle();
        CHECK(s.account().tokens.size() == 1);
    }
    SUBCASE("Delete, of another source") {
        s.rec().deletion = deletion_policy::delete_;
        leave_git(s);
        s.wanted.source = "another repository";
        auto taken = words(s.ask());
        CHECK(!taken.contains("unbind"));
        CHECK(!taken.contains("withdraw"));
    }
}

TEST_CASE("a document that leaves git takes all that was made for it, and nothing that somebody holds") {
    SUBCASE("a credential that was on its way goes too") {
        auto s = stopped_after("hold");
        s.rec().deletion = deletion_policy::delete_;
        leave_git(s);
        s.settle();
        CHECK(s.account().tokens.empty());
        CHECK(s.state().records.empty());
        CHECK(s.state().held["probe"].empty());
    }
    SUBCASE("a twin of its policy that a late request made goes too") {
        auto s = provisioned();
        s.rec().deletion = deletion_policy::delete_;
        auto& policies = s.application(0).policies;
        auto twin = policies.back();
        REQUIRE(twin.name == "probe (service token)");
        twin.id = "twin";
        policies.push_back(twin);
        leave_git(s);
        s.settle();
        CHECK(s.account().tokens.empty());
        CHECK(s.application(0).policies.size() == 1);
        CHECK(s.state().records.empty());
    }
    SUBCASE("a policy that is not ours and names its token is named, not touched") {
        auto s = provisioned();
        s.rec().deletion = deletion_policy::delete_;
        const auto id = s.account().tokens.at(0).id;
        s.application(0).policies.front().include.push_back(of_token(id));
        leave_git(s);
        s.settle();
        CHECK(s.account().tokens.size() == 1);
        CHECK(s.application(0).policies.size() == 1);
        CHECK(reason_at(s.ask(), "ServiceToken/probe", "Ready") == "StillReferenced");
    }
    SUBCASE("an intent that another process may still act on is waited for") {
        auto s = provisioned();
        s.rec().deletion = deletion_policy::delete_;
        s.rec().pending = intent{"n7", "Expiring", "another", s.now, s.now + seconds{30}};
        leave_git(s);
        auto j = s.ask();
        CHECK(j.steps.empty());
        CHECK(j.wake == s.now + seconds{30});
    }
    SUBCASE("a list that leaves the token out proves nothing") {
        auto s = provisioned();
        s.rec().deletion = deletion_policy::delete_;
        leave_git(s);
        s.account().tokens.clear();
        bool looked = false;
        for (int i = 0; i < 50; ++i) {
            auto j = s.ask();
            if (j.steps.empty())
                break;
            for (const auto& st : j.steps) {
                looked = looked || word(st) == "look";
                CHECK_MESSAGE((word(st) != "delete-key" || looked || st.target.starts_with("CF_PROBE")), st.target);
                effect(s.world, st, predicted(s.world, st, s.now), s.now);
            }
        }
        CHECK(looked);
    }
    SUBCASE("another secret of the token, at an app") {
        auto s = provisioned();
        s.rec().deletion = deletion_policy::delete_;
        s.heroku("prod") = {false, "fp-by-hand", s.rec().current->client_id};
        leave_git(s);
        s.settle();
        CHECK(s.account().tokens.size() == 1);
    }
}

TEST_CASE("only what we made, nobody holds and is refused for a day is thrown away") {
    SUBCASE("an operator's token is not") {
        auto s = provisioned();
        s.account().tokens.push_back(token("fix", "an operator's"));
        s.heroku("prod") = {false, "fp-fix", "fix.access"};
        s.state().held["probe"]["n9"] = {"fp-fix", "fix.access"};
        s.rec().pending = intent{"n9", std::string{reason::emergency_fix}, "dead", s.now, s.now + seconds{30}};
        s.now += hours{25};
        s.restart();
        s.settle();
        CHECK(s.account().tokens.size() == 2);
    }
    SUBCASE("the token in force is not") {
        auto s = provisioned();
        auto c = *s.rec().current;
        s.heroku("prod") = {false, "fp-rotated", c.client_id};
        s.state().held["probe"]["n9"] = {"fp-rotated", c.client_id};
        s.rec().pending = intent{"n9", std::string{reason::emergency_fix}, "dead", s.now, s.now + seconds{30}};
        s.now += hours{25};
        s.restart();
        s.settle();
        CHECK(s.account().tokens.size() == 1);
    }
    SUBCASE("one that passes and cannot be promoted is not") {
        auto s = stopped_after("hold");
        auto& app = s.world.heroku["heroku"]->apps["prod"];
        app.seen.reset();
        app.failure = answer(403);
        s.settle();
        s.now += hours{25};
        s.world.seen_at = s.now;
        CHECK(words(s.ask()).empty());
        CHECK(s.account().tokens.size() == 1);
    }
    SUBCASE("people's policies are not edited for it") {
        auto s = stopped_after("hold");
        auto id = s.account().tokens[0].id;
        s.application(0).policies[0].include.push_back(of_token(id));
        s.application(1).policies.push_back(policy("block", "block", decision::deny, {of_token(id)}, 5));
        for (int day = 0; day < 3; ++day) {
            for (int i = 0; i < 60; ++i) {
                auto j = s.ask();
                if (j.steps.empty())
                    break;
                for (const auto& st : j.steps) {
                    auto o = predicted(s.world, st, s.now);
                    if (o.proved)
                        o.proved->last = verdict::login_redirect;
                    if (o.proved)
                        o.proved->again = s.now + hours{1};
                    effect(s.world, st, o, s.now);
                }
            }
            s.now += hours{25};
            s.restart();
        }
        CHECK(s.application(0).policies[0].include.size() == 2);
        CHECK(s.application(1).policies[1].id == "block");
    }
    SUBCASE("and not more than one a day") {
        scene s;
        int mints = 0;
        for (int day = 0; day < 4; ++day) {
            for (int i = 0; i < 200; ++i) {
                auto j = s.ask();
                if (j.refresh) {
                    s.now += seconds{31};
                    s.world.seen_at = s.now;
                    continue;
                }
                if (j.steps.empty())
                    break;
                for (const auto& st : j.steps) {
                    auto o = predicted(s.world, st, s.now);
                    if (o.proved)
                        o.proved->last = verdict::login_redirect;
                    if (o.proved)
                        o.proved->again = s.now + hours{1};
                    mints += word(st) == "mint" ? 1 : 0;
                    effect(s.world, st, o, s.now);
                }
            }
            s.now += hours{25};
            s.restart();
        }
        CHECK(mints <= 4);
        CHECK(s.account().tokens.size() <= 1);
        CHECK(s.state().held["probe"].size() <= 1);
    }
}

TEST_CASE("a token whose write-once key cannot be read is not taken for a lost reply") {
    auto s = stopped_after("promote");
    REQUIRE(s.folder().values.contains("CF_PROBE"));
    for (auto& [nonce, value] : s.state().held["probe"])
        value = {"", "", true, false};
    auto j = s.ask();
    CHECK(!words(j).contains("delete-token"));
    CHECK(s.account().tokens.size() == 1);
}

TEST_CASE("a value in the vault that is not ours is not overwritten") {
    SUBCASE("the document names another key") {
        auto s = provisioned();
        s.wanted.tokens[0].key = "CLOUDFLARE_ACCESS_MGMT_TOKEN";
        s.folder().values["CLOUDFLARE_ACCESS_MGMT_TOKEN"] = {"fp-of-root", ""};
        s.settle();
        CHECK(s.folder().values["CLOUDFLARE_ACCESS_MGMT_TOKEN"].fingerprint == "fp-of-root");
        CHECK(reason_at(s.ask(), "ServiceToken/probe", "Provisioned") == "KeyTaken");
    }
    SUBCASE("the credential is adopted from an app") {
        scene s;
        s.wanted.tokens[0].authorization = "";
        s.account().tokens = {token("tok-1", "by hand")};
        s.heroku("prod") = s.heroku("staging") = {false, "fp-hand", "tok-1.access"};
        s.folder().values["CF_PROBE"] = {"somebody's", ""};
        s.settle();
        CHECK(s.folder().values["CF_PROBE"].fingerprint == "somebody's");
    }
    SUBCASE("it came while a credential was on its way") {
        auto s = stopped_after("hold");
        s.folder().values["CF_PROBE"] = {"somebody's", ""};
        s.settle();
        CHECK(s.folder().values["CF_PROBE"].fingerprint == "somebody's");
        CHECK(reason_at(s.ask(), "ServiceToken/probe", "Provisioned") == "KeyTaken");
    }
    SUBCASE("the binding names another config var") {
        auto s = provisioned();
        s.wanted.heroku_bindings[0].config_var = "SOMETHING_ELSE";
        s.heroku("staging") = s.heroku("prod") = {false, "somebody's", ""};
        s.settle();
        CHECK(s.heroku("staging").fingerprint == "somebody's");
        CHECK(reason_at(s.ask(), "HerokuBinding/probe", "Delivered") == "ConfigVarTaken");
    }
}

TEST_CASE("an emergency fix that was taken back leaves nothing behind") {
    auto s = provisioned();
    s.rec().pending = intent{"n9", std::string{reason::emergency_fix}, "dead", s.now - hours{1}, s.now - minutes{59}};
    s.heroku("prod") = {};
    s.folder().values.clear();
    s.settle();
    CHECK(!s.rec().pending);
    CHECK(s.heroku("prod").fingerprint == s.rec().current->fingerprint);
    CHECK(s.folder().values.at("CF_PROBE").fingerprint == s.rec().current->fingerprint);
}

TEST_CASE("our token was deleted and somebody's own stands in the vault: it is taken over, not replaced") {
    auto s = provisioned();
    s.account().tokens = {token("fix", "an operator's")};
    s.folder().values["CF_PROBE"] = {"fp-fix", "fix.access"};
    s.settle();
    CHECK(s.rec().current->token_id == "fix");
    CHECK(s.folder().values["CF_PROBE"].fingerprint == "fp-fix");
    CHECK(s.heroku("prod").fingerprint == "fp-fix");
}

TEST_CASE("two bindings that work with one policy agree on it") {
    scene s;
    s.wanted.tokens.push_back(scene::spec("y", "CF_Y"));
    s.wanted.bindings[0].tokens = {"probe", "y"};
    s.wanted.bindings[0].applications.pop_back();
    auto second = s.wanted.bindings[0];
    second.name = second.policy_name = "second";
    s.wanted.bindings.push_back(second);
    s.settle();
    s.restart();
    s.wanted.bindings[0].tokens = {"probe"};
    s.how.prune = true;
    s.settle();
    CHECK(s.ask().steps.empty());
}

TEST_CASE("a write-once key that was overwritten is kept anew, once") {
    auto s = provisioned();
    s.state().held["probe"].begin()->second.fingerprint = "fp-corrupt";
    auto taken = s.settle();
    CHECK(std::count(taken.begin(), taken.end(), "hold") == 1);
    s.restart();
    CHECK(s.ask().steps.empty());
}

TEST_CASE("an account without tokens is not confused with another's") {
    auto s = pair();
    auto second = s.wanted.cloudflare[0];
    second.name = "second";
    s.wanted.cloudflare.push_back(second);
    account_view view;
    view.id = "b";
    view.applications = {app("app-9", "nine.raxx.app")};
    s.world.accounts["second"].seen = view;
    auto third = scene::spec("third", "CF_THIRD");
    third.account = "second";
    s.wanted.tokens.push_back(third);
    access_binding b;
    b.name = b.policy_name = "third";
    b.account = "second";
    b.tokens = {"third"};
    b.applications = {{application_ref::kind::id, "app-9"}};
    s.wanted.bindings.push_back(b);
    s.settle();
    CHECK(s.world.accounts["second"]->tokens.size() == 1);
}

TEST_CASE("nothing is minted for a policy that may not be written") {
    scene s;
    s.wanted.tokens.push_back(scene::spec("other", "CF_OTHER"));
    s.wanted.tokens[1].enforcement = mode::observe;
    s.wanted.bindings[0].tokens.push_back("other");
    CHECK(s.settle().empty());
    CHECK(find(s.ask(), "ServiceToken/probe", "Provisioned")->heft == weight::blocked);
}

TEST_CASE("a document of another name takes over what the old one kept") {
    auto s = provisioned();
    auto id = s.rec().current->token_id;
    s.wanted.tokens[0].name = "probe2";
    s.wanted.bindings[0].tokens = {"probe2"};
    s.wanted.heroku_bindings[0].token = "probe2";
    s.how.prune = true;
    s.settle();
    CHECK(s.rec("probe2").current->token_id == id);
    CHECK(!s.state().records.contains("probe"));
    CHECK(s.account().tokens.size() == 1);
    CHECK(s.folder().values.at("CF_PROBE").fingerprint == s.rec("probe2").current->fingerprint);
}

TEST_CASE("the guard counts policies that would go") {
    scene s;
    s.wanted.tokens.clear();
    s.wanted.bindings.clear();
    s.wanted.heroku_bindings.clear();
    for (int i = 0; i < 12; ++i) {
        auto name = "t" + std::to_string(i);
        s.wanted.tokens.push_back(scene::spec(name, "K" + std::to_string(i)));
        access_binding b;
        b.name = b.policy_name = name;
        b.account = "raxx";
        b.tokens = {name};
        b.applications = {{application_ref::kind::id, "app-1"}};
        s.wanted.bindings.push_back(b);
    }
    s.settle(600);
    s.restart();
    s.wanted.bindings.clear();
    s.how.prune = true;
    CHECK(s.settle().empty());
    CHECK(reason_at(s.ask(), "ServiceToken/t0", "Ready") == "MassChange");
}

TEST_CASE("an application that a list leaves out does not make us forget what we put there") {
    auto s = provisioned();
    s.wanted.bindings[0].applications.pop_back();
    auto apps = s.account().applications;
    s.account().applications.pop_back();
    s.settle();
    s.account().applications = apps;
    s.restart();
    s.how.prune = true;
    CHECK(words(s.ask()).contains("delete-policy"));
}

TEST_CASE("what is not as declared is not called so") {
    SUBCASE("its policy denies now") {
        auto s = provisioned();
        s.application(0).policies.at(1).decides = decision::deny;
        CHECK(reason_at(s.ask(), "ServiceToken/probe", "Ready") != "AsDeclared");
    }
    SUBCASE("its policy excludes it now") {
        auto s = provisioned();
        s.application(0).policies.at(1).exclude = {of_token(s.rec().current->token_id)};
        CHECK(reason_at(s.ask(), "AccessBinding/probe", "Bound") == "PolicyChanged");
    }
    SUBCASE("two documents for one token") {
        scene s;
        s.wanted.tokens.push_back(scene::spec("other", "CF_OTHER"));
        s.wanted.bindings[0].tokens.push_back("other");
        s.wanted.heroku_bindings.clear();
        s.account().tokens = {token("tok-1", "by hand")};
        s.folder().values["CF_PROBE"] = s.folder().values["CF_OTHER"] = {"fp", "tok-1.access"};
        s.settle();
        CHECK(reason_at(s.ask(), "ServiceToken/other", "Provisioned") == "ClaimedElsewhere");
        CHECK(s.state().records.size() == 1);
    }
    SUBCASE("what consumers hold is disabled") {
        scene s;
        s.account().tokens = {token("tok-1", "by hand")};
        s.account().tokens[0].enabled = false;
        s.folder().values["CF_PROBE"] = {"fp", "tok-1.access"};
        s.settle();
        CHECK(reason_at(s.ask(), "ServiceToken/probe", "Provisioned") == "Disabled");
    }
}

TEST_CASE("what cannot be unbound without emptying a shared policy is told") {
    auto s = provisioned();
    s.application(1).policies.at(1).reusable = true;
    s.wanted.bindings[0].applications.pop_back();
    s.how.prune = true;
    CHECK(words(s.ask()).empty());
    CHECK(reason_at(s.ask(), "ServiceToken/probe", "Bound") == "StillHeld");
}

namespace {

// What a reading of the world shows where the variable of the binding was renamed: the old one under its left name.
void rename_variable(scene& s, const std::string& to) {
    for (auto& [name, app] : s.world.heroku["heroku"]->apps) {
        app->values["left/probe/CF_PROBE"] = app->values.at("probe");
        app->values["probe"] = {};
    }
    s.wanted.heroku_bindings[0].config_var = to;
}

app_value& left(scene& s, const std::string& app) {
    return s.world.heroku["heroku"]->apps[app]->values["left/probe/CF_PROBE"];
}

// Another credential, up to confirm.
void rotate(scene& s) {
    s.now += hours{1};
    s.how.requests["probe"] = {s.now, std::string{reason::requested}, {}, "somebody", false};
    s.settle();
    s.how.requests.clear();
    s.restart();
    REQUIRE(s.rec().previous);
    REQUIRE(s.rec().previous_until);
}

} // namespace

TEST_CASE("two bindings may deliver one token to two variables of one app") {
    scene s;
    auto second = s.wanted.heroku_bindings[0];
    second.name = "probe-pair";
    second.config_var.clear();
    second.client_id_var = "CF_ID";
    second.client_secret_var = "CF_SECRET";
    s.wanted.heroku_bindings.push_back(second);
    for (auto& [name, app] : s.world.heroku["heroku"]->apps)
        app->values["probe-pair"] = {};
    s.settle();
    s.restart();
    REQUIRE(s.ask().steps.empty());
    CHECK(s.rec().deliveries.size() == 4);
    auto& pair = s.world.heroku["heroku"]->apps["prod"]->values.at("probe-pair");
    CHECK(pair.fingerprint == s.rec().current->fingerprint);
    SUBCASE("drift of either is repaired") {
        for (auto* value : {&s.heroku("prod"), &pair}) {
            *value = app_value{false, "somebody's", ""};
            s.settle();
            CHECK(value->fingerprint == s.rec().current->fingerprint);
        }
    }
    SUBCASE("a rotation reaches both") {
        const auto old = s.rec().current->fingerprint;
        rotate(s);
        CHECK(s.rec().current->fingerprint != old);
        CHECK(s.heroku("prod").fingerprint == s.rec().current->fingerprint);
        CHECK(pair.fingerprint == s.rec().current->fingerprint);
    }
    CHECK(reason_at(s.ask(), "HerokuBinding/probe-pair", "Delivered") == "AsDeclared");
    CHECK(s.rec().deliveries.size() == 4);
}

TEST_CASE("a variable that no binding names any more is told, and its credential is cut off by nobody") {
    auto s = provisioned();
    rename_variable(s, "CF_NEW");
    s.settle();
    CHECK(s.heroku("prod").fingerprint == s.rec().current->fingerprint);
    CHECK(left(s, "prod").fingerprint == s.rec().current->fingerprint);
    auto j = s.ask();
    const auto* told = find(j, "ServiceToken/probe", "Delivered");
    REQUIRE(told != nullptr);
    CHECK(told->reason == "LeftGit");
    CHECK(told->message.find("CF_PROBE on app prod") != std::string::npos);

    rotate(s);
    const auto old = *s.rec().previous;
    REQUIRE(left(s, "prod").fingerprint == old.fingerprint);
    s.now = *s.rec().previous_until + minutes{1};
    SUBCASE("while it holds the old one, that one goes on working, and it is said who has it") {
        for (int i = 0; i < 5; ++i) {
            const auto was = *s.rec().previous_until;
            s.restart();
            j = s.ask();
            const auto* lags = find(j, "ServiceToken/probe", "RotationDue");
            REQUIRE(lags != nullptr);
            CHECK(lags->reason == "ConsumerLags");
            CHECK(lags->message.find("CF_PROBE on app prod") != std::string::npos);
            s.settle();
            CHECK(*s.rec().previous_until > was);
            CHECK(s.account().tokens.size() == 2);
            s.now = *s.rec().previous_until + minutes{1};
        }
    }
    SUBCASE("while its app cannot be read, nobody knows") {
        for (const auto& app : {"staging", "prod"})
            left(s, app) = {};
        s.restart();
        s.world.heroku["heroku"]->apps["gone"].failure = answer(503);
        s.rec().deliveries.insert(s.rec().deliveries.begin(), {"heroku", "gone", {"CF_PROBE"}, 0, {}, old.fingerprint});
        s.settle();
        CHECK(s.account().tokens.size() == 2);
        // One that may not be read any more, or that is gone, keeps nobody waiting.
        for (int status : {403, 404}) {
            auto later = s;
            auto& failure = later.world.heroku["heroku"]->apps["gone"].failure;
            failure = answer(status);
            failure->kind = error_kind::refused;
            later.now = *later.rec().previous_until + minutes{1};
            later.restart();
            later.settle();
            CHECK(later.account().tokens.size() == 1);
            CHECK(later.rec().deliveries.size() == (status == 404 ? 2 : 3));
        }
    }
    SUBCASE("once it is unset, it is forgotten, and the old one retires") {
        CHECK(s.rec().deliveries.size() == 4);
        for (const auto& app : {"staging", "prod"})
            left(s, app) = {};
        s.restart();
        s.settle();
        CHECK(s.account().tokens.size() == 1);
        CHECK(s.rec().deliveries.size() == 2);
        CHECK(reason_at(s.ask(), "ServiceToken/probe", "Delivered") == "(none)");
    }
}

TEST_CASE("where a HerokuAccount left git, what a person has to do is told, and it ends with that") {
    auto s = provisioned();
    const auto account = s.wanted.heroku.at(0);
    const auto reading = s.world.heroku;
    SUBCASE("of a token that stays") {
        s.wanted.heroku.clear();
        s.wanted.heroku_bindings.clear();
        s.world.heroku.clear();
        s.settle();
        auto j = s.ask();
        const auto* told = find(j, "ServiceToken/probe", "Delivered");
        REQUIRE(told != nullptr);
        CHECK(told->reason == "LeftGit");
        CHECK(told->message.find("HerokuAccount heroku left git") != std::string::npos);
        CHECK(told->message.find("Put that document back") != std::string::npos);
        CHECK(s.rec().deliveries.size() == 2);
        // Back again, and unset there.
        s.wanted.heroku = {account};
        s.world.heroku = reading;
        for (auto& [name, app] : s.world.heroku.at("heroku")->apps) {
            app->values.clear();
            app->values["left/probe/CF_PROBE"] = {};
        }
        s.restart();
        s.settle();
        CHECK(s.rec().deliveries.empty());
        s.wanted.heroku.clear();
        s.world.heroku.clear();
        CHECK(reason_at(s.ask(), "ServiceToken/probe", "Delivered") == "(none)");
    }
    SUBCASE("of one that is to be deleted: nothing is, as long as an app may hold it") {
        s.rec().deletion = deletion_policy::delete_;
        s.how.prune = true;
        s.wanted.tokens.clear();
        s.wanted.bindings.clear();
        s.wanted.heroku.clear();
        s.wanted.heroku_bindings.clear();
        s.world.heroku.clear();
        auto j = s.ask();
        CHECK(j.steps.empty());
        const auto* told = find(j, "ServiceToken/probe", "Ready");
        REQUIRE(told != nullptr);
        CHECK(told->heft == weight::blocked);
        CHECK(told->message.find("HerokuAccount heroku left git") != std::string::npos);
        CHECK(told->message.find("Put that document back") != std::string::npos);
    }
}

TEST_CASE("a variable that no binding names any more is unset by nobody, with --prune and Delete neither") {
    auto s = provisioned();
    s.wanted.tokens[0].deletion = deletion_policy::delete_;
    s.how.prune = true;
    s.settle();
    rename_variable(s, "CF_NEW");
    auto taken = s.settle();
    CHECK(std::count(taken.begin(), taken.end(), "withdraw") == 0);
    CHECK(!left(s, "prod").absent);
    SUBCASE("where another token's binding asks for it, that is said") {
        s.wanted.tokens.push_back(scene::spec("other", "CF_OTHER"));
        s.wanted.bindings[0].tokens.push_back("other");
        auto taker = s.wanted.heroku_bindings[0];
        taker.name = "other";
        taker.token = "other";
        taker.config_var = "CF_PROBE";
        s.wanted.heroku_bindings.push_back(taker);
        for (auto& [name, app] : s.world.heroku["heroku"]->apps)
            app->values["other"] = app->values.at("left/probe/CF_PROBE");
        const auto j = s.ask();
        const auto* told = find(j, "ServiceToken/probe", "Delivered");
        REQUIRE(told != nullptr);
        CHECK(told->message.find("HerokuBinding other asks for that now") != std::string::npos);
        CHECK(reason_at(j, "ServiceToken/other", "Provisioned") == "ClaimedElsewhere");
    }
    SUBCASE("it goes with the document") {
        s.wanted.tokens.clear();
        s.wanted.bindings.clear();
        s.wanted.heroku_bindings.clear();
        for (auto& [name, app] : s.world.heroku["heroku"]->apps) {
            app->values["left/probe/CF_NEW"] = app->values.at("probe");
            app->values.erase("probe");
        }
        s.settle();
        CHECK(s.account().tokens.empty());
        CHECK(s.state().records.empty());
        for (auto& [name, app] : s.world.heroku["heroku"]->apps) {
            CHECK(app->values.at("left/probe/CF_NEW").absent);
            CHECK(app->values.at("left/probe/CF_PROBE").absent);
        }
    }
}

TEST_CASE("the same variable through another HerokuAccount has not left") {
    auto s = provisioned();
    auto again = s.wanted.heroku[0];
    again.name = "renamed";
    s.wanted.heroku.push_back(again);
    s.wanted.heroku_bindings[0].account = "renamed";
    s.world.heroku["renamed"] = s.world.heroku["heroku"];
    for (auto& [name, app] : s.world.heroku["heroku"]->apps) {
        app->values["left/probe/CF_PROBE"] = app->values.at("probe");
        app->values.erase("probe");
    }
    s.settle();
    CHECK(reason_at(s.ask(), "ServiceToken/probe", "Delivered") == "(none)");
    REQUIRE(s.rec().deliveries.size() == 2);
    for (const auto& note : s.rec().deliveries)
        CHECK(note.account == "renamed");
}

TEST_CASE("half of a pair that was left is not forgotten") {
    auto s = provisioned();
    s.rec().deliveries.push_back({"heroku", "staging", {"ID", "SECRET"}, 0, {}, s.rec().current->fingerprint});
    auto& half = s.world.heroku["heroku"]->apps["staging"]->values["left/probe/ID,SECRET"];
    half = app_value{false, "half", ""};
    s.settle();
    CHECK(s.rec().deliveries.size() == 3);
    half = {};
    s.settle();
    CHECK(s.rec().deliveries.size() == 2);
}

TEST_CASE("a compromised credential does not live on because of a variable that was left") {
    auto s = provisioned();
    rename_variable(s, "CF_NEW");
    s.settle();
    const auto old = s.rec().current->token_id;
    s.now += hours{1};
    s.how.requests["probe"] = {s.now, std::string{reason::compromised}, {}, "somebody", false};
    s.settle();
    CHECK(s.rec().current->token_id != old);
    CHECK(s.account().tokens.size() == 1);
    CHECK(!left(s, "prod").absent);
}

TEST_CASE("in place, Cloudflare is not told to end a secret that a variable which was left still holds") {
    auto s = provisioned();
    s.wanted.tokens[0].how = strategy::in_place;
    rename_variable(s, "CF_NEW");
    s.settle();
    s.now += hours{1};
    s.how.requests["probe"] = {s.now, std::string{reason::requested}, {}, "somebody", false};
    auto taken = s.settle();
    s.how.requests.clear();
    REQUIRE(s.rec().previous);
    CHECK(std::count(taken.begin(), taken.end(), "cut-off") == 0);
    for (const auto& app : {"staging", "prod"})
        left(s, app) = {};
    s.restart();
    taken = s.settle();
    CHECK(std::count(taken.begin(), taken.end(), "cut-off") == 1);
}

TEST_CASE("a document that is renamed keeps what is known of variables that were left") {
    auto s = provisioned();
    rename_variable(s, "CF_NEW");
    s.settle();
    s.how.prune = true;
    s.wanted.tokens[0].name = "renamed";
    s.wanted.bindings[0].tokens = {"renamed"};
    s.wanted.heroku_bindings[0].token = "renamed";
    s.restart();
    s.settle();
    REQUIRE(s.state().records.size() == 1);
    CHECK(s.rec("renamed").deliveries.size() == 4);
}

} // namespace guard_test
