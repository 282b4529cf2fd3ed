#include "cloud/access.hpp"

#include <doctest/doctest.h>

namespace access_test {

using namespace postern;
using namespace postern::testcloud;
using namespace std::chrono_literals;

namespace {

const instant now = *parse_instant("2026-11-23T10:00:00Z");

json::array tokens(std::initializer_list<const char*> ids) {
    json::array out;
    for (const auto* id : ids)
        out.emplace_back(json::object{{"service_token", json::object{{"token_id", id}}}});
    return out;
}

const json::array everyone{json::object{{"everyone", json::object{}}}};
const json::array people{json::object{{"email_domain", json::object{{"domain", "raxx.app"}}}}};

struct world {
    access_config config;
    edge_switches switches;

    world() {
        config.tokens["t1"] = token("t1");
        config.tokens["t2"] = token("t2");
        guard("app", "a.raxx.app");
    }
    static service_token token(const std::string& id) {
        service_token t;
        t.id = id;
        t.client_id = id + ".access";
        t.secret = "secret of " + id;
        t.expires_at = now + 24h;
        return t;
    }
    application& guard(const std::string& id, const std::string& domain) {
        application app;
        app.id = app.name = id;
        app.aud = "aud of " + id;
        app.domain = domain;
        return config.apps[id] = app;
    }
    policy& rule(const std::string& decision, json::array include, const std::string& app = "app") {
        policy p;
        p.id = "p" + std::to_string(config.policies.size() + 1);
        p.decision = decision;
        p.include = std::move(include);
        auto& links = config.apps.at(app).policies;
        links.push_back({p.id, static_cast<std::int64_t>(links.size()) + 1});
        return config.policies[p.id] = p;
    }
    verdict ask(std::optional<credential> shown, const std::string& host = "a.raxx.app",
                const std::string& path = "/health") {
        visit v;
        v.host = host;
        v.path = path;
        v.shown = std::move(shown);
        return judge(config, v, now, switches);
    }
    static credential good(const std::string& id = "t1") { return {id + ".access", "secret of " + id}; }
    static credential bad() { return {"t1.access", "something else"}; }
};

} // namespace

TEST_CASE_FIXTURE(world, "a valid token passes where a Service Auth policy names it, and nowhere else") {
    rule("allow", people);
    CHECK(ask(good()).what == ruling::login);
    rule("non_identity", tokens({"t1"}));
    CHECK(ask(good()).what == ruling::admitted);
    CHECK(ask(good("t2")).what == ruling::login);
    CHECK(ask(good("t2")).recognised);
    CHECK(ask(bad()).what == ruling::login);
    CHECK(ask(bad()).token == token_state::wrong_secret);
    CHECK_FALSE(ask(bad()).recognised);
    CHECK(ask(credential{"nobody.access", "x"}).token == token_state::unknown);
    CHECK(ask(std::nullopt).what == ruling::login);
}

TEST_CASE_FIXTURE(world, "an allow policy never admits a token, and hides that it knows it") {
    rule("allow", tokens({"t1"}));
    CHECK(ask(good()).what == ruling::login);
    CHECK_FALSE(ask(good()).recognised);
    config.org.strict_service_token_auth = true;
    CHECK(ask(good()).what == ruling::forbidden);
}

TEST_CASE_FIXTURE(world, "an expired or a disabled token is none") {
    rule("non_identity", tokens({"t1"}));
    config.tokens["t1"].expires_at = now;
    CHECK(ask(good()).token == token_state::expired);
    CHECK_FALSE(ask(good()).passes());
    config.tokens["t1"].expires_at.reset();
    CHECK(ask(good()).passes());
    config.tokens["t1"].enabled = false;
    CHECK(ask(good()).token == token_state::disabled);
    CHECK_FALSE(ask(good()).passes());
}

TEST_CASE_FIXTURE(world, "the previous secret passes until its time is up") {
    rule("non_identity", tokens({"t1"}));
    auto& token = config.tokens["t1"];
    token.previous_secret = "something else";
    token.previous_until = now + 1s;
    CHECK(ask(bad()).passes());
    token.previous_until = now;
    CHECK_FALSE(ask(bad()).passes());
}

TEST_CASE_FIXTURE(world, "how a refusal looks: strict, the 401 flag, neither") {
    struct row {
        bool strict, flagged;
        ruling nothing, wrong, not_admitted, half;
    };
    const row rows[] = {
        {false, false, ruling::login, ruling::login, ruling::login, ruling::login},
        {false, true, ruling::login, ruling::unauthorized, ruling::unauthorized, ruling::unauthorized},
        {true, false, ruling::login, ruling::unauthorized, ruling::forbidden, ruling::unauthorized},
        {true, true, ruling::login, ruling::unauthorized, ruling::forbidden, ruling::unauthorized},
    };
    rule("allow", people);
    rule("non_identity", tokens({"t1"}));
    for (const auto& r : rows) {
        CAPTURE(r.strict);
        CAPTURE(r.flagged);
        config.org.strict_service_token_auth = r.strict;
        config.apps["app"].settings["service_auth_401_redirect"] = r.flagged;
        CHECK(ask(std::nullopt).what == r.nothing);
        CHECK(ask(bad()).what == r.wrong);
        CHECK(ask(good("t2")).what == r.not_admitted);
        visit half;
        half.host = "a.raxx.app";
        half.muddled = true;
        CHECK(judge(config, half, now, switches).what == r.half);
    }
    switches.half_credential_is_forbidden = true;
    visit half;
    half.host = "a.raxx.app";
    half.muddled = true;
    CHECK(judge(config, half, now, switches).what == ruling::forbidden);
}

TEST_CASE_FIXTURE(world, "an application for machines alone may answer without a login") {
    rule("non_identity", tokens({"t1"}));
    CHECK(ask(std::nullopt).what == ruling::login);
    switches.service_auth_only_is_forbidden = true;
    CHECK(ask(std::nullopt).what == ruling::forbidden);
    CHECK(ask(bad()).what == ruling::forbidden);
    config.apps["app"].settings["service_auth_401_redirect"] = true;
    CHECK(ask(std::nullopt).what == ruling::unauthorized);
    switches.flag_401_without_token = false;
    CHECK(ask(std::nullopt).what == ruling::forbidden);
    CHECK(ask(good()).passes());
}

TEST_CASE_FIXTURE(world, "bypass and Service Auth come before any deny, whatever their precedence") {
    rule("deny", everyone);
    CHECK(ask(good()).what == ruling::forbidden);
    rule("non_identity", tokens({"t1"}));
    CHECK(ask(good()).what == ruling::admitted);
    CHECK(ask(std::nullopt).what == ruling::forbidden);
    rule("bypass", everyone);
    CHECK(ask(std::nullopt).what == ruling::bypassed);
}

TEST_CASE_FIXTURE(world, "include is or, require is and, exclude is not") {
    auto& p = rule("non_identity", tokens({"t1", "t2"}));
    CHECK(ask(good("t2")).passes());
    p.exclude = tokens({"t2"});
    CHECK_FALSE(ask(good("t2")).passes());
    CHECK(ask(good("t1")).passes());
    p.require = json::array{{{"ip", {{"ip", "192.0.2.0/24"}}}}};
    CHECK(ask(good("t1")).passes());
    p.require = json::array{{{"ip", {{"ip", "198.51.100.0/24"}}}}};
    CHECK_FALSE(ask(good("t1")).passes());
    p.require = people;
    CHECK_FALSE(ask(good("t1")).passes());
}

TEST_CASE_FIXTURE(world, "everyone and people are not machines, any valid token is") {
    rule("non_identity", everyone);
    rule("non_identity", people);
    CHECK_FALSE(ask(good()).passes());
    CHECK_FALSE(ask(std::nullopt).passes());
    rule("non_identity", json::array{json::object{{"any_valid_service_token", json::object{}}}});
    CHECK(ask(good("t2")).passes());
    CHECK_FALSE(ask(bad()).passes());
}

TEST_CASE_FIXTURE(world, "groups are followed, nested, with their own excludes") {
    group inner;
    inner.id = "inner";
    inner.include = tokens({"t1", "t2"});
    inner.exclude = tokens({"t2"});
    group outer;
    outer.id = "outer";
    outer.include = json::array{{{"group", {{"id", "inner"}}}}};
    config.groups["inner"] = inner;
    config.groups["outer"] = outer;
    rule("non_identity", json::array{{{"group", {{"id", "outer"}}}}});
    CHECK(ask(good("t1")).passes());
    CHECK_FALSE(ask(good("t2")).passes());
    CHECK(tokens_named_by(config, config.apps["app"]) == std::set<std::string>{"t1", "t2"});
    config.groups["inner"].include = json::array{{{"group", {{"id", "outer"}}}}};
    CHECK_FALSE(ask(good("t1")).passes());
}

TEST_CASE_FIXTURE(world, "the nearest application judges") {
    rule("non_identity", tokens({"t1"}));
    guard("wild", "*.raxx.app");
    guard("path", "a.raxx.app/admin");
    CHECK(ask(good(), "a.raxx.app", "/").app_id == "app");
    CHECK(ask(good(), "a.raxx.app", "/admin").app_id == "path");
    CHECK(ask(good(), "a.raxx.app", "/admin/x").app_id == "path");
    CHECK(ask(good(), "a.raxx.app", "/administration").app_id == "app");
    CHECK(ask(good(), "A.RAXX.APP", "/").app_id == "app");
    CHECK(ask(good(), "b.raxx.app", "/").app_id == "wild");
    CHECK(ask(good(), "raxx.app", "/").what == ruling::unguarded);
    guard("bookmark", "c.example.org").type = "bookmark";
    CHECK(ask(good(), "c.example.org", "/").what == ruling::unguarded);
}

TEST_CASE_FIXTURE(world, "hosts come from destinations too, and some paths skip Access") {
    auto& app = guard("public", "x");
    app.domain.reset();
    app.settings["destinations"] =
        json::array{{{"type", "public"},
                     {"uri", "d.raxx.app"},
                     {"overrides", json::array{{{"behavior", "public"}, {"path_pattern", "/open/*"}}}}},
                    {{"type", "private"}, {"uri", "hidden.raxx.app"}}};
    CHECK(app.places() == std::vector<std::string>{"d.raxx.app"});
    CHECK(ask(std::nullopt, "d.raxx.app", "/open/health").what == ruling::public_path);
    CHECK(ask(std::nullopt, "d.raxx.app", "/health").what == ruling::login);
}

TEST_CASE_FIXTURE(world, "a client id is found again after tokens came and went") {
    CHECK(config.token_by_client_id("t1.access")->id == "t1");
    config.tokens.erase("t1");
    CHECK(config.token_by_client_id("t1.access") == nullptr);
    auto twin = token("t9");
    twin.client_id = "t1.access";
    config.tokens["t9"] = twin;
    CHECK(config.token_by_client_id("t1.access")->id == "t9");
}

} // namespace access_test
