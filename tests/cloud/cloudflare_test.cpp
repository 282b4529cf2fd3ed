#include "cloud/caller.hpp"

#include <doctest/doctest.h>

#include <set>

namespace cloudflare_test {

using namespace postern;
using namespace postern::testcloud;
using namespace std::chrono_literals;

namespace {

struct fixture {
    cloud all;
    caller by{all};
    fixture() { all.seed_example(); }

    int code(const reply& r) { return static_cast<int>(r.parsed().at("errors").at(0).at("code").as_int64()); }
    std::string app() const { return "/apps/" + all.example.app_id; }
};

json::array naming(const std::string& token_id) {
    return json::array{{{"service_token", {{"token_id", token_id}}}}};
}

json::object service_auth(const std::string& name, const std::string& token_id) {
    json::object body{{"name", name}, {"decision", "non_identity"}};
    body["include"] = naming(token_id);
    return body;
}

} // namespace

TEST_CASE_FIXTURE(fixture, "every secret that is given out bears the canary") {
    const auto made = by.cloudflare("POST", "/service_tokens", {{"name", "probe"}});
    const std::string id{made.parsed().at("result").at("id").as_string()};
    CHECK(by.cloudflare("POST", "/service_tokens/" + id + "/rotate").status == 200);
    CHECK(by.log_in().status == 200);
    std::set<std::string> kinds;
    for (const auto& given : all.ledger.secrets()) {
        kinds.insert(given.kind);
        CHECK_MESSAGE(given.value.find(canary) != std::string::npos, given.kind);
    }
    CHECK(kinds ==
          std::set<std::string>{"api key", "api token", "client secret", "vault access token", "vault client secret"});
}

TEST_CASE_FIXTURE(fixture, "a token shows its secret when it is made and never again") {
    const auto made = by.cloudflare("POST", "/service_tokens", {{"name", "probe"}, {"duration", "24h"}});
    CHECK(made.status == 201);
    const auto token = made.parsed().at("result");
    CHECK(token.at("client_secret").as_string().starts_with("cfast_"));
    CHECK(token.at("client_secret").as_string().size() == 54);
    CHECK(token.at("client_id").as_string().ends_with(".access"));
    CHECK(token.at("expires_at").as_string() == format_instant(all.time.now() + 24h).c_str());
    const std::string path = "/service_tokens/" + std::string{token.at("id").as_string()};
    CHECK_FALSE(by.result_of("GET", path).as_object().contains("client_secret"));
    const auto list = by.result_of("GET", "/service_tokens");
    for (const auto& listed : list.as_array())
        CHECK_FALSE(listed.as_object().contains("client_secret"));
    CHECK(all.ledger.leaks_in(made.body).size() == 1);
}

TEST_CASE_FIXTURE(fixture, "names are no key, and what is no name or duration is refused") {
    CHECK(by.mint("same").id != by.mint("same").id);
    for (const json::object& body :
         {json::object{}, json::object{{"name", ""}}, json::object{{"name", 7}},
          json::object{{"name", "x"}, {"duration", "1y"}}, json::object{{"name", "x"}, {"duration", "-1h"}}}) {
        const auto refused = by.cloudflare("POST", "/service_tokens", body);
        CHECK(refused.status == 400);
        CHECK(code(refused) == 12130);
    }
}

TEST_CASE_FIXTURE(fixture, "forever has no expiry, in whichever way that is said") {
    const auto token = by.mint("eternal", "forever");
    auto shown = [&] { return by.result_of("GET", "/service_tokens/" + token.id).as_object(); };
    CHECK(shown().at("expires_at").is_null());
    all.access.switches.forever_expires_at = "absent";
    CHECK_FALSE(shown().contains("expires_at"));
    all.access.switches.forever_expires_at = "far";
    CHECK(shown().at("expires_at") == "9999-12-31T23:59:59Z");
    all.advance(24h * 3650);
    CHECK(state_of(all.access.config, token.shown, all.time.now()) == token_state::valid);
}

TEST_CASE_FIXTURE(fixture, "only a PUT with a duration, or a refresh, moves the expiry") {
    const auto token = by.mint("probe", "48h");
    const std::string path = "/service_tokens/" + token.id;
    auto expiry = [&] { return parse_instant(by.result_of("GET", path).at("expires_at").as_string()); };
    const auto first = *expiry();
    all.advance(1h);
    by.cloudflare("PUT", path, {{"name", "renamed"}});
    by.cloudflare("POST", path + "/rotate", json::object{});
    CHECK(*expiry() == first);
    by.cloudflare("PUT", path, {{"duration", "48h"}});
    CHECK(*expiry() == first + 1h);
    by.cloudflare("POST", path + "/refresh");
    CHECK(*expiry() == all.time.now() + 8760h);
    all.access.switches.refresh_uses_own_duration = true;
    by.cloudflare("POST", path + "/refresh");
    CHECK(*expiry() == all.time.now() + 48h);
}

TEST_CASE_FIXTURE(fixture, "a rotation ends the old secret at once, or at the time it is given") {
    const auto token = by.mint("probe");
    const std::string path = "/service_tokens/" + token.id;
    auto state = [&](const std::string& secret_text) {
        return state_of(all.access.config, {token.shown.client_id, secret_text}, all.time.now());
    };
    json::object overlap{{"previous_client_secret_expires_at", format_instant(all.time.now() + 2h)}};
    const auto second = by.result_of("POST", path + "/rotate", overlap);
    CHECK(second.at("client_id") == token.shown.client_id.c_str());
    const std::string second_secret{second.at("client_secret").as_string()};
    CHECK(state(token.shown.secret) == token_state::valid);
    CHECK(state(second_secret) == token_state::valid);
    all.advance(2h);
    CHECK(state(token.shown.secret) == token_state::wrong_secret);
    CHECK(state(second_secret) == token_state::valid);
    by.cloudflare("POST", path + "/rotate");
    CHECK(state(second_secret) == token_state::wrong_secret);
}

TEST_CASE_FIXTURE(fixture, "of three secrets the middle one outlives a rotation inside an overlap") {
    const auto token = by.mint("probe");
    const std::string path = "/service_tokens/" + token.id;
    json::object overlap{{"previous_client_secret_expires_at", format_instant(all.time.now() + 2h)}};
    const std::string second{by.result_of("POST", path + "/rotate", overlap).at("client_secret").as_string()};
    by.cloudflare("POST", path + "/rotate", overlap);
    CHECK(state_of(all.access.config, token.shown, all.time.now()) == token_state::wrong_secret);
    CHECK(state_of(all.access.config, {token.shown.client_id, second}, all.time.now()) == token_state::valid);
}

TEST_CASE_FIXTURE(fixture, "the previous secret's end can be moved, but not beyond thirty days") {
    const auto token = by.mint("probe");
    const std::string path = "/service_tokens/" + token.id;
    auto until = [&](duration d) {
        return json::object{{"previous_client_secret_expires_at", format_instant(all.time.now() + d)}};
    };
    CHECK(by.cloudflare("POST", path + "/rotate", until(24h * 31)).status == 400);
    CHECK(by.cloudflare("POST", path + "/rotate", until(24h * 30)).status == 200);
    CHECK(by.cloudflare("PUT", path, until(1h)).status == 200);
    all.advance(1h);
    CHECK(state_of(all.access.config, token.shown, all.time.now()) == token_state::wrong_secret);
}

TEST_CASE_FIXTURE(fixture, "a bumped version rotates too, and shows the secret") {
    const auto token = by.mint("probe");
    const auto plain = by.result_of("PUT", "/service_tokens/" + token.id, {{"name", "probe"}});
    CHECK_FALSE(plain.as_object().contains("client_secret"));
    const auto bumped = by.result_of("PUT", "/service_tokens/" + token.id, {{"client_secret_version", 2}});
    CHECK(bumped.at("client_secret") != token.shown.secret.c_str());
    CHECK(state_of(all.access.config, token.shown, all.time.now()) == token_state::wrong_secret);
}

TEST_CASE_FIXTURE(fixture, "a disabled token is off until it is on again") {
    const auto token = by.mint("probe");
    by.cloudflare("PUT", "/service_tokens/" + token.id, {{"name", "probe"}, {"enabled", false}});
    CHECK(state_of(all.access.config, token.shown, all.time.now()) == token_state::disabled);
    by.cloudflare("PUT", "/service_tokens/" + token.id, {{"name", "probe"}, {"enabled", true}});
    CHECK(state_of(all.access.config, token.shown, all.time.now()) == token_state::valid);
}

TEST_CASE_FIXTURE(fixture, "a token that a policy or a group names is not deleted") {
    const auto token = by.mint("probe");
    const auto policy_id = by.admit(token.id);
    auto deletion = [&] { return by.cloudflare("DELETE", "/service_tokens/" + token.id); };
    CHECK(code(deletion()) == 12139);
    const auto deleted = by.cloudflare("DELETE", app() + "/policies/" + policy_id);
    CHECK(deleted.status == 202);
    json::object machines{{"name", "machines"}};
    machines["include"] = naming(token.id);
    const std::string group_id{by.result_of("POST", "/groups", machines).at("id").as_string()};
    CHECK(code(deletion()) == 12139);
    by.cloudflare("DELETE", "/groups/" + group_id);
    CHECK(deletion().status == 200);
    CHECK(deletion().status == 404);
    CHECK(by.cloudflare("GET", "/service_tokens/" + token.id).status == 404);
}

TEST_CASE_FIXTURE(fixture, "lists are cut into pages, whatever was asked for") {
    for (int i = 0; i < 7; ++i)
        by.mint("token " + std::to_string(i));
    all.access.switches.per_page_cap = 3;
    std::set<std::string> seen;
    for (int number = 1; number <= 3; ++number) {
        const auto page = by.cloudflare("GET", "/service_tokens?per_page=100&page=" + std::to_string(number)).parsed();
        CHECK(page.at("result_info").at("per_page") == 3);
        CHECK(page.at("result_info").at("total_count") == 8);
        for (const auto& token : page.at("result").as_array())
            seen.emplace(token.at("id").as_string());
    }
    CHECK(seen.size() == 8);
    CHECK(by.result_of("GET", "/service_tokens?page=4").as_array().empty());
    CHECK(by.result_of("GET", "/service_tokens?name=token%203").as_array().size() == 1);
    CHECK(by.result_of("GET", "/service_tokens?name=token").as_array().size() == 3);
    all.access.switches.name_filter_exact = true;
    CHECK(by.result_of("GET", "/service_tokens?name=token").as_array().empty());
}

TEST_CASE_FIXTURE(fixture, "app-scoped policies: precedence is unique, the next is given, a PUT replaces all") {
    const auto token = by.mint("probe");
    const auto made = by.cloudflare("POST", app() + "/policies", service_auth("one", token.id));
    CHECK(made.status == 201);
    const auto policy = made.parsed().at("result");
    CHECK(policy.at("precedence") == 2);
    CHECK(policy.at("reusable") == false);
    auto taken = service_auth("two", token.id);
    taken["precedence"] = 2;
    CHECK(by.cloudflare("POST", app() + "/policies", taken).status == 400);
    const std::string path = app() + "/policies/" + std::string{policy.at("id").as_string()};
    auto restricted = service_auth("one", token.id);
    restricted["exclude"] = json::array{{{"ip", {{"ip", "192.0.2.0/24"}}}}};
    restricted["approval_required"] = true;
    by.cloudflare("PUT", path, restricted);
    CHECK(by.result_of("GET", path).at("exclude").as_array().size() == 1);
    by.cloudflare("PUT", path, service_auth("one", token.id));
    const auto again = by.result_of("GET", path);
    CHECK(again.at("exclude").as_array().empty());
    CHECK_FALSE(again.as_object().contains("approval_required"));
    CHECK(again.at("precedence") == 2);
}

TEST_CASE_FIXTURE(fixture, "a policy must be one: name, decision, include, tokens and groups that exist") {
    const auto token = by.mint("probe");
    auto status = [&](const json::object& body) { return by.cloudflare("POST", app() + "/policies", body).status; };
    auto good = service_auth("x", token.id);
    for (const auto* missing : {"name", "decision", "include"}) {
        auto body = good;
        body.erase(missing);
        CHECK(status(body) == 400);
    }
    CHECK(status(service_auth("x", token.shown.client_id)) == 400);
    auto odd = good;
    odd["decision"] = "maybe";
    CHECK(status(odd) == 400);
    auto grouped = good;
    grouped["include"] = json::array{{{"group", {{"id", "nope"}}}}};
    CHECK(code(by.cloudflare("POST", app() + "/policies", grouped)) == 11020);
    auto unknown = good;
    unknown["include"] = json::array{{{"user_risk_score", {{"level", "low"}}}}};
    const auto kept = by.result_of("POST", app() + "/policies", unknown);
    CHECK(kept.at("include") == unknown.at("include"));
}

TEST_CASE_FIXTURE(fixture, "each kind of policy is changed at its own endpoint only") {
    const auto token = by.mint("probe");
    const auto scoped = by.admit(token.id);
    CHECK(by.cloudflare("PUT", "/policies/" + scoped, service_auth("x", token.id)).status == 404);
    CHECK(code(by.cloudflare("GET", "/policies/" + scoped)) == 12135);
    CHECK(by.cloudflare("PUT", app() + "/policies/" + scoped + "/make_reusable", json::object{}).status == 200);
    const auto refused = by.cloudflare("PUT", app() + "/policies/" + scoped, service_auth("x", token.id));
    CHECK(refused.status == 400);
    CHECK(refused.body.find("can not update reusable policies through this endpoint") != std::string::npos);
    CHECK(by.cloudflare("PUT", "/policies/" + scoped, service_auth("x", token.id)).status == 200);
    const auto shared = by.result_of("GET", "/policies/" + scoped);
    CHECK(shared.at("app_count") == 1);
    CHECK(shared.at("reusable") == true);
    CHECK(by.cloudflare("DELETE", "/policies/" + scoped).status == 409);
    const auto both = by.result_of("GET", app() + "/policies");
    CHECK(both.as_array().size() == 2);
}

TEST_CASE_FIXTURE(fixture, "an application PUT replaces the whole, and policies follow what the array says") {
    const auto token = by.mint("probe");
    const auto scoped = by.admit(token.id);
    auto body = by.result_of("GET", app()).as_object();
    auto without_policies = body;
    without_policies.erase("policies");
    CHECK(by.result_of("PUT", app(), without_policies).at("policies").as_array().size() == 2);
    auto typeless = body;
    typeless.erase("type");
    CHECK(code(by.cloudflare("PUT", app(), typeless)) == 12130);
    auto forgetful = without_policies;
    forgetful.erase("session_duration");
    CHECK_FALSE(by.result_of("PUT", app(), forgetful).as_object().contains("session_duration"));
    auto repeated = without_policies;
    repeated["policies"] = json::array{{{"id", scoped}, {"precedence", 1}}, {{"id", scoped}, {"precedence", 1}}};
    CHECK(by.cloudflare("PUT", app(), repeated).status == 400);
    auto strange = without_policies;
    strange["policies"] = json::array{"0f0e0d0c-0000-4000-8000-000000000000"};
    CHECK(by.cloudflare("PUT", app(), strange).status == 500);
    CHECK(by.result_of("GET", app()).at("policies").as_array().size() == 2);

    auto bare = without_policies;
    bare["policies"] = nullptr;
    CHECK(by.result_of("PUT", app(), bare).at("policies").as_array().empty());
    CHECK(by.cloudflare("GET", app() + "/policies/" + scoped).status == 404);
    CHECK_FALSE(all.access.config.policies.contains(scoped));
    CHECK(by.cloudflare("DELETE", "/service_tokens/" + token.id).status == 200);
}

TEST_CASE_FIXTURE(fixture, "a reusable policy survives being unlinked") {
    const auto token = by.mint("probe");
    const std::string id{by.result_of("POST", "/policies", service_auth("shared", token.id)).at("id").as_string()};
    auto body = by.result_of("GET", app()).as_object();
    const std::string first{body.at("policies").at(0).at("id").as_string()};
    body["policies"] = json::array{first, id};
    CHECK(by.result_of("PUT", app(), body).at("policies").at(1).at("reusable") == true);
    body["policies"] = json::array{first};
    by.cloudflare("PUT", app(), body);
    CHECK(by.result_of("GET", "/policies/" + id).at("app_count") == 0);
    CHECK(by.cloudflare("DELETE", "/policies/" + id).status == 202);
}

TEST_CASE_FIXTURE(fixture, "the 401 flag needs a Service Auth policy, and holds the last one") {
    auto body = by.result_of("GET", app()).as_object();
    body.erase("policies");
    body["service_auth_401_redirect"] = true;
    CHECK(by.cloudflare("PUT", app(), body).status == 400);
    const auto token = by.mint("probe");
    const auto policy_id = by.admit(token.id);
    CHECK(by.cloudflare("PUT", app(), body).status == 200);
    CHECK(by.cloudflare("DELETE", app() + "/policies/" + policy_id).status == 400);
    CHECK(by.cloudflare("GET", app() + "/policies/" + policy_id).status == 200);
}

TEST_CASE_FIXTURE(fixture, "no two applications guard one place, and a deleted one takes its policies along") {
    json::object twin{{"name", "Twin"}, {"type", "self_hosted"}, {"domain", "console.raxx.app"}};
    CHECK(by.cloudflare("POST", "/apps", twin).status == 409);
    CHECK(by.cloudflare("POST", "/apps", json::object{}).body.find("app type is missing or invalid") !=
          std::string::npos);
    const auto token = by.mint("probe");
    const auto policy_id = by.admit(token.id);
    CHECK(by.cloudflare("DELETE", app()).status == 202);
    CHECK_FALSE(all.access.config.policies.contains(policy_id));
    CHECK(code(by.cloudflare("GET", app())) == 11021);
    CHECK(by.cloudflare("POST", "/apps", twin).status == 201);
}

TEST_CASE_FIXTURE(fixture, "applications are found by name, and exactly where that is asked") {
    CHECK(by.result_of("GET", "/apps?name=Console").as_array().size() == 2);
    CHECK(by.result_of("GET", "/apps?name=Console&exact=true").as_array().size() == 1);
    CHECK(by.result_of("GET", "/apps?domain=status.raxx.app").as_array().size() == 1);
    CHECK(by.result_of("GET", "/apps/" + all.example.app_id).at("domain") == "console.raxx.app");
}

TEST_CASE_FIXTURE(fixture, "who may not is told so, in Cloudflare's several ways") {
    auto as = [&](const std::string& header, const std::string& target) {
        std::vector<field> headers;
        if (!header.empty())
            headers.push_back({"Authorization", header});
        return by.send(service::cloudflare, "GET", target, headers, nullptr);
    };
    const std::string tokens = "/client/v4/accounts/" + all.access.account_id + "/access/service_tokens";
    const std::string good = "Bearer " + all.example.api_token;
    CHECK(as("", tokens).status == 400);
    CHECK(code(as("Bearer wrong", tokens)) == 10000);
    CHECK(as("Bearer wrong", tokens).status == 403);
    CHECK(code(as("Bearer with space", tokens)) == 6003);
    CHECK(as("Bearer wrong", "/client/v4/user/tokens/verify").status == 401);
    CHECK(code(as(good, "/client/v4/accounts/0123/access/service_tokens")) == 7003);
    CHECK(as(good, "/client/v4/user/tokens/verify").parsed().at("result").at("status") == "active");
    CHECK(as(good, "/client/v4/accounts/" + all.access.account_id + "/tokens/verify").status == 401);
    all.access.api_tokens[0].account_owned = true;
    CHECK(as(good, "/client/v4/user/tokens/verify").status == 401);
    CHECK(as(good, "/client/v4/accounts/" + all.access.account_id + "/tokens/verify").status == 200);

    all.access.api_tokens[0].scopes = {"apps:write"};
    CHECK(as(good, tokens).status == 403);
    CHECK(by.cloudflare("GET", "/apps").status == 200);
    all.access.switches.missing_scope_lists_empty = true;
    CHECK(as(good, tokens).parsed().at("result").as_array().empty());
    all.access.api_tokens[0].scopes = {"tokens:read"};
    CHECK(as(good, tokens).status == 200);
    CHECK(by.cloudflare("POST", "/service_tokens", {{"name", "x"}}).status == 403);
}

TEST_CASE_FIXTURE(fixture, "over the limit everything is refused for five minutes") {
    all.access.switches.enforce_limits = true;
    all.access.switches.limit = 3;
    for (int i = 0; i < 3; ++i)
        CHECK(by.cloudflare("GET", "/apps").status == 200);
    CHECK(by.last.answer.header("Ratelimit") == "\"default\";r=0;t=300");
    const auto refused = by.cloudflare("GET", "/apps");
    CHECK(refused.status == 429);
    CHECK(code(refused) == 971);
    CHECK(refused.header("Retry-After") == "300");
    all.advance(4min);
    CHECK(by.cloudflare("GET", "/apps").header("Retry-After") == "60");
    all.advance(1min);
    CHECK(by.cloudflare("GET", "/apps").status == 200);
}

TEST_CASE_FIXTURE(fixture, "the organization says what is on, and the access log who came") {
    CHECK(by.result_of("GET", "/organizations").at("strict_service_token_auth") == false);
    CHECK_FALSE(by.result_of("GET", "/organizations").as_object().contains("service_token_inactivity"));
    const auto token = by.mint("probe");
    by.admit(token.id);
    by.visit("console.raxx.app", token.shown);
    by.visit("console.raxx.app");
    const auto log = by.result_of("GET", "/logs/access_requests").as_array();
    REQUIRE(log.size() == 1);
    CHECK(log[0].at("allowed") == true);
    CHECK(by.result_of("GET", "/service_tokens/" + token.id).as_object().contains("last_seen_at"));
}

} // namespace cloudflare_test
