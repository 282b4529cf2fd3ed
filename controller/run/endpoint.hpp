#pragma once

#include "base/error.hpp"
#include "base/secret.hpp"
#include "run/metrics.hpp"
#include "run/status.hpp"

#include <boost/asio/any_io_executor.hpp>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

// What one sees of a daemon from outside, and how it is woken: GET /healthz and /readyz for anybody, /metrics and
// /api/v1/status (?token=NAME) for whoever may, POST /hooks/git for whoever can sign. Nothing here changes anything;
// a valid hook only has the loop look again.
namespace postern::run {

struct endpoint_settings {
    std::string listen;                // "127.0.0.1:9090"; other than loopback only with a bearer token
    std::optional<secret> token;       // metrics and status ask for it, on loopback too
    std::optional<secret> hook_secret; // none: there is no /hooks/git
    std::string branch;                // that is followed: a push to another one wakes nobody; empty: any push does
};

class endpoint {
public:
    ~endpoint();
    endpoint(const endpoint&) = delete;
    endpoint& operator=(const endpoint&) = delete;

    std::uint16_t port() const;
    std::string address() const; // as it was really bound
    // Ends every connection; nothing keeps the executor busy after it.
    void close();

private:
    struct state;
    explicit endpoint(std::shared_ptr<state> of);
    std::shared_ptr<state> state_;

    friend result<std::unique_ptr<endpoint>> open_endpoint(boost::asio::any_io_executor executor,
                                                           endpoint_settings settings, std::function<status()> now,
                                                           metrics& counted, std::function<void()> wake);
};

// `counted` lives until the executor has run dry after close(); each scrape shows it what `now` says. An error of kind
// spec says what is wrong with the settings, `unavailable` that the address cannot be had.
result<std::unique_ptr<endpoint>> open_endpoint(boost::asio::any_io_executor executor, endpoint_settings settings,
                                                std::function<status()> now, metrics& counted,
                                                std::function<void()> wake);

} // namespace postern::run
