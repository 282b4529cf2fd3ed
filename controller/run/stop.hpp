#pragma once

#include "net/clock.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/cancellation_signal.hpp>

#include <list>

// A wish to stop, kept by whoever started the work. Nothing that is under way is torn: a request that was sent is
// answered, only sleeping ends at once. For one thread.
namespace postern::run {

class stop {
public:
    void ask();
    bool asked() const { return asked_; }

    // Returns at `until`, or as soon as somebody asks to stop.
    boost::asio::awaitable<void> sleep_until(net::clock& clock, instant until);

private:
    bool asked_ = false;
    std::list<boost::asio::cancellation_signal> sleepers_;
};

} // namespace postern::run
