#pragma once

#include "net/clock.hpp"
#include "net/gate.hpp"
#include "net/rate_limit.hpp"
#include "net/transport.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>

// The governor of one account: all that goes to it passes here, at most so many requests at a time. It slows down when
// the remote says that few requests are left, and stops the whole account when the remote answers 429, for as long as
// that asks. A request that would have to wait for longer than `longest_wait` (or, where it is `once`, past its own
// timeout) is not sent but answered `throttled`, with the time left in retry_after.
namespace postern::net {

struct budget_settings {
    std::size_t concurrency = 8;
    std::int64_t low_water = 20;                      // remaining requests below which they are spread out ...
    duration refill = std::chrono::milliseconds{800}; // ... this far apart where no reset is told (Heroku: 75 a minute)
    duration longest_wait = std::chrono::seconds{60};
    duration pause = std::chrono::seconds{30}; // after a 429 that says nothing; doubled while it goes on
    duration longest_pause = std::chrono::minutes{15};
    duration request_timeout = std::chrono::seconds{30}; // of a `once` request that names none
};

class budget final : public transport {
public:
    // Both outlive this object.
    budget(transport& next, clock& time, budget_settings settings = {});

    boost::asio::awaitable<result<response>> send(request r) override;

    // How many requests are left, as the remote told last, less what was sent since; nothing where it never told.
    std::optional<std::int64_t> remaining() const { return remaining_; }

private:
    instant next_start(instant now) const;
    void go(instant now);
    void learn(const response& r, instant now);

    transport& next_;
    clock& clock_;
    budget_settings settings_;
    gate places_;
    instant paused_until_;
    instant next_slot_;
    std::optional<std::int64_t> remaining_;
    std::optional<std::int64_t> limit_;
    std::optional<instant> reset_at_;
    int refusals_ = 0; // 429s in a row
};

} // namespace postern::net
