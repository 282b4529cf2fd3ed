#include "cloud/caller.hpp"

#include <doctest/doctest.h>

#include <functional>
#include <stdexcept>

namespace checker_test {

using namespace postern;
using namespace postern::testcloud;
using namespace std::chrono_literals;

namespace {

constexpr auto app_var = "heroku:raxx-console-prod/CRED";
constexpr auto vault_key = "vault:prod:/MooseQuest/cloudflare/CRED";

struct fixture {
    cloud all;
    caller by{all};
    caller::minted token;

    fixture() {
        all.seed_example();
        token = by.mint("probe");
    }
    // Each test here is about refusals, and has judged those that it brought about.
    ~fixture() { all.checks.meant(refusals().size(), "what the test is about"); }
    fixture(const fixture&) = delete;
    fixture& operator=(const fixture&) = delete;

    void deliver(const std::string& value) {
        by.heroku("PATCH", "/apps/raxx-console-prod/config-vars", json::object{{"CRED", value}});
    }
    std::vector<refusal> refusals() const { return all.checks.refusals(); }
    const consumer& who(const std::string& name) const { return all.checks.consumers().at(name); }
    caller::minted rotate(const std::string& overlap_until = {}) {
        json::object body;
        if (!overlap_until.empty())
            body["previous_client_secret_expires_at"] = overlap_until;
        const auto made = by.result_of("POST", "/service_tokens/" + token.id + "/rotate", body);
        return {token.id, {token.shown.client_id, made.at("client_secret").as_string().c_str()}};
    }
};

} // namespace

TEST_CASE_FIXTURE(fixture, "a value that is a credential makes a consumer, and admission gives it hosts") {
    deliver(token.value());
    by.secret("POST", "CRED", token.value().c_str());
    CHECK(who(app_var).hosts.empty());
    by.admit(token.id);
    CHECK(who(app_var).hosts == std::set<std::string>{"console.raxx.app"});
    CHECK(who(vault_key).hosts == std::set<std::string>{"console.raxx.app"});
    deliver("no credential at all");
    by.secret("POST", "OTHER", "id:secret");
    CHECK_FALSE(all.checks.consumers().contains("vault:prod:/MooseQuest/cloudflare/OTHER"));
    CHECK(all.checks.consumers().contains("vault:prod:/MooseQuest/cloudflare/CF_ACCESS_SVC_STATUS"));
}

TEST_CASE_FIXTURE(fixture, "rotating under a consumer's feet is a refusal, once for each, until it is mended") {
    by.admit(token.id);
    deliver(token.value());
    by.secret("POST", "CRED", token.value().c_str());
    CHECK(refusals().empty());
    const auto next = rotate();
    REQUIRE(refusals().size() == 2);
    CHECK(refusals()[0].consumer == app_var);
    CHECK(refusals()[0].place == "console.raxx.app");
    CHECK(refusals()[0].why == "wrong secret");
    CHECK(refusals()[0].cause.find("/rotate") != std::string::npos);
    CHECK(refusals()[0].locations == 3);
    CHECK_FALSE(refusals()[0].until);
    all.advance(1h);
    deliver(next.value());
    CHECK(refusals().size() == 2);
    CHECK(refusals()[0].until == all.time.now());
    CHECK_FALSE(refusals()[1].until);
}

TEST_CASE_FIXTURE(fixture, "a rotation with an overlap, delivered within it, refuses nobody") {
    by.admit(token.id);
    deliver(token.value());
    const auto next = rotate(format_instant(all.time.now() + 2h));
    all.advance(1h);
    deliver(next.value());
    all.advance(24h);
    CHECK(refusals().empty());
}

TEST_CASE_FIXTURE(fixture, "an overlap that ends before delivery is a refusal at that very instant") {
    by.admit(token.id);
    deliver(token.value());
    const auto end = all.time.now() + 2h;
    rotate(format_instant(end));
    all.advance(24h);
    REQUIRE(refusals().size() == 1);
    CHECK(refusals()[0].at == end);
    CHECK(refusals()[0].cause == "time passing");
}

TEST_CASE_FIXTURE(fixture, "an expiry, a disabled token, a detached policy, a deleted token are refusals") {
    const auto policy_id = by.admit(token.id);
    deliver(token.value());
    const std::string policy_path = "/apps/" + all.example.app_id + "/policies/" + policy_id;
    SUBCASE("expiry") {
        const auto end = *all.access.config.tokens[token.id].expires_at;
        all.advance(8761h);
        REQUIRE(refusals().size() == 1);
        CHECK(refusals()[0].why == "expired");
        CHECK(refusals()[0].at == end);
    }
    SUBCASE("disabled") {
        by.cloudflare("PUT", "/service_tokens/" + token.id, {{"name", "x"}, {"enabled", false}});
        REQUIRE(refusals().size() == 1);
        CHECK(refusals()[0].why == "disabled");
    }
    SUBCASE("detached") {
        by.cloudflare("DELETE", policy_path);
        REQUIRE(refusals().size() == 1);
        CHECK(refusals()[0].why == "not admitted");
    }
    SUBCASE("deleted") {
        by.cloudflare("DELETE", policy_path);
        by.cloudflare("DELETE", "/service_tokens/" + token.id);
        CHECK(refusals().size() == 1);
        CHECK_FALSE(refusals()[0].until);
    }
    SUBCASE("the policy becomes an allow") {
        json::object body{{"name", "machines"}, {"decision", "allow"}};
        body["include"] = json::array{{{"service_token", {{"token_id", token.id}}}}};
        by.cloudflare("PUT", policy_path, body);
        CHECK(refusals().size() == 1);
    }
}

TEST_CASE_FIXTURE(fixture, "a wrong value counts, a removed one does not") {
    by.admit(token.id);
    deliver(token.value());
    SUBCASE("removed") {
        by.heroku("PATCH", "/apps/raxx-console-prod/config-vars", json::object{{"CRED", nullptr}});
        CHECK(refusals().empty());
        deliver("");
        CHECK(refusals().empty());
    }
    SUBCASE("rubbish") {
        deliver("rubbish");
        REQUIRE(refusals().size() == 1);
        CHECK(refusals()[0].why == "not a credential");
    }
    SUBCASE("another token, not admitted") {
        const auto other = by.mint("other");
        deliver(other.value());
        REQUIRE(refusals().size() == 1);
        CHECK(refusals()[0].why == "not admitted");
        by.admit(other.id);
        CHECK(refusals()[0].until);
    }
}

TEST_CASE_FIXTURE(fixture, "two variables that hold the halves are one consumer") {
    by.admit(token.id);
    const auto next = by.mint("next");
    by.admit(next.id);
    auto set = [&](const json::object& vars) { by.heroku("PATCH", "/apps/raxx-console-prod/config-vars", vars); };
    set({{"CF_ID", token.shown.client_id}, {"CF_SECRET", token.shown.secret}});
    CHECK(who("heroku:raxx-console-prod/CF_ID+CF_SECRET").hosts.size() == 1);
    set({{"CF_ID", next.shown.client_id}, {"CF_SECRET", next.shown.secret}});
    CHECK(refusals().empty());
    set({{"CF_ID", token.shown.client_id}});
    CHECK(refusals().size() == 1);
}

TEST_CASE_FIXTURE(fixture, "the controller's own folders are no consumers") {
    by.admit(token.id);
    auto& env = *all.vault.environment("prod");
    all.vault.put(all.vault.folder(env, "/MooseQuest/postern"), "probe.1", token.value());
    all.vault.put(all.vault.folder(env, "/Elsewhere/state"), "postern", "{}");
    all.vault.put(all.vault.folder(env, "/Elsewhere/state"), "probe.1", token.value());
    all.vault.put(all.vault.folder(env, "/Elsewhere"), "CRED", token.value());
    all.changed();
    rotate();
    REQUIRE(refusals().size() == 1);
    CHECK(refusals()[0].consumer == "vault:prod:/Elsewhere/CRED");
}

TEST_CASE_FIXTURE(fixture, "a host that never admitted a consumer is not its host, unless a test says so") {
    deliver(token.value());
    by.admit(by.mint("other").id);
    CHECK(refusals().empty());
    all.checks.expect(app_var, "console.raxx.app");
    all.changed();
    CHECK(refusals().size() == 1);
}

TEST_CASE_FIXTURE(fixture, "what a test does on purpose it excuses") {
    by.admit(token.id);
    deliver(token.value());
    all.checks.excuse_from_now_on({"", "", token.shown.client_id, "the operator turned it off"});
    all.as_operator(service::cloudflare, "PUT",
                    "/client/v4/accounts/" + all.access.account_id + "/access/service_tokens/" + token.id,
                    json::object{{"enabled", false}});
    CHECK(refusals().empty());
    REQUIRE(all.checks.all_refusals().size() == 1);
    CHECK(all.checks.all_refusals()[0].excused);
}

TEST_CASE_FIXTURE(fixture, "an excuse says why, and for whom") {
    by.admit(token.id);
    deliver(token.value());
    CHECK_THROWS_AS(all.checks.excuse_from_now_on({app_var, "", "", ""}), std::logic_error);
    CHECK_THROWS_AS(all.checks.excuse_from_now_on({"", "", "", "whatever it is"}), std::logic_error);
    CHECK_THROWS_AS(all.checks.on_purpose("", [] {}), std::logic_error);
    all.checks.excuse_from_now_on({vault_key, "", "", "another consumer"});
    all.checks.on_purpose("the change in here", [&] { deliver("rubbish"); });
    CHECK(refusals().empty());
    deliver(token.value());
    deliver("rubbish");
    CHECK(refusals().size() == 1);
    CHECK_THROWS_AS(all.checks.meant(2, "two of them"), std::logic_error);
    CHECK(refusals().size() == 1);
    all.checks.meant(1, "one of them");
    CHECK(refusals().empty());
}

namespace {

std::string told; // by a cloud that ended

// What that cloud makes of its end, with somebody else in the place of the test framework.
std::string told_at_the_end_of(const std::function<void(cloud&, caller&)>& life) {
    told.clear();
    const auto before = cloud::when_refused;
    cloud::when_refused = [](const std::string& complaint) { told = complaint; };
    {
        cloud all;
        all.seed_example();
        caller by{all};
        life(all, by);
    }
    cloud::when_refused = before;
    return told;
}

} // namespace

TEST_CASE("a cloud that ends with a refusal says who was refused where, when, with what, why and by what") {
    auto life = [](cloud& all, caller& by, bool excused) {
        const auto token = by.mint("probe");
        by.admit(token.id);
        by.heroku("PATCH", "/apps/raxx-console-prod/config-vars", json::object{{"CRED", token.value()}});
        all.advance(90s);
        if (excused)
            all.checks.excuse_from_now_on({app_var, "", "", "a test of the excuse"});
        by.cloudflare("PUT", "/service_tokens/" + token.id, {{"name", "x"}, {"enabled", false}});
    };
    const auto said = told_at_the_end_of([&](cloud& all, caller& by) { life(all, by, false); });
    for (const auto* word : {app_var, "console.raxx.app", "2026-11-23T10:01:30Z", ".access", "disabled",
                             "cloudflare PUT /client/v4", "to the end"})
        CHECK_MESSAGE(said.find(word) != std::string::npos, word, " is not in ", said);
    CHECK(told_at_the_end_of([&](cloud& all, caller& by) { life(all, by, true); }).empty());
    CHECK(told_at_the_end_of([](cloud&, caller&) {}).empty());
}

TEST_CASE("a refusal that no test asks about fails the test that it is in" * doctest::should_fail()) {
    cloud all;
    all.seed_example();
    caller by{all};
    const auto token = by.mint("probe");
    by.admit(token.id);
    by.heroku("PATCH", "/apps/raxx-console-prod/config-vars", json::object{{"CRED", token.value()}});
    by.heroku("PATCH", "/apps/raxx-console-prod/config-vars", json::object{{"CRED", "rubbish"}});
}

TEST_CASE_FIXTURE(fixture, "one lagging location is a refusal, unless only a refusal everywhere counts") {
    by.admit(token.id);
    deliver(token.value());
    const auto next = by.mint("next");
    all.network.set_delays({0s, 10s, 20s});
    by.admit(next.id);
    SUBCASE("one is enough") {
        deliver(next.value());
        REQUIRE(refusals().size() == 1);
        CHECK(refusals()[0].locations == 2);
        all.advance(20s);
        CHECK(refusals()[0].until == all.time.now());
    }
    SUBCASE("all are asked for") {
        all.checks.only_everywhere = true;
        deliver(next.value());
        CHECK(refusals().empty());
    }
    SUBCASE("waiting helps") {
        all.advance(20s);
        deliver(next.value());
        CHECK(refusals().empty());
    }
}

TEST_CASE_FIXTURE(fixture, "the dynos of the former release count while they run") {
    by.admit(token.id);
    deliver(token.value());
    all.platform.switches.restart_lag = 60s;
    const auto next = rotate(format_instant(all.time.now() + 30s));
    deliver(next.value());
    CHECK(refusals().empty());
    all.advance(30s);
    CHECK(refusals().size() == 1);
    all.advance(30s);
    CHECK(refusals().size() == 1);
    CHECK(refusals()[0].until);
}

TEST_CASE_FIXTURE(fixture, "under a release phase the old value is what the app runs with") {
    by.admit(token.id);
    deliver(token.value());
    all.platform.find("raxx-console-prod")->phase = {true, 60s, false, false};
    const auto next = rotate(format_instant(all.time.now() + 30s));
    deliver(next.value());
    all.advance(29s);
    CHECK(refusals().empty());
    all.advance(1s);
    CHECK(refusals().size() == 1);
    all.advance(30s);
    CHECK(refusals()[0].until == all.time.now());
}

TEST_CASE_FIXTURE(fixture, "an application that is gone, or open to all, refuses nobody") {
    by.admit(token.id);
    deliver(token.value());
    json::object bypass{{"name", "open"}, {"decision", "bypass"}};
    bypass["include"] = json::array{json::object{{"everyone", json::object{}}}};
    by.cloudflare("POST", "/apps/" + all.example.app_id + "/policies", bypass);
    rotate();
    CHECK(refusals().empty());
    by.cloudflare("DELETE", "/apps/" + all.example.app_id);
    CHECK(refusals().empty());
}

TEST_CASE_FIXTURE(fixture, "the ledger knows every secret, and finds it in a text") {
    const auto& ledger = all.ledger;
    CHECK(ledger.leaks_in("nothing here").empty());
    CHECK(ledger.leaks_in("log: " + token.shown.secret) ==
          std::vector<std::string>{"client secret of " + token.shown.client_id});
    CHECK(ledger.leaks_in(all.example.api_token + all.example.heroku_key + all.example.client_secret).size() == 3);
    const auto next = rotate();
    CHECK(ledger.ever_a_credential(token.shown.client_id, token.shown.secret));
    CHECK(ledger.ever_a_credential(next.shown.client_id, next.shown.secret));
    CHECK_FALSE(ledger.ever_a_credential(next.shown.client_id, "other"));
    const auto live = by.log_in().parsed();
    CHECK(ledger.leaks_in(live.at("accessToken").as_string()).size() == 1);
}

} // namespace checker_test
