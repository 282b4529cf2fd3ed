#include "net/budget.hpp"
#include "net/rate_limit.hpp"
#include "net/retry.hpp"
#include "net/stop.hpp"
#include "support/harness.hpp"
#include "support/scripted_transport.hpp"
#include "support/settable_clock.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <doctest/doctest.h>

#include <algorithm>
#include <optional>
#include <vector>

namespace pace_test {

using namespace postern;
using namespace postern::net;
using namespace postern::testing;
using namespace std::chrono_literals;
namespace asio = boost::asio;

namespace {

using headers = std::vector<std::pair<std::string, std::string>>;

request ask(repeat repeatable, std::string target = "/x") {
    request r;
    r.origin = "https://api.example";
    r.target = std::move(target);
    r.repeatable = repeatable;
    r.what = "test";
    return r;
}

rate_limit told(headers h) {
    response r;
    r.headers = std::move(h);
    return read_rate_limit(r, *parse_instant("2026-11-23T10:00:00Z"));
}

// One thread, one script, time that jumps over sleeps.
struct stage {
    asio::io_context io{1};
    settable_clock time;
    scripted_transport script;
    instant start = time.now();

    stage() { time.jump_over_sleeps(); }
    duration passed() const { return time.now() - start; }
    result<response> send(transport& through, request r) { return run(io, through.send(std::move(r))); }
};

double middle() {
    return 0.5;
}

} // namespace

TEST_CASE("what the remotes say about their limits is read") {
    auto cloudflare = told({{"Ratelimit", "\"default\";r=50;t=30"}, {"Ratelimit-Policy", "\"default\";q=1200;w=300"}});
    CHECK(cloudflare.remaining == 50);
    CHECK(cloudflare.reset == 30s);
    CHECK(cloudflare.limit == 1200);
    CHECK(!cloudflare.retry_after);

    auto two = told({{"ratelimit", "\"burst\";r=80;t=3, \"default\";r=7;t=200"},
                     {"ratelimit-policy", "\"burst\";q=100;w=60, \"default\";q=1200;w=300"}});
    CHECK(two.remaining == 7);
    CHECK(two.reset == 200s);
    CHECK(two.limit == 1200);

    auto heroku = told({{"RateLimit-Remaining", "4211"}});
    CHECK(heroku.remaining == 4211);
    CHECK(!heroku.reset);

    auto infisical = told({{"x-ratelimit-limit", "60"}, {"x-ratelimit-remaining", "59"}, {"x-ratelimit-reset", "42"}});
    CHECK(infisical.limit == 60);
    CHECK(infisical.remaining == 59);
    CHECK(infisical.reset == 42s);

    CHECK(told({{"Retry-After", "60"}}).retry_after == 60s);
    CHECK(told({{"Retry-After", " 1.5 "}}).retry_after == 1s);
    CHECK(told({{"Retry-After", "Mon, 23 Nov 2026 10:01:00 GMT"}}).retry_after == 60s);
    CHECK(told({{"Retry-After", "Mon, 23 Nov 2026 09:00:00 GMT"}}).retry_after == 0s);
    // Against the remote's own clock, where it shows it.
    CHECK(told({{"Retry-After", "Mon, 23 Nov 2026 10:01:00 GMT"}, {"Date", "Mon, 23 Nov 2026 10:00:30 GMT"}})
              .retry_after == 30s);
    CHECK(told({{"Retry-After", "1795428060"}}).retry_after == 60s);
    CHECK(told({{"retry-after-ms", "250"}, {"Retry-After", "9"}}).retry_after == 250ms);
    // Nobody's window is longer than an hour: more is not believed, and not passed over in silence.
    auto absurd = told({{"Retry-After", "99999999999999999"}});
    CHECK(absurd.retry_after == 1h);
    CHECK(absurd.unbelievable > 1h);
    CHECK(told({{"Retry-After", "Mon, 23 Nov 2026 13:00:00 GMT"}}).retry_after == 1h);
    CHECK(told({{"Retry-After", "3600"}}).retry_after == 1h);
    CHECK(!told({{"Retry-After", "3600"}}).unbelievable);
    CHECK(told({{"retry-after-ms", "7200000"}}).unbelievable == 2h);
    auto far = told({{"x-ratelimit-remaining", "0"}, {"x-ratelimit-reset", "86400"}});
    CHECK(far.reset == 1h);
    CHECK(far.unbelievable == 24h);
    CHECK(told({{"Ratelimit", "\"default\";r=0;t=86400"}}).reset == 1h);
    for (auto bad : {"", "soon", "-1", "999999999999999999999999"})
        CHECK_MESSAGE(!told({{"Retry-After", bad}}).retry_after, bad);
    CHECK(!told({{"Ratelimit", "nonsense;;=,r"}}).remaining);
    CHECK(!told({{"Ratelimit", "\"x\";r=-5"}}).remaining);
}

TEST_CASE("what is sent again, and when, is a table") {
    const retry_settings settings;
    auto now = *parse_instant("2026-11-23T10:00:00Z");
    auto answered = [&](repeat r, int status, headers h = {}) {
        response got;
        got.status = status;
        got.headers = std::move(h);
        return wait_before_retry(settings, r, 1, result<response>{std::move(got)}, now, 0.5);
    };
    auto failed = [&](repeat r, error_kind kind) {
        error e;
        e.kind = kind;
        return wait_before_retry(settings, r, 1, result<response>{e}, now, 0.5);
    };
    for (int status : {429, 500, 502, 503, 504, 520, 522, 529})
        CHECK_MESSAGE(answered(repeat::safe, status), status);
    for (int status : {200, 201, 206, 302, 304, 400, 401, 403, 404, 409, 501, 505, 530})
        CHECK_MESSAGE(!answered(repeat::safe, status), status);
    for (int status : {200, 500, 502, 503, 504, 520, 409})
        CHECK_MESSAGE(!answered(repeat::once, status), status);
    CHECK(answered(repeat::once, 429));

    CHECK(failed(repeat::safe, error_kind::unavailable));
    CHECK(failed(repeat::safe, error_kind::timeout));
    CHECK(failed(repeat::once, error_kind::unavailable));
    CHECK(!failed(repeat::once, error_kind::timeout));
    for (auto kind : {error_kind::ambiguous, error_kind::refused, error_kind::cancelled, error_kind::spec,
                      error_kind::bug, error_kind::throttled}) {
        CHECK(!failed(repeat::safe, kind));
        CHECK(!failed(repeat::once, kind));
    }

    CHECK(answered(repeat::safe, 503) == 375ms);
    CHECK(answered(repeat::safe, 503, {{"Retry-After", "7"}}) == 7s);
    CHECK(answered(repeat::safe, 503, {{"Retry-After", "0"}}) == 375ms);
    CHECK(!answered(repeat::safe, 503, {{"Retry-After", "300"}}));
    CHECK(answered(repeat::safe, 429, {{"x-ratelimit-remaining", "0"}, {"x-ratelimit-reset", "42"}}) == 42s);
    CHECK(answered(repeat::safe, 503, {{"x-ratelimit-remaining", "0"}, {"x-ratelimit-reset", "42"}}) == 375ms);
}

TEST_CASE("waits grow and are spread by chance") {
    retry_settings settings;
    settings.attempts = 100;
    error e;
    e.kind = error_kind::unavailable;
    auto wait = [&](int made, double random) {
        return *wait_before_retry(settings, repeat::safe, made, result<response>{e}, {}, random);
    };
    CHECK(wait(1, 0.0) == 250ms);
    CHECK(wait(1, 0.999) < 500ms);
    CHECK(wait(2, 0.0) == 500ms);
    CHECK(wait(3, 0.0) == 1s);
    CHECK(wait(5, 0.0) == 4s);
    CHECK(wait(99, 0.0) == 4s);
}

TEST_CASE("a safe request is tried three times, and the last outcome is handed on") {
    stage s;
    retrying_transport retrying{s.script, s.time, middle};
    s.script.expect(method::get, "/x").fails(error_kind::timeout);
    s.script.expect(method::get, "/x").answers(502);
    s.script.expect(method::get, "/x").answers(200, "ok");
    CHECK(s.send(retrying, ask(repeat::safe))->body.reveal() == "ok");
    CHECK(s.passed() == 375ms + 750ms);
    for (int i = 0; i < 3; ++i)
        s.script.expect(method::get, "/x").answers(503, "still down");
    CHECK(s.send(retrying, ask(repeat::safe))->status == 503);
}

TEST_CASE("a once request is sent again only where it was not acted on, and never past its deadline") {
    stage s;
    retrying_transport retrying{s.script, s.time, middle};
    s.script.expect(method::get, "/x").fails(error_kind::ambiguous);
    CHECK(s.send(retrying, ask(repeat::once)).error().kind == error_kind::ambiguous);
    CHECK(s.script.requests().size() == 1);

    s.script.expect(method::get, "/x").fails(error_kind::unavailable);
    s.script.expect(method::get, "/x").answers(429, "", {{"Retry-After", "10"}});
    s.script.expect(method::get, "/x").answers(201);
    CHECK(s.send(retrying, ask(repeat::once))->status == 201);
    CHECK(s.script.requests()[1].timeout == 30s);
    CHECK(s.script.requests()[3].timeout == 30s - 375ms - 10s);

    s.script.expect(method::get, "/x").answers(429, "", {{"Retry-After", "31"}});
    CHECK(s.send(retrying, ask(repeat::once))->status == 429);
    auto hurried = ask(repeat::once);
    hurried.timeout = 300ms;
    s.script.expect(method::get, "/x").fails(error_kind::unavailable);
    CHECK(s.send(retrying, std::move(hurried)).error().kind == error_kind::unavailable);

    // For a safe request the timeout is each attempt's own.
    s.script.expect(method::get, "/x").answers(429, "", {{"Retry-After", "45"}});
    s.script.expect(method::get, "/x").answers(200);
    CHECK(s.send(retrying, ask(repeat::safe))->status == 200);
    CHECK(!s.script.requests().back().timeout);
}

TEST_CASE("a cancelled wait hands on what there was") {
    asio::io_context io{1};
    settable_clock time;
    scripted_transport script;
    retrying_transport retrying{script, time, middle};
    script.expect(method::get, "/x").answers(503, "down");
    asio::cancellation_signal stop;
    std::optional<result<response>> out;
    auto job = retrying.send(ask(repeat::safe));
    auto ended = [&](std::exception_ptr thrown, result<response> got) {
        if (!thrown)
            out.emplace(std::move(got));
    };
    asio::co_spawn(io, std::move(job), asio::bind_cancellation_slot(stop.slot(), ended));
    io.poll();
    CHECK(time.sleepers() == 1);
    stop.emit(asio::cancellation_type::terminal);
    io.restart();
    io.poll();
    REQUIRE(out);
    CHECK((*out)->status == 503);
}

TEST_CASE("no more requests at a time than the account takes") {
    asio::io_context io{1};
    settable_clock time;
    scripted_transport script;
    budget_settings settings;
    settings.concurrency = 3;
    budget governed{script, time, settings};
    int done = 0;
    for (int i = 0; i < 9; ++i) {
        script.expect(method::get, "/x").answers(200).after(time, 1s);
        auto job = governed.send(ask(repeat::safe));
        asio::co_spawn(io, std::move(job), [&](std::exception_ptr, const result<response>&) { ++done; });
    }
    io.poll();
    CHECK(script.requests().size() == 3);
    time.advance(1s);
    io.restart();
    io.poll();
    CHECK(done == 3);
    CHECK(script.requests().size() == 6);
    run_through_time(io, time);
    CHECK(done == 9);
}

TEST_CASE("a 429 pauses the whole account for as long as it asks") {
    stage s;
    budget governed{s.script, s.time};
    s.script.expect(method::get, "/a").answers(429, "", {{"Retry-After", "40"}});
    s.script.expect(method::get, "/b").answers(200);
    CHECK(s.send(governed, ask(repeat::safe, "/a"))->status == 429);
    CHECK(s.send(governed, ask(repeat::safe, "/b"))->status == 200);
    CHECK(s.passed() == 40s);
}

TEST_CASE("a wait for the account's budget ends when it is cancelled, and nothing is sent") {
    asio::io_context io{1};
    settable_clock time;
    scripted_transport script;
    budget_settings settings;
    settings.concurrency = 1;
    budget governed{script, time, settings};
    std::vector<result<response>> got;
    auto ended = [&](const std::exception_ptr& thrown, result<response> one) {
        CHECK(thrown == nullptr);
        got.push_back(std::move(one));
    };
    script.expect(method::get, "/a").answers(429, "", {{"Retry-After", "40"}});
    auto refused = governed.send(ask(repeat::safe, "/a"));
    asio::co_spawn(io, std::move(refused), ended);
    io.poll();
    // Both wait for the pause's end.
    asio::cancellation_signal stop_first;
    asio::cancellation_signal stop_second;
    auto first = governed.send(ask(repeat::safe, "/b"));
    auto second = governed.send(ask(repeat::safe, "/c"));
    asio::co_spawn(io, std::move(first), asio::bind_cancellation_slot(stop_first.slot(), ended));
    asio::co_spawn(io, std::move(second), asio::bind_cancellation_slot(stop_second.slot(), ended));
    io.restart();
    io.poll();
    CHECK(time.sleepers() == 2);
    stop_second.emit(asio::cancellation_type::terminal);
    io.restart();
    io.poll();
    stop_first.emit(asio::cancellation_type::terminal);
    io.restart();
    io.poll();
    REQUIRE(got.size() == 3);
    for (std::size_t i = 1; i < got.size(); ++i) {
        REQUIRE(got[i].has_error());
        CHECK(got[i].error().kind == error_kind::cancelled);
        CHECK(got[i].error().where == "test");
    }
    CHECK(script.requests().size() == 1);
}

TEST_CASE("a once request whose time is up in the queue is not sent") {
    asio::io_context io{1};
    settable_clock time;
    scripted_transport script;
    budget_settings settings;
    settings.concurrency = 1;
    budget governed{script, time, settings};
    script.expect(method::get, "/slow").answers(200).after(time, 31s);
    std::optional<result<response>> late;
    auto slow = governed.send(ask(repeat::safe, "/slow"));
    asio::co_spawn(io, std::move(slow), [](const std::exception_ptr&, const result<response>&) {});
    auto queued = governed.send(ask(repeat::once, "/b"));
    asio::co_spawn(io, std::move(queued),
                   [&](const std::exception_ptr&, result<response> one) { late.emplace(std::move(one)); });
    run_through_time(io, time);
    REQUIRE(late);
    REQUIRE(late->has_error());
    CHECK(late->error().kind == error_kind::throttled);
    CHECK(script.requests().size() == 1);
}

TEST_CASE("a once request that would have too little of its time left is not sent") {
    stage s;
    budget governed{s.script, s.time};
    s.script.expect(method::get, "/a").answers(429, "", {{"Retry-After", "27"}});
    (void)s.send(governed, ask(repeat::safe, "/a"));
    // With 3 s left its answer could be cut off, and nobody would know what came of it.
    auto late = s.send(governed, ask(repeat::once, "/b"));
    REQUIRE(late.has_error());
    CHECK(late.error().kind == error_kind::throttled);
    CHECK(s.script.requests().size() == 1);
    // Of a shorter timeout half has to be left.
    auto hurried = ask(repeat::once, "/b");
    hurried.timeout = 4s;
    s.time.advance(25s);
    s.script.expect(method::get, "/b").answers(201);
    CHECK(s.send(governed, std::move(hurried))->status == 201);
    CHECK(s.script.requests().back().timeout == 2s);

    retrying_transport retrying{s.script, s.time, middle};
    s.script.expect(method::get, "/x").answers(429, "", {{"Retry-After", "26"}});
    CHECK(s.send(retrying, ask(repeat::once))->status == 429);
}

TEST_CASE("a remote that asks for years is asked again within the hour, and somebody hears of it") {
    stage s;
    budget_settings settings;
    std::vector<duration> heard;
    settings.on_unbelievable = [&](duration asked) { heard.push_back(asked); };
    budget governed{s.script, s.time, settings};
    for (int i = 0; i < 2; ++i) {
        s.script.expect(method::get, "/a").answers(429, "", {{"Retry-After", "999999999"}});
        CHECK(s.send(governed, ask(repeat::safe, "/a"))->status == 429);
        auto got = s.send(governed, ask(repeat::safe, "/b"));
        REQUIRE(got.has_error());
        CHECK(got.error().kind == error_kind::throttled);
        CHECK(got.error().retry_after == 1h);
        s.time.advance(1h);
    }
    CHECK(heard == std::vector<duration>{999999999s, 999999999s});
    s.script.expect(method::get, "/b")
        .answers(200, "", {{"x-ratelimit-remaining", "9"}, {"x-ratelimit-reset", "7200"}});
    CHECK(s.send(governed, ask(repeat::safe, "/b"))->status == 200);
    CHECK(heard.size() == 3);
    // Once an hour is enough.
    s.script.expect(method::get, "/b")
        .answers(200, "", {{"x-ratelimit-remaining", "8"}, {"x-ratelimit-reset", "7200"}});
    CHECK(s.send(governed, ask(repeat::safe, "/b"))->status == 200);
    CHECK(heard.size() == 3);
}

TEST_CASE("what relies on a comparison goes out soon and before others, or not at all") {
    stage s;
    budget governed{s.script, s.time};
    auto compared = [] {
        auto r = ask(repeat::once, "/write");
        r.patience = 5s;
        return r;
    };
    s.script.expect(method::get, "/a").answers(429, "", {{"Retry-After", "20"}});
    (void)s.send(governed, ask(repeat::safe, "/a"));
    auto got = s.send(governed, compared());
    REQUIRE(got.has_error());
    // Not worth another reading of the world: the step is taken anew, from its comparison.
    CHECK(got.error().kind == error_kind::throttled);
    CHECK(got.error().retry_after == 20s);
    s.time.advance(16s);
    s.script.expect(method::get, "/write").answers(200);
    CHECK(s.send(governed, compared())->status == 200);
    CHECK(s.passed() == 20s);

    // Nor is it sent again later than that, safe to repeat or not.
    retrying_transport retrying{s.script, s.time, middle};
    for (auto repeatable : {repeat::once, repeat::safe}) {
        auto r = compared();
        r.repeatable = repeatable;
        s.script.expect(method::get, "/write").answers(429, "", {{"Retry-After", "6"}});
        CHECK(s.send(retrying, std::move(r))->status == 429);
    }
    s.script.expect(method::get, "/write").answers(429, "", {{"Retry-After", "2"}});
    s.script.expect(method::get, "/write").answers(200);
    const auto began = s.time.now();
    CHECK(s.send(retrying, compared())->status == 200);
    CHECK(s.time.now() == began + 2s);
    CHECK(s.script.requests().back().start_by == began + 5s);
}

TEST_CASE("what is sent again keeps to what held for it at first") {
    stage s;
    retrying_transport retrying{s.script, s.time, middle};
    const auto began = s.time.now();
    s.script.expect(method::get, "/x").answers(429, "", {{"Retry-After", "20"}});
    s.script.expect(method::get, "/x").answers(200);
    CHECK(s.send(retrying, ask(repeat::once))->status == 200);
    // Of its 30 s it needs 5 for the answer, however few are left when it is sent again.
    CHECK(s.script.requests().back().timeout == 10s);
    CHECK(s.script.requests().back().start_by == began + 25s);

    budget governed{s.script, s.time};
    s.script.expect(method::get, "/a").answers(429, "", {{"Retry-After", "20"}});
    (void)s.send(governed, ask(repeat::safe, "/a"));
    auto late = ask(repeat::safe);
    late.start_by = s.time.now() + 19s;
    const auto got = s.send(governed, std::move(late));
    REQUIRE(got.has_error());
    CHECK(got.error().kind == error_kind::throttled);
    CHECK(s.script.requests().size() == 3);
}

TEST_CASE("where answers are slow, one write that relies on a comparison still finds a place") {
    asio::io_context io{1};
    settable_clock time;
    scripted_transport script;
    budget_settings settings;
    settings.concurrency = 1;
    budget governed{script, time, settings};
    std::vector<std::string> got;
    auto begin = [&](std::string target, bool compared) {
        auto r = ask(repeat::safe, target);
        if (compared)
            r.patience = 5s;
        auto job = governed.send(std::move(r));
        asio::co_spawn(io, std::move(job), [&got, target](const std::exception_ptr&, const result<response>& one) {
            got.push_back(target + ": " + (one.has_value() ? "answered" : one.error().what));
        });
        io.restart();
        io.poll();
    };
    for (auto target : {"/look", "/write", "/second-look"})
        script.expect(method::get, target).answers(200).after(time, 20s);
    begin("/look", false);
    begin("/write", true);
    CHECK(script.requests().size() == 2);
    begin("/second-write", true);
    begin("/second-look", false);
    CHECK(script.requests().size() == 2);
    run_through_time(io, time);
    CHECK(got == std::vector<std::string>{"/look: answered", "/write: answered",
                                          "/second-write: it came too late to be sent; nothing was sent",
                                          "/second-look: answered"});
}

TEST_CASE("what relies on a comparison finds the reserve, and room where others are spread out") {
    stage s;
    budget_settings settings;
    settings.quotas = {{100, 5min}};
    settings.longest_wait = 1s;
    budget governed{s.script, s.time, settings};
    for (int i = 0; i < 90; ++i) {
        s.script.expect(method::get, "/x").answers(200);
        auto look = ask(repeat::safe);
        look.lane = urgency::refresh;
        CHECK(s.send(governed, std::move(look)).has_value());
    }
    auto look = ask(repeat::safe);
    look.lane = urgency::refresh;
    CHECK(s.send(governed, look.copy()).has_error());
    look.patience = 5s;
    s.script.expect(method::get, "/x").answers(200);
    CHECK(s.send(governed, std::move(look)).has_value());

    stage narrow;
    budget dripping{narrow.script, narrow.time};
    for (int i = 0; i < 2; ++i)
        narrow.script.expect(method::get, "/x").answers(200, "", {{"RateLimit-Remaining", "3"}});
    (void)narrow.send(dripping, ask(repeat::safe));
    auto write = ask(repeat::once);
    write.patience = 5s;
    CHECK(narrow.send(dripping, std::move(write)).has_value());
    CHECK(narrow.passed() == 0s);
}

TEST_CASE("whoever waits for the account's budget is turned away when somebody asks to stop") {
    asio::io_context io{1};
    settable_clock time;
    scripted_transport script;
    stop halt;
    budget_settings settings;
    settings.concurrency = 2;
    settings.halt = &halt;
    budget governed{script, time, settings};
    std::vector<result<response>> got;
    auto ended = [&](const std::exception_ptr& thrown, result<response> one) {
        CHECK(thrown == nullptr);
        got.push_back(std::move(one));
    };
    auto begin = [&](std::string target, bool finishes = false) {
        auto r = ask(repeat::safe, std::move(target));
        r.finishes = finishes;
        auto job = governed.send(std::move(r));
        asio::co_spawn(io, std::move(job), ended);
        io.restart();
        io.poll();
    };
    script.expect(method::get, "/slow").answers(200).after(time, 1min);
    begin("/slow");
    script.expect(method::get, "/slower").answers(200).after(time, 2min);
    begin("/slower");
    begin("/at-the-door");
    script.expect(method::get, "/second-half").answers(201);
    begin("/second-half", true);
    halt.ask();
    io.restart();
    io.poll();
    // What is on the wire is not torn, and what was half written is written when there is a place.
    REQUIRE(got.size() == 1);
    CHECK(got[0].error().kind == error_kind::cancelled);
    time.advance(1min);
    io.restart();
    io.poll();
    REQUIRE(got.size() == 3);
    CHECK(got[1]->status == 200);
    CHECK(got[2]->status == 201);
    // A step that is under way may go on as long as it need not wait.
    script.expect(method::get, "/a").answers(429, "", {{"Retry-After", "40"}});
    begin("/a");
    REQUIRE(got.size() == 4);
    CHECK(got[3]->status == 429);
    begin("/b");
    begin("/c", true);
    REQUIRE(got.size() == 6);
    CHECK(got[4].error().kind == error_kind::cancelled);
    CHECK(got[5].error().kind == error_kind::cancelled);
    run_through_time(io, time);
    CHECK(got.size() == 7);
    CHECK(script.requests().size() == 4);
}

TEST_CASE("who sleeps until the pause's end, or before another try, wakes when somebody asks to stop") {
    asio::io_context io{1};
    settable_clock time;
    scripted_transport script;
    stop halt;
    budget_settings budgets;
    budgets.halt = &halt;
    budget governed{script, time, budgets};
    retry_settings retries;
    retries.halt = &halt;
    retrying_transport retrying{script, time, middle, retries};
    std::vector<result<response>> got;
    auto ended = [&](const std::exception_ptr& thrown, result<response> one) {
        CHECK(thrown == nullptr);
        got.push_back(std::move(one));
    };
    script.expect(method::get, "/a").answers(429, "", {{"Retry-After", "40"}});
    auto refused = governed.send(ask(repeat::safe, "/a"));
    asio::co_spawn(io, std::move(refused), ended);
    io.poll();
    auto waits = governed.send(ask(repeat::safe, "/b"));
    asio::co_spawn(io, std::move(waits), ended);
    script.expect(method::get, "/c").answers(503, "down", {{"Retry-After", "50"}});
    auto again = retrying.send(ask(repeat::safe, "/c"));
    asio::co_spawn(io, std::move(again), ended);
    io.restart();
    io.poll();
    CHECK(got.size() == 1);
    halt.ask();
    io.restart();
    io.poll();
    REQUIRE(got.size() == 3);
    CHECK(std::count_if(got.begin(), got.end(), [](const auto& one) {
              return one.has_error() && one.error().kind == error_kind::cancelled;
          }) == 2);
    CHECK(script.requests().size() == 2);
    CHECK(time.sleepers() == 0);
}

TEST_CASE("a pause that is too long is an answer, not a wait") {
    stage s;
    budget governed{s.script, s.time};
    s.script.expect(method::get, "/a").answers(429, "", {{"Retry-After", "300"}});
    (void)s.send(governed, ask(repeat::safe, "/a"));
    auto got = s.send(governed, ask(repeat::safe, "/b"));
    REQUIRE(got.has_error());
    CHECK(got.error().kind == error_kind::throttled);
    CHECK(got.error().retry_after == 300s);
    CHECK(got.error().where == "test");
    CHECK(s.passed() == 0s);
    s.time.advance(299s);
    s.script.expect(method::get, "/b").answers(200);
    CHECK(s.send(governed, ask(repeat::safe, "/b"))->status == 200);
}

TEST_CASE("a once request waits no longer than its own timeout, and has only the rest of it left") {
    stage s;
    budget governed{s.script, s.time};
    s.script.expect(method::get, "/a").answers(429, "", {{"Retry-After", "40"}});
    (void)s.send(governed, ask(repeat::safe, "/a"));
    auto got = s.send(governed, ask(repeat::once, "/b"));
    REQUIRE(got.has_error());
    CHECK(got.error().kind == error_kind::throttled);
    s.time.advance(25s);
    s.script.expect(method::get, "/b").answers(201);
    CHECK(s.send(governed, ask(repeat::once, "/b"))->status == 201);
    CHECK(s.script.requests().back().timeout == 15s);
}

TEST_CASE("a 429 without a word is answered with growing pauses, which a success ends") {
    stage s;
    budget_settings settings;
    settings.longest_wait = std::chrono::hours{1};
    budget governed{s.script, s.time, settings};
    for (int i = 0; i < 7; ++i)
        s.script.expect(method::get, "/x").answers(429);
    s.script.expect(method::get, "/x").answers(200);
    s.script.expect(method::get, "/x").answers(429);
    s.script.expect(method::get, "/x").answers(200);
    std::vector<duration> started;
    for (int i = 0; i < 10; ++i) {
        (void)s.send(governed, ask(repeat::safe));
        started.push_back(s.passed());
    }
    CHECK(started[1] == 30s);
    CHECK(started[2] - started[1] == 60s);
    CHECK(started[3] - started[2] == 120s);
    CHECK(started[6] - started[5] == 15min);
    CHECK(started[7] - started[6] == 15min);
    CHECK(started[9] - started[8] == 30s);
}

TEST_CASE("eight refusals of one burst are one refusal") {
    asio::io_context io{1};
    settable_clock time;
    scripted_transport script;
    budget governed{script, time};
    for (int i = 0; i < 8; ++i) {
        script.expect(method::get, "/x").answers(429).after(time, 1s);
        auto job = governed.send(ask(repeat::safe));
        asio::co_spawn(io, std::move(job), [](std::exception_ptr, const result<response>&) {});
    }
    run_through_time(io, time);
    auto before = time.now();
    script.expect(method::get, "/x").answers(200);
    auto job = governed.send(ask(repeat::safe));
    asio::co_spawn(io, std::move(job), [](std::exception_ptr, const result<response>&) {});
    run_through_time(io, time);
    CHECK(time.now() - before == 30s);
}

TEST_CASE("what is left of a window is spread over it") {
    stage s;
    budget governed{s.script, s.time};
    // 5 of 100 left for 50 seconds: one every ten.
    s.script.expect(method::get, "/x")
        .answers(200, "", {{"Ratelimit", "\"d\";r=5;t=50"}, {"Ratelimit-Policy", "\"d\";q=100;w=60"}});
    for (int i = 0; i < 3; ++i)
        s.script.expect(method::get, "/x").answers(200);
    (void)s.send(governed, ask(repeat::safe));
    (void)s.send(governed, ask(repeat::safe));
    CHECK(s.passed() == 0s);
    (void)s.send(governed, ask(repeat::safe));
    CHECK(s.passed() == 10s);
    (void)s.send(governed, ask(repeat::safe));
    CHECK(s.passed() == 20s);
}

TEST_CASE("plenty left is no reason to wait, none left is one to wait for the reset") {
    stage s;
    budget governed{s.script, s.time};
    s.script.expect(method::get, "/x")
        .answers(200, "", {{"x-ratelimit-limit", "60"}, {"x-ratelimit-remaining", "30"}, {"x-ratelimit-reset", "42"}});
    s.script.expect(method::get, "/x")
        .answers(200, "", {{"x-ratelimit-limit", "60"}, {"x-ratelimit-remaining", "0"}, {"x-ratelimit-reset", "42"}});
    s.script.expect(method::get, "/x")
        .answers(200, "", {{"x-ratelimit-limit", "60"}, {"x-ratelimit-remaining", "59"}, {"x-ratelimit-reset", "60"}});
    s.script.expect(method::get, "/x").answers(200);
    (void)s.send(governed, ask(repeat::safe));
    (void)s.send(governed, ask(repeat::safe));
    CHECK(s.passed() == 0s);
    (void)s.send(governed, ask(repeat::safe));
    CHECK(s.passed() == 42s);
    (void)s.send(governed, ask(repeat::safe));
    CHECK(s.passed() == 42s);
}

TEST_CASE("without a reset a nearly empty bucket is drawn from as it refills") {
    stage s;
    budget governed{s.script, s.time};
    for (int i = 0; i < 4; ++i)
        s.script.expect(method::get, "/x").answers(200, "", {{"RateLimit-Remaining", "3"}});
    for (int i = 0; i < 4; ++i)
        (void)s.send(governed, ask(repeat::safe));
    CHECK(s.passed() == 2 * 800ms);
}

} // namespace pace_test
