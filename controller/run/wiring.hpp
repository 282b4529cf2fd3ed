#pragma once

#include "base/instant.hpp"
#include "net/clock.hpp"
#include "net/stop.hpp"
#include "net/transport.hpp"
#include "run/log.hpp"

#include <functional>
#include <optional>
#include <string>
#include <string_view>

// What all connections share, and whom they tell.
namespace postern::run {

// Everything outlives whoever is given this.
struct wiring {
    net::transport& wire;
    net::clock& clock;
    log& diagnostics;
    duration request_timeout = std::chrono::seconds{30};
    std::function<double()> random = {};        // in [0, 1): for the jitter of retries
    std::optional<std::string> connect_to = {}; // smoke tests go there
    // Asked right before a request goes out that may change something. No: it is not sent. Without this all are.
    std::function<bool()> may_write = {};
    // Told of each answer: by whom (cloudflare, infisical, heroku, edge) and its HTTP status, 0 where none came.
    std::function<void(std::string_view provider, int status)> on_response = {};
    // Asked to stop, no request waits for its turn any more, but for a place where its step has written already, and
    // the world is not read on.
    net::stop* halt = nullptr;
};

} // namespace postern::run
