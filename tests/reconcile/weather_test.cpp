#include "reconcile/scene.hpp"

#include <algorithm>

namespace weather_test {

using namespace postern;
using namespace postern::testing;
using namespace std::chrono_literals;
using domain::weight;
using testcloud::fault;
using testcloud::fault_action;
using testcloud::service;

namespace {

namespace reason = domain::reason;

// One kind of bad weather that meets console-self-probe before it exists.
struct row {
    std::string_view name;
    std::function<void(scene&)> trick;
    std::function<void(scene&)> cure;
    std::vector<expected> conditions;
    // What has to stand after the first pass, besides the tokens that are not concerned.
    std::function<void(scene&)> stands = [](scene& s) { s.check_untouched(console()); };
    bool billing_too = false; // the connections that billing-probe shares are hit
};

// Nothing but time and the cure lies between the two passes: no word of a person, no trace of the first left behind.
void play(const row& r) {
    scene s;
    r.trick(s);
    auto first = s.apply();
    INFO(troubles(first.last.conditions));
    CHECK(!first.unsettled);
    for (const auto& e : r.conditions)
        check_condition(first, e);
    s.check_whole(apart());
    if (!r.billing_too)
        s.check_whole(billing());
    if (r.stands)
        r.stands(s);
    s.check_quiet(first);

    r.cure(s);
    s.m.cloud.changed();
    s.m.clock.advance(2min);
    auto second = s.apply();
    INFO("after the cure:\n", troubles(second.last.conditions));
    CHECK(fine(second));
    s.check_all_whole();
    s.check_quiet(second);
    CHECK(s.m.plan(s.wanted()).steps.empty());
}

void play_all(const std::vector<row>& rows) {
    for (const auto& r : rows) {
        CAPTURE(r.name);
        play(r);
    }
}

error unreachable(std::string what) {
    return {error_kind::unavailable, {}, std::move(what), 0, {}, {}};
}

row down(std::string_view name, std::string origin, std::string what, std::string resource) {
    return {name,
            [origin, what](scene& s) {
                s.in_the_way = [origin, what](const net::request& r) -> std::optional<error> {
                    return r.origin == origin ? std::optional{unreachable(what)} : std::nullopt;
                };
            },
            [](scene& s) { s.in_the_way = {}; },
            {{std::move(resource), "Ready", reason::unavailable, weight::failed, {what}}},
            [](scene& s) {
                s.check_untouched(console());
                s.check_untouched(billing());
            },
            true};
}

testcloud::api_token& shared_token(scene& s) {
    return s.m.cloud.access.api_tokens.front();
}

constexpr auto cloudflare_down = "CloudflareAccount/raxx";
constexpr auto console_token = "ServiceToken/console-self-probe";
constexpr auto console_binding = "AccessBinding/console-self-probe";
constexpr auto console_apps = "HerokuBinding/console-self-probe";

// The credential exists and is kept; consumers know nothing of it.
void pending_only(scene& s) {
    const auto found = s.m.tokens("console-self-probe (pending ");
    REQUIRE(found.size() == 1);
    const auto value = found.front()->client_id + ":" + found.front()->secret;
    int kept = 0;
    for (const auto& [key, held] : s.folder("/MooseQuest/postern").secrets)
        kept += key.starts_with("console-self-probe.") && held.value == value ? 1 : 0;
    CHECK(kept == 1);
    CHECK(s.m.vault_value("/MooseQuest/cloudflare", "CF_ACCESS_SVC_CONSOLE").empty());
    for (const auto& app : console().apps)
        CHECK(s.app_value(app, "CF_ACCESS_SVC_CONSOLE").empty());
}

} // namespace

TEST_CASE("the scene is whole in fair weather") {
    scene s;
    auto report = s.apply();
    CHECK_MESSAGE(fine(report), troubles(report.last.conditions));
    s.check_all_whole();
    s.check_quiet(report);
    CHECK(s.m.plan(s.wanted()).steps.empty());
}

TEST_CASE("bad weather: a remote that cannot be reached") {
    const std::string dns = "DNS: api.cloudflare.com: Host not found";
    const std::string tls = "TLS: the certificate is not trusted: self-signed certificate";
    play_all({
        down("Cloudflare: no name", "http://127.0.0.1:1001", dns, "CloudflareAccount/raxx"),
        down("Cloudflare: refused TLS", "http://127.0.0.1:1001", tls, "CloudflareAccount/raxx"),
        down("the vault: refused connection", "http://127.0.0.1:1002", "refused the connection",
             "InfisicalVault/infisical"),
        down("the vault: refused TLS", "http://127.0.0.1:1002", tls, "InfisicalVault/infisical"),
        down("Heroku: no name", "http://127.0.0.1:1003", dns, "HerokuAccount/heroku"),
        down("Heroku: refused TLS", "http://127.0.0.1:1003", tls, "HerokuAccount/heroku"),
    });
}

TEST_CASE("bad weather: keys that are refused") {
    auto nothing = [](scene& s) {
        s.check_untouched(console());
        s.check_untouched(billing());
    };
    play_all({
        {"wrong management token",
         [](scene& s) {
             s.folder("/MooseQuest/cloudflare").secrets.find("CLOUDFLARE_ACCESS_MGMT_TOKEN")->second.value =
                 "cfut_of_somebody_else_0123456789abcdef01234567";
         },
         [](scene& s) {
             s.folder("/MooseQuest/cloudflare").secrets.find("CLOUDFLARE_ACCESS_MGMT_TOKEN")->second.value =
                 s.m.cloud.example.api_token;
         },
         {{cloudflare_down, "Ready", reason::refused, weight::failed, {"API token is wrong, expired or revoked"}}},
         nothing,
         true},
        {"no management token",
         [](scene& s) { s.folder("/MooseQuest/cloudflare").secrets.clear(); },
         [](scene& s) {
             s.m.cloud.vault.put(s.folder("/MooseQuest/cloudflare"), "CLOUDFLARE_ACCESS_MGMT_TOKEN",
                                 s.m.cloud.example.api_token);
         },
         {{cloudflare_down, "Ready", reason::refused, weight::failed, {"CLOUDFLARE_ACCESS_MGMT_TOKEN"}}},
         nothing,
         true},
        {"may not read service tokens",
         [](scene& s) {
             shared_token(s).scopes = {"apps:write", "org:read"};
         },
         [](scene& s) { shared_token(s).scopes = {"*"}; },
         {{cloudflare_down, "Ready", reason::refused, weight::failed, {"Access: Service Tokens Read"}}},
         nothing,
         true},
        {"may not read applications",
         [](scene& s) {
             shared_token(s).scopes = {"tokens:write", "tokens:read", "org:read"};
         },
         [](scene& s) { shared_token(s).scopes = {"*"}; },
         {{cloudflare_down, "Ready", reason::refused, weight::failed, {"Access: Apps and Policies Read"}}},
         nothing,
         true},
        {"may not write service tokens",
         [](scene& s) {
             shared_token(s).scopes = {"tokens:read", "apps:read", "apps:write", "org:read"};
         },
         [](scene& s) { shared_token(s).scopes = {"*"}; },
         {{console_token, "Provisioned", reason::refused, weight::blocked, {"Access: Service Tokens Write"}}},
         nothing,
         true},
        {"may not write policies",
         [](scene& s) {
             shared_token(s).scopes = {"tokens:read", "tokens:write", "apps:read", "org:read"};
         },
         [](scene& s) { shared_token(s).scopes = {"*"}; },
         {{console_binding, "Bound", reason::refused, weight::blocked, {"Access: Apps and Policies Write"}}},
         pending_only,
         true},
        {"may not read applications, and gets an empty list",
         [](scene& s) {
             shared_token(s).scopes = {"tokens:write", "tokens:read", "org:read"};
             s.m.cloud.access.switches.missing_scope_lists_empty = true;
         },
         [](scene& s) { shared_token(s).scopes = {"*"}; },
         {{console_binding,
           "Bound",
           reason::application_not_found,
           weight::blocked,
           {"list of applications is empty", "Access: Apps and Policies"}}},
         nothing,
         true},
        {"wrong login at the vault",
         [](scene& s) { s.m.environment["INFISICAL_CLIENT_SECRET"] = "not the secret at all"; },
         [](scene& s) { s.m.environment["INFISICAL_CLIENT_SECRET"] = s.m.cloud.example.client_secret; },
         {{"InfisicalVault/infisical", "Ready", reason::refused, weight::failed, {}}},
         nothing,
         true},
        {"not a member of the vault's project",
         [](scene& s) { s.m.cloud.vault.identities.front().role = ""; },
         [](scene& s) { s.m.cloud.vault.identities.front().role = "member"; },
         {{"InfisicalVault/infisical", "Ready", reason::refused, weight::failed, {}}},
         nothing,
         true},
        {"may read the vault, not write",
         [](scene& s) { s.m.cloud.vault.identities.front().role = "viewer"; },
         [](scene& s) { s.m.cloud.vault.identities.front().role = "member"; },
         {{"InfisicalVault/infisical", "Ready", reason::refused, weight::blocked, {}}},
         nothing,
         true},
        {"wrong key at Heroku",
         [](scene& s) { s.m.cloud.platform.keys.front().valid = false; },
         [](scene& s) { s.m.cloud.platform.keys.front().valid = true; },
         {{"HerokuAccount/heroku", "Ready", reason::refused, weight::failed, {"API key is wrong, expired or revoked"}}},
         nothing,
         true},
        {"may read config vars at Heroku, not write",
         [](scene& s) { s.m.cloud.platform.keys.front().scopes = {"read-protected"}; },
         [](scene& s) { s.m.cloud.platform.keys.front().scopes = {"global"}; },
         {{console_apps, "Delivered", reason::refused, weight::blocked, {"write-protected"}}},
         [](scene& s) {
             CHECK(s.m.vault_value("/MooseQuest/cloudflare", "CF_ACCESS_SVC_CONSOLE") == s.credential(console()));
         },
         true},
    });
}

TEST_CASE("bad weather: an application that is not what the documents say") {
    const std::string id = "fbacf797-9708-40eb-8c70-0ab558e96988"; // console-staging
    static testcloud::application aside;
    auto take = [id](scene& s) {
        auto& apps = s.m.cloud.access.config.apps;
        aside = apps.at(id);
        apps.erase(id);
        ++s.m.cloud.access.config.places_generation;
    };
    auto give_back = [id](scene& s) {
        s.m.cloud.access.config.apps[id] = aside;
        ++s.m.cloud.access.config.places_generation;
    };
    play_all({
        {"404 on an id",
         [&](scene& s) {
             s.rewrite("{domain: console-staging.raxx.app}", "{id: " + id + "}");
             take(s);
         },
         give_back,
         {{console_binding, "Bound", reason::application_not_found, weight::blocked, {id}}}},
        {"two applications for one domain",
         [](scene& s) {
             s.m.cloud.access.add_application("Console Copy", "console.raxx.app",
                                              "0c0ffee0-0000-4000-8000-000000000000");
         },
         [](scene& s) {
             s.m.cloud.access.config.apps.erase("0c0ffee0-0000-4000-8000-000000000000");
             ++s.m.cloud.access.config.places_generation;
         },
         {{console_binding,
           "Bound",
           reason::application_ambiguous,
           weight::blocked,
           {"0c0ffee0-0000-4000-8000-000000000000", "0b55d01b-592b-4da4-b170-02d48a9f550d", "name it by id"}}}},
        {"another application answers at the smoke test's path",
         [](scene& s) {
             s.m.cloud.access.add_application("Inner", "console.raxx.app/console-self-probe",
                                              "0c0ffee0-0000-4000-8000-000000000001");
         },
         [](scene& s) {
             s.m.cloud.access.config.apps.erase("0c0ffee0-0000-4000-8000-000000000001");
             ++s.m.cloud.access.config.places_generation;
         },
         {{console_binding, "Bound", reason::path_taken, weight::blocked, {"Inner"}}}},
    });
}

TEST_CASE("bad weather: tokens that are there already") {
    static std::vector<std::string> foreign;
    foreign.clear();
    auto mint = [](scene& s) { foreign.push_back(s.m.cloud.access.mint("console-self-probe").id); };
    auto remove = [](scene& s) {
        for (const auto& id : foreign)
            s.m.cloud.access.config.tokens.erase(id);
        foreign.clear();
    };
    auto left_alone = [](scene& s) {
        CHECK(s.m.tokens("console-self-probe").size() == foreign.size());
        CHECK(s.m.vault_value("/MooseQuest/cloudflare", "CF_ACCESS_SVC_CONSOLE").empty());
    };
    play_all({
        {"one of the name, whose secret nobody can show",
         mint,
         remove,
         {{console_token,
           "Provisioned",
           reason::secret_unknown,
           weight::blocked,
           {"adopt", "I authorize CF_ACCESS_SVC_CONSOLE"}}},
         left_alone},
        {"two of the name",
         [&](scene& s) {
             mint(s);
             mint(s);
         },
         remove,
         {{console_token, "Provisioned", reason::duplicate_name, weight::blocked, {"2 tokens", "adopt"}}},
         left_alone},
    });
}

TEST_CASE("bad weather: the account takes no more tokens") {
    scene s;
    const auto all = s.yaml;
    s.rewrite("authorization: I authorize CF_ACCESS_SVC_CONSOLE", "mode: Observe");
    s.apply();
    s.yaml = all;
    s.m.cloud.access.switches.token_limit = s.m.cloud.access.config.tokens.size();
    auto report = s.apply();
    check_condition(report, {console_token, "Provisioned", reason::refused, weight::blocked, {"maximum number"}});
    s.check_untouched(console());
    s.check_whole(billing());
    s.m.cloud.access.switches.token_limit.reset();
    s.m.clock.advance(2min);
    report = s.apply();
    CHECK_MESSAGE(fine(report), troubles(report.last.conditions));
    s.check_all_whole();
    s.check_quiet(report);
}

TEST_CASE("bad weather: the vault") {
    play_all({
        {"no such folder",
         [](scene& s) {
             s.rewrite("{key: CF_ACCESS_SVC_CONSOLE, path: /MooseQuest/cloudflare}",
                       "{key: CF_ACCESS_SVC_CONSOLE, path: /MooseQuest/nowhere}");
         },
         [](scene& s) { s.rewrite("path: /MooseQuest/nowhere", "path: /MooseQuest/cloudflare"); },
         {{console_token, "Provisioned", reason::folder_missing, weight::blocked, {"/MooseQuest/nowhere"}}}},
        {"a write to the credential folder is answered with an approval",
         [](scene& s) { s.m.cloud.vault.switches.approval_paths = {"/MooseQuest/cloudflare"}; },
         [](scene& s) { s.m.cloud.vault.switches.approval_paths.clear(); },
         {{console_token,
           "Provisioned",
           reason::awaiting_approval,
           weight::blocked,
           {"/MooseQuest/cloudflare", "nothing was stored"}}},
         pending_only},
        {"writes to Postern's own folder are answered with an approval",
         [](scene& s) { s.m.cloud.vault.switches.approval_paths = {"/MooseQuest/postern"}; },
         [](scene& s) { s.m.cloud.vault.switches.approval_paths.clear(); },
         {{"InfisicalVault/infisical", "Ready", reason::awaiting_approval, weight::blocked, {"/MooseQuest/postern"}}},
         [](scene& s) {
             s.check_untouched(console());
             s.check_untouched(billing());
         },
         true},
        {"a key that is there twice",
         [](scene& s) {
             auto& f = s.folder("/MooseQuest/cloudflare");
             s.m.cloud.vault.put(f, "CF_ACCESS_SVC_CONSOLE", "one");
             s.m.cloud.vault.put(f, "CF_ACCESS_SVC_CONSOLE", "two", true);
         },
         [](scene& s) { s.folder("/MooseQuest/cloudflare").secrets.erase("CF_ACCESS_SVC_CONSOLE"); },
         {{console_token,
           "Provisioned",
           reason::duplicate_key,
           weight::blocked,
           {"CF_ACCESS_SVC_CONSOLE", "/MooseQuest/cloudflare"}}},
         [](scene& s) { CHECK(s.m.tokens("console-self-probe").empty()); }},
        {"a key that holds somebody's value",
         [](scene& s) {
             s.m.cloud.vault.put(s.folder("/MooseQuest/cloudflare"), "CF_ACCESS_SVC_CONSOLE", "somebody's");
         },
         [](scene& s) { s.folder("/MooseQuest/cloudflare").secrets.erase("CF_ACCESS_SVC_CONSOLE"); },
         {{console_token, "Provisioned", reason::key_taken, weight::blocked, {"CF_ACCESS_SVC_CONSOLE"}}},
         [](scene& s) {
             CHECK(s.m.tokens("console-self-probe").empty());
             CHECK(s.m.vault_value("/MooseQuest/cloudflare", "CF_ACCESS_SVC_CONSOLE") == "somebody's");
         }},
    });
}

TEST_CASE("bad weather: the vault stops taking writes in the middle, and asks for approvals") {
    scene s;
    std::size_t writes = 0;
    SUBCASE("when the credential is to be held") {
        writes = 1;
    }
    SUBCASE("when the record is to be written") {
        writes = 0;
    }
    fault f;
    f.what = fault_action::hook;
    f.to = service::infisical;
    f.method = "POST";
    f.path = writes == 1 ? "/secrets/raw/console-self-probe\\." : "/secrets/raw/console-self-probe$";
    f.act = [&] { s.m.cloud.vault.switches.approval_paths = {"/MooseQuest/postern"}; };
    s.m.cloud.trouble.add(f);
    auto report = s.apply();
    INFO(troubles(report.last.conditions));
    check_condition(
        report, {console_token, "Provisioned", reason::awaiting_approval, weight::blocked, {"/MooseQuest/postern"}});
    s.check_whole(apart());
    CHECK(s.m.vault_value("/MooseQuest/cloudflare", "CF_ACCESS_SVC_CONSOLE").empty());
    // Nobody writes to a path again that stores nothing.
    std::size_t answered = 0;
    for (const auto& e : s.m.cloud.ledger.requests()) {
        answered += e.to == service::infisical && e.kind == "write" && !e.by_operator &&
                            e.target.find("/console-self-probe") != std::string::npos
                        ? 1
                        : 0;
    }
    CHECK(answered == writes + 1);
    s.m.cloud.vault.switches.approval_paths.clear();
    s.m.clock.advance(2min);
    report = s.apply();
    CHECK_MESSAGE(fine(report), troubles(report.last.conditions));
    s.check_all_whole();
    s.check_quiet(report);
}

TEST_CASE("bad weather: the vault hides values") {
    scene s;
    s.m.environment["CLOUDFLARE_RAXX_TOKEN"] = s.m.cloud.example.api_token;
    s.rewrite("{vault: {vault: infisical, key: CLOUDFLARE_ACCESS_MGMT_TOKEN}}", "{env: CLOUDFLARE_RAXX_TOKEN}");
    s.m.cloud.vault.switches.hide_values = true;
    SUBCASE("of a key that is there already") {
        s.m.cloud.vault.put(s.folder("/MooseQuest/cloudflare"), "CF_ACCESS_SVC_CONSOLE", "somebody's");
        s.m.cloud.vault.put(s.folder("/MooseQuest/billing"), "CF_ACCESS_SVC_BILLING", "somebody's");
        auto report = s.apply();
        check_condition(report, {console_token,
                                 "Provisioned",
                                 reason::value_hidden,
                                 weight::blocked,
                                 {"CF_ACCESS_SVC_CONSOLE", "right to read"}});
        CHECK(s.m.tokens("console-self-probe").empty());
        s.folder("/MooseQuest/cloudflare").secrets.erase("CF_ACCESS_SVC_CONSOLE");
        s.folder("/MooseQuest/billing").secrets.erase("CF_ACCESS_SVC_BILLING");
    }
    SUBCASE("of what Postern writes itself") {
        auto report = s.apply();
        INFO(troubles(report.last.conditions));
        CHECK(has_reason(report.last.conditions, reason::refused));
        CHECK(s.m.tokens("console-self-probe").empty());
    }
    s.m.cloud.vault.switches.hide_values = false;
    s.m.clock.advance(2min);
    auto report = s.apply();
    CHECK_MESSAGE(fine(report), troubles(report.last.conditions));
    s.check_all_whole();
    s.check_quiet(report);
}

TEST_CASE("bad weather: Heroku") {
    auto prod = [](scene& s) -> testcloud::heroku_app& { return s.app("raxx-console-prod"); };
    auto staging_served = [](scene& s) {
        const auto value = s.credential(console());
        CHECK(s.m.vault_value("/MooseQuest/cloudflare", "CF_ACCESS_SVC_CONSOLE") == value);
        CHECK(s.app_value("raxx-console-staging", "CF_ACCESS_SVC_CONSOLE") == value);
        CHECK(s.app_value("raxx-console-prod", "CF_ACCESS_SVC_CONSOLE") != value);
    };
    play_all({
        {"an app that is gone",
         [prod](scene& s) { prod(s).gone = true; },
         [prod](scene& s) { prod(s).gone = false; },
         {{console_apps,
           "Delivered",
           reason::app_unreadable,
           weight::blocked,
           {"raxx-console-prod", "no app of this name"}}},
         [](scene& s) { CHECK(s.m.tokens("console-self-probe").empty()); }},
        {"an app that is locked",
         [prod](scene& s) { prod(s).locked = true; },
         [prod](scene& s) { prod(s).locked = false; },
         {{console_apps, "Delivered", reason::app_unreadable, weight::blocked, {"raxx-console-prod", "locked app"}}}},
        {"an app that asks for a second factor",
         [prod](scene& s) { prod(s).two_factor = true; },
         [prod](scene& s) { prod(s).two_factor = false; },
         {{console_apps, "Delivered", reason::app_unreadable, weight::blocked, {"second factor"}}}},
        {"an app that goes when the vault's key is written",
         [prod](scene& s) {
             fault f;
             f.what = fault_action::hook;
             f.to = service::infisical;
             f.method = "POST";
             f.path = "/CF_ACCESS_SVC_CONSOLE";
             f.after = true;
             auto& app = prod(s);
             f.act = [&app] { app.gone = true; };
             s.m.cloud.trouble.add(f);
         },
         [prod](scene& s) { prod(s).gone = false; },
         {{console_apps, "Delivered", reason::refused, weight::blocked, {"raxx-console-prod"}}},
         staging_served},
        {"a config var with somebody else's value",
         [prod](scene& s) { s.m.cloud.platform.set(prod(s), "CF_ACCESS_SVC_CONSOLE", "somebody's"); },
         [prod](scene& s) { s.m.cloud.platform.set(prod(s), "CF_ACCESS_SVC_CONSOLE", std::nullopt); },
         {{console_apps, "Delivered", reason::config_var_taken, weight::blocked, {"raxx-console-prod", "adopt: true"}}},
         staging_served},
        {"a config var that an add-on owns",
         [prod](scene& s) { prod(s).attachment_keys.insert("CF_ACCESS_SVC_CONSOLE"); },
         [prod](scene& s) { prod(s).attachment_keys.clear(); },
         {{console_apps, "Delivered", reason::refused, weight::blocked, {"raxx-console-prod", "add-on"}}},
         staging_served},
        {"a release phase that fails",
         [prod](scene& s) {
             prod(s).phase = {true, 30s, true, false};
         },
         [prod](scene& s) {
             prod(s).phase = {};
             s.m.cloud.platform.set(prod(s), "LOG_LEVEL", "debug");
         },
         {{console_apps, "Delivered", reason::release_failed, weight::blocked, {"raxx-console-prod", "release phase"}}},
         staging_served},
        {"a release phase that does not end",
         [prod](scene& s) {
             prod(s).phase = {true, 30s, false, true};
         },
         [prod](scene& s) {
             for (auto& release : prod(s).releases) {
                 if (release.status == "pending")
                     release.status = "failed";
             }
             prod(s).phase = {};
             s.m.cloud.platform.set(prod(s), "LOG_LEVEL", "debug");
         },
         {{console_apps, "Delivered", reason::release_pending, weight::waiting, {"raxx-console-prod", "still"}}},
         staging_served},
    });
}

TEST_CASE("bad weather: a release phase that is slow is waited for, once") {
    scene s;
    s.app("raxx-console-prod").phase = {true, 7min, false, false};
    auto report = s.apply();
    CHECK_MESSAGE(fine(report), troubles(report.last.conditions));
    s.check_all_whole();
    s.check_quiet(report);
    CHECK(s.app("raxx-console-prod").releases.size() == 3);
}

TEST_CASE("bad weather: somebody's release of our variables is waited for before they are set") {
    scene s;
    auto& prod = s.app("raxx-console-prod");
    auto running = [&](const std::string& var, bool fails) {
        prod.phase = {true, 7min, fails, false};
        s.m.cloud.platform.set(prod, var, "by hand");
        prod.phase.present = false; // of what comes after it
    };
    SUBCASE("and what it set is not overwritten") {
        running(console().key, false);
        auto report = s.apply();
        check_condition(report, {console_apps, "Delivered", reason::config_var_taken, weight::blocked, {prod.name}});
        CHECK(report.failures.empty());
        CHECK(s.app_value(prod.name, console().key) == "by hand");
    }
    SUBCASE("unless it fails") {
        running(console().key, true);
        auto report = s.apply();
        CHECK_MESSAGE(fine(report), troubles(report.last.conditions));
        CHECK(report.failures.empty());
        s.check_all_whole();
    }
    SUBCASE("though a later one is through") {
        running(console().key, true);
        prod.releases.push_back(prod.releases.back());
        ++prod.releases.back().version;
        prod.releases.back().status = "succeeded";
        auto report = s.apply();
        CHECK_MESSAGE(fine(report), troubles(report.last.conditions));
        CHECK(report.failures.empty());
        s.check_all_whole();
    }
    SUBCASE("one of two") {
        s.rewrite("{account: heroku, token: console-self-probe, ",
                  "{account: heroku, token: console-self-probe, configVars: {clientId: ID, clientSecret: SECRET}, ");
        running("SECRET", true);
        auto report = s.apply();
        CHECK_MESSAGE(fine(report), troubles(report.last.conditions));
        CHECK(report.failures.empty());
        CHECK(s.app_value(prod.name, "ID") + ":" + s.app_value(prod.name, "SECRET") == s.credential(console()));
    }
}

TEST_CASE("bad weather: a release that failed is named by the next process too, and not repeated") {
    scene s;
    s.app("raxx-console-prod").phase = {true, 30s, true, false};
    s.apply();
    const auto releases = s.app("raxx-console-prod").releases.size();
    auto report = s.apply();
    check_condition(report,
                    {console_apps, "Delivered", reason::release_failed, weight::blocked, {"raxx-console-prod"}});
    CHECK(s.app("raxx-console-prod").releases.size() == releases);
}

namespace {

fault edge_answers(int status, std::vector<testcloud::field> headers, std::string body) {
    fault f;
    f.what = fault_action::answer;
    f.to = service::edge;
    f.path = "^/console-self-probe/health";
    f.times = 0;
    f.status = status;
    f.headers = std::move(headers);
    f.body = std::move(body);
    return f;
}

row edge_row(std::string_view name, fault what, expected e) {
    return {name,
            [what](scene& s) { s.m.cloud.trouble.add(what); },
            [](scene& s) { s.m.cloud.trouble.clear(); },
            {std::move(e)},
            pending_only};
}

} // namespace

TEST_CASE("bad weather: a smoke test that does not pass is named for what it is") {
    const std::string login = "https://raxx.cloudflareaccess.com/cdn-cgi/access/login/console.raxx.app";
    play_all({
        edge_row(
            "302 to the login", edge_answers(302, {{"Location", login}}, ""),
            {console_token, "Verified", reason::propagating, weight::waiting, {"HTTP 302", "login page", "policy"}}),
        edge_row("302 to the login of an application that is not meant",
                 edge_answers(302, {{"Location", login + "?kid=" + std::string(64, 'f')}}, ""),
                 {console_token,
                  "Verified",
                  reason::proof_failed,
                  weight::failed,
                  {"HTTP 302", "another application", "the credential is not shown to it"}}),
        edge_row("401", edge_answers(401, {{"WWW-Authenticate", "Cloudflare-Access"}}, "<html>Unauthorized</html>"),
                 {console_token,
                  "Verified",
                  reason::propagating,
                  weight::waiting,
                  {"HTTP 401", "wrong, expired or disabled"}}),
        edge_row(
            "403", edge_answers(403, {{"WWW-Authenticate", "Cloudflare-Access"}}, "<html>Forbidden</html>"),
            {console_token, "Verified", reason::propagating, weight::waiting, {"HTTP 403", "valid but not allowed"}}),
        {"WAF 1010",
         [](scene& s) { s.m.cloud.network.hosts["console.raxx.app"].waf = true; },
         [](scene& s) { s.m.cloud.network.hosts.clear(); },
         {{console_token,
           "Verified",
           reason::proof_failed,
           weight::failed,
           {"https://console.raxx.app", "1010", "before Access"}}},
         [](scene& s) {
             pending_only(s);
             CHECK(!s.shown_to_host("console.raxx.app"));
         }},
        {"5xx",
         [](scene& s) { s.m.cloud.network.hosts["console.raxx.app"].failing = 502; },
         [](scene& s) { s.m.cloud.network.hosts.clear(); },
         {{console_token,
           "Verified",
           reason::unavailable,
           weight::waiting,
           {"https://console.raxx.app", "HTTP 502", "origin"}}},
         pending_only},
        {"DNS",
         [](scene& s) {
             s.in_the_way = [](const net::request& r) -> std::optional<error> {
                 if (r.connect_to && r.origin == "https://console.raxx.app")
                     return unreachable("DNS: console.raxx.app: Host not found");
                 return {};
             };
         },
         [](scene& s) { s.in_the_way = {}; },
         {{console_token,
           "Verified",
           reason::unavailable,
           weight::waiting,
           {"https://console.raxx.app", "DNS", "resolve"}}},
         pending_only},
        {"another status",
         [](scene& s) { s.m.cloud.network.hosts["console.raxx.app"].status = 404; },
         [](scene& s) { s.m.cloud.network.hosts.clear(); },
         {{console_token, "Verified", reason::proof_failed, weight::failed, {"HTTP 404", "200 is expected"}}},
         pending_only},
        {"a host that does not refuse strangers",
         [](scene& s) { s.m.cloud.network.hosts["console.raxx.app"].outside_access = true; },
         [](scene& s) { s.m.cloud.network.hosts.clear(); },
         {{console_token, "Verified", reason::proof_failed, weight::failed, {"without a credential", "public"}}},
         [](scene& s) {
             pending_only(s);
             CHECK(!s.shown_to_host("console.raxx.app"));
         }},
        {"a host that refuses, but not the way Access does",
         [](scene& s) {
             auto& host = s.m.cloud.network.hosts["console.raxx.app"];
             host.outside_access = true;
             host.status = 401;
         },
         [](scene& s) { s.m.cloud.network.hosts.clear(); },
         {{console_token, "Verified", reason::proof_failed, weight::failed, {"not by Access"}}},
         [](scene& s) {
             pending_only(s);
             CHECK(!s.shown_to_host("console.raxx.app"));
         }},
    });
}

TEST_CASE("bad weather: a policy that the API refuses") {
    play_all({{"400 12130",
               [](scene& s) {
                   s.m.cloud.trouble.add(
                       cloudflare_refuses("POST", "/apps/0b55d01b-592b-4da4-b170-02d48a9f550d/policies", 400, 12130,
                                          "access.api.error.invalid_request: policy could not be created"));
               },
               [](scene& s) { s.m.cloud.trouble.clear(); },
               {{console_binding, "Bound", reason::refused, weight::blocked, {"12130", "invalid_request"}}},
               pending_only}});
}

TEST_CASE("bad weather: a person edits a policy between our reading and our writing") {
    scene s;
    CHECK(fine(s.apply()));
    const auto& ours = *s.policies("console.raxx.app", s.token(console()).id).front();
    auto& policy = s.m.cloud.access.config.policies.at(ours.id);
    s.m.cloud.broken_by_hand("drift, which Postern repairs", [&] {
        policy.include.clear();
        policy.include.push_back(testcloud::json::object{{"service_token", {{"token_id", s.token(billing()).id}}}});
    });
    fault f;
    f.what = fault_action::hook;
    f.to = service::cloudflare;
    f.method = "GET";
    f.path = "/policies/" + ours.id;
    f.act = [&] {
        policy.extra["session_duration"] = "30m";
        policy.include.push_back(testcloud::json::object{{"geo", {{"country_code", "PT"}}}});
        s.m.cloud.changed();
    };
    s.m.cloud.trouble.add(f);
    auto report = s.apply();
    CHECK_MESSAGE(fine(report), troubles(report.last.conditions));
    CHECK(std::count(s.m.told.words.begin(), s.m.told.words.end(), "bind!") == 1);
    CHECK(std::count(s.m.told.words.begin(), s.m.told.words.end(), "bind") == 1);
    const auto text = testcloud::json::serialize(policy.include);
    CHECK(text.find("PT") != std::string::npos);
    CHECK(text.find(s.token(console()).id) != std::string::npos);
    CHECK(text.find(s.token(billing()).id) != std::string::npos);
    CHECK(testcloud::text_at(policy.extra, "session_duration") == "30m");
    check_condition(report, {console_binding, "Bound", reason::foreign_members, weight::told, {"PT"}});
}

} // namespace weather_test
