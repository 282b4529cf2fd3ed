#pragma once

#include "net/clock.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <exception>
#include <list>
#include <type_traits>
#include <utility>

// A wish to stop, kept by whoever started the work. Nothing that is under way is torn: a request that was sent is
// answered, only waiting ends at once. For one thread.
namespace postern::net {

class stop {
public:
    void ask();
    bool asked() const { return asked_; }

    // For so long, or until somebody asks to stop or the caller is cancelled.
    boost::asio::awaitable<void> sleep_for(clock& time, duration d);

    // What the wait brings, or an empty T as soon as somebody asks to stop or the caller is cancelled.
    template<class T>
    boost::asio::awaitable<T> cut_short(boost::asio::awaitable<T> wait);

private:
    // Hears of the wish, and of what reaches the caller, for as long as it lives.
    class ear {
    public:
        ear(stop& of, boost::asio::cancellation_state callers);
        ~ear();
        ear(const ear&) = delete;
        ear& operator=(const ear&) = delete;
        boost::asio::cancellation_slot slot() { return signal_->slot(); }
        bool heard() const;

    private:
        stop& of_;
        boost::asio::cancellation_state callers_;
        std::list<boost::asio::cancellation_signal>::iterator signal_;
    };

    bool asked_ = false;
    std::list<boost::asio::cancellation_signal> waiting_;
};

// Sleeps, and says whether it is still worth going on: nobody asked to stop, and the caller was not cancelled. `halt`
// may be null: nobody can ask. Both outlive the call.
boost::asio::awaitable<bool> sleep_through(stop* halt, clock* time, duration d);

template<class T>
boost::asio::awaitable<T> stop::cut_short(boost::asio::awaitable<T> wait) {
    if (asked_)
        co_return T();
    auto executor = co_await boost::asio::this_coro::executor;
    auto callers = co_await boost::asio::this_coro::cancellation_state;
    ear here{*this, callers};
    auto token = boost::asio::bind_cancellation_slot(here.slot(), boost::asio::as_tuple(boost::asio::use_awaitable));
    auto came = co_await boost::asio::co_spawn(executor, std::move(wait), token);
    if (auto thrown = std::get<0>(came)) {
        if (!here.heard())
            std::rethrow_exception(thrown);
        co_return T();
    }
    if constexpr (!std::is_void_v<T>)
        co_return std::move(std::get<1>(came));
}

} // namespace postern::net
