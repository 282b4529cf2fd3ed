#include "cloud_transport.hpp"
#include "printing.hpp"
#include "provider/cloudflare.hpp"
#include "provider/edge.hpp"
#include "provider/heroku.hpp"
#include "provider/infisical.hpp"
#include "support/harness.hpp"

#include <boost/json.hpp>
#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace cloud_test {

// The clients against the miniature cloud: the answers are a faithful server's, not ours.

using namespace postern;
using domain::verdict;
using provider::infisical;
using testing::run;

namespace {

const std::string folder = "/MooseQuest/cloudflare";

struct example {
    testcloud::cloud all{7};
    example() { all.seed_example(); }
};

struct world : example {
    boost::asio::io_context io;
    testing::cloud_transport wire{all};
    testing::cloud_clock clock{all};
    provider::cloudflare access{wire, "https://api.cloudflare.com/client/v4", all.access.account_id,
                                secret{all.example.api_token}, &clock};
    provider::heroku platform{wire, "https://api.heroku.com", secret{all.example.heroku_key}};
    infisical vault{wire, clock, {"https://app.infisical.com", "", all.vault.project_slug, "prod"}, keys()};

    domain::live_application console() {
        auto list = run(io, access.list_applications());
        REQUIRE(list);
        auto is_console = [&](const domain::live_application& a) { return a.id == all.example.app_id; };
        auto found = std::find_if(list->begin(), list->end(), is_console);
        REQUIRE(found != list->end());
        return *found;
    }

    provider::answer knock(const std::string& credential) {
        provider::knock at;
        at.host = all.example.app_host;
        at.path = "/health";
        return credential.empty() ? run(io, provider::knock_as_stranger(wire, at))
                                  : run(io, provider::knock_with(wire, at, secret{credential}));
    }

    void meets(testcloud::fault_action what, bool after = false, const std::string& method = "write") {
        testcloud::fault f;
        f.what = what;
        f.after = after;
        f.method = method;
        f.status = 502;
        f.body = "<html><title>Bad gateway</title></html>";
        all.trouble.add(std::move(f));
    }

private:
    infisical::login keys() const {
        infisical::universal_login k;
        k.client_id = secret{all.example.client_id};
        k.client_secret = secret{all.example.client_secret};
        return k;
    }
};

} // namespace

TEST_CASE("a credential's whole life, call by call") {
    world w;
    CHECK(run(w.io, w.access.verify())->status == "active");
    CHECK_FALSE(run(w.io, w.access.strict()).value());
    CHECK(run(w.io, w.access.list_groups())->empty());

    auto minted = run(w.io, w.access.create_token("console-self-probe (pending n1)", "8760h"));
    REQUIRE(minted);
    CHECK(minted->token.expires_at == w.all.time.now() + std::chrono::hours{8760});
    auto credential = minted->token.client_id + ":" + std::string{minted->client_secret.reveal()};
    CHECK(w.access.skew() == duration{0});

    CHECK(w.knock("").is == verdict::login_redirect);
    auto refused = w.knock(credential);
    CHECK(refused.is == verdict::login_redirect);
    CHECK(refused.aud == w.console().aud);
    CHECK(refused.detail.find("was ignored") != std::string::npos);

    auto before = w.console();
    CHECK(before.destinations == std::vector<std::string>{w.all.example.app_host});
    auto highest = 0;
    for (const auto& p : before.policies)
        highest = std::max(highest, p.precedence);
    std::vector<std::string> first{minted->token.id};
    auto policy = run(w.io, w.access.create_policy(before.id, "svc", first, highest + 1));
    REQUIRE(policy);
    CHECK(w.console().policies.back().version == policy->version);
    CHECK(w.knock(credential).is == verdict::passed);

    CHECK(run(w.io, w.vault.folder_exists(folder)).value());
    CHECK_FALSE(run(w.io, w.vault.folder_exists("/MooseQuest/postern")).value());
    CHECK(run(w.io, w.vault.list("/MooseQuest/postern"))->empty());
    CHECK(run(w.io, w.vault.create("/MooseQuest/postern", "K", secret{credential}, "")).error().kind ==
          error_kind::refused);
    CHECK(run(w.io, w.vault.create_folder("/MooseQuest/postern")));
    CHECK(run(w.io, w.vault.create("/MooseQuest/postern", "K", secret{credential}, "held")));
    CHECK(run(w.io, w.vault.create("/MooseQuest/postern", "K", secret{"x"}, "")).error().kind == error_kind::conflict);
    CHECK(run(w.io, w.vault.update("/MooseQuest/postern", "other", secret{"x"})).error().kind == error_kind::conflict);
    CHECK(run(w.io, w.vault.update("/MooseQuest/postern", "K", secret{credential})));
    auto read = run(w.io, w.vault.read("/MooseQuest/postern", "K"));
    REQUIRE(read);
    CHECK((*read)->value.reveal() == credential);
    CHECK((*read)->version == 2);
    CHECK(run(w.io, w.vault.remove("/MooseQuest/postern", "K")));
    CHECK(run(w.io, w.vault.remove("/MooseQuest/postern", "K")));
    CHECK_FALSE(run(w.io, w.vault.read("/MooseQuest/postern", "K"))->has_value());

    std::map<std::string, std::optional<secret>> vars;
    vars.emplace("CF_ACCESS_SVC_CONSOLE", secret{credential});
    auto patched = run(w.io, w.platform.patch_config_vars(w.all.example.heroku_app, std::move(vars)));
    REQUIRE(patched);
    CHECK(patched->vars.at("CF_ACCESS_SVC_CONSOLE").reveal() == credential);
    CHECK(run(w.io, w.platform.config_vars(w.all.example.heroku_app))->at("LOG_LEVEL").reveal() == "info");
    auto releases = run(w.io, w.platform.releases(w.all.example.heroku_app, 1));
    REQUIRE(releases);
    REQUIRE(releases->size() == 1);
    CHECK(releases->front().description.find("CF_ACCESS_SVC_CONSOLE") != std::string::npos);

    auto second = run(w.io, w.access.create_token("second", "8760h"));
    REQUIRE(second);
    provider::cloudflare::policy_edit swap;
    swap.application = before.id;
    swap.policy = policy->id;
    swap.version = policy->version;
    swap.add = {second->token.id};
    swap.remove = {minted->token.id};
    w.all.checks.excuse_from_now_on(
        {"", "", minted->token.client_id, "taken out of its policy, with an app holding it"});
    auto swapped = run(w.io, w.access.edit_policy(swap));
    REQUIRE(swapped);
    CHECK(swapped->version == w.console().policies.back().version);
    CHECK(run(w.io, w.access.edit_policy(swap)).error().kind == error_kind::conflict);
    auto detached = w.knock(credential);
    CHECK(detached.is == verdict::login_redirect);
    CHECK(detached.detail.find("the credential is recognised") != std::string::npos);

    CHECK(run(w.io, w.access.delete_token(second->token.id)).error().code == "12139");
    CHECK(run(w.io, w.access.delete_policy(before.id, policy->id, swapped->version)));
    CHECK(run(w.io, w.access.delete_policy(before.id, policy->id, swapped->version)));
    CHECK(run(w.io, w.access.delete_token(second->token.id)));
    CHECK(run(w.io, w.access.delete_token(second->token.id)));
    CHECK_FALSE(run(w.io, w.access.get_token(second->token.id))->has_value());

    provider::cloudflare::token_changes off;
    off.enabled = false;
    CHECK_FALSE(run(w.io, w.access.update_token(minted->token.id, off))->enabled);
    auto dead = w.knock(credential);
    CHECK(dead.is == verdict::login_redirect);
    CHECK(dead.detail.find("not recognised") != std::string::npos);
}

TEST_CASE("lists longer than a page, whatever the server's cap") {
    for (std::size_t cap : {3U, 25U, 100U, 1000U}) {
        CAPTURE(cap);
        world w;
        w.all.access.switches.per_page_cap = cap;
        for (int i = 0; i < 130; ++i)
            w.all.access.mint("token " + std::to_string(i));
        auto list = run(w.io, w.access.list_tokens());
        REQUIRE(list);
        CHECK(list->size() == w.all.access.config.tokens.size());
    }
}

TEST_CASE("reusable policies, whether or not the list says which they are") {
    for (bool shown : {true, false}) {
        CAPTURE(shown);
        world w;
        w.all.access.switches.show_reusable = shown;
        auto minted = run(w.io, w.access.create_token("t", "8760h"));
        REQUIRE(minted);
        auto other = run(w.io, w.access.create_token("u", "8760h"));
        REQUIRE(other);
        auto at = "/client/v4/accounts/" + w.all.access.account_id + "/access";
        auto rule = [](const std::string& id) {
            return boost::json::object{{"service_token", boost::json::object{{"token_id", id}}}};
        };
        boost::json::object body{
            {"name", "shared"}, {"decision", "allow"}, {"include", boost::json::array{rule(minted->token.id)}}};
        auto made = w.all.as_operator(testcloud::service::cloudflare, "POST", at + "/policies", body).parsed();
        auto id = made.at("result").at("id").as_string();
        auto app =
            w.all.as_operator(testcloud::service::cloudflare, "GET", at + "/apps/" + w.all.example.app_id).parsed();
        auto put = app.at("result").as_object();
        boost::json::array links;
        for (const auto& p : put.at("policies").as_array())
            links.push_back(boost::json::object{{"id", p.at("id")}, {"precedence", p.at("precedence")}});
        links.push_back(boost::json::object{{"id", id}, {"precedence", 9}});
        put["policies"] = links;
        auto done = w.all.as_operator(testcloud::service::cloudflare, "PUT", at + "/apps/" + w.all.example.app_id, put);
        REQUIRE(done.status == 200);

        auto policies = w.console().policies;
        REQUIRE(policies.size() == 2);
        CHECK_FALSE(policies[0].reusable);
        CHECK(policies[1].reusable);
        CHECK(policies[1].precedence == 9);
        provider::cloudflare::policy_edit e;
        e.application = w.all.example.app_id;
        e.policy = policies[1].id;
        e.reusable = true;
        e.version = policies[1].version;
        e.make_non_identity = true;
        e.add = {other->token.id};
        auto edited = run(w.io, w.access.edit_policy(e));
        REQUIRE(edited);
        CHECK(edited->version == w.console().policies[1].version);
        for (const auto& m : {&*minted, &*other})
            CHECK(w.knock(m->token.client_id + ":" + std::string{m->client_secret.reveal()}).is == verdict::passed);
    }
}

TEST_CASE("a write whose reply is lost or garbled is ambiguous, and never sent twice") {
    using action = testcloud::fault_action;
    const std::vector<std::pair<action, bool>> faults{{action::drop, false},     {action::drop, true},
                                                      {action::reset, true},     {action::cut, false},
                                                      {action::truncate, false}, {action::answer, true}};
    for (const auto& [what, after] : faults) {
        CAPTURE(to_string(what));
        world w;
        auto policy = w.console().policies.front();
        provider::cloudflare::policy_edit e;
        e.application = w.all.example.app_id;
        e.policy = policy.id;
        e.version = policy.version;
        auto other = run(w.io, w.access.create_token("other", "24h"));
        REQUIRE(other);
        e.add = {other->token.id};
        CHECK(run(w.io, w.vault.list(folder)));
        auto requests = w.all.ledger.requests().size();
        auto sent = [&] {
            return w.all.ledger.requests().size() - std::exchange(requests, w.all.ledger.requests().size());
        };
        auto is_ambiguous = [&](const auto& outcome, std::size_t calls) {
            REQUIRE_FALSE(outcome);
            CAPTURE(outcome.error().message());
            CHECK(outcome.error().kind == error_kind::ambiguous);
            CHECK(sent() == calls);
        };
        w.meets(what, after);
        is_ambiguous(run(w.io, w.access.create_token("t", "24h")), 1);
        w.meets(what, after);
        std::vector<std::string> tokens{other->token.id};
        is_ambiguous(run(w.io, w.access.create_policy(w.all.example.app_id, "p", tokens, 7)), 1);
        w.meets(what, after);
        is_ambiguous(run(w.io, w.access.edit_policy(e)), 2);
        w.meets(what, after);
        is_ambiguous(run(w.io, w.vault.create(folder, "NEW", secret{"x"}, "")), 1);
        w.meets(what, after);
        is_ambiguous(run(w.io, w.vault.update(folder, "CF_ACCESS_SVC_STATUS", secret{"x"})), 1);
        w.meets(what, after);
        is_ambiguous(run(w.io, w.vault.remove(folder, "CF_ACCESS_SVC_STATUS")), 1);
        std::map<std::string, std::optional<secret>> vars;
        vars.emplace("A", secret{"b"});
        w.meets(what, after);
        is_ambiguous(run(w.io, w.platform.patch_config_vars(w.all.example.heroku_app, std::move(vars))), 1);
    }
}

TEST_CASE("an old Infisical, and a new one without v4") {
    for (bool old_server : {false, true}) {
        CAPTURE(old_server);
        world w;
        w.all.vault.switches.old_server = old_server;
        w.all.vault.switches.v4 = false;
        CHECK(run(w.io, w.vault.create(folder, "K", secret{"  padded \n"}, "")));
        CHECK(run(w.io, w.vault.create(folder, "K", secret{"x"}, "")).error().kind == error_kind::conflict);
        auto read = run(w.io, w.vault.read(folder, "K"));
        REQUIRE(read);
        CHECK(same((*read)->value, provider::as_stored("  padded \n")));
        CHECK(run(w.io, w.vault.update(folder, "K", secret{"y"})));
        CHECK(run(w.io, w.vault.remove(folder, "K")));
        CHECK(run(w.io, w.vault.remove(folder, "K")));
        CHECK_FALSE(run(w.io, w.vault.read(folder, "K"))->has_value());
        CHECK(run(w.io, w.vault.list("/no/such"))->empty());
    }
}

TEST_CASE("vault: approval, hidden values, duplicates, expired and revoked tokens, lockout") {
    world w;
    w.all.vault.switches.approval_paths = {folder};
    CHECK(run(w.io, w.vault.create(folder, "K", secret{"v"}, "")).value() == infisical::written::awaiting_approval);
    CHECK(run(w.io, w.vault.update(folder, "CF_ACCESS_SVC_STATUS", secret{"v"})).value() ==
          infisical::written::awaiting_approval);
    CHECK(run(w.io, w.vault.remove(folder, "CF_ACCESS_SVC_STATUS")).value() == infisical::written::awaiting_approval);
    w.all.vault.switches.approval_paths.clear();

    auto& rows = w.all.vault.folder(*w.all.vault.environment("prod"), folder);
    w.all.vault.put(rows, "CF_ACCESS_SVC_STATUS", "another row", true);
    auto list = run(w.io, w.vault.list(folder));
    REQUIRE(list);
    auto is_status = [](const infisical::entry& e) { return e.key == "CF_ACCESS_SVC_STATUS"; };
    CHECK(std::count_if(list->begin(), list->end(), is_status) == 2);

    w.all.vault.switches.hide_values = true;
    auto hidden = run(w.io, w.vault.list(folder));
    REQUIRE(hidden);
    for (const auto& e : *hidden) {
        CHECK(e.hidden);
        CHECK(e.value.empty());
    }
    w.all.vault.switches.hide_values = false;

    for (auto& [text, token] : w.all.vault.access_tokens)
        token.revoked = true;
    CHECK(run(w.io, w.vault.list(folder)));
    for (auto& [text, token] : w.all.vault.access_tokens)
        token.expires_at = token.max_expires_at = w.all.time.now() - std::chrono::seconds{1};
    CHECK(run(w.io, w.vault.update(folder, "CLOUDFLARE_ACCESS_MGMT_TOKEN", secret{"v"})));

    w.all.vault.access_tokens.clear();
    auto& machine = w.all.vault.identities.front();
    auto good = std::exchange(machine.client_secrets, {});
    for (int i = 0; i < 10; ++i)
        CHECK(run(w.io, w.vault.list(folder)).error().kind == error_kind::credential);
    CHECK(machine.bad_logins == 1);
    machine.client_secrets = good;
    w.all.advance(std::chrono::seconds{61});
    CHECK(run(w.io, w.vault.list(folder)));
}

TEST_CASE("limits, missing scopes and a second factor") {
    world w;
    w.all.access.api_tokens.front().scopes = {"tokens:read"};
    auto e = run(w.io, w.access.create_token("t", "24h")).error();
    CHECK(e.kind == error_kind::credential);
    CHECK(e.what.find("Access: Service Tokens Write") != std::string::npos);
    w.all.access.api_tokens.front().status = "expired";
    CHECK(run(w.io, w.access.list_tokens()).error().kind == error_kind::credential);
    w.all.access.api_tokens.front().status = "active";
    CHECK(run(w.io, w.access.list_tokens()).error().status == 0); // it is not even tried again yet
    w.access.use(secret{"another"});
    w.access.use(secret{w.all.example.api_token});

    w.all.access.switches.enforce_limits = true;
    w.all.access.switches.limit = 3;
    result<std::vector<domain::live_token>> list;
    for (int i = 0; i < 5; ++i)
        list = run(w.io, w.access.list_tokens());
    REQUIRE_FALSE(list);
    CHECK(list.error().kind == error_kind::throttled);
    CHECK(list.error().retry_after.value() > std::chrono::seconds{0});
    CHECK(list.error().retry_after.value() <= std::chrono::minutes{5});
}

TEST_CASE("a strict organization answers with 401 and 403") {
    world w;
    w.all.access.config.org.strict_service_token_auth = true;
    w.all.changed();
    CHECK(run(w.io, w.access.strict()).value());
    auto minted = run(w.io, w.access.create_token("t", "24h"));
    REQUIRE(minted);
    auto id = minted->token.client_id;
    CHECK(w.knock("").is == verdict::login_redirect);
    CHECK(w.knock(id + ":wrong").is == verdict::unauthorized);
    CHECK(w.knock(id + ":" + std::string{minted->client_secret.reveal()}).is == verdict::forbidden);
}

} // namespace cloud_test
