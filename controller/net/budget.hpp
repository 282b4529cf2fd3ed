#pragma once

#include "net/clock.hpp"
#include "net/gate.hpp"
#include "net/pace.hpp"
#include "net/stop.hpp"
#include "net/transport.hpp"
#include "net/usage.hpp"

#include <cstddef>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

// The governor of one account: all that goes to it passes here. It sends no more than the remote allows in any stretch
// of time, keeps a reserve of that for what is more urgent, and stops the whole account when the remote answers 429,
// for as long as that asks. At most so many requests are under way, fewer where the remote becomes slow or refuses;
// what relies on a comparison finds one place more, so that slow answers to others do not keep it out until it is too
// old. A request that would have to wait for longer than `longest_wait`, or than its `patience`, or (where it is
// `once`) until too little of its own timeout is left, is not sent but answered `throttled`, with the time left in
// retry_after.
namespace postern::net {

struct budget_settings {
    std::size_t concurrency = 8; // to begin with, and at most
    std::vector<quota> quotas;   // what the remote is known to allow, until it says otherwise
    usage_settings usage;
    duration longest_wait = std::chrono::seconds{60};
    duration pause = std::chrono::seconds{30}; // after a 429 that says nothing; doubled while it goes on
    duration longest_pause = std::chrono::minutes{15};
    duration request_timeout = std::chrono::seconds{30}; // of a `once` request that names none
    // Asked to stop, whoever waits or would have to is `cancelled`; what `finishes` still waits for its place, not for
    // room in a window. Outlives the budget.
    stop* halt = nullptr;
    // Told, once an hour, what the remote asked for where that was too much to be believed.
    std::function<void(duration asked)> on_unbelievable = {};
};

class budget final : public transport {
public:
    // Both outlive this object.
    budget(transport& next, clock& time, budget_settings settings = {});

    boost::asio::awaitable<result<response>> send(request r) override;

    // How many requests are left, as the remote told last, less what was sent since; the least where it has several
    // counters, nothing where it never told.
    std::optional<std::int64_t> remaining() const;
    // How many may be under way now.
    std::size_t concurrency() const { return pace_.places(); }

private:
    usage& usage_of(const std::string& counter);
    boost::asio::awaitable<gate::pass> enter(usage::rank rank, instant latest, bool finishes);
    bool is_stopping() const { return settings_.halt != nullptr && settings_.halt->asked(); }
    void learn(usage& of, const result<response>& got, instant sent);
    void rest(const rate_limit& told, instant now);

    transport& next_;
    clock& dates_;       // that requests and answers bring
    onward_clock clock_; // for all that is noted here
    budget_settings settings_;
    pace pace_;
    gate places_;
    std::map<std::string, usage> usages_; // by the remote's own counter
    instant paused_until_;
    int refusals_ = 0; // 429s in a row
    instant told_until_;
};

} // namespace postern::net
