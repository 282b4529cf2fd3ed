#include "provider/key_trust.hpp"

#include <algorithm>

namespace postern::provider {

namespace {

constexpr duration first_wait = std::chrono::seconds{2};
constexpr int most_refusals = 3;
constexpr duration first_bar = std::chrono::minutes{1};
constexpr duration longest_bar = std::chrono::minutes{15};

} // namespace

std::optional<duration> key_trust::wait_after(int refusals) {
    return refusals < most_refusals ? std::optional{first_wait * refusals * refusals} : std::nullopt;
}

void key_trust::accepted(instant now) {
    replaced();
    accepted_at_ = now;
}

void key_trust::refused(error why, instant began, instant now) {
    // Several calls may come to the same end together.
    if ((accepted_at_ && *accepted_at_ >= began) || now < until_)
        return;
    until_ = now + std::min(longest_bar, first_bar * (1 << std::min(times_, 4)));
    ++times_;
    why_ = std::move(why);
}

void key_trust::replaced() {
    accepted_at_.reset();
    why_.reset();
    until_ = {};
    times_ = 0;
}

std::optional<error> key_trust::barred(instant now) const {
    if (!why_ || now >= until_)
        return {};
    auto e = *why_;
    e.status = 0;
    e.retry_after = until_ - now;
    e.what += "; nothing was sent: this key is not tried again before " + format_instant(until_);
    return e;
}

} // namespace postern::provider
