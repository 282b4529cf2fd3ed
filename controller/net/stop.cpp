#include "net/stop.hpp"

namespace postern::net {

namespace asio = boost::asio;

stop::ear::ear(stop& of, asio::cancellation_state callers)
    : of_(of), callers_(callers), signal_(of.waiting_.emplace(of.waiting_.end())) {
    auto hand_on = [at = signal_](asio::cancellation_type how) { at->emit(how); };
    if (auto slot = callers_.slot(); slot.is_connected())
        slot.assign(hand_on);
}

stop::ear::~ear() {
    if (auto slot = callers_.slot(); slot.is_connected())
        slot.clear();
    of_.waiting_.erase(signal_);
}

bool stop::ear::heard() const {
    return of_.asked_ || callers_.cancelled() != asio::cancellation_type::none;
}

void stop::ask() {
    asked_ = true;
    for (auto& one : waiting_)
        one.emit(asio::cancellation_type::terminal);
}

asio::awaitable<void> stop::sleep_for(clock& time, duration d) {
    return cut_short(time.sleep_for(d));
}

asio::awaitable<bool> sleep_through(stop* halt, clock* time, duration d) {
    auto sleep = halt != nullptr ? halt->sleep_for(*time, d) : time->sleep_for(d);
    co_await std::move(sleep);
    auto state = co_await asio::this_coro::cancellation_state;
    co_return (halt == nullptr || !halt->asked()) && state.cancelled() == asio::cancellation_type::none;
}

} // namespace postern::net
