#pragma once

#include "base/instant.hpp"

#include <boost/asio/awaitable.hpp>

// The one place where time enters. The daemon runs on the system's clock, tests on one that they set.
namespace postern::net {

class clock {
public:
    virtual ~clock() = default;
    virtual instant now() const = 0;
    // Returns at `until`, at once where that is past, and where the clock is set back meanwhile as if it had not been.
    // Cancellation ends it early without an error; what the caller
    // awaits next throws then, as Asio has it.
    virtual boost::asio::awaitable<void> sleep_until(instant until) = 0;
};

// The system's clock, sleeping on a timer of the coroutine's own executor.
class system_clock final : public clock {
public:
    instant now() const override;
    boost::asio::awaitable<void> sleep_until(instant until) override;
};

// How long ago the machine started, its sleep included: nobody sets it.
duration time_since_boot();

// Runs from the machine's start: for spans that somebody who sets the system's clock must not stretch. What it calls
// now is no date.
class boot_clock final : public clock {
public:
    instant now() const override;
    boost::asio::awaitable<void> sleep_until(instant until) override;
};

} // namespace postern::net
