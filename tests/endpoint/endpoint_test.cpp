#include "run/endpoint.hpp"
#include "support/client.hpp"

#include <boost/json.hpp>
#include <doctest/doctest.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>

namespace endpoint_test {

using namespace postern;
using postern::testing::answered;
using postern::testing::client;
using postern::testing::get;
using postern::testing::post;
namespace json = boost::json;
namespace asio = boost::asio;

namespace {

// GitHub's own example of a signed delivery.
constexpr const char* github_secret = "It's a Secret to Everybody";
constexpr const char* github_body = "Hello, World!";
constexpr const char* github_signature =
    "X-Hub-Signature-256: sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17\r\n";

run::status some_status() {
    run::status s;
    s.version = "0.1.0";
    s.revision = "abc123";
    s.leading = true;
    s.pass = 1;
    s.last_whole_pass = parse_instant("2026-11-23T10:00:00Z").value();
    s.tokens.resize(2);
    s.tokens[0].name = "console";
    s.tokens[1].name = "probe";
    s.conditions = {{"ServiceToken/console", "Ready", domain::status::true_, "AsDeclared", "", domain::weight::fine},
                    {"ServiceToken/probe", "Ready", domain::status::true_, "AsDeclared", "", domain::weight::fine}};
    return s;
}

struct house {
    asio::io_context io{1};
    run::status now = some_status();
    run::metrics counted;
    int woken = 0;
    std::unique_ptr<run::endpoint> door;

    explicit house(run::endpoint_settings settings = {}) {
        if (settings.listen.empty())
            settings.listen = "127.0.0.1:0";
        auto opened = run::open_endpoint(
            io.get_executor(), std::move(settings), [this] { return now; }, counted, [this] { ++woken; });
        REQUIRE_MESSAGE(opened.has_value(), opened.error().message());
        door = std::move(opened.value());
    }

    answered ask(std::string text) { return client{io, door->port()}.ask(std::move(text)); }
};

run::endpoint_settings with_token(const char* token = "open-sesame") {
    run::endpoint_settings settings;
    settings.token = secret{token};
    return settings;
}

run::endpoint_settings with_hook(const char* branch = "main") {
    run::endpoint_settings settings;
    settings.hook_secret = secret{github_secret};
    settings.branch = branch;
    return settings;
}

error refused(run::endpoint_settings settings) {
    asio::io_context io{1};
    run::metrics counted;
    auto opened = run::open_endpoint(
        io.get_executor(), std::move(settings), [] { return run::status{}; }, counted, [] {});
    REQUIRE(opened.has_error());
    return opened.error();
}

// Signed with github_secret; the signatures were made with `openssl dgst -sha256 -hmac`.
std::string push(const char* body, const char* signature, const char* event = "push") {
    return post("/hooks/git", body,
                "X-GitHub-Event: " + std::string{event} + "\r\nX-Hub-Signature-256: sha256=" + signature + "\r\n");
}

} // namespace

TEST_CASE("healthz is for anybody while the loop lives") {
    house plain;
    CHECK(plain.ask(get("/healthz")).status == 200);
    house guarded{with_token()};
    guarded.now.pass = 0;
    CHECK(guarded.ask(get("/healthz")).status == 200);
}

TEST_CASE("readyz is 200 only after a whole pass, while it leads or stands by, and tells strangers nothing else") {
    house d{with_token()};
    CHECK(d.ask(get("/readyz")).status == 200);
    CHECK(d.ask(get("/readyz")).body == "ready: leads\n");
    d.now.leading = false;
    CHECK(d.ask(get("/readyz")).body == "ready: stands by\n");
    d.now.store_problem = "postgres://db.internal: refused";
    auto got = d.ask(get("/readyz"));
    CHECK(got.status == 503);
    CHECK(got.body.find("the store does not answer") != std::string::npos);
    CHECK(got.body.find("internal") == std::string::npos);
    d.now.leading = true; // until its lease ends
    CHECK(d.ask(get("/readyz")).status == 200);
    d.now.store_problem.clear();
    d.now.last_whole_pass.reset(); // one was interrupted
    got = d.ask(get("/readyz"));
    CHECK(got.status == 503);
    CHECK(got.body == "not ready: no pass has seen the whole world yet\n");
    d.now.leading = false;
    CHECK(d.ask(get("/readyz")).status == 503);
    d.now.revision.clear();
    CHECK(d.ask(get("/readyz")).body == "not ready: the documents were not read yet\n");
    d.now.specs_problem = "specs/secret-project.yaml:1:1: no";
    got = d.ask(get("/readyz"));
    CHECK(got.status == 503);
    CHECK(got.body == "not ready: there were no good documents yet\n");
}

TEST_CASE("metrics are those of the status as it is now") {
    house d;
    auto got = d.ask(get("/metrics"));
    CHECK(got.status == 200);
    CHECK(got.header("Content-Type").starts_with("text/plain; version=0.0.4"));
    CHECK(got.body.find("\npostern_leader 1\n") != std::string::npos);
    d.now.leading = false;
    CHECK(d.ask(get("/metrics")).body.find("\npostern_leader 0\n") != std::string::npos);
}

TEST_CASE("the status is one JSON document, of one token where that is asked for") {
    house d;
    const auto got = d.ask(get("/api/v1/status"));
    CHECK(got.status == 200);
    CHECK(got.header("Content-Type") == "application/json");
    const auto read = run::parse_status(got.body);
    REQUIRE(read.has_value());
    CHECK(read->tokens.size() == 2);
    CHECK(read->revision == "abc123");

    const auto one = run::parse_status(d.ask(get("/api/v1/status?token=probe")).body);
    REQUIRE(one.has_value());
    REQUIRE(one->tokens.size() == 1);
    CHECK(one->tokens[0].name == "probe");
    REQUIRE(one->conditions.size() == 1);
    CHECK(one->conditions[0].resource == "ServiceToken/probe");
    CHECK(run::parse_status(d.ask(get("/api/v1/status?token=pr%6Fbe")).body)->tokens.size() == 1);
    CHECK(run::parse_status(d.ask(get("http://localhost/api/v1/status?token=probe")).body)->tokens.size() == 1);

    const auto none = d.ask(get("/api/v1/status?token=prove"));
    CHECK(none.status == 404);
    const auto said = json::value_to<std::string>(json::parse(none.body).at("error"));
    CHECK(said.find("did you mean \"probe\"?") != std::string::npos);
}

TEST_CASE("what is not there is 404, another method 405 with Allow, nonsense 400") {
    house d{with_hook()};
    for (const auto* path : {"/", "/metric", "/metrics/", "/api/v1/status/", "/api", "/hooks", "/%2e%2e/etc/passwd"})
        CHECK_MESSAGE(d.ask(get(path)).status == 404, path);
    for (const auto* path : {"/healthz", "/readyz", "/metrics", "/api/v1/status"}) {
        const auto got = d.ask(post(path, "x"));
        CHECK_MESSAGE(got.status == 405, path);
        CHECK_MESSAGE(got.header("Allow") == "GET, HEAD", path);
    }
    const auto got = d.ask(get("/hooks/git"));
    CHECK(got.status == 405);
    CHECK(got.header("Allow") == "POST");
    CHECK(d.ask("OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n").status == 400);
    CHECK(d.ask("BREW /healthz HTTP/1.1\r\nHost: x\r\n\r\n").status == 405);
    CHECK(d.ask(get("/%zz")).status == 400);
    CHECK(d.woken == 0);
}

TEST_CASE("with a token, metrics and status ask for it, on loopback too") {
    house d{with_token()};
    for (const auto* path : {"/metrics", "/api/v1/status", "/api/v1/status?token=probe"}) {
        const auto none = d.ask(get(path));
        CHECK_MESSAGE(none.status == 401, path);
        CHECK(none.header("WWW-Authenticate") == "Bearer realm=\"postern\"");
        for (const auto* wrong : {"Bearer", "Bearer ", "Bearer open-sesam", "Bearer open-sesame2", "Bearer Open-sesame",
                                  "open-sesame", "Basic open-sesame", "Bearer open-sesame open-sesame"}) {
            const auto no = d.ask(get(path, "Authorization: " + std::string{wrong} + "\r\n"));
            CHECK_MESSAGE(no.status == 401, wrong);
            CHECK(no.header("WWW-Authenticate").find("invalid_token") != std::string::npos);
            CHECK(no.body.find("sesame") == std::string::npos);
            CHECK(no.body.find("probe") == std::string::npos);
        }
        CHECK(d.ask(get(path, "Authorization: Bearer open-sesame\r\n")).status == 200);
        CHECK(d.ask(get(path, "authorization: bearer  open-sesame\r\nHost2: x\r\n")).status == 200);
        CHECK(d.ask("GET " + std::string{path} +
                    " HTTP/1.1\r\nHost: probe.example\r\nAuthorization: Bearer open-sesame\r\n\r\n")
                  .status == 200);
    }
}

TEST_CASE("without a token only a loopback name in Host is answered") {
    house d;
    for (const auto* host : {"localhost", "LOCALHOST:9090", "127.0.0.1", "127.0.0.1:9090", "[::1]", "[::1]:9090"})
        CHECK_MESSAGE(d.ask("GET /metrics HTTP/1.1\r\nHost: " + std::string{host} + "\r\n\r\n").status == 200, host);
    for (const auto* host : {"rebound.example", "localhost.example", "10.0.0.1:9090", "", "a b", "127.0.0.1.example"}) {
        const auto got = d.ask("GET /api/v1/status HTTP/1.1\r\nHost: " + std::string{host} + "\r\n\r\n");
        CHECK_MESSAGE(got.status == 403, host);
        CHECK(d.ask("GET /healthz HTTP/1.1\r\nHost: " + std::string{host} + "\r\n\r\n").status == 200);
    }
}

TEST_CASE("it is not opened where strangers could read") {
    for (const auto* at : {"0.0.0.0:0", "[::]:0", "192.0.2.7:9090"}) {
        run::endpoint_settings settings;
        settings.listen = at;
        const auto e = refused(std::move(settings));
        CHECK(e.kind == error_kind::spec);
        CHECK(e.what.find("bearer token") != std::string::npos);
        CHECK(e.what.find("--listen-token-from") != std::string::npos);
    }
    auto odd = with_token("two words");
    odd.listen = "127.0.0.1:0";
    CHECK(refused(std::move(odd)).what.find("words") == std::string::npos);
    auto empty = with_token("");
    empty.listen = "127.0.0.1:0";
    CHECK(refused(std::move(empty)).kind == error_kind::spec);
    run::endpoint_settings hook;
    hook.listen = "127.0.0.1:0";
    hook.hook_secret = secret{};
    CHECK(refused(std::move(hook)).kind == error_kind::spec);
    run::endpoint_settings nowhere;
    nowhere.listen = "9090";
    CHECK(refused(std::move(nowhere)).kind == error_kind::spec);

    auto open = with_token();
    open.listen = "0.0.0.0:0";
    house d{std::move(open)};
    CHECK(d.ask(get("/metrics")).status == 401);
    CHECK(d.ask(get("/metrics", "Authorization: Bearer open-sesame\r\n")).status == 200);
}

TEST_CASE("a hook is believed by its signature: GitHub's own example") {
    house d{with_hook()};
    CHECK(d.ask(post("/hooks/git", github_body, github_signature)).status == 202);
    CHECK(d.woken == 1);
    CHECK(d.ask(post("/hooks/git", "Hello, World?", github_signature)).status == 403);
    CHECK(d.ask(post("/hooks/git", github_body)).status == 403);
    const std::string signature{github_signature};
    for (const auto& wrong :
         {std::string{"X-Hub-Signature-256: \r\n"}, std::string{"X-Hub-Signature-256: sha256=\r\n"},
          "X-Hub-Signature: " + signature.substr(21), signature.substr(0, 28) + signature.substr(35),
          signature.substr(0, 34) + "0" + signature.substr(35)})
        CHECK_MESSAGE(d.ask(post("/hooks/git", github_body, wrong)).status == 403, wrong);
    CHECK(d.woken == 1);
}

TEST_CASE("a hook needs no bearer token, and is not there without a secret") {
    auto both = with_hook();
    both.token = secret{"open-sesame"};
    house d{std::move(both)};
    CHECK(d.ask(post("/hooks/git", github_body, github_signature)).status == 202);
    house without;
    CHECK(without.ask(post("/hooks/git", github_body, github_signature)).status == 404);
    CHECK(without.woken == 0);
}

TEST_CASE("only a push to the branch that is followed wakes the loop") {
    house d{with_hook()};
    constexpr const char* to_main = R"({"ref":"refs/heads/main"})";
    constexpr const char* to_main_signed = "6a42699496d8c4fb346af1c930df527931a321e28ada69dbc5ee82f438517fd2";
    constexpr const char* to_other = R"({"ref":"refs/heads/maintenance"})";
    constexpr const char* to_other_signed = "468c28543120a33be27c4686141184ff598c62d35b35c1343cfe4c22f8dbe799";
    CHECK(d.ask(push(to_main, to_main_signed)).status == 202);
    CHECK(d.woken == 1);
    CHECK(d.ask(push(to_other, to_other_signed)).status == 202);
    CHECK(d.woken == 1);
    CHECK(d.ask(push(to_main, to_main_signed, "ping")).status == 200);
    CHECK(d.woken == 1);
    house folder{with_hook("")};
    CHECK(folder.ask(push(to_other, to_other_signed)).status == 202);
    CHECK(folder.woken == 1);
}

TEST_CASE("it closes under its clients' eyes") {
    house d;
    client idle{d.io, d.door->port()};
    CHECK(idle.ask(get("/healthz")).status == 200);
    client half{d.io, d.door->port()};
    half.send("GET /met");
    d.door.reset();
    d.io.restart();
    d.io.run_for(std::chrono::seconds{5});
    CHECK(d.io.stopped());
    CHECK(idle.rest().empty());
    CHECK(half.rest().empty());
}

} // namespace endpoint_test
