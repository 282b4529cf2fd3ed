#pragma once

#include "base/instant.hpp"
#include "net/http.hpp"

#include <cstdint>
#include <optional>
#include <vector>

// What an answer's headers say about how fast to go on.
namespace postern::net {

// So many requests in any stretch of time of this length.
struct quota {
    std::int64_t requests = 0;
    duration window{};
};

struct rate_limit {
    std::vector<quota> policies;           // all that the remote names; the first few
    std::optional<duration> window;        // of the one that counts here
    std::optional<std::int64_t> limit;     // requests in a window
    std::optional<std::int64_t> remaining; // of them, before the remote refuses
    std::optional<duration> reset;         // until there is a full window again
    std::optional<duration> retry_after;   // the remote's own word for when to come back
    std::optional<duration> unbelievable;  // what was asked for, where these two say less
};

// Reads Ratelimit and Ratelimit-Policy (Cloudflare: the entry with least remaining counts), RateLimit-Remaining
// (Heroku), x-ratelimit-* (Infisical), Retry-After (seconds, an HTTP date or an epoch) and retry-after-ms. `now` is
// used where the answer has no Date of its own. Nobody counts over more than an hour: a wait that is longer than that
// is read as an hour, so that no header, by a fault or a changed clock, stops an account for good.
rate_limit read_rate_limit(const response& r, instant now);

} // namespace postern::net
