#pragma once

#include "base/instant.hpp"

#include <boost/asio/awaitable.hpp>

// The one place where time enters. The daemon runs on the system's clock, tests on one that they set.
namespace postern::net {

class clock {
public:
    virtual ~clock() = default;
    virtual instant now() const = 0;
    // For so long, whoever sets the system's clock before or meanwhile: what is to happen in seconds does not happen an
    // hour later. Not at all where that is nothing or less. Cancellation ends it early without an error; what the
    // caller awaits next throws then, as Asio has it.
    virtual boost::asio::awaitable<void> sleep_for(duration d) = 0;
};

class system_clock final : public clock {
public:
    instant now() const override;
    // On a timer of the coroutine's own executor.
    boost::asio::awaitable<void> sleep_for(duration d) override;
};

// The time of the clock below, but it never goes back: where that one is set back, this one goes on from what it showed
// last. For spans that were noted as dates.
class onward_clock final : public clock {
public:
    // It outlives this object.
    explicit onward_clock(clock& below) : below_(below) {}

    instant now() const override;
    boost::asio::awaitable<void> sleep_for(duration d) override { return below_.sleep_for(d); }

private:
    clock& below_;
    mutable instant last_ = instant::min();
    mutable duration set_back_{};
};

// How long ago the machine started, its sleep included: nobody sets it.
duration time_since_boot();

} // namespace postern::net
