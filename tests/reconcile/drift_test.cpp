#include "reconcile/scene.hpp"

#include <algorithm>

namespace drift_test {

using namespace postern;
using namespace postern::testing;
using namespace std::chrono_literals;
using domain::weight;
using testcloud::service;
namespace reason = domain::reason;
namespace json = boost::json;

namespace {

constexpr std::string_view token_resource = "ServiceToken/console-self-probe";
constexpr std::string_view binding_resource = "AccessBinding/console-self-probe";
constexpr std::string_view prod = "console.raxx.app";
constexpr std::string_view staging = "console-staging.raxx.app";

json::object admits(const std::string& token_id) {
    return {{"service_token", {{"token_id", token_id}}}};
}

// A scene in which everything was provisioned, and which somebody then changes by hand.
struct drifting : scene {
    drifting() {
        auto report = apply();
        REQUIRE_MESSAGE(fine(report), troubles(report.last.conditions));
        m.requests();
    }

    // What somebody does on purpose is no refusal of ours; what Postern makes of it would be.
    void by_hand(const std::function<void()>& change) { m.cloud.broken_by_hand("the drift of the test", change); }

    testcloud::policy& own(std::string_view host) {
        return m.cloud.access.config.policies.at(policies(host, token(console()).id).front()->id);
    }
    void remove_policy(std::string_view host) {
        const auto id = own(host).id;
        std::erase_if(application(host).policies, [&](const auto& link) { return link.policy_id == id; });
        m.cloud.access.config.policies.erase(id);
    }
    testcloud::policy& reusable(json::array include, std::vector<std::string_view> hosts) {
        testcloud::policy p;
        p.id = m.cloud.ids.uuid();
        p.name = "shared by hand";
        p.decision = "allow";
        p.include = std::move(include);
        p.extra = {{"session_duration", "30m"}, {"x_unheard_of", {{"deep", {1, "two", nullptr}}}}};
        p.reusable = true;
        p.created_at = p.updated_at = m.clock.now();
        for (const auto host : hosts)
            application(host).policies.push_back({p.id, 7});
        return m.cloud.access.config.policies[p.id] = p;
    }
    std::string held_key(const cast& of) {
        for (const auto& [key, row] : folder(of.vault_state).secrets) {
            if (key.starts_with(of.name + "."))
                return key;
        }
        return {};
    }
    std::string& value(const std::string& in, const std::string& key) {
        return folder(in).secrets.find(key)->second.value;
    }
    // What was told of the steps that wrote, in order, each with its reason: "bind PolicyMissing".
    std::vector<std::string> written() {
        std::vector<std::string> out;
        for (const auto& s : m.told.steps) {
            if (domain::writes(s) && domain::word(s) != "record")
                out.push_back(domain::word(s) + " " + s.reason);
        }
        return out;
    }
    bool has_written(const std::string& what) {
        auto all = written();
        return std::find(all.begin(), all.end(), what) != all.end();
    }
    std::string all_written() {
        std::string out;
        for (const auto& line : written())
            out += line + "\n";
        return out;
    }
    // Everything of a policy but what a correction changes.
    static std::string rest_of(const testcloud::policy& p) {
        std::string out = p.id + p.name + (p.reusable ? " reusable " : " ") + json::serialize(p.include) +
                          json::serialize(p.exclude) + json::serialize(p.require);
        std::set<std::string> fields;
        for (const auto& [name, value] : p.extra)
            fields.insert(std::string{name} + json::serialize(value));
        for (const auto& field : fields)
            out += field;
        return out;
    }
    std::string all_policies() {
        std::string out;
        for (const auto& [id, p] : m.cloud.access.config.policies)
            out += rest_of(p) + p.decision + format_instant(p.updated_at) + "\n";
        return out;
    }
};

struct repair {
    std::string_view name;
    std::function<void(drifting&)> change;
    std::string step; // among what is done
};

} // namespace

TEST_CASE("drift that is repaired: policies, vault, apps, token") {
    const std::vector<repair> rows{
        {"policy deleted", [](drifting& s) { s.remove_policy(prod); }, "bind PolicyMissing"},
        {"member replaced by another token", [](drifting& s) { s.own(prod).include = {admits(s.token(billing()).id)}; },
         "bind MemberMissing"},
        {"member doubled", [](drifting& s) { s.own(prod).include.push_back(admits(s.token(console()).id)); },
         "bind MemberDoubled"},
        {"pure policy turned to allow", [](drifting& s) { s.own(prod).decision = "allow"; }, "correct WrongDecision"},
        {"a twin of our policy",
         [](drifting& s) {
             auto twin = s.own(prod);
             twin.id = s.m.cloud.ids.uuid();
             twin.created_at += 1min;
             s.m.cloud.access.config.policies[twin.id] = twin;
             s.application(prod).policies.push_back({twin.id, 9});
         },
         "delete-policy DuplicatePolicy"},
        {"vault value deleted", [](drifting& s) { s.folder(console().folder).secrets.erase(console().key); },
         "promote VaultDrift"},
        {"vault value overwritten with garbage",
         [](drifting& s) { s.value(console().folder, console().key) = "garbage"; }, "repair VaultDrift"},
        {"vault value overwritten with a credential that works elsewhere",
         [](drifting& s) { s.value(console().folder, console().key) = s.credential(billing()); }, "repair VaultDrift"},
        {"held key deleted", [](drifting& s) { s.folder(console().vault_state).secrets.erase(s.held_key(console())); },
         "hold Rebuilt"},
        {"held key overwritten", [](drifting& s) { s.value(console().vault_state, s.held_key(console())) = "garbage"; },
         ""},
        {"record deleted", [](drifting& s) { s.folder(console().vault_state).secrets.erase(console().name); }, ""},
        {"record overwritten", [](drifting& s) { s.value(console().vault_state, console().name) = "garbage"; }, ""},
        {"record and held key deleted",
         [](drifting& s) {
             s.folder(console().vault_state).secrets.erase(console().name);
             s.folder(console().vault_state).secrets.erase(s.held_key(console()));
         },
         "hold Adopted"},
        {"record and vault value deleted",
         [](drifting& s) {
             s.folder(console().vault_state).secrets.erase(console().name);
             s.folder(console().folder).secrets.erase(console().key);
         },
         ""},
        {"all of Postern's own folder deleted", [](drifting& s) { s.folder(console().vault_state).secrets.clear(); },
         "initialise NotInitialised"},
        {"Postern's own key deleted", [](drifting& s) { s.folder(console().vault_state).secrets.erase("postern"); },
         "initialise NotInitialised"},
        {"config var deleted",
         [](drifting& s) { s.m.cloud.platform.set(s.app("raxx-console-prod"), console().key, std::nullopt); },
         "deliver ConfigDrift"},
        {"config var overwritten",
         [](drifting& s) { s.m.cloud.platform.set(s.app("raxx-console-prod"), console().key, "garbage"); },
         "deliver ConfigDrift"},
        {"rolled back at Heroku",
         [](drifting& s) {
             const auto& first = s.app("raxx-console-prod").releases;
             const auto before = std::find_if(first.begin(), first.end(), [](const auto& r) { return r.version == 2; });
             s.m.cloud.as_operator(service::heroku, "POST", "/apps/raxx-console-prod/releases",
                                   json::object{{"release", before->id}});
             CHECK(s.app_value("raxx-console-prod", console().key).empty());
         },
         "deliver ConfigDrift"},
        {"token disabled", [](drifting& s) { s.token(console()).enabled = false; }, "enable Disabled"},
        {"duration changed", [](drifting& s) { s.token(console()).duration = "24h"; }, "renew DurationChanged"},
    };
    for (const auto& row : rows) {
        CAPTURE(row.name);
        drifting s;
        const auto id = s.token(console()).id;
        s.by_hand([&] { row.change(s); });
        // A vault key that held billing's credential for a moment has no business at billing's host.
        s.m.cloud.checks.excuse_from_now_on(
            {"vault:prod:/MooseQuest/cloudflare/CF_ACCESS_SVC_CONSOLE", "billing.raxx.app", "", "never its host"});
        const auto planned = s.m.plan(s.wanted());
        CHECK(!planned.steps.empty());
        auto report = s.apply();
        INFO(s.all_written(), troubles(report.last.conditions));
        CHECK(fine(report));
        CHECK((row.step.empty() || s.has_written(row.step)));
        for (const auto& word : s.m.told.words)
            CHECK_MESSAGE(!word.ends_with("!"), word);
        CHECK(s.token(console()).id == id);
        if (row.name == "member replaced by another token")
            check_condition(report, {std::string{binding_resource},
                                     "Bound",
                                     reason::foreign_members,
                                     weight::told,
                                     {"token " + s.token(billing()).id}});
        else if (row.name != "held key overwritten")
            s.check_all_whole();
        s.check_quiet(report);
        CHECK(s.m.plan(s.wanted()).steps.empty());
    }
}

// What stands between a mistake of ours and a green test, where the test does not ask by itself.
TEST_CASE("a consumer that is let down fails the test that it is in" * doctest::should_fail()) {
    drifting s;
    s.token(console()).enabled = false;
    s.m.cloud.changed("as if Postern had done it");
}

TEST_CASE("drift that is told and left alone") {
    struct row {
        std::string_view name;
        std::function<void(drifting&)> change;
        expected told;
        std::string step; // what is done beside it; nothing where empty
    };
    const std::vector<row> rows{
        {"foreign member added",
         [](drifting& s) { s.own(prod).include.push_back(admits(s.token(billing()).id)); },
         {std::string{binding_resource}, "Bound", reason::foreign_members, weight::told, {"token "}},
         ""},
        {"our policy turned to deny",
         [](drifting& s) { s.own(prod).decision = "deny"; },
         {std::string{binding_resource}, "Bound", reason::policy_changed, weight::blocked, {"incident"}},
         ""},
        {"our policy turned to bypass",
         [](drifting& s) { s.own(prod).decision = "bypass"; },
         {std::string{binding_resource}, "Bound", reason::policy_changed, weight::blocked, {}},
         ""},
        {"a bypass beside ours",
         [](drifting& s) {
             s.m.cloud.access.attach_policy(s.application(prod), "open", "bypass",
                                            {json::object{{"everyone", json::object{}}}});
         },
         {std::string{binding_resource}, "Bound", reason::bypassed, weight::told, {"open"}},
         ""},
        {"a deny beside ours that names the token",
         [](drifting& s) {
             s.m.cloud.access.attach_policy(s.application(prod), "no", "deny", {admits(s.token(console()).id)});
         },
         {std::string{binding_resource}, "Bound", reason::denied, weight::told, {"no"}},
         ""},
        {"an allow beside ours that names the token and people",
         [](drifting& s) {
             s.m.cloud.access.attach_policy(
                 s.application(prod), "mixed", "allow",
                 {json::object{{"email_domain", {{"domain", "raxx.app"}}}}, admits(s.token(console()).id)});
         },
         {std::string{binding_resource}, "Bound", reason::mixed_policy, weight::told, {"mixed"}},
         ""},
        {"a foreign token of our name",
         [](drifting& s) { s.m.cloud.access.mint("console-self-probe"); },
         {std::string{token_resource}, "Provisioned", reason::duplicate_name, weight::told, {"known by its id"}},
         ""},
        {"a record of a newer Postern",
         [](drifting& s) {
             auto& text = s.value(console().vault_state, console().name);
             text = replaced(text, "\"v\":1", "\"v\":2");
         },
         {std::string{token_resource}, "Ready", reason::record_unreadable, weight::blocked, {}},
         ""},
        {"the token was renamed",
         [](drifting& s) { s.token(console()).name = "console-self-probe by hand"; },
         {std::string{token_resource}, "Ready", reason::all_fine, weight::fine, {}},
         ""},
    };
    for (const auto& row : rows) {
        CAPTURE(row.name);
        drifting s;
        s.by_hand([&] { row.change(s); });
        const auto before = s.all_policies();
        auto report = s.apply();
        INFO(s.all_written());
        check_condition(report, row.told);
        CHECK(s.m.writes() == 0);
        CHECK(s.all_policies() == before);
        s.check_quiet(report);
        // The others go on.
        s.by_hand([&] { s.value(billing().folder, billing().key) = "garbage"; });
        s.apply();
        CHECK(s.m.vault_value(billing().folder, billing().key) == s.credential(billing()));
    }
}

TEST_CASE("drift: our policy turned to allow is corrected in place with every other field kept") {
    drifting s;
    s.by_hand([&] {
        auto& p = s.own(prod);
        p.decision = "allow";
        p.name = "console-self-probe (service token) – renamed";
        p.extra = {{"session_duration", "30m"},
                   {"purpose_justification_required", false},
                   {"approval_groups", json::array{}},
                   {"x_unheard_of", {{"deep", {1, "two", nullptr}}}}};
    });
    const auto id = s.application(prod).policies.back().policy_id;
    const auto& p = s.m.cloud.access.config.policies.at(id);
    REQUIRE(p.decision == "allow");
    const auto before = drifting::rest_of(p);
    const auto precedence = s.application(prod).policies.back().precedence;
    auto report = s.apply();
    CHECK_MESSAGE(fine(report), troubles(report.last.conditions));
    CHECK(p.decision == "non_identity");
    CHECK(drifting::rest_of(p) == before);
    CHECK(s.application(prod).policies.back().precedence == precedence);
    s.check_all_whole();
    s.check_quiet(report);
}

TEST_CASE("drift: an allow policy that also concerns people is left as it is, and access works beside it") {
    drifting s;
    s.by_hand([&] {
        auto& p = s.own(prod);
        p.decision = "allow";
        p.include.push_back(json::object{{"email_domain", {{"domain", "raxx.app"}}}});
        p.extra = {{"x_unheard_of", {{"deep", {1, "two", nullptr}}}}};
    });
    const auto id = s.application(prod).policies.back().policy_id;
    const auto& p = s.m.cloud.access.config.policies.at(id);
    const auto before = drifting::rest_of(p) + p.decision + format_instant(p.updated_at);
    auto report = s.apply();
    CHECK_MESSAGE(fine(report), troubles(report.last.conditions));
    CHECK(drifting::rest_of(p) + p.decision + format_instant(p.updated_at) == before);
    check_condition(report, {std::string{binding_resource}, "Bound", reason::mixed_policy, weight::told, {id}});
    CHECK(s.has_written("bind PolicyMissing"));
    s.check_all_whole();
    s.check_quiet(report);
}

TEST_CASE("drift: a reusable allow policy") {
    drifting s;
    const auto token = s.token(console()).id;
    std::string id;
    auto share = [&](std::vector<std::string_view> hosts) {
        s.by_hand([&] {
            s.remove_policy(prod);
            s.remove_policy(staging);
            id = s.reusable({admits(token)}, std::move(hosts)).id;
        });
    };
    SUBCASE("that only bound applications share is corrected at its own endpoint, once") {
        share({prod, staging});
        const auto& p = s.m.cloud.access.config.policies.at(id);
        const auto before = drifting::rest_of(p);
        const auto planned = s.m.plan(s.wanted());
        CHECK(std::any_of(planned.steps.begin(), planned.steps.end(), [](const auto& step) {
            return step.target.find("shared by 2 applications") != std::string::npos;
        }));
        s.m.requests();
        auto report = s.apply();
        CHECK_MESSAGE(fine(report), troubles(report.last.conditions));
        CHECK(p.decision == "non_identity");
        CHECK(drifting::rest_of(p) == before);
        std::size_t puts = 0;
        for (const auto& line : s.m.requests()) {
            CHECK(line.find("POST /client/v4/accounts/" + s.m.cloud.access.account_id + "/access/apps") ==
                  std::string::npos);
            puts +=
                line.find("cloudflare PUT") != std::string::npos && line.ends_with("/access/policies/" + id) ? 1 : 0;
        }
        CHECK(puts == 1);
        s.check_all_whole();
        s.check_quiet(report);
    }
    SUBCASE("that an application outside the specs shares is left as it is") {
        share({prod, staging, "status.raxx.app"});
        const auto& p = s.m.cloud.access.config.policies.at(id);
        const auto before = drifting::rest_of(p) + format_instant(p.updated_at);
        auto report = s.apply();
        CHECK_MESSAGE(fine(report), troubles(report.last.conditions));
        CHECK(p.decision == "allow");
        CHECK(drifting::rest_of(p) + format_instant(p.updated_at) == before);
        check_condition(report, {std::string{binding_resource}, "Bound", reason::mixed_policy, weight::told, {id}});
        s.check_all_whole();
        s.check_quiet(report);
    }
}

TEST_CASE("drift: a reusable allow policy that something uses which no service token can pass is left as it is") {
    drifting s;
    const auto token = s.token(console()).id;
    std::string id;
    s.by_hand([&] {
        auto& desk = s.m.cloud.access.add_application("desk", "desk.raxx.app");
        SUBCASE("a desktop") {
            desk.type = "rdp";
        }
        SUBCASE("an application without a host") {
            desk.type = "saas";
            desk.settings.erase("destinations");
            desk.settings.erase("self_hosted_domains");
            desk.settings.erase("domain");
        }
        s.remove_policy(prod);
        s.remove_policy(staging);
        id = s.reusable({admits(token)}, {prod, staging}).id;
        desk.policies.push_back({id, 1});
    });
    auto report = s.apply();
    CHECK_MESSAGE(fine(report), troubles(report.last.conditions));
    CHECK(s.m.cloud.access.config.policies.at(id).decision == "allow");
    check_condition(report, {std::string{binding_resource}, "Bound", reason::mixed_policy, weight::told, {id}});
    s.check_all_whole();
    s.check_quiet(report);
}

TEST_CASE("drift: an application that no service token can pass is not bound, and is in nobody's way") {
    drifting s;
    auto& other = s.m.cloud.access.add_application("console's bookmark", "console.raxx.app");
    other.type = "bookmark";
    other.aud.clear();
    SUBCASE("beside one that is bound by the host of both") {
        auto report = s.apply();
        CHECK_MESSAGE(fine(report), troubles(report.last.conditions));
        CHECK(s.m.writes() == 0);
        s.check_quiet(report);
    }
    SUBCASE("named itself") {
        s.rewrite("applications: [{domain: billing.raxx.app}]", "applications: [{id: " + other.id + "}]");
        auto report = s.apply();
        check_condition(report, {"AccessBinding/billing-probe",
                                 "Bound",
                                 reason::application_unsuitable,
                                 weight::blocked,
                                 {other.id, "of type bookmark"}});
    }
}

TEST_CASE("drift: a foreign credential that works while ours is dead is an emergency fix, and is taken over") {
    drifting s;
    const bool at_app = [] {
        bool app = false;
        SUBCASE("in the vault") {
            app = false;
        }
        SUBCASE("at an app") {
            app = true;
        }
        return app;
    }();
    std::string fix;
    std::string fix_id;
    s.by_hand([&] {
        s.token(console()).secret = testcloud::dice::client_secret(); // rotated by somebody who is in a hurry
        const auto made = s.m.cloud.access.mint("by hand in the night");
        fix_id = made.id;
        fix = made.client_id + ":" + made.secret;
        for (const auto host : {prod, staging})
            s.m.cloud.access.attach_policy(s.application(host), "by hand", "non_identity", {admits(made.id)});
        if (at_app)
            s.m.cloud.platform.set(s.app("raxx-console-prod"), console().key, fix);
        else
            s.value(console().folder, console().key) = fix;
    });
    auto report = s.apply();
    INFO(s.all_written());
    CHECK_MESSAGE(fine(report), troubles(report.last.conditions));
    CHECK(s.m.vault_value(console().folder, console().key) == fix);
    for (const auto& app : console().apps)
        CHECK(s.app_value(app, console().key) == fix);
    CHECK(s.m.cloud.access.config.tokens.size() == 5); // nothing was minted, nothing was deleted
    CHECK(s.m.plan(s.wanted()).steps.empty());
    s.check_quiet(report);
}

TEST_CASE("drift: garbage in the vault while ours is dead leads to a successor, which needs no new word") {
    drifting s;
    s.by_hand([&] {
        s.token(console()).secret = testcloud::dice::client_secret();
        s.value(console().folder, console().key) = "garbage";
    });
    auto report = s.apply();
    INFO(s.all_written());
    CHECK_MESSAGE(fine(report), troubles(report.last.conditions));
    CHECK(s.has_written("mint SecretMismatch"));
    const auto value = s.m.vault_value(console().folder, console().key);
    CHECK(value != "garbage");
    for (const auto& app : console().apps)
        CHECK(s.app_value(app, console().key) == value);
    s.check_quiet(report);
}

TEST_CASE("drift: a token that was deleted needs a new word, given once more") {
    drifting s;
    const auto old = s.credential(console());
    s.by_hand([&] { // nobody can delete a token that policies name
        s.remove_policy(prod);
        s.remove_policy(staging);
        s.m.cloud.access.config.tokens.erase(s.token(console()).id);
    });
    auto report = s.apply();
    check_condition(report, {std::string{token_resource},
                             "Provisioned",
                             reason::authorization_used,
                             weight::blocked,
                             {"I authorize CF_ACCESS_SVC_CONSOLE again 2026-11-23"}});
    CHECK(s.m.writes() == 0);
    CHECK(s.m.vault_value(console().folder, console().key) == old);
    s.rewrite("authorization: I authorize CF_ACCESS_SVC_CONSOLE",
              "authorization: I authorize CF_ACCESS_SVC_CONSOLE again 2026-11-23");
    report = s.apply();
    INFO(s.all_written());
    CHECK_MESSAGE(fine(report), troubles(report.last.conditions));
    CHECK(s.m.tokens("console-self-probe").size() == 1);
    const auto value = s.credential(console());
    CHECK(value != old);
    CHECK(s.m.vault_value(console().folder, console().key) == value);
    for (const auto& app : console().apps)
        CHECK(s.app_value(app, console().key) == value);
    s.check_quiet(report);
    CHECK(s.m.plan(s.wanted()).steps.empty());
}

namespace {

// The documents without those of billing-probe.
std::string without_billing(const std::string& yaml) {
    const auto from =
        yaml.find("---\napiVersion: postern/v1alpha1\nkind: ServiceToken\nmetadata: {name: billing-probe}");
    const auto to = yaml.find("---\napiVersion: postern/v1alpha1\nkind: ServiceToken\nmetadata: {name: apart-probe}");
    return yaml.substr(0, from) + yaml.substr(to);
}

} // namespace

TEST_CASE("drift: a document that left git") {
    scene s;
    const auto all = s.yaml;
    const bool deletes = [] {
        bool d = true;
        SUBCASE("with Retain") {
            d = false;
        }
        SUBCASE("with Delete") {
            d = true;
        }
        return d;
    }();
    if (deletes)
        s.rewrite("authorization: I authorize CF_ACCESS_SVC_BILLING",
                  "authorization: I authorize CF_ACCESS_SVC_BILLING\n  deletionPolicy: Delete");
    REQUIRE(fine(s.apply()));
    s.yaml = without_billing(s.yaml);
    s.m.requests();

    auto report = s.apply();
    check_condition(report, {"ServiceToken/billing-probe",
                             "Ready",
                             reason::left_git,
                             weight::told,
                             {deletes ? "apply --prune" : "everything stays"}});
    CHECK(s.m.writes() == 0);
    s.check_whole(billing());

    s.m.settings.how.prune = true;
    auto elsewhere = s.wanted();
    elsewhere.source = "another folder";
    s.m.apply(elsewhere);
    s.check_whole(billing());
    s.apply(); // which makes the others' records its own again
    s.m.requests();

    s.m.cloud.checks.excuse_from_now_on(
        {"heroku:raxx-billing/CF_ACCESS_SVC_BILLING", "", "", "its document left git, and the token goes first"});
    report = s.apply();
    INFO(troubles(report.last.conditions));
    if (deletes) {
        CHECK(s.m.tokens("billing-probe").empty());
        CHECK(s.m.vault_value(billing().folder, billing().key).empty());
        CHECK(s.app_value("raxx-billing", billing().key).empty());
        CHECK(s.application("billing.raxx.app").policies.empty());
        for (const auto& [key, row] : s.folder(billing().vault_state).secrets)
            CHECK_MESSAGE(!key.starts_with("billing-probe"), key);
        CHECK(s.m.plan(s.wanted()).steps.empty());
    } else {
        s.check_whole(billing());
        CHECK(s.m.writes() == 0);
    }
    s.check_whole(console());
    s.check_whole(apart());
    s.check_quiet(report);
}

TEST_CASE("drift: a document of another name takes over what the old one kept") {
    scene s;
    s.rewrite("authorization: I authorize CF_ACCESS_SVC_BILLING",
              "authorization: I authorize CF_ACCESS_SVC_BILLING\n  deletionPolicy: Delete");
    REQUIRE(fine(s.apply()));
    const auto value = s.credential(billing());
    s.rewrite("name: billing-probe", "name: billing-probe-two");
    s.rewrite("[billing-probe]", "[billing-probe-two]");
    s.rewrite("token: billing-probe", "token: billing-probe-two");
    s.m.settings.how.prune = true;
    auto report = s.apply();
    CHECK_MESSAGE(fine(report), troubles(report.last.conditions));
    const auto& kept = s.folder(billing().vault_state).secrets;
    CHECK(kept.count("billing-probe") == 0);
    CHECK(kept.count("billing-probe-two") == 1);
    CHECK(s.m.tokens("billing-probe").size() == 1);
    CHECK(s.m.vault_value(billing().folder, billing().key) == value);
    CHECK(s.app_value("raxx-billing", billing().key) == value);
    s.check_whole(console());
    s.check_quiet(report);
}

TEST_CASE("drift: a config var that was renamed, and two of one token on one app") {
    scene s;
    REQUIRE(fine(s.apply()));
    const auto value = s.credential(billing());
    const auto& old = billing().key;
    const std::string form = "token: billing-probe, apps: [raxx-billing]";
    SUBCASE("two bindings on one app: either's drift is repaired, and the next pass writes nothing") {
        s.yaml += R"(
---
apiVersion: postern/v1alpha1
kind: HerokuBinding
metadata: {name: billing-pair}
spec:
  account: heroku
  token: billing-probe
  apps: [raxx-billing]
  configVars: {clientId: BILLING_ID, clientSecret: BILLING_SECRET}
)";
        auto report = s.apply();
        CHECK_MESSAGE(fine(report), troubles(report.last.conditions));
        CHECK(s.app_value("raxx-billing", "BILLING_ID") + ":" + s.app_value("raxx-billing", "BILLING_SECRET") == value);
        s.m.cloud.broken_by_hand("drift of both variables, which Postern repairs", [&] {
            s.app("raxx-billing").config[old] = "somebody's";
            s.app("raxx-billing").config["BILLING_SECRET"] = "half";
        });
        report = s.apply();
        CHECK_MESSAGE(fine(report), troubles(report.last.conditions));
        CHECK(s.app_value("raxx-billing", old) == value);
        CHECK(s.app_value("raxx-billing", "BILLING_ID") + ":" + s.app_value("raxx-billing", "BILLING_SECRET") == value);
        s.m.requests();
        s.apply();
        CHECK(s.m.writes() == 0);
    }
    SUBCASE("renamed: told, kept, unset by a person alone") {
        s.m.settings.how.prune = true;
        s.rewrite(form, form + ", configVar: BILLING_NEW");
        auto report = s.apply();
        CHECK(s.app_value("raxx-billing", "BILLING_NEW") == value);
        CHECK(s.app_value("raxx-billing", old) == value);
        check_condition(report, {"ServiceToken/billing-probe",
                                 "Delivered",
                                 reason::left_git,
                                 weight::told,
                                 {old + " on app raxx-billing", "unset it there"}});
        s.m.requests();
        s.apply();
        CHECK(s.m.writes() == 0);
        s.app("raxx-billing").config.erase(old);
        report = s.apply();
        CHECK_MESSAGE(fine(report), troubles(report.last.conditions));
        s.m.requests();
        s.apply();
        CHECK(s.m.writes() == 0);
    }
    s.check_whole(console());
}

TEST_CASE("drift: observed only") {
    drifting s;
    const bool brake = [] {
        bool b = false;
        SUBCASE("by mode: Observe, of one token") {
            b = false;
        }
        SUBCASE("by --observe, of all") {
            b = true;
        }
        return b;
    }();
    const auto normal = s.yaml;
    if (brake)
        s.m.settings.how.observe = true;
    else
        s.rewrite("authorization: I authorize CF_ACCESS_SVC_CONSOLE",
                  "authorization: I authorize CF_ACCESS_SVC_CONSOLE\n  mode: Observe");
    s.by_hand([&] {
        s.remove_policy(prod);
        s.value(console().folder, console().key) = "garbage";
        s.m.cloud.platform.set(s.app("raxx-console-prod"), console().key, "garbage");
        s.value(billing().folder, billing().key) = "garbage";
    });
    auto report = s.apply();
    INFO(troubles(report.last.conditions));
    check_condition(
        report,
        {std::string{binding_resource}, "Ready", reason::observed_drift, weight::told, {"bind", "PolicyMissing"}});
    if (brake) {
        CHECK(s.m.writes() == 0);
        check_condition(report,
                        {"ServiceToken/billing-probe", "Ready", reason::observed_drift, weight::told, {"repair"}});
    } else {
        CHECK(s.m.vault_value(billing().folder, billing().key) == s.credential(billing()));
    }
    CHECK(s.m.vault_value(console().folder, console().key) == "garbage");
    CHECK(s.app_value("raxx-console-prod", console().key) == "garbage");
    CHECK(s.policies(prod, s.token(console()).id).empty());

    s.yaml = normal;
    s.m.settings.how.observe = false;
    report = s.apply();
    CHECK_MESSAGE(fine(report), troubles(report.last.conditions));
    s.check_all_whole();
}

TEST_CASE("drift: nothing is minted under Observe") {
    scene s;
    const bool brake = [] {
        bool b = false;
        SUBCASE("by mode: Observe, of one token") {
            b = false;
        }
        SUBCASE("by --observe, of all") {
            b = true;
        }
        return b;
    }();
    if (brake)
        s.m.settings.how.observe = true;
    else
        s.rewrite("authorization: I authorize CF_ACCESS_SVC_CONSOLE",
                  "authorization: I authorize CF_ACCESS_SVC_CONSOLE\n  mode: Observe");
    auto report = s.apply();
    s.check_untouched(console());
    if (brake)
        CHECK(s.m.writes() == 0);
    else
        s.check_whole(billing());
    // It is told to its end, not only as far as one could see without doing anything.
    INFO(troubles(report.last.conditions));
    check_condition(report, {"ServiceToken/console-self-probe",
                             "Ready",
                             reason::observed_drift,
                             weight::told,
                             {"mint service token", "promote CF_ACCESS_SVC_CONSOLE"}});
    check_condition(
        report,
        {"HerokuBinding/console-self-probe", "Ready", reason::observed_drift, weight::told, {"raxx-console-prod"}});
    const auto planned = s.m.plan(s.wanted());
    CHECK(planned.steps.empty());
    CHECK(troubles(planned.conditions).find("mint service token \"console-self-probe\"") != std::string::npos);
}

TEST_CASE("drift: a pass that would overwrite too much at once stops") {
    scene s;
    std::string more;
    for (int i = 0; i < 9; ++i) {
        const auto n = "extra-" + std::to_string(i);
        more += "---\napiVersion: postern/v1alpha1\nkind: ServiceToken\nmetadata: {name: " + n +
                "}\nspec:\n  account: raxx\n  vault: infisical\n  duration: 8760h\n  credential: {key: " + "EXTRA_" +
                std::to_string(i) + ", path: /MooseQuest/cloudflare}\n  authorization: I authorize EXTRA_" +
                std::to_string(i) + "\n---\napiVersion: postern/v1alpha1\nkind: AccessBinding\nmetadata: {name: " + n +
                "}\nspec:\n  tokens: [" + n + "]\n  applications: [{domain: billing.raxx.app}]\n";
    }
    s.yaml += more;
    auto report = s.apply();
    REQUIRE_MESSAGE(fine(report), troubles(report.last.conditions));
    auto spoil = [&](int n) {
        auto& keys = s.folder("/MooseQuest/cloudflare").secrets;
        s.m.cloud.broken_by_hand("too much at once", [&] {
            for (int i = 0; i < n; ++i)
                keys.find("EXTRA_" + std::to_string(i))->second.value = "garbage";
        });
        s.m.requests();
    };
    auto spoilt = [&] {
        int n = 0;
        for (int i = 0; i < 9; ++i)
            n += s.m.vault_value("/MooseQuest/cloudflare", "EXTRA_" + std::to_string(i)) == "garbage" ? 1 : 0;
        return n;
    };
    spoil(4); // of 12
    report = s.apply();
    check_condition(
        report, {"ServiceToken/extra-0", "Ready", reason::mass_change, weight::blocked, {"4 of 12", "--max-changes"}});
    CHECK(spoilt() == 4);
    CHECK(s.m.writes() == 0);
    s.m.settings.how.max_changes = 50;
    CHECK(fine(s.apply()));
    CHECK(spoilt() == 0);
    s.m.settings.how.max_changes = 30;
    spoil(3);
    report = s.apply();
    CHECK(fine(report));
    CHECK(spoilt() == 0);
    s.check_quiet(report);
}

} // namespace drift_test
