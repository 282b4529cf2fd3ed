#include "support/settable_clock.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>
#include <map>
#include <utility>

namespace postern::testing {

namespace asio = boost::asio;

struct settable_clock::state {
    instant now;
    duration gone{}; // since the clock was made: setting it back takes nothing off it
    bool jumping = false;
    std::multimap<duration, asio::steady_timer*> sleeping; // until so much has gone

    instant date_of(duration then) const {
        return then - gone < instant::max() - now ? now + (then - gone) : instant::max();
    }
};

settable_clock::settable_clock() : settable_clock(*parse_instant("2026-01-01T00:00:00Z")) {}

settable_clock::settable_clock(instant start) : state_(std::make_unique<state>()) {
    state_->now = start;
}

settable_clock::~settable_clock() = default;

instant settable_clock::now() const {
    return state_->now;
}

void settable_clock::jump_over_sleeps() {
    state_->jumping = true;
}

std::size_t settable_clock::sleepers() const {
    return state_->sleeping.size();
}

instant settable_clock::first_wake() const {
    return state_->sleeping.empty() ? instant::max() : state_->date_of(state_->sleeping.begin()->first);
}

std::optional<instant> settable_clock::next_wake() const {
    auto at = state_->sleeping.upper_bound(state_->gone);
    return at == state_->sleeping.end() ? std::nullopt : std::optional{state_->date_of(at->first)};
}

void settable_clock::set(instant to) {
    state_->gone += std::max(to - state_->now, duration{0});
    state_->now = to;
    // Each takes itself off the list when it runs.
    for (auto& [until, timer] : state_->sleeping) {
        if (until <= state_->gone)
            timer->cancel();
    }
}

asio::awaitable<void> settable_clock::sleep_for(duration d) {
    auto executor = co_await asio::this_coro::executor;
    if (d <= duration{0})
        co_return;
    if (state_->jumping) {
        set(state_->now + d);
        co_await asio::post(executor, asio::use_awaitable);
        co_return;
    }
    const auto until = d < duration::max() - state_->gone ? state_->gone + d : duration::max();
    asio::steady_timer timer{executor, asio::steady_timer::time_point::max()};
    struct listed {
        std::multimap<duration, asio::steady_timer*>& in;
        std::multimap<duration, asio::steady_timer*>::iterator at;
        ~listed() { in.erase(at); }
    };
    listed self{state_->sleeping, state_->sleeping.emplace(until, &timer)};
    co_await timer.async_wait(asio::as_tuple(asio::use_awaitable));
}

void run_through_time(asio::io_context& io, settable_clock& time) {
    for (;;) {
        io.restart();
        io.poll();
        if (time.sleepers() == 0)
            return;
        if (time.first_wake() > time.now())
            time.set(time.first_wake());
    }
}

} // namespace postern::testing
