#pragma once

#include "net/clock.hpp"

#include <boost/asio/io_context.hpp>

#include <memory>
#include <optional>

// Time that a test sets. Sleepers wake, in the order of their times, when it has come to them.
namespace postern::testing {

class settable_clock final : public net::clock {
public:
    // Starts at 2026-01-01T00:00:00Z unless told otherwise.
    settable_clock();
    explicit settable_clock(instant start);
    ~settable_clock() override;

    instant now() const override;
    boost::asio::awaitable<void> sleep_for(duration d) override;

    void set(instant to);
    void advance(duration by) { set(now() + by); }
    // From now on time jumps to the end of a sleep as soon as it begins: for tests of one coroutine at a time.
    void jump_over_sleeps();
    // How many coroutines sleep now, and until when the first of them does.
    std::size_t sleepers() const;
    instant first_wake() const;
    // The first wake that is still to come: who should be awake already belongs to somebody who does not run.
    std::optional<instant> next_wake() const;

private:
    struct state;
    std::unique_ptr<state> state_;
};

// Runs what can run, then moves time to the first sleeper, until nobody sleeps any more: for tests of many coroutines.
// Nothing on `io` may wait for a real socket or a real timer.
void run_through_time(boost::asio::io_context& io, settable_clock& time);

} // namespace postern::testing
