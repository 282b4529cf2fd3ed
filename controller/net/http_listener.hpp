#pragma once

#include "base/error.hpp"
#include "base/instant.hpp"
#include "net/http.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

// The way in: a small HTTP/1.1 server for a handful of clients. What is not a request is answered here (400, 408, 413,
// 417, 431) and the connection closed; everything else goes to one handler, one request at a time per connection, in
// the order in which they came. Plain HTTP: TLS ends before it. For one thread: the executor's.
namespace postern::net {

struct incoming {
    std::string method; // as sent: "GET"
    std::string target; // as sent: "/metrics", "/api/v1/status?token=x"
    std::vector<net::header> headers;
    std::string body;

    // The first value of that header, whatever its case; nullptr where absent.
    const secret* header(std::string_view name) const;
};

struct reply {
    int status = 200;
    std::string content_type = "text/plain; charset=utf-8";
    std::string body;
    std::vector<std::pair<std::string, std::string>> headers; // besides Content-Type, Content-Length, Date
};

// An exception from it is answered 500. It is cancelled where its time is up or the listener closes, so what it refers
// to must live until the executor has run dry.
using handler = std::function<boost::asio::awaitable<reply>(incoming)>;

struct bind_address {
    std::string host; // an address in digits, without brackets
    std::uint16_t port = 0;
    bool loopback = false;
};

// "127.0.0.1:9090", "[::1]:9090", "localhost:9090" (127.0.0.1); port 0 takes a free one. Else an error of kind spec.
result<bind_address> parse_bind_address(std::string_view text);

struct listener_limits {
    std::size_t header = 8U << 10U;
    std::size_t body = 1U << 20U;
    std::size_t connections = 64;                // one more, and the one idle for longest is closed
    duration request = std::chrono::seconds{10}; // from its first byte to the answer's last
    duration idle = std::chrono::seconds{30};    // until the next one's first byte
    duration drain = std::chrono::seconds{2};    // what a refused client still sends is swallowed for so long
};

class http_listener {
public:
    ~http_listener();
    http_listener(const http_listener&) = delete;
    http_listener& operator=(const http_listener&) = delete;

    std::uint16_t port() const;
    // "127.0.0.1:9090", "[::1]:9090", with the port that was really taken.
    std::string address() const;
    std::size_t connections() const;
    // Ends everything, answers under way too: nothing of it keeps the executor busy.
    void close();

private:
    struct state;
    explicit http_listener(std::shared_ptr<state> of);
    std::shared_ptr<state> state_;

    friend result<std::unique_ptr<http_listener>> listen(boost::asio::any_io_executor executor, bind_address at,
                                                         handler answer, listener_limits limits);
};

// Listens and accepts at once. `unavailable` where the address cannot be had.
result<std::unique_ptr<http_listener>> listen(boost::asio::any_io_executor executor, bind_address at, handler answer,
                                              listener_limits limits = {});

} // namespace postern::net
