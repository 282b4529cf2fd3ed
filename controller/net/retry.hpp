#pragma once

#include "net/clock.hpp"
#include "net/stop.hpp"
#include "net/transport.hpp"

#include <functional>
#include <optional>

// Sends again what failed for a passing reason, with growing, jittered waits, or the wait that the remote asks for.
// `safe` requests are repeated after a lost, late or broken answer and after 429, 500, 502, 503, 504 and 520-529;
// `once` requests only where nothing was sent (`unavailable`) or the remote says that it did not act (429).
//
// Whoever writes down that a `once` request is under way may rely on its deadline: it is never sent later than its
// timeout after send() was called, waits included, and not with too little of it left. For `safe` requests the timeout
// is that of each attempt. What relies on a comparison is not sent again once that is old.
namespace postern::net {

struct retry_settings {
    int attempts = 3;
    duration first_wait = std::chrono::milliseconds{500}; // doubled each time
    duration longest_wait = std::chrono::seconds{8};
    duration longest_asked_wait = std::chrono::seconds{60}; // a remote that asks for more gets its answer handed back
    duration request_timeout = std::chrono::seconds{30};    // of a `once` request that names none
    stop* halt = nullptr; // asked to stop, what waits to be sent again is `cancelled`; outlives the transport
};

// How long to wait before sending again after `attempts_made`; nothing where the outcome stands. `random` in [0, 1).
std::optional<duration> wait_before_retry(const retry_settings& settings, repeat repeatable, int attempts_made,
                                          const result<response>& outcome, instant now, double random);

class retrying_transport final : public transport {
public:
    // All three outlive this object.
    retrying_transport(transport& next, clock& time, std::function<double()> random, retry_settings settings = {});

    boost::asio::awaitable<result<response>> send(request r) override;

private:
    bool is_stopping() const { return settings_.halt != nullptr && settings_.halt->asked(); }

    transport& next_;
    clock& clock_;
    std::function<double()> random_;
    retry_settings settings_;
};

} // namespace postern::net
