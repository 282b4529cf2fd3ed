#include "net/pace.hpp"

#include <algorithm>

namespace postern::net {

namespace {

constexpr auto unremarkable = std::chrono::milliseconds{100};
constexpr int much_longer = 3; // times the usual, and this much more

} // namespace

void pace::become(std::size_t places, instant now) {
    places_ = std::clamp<std::size_t>(places, 1, most_);
    changed_at_ = now;
    good_ = 0;
}

void pace::good(instant sent, instant now) {
    const auto took = now - sent;
    recent_ = usual_ ? (recent_ * 7 + took) / 8 : took;
    usual_ = usual_ ? (*usual_ * 63 + took) / 64 : took;
    if (sent < changed_at_)
        return;
    if (recent_ > *usual_ * much_longer + unremarkable)
        become(places_ - (places_ > 1 ? 1 : 0), now);
    else if (++good_ >= places_ && places_ < most_)
        become(places_ + 1, now);
}

void pace::bad(instant sent, instant now) {
    if (sent >= changed_at_)
        become(places_ / 2, now);
}

} // namespace postern::net
