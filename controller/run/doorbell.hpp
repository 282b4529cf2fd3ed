#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

// One coroutine waits, others ring. A ring that nobody waits for yet is not lost. For one thread.
namespace postern::run {

class doorbell {
public:
    explicit doorbell(const boost::asio::any_io_executor& executor)
        : timer_(executor, boost::asio::steady_timer::time_point::max()) {}

    void ring() {
        rung_ = true;
        timer_.cancel();
    }

    boost::asio::awaitable<void> wait() {
        while (!rung_) {
            auto token = boost::asio::as_tuple(boost::asio::use_awaitable);
            co_await timer_.async_wait(token);
        }
        rung_ = false;
    }

private:
    boost::asio::steady_timer timer_;
    bool rung_ = false;
};

} // namespace postern::run
