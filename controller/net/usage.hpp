#pragma once

#include "base/instant.hpp"
#include "net/http.hpp"
#include "net/rate_limit.hpp"

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <set>
#include <utility>
#include <vector>

// What one counter of a remote's has seen of us, and from when on it would let the next request pass. A remote that
// names its windows is held to our own books: a request counts from when it is sent until a window after it ended,
// which is at least as long as the remote can count it. Where others use the account too, and where no window is named,
// what the remote says to be left decides.
namespace postern::net {

struct usage_settings {
    std::int64_t low_water = 20; // requests left of an unknown limit below which they are spread out ...
    duration refill = std::chrono::milliseconds{800}; // ... this far apart where no reset is told (Heroku: 75 a minute)
    int refresh_reserve = 10;                         // percent of a limit that looking leaves to what is more urgent
    int repair_reserve = 5;
};

class usage {
public:
    usage(const usage_settings& settings, std::vector<quota> known) : settings_(settings), windows_(std::move(known)) {}

    // How urgent a request is. What relies on a comparison (`soon`) goes before all others, finds the reserve, and is
    // not spread out: what was begun is finished.
    struct rank {
        urgency lane = urgency::rotation;
        bool soon = false;
        int order() const { return soon ? -1 : static_cast<int>(lane); }
    };

    // When such a request may be sent, with so many waiting before it; never past where it may be sent now.
    instant next_start(rank of, std::size_t ahead, instant now) const;
    void sent(instant now);
    void ended(instant now);
    void learn(const rate_limit& told, instant now);

    std::optional<std::int64_t> remaining() const { return remaining_; }

    // Who waits for it, in order: an entry of its own for each.
    using place = std::pair<int, std::uint64_t>;
    place join(rank of);
    void leave(const place& at) { waiting_.erase(at); }
    std::size_t ahead_of(const place& at) const;

private:
    std::int64_t reserve(rank of, std::optional<std::int64_t> limit) const;
    std::int64_t used_in(duration window, instant now) const;
    instant room_in(const quota& q, rank of, std::size_t ahead, instant now) const;
    instant told_room(rank of, std::size_t ahead, instant now) const;
    void forget(instant now);

    usage_settings settings_;
    std::vector<quota> windows_;
    std::int64_t under_way_ = 0;
    std::deque<instant> ended_; // in order, within the longest window
    std::optional<std::int64_t> remaining_;
    std::optional<std::int64_t> limit_;
    std::optional<instant> reset_at_;
    bool shared_ = true; // the remote has counted more than we have sent
    instant next_slot_;
    std::set<place> waiting_;
    std::uint64_t tickets_ = 0;
};

} // namespace postern::net
