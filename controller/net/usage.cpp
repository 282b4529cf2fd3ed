#include "net/usage.hpp"

#include <algorithm>
#include <iterator>

namespace postern::net {

std::int64_t usage::reserve(rank of, std::optional<std::int64_t> limit) const {
    const auto share = of.soon                       ? 0
                       : of.lane == urgency::refresh ? settings_.refresh_reserve
                       : of.lane == urgency::repair  ? settings_.repair_reserve
                                                     : 0;
    return limit ? *limit * share / 100 : settings_.low_water * share / 20;
}

std::int64_t usage::used_in(duration window, instant now) const {
    auto counts = std::upper_bound(ended_.begin(), ended_.end(), now - window);
    return under_way_ + std::distance(counts, ended_.end());
}

instant usage::room_in(const quota& q, rank of, std::size_t ahead, instant now) const {
    const auto mine = std::max<std::int64_t>(1, q.requests - reserve(of, q.requests));
    auto too_many = used_in(q.window, now) + static_cast<std::int64_t>(ahead) + 1 - mine;
    if (too_many <= 0)
        return now;
    auto oldest = std::upper_bound(ended_.begin(), ended_.end(), now - q.window);
    // What is still under way, and what waits before this, leaves the window no sooner than this.
    if (too_many > std::distance(oldest, ended_.end()))
        return now + q.window;
    return *std::next(oldest, too_many - 1) + q.window;
}

instant usage::told_room(rank of, std::size_t ahead, instant now) const {
    if (!remaining_ || (reset_at_ && now >= *reset_at_))
        return now;
    const auto left = *remaining_ - reserve(of, limit_) - static_cast<std::int64_t>(ahead);
    if (left > 0)
        return of.soon ? now : std::max(now, next_slot_);
    // A bucket without a word about its reset refills drop by drop.
    const auto refilled = std::max(now, next_slot_) + settings_.refill * static_cast<std::int64_t>(ahead);
    return reset_at_ ? *reset_at_ : std::max(now, refilled);
}

instant usage::next_start(rank of, std::size_t ahead, instant now) const {
    auto start = now;
    for (const auto& q : windows_)
        start = std::max(start, room_in(q, of, ahead, now));
    return windows_.empty() || shared_ ? std::max(start, told_room(of, ahead, now)) : start;
}

void usage::sent(instant now) {
    ++under_way_;
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

void usage::ended(instant now) {
    --under_way_;
    ended_.push_back(now);
    forget(now);
}

void usage::forget(instant now) {
    duration longest = std::chrono::minutes{1}; // the remote may be about to name its windows
    for (const auto& q : windows_)
        longest = std::max(longest, q.window);
    while (!ended_.empty() && ended_.front() + longest <= now)
        ended_.pop_front();
}

void usage::learn(const rate_limit& told, instant now) {
    for (const auto& named : told.policies) {
        auto same = std::find_if(windows_.begin(), windows_.end(),
                                 [&](const quota& known) { return known.window == named.window; });
        if (same != windows_.end())
            *same = named;
        else if (windows_.size() < 8)
            windows_.push_back(named);
    }
    if (!told.remaining)
        return;
    // What is under way may not be counted yet.
    remaining_ = *told.remaining - under_way_;
    limit_ = told.limit;
    reset_at_ = told.reset ? std::optional{now + *told.reset} : std::nullopt;
    shared_ = !told.limit || !told.window || *told.limit - *told.remaining > used_in(*told.window, now);
}

usage::place usage::join(rank of) {
    return *waiting_.emplace(of.order(), ++tickets_).first;
}

std::size_t usage::ahead_of(const place& at) const {
    return static_cast<std::size_t>(std::distance(waiting_.begin(), waiting_.lower_bound(at)));
}

} // namespace postern::net
