#include "printing.hpp"
#include "provider/heroku.hpp"
#include "support/harness.hpp"
#include "support/scripted_transport.hpp"

#include <boost/json.hpp>
#include <doctest/doctest.h>

#include <string>
#include <utility>

namespace heroku_test {

using namespace postern;
using net::method;
using testing::run;

namespace {

const std::string vars_url = "https://api.heroku.com/apps/raxx/config-vars";
const std::string value =
    "0f1e2d3c4b5a69788796a5b4c3d2e1f0.access:cfast_FAKEFAKEFAKEFAKEFAKEFAKEFAKEFAKEFAKEFAKE00000000";

struct bench {
    boost::asio::io_context io;
    testing::scripted_transport wire;
    provider::heroku api{wire, "https://api.heroku.com", secret{"HRKU-key"}};

    result<provider::heroku::patched> patch() {
        std::map<std::string, std::optional<secret>> vars;
        vars.emplace("CF_ACCESS", secret{value});
        vars.emplace("OLD", std::nullopt);
        return run(io, api.patch_config_vars("raxx", std::move(vars)));
    }
};

} // namespace

TEST_CASE("config vars are read with the version and key that Heroku wants") {
    bench b;
    b.wire.expect(method::get, vars_url)
        .with_header("Accept", "application/vnd.heroku+json; version=3")
        .with_header("Authorization", "Bearer HRKU-key")
        .answers(200, R"({"A":"1","EMPTY":"","GONE":null})");
    auto vars = run(b.io, b.api.config_vars("raxx"));
    REQUIRE(vars);
    CHECK(vars->size() == 2);
    CHECK(vars->at("A").reveal() == "1");
    CHECK(vars->at("EMPTY").empty());
}

TEST_CASE("one PATCH sets and unsets, and is never safe to repeat") {
    bench b;
    b.wire.expect(method::patch, vars_url)
        .with_body(R"({"OLD":null,"CF_ACCESS":")" + value + R"("})")
        .answers(200, R"({"CF_ACCESS":"before"})",
                 {{"warning-message", "Release command executing: not yet available for " + value}});
    auto done = b.patch();
    REQUIRE(done);
    CHECK(done->vars.at("CF_ACCESS").reveal() == "before");
    CHECK(done->warning == "Release command executing: not yet available for [struck out]");
    CHECK(b.wire.requests().back().repeatable == net::repeat::once);

    b.wire.expect(method::patch, vars_url).answers(200, "{}", {{"X-Heroku-Warning", "old words"}});
    CHECK(b.patch()->warning == "old words");
}

TEST_CASE("a PATCH of nothing is not sent") {
    bench b;
    std::map<std::string, std::optional<secret>> none;
    CHECK(run(b.io, b.api.patch_config_vars("raxx", std::move(none))).error().kind == error_kind::bug);
    CHECK(b.wire.requests().empty());
}

TEST_CASE("an answer's status and id say what the loop must do") {
    struct row {
        int status;
        std::string body;
        error_kind read;
        error_kind write;
        std::string words;
    };
    using k = error_kind;
    auto said = [](const std::string& id) { return R"({"id":")" + id + R"(","message":"Words of Heroku."})"; };
    const row rows[] = {
        {400, said("bad_request"), k::refused, k::refused, "bad_request: Words of Heroku."},
        {401, said("unauthorized"), k::credential, k::credential, "API key"},
        {402, said("delinquent"), k::refused, k::refused, "billing"},
        {403, said("forbidden"), k::refused, k::refused, "member of raxx"},
        {403, said("suspended"), k::refused, k::refused, "is suspended"},
        {403, said("two_factor"), k::refused, k::refused, "second factor"},
        {404, said("not_found"), k::refused, k::refused, "renamed"},
        {409, said("conflict"), k::unavailable, k::unavailable, "conflict"},
        {422, said("invalid_params"), k::refused, k::refused, "64 kB"},
        {429, said("rate_limit"), k::throttled, k::throttled, "rate_limit"},
        {500, said("internal"), k::unavailable, k::ambiguous, "internal"},
        {503, "<html><head><title>Application Error</title></head></html>", k::unavailable, k::ambiguous,
         "\"Application Error\""},
        {200, R"({"A":"1)", k::unavailable, k::ambiguous, "cut off"},
        {200, "[]", k::unavailable, k::ambiguous, "not a map"},
    };
    for (const auto& r : rows) {
        CAPTURE(r.status);
        CAPTURE(r.body);
        bench b;
        b.wire.expect(method::get, vars_url).answers(r.status, r.body, {{"Request-Id", "0c1e"}});
        b.wire.expect(method::patch, vars_url).answers(r.status, r.body, {{"Request-Id", "0c1e"}});
        auto read = run(b.io, b.api.config_vars("raxx"));
        auto write = b.patch();
        REQUIRE_FALSE(read);
        REQUIRE_FALSE(write);
        CHECK(read.error().kind == r.read);
        CHECK(write.error().kind == r.write);
        CHECK(read.error().where == "heroku GET config vars of raxx");
        CAPTURE(write.error().what);
        CHECK(write.error().what.find(r.words) != std::string::npos);
        if (r.status != 200)
            CHECK(write.error().what.find("(Request-Id 0c1e)") != std::string::npos);
        if (r.status == 429)
            CHECK(read.error().retry_after == std::chrono::seconds{60});
    }
}

TEST_CASE("no error repeats the key or a value that was sent, whole or in halves") {
    bench b;
    for (const auto& echo : {value, value.substr(value.find(':') + 1), std::string{"HRKU-key"}}) {
        b.wire.expect(method::patch, vars_url)
            .answers(422, R"({"id":"invalid_params","message":"bad value )" + echo + R"("})");
        b.wire.expect(method::patch, vars_url).answers(503, "failed at " + echo);
        for (int i = 0; i < 2; ++i) {
            auto message = b.patch().error().message();
            CAPTURE(message);
            CHECK(message.find("FAKEFAKE") == std::string::npos);
            CHECK(message.find("HRKU-key") == std::string::npos);
            CHECK(message.find("[struck out]") != std::string::npos);
        }
    }
}

TEST_CASE("releases, newest first") {
    bench b;
    b.wire.expect(method::get, "https://api.heroku.com/apps/raxx/releases")
        .with_header("Range", "version ..; order=desc,max=2")
        .answers(206, R"([{"version":288,"status":"succeeded","description":"Set A config vars","current":true},
                          {"version":289.0,"status":"pending","description":"Set B config vars","user":{}}])");
    auto list = run(b.io, b.api.releases("raxx", 2));
    REQUIRE(list);
    REQUIRE(list->size() == 2);
    CHECK(list->at(0).version == 289);
    CHECK(list->at(0).status == "pending");
    CHECK(list->at(1).description == "Set A config vars");
}

TEST_CASE("an app's name is encoded, and a base path is kept") {
    boost::asio::io_context io;
    testing::scripted_transport wire;
    provider::heroku api{wire, "http://127.0.0.1:8080/heroku/", secret{"k"}};
    wire.expect(method::get, "http://127.0.0.1:8080/heroku/apps/a%2F..%2Fb/config-vars").answers(200, "{}");
    CHECK(run(io, api.config_vars("a/../b")));
}

} // namespace heroku_test
