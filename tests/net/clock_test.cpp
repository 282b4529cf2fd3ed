#include "net/clock.hpp"
#include "support/harness.hpp"
#include "support/settable_clock.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <doctest/doctest.h>

#include <utility>
#include <vector>

namespace clock_test {

using namespace postern;
using namespace postern::testing;
using namespace std::chrono_literals;
namespace asio = boost::asio;

namespace {

asio::awaitable<void> sleep_and_note(net::clock* time, duration d, std::vector<int>* woken, int me) {
    co_await time->sleep_for(d);
    woken->push_back(me);
}

// A sleep that would last is not over by itself, and is once it is cancelled.
void check_wakes_when_cancelled(asio::io_context& io, asio::awaitable<void> sleep) {
    asio::cancellation_signal stop;
    bool ended = false;
    auto end = [&](std::exception_ptr thrown) { ended = thrown == nullptr; };
    asio::co_spawn(io, std::move(sleep), asio::bind_cancellation_slot(stop.slot(), end));
    io.restart();
    io.poll();
    CHECK(!ended);
    stop.emit(asio::cancellation_type::terminal);
    io.restart();
    io.run();
    CHECK(ended);
}

} // namespace

TEST_CASE("who sleeps sleeps for so long, not at all for nothing, and wakes when cancelled") {
    asio::io_context io{1};
    net::system_clock time;
    const auto before = net::time_since_boot();
    CHECK(before > 0s);
    run(io, time.sleep_for(30ms));
    CHECK(net::time_since_boot() >= before + 30ms);
    run(io, time.sleep_for(0s));
    run(io, time.sleep_for(duration::min()));
    check_wakes_when_cancelled(io, time.sleep_for(duration::max()));
}

TEST_CASE("a clock that never goes back goes on from where it was when the other is set back, and jumps with it") {
    settable_clock below;
    const net::onward_clock time{below};
    const auto start = below.now();
    CHECK(time.now() == start);
    below.set(start - 1h);
    CHECK(time.now() == start);
    below.advance(1min);
    CHECK(time.now() == start + 1min);
    below.set(start - 2h);
    CHECK(time.now() == start + 1min);
    below.advance(3h);
    CHECK(time.now() == start + 3h + 1min);
}

TEST_CASE("sleepers wake when time has come to them, in order") {
    asio::io_context io{1};
    settable_clock time;
    std::vector<int> woken;
    auto start = time.now();
    for (int i : {3, 1, 2}) {
        auto job = sleep_and_note(&time, i * 1h, &woken, i);
        asio::co_spawn(io, std::move(job), [](const std::exception_ptr&) {});
    }
    io.poll();
    CHECK(time.sleepers() == 3);
    CHECK(time.first_wake() == start + 1h);
    time.advance(59min);
    io.restart();
    io.poll();
    CHECK(woken.empty());
    time.advance(1min);
    io.restart();
    io.poll();
    CHECK(woken == std::vector<int>{1});
    time.set(start); // back
    CHECK(time.first_wake() == start + 1h);
    run_through_time(io, time);
    CHECK(woken == std::vector<int>{1, 2, 3});
    CHECK(time.now() == start + 2h);
}

} // namespace clock_test
