#include "cloud/virtual_time.hpp"

#include <algorithm>
#include <utility>

namespace postern::testcloud {

namespace {

instant system_now() {
    return std::chrono::time_point_cast<duration>(std::chrono::system_clock::now());
}

} // namespace

instant virtual_time::due() const {
    return flowing_ ? std::max(now_, system_now() + offset_) : now_;
}

void virtual_time::move_to(instant at) {
    now_ = std::max(now_, at);
}

void virtual_time::flow() {
    flowing_ = true;
    offset_ = std::max(duration{}, now_ - system_now());
}

void virtual_time::at(instant when, std::function<void()> act) {
    timers_.emplace(when, std::move(act));
}

std::optional<instant> virtual_time::next_timer() const {
    if (timers_.empty())
        return std::nullopt;
    return timers_.begin()->first;
}

void virtual_time::run_timers() {
    while (!timers_.empty() && timers_.begin()->first <= now_) {
        auto node = timers_.extract(timers_.begin());
        node.mapped()();
    }
}

} // namespace postern::testcloud
