#pragma once

#include "base/error.hpp"
#include "base/instant.hpp"
#include "net/clock.hpp"
#include "net/stop.hpp"
#include "run/store.hpp"

#include <boost/asio/awaitable.hpp>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

// Who leads, of all the controllers that share a store. The holder renews its row each third of the lease's time and
// may write until two thirds after the beginning of its last renewal; a candidate takes the row when it has seen it
// unchanged for nine tenths, at once where it was given back. Only spans of each one's own time since boot count, so
// that wrong clocks, a stopped process and a machine that slept change nothing. It fences no remote API: what a write
// that was sent late could do is the intents' care.
namespace postern::run {

struct lease_settings {
    std::string holder; // this process's name, unlike that of any other
    duration ttl = std::chrono::seconds{15};
    std::function<duration()> since_boot = net::time_since_boot;
};

// What the daemon hears of it. Any of them may be empty.
struct lease_listeners {
    std::function<void(std::int64_t epoch)> gained;
    std::function<void(const std::string& why)> lost;
    std::function<void()> wanted;               // somebody asks the holder for a pass now
    std::function<void(const error&)> troubled; // the store could not be asked; called each time
};

class lease {
public:
    // Store and clock outlive this.
    lease(store& rows, net::clock& clock, lease_settings settings, lease_listeners listeners = {});

    // Takes the lease when it can be had and renews it while it is held, until it is released. Once.
    boost::asio::awaitable<void> keep();
    // Gives it back, where it is held, and ends keep(). Nothing may be written from the call on.
    boost::asio::awaitable<void> release();

    // Held, and renewed recently enough. Looked at before each write: a process that was stopped finds out here.
    bool may_write() const;
    // Of the lease that is held; 0: none is.
    std::int64_t epoch() const { return held_ ? held_->epoch : 0; }
    // As last seen, whoever has it.
    const std::optional<lease_row>& row() const { return seen_; }

private:
    boost::asio::awaitable<void> compete();
    boost::asio::awaitable<void> watch();
    boost::asio::awaitable<void> renew();
    boost::asio::awaitable<void> try_to_take();
    duration tick() const { return settings_.ttl / 15; }
    duration until_free() const;
    void lose(const std::string& why);
    void see(const lease_row& row);

    store& rows_;
    net::clock& clock_;
    lease_settings settings_;
    lease_listeners listeners_;
    net::stop ending_;
    std::optional<lease_row> held_;
    duration valid_until_{}; // by since_boot
    std::optional<lease_row> seen_;
    duration unchanged_since_{};
    std::int64_t last_epoch_ = 0; // of the last lease that this process held
    duration pause_{};            // to the next renewal or look
};

} // namespace postern::run
