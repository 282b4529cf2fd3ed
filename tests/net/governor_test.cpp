#include "net/budget.hpp"
#include "net/pace.hpp"
#include "support/harness.hpp"
#include "support/scripted_transport.hpp"
#include "support/settable_clock.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <deque>
#include <random>
#include <vector>

namespace governor_test {

// The governor as a whole: a remote that counts strictly never has to refuse it, what is urgent finds a reserve, and
// how much is under way follows what the remote takes.

using namespace postern;
using namespace postern::net;
using namespace postern::testing;
using namespace std::chrono_literals;
namespace asio = boost::asio;

namespace {

constexpr auto ended = [](std::exception_ptr, const result<response>&) {};

request ask(urgency lane = urgency::rotation, std::string target = "/x") {
    request r;
    r.origin = "https://api.example";
    r.target = std::move(target);
    r.repeatable = repeat::safe;
    r.lane = lane;
    r.what = "test";
    return r;
}

// Counts over a sliding window, as of when a request arrives, and says what it counted as Cloudflare does.
class strict_remote final : public transport {
public:
    strict_remote(settable_clock& time, quota most, std::uint64_t seed) : time_(time), most_(most), chance_(seed) {}

    asio::awaitable<result<response>> send(request) override {
        co_await time_.sleep_for(far());
        const auto now = time_.now();
        std::erase_if(seen_, [&](instant at) { return at + most_.window <= now; });
        seen_.push_back(now);
        ++arrived;
        busiest = std::max(busiest, static_cast<std::int64_t>(seen_.size()));
        last = now;
        const auto left = std::max<std::int64_t>(0, most_.requests - static_cast<std::int64_t>(seen_.size()));
        const auto window = std::chrono::duration_cast<std::chrono::seconds>(most_.window).count();
        response out;
        out.status = 200;
        out.headers = {
            {"Ratelimit", "\"default\";r=" + std::to_string(left) + ";t=" + std::to_string(window)},
            {"Ratelimit-Policy", "\"default\";q=" + std::to_string(most_.requests) + ";w=" + std::to_string(window)}};
        co_await time_.sleep_for(far());
        co_return out;
    }

    std::int64_t busiest = 0; // most in any window
    std::size_t arrived = 0;
    instant last;

private:
    duration far() { return duration{static_cast<std::int64_t>(chance_() % 400)}; }

    settable_clock& time_;
    quota most_;
    std::mt19937_64 chance_;
    std::deque<instant> seen_;
};

constexpr std::int64_t at_once = 12;

asio::awaitable<void> keep_asking(budget* through, std::mt19937_64* chance, std::uint64_t lanes, std::int64_t calls) {
    for (std::int64_t i = 0; i < calls; ++i) {
        auto r = ask(static_cast<urgency>((*chance)() % lanes));
        auto got = co_await through->send(std::move(r));
        CHECK(got.has_value());
    }
}

} // namespace

TEST_CASE("over any window a remote sees no more than it allows, and most of it is used") {
    for (std::uint64_t seed = 1; seed <= 12; ++seed) {
        CAPTURE(seed);
        std::mt19937_64 chance{seed};
        asio::io_context io{1};
        settable_clock time;
        const quota most{static_cast<std::int64_t>(20 + chance() % 100), std::chrono::seconds{20 + chance() % 100}};
        strict_remote remote{time, most, seed};
        budget_settings settings;
        settings.longest_wait = std::chrono::hours{24};
        settings.concurrency = 1 + chance() % 8;
        // Without a word beforehand the first answers tell it.
        if (chance() % 2 == 0)
            settings.quotas = {most};
        budget governed{remote, time, settings};
        const auto calls = 10 * most.requests;
        const std::uint64_t lanes = seed % 2 == 0 ? 3 : 1;
        const auto began = time.now();
        for (std::int64_t i = 0; i < at_once; ++i) {
            auto job = keep_asking(&governed, &chance, lanes, calls / at_once + (i < calls % at_once ? 1 : 0));
            asio::co_spawn(io, std::move(job), [](std::exception_ptr) {});
        }
        run_through_time(io, time);
        CHECK(static_cast<std::int64_t>(remote.arrived) == calls);
        CHECK(remote.busiest <= most.requests);
        // The tenth window's share may go when nine have passed; where some only look, they wait for two more. With
        // answers that take any time it is not met exactly: reconcile/fleet_test has the sharper bound.
        const auto dictated = most.window * (lanes == 1 ? 9 : 11);
        const auto lost = (2 * 400ms) * (calls / static_cast<std::int64_t>(settings.concurrency) + 10);
        CHECK(remote.last - began <= dictated * 3 / 2 + lost);
    }
}

TEST_CASE("looking leaves a reserve to putting right, and both to a credential on its way") {
    asio::io_context io{1};
    settable_clock time;
    scripted_transport script;
    budget_settings settings;
    settings.quotas = {{100, 5min}};
    settings.longest_wait = 1s;
    budget governed{script, time, settings};
    auto takes = [&](urgency lane) {
        int n = 0;
        for (;; ++n) {
            script.expect(method::get, "/x").answers(200);
            auto got = run(io, governed.send(ask(lane)));
            if (got.has_error()) {
                CHECK(got.error().kind == error_kind::throttled);
                CHECK(got.error().retry_after == 5min);
                break;
            }
        }
        (void)run(io, script.send(ask())); // the expectation that is left over
        return n;
    };
    CHECK(takes(urgency::refresh) == 90);
    CHECK(takes(urgency::repair) == 5);
    CHECK(takes(urgency::refresh) == 0);
    CHECK(takes(urgency::rotation) == 5);
    CHECK(takes(urgency::rotation) == 0);
    time.advance(5min);
    CHECK(takes(urgency::refresh) == 90);
}

TEST_CASE("at the door the most urgent goes first") {
    asio::io_context io{1};
    settable_clock time;
    scripted_transport script;
    budget_settings settings;
    settings.concurrency = 1;
    budget governed{script, time, settings};
    std::vector<std::pair<urgency, std::string>> asked{{urgency::refresh, "/first"},
                                                       {urgency::refresh, "/look"},
                                                       {urgency::repair, "/repair"},
                                                       {urgency::rotation, "/rotate"},
                                                       {urgency::rotation, "/rotate-too"}};
    for (auto& [lane, target] : asked) {
        script.expect(method::get, target).answers(200).after(time, 1s);
        auto job = governed.send(ask(lane, target));
        asio::co_spawn(io, std::move(job), ended);
    }
    run_through_time(io, time);
    std::vector<std::string> order;
    for (const auto& r : script.requests())
        order.push_back(r.url.substr(std::string_view{"https://api.example"}.size()));
    CHECK(order == std::vector<std::string>{"/first", "/rotate", "/rotate-too", "/repair", "/look"});
}

TEST_CASE("each of a remote's counters is kept apart") {
    asio::io_context io{1};
    settable_clock time;
    scripted_transport script;
    budget_settings settings;
    settings.longest_wait = 1s;
    budget governed{script, time, settings};
    auto on = [&](std::string counter) {
        auto r = ask();
        r.quota = std::move(counter);
        return run(io, governed.send(std::move(r)));
    };
    script.expect(method::get, "/x")
        .answers(200, "", {{"x-ratelimit-limit", "60"}, {"x-ratelimit-remaining", "0"}, {"x-ratelimit-reset", "42"}});
    script.expect(method::get, "/x")
        .answers(200, "", {{"x-ratelimit-limit", "60"}, {"x-ratelimit-remaining", "50"}, {"x-ratelimit-reset", "42"}});
    CHECK(on("POST /secrets").has_value());
    CHECK(on("GET /secrets").has_value());
    CHECK(governed.remaining() == 0);
    CHECK(on("POST /secrets").error().retry_after == 42s);
}

TEST_CASE("how much is under way follows what the remote takes") {
    instant now = *parse_instant("2026-11-23T10:00:00Z");
    pace p{8};
    auto round = [&](duration took, int answers) {
        for (int i = 0; i < answers; ++i) {
            now += took;
            p.good(now - took, now);
        }
    };
    round(30ms, 20);
    CHECK(p.places() == 8);
    // A refusal halves it, and those that were under way then are no news.
    const auto sent = now - 10ms;
    p.bad(sent, now);
    p.bad(sent, now);
    CHECK(p.places() == 4);
    now += 1s;
    p.bad(now, now);
    now += 1s;
    p.bad(now, now);
    now += 1s;
    p.bad(now, now);
    CHECK(p.places() == 1);
    round(30ms, 100);
    CHECK(p.places() == 8);
    // Answers that take many times as long as they can: one fewer a time, until they do not.
    round(900ms, 20);
    CHECK(p.places() < 5);
    const auto low = p.places();
    round(30ms, 150);
    CHECK(p.places() > low);
    // What is slow from the start is no sign of anything.
    pace slow{4};
    for (int i = 0; i < 50; ++i) {
        now += 2s;
        slow.good(now - 2s, now);
    }
    CHECK(slow.places() == 4);
}

TEST_CASE("a remote that refuses or falls silent gets fewer at a time") {
    asio::io_context io{1};
    settable_clock time;
    time.jump_over_sleeps();
    scripted_transport script;
    budget governed{script, time};
    CHECK(governed.concurrency() == 8);
    script.expect(method::get, "/x").answers(429, "", {{"Retry-After", "1"}});
    (void)run(io, governed.send(ask()));
    CHECK(governed.concurrency() == 4);
    time.advance(2s);
    script.expect(method::get, "/x").fails(error_kind::timeout);
    (void)run(io, governed.send(ask()));
    CHECK(governed.concurrency() == 2);
    for (int i = 0; i < 40; ++i) {
        script.expect(method::get, "/x").answers(200);
        time.advance(1s);
        (void)run(io, governed.send(ask()));
    }
    CHECK(governed.concurrency() == 8);
}

} // namespace governor_test
