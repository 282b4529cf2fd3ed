#pragma once

#include "base/instant.hpp"
#include "net/name_cache.hpp"
#include "net/transport.hpp"

#include <boost/asio/any_io_executor.hpp>

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

// The way out: HTTP/1.1 over TCP or verified TLS, directly or through a proxy, on connections that are kept and used
// again. It follows no redirect, keeps no cookie, unpacks nothing, and sends a request twice only where a kept
// connection turned out to be closed before anything could have been acted on. Every exchange ends by its deadline,
// name look-up and waiting for a free connection included. For one thread: the executor's.
//
// For a `once` request `unavailable` says that nothing was sent; whatever failed later is `ambiguous`.
namespace postern::net {

struct https_settings {
    duration request_timeout = std::chrono::seconds{30}; // where the request names none
    duration connect_timeout = std::chrono::seconds{10}; // TCP, all addresses together
    duration handshake_timeout = std::chrono::seconds{10};
    duration idle_timeout = std::chrono::seconds{50};     // a connection unused for longer is not used again
    duration idle_timeout_once = std::chrono::seconds{5}; // the same for `once`, whose reply must not be lost to it
    std::size_t connections_per_origin = 16;
    std::size_t header_limit = 64U << 10U; // of an answer
    std::optional<std::string> ca_file;    // PEM: trust anchors beside the system's
    std::string user_agent;                // default "postern/<version>"
    std::optional<std::string> https_proxy;
    std::string no_proxy;
    lookup resolve; // default: the system's
};

// Sets the proxy fields from HTTPS_PROXY and NO_PROXY, as `environment` has them; the lower-case name goes first.
void read_proxy_environment(https_settings& settings,
                            const std::function<std::optional<std::string>(std::string_view)>& environment);

// Whether the settings can be used: the CA file is read, the proxy's URL taken apart. A transport made from settings
// that cannot answers every request with this error.
result<void> check(const https_settings& settings);

class https_transport : public transport {
public:
    // Lets go of the connections that no exchange is using: nothing is to be asked for a while.
    virtual void close_idle() = 0;
};

std::unique_ptr<https_transport> make_https_transport(boost::asio::any_io_executor executor,
                                                      https_settings settings = {});

} // namespace postern::net
