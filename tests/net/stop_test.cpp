#include "net/budget.hpp"
#include "net/retry.hpp"
#include "net/stop.hpp"
#include "support/harness.hpp"
#include "support/scripted_transport.hpp"
#include "support/settable_clock.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/steady_timer.hpp>
#include <doctest/doctest.h>

#include <optional>
#include <stdexcept>
#include <utility>
#include <vector>

namespace stop_test {

using namespace postern;
using namespace postern::net;
using namespace postern::testing;
using namespace std::chrono_literals;
namespace asio = boost::asio;

namespace {

// What became of a coroutine that was started.
template<class T>
struct ending {
    std::optional<T> value;
    std::exception_ptr thrown;
    asio::cancellation_signal caller;

    void start(asio::io_context& io, asio::awaitable<T> job) {
        auto ended = [this](std::exception_ptr e, T came) {
            thrown = std::move(e);
            value = std::move(came);
        };
        asio::co_spawn(io, std::move(job), asio::bind_cancellation_slot(caller.slot(), ended));
    }
};

void poll(asio::io_context& io) {
    io.restart();
    io.poll();
}

request ask(std::string target) {
    request r;
    r.origin = "https://api.example";
    r.target = std::move(target);
    r.repeatable = repeat::safe;
    r.what = "test";
    return r;
}

// Seven, once the timer has ended; an exception where it was ended for it.
asio::awaitable<int> seven_after(asio::steady_timer* timer) {
    co_await timer->async_wait(asio::use_awaitable);
    co_return 7;
}

asio::awaitable<int> failing_after(asio::steady_timer* timer) {
    co_await timer->async_wait(asio::as_tuple(asio::use_awaitable));
    throw std::runtime_error("the far side is gone");
}

// The names of those who went on, in their order.
asio::awaitable<int> sleep_and_note(stop* halt, settable_clock* time, duration d, std::vector<int>* woken, int me) {
    auto sleep = halt->sleep_for(*time, d);
    co_await std::move(sleep);
    woken->push_back(me);
    co_return me;
}

} // namespace

TEST_CASE(
    "whoever sleeps sleeps until its time, wakes together with all when somebody asks to stop, and sleeps no more") {
    asio::io_context io{1};
    settable_clock time;
    stop halt;
    std::vector<int> woken;
    ending<int> all[3];
    for (int i = 0; i < 3; ++i) {
        auto job = sleep_and_note(&halt, &time, (i + 1) * 1h, &woken, i);
        all[i].start(io, std::move(job));
    }
    poll(io);
    CHECK(time.sleepers() == 3);
    time.advance(1h);
    poll(io);
    CHECK(woken == std::vector<int>{0});
    CHECK(!halt.asked());
    halt.ask();
    poll(io);
    CHECK(woken.size() == 3);
    CHECK(time.sleepers() == 0);
    auto late = sleep_and_note(&halt, &time, 1h, &woken, 9);
    ending<int> of_late;
    of_late.start(io, std::move(late));
    poll(io);
    CHECK(woken.back() == 9);
    for (auto* one : {&all[0], &all[1], &all[2], &of_late})
        CHECK(one->thrown == nullptr);
}

TEST_CASE("after a sleep it is said whether it is still worth going on") {
    asio::io_context io{1};
    settable_clock time;
    stop halt;
    for (auto* may_stop : {&halt, static_cast<stop*>(nullptr)}) {
        ending<bool> whole;
        auto sleep = sleep_through(may_stop, &time, 1h);
        whole.start(io, std::move(sleep));
        poll(io);
        CHECK(!whole.value);
        time.advance(1h);
        poll(io);
        CHECK(whole.value == true);

        ending<bool> torn;
        sleep = sleep_through(may_stop, &time, 1h);
        torn.start(io, std::move(sleep));
        poll(io);
        torn.caller.emit(asio::cancellation_type::terminal);
        poll(io);
        CHECK(torn.thrown == nullptr);
        CHECK(torn.value == false);
    }
    ending<bool> stopped;
    auto sleep = sleep_through(&halt, &time, 1h);
    stopped.start(io, std::move(sleep));
    poll(io);
    halt.ask();
    poll(io);
    CHECK(stopped.value == false);
    CHECK(time.sleepers() == 0);
}

TEST_CASE("a wait brings what it brings, and nothing where somebody asked to stop or the caller was cancelled") {
    asio::io_context io{1};
    stop halt;
    auto begin = [&](ending<int>& of, asio::steady_timer& timer) {
        auto wait = seven_after(&timer);
        auto job = halt.cut_short(std::move(wait));
        of.start(io, std::move(job));
        poll(io);
    };
    asio::steady_timer soon{io, std::chrono::steady_clock::time_point::min()};
    ending<int> whole;
    begin(whole, soon);
    CHECK(whole.value == 7);

    asio::steady_timer never{io, std::chrono::steady_clock::time_point::max()};
    ending<int> torn;
    begin(torn, never);
    CHECK(!torn.value);
    torn.caller.emit(asio::cancellation_type::terminal);
    poll(io);
    CHECK(torn.thrown == nullptr);
    CHECK(torn.value == 0);

    ending<int> stopped;
    begin(stopped, never);
    halt.ask();
    poll(io);
    CHECK(stopped.thrown == nullptr);
    CHECK(stopped.value == 0);

    ending<int> not_begun;
    begin(not_begun, soon);
    CHECK(not_begun.value == 0);
}

TEST_CASE("what goes wrong in a wait comes out, unless that was to end anyway") {
    for (bool asked : {false, true}) {
        CAPTURE(asked);
        asio::io_context io{1};
        stop halt;
        asio::steady_timer timer{io, std::chrono::steady_clock::time_point::max()};
        auto wait = failing_after(&timer);
        auto job = halt.cut_short(std::move(wait));
        ending<int> of;
        of.start(io, std::move(job));
        poll(io);
        if (asked)
            halt.ask();
        else
            timer.cancel();
        poll(io);
        REQUIRE(of.value);
        CHECK((of.thrown == nullptr) == asked);
        if (of.thrown)
            CHECK_THROWS_WITH(std::rethrow_exception(of.thrown), "the far side is gone");
    }
}

TEST_CASE(
    "a wish that nobody has keeps nobody from the door or from another try; a caller that is cancelled goes alone") {
    for (bool may_stop : {true, false}) {
        CAPTURE(may_stop);
        asio::io_context io{1};
        settable_clock time;
        scripted_transport script;
        stop halt;
        budget_settings budgets;
        budgets.concurrency = 1;
        budgets.halt = may_stop ? &halt : nullptr;
        budget governed{script, time, budgets};
        auto begin = [&](ending<result<response>>& of, transport& through, std::string target) {
            auto job = through.send(ask(std::move(target)));
            of.start(io, std::move(job));
            poll(io);
        };
        script.expect(method::get, "/slow").answers(200).after(time, 1min);
        ending<result<response>> slow;
        begin(slow, governed, "/slow");
        ending<result<response>> torn;
        begin(torn, governed, "/torn");
        ending<result<response>> next;
        begin(next, governed, "/next");
        torn.caller.emit(asio::cancellation_type::terminal);
        poll(io);
        REQUIRE(torn.value);
        REQUIRE(torn.value->has_error());
        CHECK(torn.value->error().kind == error_kind::cancelled);
        script.expect(method::get, "/next").answers(201);
        time.advance(1min);
        poll(io);
        CHECK(slow.value.value()->status == 200);
        CHECK(next.value.value()->status == 201);

        retry_settings retries;
        retries.halt = budgets.halt;
        retrying_transport retrying{script, time, [] { return 0.5; }, retries};
        script.expect(method::get, "/again").answers(503, "down", {{"Retry-After", "50"}});
        script.expect(method::get, "/again").answers(200);
        ending<result<response>> again;
        begin(again, retrying, "/again");
        CHECK(!again.value);
        time.advance(50s);
        poll(io);
        CHECK(again.value.value()->status == 200);
    }
}

} // namespace stop_test
