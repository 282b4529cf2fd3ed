#pragma once

#include "base/instant.hpp"

#include <functional>
#include <map>
#include <optional>

// The miniature cloud's one clock. Frozen (the default) it moves only when a test moves it; flowing it follows the
// system's clock plus whatever was added by hand. It never moves by itself in the middle of a request: now() changes
// only through move_to(), so that everything which falls due in between happens in order, at its own instant.
namespace postern::testcloud {

class virtual_time {
public:
    explicit virtual_time(instant start) : now_(start) {}

    instant now() const { return now_; }
    // The instant that now() ought to have reached: the system's clock where time flows, else now().
    instant due() const;
    void move_to(instant at);

    void flow();
    void freeze() { flowing_ = false; }
    bool flowing() const { return flowing_; }
    // Shifts a flowing clock against the system's.
    void shift(duration by) { offset_ += by; }

    // Runs `act` when time reaches `when`. Timers of one instant run in the order in which they were set.
    void at(instant when, std::function<void()> act);
    std::optional<instant> next_timer() const;
    void run_timers();

private:
    instant now_;
    bool flowing_ = false;
    duration offset_{};
    std::multimap<instant, std::function<void()>> timers_;
};

} // namespace postern::testcloud
