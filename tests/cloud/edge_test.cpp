#include "cloud/caller.hpp"

#include <doctest/doctest.h>

namespace edge_test {

using namespace postern;
using namespace postern::testcloud;
using namespace std::chrono_literals;

namespace {

struct fixture {
    cloud all;
    caller by{all};
    caller::minted token;
    const std::string host = "console.raxx.app";

    fixture() {
        all.seed_example();
        token = by.mint("probe");
    }
    int visit(const credential& shown) { return by.visit(host, shown).status; }
};

std::string payload_of(const std::string& location) {
    const auto from = location.find("meta=") + 5;
    const auto jwt = location.substr(from, location.find('&', from) - from);
    const auto first = jwt.find('.');
    auto coded = jwt.substr(first + 1, jwt.find('.', first + 1) - first - 1);
    std::string out;
    unsigned bits = 0;
    int held = 0;
    const std::string alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    for (char c : coded) {
        bits = (bits << 6U) | static_cast<unsigned>(alphabet.find(c));
        held += 6;
        if (held >= 8) {
            held -= 8;
            out += static_cast<char>((bits >> static_cast<unsigned>(held)) & 0xFFU);
        }
    }
    return out;
}

} // namespace

TEST_CASE_FIXTURE(fixture, "a refusal redirects to the login, and says whether it knew the token") {
    const auto refused = by.visit(host, token.shown);
    CHECK(refused.status == 302);
    const auto location = *refused.header("Location");
    CHECK(location.starts_with("https://raxx.cloudflareaccess.com/cdn-cgi/access/login/console.raxx.app?kid=" +
                               all.access.config.apps[all.example.app_id].aud + "&meta="));
    CHECK(location.ends_with("&redirect_url=%2fhealth"));
    CHECK(refused.header("WWW-Authenticate")->starts_with("Cloudflare-Access"));
    CHECK(refused.header("CF-Ray"));
    CHECK(json::parse(payload_of(location)).at("service_token_status") == false);
    const auto other = by.mint("other");
    by.admit(other.id);
    const auto known = *by.visit(host, token.shown).header("Location");
    CHECK(json::parse(payload_of(known)).at("service_token_status") == true);
    CHECK(json::parse(payload_of(known)).at("hostname") == host.c_str());
}

TEST_CASE_FIXTURE(fixture, "an admitted token reaches the origin, and gets a session that outlives its secret") {
    by.admit(token.id);
    const auto passed = by.visit(host, token.shown);
    CHECK(passed.status == 200);
    CHECK(passed.body == "ok");
    const auto cookie = *passed.header("Set-Cookie");
    by.cloudflare("POST", "/service_tokens/" + token.id + "/rotate");
    CHECK(visit(token.shown) == 302);
    const std::vector<field> with_cookie{{"Cookie", cookie.substr(0, cookie.find(';'))}};
    CHECK(by.visit(host, token.shown, "/health", with_cookie).status == 200);
    CHECK(by.visit("console-staging.raxx.app", token.shown, "/health", with_cookie).status == 302);
    all.advance(24h);
    CHECK(by.visit(host, token.shown, "/health", with_cookie).status == 302);
}

TEST_CASE_FIXTURE(fixture, "a strict organization gives no session, and codes instead of a redirect") {
    by.admit(token.id);
    all.access.config.org.strict_service_token_auth = true;
    CHECK_FALSE(by.visit(host, token.shown).header("Set-Cookie"));
    CHECK(visit({token.shown.client_id, "wrong"}) == 401);
    CHECK(visit(by.mint("other").shown) == 403);
    CHECK(by.visit(host).status == 302);
    CHECK(by.visit(host, std::nullopt, "/health", {{"CF-Access-Client-Id", token.shown.client_id}}).status == 401);
}

TEST_CASE_FIXTURE(fixture, "a credential may come in one header, if the application reads it there, but not twice") {
    by.admit(token.id);
    const std::string both = json::serialize(
        json::object{{"cf-access-client-id", token.shown.client_id}, {"cf-access-client-secret", token.shown.secret}});
    const std::vector<field> header{{"Authorization", both}};
    CHECK(by.visit(host, std::nullopt, "/health", header).status == 302);
    all.access.config.apps[all.example.app_id].settings["read_service_tokens_from_header"] = "Authorization";
    CHECK(by.visit(host, std::nullopt, "/health", header).status == 200);
    CHECK(by.visit(host, token.shown, "/health", header).status == 302);
    CHECK(by.visit(host, token.shown, "/health", {{"CF-Access-Client-Id", token.shown.client_id}}).status == 302);
}

TEST_CASE_FIXTURE(fixture, "each location learns of a change in its own time") {
    all.network.set_delays({0s, 10s, 20s});
    by.admit(token.id);
    auto round = [&] {
        std::vector<int> out;
        for (int i = 0; i < 3; ++i)
            out.push_back(visit(token.shown));
        return out;
    };
    CHECK(round() == std::vector{200, 302, 302});
    all.advance(10s);
    CHECK(round() == std::vector{200, 200, 302});
    CHECK_FALSE(all.network.settled());
    all.advance(10s);
    CHECK(round() == std::vector{200, 200, 200});
    CHECK(all.network.settled());
    by.cloudflare("PUT", "/service_tokens/" + token.id, {{"name", "probe"}, {"enabled", false}});
    CHECK(round() == std::vector{302, 200, 200});
    all.advance(30s);
    CHECK(round() == std::vector{302, 302, 302});
}

TEST_CASE_FIXTURE(fixture, "time itself needs no propagation: a cut-off known everywhere is kept everywhere") {
    by.admit(token.id);
    all.network.set_delays({0s, 60s});
    json::object overlap{{"previous_client_secret_expires_at", format_instant(all.time.now() + 1h)}};
    by.cloudflare("POST", "/service_tokens/" + token.id + "/rotate", overlap);
    all.advance(59min);
    CHECK(visit(token.shown) == 200);
    CHECK(visit(token.shown) == 200);
    all.advance(1min);
    CHECK(visit(token.shown) == 302);
    CHECK(visit(token.shown) == 302);
}

TEST_CASE_FIXTURE(fixture, "what stands before or behind Access answers in its own way") {
    by.admit(token.id);
    CHECK(by.visit(host, token.shown, "/nope").status == 404);
    auto& there = all.network.hosts[host];
    there.status = 503;
    CHECK(visit(token.shown) == 503);
    there.failing = 502;
    CHECK(visit(token.shown) == 502);
    CHECK(by.visit(host).status == 302);
    there.waf = true;
    CHECK(by.visit(host, token.shown).body == "error code: 1010");
    there = {};
    there.outside_access = true;
    CHECK(by.visit(host).status == 200);
    CHECK_FALSE(by.last.answer.header("CF-Ray"));
    CHECK(by.visit("nobody.example.org").status == 530);
    all.network.hosts["open.example.org"] = {};
    CHECK(by.visit("open.example.org").status == 200);
}

TEST_CASE_FIXTURE(fixture, "an agent that looks like a script, or names none, meets the WAF first") {
    auto as = [&](std::vector<field> headers) {
        headers.push_back({"Host", host});
        return by.send(service::edge, "GET", "/health", std::move(headers), nullptr);
    };
    CHECK(as({}).body == "error code: 1010");
    CHECK(as({{"User-Agent", "Python-urllib/3.11"}}).status == 403);
    CHECK(as({{"User-Agent", "postern/0.1"}}).status == 302);
    all.network.refused_agents = "postern";
    CHECK(as({{"User-Agent", "postern/0.1"}}).status == 403);
}

TEST_CASE_FIXTURE(fixture, "the host is the Host header's, its port and case aside") {
    by.admit(token.id);
    CHECK(by.visit("Console.RAXX.app:443", token.shown).status == 200);
}

} // namespace edge_test
