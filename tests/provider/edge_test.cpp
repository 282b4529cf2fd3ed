#include "provider/edge.hpp"
#include "support/harness.hpp"
#include "support/scripted_transport.hpp"

#include <boost/json.hpp>
#include <doctest/doctest.h>

#include <string>
#include <utility>
#include <vector>

namespace edge_test {

using namespace postern;
using domain::verdict;
using net::method;
using testing::run;

namespace {

using headers = std::vector<std::pair<std::string, std::string>>;

const std::string client_secret = "cfast_FAKEFAKEFAKEFAKEFAKEFAKEFAKEFAKEFAKEFAKE00000000";
const std::string credential = "0f1e2d3c4b5a69788796a5b4c3d2e1f0.access:" + client_secret;
const std::string aud(64, '7');

// {"service_token_status":true,"aud":"…"} and {"service_token_status":false}, as the login page's `meta` has them.
const std::string recognised = "eyJhbGciOiJSUzI1NiJ9.eyJzZXJ2aWNlX3Rva2VuX3N0YXR1cyI6dHJ1ZSwiaG9zdG5hbWUiOiJoIn0.sig";
const std::string unknown = "eyJhbGciOiJSUzI1NiJ9.eyJzZXJ2aWNlX3Rva2VuX3N0YXR1cyI6ZmFsc2V9.sig";

headers login(const std::string& meta = {}, const std::string& host = "https://team.cloudflareaccess.com") {
    return {{"Location", host + "/cdn-cgi/access/login/app.example.com?kid=" + aud +
                             (meta.empty() ? "" : "&meta=" + meta) + "&redirect_url=%2F"},
            {"CF-Ray", "8f00-LHR"}};
}

const headers access_challenge{
    {"WWW-Authenticate", R"(Cloudflare-Access resource_metadata="https://h/.well-known/x")"}};

struct row {
    int status;
    headers head;
    std::string body;
    verdict with;
    verdict stranger;
    std::string words; // in the detail of the knock with a credential
};

provider::knock at(int expect = 200) {
    provider::knock k;
    k.host = "app.example.com";
    k.path = "/health";
    k.expect_status = expect;
    return k;
}

} // namespace

TEST_CASE("what an answer means") {
    using v = verdict;
    const std::string page = "<html><title>Error ・ Cloudflare Access</title>Forbidden</html>";
    const row rows[] = {
        {200, {}, "ok", v::passed, v::public_path, "HTTP 200"},
        {404, {}, "", v::unexpected, v::public_path, "Access let it pass"},
        {204, {}, "", v::unexpected, v::public_path, "200 is expected"},
        {302, login(recognised), "", v::login_redirect, v::login_redirect, "no policy of this application admits it"},
        {302, login(unknown), "", v::login_redirect, v::login_redirect, "not recognised or was ignored"},
        {302, login(), "", v::login_redirect, v::login_redirect, "or no policy"},
        {302, login("not.a.jwt"), "", v::login_redirect, v::login_redirect, "or no policy"},
        {302, {{"Location", "https://app.example.com/login"}}, "", v::unexpected, v::not_access, "from the origin"},
        {302, login({}, "https://x.cloudflareaccess.com.evil.example"), "", v::unexpected, v::not_access, "origin"},
        {302, login({}, "https://evil.example/?.cloudflareaccess.com"), "", v::unexpected, v::not_access, "origin"},
        {401, access_challenge, "", v::unauthorized, v::unauthorized, "wrong, expired or disabled"},
        {403, access_challenge, "", v::forbidden, v::forbidden, "valid but not allowed here"},
        {403, {{"www-authenticate", "Cloudflare-Access"}}, "", v::forbidden, v::forbidden, "by Access"},
        {403, {}, page, v::forbidden, v::forbidden, "by Access"},
        {401, {{"WWW-Authenticate", "Basic"}}, "", v::unexpected, v::not_access, "from the origin"},
        {403, {}, "nginx", v::unexpected, v::not_access, "from the origin"},
        {403, {}, "error code: 1010", v::firewall, v::firewall, "error 1010"},
        {403, {}, "<html>Error 1020 Access denied", v::firewall, v::firewall, "error 1020"},
        {403,
         {{"cf-mitigated", "challenge"}},
         "<title>Just a moment...</title>",
         v::firewall,
         v::firewall,
         "challenge"},
        {429, {}, "error code: 1015", v::firewall, v::firewall, "error 1015"},
        {503, {}, "<title>Just a moment...</title>", v::firewall, v::firewall, "challenge"},
        {500, {}, "", v::origin_error, v::origin_error, "origin"},
        {502, {}, "bad gateway", v::origin_error, v::origin_error, "origin"},
        {530, {}, "error code: 1016", v::origin_error, v::origin_error, "HTTP 530"},
    };
    for (const auto& r : rows) {
        CAPTURE(r.status);
        CAPTURE(r.body);
        CAPTURE(r.words);
        boost::asio::io_context io;
        testing::scripted_transport wire;
        wire.expect(method::get, "https://app.example.com/health").answers(r.status, r.body, r.head);
        wire.expect(method::get, "https://app.example.com/health").answers(r.status, r.body, r.head);
        auto stranger = run(io, provider::knock_as_stranger(wire, at()));
        CHECK(wire.requests().back().header("CF-Access-Client-Id").empty());
        auto with = run(io, provider::knock_with(wire, at(), secret{credential}));
        CHECK(wire.requests().back().header("CF-Access-Client-Id") == "0f1e2d3c4b5a69788796a5b4c3d2e1f0.access");
        CHECK(wire.requests().back().header("CF-Access-Client-Secret") == client_secret);
        CHECK(stranger.is == r.stranger);
        CHECK(with.is == r.with);
        CHECK(with.status == r.status);
        CAPTURE(with.detail);
        CHECK(with.detail.find(r.words) != std::string::npos);
    }
}

TEST_CASE("a status that is expected passes, unless Access or a firewall said it") {
    boost::asio::io_context io;
    testing::scripted_transport wire;
    const std::string url = "https://app.example.com/health";
    auto verdict_of = [&](int status, headers head, int expected) {
        wire.expect(method::get, url).answers(status, "", std::move(head));
        return run(io, provider::knock_with(wire, at(expected), secret{credential})).is;
    };
    CHECK(verdict_of(302, {{"Location", "/dashboard"}}, 302) == verdict::passed);
    CHECK(verdict_of(302, login(), 302) == verdict::login_redirect);
    CHECK(verdict_of(401, {}, 401) == verdict::passed);
    CHECK(verdict_of(401, access_challenge, 401) == verdict::unauthorized);
    CHECK(verdict_of(500, {}, 500) == verdict::passed);
}

TEST_CASE("another application's answer is named") {
    boost::asio::io_context io;
    testing::scripted_transport wire;
    auto k = at();
    k.aud = std::string(64, '8');
    wire.expect(method::get, "https://app.example.com/health").answers(302, "", login(recognised));
    auto out = run(io, provider::knock_with(wire, k, secret{credential}));
    CHECK(out.aud == aud);
    CHECK(out.detail.find("another application that answered (aud 777777777777…)") != std::string::npos);
    CHECK(out.detail.find("8f00-LHR") != std::string::npos);
    k.aud = aud;
    wire.expect(method::get, "https://app.example.com/health").answers(302, "", login(recognised));
    CHECK(run(io, provider::knock_with(wire, k, secret{credential})).detail.find("another") == std::string::npos);
}

TEST_CASE("a stranger who is sent to another application's login page is not at the bound host") {
    boost::asio::io_context io;
    testing::scripted_transport wire;
    auto refused = [&](const std::string& expected, headers head) {
        auto k = at();
        k.aud = expected;
        wire.expect(method::get, "https://app.example.com/health").answers(302, "", std::move(head));
        return run(io, provider::knock_as_stranger(wire, k));
    };
    auto foreign = refused(std::string(64, '8'), login());
    CHECK(foreign.is == verdict::not_access);
    CHECK(foreign.detail.find("another application that answered (aud 777777777777…)") != std::string::npos);
    CHECK(refused(aud, login()).is == verdict::login_redirect);
    CHECK(refused("", login()).is == verdict::login_redirect);
    const headers unsaid{{"Location", "https://team.cloudflareaccess.com/cdn-cgi/access/login/app.example.com"}};
    CHECK(refused(aud, unsaid).is == verdict::login_redirect);
}

TEST_CASE("what cannot be reached says why") {
    boost::asio::io_context io;
    testing::scripted_transport wire;
    wire.expect(method::get, "https://app.example.com/health").fails(error_kind::unavailable, "DNS: no such host");
    auto out = run(io, provider::knock_with(wire, at(), secret{credential}));
    CHECK(out.is == verdict::unreachable);
    CHECK(out.detail == "unavailable: DNS: no such host");
    wire.expect(method::get, "https://app.example.com/health").fails(error_kind::refused, "TLS: certificate expired");
    CHECK(run(io, provider::knock_as_stranger(wire, at())).detail == "refused: TLS: certificate expired");
}

TEST_CASE("a credential without two halves is never sent") {
    for (const auto* bad : {"", "no colon", ":secret", "id.access:"}) {
        boost::asio::io_context io;
        testing::scripted_transport wire;
        auto out = run(io, provider::knock_with(wire, at(), secret{bad}));
        CHECK(out.is == verdict::unreachable);
        CHECK(wire.requests().empty());
    }
}

TEST_CASE("no detail holds the secret, whatever the host echoes") {
    boost::asio::io_context io;
    testing::scripted_transport wire;
    wire.expect(method::get, "https://app.example.com/health")
        .answers(403, "error code: 1010 " + client_secret, {{"cf-ray", client_secret}});
    wire.expect(method::get, "https://app.example.com/health").fails(error_kind::unavailable, "at " + client_secret);
    for (int i = 0; i < 2; ++i)
        CHECK(run(io, provider::knock_with(wire, at(), secret{credential})).detail.find("FAKE") == std::string::npos);
}

TEST_CASE("where the request goes") {
    boost::asio::io_context io;
    testing::scripted_transport wire;
    auto k = at();
    k.path = "health";
    k.connect_to = "http://127.0.0.1:8080";
    wire.expect(method::get, "https://app.example.com/health").answers(200);
    run(io, provider::knock_as_stranger(wire, k));
    CHECK(wire.requests().back().connect_to == "http://127.0.0.1:8080");
}

} // namespace edge_test
