#pragma once

#include "support/certificates.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

// A server on 127.0.0.1 whose behaviour is a script in plain bytes, so that a test can also be rude: half an answer,
// none, a reset. It lives on the test's own io_context.
namespace postern::testing {

// One accepted connection, TLS over it where the server has an identity.
class peer {
public:
    virtual ~peer() = default;
    // The head and the body (by Content-Length) of the next request; empty where the client closed.
    virtual boost::asio::awaitable<std::string> read_request() = 0;
    virtual boost::asio::awaitable<void> write(std::string text) = 0;
    // Returns when the client has gone.
    virtual boost::asio::awaitable<void> hold() = 0;
    virtual boost::asio::awaitable<void> pause(std::chrono::milliseconds time) = 0;
    // The connection as a tunnel to another port of this machine, until either end closes.
    virtual boost::asio::awaitable<void> relay(std::uint16_t port) = 0;
    // Ends in order, with TLS's close_notify where there is TLS; the script's end alone just closes the socket.
    virtual boost::asio::awaitable<void> finish() = 0;
    virtual void reset() = 0;
    // What the client asked for by SNI; empty without TLS.
    virtual std::string server_name() const = 0;
};

using script = std::function<boost::asio::awaitable<void>(std::shared_ptr<peer>)>;

class loopback_server {
public:
    loopback_server(boost::asio::io_context& io, script behaviour, std::optional<identity> tls = {});
    ~loopback_server();
    loopback_server(const loopback_server&) = delete;
    loopback_server& operator=(const loopback_server&) = delete;

    std::uint16_t port() const;
    // "http://127.0.0.1:PORT", or https.
    std::string origin() const;
    int accepted() const;
    // Accepts no more; connections that are open go on.
    void stop();

private:
    struct state;
    std::shared_ptr<state> state_;
};

// Answers every request on a connection with the same text.
script always(std::string answer);

// An answer with a Content-Length.
std::string answer(int status, std::string_view body, std::string_view more_headers = {});

} // namespace postern::testing
