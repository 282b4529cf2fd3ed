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

// Somebody may set the clock meanwhile: on, and it is noticed within a minute; back, and the sleep is no longer than it
// was to be.
asio::awaitable<void> system_clock::sleep_until(instant until) {
    constexpr duration longest = std::chrono::minutes{1};
    constexpr duration rounding = std::chrono::seconds{1};
    asio::steady_timer timer{co_await asio::this_coro::executor};
    const auto began = now();
    duration slept{};
    for (auto at = began; at < until && (slept < until - began || until - at < rounding); at = now()) {
        const auto nap = std::min(until - at, longest);
        timer.expires_after(nap);
        auto [ec] = co_await timer.async_wait(asio::as_tuple(asio::use_awaitable));
        if (ec)
            co_return;
        slept += nap;
    }
}

duration time_since_boot() {
    timespec now{};
    clock_gettime(CLOCK_BOOTTIME, &now);
    return std::chrono::floor<duration>(std::chrono::seconds{now.tv_sec} + std::chrono::nanoseconds{now.tv_nsec});
}

instant boot_clock::now() const {
    return instant{time_since_boot()};
}

asio::awaitable<void> boot_clock::sleep_until(instant until) {
    constexpr duration longest = std::chrono::hours{24};
    asio::steady_timer timer{co_await asio::this_coro::executor};
    for (auto at = now(); at < until; at = now()) {
        timer.expires_after(std::min(until - at, longest));
        auto [ec] = co_await timer.async_wait(asio::as_tuple(asio::use_awaitable));
        if (ec)
            co_return;
    }
}

} // namespace postern::net
