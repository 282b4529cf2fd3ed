#include "run/lease.hpp"

#include "run/together.hpp"

#include <algorithm>
#include <utility>
#include <vector>

namespace postern::run {

namespace asio = boost::asio;

namespace {

// Whether the holder has been silent between the two. Who asks for a pass does not speak for it.
bool same_beat(const lease_row& a, const lease_row& b) {
    return a.holder == b.holder && a.epoch == b.epoch && a.beat == b.beat;
}

} // namespace

lease::lease(store& rows, net::clock& clock, lease_settings settings, lease_listeners listeners)
    : rows_(rows), clock_(clock), settings_(std::move(settings)), listeners_(std::move(listeners)) {}

bool lease::may_write() const {
    return held_ && settings_.since_boot() < valid_until_;
}

asio::awaitable<void> lease::keep() {
    std::vector<asio::awaitable<void>> both;
    both.push_back(compete());
    both.push_back(watch());
    co_await together(std::move(both), 2);
}

asio::awaitable<void> lease::compete() {
    while (!ending_.asked()) {
        pause_ = tick();
        if (held_)
            co_await renew();
        else
            co_await try_to_take();
        co_await ending_.sleep_for(clock_, pause_);
    }
}

// A renewal that hangs must not hide that the lease is over.
asio::awaitable<void> lease::watch() {
    while (!ending_.asked()) {
        if (held_ && !may_write())
            lose("it could not be renewed in time");
        co_await ending_.sleep_for(clock_, tick());
    }
}

asio::awaitable<void> lease::renew() {
    if (!may_write()) {
        lose("it could not be renewed in time");
        co_return;
    }
    const auto before = *held_;
    const auto began = settings_.since_boot();
    auto renewed = co_await rows_.renew_lease(before);
    if (!renewed && listeners_.troubled && !ending_.asked())
        listeners_.troubled(renewed.error());
    if (!held_ || held_->epoch != before.epoch || !renewed)
        co_return;
    if (!renewed.value()) {
        lose("another controller took it");
        co_return;
    }
    held_ = *renewed.value();
    see(*held_);
    valid_until_ = began + settings_.ttl * 2 / 3;
    if (!may_write()) {
        lose("its renewal took too long");
        co_return;
    }
    pause_ = settings_.ttl / 3;
    if (held_->wanted != before.wanted && listeners_.wanted)
        listeners_.wanted();
}

asio::awaitable<void> lease::try_to_take() {
    const auto asked = settings_.since_boot();
    auto read = co_await rows_.read_lease();
    if (!read) {
        if (listeners_.troubled && !ending_.asked())
            listeners_.troubled(read.error());
        co_return;
    }
    const auto& row = read.value();
    const bool silent = seen_ && same_beat(*seen_, row) && asked - unchanged_since_ >= settings_.ttl * 9 / 10;
    see(row);
    // What this very process held last is nobody else's, and it does not write with it any more.
    const bool ours = last_epoch_ != 0 && row.epoch == last_epoch_ && row.holder == settings_.holder;
    if (!row.holder.empty() && !silent && !ours) {
        pause_ = std::min(tick(), until_free());
        co_return;
    }
    if (ending_.asked())
        co_return;
    const auto began = settings_.since_boot();
    auto taken = co_await rows_.take_lease(row, settings_.holder);
    if (!taken) {
        if (listeners_.troubled && !ending_.asked())
            listeners_.troubled(taken.error());
        co_return;
    }
    if (!taken.value())
        co_return;
    see(*taken.value());
    last_epoch_ = taken.value()->epoch;
    if (ending_.asked()) {
        const auto back = *taken.value();
        co_await rows_.release_lease(back);
        co_return;
    }
    held_ = *taken.value();
    valid_until_ = began + settings_.ttl * 2 / 3;
    if (!may_write()) {
        held_.reset();
        co_return;
    }
    pause_ = settings_.ttl / 3;
    if (listeners_.gained)
        listeners_.gained(held_->epoch);
}

duration lease::until_free() const {
    return std::max(unchanged_since_ + settings_.ttl * 9 / 10 - settings_.since_boot(), duration{1});
}

void lease::see(const lease_row& row) {
    if (!seen_ || !same_beat(*seen_, row))
        unchanged_since_ = settings_.since_boot();
    seen_ = row;
}

void lease::lose(const std::string& why) {
    held_.reset();
    if (listeners_.lost)
        listeners_.lost(why);
}

asio::awaitable<void> lease::release() {
    const auto mine = std::exchange(held_, std::nullopt);
    ending_.ask();
    if (!mine)
        co_return;
    auto back = co_await rows_.release_lease(*mine);
    if (!back && listeners_.troubled)
        listeners_.troubled(back.error());
}

} // namespace postern::run
