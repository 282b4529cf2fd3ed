#include "net/budget.hpp"

#include <boost/asio/this_coro.hpp>

#include <algorithm>

namespace postern::net {

namespace asio = boost::asio;

namespace {

error cancelled(const request& r) {
    return failure(error_kind::cancelled, r.what, "cancelled while waiting for the account's budget");
}

error throttled(const request& r, std::string why, duration left) {
    auto e = failure(error_kind::throttled, r.what, std::move(why) + "; nothing was sent");
    e.retry_after = left;
    return e;
}

error no_room(const request& r, duration left) {
    return throttled(r, "the account's request limit is used up for " + format_duration(left), left);
}

// The remote is overtaxed, or nothing came back.
bool is_bad(const result<response>& got) {
    if (got.has_value())
        return got->status == 429 || got->status == 503 || got->status == 504 || got->status == 529;
    return got.error().kind == error_kind::timeout || got.error().kind == error_kind::ambiguous;
}

// Stands in the queue for as long as it lives.
struct waiting {
    usage& of;
    usage::place at;
    waiting(usage& u, usage::rank rank) : of(u), at(u.join(rank)) {}
    ~waiting() { of.leave(at); }
    waiting(const waiting&) = delete;
    waiting& operator=(const waiting&) = delete;
};

// Counts as under way for as long as it lives.
struct flight {
    usage& of;
    clock& time;
    flight(usage& u, clock& c) : of(u), time(c) { of.sent(time.now()); }
    ~flight() { of.ended(time.now()); }
    flight(const flight&) = delete;
    flight& operator=(const flight&) = delete;
};

} // namespace

budget::budget(transport& next, clock& time, budget_settings settings)
    : next_(next), dates_(time), clock_(time), settings_(std::move(settings)), pace_(settings_.concurrency),
      places_(settings_.concurrency) {}

std::optional<std::int64_t> budget::remaining() const {
    std::optional<std::int64_t> least;
    for (const auto& [counter, of] : usages_) {
        if (auto left = of.remaining(); left && (!least || *left < *least))
            least = left;
    }
    return least;
}

usage& budget::usage_of(const std::string& counter) {
    auto at = usages_.find(counter);
    if (at == usages_.end())
        at = usages_.emplace(counter, usage{settings_.usage, settings_.quotas}).first;
    return at->second;
}

void budget::rest(const rate_limit& told, instant now) {
    // What was under way when the pause began is refused, too, and is no news.
    if (now >= paused_until_)
        ++refusals_;
    auto doublings = std::clamp(refusals_ - 1, 0, 20);
    auto pause = std::min(settings_.longest_pause, settings_.pause * (std::int64_t{1} << doublings));
    if (told.retry_after || told.reset)
        pause = std::max(told.retry_after.value_or(duration{0}), told.reset.value_or(duration{0}));
    paused_until_ = std::max(paused_until_, now + pause);
}

void budget::learn(usage& of, const result<response>& got, instant sent) {
    const auto now = clock_.now();
    if (is_bad(got))
        pace_.bad(sent, now);
    else if (got.has_value())
        pace_.good(sent, now);
    places_.resize(pace_.places());
    if (got.has_error())
        return;
    auto told = read_rate_limit(*got, dates_.now());
    if (told.unbelievable && settings_.on_unbelievable && now >= told_until_) {
        told_until_ = now + std::chrono::hours{1};
        settings_.on_unbelievable(*told.unbelievable);
    }
    of.learn(told, now);
    if (got->status == 429)
        rest(told, now);
    else if (now >= paused_until_)
        refusals_ = 0;
}

// Empty where that was not to be had in time, or at all.
asio::awaitable<gate::pass> budget::enter(usage::rank rank, instant latest, bool finishes) {
    const std::size_t extra = rank.soon ? 1 : 0;
    if (auto free = places_.try_enter(extra))
        co_return free;
    auto until = std::chrono::steady_clock::time_point::max();
    if (latest != instant::max())
        until = std::chrono::steady_clock::now() + std::max(latest - clock_.now(), duration{0});
    auto turn = places_.enter(until, rank.order(), extra);
    const bool is_cut = settings_.halt != nullptr && !finishes;
    auto wait = is_cut ? settings_.halt->cut_short(std::move(turn)) : std::move(turn);
    co_return co_await std::move(wait);
}

asio::awaitable<result<response>> budget::send(request r) {
    const bool once = r.repeatable == repeat::once;
    const auto came = clock_.now();
    const auto timeout = r.timeout.value_or(settings_.request_timeout);
    const usage::rank rank{r.lane, r.patience.has_value()};
    auto latest = latest_start(r, dates_.now(), timeout);
    if (latest != instant::max())
        latest += came - dates_.now();
    auto& of = usage_of(r.quota);
    gate::pass place;
    {
        const waiting mine{of, rank};
        auto next_start = [&](instant now) {
            return std::max(of.next_start(rank, of.ahead_of(mine.at), now), paused_until_);
        };
        auto last_start = instant::max();
        while (!place) {
            auto now = clock_.now();
            for (auto start = next_start(now); start > now; start = next_start(now)) {
                if (last_start == instant::max())
                    last_start = std::min(latest, now + settings_.longest_wait);
                if (start > last_start)
                    co_return no_room(r, start - now);
                auto sleep = sleep_through(settings_.halt, &clock_, start - now);
                const bool goes_on = co_await std::move(sleep);
                if (!goes_on)
                    co_return cancelled(r);
                now = clock_.now();
            }
            auto entering = enter(rank, latest, r.finishes);
            place = co_await std::move(entering);
            // Much may have been sent, and much time have passed, while this one stood at the door.
            now = clock_.now();
            const auto state = co_await asio::this_coro::cancellation_state;
            if (!place && (is_stopping() || state.cancelled() != asio::cancellation_type::none))
                co_return cancelled(r);
            const auto left = std::max(next_start(now) - now, duration{0});
            if (!place)
                co_return throttled(r, "none of the requests under way ended in time", left);
            if (now > latest)
                co_return throttled(r, "it came too late to be sent", left);
            if (next_start(now) > now)
                place = {};
        }
    }
    const auto now = clock_.now();
    // Waiting in the queue counts, too.
    if (once)
        r.timeout = came + timeout - now;
    result<response> out = error{};
    {
        const flight one{of, clock_};
        out = co_await next_.send(std::move(r));
    }
    learn(of, out, now);
    co_return out;
}

} // namespace postern::net
