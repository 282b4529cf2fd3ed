#include "provider/cloudflare.hpp"
#include "provider/heroku.hpp"
#include "provider/key_trust.hpp"
#include "support/harness.hpp"
#include "support/scripted_transport.hpp"
#include "support/settable_clock.hpp"

#include <doctest/doctest.h>

#include <string>

namespace key_trust_test {

using namespace postern;
using namespace postern::testing;
using namespace std::chrono_literals;
using net::method;
using provider::key_trust;

namespace {

const std::string account(32, 'a');
const std::string tokens = "/client/v4/accounts/" + account + "/access/service_tokens?per_page=100&page=1";
const std::string groups = "/client/v4/accounts/" + account + "/access/groups?per_page=100&page=1";
constexpr auto refusal =
    R"({"success":false,"errors":[{"code":10000,"message":"Authentication error"}],"messages":[],"result":null})";
constexpr auto nothing =
    R"({"success":true,"errors":[],"messages":[],"result":[],"result_info":{"page":1,"per_page":100,"count":0,"total_count":0}})";

struct stage {
    boost::asio::io_context io{1};
    settable_clock time;
    scripted_transport script;
    provider::cloudflare api{script, "https://api.cloudflare.com/client/v4", account, secret{"cfut_made-up"}, &time};
    instant start = time.now();

    stage() { time.jump_over_sleeps(); }
    duration passed() const { return time.now() - start; }
    void refuses(const std::string& target, int times) {
        for (int i = 0; i < times; ++i)
            script.expect(method::get, target).answers(403, refusal);
    }
    auto list() { return run(io, api.list_tokens()); }
};

} // namespace

TEST_CASE("a key is dead only where nothing else was accepted meanwhile, and rests longer each time") {
    const auto start = *parse_instant("2026-11-23T10:00:00Z");
    key_trust trust;
    error refused;
    refused.kind = error_kind::credential;
    refused.status = 403;
    refused.what = "HTTP 403";
    CHECK(!trust.barred(start));
    trust.accepted(start + 1s);
    trust.refused(refused, start, start + 10s);
    CHECK(!trust.barred(start + 10s)); // it lacks a right, no more

    auto now = start + 1h;
    for (auto rest : {1min, 2min, 4min, 8min, 15min, 15min}) {
        trust.refused(refused, now - 10s, now);
        trust.refused(refused, now - 10s, now); // a second call of the same moment is no news
        auto bar = trust.barred(now + rest - 1s);
        REQUIRE(bar);
        CHECK(bar->kind == error_kind::credential);
        CHECK(bar->status == 0);
        CHECK(bar->retry_after == 1s);
        CHECK(bar->message().find("HTTP 403") != std::string::npos);
        CHECK(!trust.barred(now + rest));
        now += rest + 20s;
    }
    trust.accepted(now);
    trust.refused(refused, now + 1s, now + 2s);
    CHECK(trust.barred(now + 62s - 1s));
    CHECK(!trust.barred(now + 62s));
    trust.refused(refused, now + 100s, now + 101s);
    trust.replaced();
    CHECK(!trust.barred(now + 102s));
}

TEST_CASE("Cloudflare refuses a good key in passing: it is asked again, spaced") {
    stage s;
    s.refuses(tokens, 2);
    s.script.expect(method::get, tokens).answers(200, nothing);
    CHECK(s.list().has_value());
    CHECK(s.passed() == 10s);
}

TEST_CASE("a wait to ask again with a key that was refused ends when somebody asks to stop") {
    boost::asio::io_context io{1};
    settable_clock time;
    scripted_transport script;
    net::stop halt;
    provider::cloudflare api{script, "https://api.cloudflare.com/client/v4", account, secret{"cfut_made-up"}, &time,
                             &halt};
    script.expect(method::get, tokens).answers(403, refusal);
    std::optional<error> came;
    auto job = api.list_tokens();
    boost::asio::co_spawn(io, std::move(job), [&](const std::exception_ptr&, const auto& got) { came = got.error(); });
    io.poll();
    CHECK(time.sleepers() == 1);
    CHECK(!came);
    halt.ask();
    io.restart();
    io.poll();
    CHECK(time.sleepers() == 0);
    REQUIRE(came);
    CHECK(came->kind == error_kind::cancelled); // the refusal is not believed yet
}

TEST_CASE("a key that is refused three times in a row is left alone until it is another one") {
    stage s;
    s.refuses(tokens, 3);
    auto dead = s.list();
    REQUIRE(dead.has_error());
    CHECK(dead.error().kind == error_kind::credential);
    CHECK(dead.error().status == 403);
    CHECK(s.passed() == 10s);
    for (int i = 0; i < 5; ++i) {
        auto again = s.list();
        REQUIRE(again.has_error());
        CHECK(again.error().kind == error_kind::credential);
        CHECK(again.error().status == 0);
        CHECK(again.error().message().find("made-up") == std::string::npos);
        s.time.advance(11s);
    }
    s.api.use(secret{"cfut_made-up"}); // the same: no news
    CHECK(s.list().error().status == 0);
    CHECK(s.script.requests().size() == 3);
    s.api.use(secret{"cfut_made-up-too"});
    s.script.expect(method::get, tokens).answers(200, nothing);
    CHECK(s.list().has_value());
}

TEST_CASE("a key that lacks one right goes on being used for the others") {
    stage s;
    s.refuses(groups, 3);
    bool asked = false;
    // Another call is accepted while this one waits to be asked again.
    auto both = [](stage* on, bool* done) -> boost::asio::awaitable<bool> {
        auto got = co_await on->api.list_tokens();
        *done = got.has_value();
        co_return true;
    };
    s.script.expect(method::get, tokens).answers(200, nothing).after(s.time, 1s);
    boost::asio::co_spawn(s.io, both(&s, &asked), [](std::exception_ptr, bool) {});
    auto refused = run(s.io, s.api.list_groups());
    CHECK(refused.error().kind == error_kind::credential);
    CHECK(asked);
    s.script.expect(method::get, tokens).answers(200, nothing);
    CHECK(s.list().has_value());
}

TEST_CASE("what is not safe to repeat is asked once, and says nothing about the key") {
    stage s;
    s.script.expect(method::post, "/client/v4/accounts/" + account + "/access/service_tokens").answers(403, refusal);
    auto made = run(s.io, s.api.create_token("probe", "8760h"));
    CHECK(made.error().kind == error_kind::credential);
    s.script.expect(method::get, tokens).answers(200, nothing);
    CHECK(s.list().has_value());
    CHECK(s.passed() == 0s);
}

TEST_CASE("Heroku's word about a key is believed at once, and not asked for again for each app") {
    stage s;
    provider::heroku platform{s.script, "https://api.heroku.com", secret{"HRKU-made-up"}, &s.time};
    s.script.expect(method::get, "/apps/one/config-vars").answers(401, R"({"id":"unauthorized","message":"no"})");
    CHECK(run(s.io, platform.config_vars("one")).error().status == 401);
    for (auto app : {"one", "two", "three"})
        CHECK(run(s.io, platform.config_vars(app)).error().kind == error_kind::credential);
    CHECK(s.script.requests().size() == 1);
    s.time.advance(1min);
    s.script.expect(method::get, "/apps/two/config-vars").answers(200, "{}");
    CHECK(run(s.io, platform.config_vars("two")).has_value());
}

} // namespace key_trust_test
