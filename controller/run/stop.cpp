#include "run/stop.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace postern::run {

namespace asio = boost::asio;

void stop::ask() {
    asked_ = true;
    for (auto& sleeper : sleepers_)
        sleeper.emit(asio::cancellation_type::terminal);
}

asio::awaitable<void> stop::sleep_until(net::clock& clock, instant until) {
    if (asked_)
        co_return;
    auto executor = co_await asio::this_coro::executor;
    auto sleeper = sleepers_.emplace(sleepers_.end());
    auto sleep = clock.sleep_until(until);
    auto token = asio::bind_cancellation_slot(sleeper->slot(), asio::as_tuple(asio::use_awaitable));
    co_await asio::co_spawn(executor, std::move(sleep), token);
    sleepers_.erase(sleeper);
}

} // namespace postern::run
