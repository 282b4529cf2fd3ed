#include "printing.hpp"
#include "provider/infisical.hpp"
#include "support/harness.hpp"
#include "support/scripted_transport.hpp"
#include "support/settable_clock.hpp"

#include <boost/asio/detached.hpp>
#include <boost/json.hpp>
#include <doctest/doctest.h>

#include <string>
#include <utility>
#include <vector>

namespace infisical_test {

using namespace postern;
using net::method;
using provider::infisical;
using testing::run;

namespace {

const std::string base = "https://app.infisical.com";
const std::string login_url = base + "/api/v1/auth/universal-auth/login";
const std::string in_folder = "environment=prod&secretPath=%2FMooseQuest%2Fcloudflare&expandSecretReferences=false"
                              "&include_imports=false&includeImports=false";
const std::string v3 = base + "/api/v3/secrets/raw";
const std::string v4 = base + "/api/v4/secrets";
const std::string list_url = v3 + "?workspaceId=pid&" + in_folder;
const std::string key_url = v3 + "/KEY?workspaceId=pid&" + in_folder;
const std::string value = "88bf3b6d.access:" + std::string(64, 'b');

std::string no(int status, const std::string& kind, const std::string& message) {
    return R"({"statusCode":)" + std::to_string(status) + R"(,"message":")" + message + R"(","error":")" + kind +
           R"("})";
}

const std::string no_route = no(404, "Not Found", "Route GET:/api/x not found");
const std::string no_folder =
    no(404, "GetSecretByName", "Folder with path '/x' in environment with slug 'prod' not found");
const std::string no_secret = no(404, "NotFound", "Secret with name 'KEY' not found");
const std::string expired = no(403, "TokenError", "Your token has expired. Please re-authenticate.");

infisical::login keys(const std::string& client_secret = "the-client-secret") {
    infisical::universal_login k;
    k.client_id = secret{"the-client-id"};
    k.client_secret = secret{client_secret};
    return k;
}

infisical::place place(const std::string& id, const std::string& slug = {}) {
    infisical::place p;
    p.url = base;
    p.project_id = id;
    p.project_slug = slug;
    p.environment = "prod";
    return p;
}

struct bench {
    boost::asio::io_context io;
    testing::scripted_transport wire;
    testing::settable_clock clock;
    infisical vault;

    explicit bench(infisical::place where = place("pid")) : vault(wire, clock, std::move(where), keys()) {}

    testing::expectation& logs_in(const std::string& token = "token-one", int expires_in = 3600) {
        return wire.expect(method::post, login_url)
            .with_body(R"({"clientId":"the-client-id","clientSecret":"the-client-secret"})")
            .answers(200, R"({"accessToken":")" + token + R"(","expiresIn":)" + std::to_string(expires_in) +
                              R"(,"accessTokenMaxTTL":7200,"tokenType":"Bearer"})");
    }
    auto list() { return run(io, vault.list("/MooseQuest/cloudflare")); }
    auto read() { return run(io, vault.read("/MooseQuest/cloudflare", "KEY")); }
    auto create() { return run(io, vault.create("/MooseQuest/cloudflare", "KEY", secret{value}, "by Postern")); }
    auto update() { return run(io, vault.update("/MooseQuest/cloudflare", "KEY", secret{value})); }
    auto remove() { return run(io, vault.remove("/MooseQuest/cloudflare", "KEY")); }
};

std::string row(const std::string& key, const std::string& more) {
    return R"({"id":"i","version":2,"type":"shared","secretKey":")" + key + R"(",)" + more + "}";
}

} // namespace

TEST_CASE("a folder is listed row by row") {
    bench b;
    b.logs_in();
    b.wire.expect(method::get, list_url)
        .with_header("Authorization", "Bearer token-one")
        .answers(200, R"({"secrets":[)" + row("A", R"("secretValue":"1","future":{})") + "," +
                          row("A", R"("secretValue":"2")") + "," +
                          row("H", R"("secretValue":"<hidden-by-infisical>")") + "," +
                          row("I", R"("secretValue":"whatever","secretValueHidden":true)") + "," +
                          R"({"type":"personal","secretKey":"A","secretValue":"3","version":1}],"imports":[]})");
    auto list = b.list();
    REQUIRE(list);
    REQUIRE(list->size() == 4);
    CHECK(list->at(0).value.reveal() == "1");
    CHECK(list->at(0).version == 2);
    CHECK(list->at(1).key == "A");
    CHECK(list->at(2).hidden);
    CHECK(list->at(2).value.empty());
    CHECK(list->at(3).hidden);
    CHECK(list->at(3).value.empty());
}

TEST_CASE("a folder that is missing is an empty list; a project or route that is missing is not") {
    bench b;
    b.logs_in();
    b.wire.expect(method::get, list_url).answers(404, no_folder);
    auto list = b.list();
    REQUIRE(list);
    CHECK(list->empty());
    b.wire.expect(method::get, list_url)
        .answers(404, no(404, "NotFound", "Project with ID 'pid' not found during bot lookup"));
    CHECK(b.list().error().kind == error_kind::refused);
    b.wire.expect(method::get, list_url).answers(200, "{}");
    CHECK(b.list().error().kind == error_kind::unavailable);
}

TEST_CASE("reading one secret") {
    bench b;
    b.logs_in();
    b.wire.expect(method::get, key_url)
        .answers(200, R"({"secret":)" + row("KEY", R"("secretValue":")" + value + R"(")") + "}");
    auto found = b.read();
    REQUIRE(found);
    CHECK((*found)->value.reveal() == value);
    b.wire.expect(method::get, key_url).answers(404, no_secret);
    auto nothing = b.read();
    REQUIRE(nothing);
    CHECK_FALSE(nothing->has_value());
    b.wire.expect(method::get, key_url).answers(404, no_folder);
    auto e = b.read().error();
    CHECK(e.kind == error_kind::refused);
    CHECK(e.what.find("folder /MooseQuest/cloudflare does not exist in environment prod") != std::string::npos);
    b.wire.expect(method::get, key_url).answers(200, R"({"secret":)" + row("OTHER", R"("secretValue":"x")") + "}");
    CHECK(b.read().error().kind == error_kind::unavailable);
}

TEST_CASE("writes: stored, waiting for approval, or not known") {
    bench b;
    b.logs_in();
    const std::string stored = R"({"secret":)" + row("KEY", R"("secretValue":"x")") + "}";
    const std::string waits = R"({"approval":{"id":"8d2f","status":"open","hasMerged":false}})";
    const std::string where =
        R"("workspaceId":"pid","environment":"prod","secretPath":"/MooseQuest/cloudflare","type":"shared")";
    auto url = v3 + "/KEY";
    b.wire.expect(method::post, url)
        .with_body("{" + where + R"(,"secretValue":")" + value + R"(","secretComment":"by Postern"})")
        .answers(200, stored);
    CHECK(b.create().value() == infisical::written::stored);
    b.wire.expect(method::post, url).answers(200, waits);
    CHECK(b.create().value() == infisical::written::awaiting_approval);
    b.wire.expect(method::post, url).answers(200, "{}");
    CHECK(b.create().error().kind == error_kind::ambiguous);

    b.wire.expect(method::patch, url)
        .with_body("{" + where + R"(,"secretValue":")" + value + R"("})")
        .answers(200, stored);
    CHECK(b.update().value() == infisical::written::stored);
    b.wire.expect(method::patch, url).answers(200, waits);
    CHECK(b.update().value() == infisical::written::awaiting_approval);

    b.wire.expect(method::delete_, url).with_body("{" + where + "}").answers(200, stored);
    CHECK(b.remove().value() == infisical::written::stored);
    b.wire.expect(method::delete_, url).answers(200, waits);
    CHECK(b.remove().value() == infisical::written::awaiting_approval);
    for (const auto& gone : {no_secret, no_folder, no(404, "DeleteSecret", "Secret not found")}) {
        b.wire.expect(method::delete_, url).answers(404, gone);
        CHECK(b.remove().value() == infisical::written::stored);
    }
    for (const auto& sent : b.wire.requests())
        CHECK(sent.repeatable == (sent.url == login_url ? net::repeat::safe : net::repeat::once));
}

TEST_CASE("an answer's status and class say what the loop must do") {
    struct line {
        int status;
        std::string body;
        error_kind read;
        error_kind write;
    };
    using k = error_kind;
    const line lines[] = {
        {400, no(400, "BadRequest", "Secret already exist"), k::conflict, k::conflict},
        {400, no(400, "BadRequest", "Secret already exists"), k::conflict, k::conflict},
        {400, no(400, "BadRequest", "Referenced secret(s) not found"), k::refused, k::refused},
        {401, R"({"message":[{"path":["secretValue"],"message":"Required"}],"error":"ValidationFailure"})", k::refused,
         k::refused},
        {403, no(403, "PermissionDenied", "You are not allowed to create on secrets"), k::refused, k::refused},
        {403, no(403, "Identity is not a member", "You are not allowed to access this resource"), k::refused,
         k::refused},
        {404, no_folder, k::refused, k::refused},
        {410, no(410, "GoneError", "gone"), k::refused, k::refused},
        {422, no(422, "ValidationFailure", "no"), k::refused, k::refused},
        {429, no(429, "RateLimitExceeded", "Rate limit exceeded"), k::throttled, k::throttled},
        {500, no(500, "Find by secret path", "Something went wrong"), k::unavailable, k::ambiguous},
        {502, "<html><title>Bad gateway</title></html>", k::unavailable, k::ambiguous},
        {504, no(504, "GatewayTimeoutError", "timeout"), k::unavailable, k::ambiguous},
        {200, R"({"secret":)", k::unavailable, k::ambiguous},
    };
    for (const auto& l : lines) {
        CAPTURE(l.status);
        CAPTURE(l.body);
        bench b;
        b.logs_in();
        b.wire.expect(method::get, key_url).answers(l.status, l.body);
        b.wire.expect(method::post, v3 + "/KEY").answers(l.status, l.body);
        auto read = b.read();
        auto write = b.create();
        REQUIRE_FALSE(read);
        REQUIRE_FALSE(write);
        CHECK(read.error().kind == l.read);
        CHECK(write.error().kind == l.write);
        CHECK(write.error().status == l.status);
        CHECK(write.error().where == "infisical POST secret KEY in /MooseQuest/cloudflare");
        if (l.status == 429)
            CHECK(write.error().retry_after == std::chrono::seconds{60});
    }
    bench b;
    b.logs_in();
    b.wire.expect(method::patch, v3 + "/KEY").answers(404, no_secret);
    CHECK(b.update().error().kind == error_kind::conflict);
    b.wire.expect(method::get, key_url)
        .answers(422, R"({"statusCode":422,"reqId":"req-rWbu","error":"ValidationFailure",)"
                      R"("message":[{"path":["secretName"],"message":"no colons"},{"message":"nor this"}]})");
    CHECK(b.read().error().what == "HTTP 422: ValidationFailure: secretName: no colons; nor this (reqId req-rWbu)");
    b.wire.expect(method::get, key_url).answers(429, no(429, "RateLimitExceeded", "wait"), {{"retry-after", "42"}});
    CHECK(b.read().error().retry_after == std::chrono::seconds{42});
}

TEST_CASE("one login serves until a fifth of its time is left") {
    bench b;
    b.logs_in("token-one", 100);
    b.wire.expect(method::get, list_url)
        .with_header("Authorization", "Bearer token-one")
        .answers(200, R"({"secrets":[]})");
    CHECK(b.list());
    b.clock.advance(std::chrono::seconds{79});
    b.wire.expect(method::get, list_url)
        .with_header("Authorization", "Bearer token-one")
        .answers(200, R"({"secrets":[]})");
    CHECK(b.list());
    b.clock.advance(std::chrono::seconds{2});
    b.logs_in("token-two", 0);
    b.wire.expect(method::get, list_url)
        .with_header("Authorization", "Bearer token-two")
        .answers(200, R"({"secrets":[]})");
    CHECK(b.list());
    b.clock.advance(std::chrono::hours{1000});
    b.wire.expect(method::get, list_url)
        .with_header("Authorization", "Bearer token-two")
        .answers(200, R"({"secrets":[]})");
    CHECK(b.list());
}

TEST_CASE("a token that is refused is replaced once, also in the middle of a write") {
    for (const auto& refusal : {std::pair{403, expired}, std::pair{401, no(401, "UnauthorizedError", "gone")}}) {
        bench b;
        b.logs_in("token-one");
        b.wire.expect(method::post, v3 + "/KEY")
            .with_header("Authorization", "Bearer token-one")
            .answers(refusal.first, refusal.second);
        b.logs_in("token-two");
        b.wire.expect(method::post, v3 + "/KEY")
            .with_header("Authorization", "Bearer token-two")
            .answers(200, R"({"secret":{"secretKey":"KEY"}})");
        CHECK(b.create());
    }
    bench b;
    b.logs_in("token-one");
    b.wire.expect(method::get, list_url).answers(403, expired);
    b.logs_in("token-two");
    b.wire.expect(method::get, list_url).answers(403, expired);
    auto list = b.list();
    REQUIRE_FALSE(list);
    CHECK(list.error().kind == error_kind::credential);
}

TEST_CASE("a login that was refused is not tried again for a minute, unless the keys are others") {
    for (int status : {401, 404}) {
        bench b;
        b.wire.expect(method::post, login_url).answers(status, no(status, "UnauthorizedError", "Invalid credentials"));
        auto first = b.list();
        REQUIRE_FALSE(first);
        CHECK(first.error().kind == error_kind::credential);
        b.clock.advance(std::chrono::seconds{59});
        b.vault.use(keys());
        auto second = b.list();
        REQUIRE_FALSE(second);
        CHECK(second.error().kind == error_kind::credential);
        CHECK(second.error().retry_after == std::chrono::seconds{1});

        b.vault.use(keys("other-client-secret"));
        b.wire.expect(method::post, login_url)
            .with_body(R"({"clientId":"the-client-id","clientSecret":"other-client-secret"})")
            .answers(401, no(401, "UnauthorizedError", "Invalid credentials"));
        CHECK_FALSE(b.list());
        b.clock.advance(std::chrono::seconds{61});
        b.vault.use(keys());
        b.logs_in();
        b.wire.expect(method::get, list_url).answers(200, R"({"secrets":[]})");
        CHECK(b.list());
    }
}

TEST_CASE("callers at the same time share one login, and its failure") {
    bench b;
    int done = 0;
    int failed = 0;
    auto call = [&]() -> boost::asio::awaitable<void> {
        auto list = co_await b.vault.list("/MooseQuest/cloudflare");
        ++(list ? done : failed);
    };
    b.wire.expect(method::post, login_url).answers(503, "down").after(b.clock, std::chrono::seconds{2});
    for (int i = 0; i < 3; ++i)
        boost::asio::co_spawn(b.io, call, boost::asio::detached);
    testing::run_through_time(b.io, b.clock);
    CHECK(failed == 3);

    b.logs_in().after(b.clock, std::chrono::seconds{2});
    for (int i = 0; i < 3; ++i) {
        b.wire.expect(method::get, list_url).answers(200, R"({"secrets":[]})").after(b.clock, std::chrono::seconds{1});
        boost::asio::co_spawn(b.io, call, boost::asio::detached);
    }
    testing::run_through_time(b.io, b.clock);
    CHECK(done == 3);

    // All three find the token expired; one of them logs in again.
    for (int i = 0; i < 3; ++i) {
        b.wire.expect(method::get, list_url).answers(403, expired).after(b.clock, std::chrono::seconds{1 + i});
        boost::asio::co_spawn(b.io, call, boost::asio::detached);
    }
    b.logs_in("token-two").after(b.clock, std::chrono::seconds{5});
    for (int i = 0; i < 3; ++i)
        b.wire.expect(method::get, list_url).answers(200, R"({"secrets":[]})");
    testing::run_through_time(b.io, b.clock);
    CHECK(done == 6);
    CHECK(failed == 3);
}

TEST_CASE("a static token is sent as it is, and never logged in for") {
    boost::asio::io_context io;
    testing::scripted_transport wire;
    testing::settable_clock clock;
    infisical::token_login t;
    t.token = secret{"static-token"};
    infisical vault{wire, clock, place("pid"), std::move(t)};
    wire.expect(method::get, list_url).with_header("Authorization", "Bearer static-token").answers(403, expired);
    auto list = run(io, vault.list("/MooseQuest/cloudflare"));
    REQUIRE_FALSE(list);
    CHECK(list.error().kind == error_kind::credential);
    infisical::token_login again;
    again.token = secret{"fresh-token"};
    vault.use(std::move(again));
    wire.expect(method::get, list_url)
        .with_header("Authorization", "Bearer fresh-token")
        .answers(200, R"({"secrets":[]})");
    CHECK(run(io, vault.list("/MooseQuest/cloudflare")));
}

TEST_CASE("a project's slug is looked up once, by the route that the server has") {
    bench b{place("", "moosequest")};
    b.logs_in();
    b.wire.expect(method::get, base + "/api/v1/projects/slug/moosequest").answers(404, no_route);
    b.wire.expect(method::get, base + "/api/v1/workspace/slug/moosequest").answers(404, no_route);
    b.wire.expect(method::get, base + "/api/v2/workspace/moosequest")
        .answers(200, R"({"id":"pid","slug":"moosequest"})");
    b.wire.expect(method::get, list_url).answers(200, R"({"secrets":[]})");
    CHECK(b.list());
    b.wire.expect(method::get, list_url).answers(404, no(404, "NotFound", "Project with ID 'pid' not found"));
    CHECK_FALSE(b.list());
    // A project that is no longer there under its id may stand under another.
    b.wire.expect(method::get, base + "/api/v1/projects/slug/moosequest").answers(200, R"({"id":"pid2"})");
    b.wire.expect(method::get, v3 + "?workspaceId=pid2&" + in_folder).answers(200, R"({"secrets":[]})");
    CHECK(b.list());

    bench unknown{place("", "nope")};
    unknown.logs_in();
    unknown.wire.expect(method::get, base + "/api/v1/projects/slug/nope").answers(404, no_route);
    unknown.wire.expect(method::get, base + "/api/v1/workspace/slug/nope").answers(404, no_route);
    unknown.wire.expect(method::get, base + "/api/v2/workspace/nope")
        .answers(500, no(500, "Failed to find project by slug", "Something went wrong"));
    CHECK(unknown.list().error().kind == error_kind::refused);
}

TEST_CASE("a server without v3 is spoken to in v4 from then on") {
    bench b;
    b.logs_in();
    b.wire.expect(method::get, list_url).answers(404, no_route);
    b.wire.expect(method::get, v4 + "?projectId=pid&" + in_folder).answers(200, R"({"secrets":[]})");
    CHECK(b.list());
    b.wire.expect(method::post, v4 + "/KEY")
        .with_body(R"({"projectId":"pid","environment":"prod","secretPath":"/MooseQuest/cloudflare","type":"shared",)"
                   R"("secretValue":")" +
                   value + R"(","secretComment":"by Postern"})")
        .answers(200, R"({"secret":{}})");
    CHECK(b.create());
}

TEST_CASE("a key too long for any route does not change the dialect") {
    bench b;
    b.logs_in();
    b.wire.expect(method::post, v3 + "/KEY").answers(404, no_route);
    b.wire.expect(method::post, v4 + "/KEY").answers(404, no_route);
    auto made = b.create();
    REQUIRE_FALSE(made);
    CHECK(made.error().kind == error_kind::refused);
    b.wire.expect(method::get, list_url).answers(200, R"({"secrets":[]})");
    CHECK(b.list());
}

TEST_CASE("folders") {
    bench b;
    b.logs_in();
    const std::string parents = base + "/api/v1/folders?workspaceId=pid&environment=prod&path=%2FMooseQuest";
    b.wire.expect(method::get, parents).answers(200, R"({"folders":[{"id":"f","name":"cloudflare"}]})");
    CHECK(run(b.io, b.vault.folder_exists("/MooseQuest/cloudflare")).value());
    b.wire.expect(method::get, parents).answers(200, R"({"folders":[{"id":"f","name":"Cloudflare"}]})");
    CHECK_FALSE(run(b.io, b.vault.folder_exists("MooseQuest/cloudflare/")).value());
    CHECK(run(b.io, b.vault.folder_exists("/")).value());

    b.wire.expect(method::post, base + "/api/v1/folders")
        .with_body(R"({"workspaceId":"pid","environment":"prod","name":"postern","path":"/MooseQuest"})")
        .answers(200, R"({"folder":{"id":"f","name":"postern"}})");
    CHECK(run(b.io, b.vault.create_folder("/MooseQuest/postern")));
    b.wire.expect(method::post, base + "/api/v1/folders").answers(404, no_route);
    b.wire.expect(method::post, base + "/api/v2/folders")
        .with_body(R"({"projectId":"pid","environment":"prod","name":"top","path":"/"})")
        .answers(200, R"({"folder":{"id":"f","name":"top"}})");
    CHECK(run(b.io, b.vault.create_folder("/top")));
    b.wire.expect(method::post, base + "/api/v2/folders").answers(200, R"({"approval":{"id":"x"}})");
    CHECK(run(b.io, b.vault.create_folder("/held")).error().kind == error_kind::refused);
}

TEST_CASE("no error repeats a secret, whatever the server says") {
    bench b;
    b.logs_in("token-one-two-three");
    for (const std::string& echo :
         {value, std::string(64, 'b'), std::string{"the-client-secret"}, std::string{"token-one-two-three"}}) {
        b.wire.expect(method::post, v3 + "/KEY").answers(400, no(400, echo, "bad " + echo));
        b.wire.expect(method::post, v3 + "/KEY").answers(502, "bad " + echo);
        for (int i = 0; i < 2; ++i) {
            auto e = b.create().error();
            CAPTURE(e.message());
            CHECK(e.message().find(echo) == std::string::npos);
            CHECK(e.code.find(echo) == std::string::npos);
            CHECK(e.message().find("[struck out]") != std::string::npos);
        }
    }
}

TEST_CASE("a value as the server will store it") {
    auto stored = [](std::string_view v) { return std::string{provider::as_stored(v).reveal()}; };
    CHECK(stored("  padded \t") == "padded");
    CHECK(stored("  x \n\n") == "x\n");
    CHECK(stored("x\n") == "x\n");
    CHECK(stored("\nx") == "x");
    CHECK(stored("x\r\n") == "x\n");
    CHECK(stored("") == "");
    CHECK(stored("a:b$c${d} e") == "a:b$c${d} e");
    CHECK(stored("\xc2\xa0x\xe2\x80\xa8") == "x");
    CHECK(stored("\xc3\xa0") == "\xc3\xa0");
}

} // namespace infisical_test
