#pragma once

#include "cloud/exchange.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/ssl/context.hpp>

#include <cstdint>
#include <functional>
#include <memory>

// One HTTP/1.1 listener on 127.0.0.1, plain or TLS, with keep-alive. It turns what arrives into a request, asks its
// handler, and does to the connection what the outcome says. All of it runs on the io_context; nothing outlives stop()
// but connections that the context has still to unwind.
namespace postern::testcloud {

class server {
public:
    using handler = std::function<outcome(const request&)>;

    // `port` 0 picks a free one. `tls` may be null; else it outlives the server.
    server(boost::asio::io_context& io, service to, handler handle, std::uint16_t port, boost::asio::ssl::context* tls);
    ~server();
    server(const server&) = delete;
    server& operator=(const server&) = delete;

    std::uint16_t port() const;
    void stop();

private:
    struct state;
    std::shared_ptr<state> state_;
};

} // namespace postern::testcloud
