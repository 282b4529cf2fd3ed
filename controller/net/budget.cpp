#include "net/budget.hpp"

#include <boost/asio/this_coro.hpp>

#include <algorithm>

namespace postern::net {

namespace asio = boost::asio;

namespace {

error cancelled(const request& r) {
    error e;
    e.kind = error_kind::cancelled;
    e.where = r.what;
    e.what = "cancelled while waiting for the account's budget";
    return e;
}

error throttled(const request& r, duration left) {
    error e;
    e.kind = error_kind::throttled;
    e.where = r.what;
    e.what = "the account's request limit is used up; nothing was sent; next try in " + format_duration(left);
    e.retry_after = left;
    return e;
}

} // namespace

budget::budget(transport& next, clock& time, budget_settings settings)
    : next_(next), clock_(time), settings_(settings), places_(settings.concurrency) {}

instant budget::next_start(instant now) const {
    auto start = std::max({now, paused_until_, next_slot_});
    bool used_up = remaining_ && *remaining_ <= 0;
    return used_up && reset_at_ ? std::max(start, *reset_at_) : start;
}

// A request goes now: when may the next one?
void budget::go(instant now) {
    if (reset_at_ && now >= *reset_at_) {
        remaining_.reset();
        reset_at_.reset();
    }
    if (!remaining_)
        return;
    auto low = limit_ ? *limit_ / 5 : settings_.low_water;
    if (*remaining_ < low) {
        auto left = std::max<std::int64_t>(*remaining_, 1);
        next_slot_ = now + (reset_at_ ? (*reset_at_ - now) / left : settings_.refill);
    }
    --*remaining_;
}

void budget::learn(const response& r, instant now) {
    auto told = read_rate_limit(r, now);
    if (told.remaining) {
        remaining_ = told.remaining;
        limit_ = told.limit;
        reset_at_ = told.reset ? std::optional{now + *told.reset} : std::nullopt;
    }
    if (r.status != 429) {
        refusals_ = now < paused_until_ ? refusals_ : 0;
        return;
    }
    // What was under way when the pause began is refused, too, and is no news.
    if (now >= paused_until_)
        ++refusals_;
    auto doublings = std::clamp(refusals_ - 1, 0, 20);
    auto pause = std::min(settings_.longest_pause, settings_.pause * (std::int64_t{1} << doublings));
    if (told.retry_after || told.reset)
        pause = std::max(told.retry_after.value_or(duration{0}), told.reset.value_or(duration{0}));
    paused_until_ = std::max(paused_until_, now + pause);
}

asio::awaitable<result<response>> budget::send(request r) {
    bool once = r.repeatable == repeat::once;
    auto deadline = clock_.now() + r.timeout.value_or(settings_.request_timeout);
    auto place = co_await places_.enter(std::chrono::steady_clock::time_point::max());
    if (!place)
        co_return cancelled(r);
    auto entered = clock_.now();
    auto last_start = entered + settings_.longest_wait;
    if (once)
        last_start = std::min(last_start, deadline);
    auto now = entered;
    for (auto start = next_start(now); start > now; start = next_start(now)) {
        if (start > last_start)
            co_return throttled(r, start - now);
        co_await clock_.sleep_until(start);
        auto state = co_await asio::this_coro::cancellation_state;
        if (state.cancelled() != asio::cancellation_type::none)
            co_return cancelled(r);
        now = clock_.now();
    }
    // Waiting in the queue counts, too: a `once` request is not sent when its time is up.
    if (once && now >= deadline)
        co_return throttled(r, duration{0});
    if (once)
        r.timeout = deadline - now;
    go(now);
    auto out = co_await next_.send(std::move(r));
    if (out.has_value())
        learn(*out, clock_.now());
    co_return out;
}

} // namespace postern::net
