#pragma once

#include "net/transport.hpp"
#include "run/request_trail.hpp"
#include "run/wiring.hpp"

#include <string>
#include <utility>

// Every HTTP exchange as it was on the wire: one debug line (method, origin, path, status, milliseconds), one count for
// whoever asked, and the remote's id of the request for the trail of the work that it was sent for. Paths hold ids and
// names alone; queries and bodies are never looked at.
namespace postern::run {

class logged_transport final : public net::transport {
public:
    // Both outlive this object. `provider` is how counts name the other end.
    logged_transport(const wiring& shared, request_trail& trail, std::string provider)
        : shared_(shared), trail_(trail), provider_(std::move(provider)) {}

    boost::asio::awaitable<result<net::response>> send(net::request r) override;

private:
    const wiring& shared_;
    request_trail& trail_;
    std::string provider_;
};

} // namespace postern::run
