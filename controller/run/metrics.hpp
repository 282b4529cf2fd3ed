#pragma once

#include "base/instant.hpp"
#include "run/status.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

// What Prometheus scrapes. Gauges are those of the status that was shown last: what it no longer names is gone. Names
// and labels are fixed, alert rules and dashboards rest on them. No secret gets here. For one thread.
namespace postern::run {

class metrics {
public:
    metrics();
    ~metrics();
    metrics(const metrics&) = delete;
    metrics& operator=(const metrics&) = delete;

    void show(const status& s);

    // An answer of a remote ("cloudflare", "infisical", "heroku", "edge"); 0: none was had.
    void count_request(std::string_view provider, int code);
    // What the remote's rate limit leaves, where it says so.
    void budget(std::string_view provider, std::string_view account, double remaining);
    void pass_took(duration d);
    void drift_repaired(std::uint64_t objects);

    // In the text format, version 0.0.4.
    std::string text() const;

private:
    struct state;
    std::unique_ptr<state> state_;
};

} // namespace postern::run
