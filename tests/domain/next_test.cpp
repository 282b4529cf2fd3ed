#include "domain/reason.hpp"
#include "world.hpp"

namespace next_test {

using namespace postern::domain;
using namespace postern::domain::testing;

TEST_CASE(
    "a token that does not exist is made, kept, bound, proved, promoted, delivered and confirmed, in this order") {
    scene s;
    s.state().initialised = false;
    auto words = s.settle();
    for (auto pair : {std::pair{"initialise", "intend"},
                      {"intend", "mint"},
                      {"mint", "hold"},
                      {"hold", "bind"},
                      {"bind", "prove"},
                      {"prove", "promote"},
                      {"promote", "deliver"},
                      {"deliver", "confirm"}})
        CHECK_MESSAGE(place(words, pair.first) < place(words, pair.second), pair.first, " before ", pair.second);
    CHECK(count(words, "mint") == 1);
    CHECK(count(words, "hold") == 1);
    CHECK(count(words, "bind") == 2);
    CHECK(count(words, "prove") == 2);
    CHECK(count(words, "deliver") == 2);
    CHECK(count(words, "rename") == 1);
    CHECK(words.back() == "confirm");

    CHECK(s.folder().values.at("CF_PROBE").fingerprint == s.rec().current->fingerprint);
    CHECK(s.heroku("prod").fingerprint == s.rec().current->fingerprint);
    CHECK(s.rec().confirmed == s.rec().current->fingerprint);
    CHECK(!s.rec().pending);
    CHECK(s.rec().authorizations.contains("I authorize CF_PROBE"));
    CHECK(s.account().tokens.at(0).name == "probe");

    auto j = s.ask();
    CHECK(j.steps.empty());
    CHECK(reason_at(j, "ServiceToken/probe", "Ready") == "AsDeclared");
    s.restart();
    CHECK(s.ask().steps.empty());
}

TEST_CASE("from wherever a process dies, the next one reaches the same end with one token") {
    scene whole;
    auto length = whole.settle().size();
    for (std::size_t die_after = 0; die_after < length; ++die_after) {
        scene s;
        std::size_t taken = 0;
        while (taken < die_after) {
            auto j = s.ask();
            REQUIRE(!j.steps.empty());
            const auto& step = j.steps.front();
            effect(s.world, step, predicted(s.world, step, s.now), s.now);
            ++taken;
        }
        s.restart();
        s.now += std::chrono::minutes{1}; // past any deadline
        s.world.seen_at = s.now;
        INFO("died after step ", die_after);
        s.settle();
        CHECK(s.account().tokens.size() == 1);
        CHECK(s.rec().confirmed == s.rec().current->fingerprint);
        CHECK(s.folder().values.at("CF_PROBE").fingerprint == s.rec().current->fingerprint);
        CHECK(s.heroku("staging").fingerprint == s.rec().current->fingerprint);
        CHECK(s.application(0).policies.size() == 2);
        s.restart();
        CHECK(s.ask().steps.empty());
    }
}

TEST_CASE("nothing is minted from scratch without the operator's word, which is used up") {
    scene s;
    s.wanted.tokens[0].authorization = "";
    auto j = s.ask();
    CHECK(j.steps.empty());
    CHECK(reason_at(j, "ServiceToken/probe", "Provisioned") == "AuthorizationMissing");
    for (auto wrong : {"I authorize CF_PROB", "i authorize CF_PROBE", "I authorize CF_PROBE again", "yes",
                       "I authorize CF_PROBE again tomorrow"}) {
        s.wanted.tokens[0].authorization = wrong;
        CHECK_MESSAGE(s.ask().steps.empty(), wrong);
    }

    auto done = provisioned();
    done.account().tokens.clear();
    done.settle(); // looks, and finds it gone
    auto gone = done.ask();
    CHECK(gone.steps.empty());
    CHECK(reason_at(gone, "ServiceToken/probe", "Provisioned") == "AuthorizationUsed");
    CHECK(find(gone, "ServiceToken/probe", "Provisioned")->message.find("I authorize CF_PROBE again 2026-11-23") !=
          std::string::npos);
    done.wanted.tokens[0].authorization = "I authorize CF_PROBE again 2026-11-23";
    auto words = done.settle();
    CHECK(count(words, "mint") == 1);
    CHECK(done.rec().confirmed == done.rec().current->fingerprint);
}

TEST_CASE("a token is gone only when its own GET says so") {
    auto s = provisioned();
    auto token = s.account().tokens.front();
    s.account().tokens.clear();
    auto j = s.ask();
    REQUIRE(j.steps.size() == 1);
    CHECK(word(j.steps[0]) == "look");
    outcome still_there;
    still_there.token = token;
    effect(s.world, j.steps[0], still_there, s.now);
    CHECK(s.ask().steps.empty());
    CHECK(reason_at(s.ask(), "ServiceToken/probe", "Ready") == "AsDeclared");
}

TEST_CASE("an empty list where several tokens are on record decides nothing") {
    auto s = provisioned();
    s.wanted.tokens.push_back(scene::spec("other", "CF_OTHER"));
    s.wanted.bindings[0].tokens.push_back("other");
    s.settle();
    s.restart();
    s.account().tokens.clear();
    auto j = s.ask();
    CHECK(j.steps.size() == 2);
    for (const auto& st : j.steps)
        CHECK(word(st) == "look");
    CHECK(reason_at(j, "ServiceToken/probe", "Ready") == "EmptyList");
    // Each one's own GET says 404: then they are gone.
    for (const auto& st : j.steps)
        effect(s.world, st, predicted(s.world, st, s.now), s.now);
    CHECK(reason_at(s.ask(), "ServiceToken/probe", "Provisioned") == "AuthorizationUsed");
}

TEST_CASE("a working credential that the vault shows is adopted without a write at Cloudflare") {
    scene s;
    s.wanted.heroku_bindings.clear();
    s.wanted.tokens[0].authorization = "";
    s.account().tokens = {token("tok-1", "made by hand")};
    for (auto& a : s.account().applications)
        a.policies.push_back(
            policy("by-hand-" + a.id, "probe (service token)", decision::non_identity, {of_token("tok-1")}, 2));
    s.folder().values["CF_PROBE"] = vault_value{"fp-hand", "tok-1.access", false, false};
    auto words = s.settle();
    CHECK(words == std::vector<std::string>{"prove", "prove", "hold", "promote", "confirm"});
    CHECK(s.rec().current->token_id == "tok-1");
    CHECK(s.account().tokens[0].name == "made by hand");
    s.restart();
    CHECK(s.ask().steps.empty());
}

TEST_CASE("a token whose secret nobody can show is left alone until the spec says adopt, and then replaced") {
    scene s;
    s.account().tokens = {token("tok-1", "probe")};
    auto j = s.ask();
    CHECK(j.steps.empty());
    CHECK(reason_at(j, "ServiceToken/probe", "Provisioned") == "SecretUnknown");
    s.account().tokens.push_back(token("tok-2", "probe"));
    CHECK(reason_at(s.ask(), "ServiceToken/probe", "Provisioned") == "DuplicateName");
    s.wanted.tokens[0].adopt = "tok-1";
    auto words = s.settle();
    CHECK(count(words, "mint") == 1);
    CHECK(s.rec().previous->token_id == "tok-1");
    CHECK(s.rec().previous_until == s.now + std::chrono::hours{48});
    CHECK(s.account().tokens.size() == 3);
}

TEST_CASE("a pure allow policy is corrected in place and becomes the binding's own") {
    auto s = provisioned();
    auto& p = s.application(0).policies.at(1);
    p.decides = decision::allow;
    auto j = s.ask();
    REQUIRE(!j.steps.empty());
    CHECK(word(j.steps[0]) == "correct");
    auto words = s.settle();
    CHECK(count(words, "correct") == 1);
    CHECK(count(words, "prove") == 1);
    CHECK(count(words, "bind") == 0);
    CHECK(s.application(0).policies.size() == 2);
    CHECK(s.application(0).policies.at(1).decides == decision::non_identity);
}

TEST_CASE("a mixed allow policy is left as it is and the binding's own does the work beside it") {
    auto s = provisioned();
    s.application(0).policies.at(1).decides = decision::allow;
    s.application(0).policies.at(1).include.push_back(of_person("email a@raxx.app"));
    auto before = s.application(0).policies.at(1);
    s.settle();
    REQUIRE(s.application(0).policies.size() == 3);
    CHECK(s.application(0).policies.at(1).decides == decision::allow);
    CHECK(static_cast<const rules&>(s.application(0).policies.at(1)) == static_cast<const rules&>(before));
    CHECK(s.application(0).policies.at(2).decides == decision::non_identity);
    CHECK(s.application(0).policies.at(2).precedence == 3);
    CHECK(reason_at(s.ask(), "AccessBinding/probe", "Bound") == "MixedPolicy");
}

TEST_CASE("a reusable allow policy is corrected only where all its applications are bound") {
    for (bool bound : {true, false}) {
        auto s = provisioned();
        auto shared = policy("shared", "shared", decision::allow, {of_token(s.rec().current->token_id)}, 7, true);
        s.application(0).policies.push_back(shared);
        s.application(1).policies.push_back(shared);
        if (!bound) {
            s.account().applications.push_back(app("app-3", "three.raxx.app"));
            s.application(2).policies.push_back(shared);
        }
        auto words = s.settle();
        CHECK(count(words, "correct") == (bound ? 1 : 0));
        CHECK((s.application(0).policies.back().decides == decision::non_identity) == bound);
        CHECK((s.application(1).policies.back().decides == decision::non_identity) == bound);
    }
}

TEST_CASE("deny and bypass are reported, never changed, and a policy of ours that was turned into a block stays") {
    auto s = provisioned();
    s.application(0).policies.at(1).decides = decision::deny;
    auto j = s.ask();
    CHECK(j.steps.empty());
    CHECK(reason_at(j, "AccessBinding/probe", "Bound") == "PolicyChanged");

    auto b = provisioned();
    b.application(1).policies.push_back(policy("by", "open", decision::bypass, {{rule::kind::everyone, {}, {}}}, 9));
    CHECK(b.ask().steps.empty());
    CHECK(reason_at(b.ask(), "AccessBinding/probe", "Bound") == "Bypassed");
}

TEST_CASE("members: missing ones are added and proved, doubled ones left once, foreign ones named and kept") {
    auto s = provisioned();
    auto id = s.rec().current->token_id;
    s.application(0).policies.at(1).include = {of_token("stranger")};
    auto words = s.settle();
    CHECK(words == std::vector<std::string>{"bind", "prove"});
    CHECK(s.application(0).policies.at(1).include == std::vector<rule>{of_token("stranger"), of_token(id)});
    CHECK(reason_at(s.ask(), "AccessBinding/probe", "Bound") == "ForeignMembers");

    auto d = provisioned();
    d.application(0).policies.at(1).include.push_back(of_token(id));
    d.settle();
    CHECK(d.application(0).policies.at(1).include == std::vector<rule>{of_token(id)});
}

TEST_CASE("a lost reply leaves two identical policies: the younger goes") {
    auto s = provisioned();
    auto twin = s.application(0).policies.at(1);
    twin.id = "twin";
    twin.precedence = 9;
    s.application(0).policies.push_back(twin);
    auto words = s.settle();
    CHECK(words == std::vector<std::string>{"delete-policy"});
    CHECK(s.application(0).policies.size() == 2);
    CHECK(s.application(0).policies.at(1).id != "twin");
}

TEST_CASE("a token that left a binding is taken out of its policy only with --prune, and only where we put it") {
    auto s = provisioned();
    s.wanted.tokens.push_back(scene::spec("other", "CF_OTHER"));
    s.wanted.bindings[0].tokens.push_back("other");
    s.settle();
    s.restart();
    s.wanted.bindings[0].tokens = {"other"};
    access_binding elsewhere = s.wanted.bindings[0];
    elsewhere.name = "elsewhere";
    elsewhere.policy_name = "elsewhere";
    elsewhere.tokens = {"probe"};
    elsewhere.applications = {{application_ref::kind::id, "app-1"}};
    s.wanted.bindings.push_back(elsewhere);
    auto members = [&] { return s.application(1).policies.at(1).include.size(); };
    s.settle();
    CHECK(members() == 2);
    CHECK(reason_at(s.ask(), "AccessBinding/probe", "Bound") == "MemberOrphaned");
    s.how.prune = true;
    auto words = s.settle();
    CHECK(count(words, "unbind") == 2);
    CHECK(members() == 1);
}

TEST_CASE("drift of the vault's value and of config vars is repaired, after a proof in this pass") {
    auto s = provisioned();
    auto ours = s.rec().current->fingerprint;
    s.folder().values.erase("CF_PROBE");
    // However long the proof takes, nobody takes the key for whole.
    CHECK(reason_at(s.ask(), "ServiceToken/probe", "Provisioned") == "VaultDrift");
    CHECK(s.settle() == std::vector<std::string>{"prove", "prove", "promote"});
    CHECK(s.folder().values.at("CF_PROBE").fingerprint == ours);

    auto d = provisioned();
    d.heroku("staging") = app_value{false, "somebody's", ""};
    CHECK(reason_at(d.ask(), "HerokuBinding/probe", "Delivered") == "ConfigDrift");
    auto words = d.settle();
    CHECK(words == std::vector<std::string>{"prove", "prove", "look", "record", "deliver", "record"});
    CHECK(d.heroku("staging").fingerprint == d.rec().current->fingerprint);
}

TEST_CASE("nothing is overwritten with a credential that does not pass, and what passes instead is taken over") {
    auto s = provisioned();
    auto ours = s.rec().current->fingerprint;
    s.account().tokens.push_back(token("fix", "an operator's"));
    s.folder().values["CF_PROBE"] = vault_value{"fp-fix", "fix.access", false, false};
    auto dead = [&](const step& st) {
        outcome o;
        proof p;
        p.rounds = 2;
        p.last = std::get<steps::prove>(st.what).fingerprint == ours ? verdict::login_redirect : verdict::passed;
        p.again = s.now + std::chrono::hours{1};
        o.proved = p;
        return o;
    };
    std::vector<std::string> words;
    for (int i = 0; i < 100; ++i) {
        auto j = s.ask();
        if (j.steps.empty())
            break;
        for (const auto& st : j.steps) {
            words.push_back(word(st));
            effect(s.world, st,
                   std::holds_alternative<steps::prove>(st.what) ? dead(st) : predicted(s.world, st, s.now), s.now);
        }
    }
    CHECK(s.rec().current->fingerprint == "fp-fix");
    CHECK(s.folder().values.at("CF_PROBE").fingerprint == "fp-fix");
    CHECK(s.heroku("prod").fingerprint == "fp-fix");
    CHECK(count(words, "mint") == 0);
    CHECK(s.rec().previous->fingerprint == ours);
}

TEST_CASE("a config var that holds somebody else's value is not touched without adopt") {
    scene s;
    s.heroku("staging") = app_value{false, "somebody's", ""};
    s.settle();
    CHECK(s.heroku("staging").fingerprint == "somebody's");
    CHECK(s.heroku("prod").fingerprint == s.rec().current->fingerprint);
    CHECK(reason_at(s.ask(), "HerokuBinding/probe", "Delivered") == "ConfigVarTaken");
    s.wanted.heroku_bindings[0].adopt = true;
    s.settle();
    CHECK(s.heroku("staging").fingerprint == s.rec().current->fingerprint);
    CHECK(reason_at(s.ask(), "ServiceToken/probe", "Ready") == "AsDeclared");
}

TEST_CASE("a release of ours that is pending is waited for, one that failed blocks until another works") {
    auto s = provisioned();
    s.heroku("staging") = app_value{false, "old", ""};
    auto& note = s.rec().deliveries.back();
    REQUIRE(note.app == "staging");
    note.before = 5;
    note.intended = s.rec().current->fingerprint;
    auto& app = *s.world.heroku["heroku"]->apps["staging"];
    for (auto i : {0, 1}) {
        proof p;
        p.last = verdict::passed;
        s.world.proofs[{i == 0 ? "one.raxx.app" : "two.raxx.app", "/health", s.rec().current->fingerprint}] = p;
    }
    app.releases = {{6, "pending", "Set CF_PROBE config vars"}, {5, "succeeded", "Deploy 1234"}};
    auto j = s.ask();
    REQUIRE(j.steps.size() == 1);
    CHECK(word(j.steps[0]) == "await-release");
    app.releases = {{6, "failed", "Set CF_PROBE config vars"}, {5, "succeeded", "Deploy 1234"}};
    j = s.ask();
    CHECK(j.steps.empty());
    CHECK(reason_at(j, "HerokuBinding/probe", "Delivered") == "ReleaseFailed");
    app.releases = {{7, "succeeded", "Deploy 5678"}, {6, "failed", "Set CF_PROBE config vars"}};
    j = s.ask();
    REQUIRE(j.steps.size() == 1);
    CHECK(word(j.steps[0]) == "record");
}

TEST_CASE("a disabled token is enabled, a changed duration sent") {
    auto s = provisioned();
    s.account().tokens[0].enabled = false;
    CHECK(s.settle() == std::vector<std::string>{"enable"});
    auto d = provisioned();
    d.wanted.tokens[0].duration_text = "4380h";
    d.wanted.tokens[0].lifetime = std::chrono::hours{4380};
    CHECK(d.settle() == std::vector<std::string>{"renew"});
}

TEST_CASE("a lost record is rebuilt from the write-once keys and the world") {
    auto s = provisioned();
    auto before = s.rec();
    s.state().records.clear();
    auto words = s.settle();
    CHECK(count(words, "mint") == 0);
    CHECK(count(words, "deliver") == 0);
    CHECK(s.rec().current->token_id == before.current->token_id);
    CHECK(s.rec().current->fingerprint == before.current->fingerprint);
    CHECK(s.rec().confirmed == before.confirmed);

    auto c = provisioned();
    c.state().records.clear();
    c.state().clobbered = {"probe"};
    auto j = c.ask();
    REQUIRE(j.steps.size() == 1);
    CHECK(std::get<steps::write_record>(j.steps[0].what).exists);
    c.state().clobbered.clear();
    c.state().unreadable["probe"] = "its format version is 2";
    j = c.ask();
    CHECK(j.steps.empty());
    CHECK(reason_at(j, "ServiceToken/probe", "Ready") == "RecordUnreadable");

    auto k = provisioned();
    k.state().held.clear();
    CHECK(k.settle() == std::vector<std::string>{"hold"});
    CHECK(k.state().held.at("probe").begin()->second.fingerprint == k.rec().current->fingerprint);
}

TEST_CASE("a secret that nobody can show any more is replaced without a new authorization") {
    auto s = provisioned();
    auto old = *s.rec().current;
    s.state().held.clear();
    s.folder().values.clear();
    s.heroku("staging") = {};
    s.heroku("prod") = {};
    auto words = s.settle();
    CHECK(count(words, "mint") == 1);
    CHECK(s.rec().previous->token_id == old.token_id);
    CHECK(s.rec().current->token_id != old.token_id);
    CHECK(s.account().tokens.size() == 2);
}

TEST_CASE("observing reports what would be done and writes nothing") {
    for (bool brake : {true, false}) {
        scene s;
        s.how.observe = brake;
        if (!brake)
            s.wanted.tokens[0].enforcement = mode::observe;
        auto j = s.ask();
        CHECK(j.steps.empty());
        CHECK(reason_at(j, "ServiceToken/probe", "Ready") == "ObservedDrift");
    }
}

TEST_CASE("what left git goes only with --prune and deletionPolicy Delete, consumers first, the token last") {
    auto s = provisioned();
    auto forget = [](scene& x) {
        for (auto& [name, app] : x.world.heroku["heroku"]->apps) {
            app->values["left/probe/CF_PROBE"] = app->values.at("probe");
            app->values.erase("probe");
        }
        x.wanted.tokens.clear();
        x.wanted.bindings.clear();
        x.wanted.heroku_bindings.clear();
    };
    auto retained = s;
    forget(retained);
    retained.how.prune = true;
    CHECK(retained.ask().steps.empty());
    CHECK(reason_at(retained.ask(), "ServiceToken/probe", "Ready") == "LeftGit");

    s.rec().deletion = deletion_policy::delete_;
    forget(s);
    CHECK(s.ask().steps.empty());
    auto elsewhere = s;
    elsewhere.how.prune = true;
    elsewhere.wanted.source = "another repository";
    CHECK(elsewhere.ask().steps.empty());
    s.how.prune = true;
    auto words = s.settle();
    CHECK(words == std::vector<std::string>{"withdraw", "withdraw", "delete-key", "delete-policy", "delete-policy",
                                            "delete-token", "delete-key", "delete-key"});
    CHECK(s.account().tokens.empty());
    CHECK(s.state().records.empty());
    CHECK(s.application(0).policies.size() == 1);
}

TEST_CASE("a pass that would overwrite more than a third of ten tokens stops") {
    scene s;
    for (int i = 0; i < 11; ++i) {
        auto name = "t" + std::to_string(i);
        s.wanted.tokens.push_back(scene::spec(name, "KEY" + std::to_string(i)));
        s.wanted.bindings[0].tokens.push_back(name);
    }
    s.settle();
    s.restart();
    for (int i = 0; i < 5; ++i)
        s.folder().values["KEY" + std::to_string(i)] = vault_value{"other" + std::to_string(i), "", false, false};
    auto words = s.settle();
    CHECK(count(words, "repair") == 0);
    CHECK(reason_at(s.ask(), "ServiceToken/t0", "Ready") == "MassChange");
    s.how.max_changes = 60;
    CHECK(count(s.settle(), "repair") == 5);
}

TEST_CASE("each thing in the way is named, and nothing is minted") {
    struct row {
        const char* name;
        void (*bend)(scene&);
        const char* resource;
        const char* type;
        const char* reason;
    };
    const row rows[] = {
        {"no binding", [](scene& s) { s.wanted.bindings.clear(); }, "ServiceToken/probe", "Provisioned", "NoBinding"},
        {"unknown id", [](scene& s) { s.wanted.bindings[0].applications[0].text = "nope"; }, "AccessBinding/probe",
         "Bound", "ApplicationNotFound"},
        {"two apps for a domain", [](scene& s) { s.application(0).destinations = {"two.raxx.app"}; },
         "AccessBinding/probe", "Bound", "ApplicationAmbiguous"},
        {"saas", [](scene& s) { s.application(0).type = "saas"; }, "AccessBinding/probe", "Bound",
         "ApplicationUnsuitable"},
        {"not allowed", [](scene& s) { s.wanted.cloudflare[0].applications = {"two*"}; }, "AccessBinding/probe",
         "Bound", "NotAllowed"},
        {"foreign host", [](scene& s) { s.wanted.bindings[0].smoke.hosts = {"evil.example"}; }, "AccessBinding/probe",
         "Bound", "HostForeign"},
        {"wildcard", [](scene& s) { s.application(0).destinations = {"*.one.raxx.app"}; }, "AccessBinding/probe",
         "Bound", "HostUnknown"},
        {"longer path elsewhere", [](scene& s) { s.application(1).destinations.push_back("one.raxx.app/health"); },
         "AccessBinding/probe", "Bound", "PathTaken"},
        {"open path", [](scene& s) { s.application(0).open_paths = {"/health*"}; }, "AccessBinding/probe", "Bound",
         "PathOpen"},
        {"no folder", [](scene& s) { s.folder().exists = false; }, "ServiceToken/probe", "Provisioned",
         "FolderMissing"},
        {"hidden",
         [](scene& s) {
             s.folder().values["CF_PROBE"] = vault_value{"", "", true, false};
         },
         "ServiceToken/probe", "Provisioned", "ValueHidden"},
        {"doubled",
         [](scene& s) {
             s.folder().values["CF_PROBE"] = vault_value{"x", "", false, true};
         },
         "ServiceToken/probe", "Provisioned", "DuplicateKey"},
        {"taken",
         [](scene& s) {
             s.folder().values["CF_PROBE"] = vault_value{"x", "", false, false};
         },
         "ServiceToken/probe", "Provisioned", "KeyTaken"},
        {"skew", [](scene& s) { s.account().skew = std::chrono::minutes{2}; }, "ServiceToken/probe", "Provisioned",
         "ClockSkew"},
        {"approval",
         [](scene& s) {
             s.world.awaiting_approval.insert({"infisical", "/creds"});
         },
         "ServiceToken/probe", "Provisioned", "AwaitingApproval"},
        {"app unreadable",
         [](scene& s) {
             auto& app = s.world.heroku["heroku"]->apps["prod"];
             app.seen.reset();
             app.failure = postern::error{.kind = postern::error_kind::refused,
                                          .where = "heroku GET config vars of prod",
                                          .what = "404",
                                          .status = 404,
                                          .code = {},
                                          .retry_after = {}};
         },
         "HerokuBinding/probe", "Delivered", "AppUnreadable"},
        {"account unreadable",
         [](scene& s) {
             s.world.accounts["raxx"].seen.reset();
             s.world.accounts["raxx"].failure = postern::error{.kind = postern::error_kind::credential,
                                                               .where = "cloudflare",
                                                               .what = "403",
                                                               .status = 403,
                                                               .code = {},
                                                               .retry_after = {}};
         },
         "CloudflareAccount/raxx", "Ready", "Refused"},
    };
    for (const auto& r : rows) {
        INFO(r.name);
        scene s;
        r.bend(s);
        auto words = s.settle();
        CHECK(count(words, "intend") + count(words, "mint") == 0);
        auto j = s.ask();
        CHECK(reason_at(j, r.resource, r.type) == r.reason);
        REQUIRE(find(j, r.resource, r.type) != nullptr);
        CHECK(find(j, r.resource, r.type)->heft >= weight::blocked);
    }
}

TEST_CASE("somebody else's intent is waited for, then looked behind") {
    scene s;
    auto j = s.ask();
    REQUIRE(word(j.steps.at(0)) == "intend");
    effect(s.world, j.steps[0], predicted(s.world, j.steps[0], s.now), s.now);
    s.restart(); // another process, which does not know whether the request was sent
    j = s.ask();
    CHECK(j.steps.empty());
    REQUIRE(j.wake);
    CHECK(*j.wake == t0 + std::chrono::seconds{30});
    CHECK(reason_at(j, "ServiceToken/probe", "Provisioned") == "ForeignIntent");
    s.now = *j.wake;
    CHECK(s.ask().refresh);
    s.world.seen_at = s.now;
    CHECK(word(s.ask().steps.at(0)) == "intend");
    auto nonce = s.rec().pending->nonce;
    s.settle();
    CHECK(s.rec().current->nonce != nonce);
    // The late request of the first process arrives after all.
    s.account().tokens.push_back(token("late", "probe (pending " + nonce + ")"));
    s.restart();
    auto sweep = s.ask();
    REQUIRE(sweep.steps.size() == 1);
    CHECK(std::get<steps::delete_token>(sweep.steps[0].what).token_id == "late");
    s.settle();
    CHECK(s.account().tokens.size() == 1);
}

TEST_CASE("a policy write that failed for good is told at its binding and stops nobody else") {
    scene s;
    s.wanted.tokens.push_back(scene::spec("other", "CF_OTHER"));
    access_binding b = s.wanted.bindings[0];
    b.name = "other";
    b.tokens = {"other"};
    b.policy_name = "other";
    b.applications = {{application_ref::kind::id, "app-2"}};
    s.wanted.bindings.push_back(b);
    for (int i = 0; i < 300; ++i) {
        auto j = s.ask();
        if (j.steps.empty())
            break;
        const auto& st = j.steps.front();
        auto o = predicted(s.world, st, s.now);
        if (const auto* c = std::get_if<steps::create_policy>(&st.what); c != nullptr && c->application == "app-1")
            o = outcome{.failure = postern::error{.kind = postern::error_kind::refused,
                                                  .where = "POST policy",
                                                  .what = "12130",
                                                  .status = 400,
                                                  .code = "12130",
                                                  .retry_after = {}},
                        .token = {},
                        .fingerprint = {},
                        .policy = {},
                        .proved = {},
                        .absent = {},
                        .releases = {},
                        .value = {}};
        effect(s.world, st, o, s.now);
    }
    auto j = s.ask();
    CHECK(reason_at(j, "AccessBinding/probe", "Bound") == "Refused");
    CHECK(reason_at(j, "ServiceToken/other", "Ready") == "AsDeclared");
    CHECK(!s.folder().values.contains("CF_PROBE"));
    CHECK(s.rec("probe").pending);
}

TEST_CASE("a credential that has not passed for a day is thrown away, and the next one needs no new authorization") {
    scene s;
    std::string refused; // its fingerprint; empty: any
    auto fail_proofs = [&] {
        for (int i = 0; i < 60; ++i) {
            auto j = s.ask();
            if (j.steps.empty())
                return;
            for (const auto& st : j.steps) {
                auto o = predicted(s.world, st, s.now);
                const auto* proved = std::get_if<steps::prove>(&st.what);
                if (proved != nullptr && (refused.empty() || proved->fingerprint == refused)) {
                    o.proved->last = verdict::login_redirect;
                    o.proved->again = s.now + std::chrono::hours{48};
                }
                effect(s.world, st, o, s.now);
            }
        }
    };
    fail_proofs();
    CHECK(reason_at(s.ask(), "ServiceToken/probe", "Verified") == "Propagating");
    auto first = s.rec().pending->nonce;
    REQUIRE(s.account().tokens.size() == 1);
    auto first_id = s.account().tokens[0].id;
    s.restart();
    s.now += std::chrono::hours{25};
    s.world.seen_at = s.now;
    SUBCASE("but not where it passes at last") {
        auto late = s.settle();
        CHECK(count(late, "delete-token") == 0);
        CHECK(s.rec().current->nonce == first);
        return;
    }
    refused = s.state().held.at("probe").at(first).fingerprint;
    fail_proofs();
    s.settle();
    CHECK(s.state().held.at("probe").size() == 1);
    CHECK(s.rec().current->nonce != first);
    CHECK(s.rec().current->token_id != first_id);
    CHECK(s.account().tokens.size() == 1);
    CHECK(s.application(0).policies.size() == 2);
    CHECK(s.application(0).policies.at(1).include == std::vector<rule>{of_token(s.rec().current->token_id)});
}

TEST_CASE("where neither the vault's value nor ours passes, a successor is made beside them") {
    auto s = provisioned();
    auto ours = s.rec().current->fingerprint;
    s.folder().values["CF_PROBE"] = vault_value{"fp-rotated", s.account().tokens[0].client_id, false, false};
    std::size_t minted = 0;
    for (int i = 0; i < 100; ++i) {
        auto j = s.ask();
        if (j.steps.empty())
            break;
        for (const auto& st : j.steps) {
            auto o = predicted(s.world, st, s.now);
            if (const auto* p = std::get_if<steps::prove>(&st.what)) {
                bool dead = p->fingerprint == ours || p->fingerprint == "fp-rotated";
                o.proved->last = dead ? verdict::unauthorized : verdict::passed;
                auto seen = s.world.proofs.find({p->host, p->path, p->fingerprint});
                o.proved->rounds = seen == s.world.proofs.end() ? 1 : seen->second.rounds + 1;
                o.proved->again = s.now;
            }
            minted += word(st) == "mint" ? 1 : 0;
            effect(s.world, st, o, s.now);
        }
    }
    CHECK(minted == 1);
    CHECK(s.rec().previous->fingerprint == ours);
    CHECK(s.folder().values.at("CF_PROBE").fingerprint == s.rec().current->fingerprint);
    CHECK(s.heroku("prod").fingerprint == s.rec().current->fingerprint);
    CHECK(s.rec().confirmed == s.rec().current->fingerprint);
}

TEST_CASE("tokens that are made in one pass have nothing in common, not even a nonce") {
    scene s;
    s.wanted.tokens.push_back(scene::spec("other", "CF_OTHER"));
    s.wanted.bindings[0].tokens.push_back("other");
    // One of them is adopted while the other is minted.
    s.account().tokens = {token("tok-1", "by hand")};
    s.folder().values["CF_OTHER"] = vault_value{"fp-hand", "tok-1.access", false, false};
    auto words = s.settle();
    CHECK(count(words, "delete-token") == 0);
    CHECK(s.rec("probe").current->nonce != s.rec("other").current->nonce);
    CHECK(s.account().tokens.size() == 2);
}

TEST_CASE("a binding that left git is told, and taken out of Cloudflare only with --prune") {
    auto s = provisioned();
    s.wanted.bindings[0].applications.pop_back(); // two.raxx.app is not bound any more
    CHECK(s.ask().steps.empty());
    CHECK(reason_at(s.ask(), "ServiceToken/probe", "Bound") == "MemberOrphaned");
    s.how.prune = true;
    CHECK(s.settle() == std::vector<std::string>{"delete-policy", "record"});
    CHECK(s.application(1).policies.size() == 1);
    CHECK(s.application(0).policies.size() == 2);
    CHECK(s.rec().policies.size() == 1);

    auto shared = provisioned();
    shared.application(1).policies.at(1).include.push_back(of_token("stranger"));
    shared.wanted.bindings[0].applications.pop_back();
    shared.how.prune = true;
    CHECK(shared.settle() == std::vector<std::string>{"unbind", "record"});
    CHECK(shared.application(1).policies.at(1).include == std::vector<rule>{of_token("stranger")});

    auto lost = provisioned();
    lost.how.prune = true;
    lost.wanted.bindings[0].applications[1].text = "nowhere.raxx.app"; // cannot be resolved: nobody knows what it was
    CHECK(lost.ask().steps.empty());

    auto app = provisioned();
    app.wanted.heroku_bindings[0].apps = {"staging"};
    CHECK(app.ask().steps.empty());
    CHECK(reason_at(app.ask(), "ServiceToken/probe", "Delivered") == "LeftGit");
}

} // namespace next_test
