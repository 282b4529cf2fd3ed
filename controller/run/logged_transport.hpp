#pragma once

#include "net/clock.hpp"
#include "net/transport.hpp"
#include "run/log.hpp"

// Every HTTP exchange as one debug line: method, origin, path, status, milliseconds. Paths hold ids and names alone;
// headers, queries and bodies are never looked at.
namespace postern::run {

class logged_transport final : public net::transport {
public:
    // All outlive this object.
    logged_transport(net::transport& inner, log& to, net::clock& clock) : inner_(inner), to_(to), clock_(clock) {}

    boost::asio::awaitable<result<net::response>> send(net::request r) override;

private:
    net::transport& inner_;
    log& to_;
    net::clock& clock_;
};

} // namespace postern::run
