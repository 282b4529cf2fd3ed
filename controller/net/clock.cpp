#include "net/clock.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>
#include <chrono>
#include <ctime>

namespace postern::net {

namespace asio = boost::asio;

instant system_clock::now() const {
    return std::chrono::floor<duration>(std::chrono::system_clock::now());
}

// The timer does not count while the machine sleeps: within a minute after it, it is noticed.
asio::awaitable<void> system_clock::sleep_for(duration d) {
    constexpr duration longest = std::chrono::minutes{1};
    asio::steady_timer timer{co_await asio::this_coro::executor};
    const auto began = time_since_boot();
    for (auto slept = duration{0}; slept < d; slept = time_since_boot() - began) {
        timer.expires_after(std::min(d - slept, longest));
        auto [ec] = co_await timer.async_wait(asio::as_tuple(asio::use_awaitable));
        if (ec)
            co_return;
    }
}

instant onward_clock::now() const {
    auto at = below_.now();
    if (at + set_back_ < last_)
        set_back_ = last_ - at;
    last_ = at + set_back_;
    return last_;
}

duration time_since_boot() {
    timespec now{};
    clock_gettime(CLOCK_BOOTTIME, &now);
    return std::chrono::floor<duration>(std::chrono::seconds{now.tv_sec} + std::chrono::nanoseconds{now.tv_nsec});
}

} // namespace postern::net
