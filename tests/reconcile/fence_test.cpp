#include "net/retry.hpp"
#include "reconcile/scene.hpp"
#include "run/fenced_transport.hpp"
#include "support/harness.hpp"
#include "support/scripted_transport.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <map>

namespace fence_test {

// Whoever no longer leads sends nothing that may change something, and what goes out is counted.

using namespace postern;
using namespace postern::testing;
namespace asio = boost::asio;

namespace {

net::request request_of(net::method verb, bool login = false) {
    net::request r;
    r.verb = verb;
    r.origin = "http://127.0.0.1:1";
    r.target = "/x";
    r.what = "test request";
    r.login = login;
    return r;
}

} // namespace

TEST_CASE("the fence lets reads and logins pass, and says of a write that it was not sent") {
    asio::io_context io;
    scripted_transport wire;
    run::fenced_transport fence{wire, [] { return false; }};
    wire.expect(net::method::get, "/x").answers(204);
    wire.expect(net::method::post, "/x").answers(204);
    CHECK(postern::testing::run(io, fence.send(request_of(net::method::get))).value().status == 204);
    CHECK(postern::testing::run(io, fence.send(request_of(net::method::post, true))).value().status == 204);
    for (auto verb : {net::method::post, net::method::put, net::method::patch, net::method::delete_}) {
        auto refused = postern::testing::run(io, fence.send(request_of(verb)));
        REQUIRE(refused.has_error());
        CHECK(refused.error().kind == error_kind::cancelled);
        CHECK(refused.error().code == run::fenced_code);
        CHECK(refused.error().where == "test request");
        CHECK(refused.error().what.find("another controller may lead by now") != std::string::npos);
    }
    CHECK(wire.requests().size() == 2);
}

TEST_CASE("a write that waits to be sent again is judged again as it goes out") {
    asio::io_context io;
    settable_clock clock;
    clock.jump_over_sleeps();
    scripted_transport wire;
    int asked = 0;
    run::fenced_transport fence{wire, [&] { return ++asked == 1; }};
    net::retrying_transport retried{fence, clock, [] { return 0.5; }};
    wire.expect(net::method::patch, "/x").answers(429);
    auto out = postern::testing::run(io, retried.send(request_of(net::method::patch)));
    REQUIRE(out.has_error());
    CHECK(out.error().kind == error_kind::cancelled);
    CHECK(asked == 2);
    CHECK(wire.requests().size() == 1);
}

TEST_CASE("once another controller leads no write arrives, the pass ends, and the next leader finishes") {
    auto wanted = documents(console_documents());
    std::size_t all = 0;
    {
        miniature m;
        m.may_write = [&] {
            ++all;
            return true;
        };
        CHECK(fine(m.apply(wanted)));
        CHECK(m.writes() == all);
    }
    REQUIRE(all > 10);
    for (std::size_t led = 0; led < all; ++led) {
        CAPTURE(led);
        miniature m;
        std::size_t asked = 0;
        m.may_write = [&] { return asked++ < led; };
        auto report = m.apply(wanted);
        CHECK(report.interrupted);
        CHECK(!report.unsettled);
        CHECK(m.writes() == led);
        CHECK(std::any_of(report.failures.begin(), report.failures.end(),
                          [](const auto& f) { return f.second.code == run::fenced_code; }));
        m.may_write = {};
        auto next = m.apply(wanted);
        CHECK_MESSAGE(fine(next), troubles(next.last.conditions));
        CHECK(m.tokens("console-self-probe").size() == 1);
    }
}

TEST_CASE("a nonce whose request was fenced off is still unsent, for a process that leads again") {
    miniature m;
    auto wanted = documents(console_documents());
    std::size_t held = 0;
    bool leads = false;
    m.may_write = [&] { return leads; };
    m.in_process(wanted, [&](miniature::hands h) -> asio::awaitable<void> {
        auto reading = h.reader.gather(std::move(h.world));
        h.world = co_await std::move(reading);
        h.world.unsent.insert("n1");
        run::executor hands{h.around, h.world, h.halt};
        domain::step s{"ServiceToken/t", "t", "Test", "", {"lock"}, {}};
        s.what = domain::steps::mint{"raxx", "console-self-probe", "n1", "console-self-probe (pending n1)", "8760h"};
        auto first = hands.execute(s);
        auto fenced = co_await std::move(first);
        held = h.world.unsent.count("n1");
        leads = true;
        auto second = hands.execute(s);
        auto sent = co_await std::move(second);
        CHECK(fenced.failure);
        CHECK(sent.token);
    });
    CHECK(held == 1);
    CHECK(m.tokens("console-self-probe").size() == 1);
}

TEST_CASE("every answer is counted once, by provider and status, and each account tells what it has left") {
    scene s;
    std::map<std::string, std::map<int, std::size_t>> answers;
    s.m.on_response = [&](std::string_view provider, int status) { ++answers[std::string{provider}][status]; };
    testcloud::fault lost;
    lost.to = testcloud::service::heroku;
    lost.method = "GET";
    s.m.cloud.trouble.add(lost);
    CHECK(fine(s.apply()));
    std::map<std::string, std::size_t> seen;
    for (const auto& entry : s.m.cloud.ledger.requests())
        ++seen[std::string{to_string(entry.to)}];
    std::map<std::string, std::size_t> counted;
    for (const auto& [provider, by_status] : answers) {
        for (const auto& [status, times] : by_status)
            counted[provider] += times;
    }
    CHECK(counted == seen);
    CHECK(answers["heroku"][0] == 1);
    CHECK(answers["cloudflare"][200] > 0);
    CHECK(answers["edge"].size() > 1);

    std::map<std::string, std::int64_t> left;
    s.m.in_process(s.wanted(), [&](miniature::hands h) -> asio::awaitable<void> {
        auto reading = h.reader.gather(std::move(h.world));
        h.world = co_await std::move(reading);
        left = h.around.remotes.budgets();
    });
    for (const auto* account : {"CloudflareAccount/raxx", "CloudflareAccount/apart", "HerokuAccount/heroku",
                                "HerokuAccount/apart", "InfisicalVault/infisical", "InfisicalVault/apart"})
        CHECK_MESSAGE(left[account] > 0, account);
}

} // namespace fence_test
