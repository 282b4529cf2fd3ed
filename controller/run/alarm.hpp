#pragma once

#include "net/stop.hpp"

#include <optional>
#include <utility>

// A sleep that others may end early. A ring that nobody sleeps through yet is not lost. For one thread and
// one sleeper.
namespace postern::run {

class alarm {
public:
    void ring() {
        rung_ = true;
        if (sleep_)
            sleep_->ask();
    }

    boost::asio::awaitable<void> wait(net::clock* clock, duration d) {
        if (!rung_) {
            sleep_.emplace();
            auto nap = sleep_->sleep_for(*clock, d);
            co_await std::move(nap);
        }
        rung_ = false;
    }

private:
    std::optional<net::stop> sleep_; // the last one, over or not
    bool rung_ = false;
};

} // namespace postern::run
