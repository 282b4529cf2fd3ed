#include "net/retry.hpp"

#include "net/rate_limit.hpp"

#include <boost/asio/this_coro.hpp>

#include <algorithm>

namespace postern::net {

namespace asio = boost::asio;

namespace {

bool is_passing(int status) {
    return status == 429 || status == 500 || (status >= 502 && status <= 504) || (status >= 520 && status <= 529);
}

bool is_worth_repeating(repeat repeatable, const result<response>& outcome) {
    if (outcome.has_value())
        return repeatable == repeat::safe ? is_passing(outcome->status) : outcome->status == 429;
    auto kind = outcome.error().kind;
    return kind == error_kind::unavailable || (repeatable == repeat::safe && kind == error_kind::timeout);
}

} // namespace

std::optional<duration> wait_before_retry(const retry_settings& settings, repeat repeatable, int attempts_made,
                                          const result<response>& outcome, instant now, double random) {
    if (attempts_made >= settings.attempts || !is_worth_repeating(repeatable, outcome))
        return {};
    // Half of the wait is fixed, half is chance, so that many clients do not come back together.
    auto doublings = std::min(attempts_made - 1, 20);
    auto wait = std::min(settings.longest_wait, settings.first_wait * (std::int64_t{1} << doublings));
    const auto half = wait / 2;
    wait = half + duration{static_cast<std::int64_t>(static_cast<double>(half.count()) * random)};
    if (outcome.has_error())
        return wait;
    auto told = read_rate_limit(*outcome, now);
    auto asked = told.retry_after;
    if (!asked && outcome->status == 429)
        asked = told.reset;
    if (asked && *asked > settings.longest_asked_wait)
        return {};
    return std::max(wait, asked.value_or(duration{0}));
}

retrying_transport::retrying_transport(transport& next, clock& time, std::function<double()> random,
                                       retry_settings settings)
    : next_(next), clock_(time), random_(std::move(random)), settings_(settings) {}

asio::awaitable<result<response>> retrying_transport::send(request r) {
    const auto began = clock_.now();
    const auto timeout = r.timeout.value_or(settings_.request_timeout);
    const auto deadline = began + timeout;
    const bool once = r.repeatable == repeat::once;
    const auto last_start = latest_start(r, began, timeout);
    for (int made = 1;; ++made) {
        auto attempt = r.copy();
        if (once)
            attempt.timeout = deadline - clock_.now();
        attempt.start_by = last_start;
        auto outcome = co_await next_.send(std::move(attempt));
        auto now = clock_.now();
        auto wait = wait_before_retry(settings_, r.repeatable, made, outcome, now, random_());
        if (!wait || now + *wait > last_start)
            co_return outcome;
        auto sleep = sleep_through(settings_.halt, &clock_, *wait);
        const bool goes_on = co_await std::move(sleep);
        if (is_stopping())
            co_return failure(error_kind::cancelled, r.what, "cancelled while waiting to be sent again");
        if (!goes_on)
            co_return outcome;
    }
}

} // namespace postern::net
