#pragma once

#include "support/harness.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

// A client in plain bytes, so that it can also be rude. It lives on the io_context of the server that it talks to.
namespace postern::testing {

struct answered {
    int status = 0; // 0: the server closed without a word
    std::string head;
    std::string body;

    // The value of that header as it was written; empty where absent.
    std::string header(std::string_view name) const {
        const auto at = head.find("\r\n" + std::string{name} + ": ");
        if (at == std::string::npos)
            return {};
        const auto from = at + name.size() + 4;
        return head.substr(from, head.find("\r\n", from) - from);
    }
};

class client {
public:
    client(boost::asio::io_context& io, std::uint16_t port, const char* host = "127.0.0.1") : io_(io), socket_(io) {
        run(io_, connect({boost::asio::ip::make_address(host), port}));
    }

    void send(std::string text) { run(io_, write(std::move(text))); }
    // The next answer; of a HEAD without its body.
    answered take(bool head = false) { return run(io_, read(head)); }
    answered ask(std::string text) {
        send(std::move(text));
        return take();
    }
    // All that comes until the server closes.
    std::string rest() { return run(io_, read_rest()); }
    boost::asio::ip::tcp::socket& socket() { return socket_; }

private:
    static constexpr auto outcome = boost::asio::as_tuple(boost::asio::use_awaitable);

    // A signal (a fuzzer's alarm) would interrupt a blocking one.
    boost::asio::awaitable<void> connect(boost::asio::ip::tcp::endpoint to) {
        co_await socket_.async_connect(to, boost::asio::use_awaitable);
    }

    boost::asio::awaitable<void> write(std::string text) {
        const auto bytes = boost::asio::buffer(text);
        co_await boost::asio::async_write(socket_, bytes, outcome); // a server that refuses may close in the middle
    }

    boost::asio::awaitable<answered> read(bool head) {
        answered out;
        auto into = boost::asio::dynamic_buffer(buffer_);
        const std::string_view end = "\r\n\r\n";
        auto [ec, n] = co_await boost::asio::async_read_until(socket_, into, end, outcome);
        if (ec)
            co_return out;
        out.head = buffer_.substr(0, n);
        buffer_.erase(0, n);
        out.status = std::stoi(out.head.substr(9, 3));
        const auto length = out.header("Content-Length");
        const std::size_t size = head || length.empty() ? 0 : std::stoul(length);
        if (buffer_.size() < size) {
            const auto missing = boost::asio::transfer_exactly(size - buffer_.size());
            auto [failed, more] = co_await boost::asio::async_read(socket_, into, missing, outcome);
            if (failed)
                co_return answered{};
        }
        out.body = buffer_.substr(0, size);
        buffer_.erase(0, size);
        co_return out;
    }

    boost::asio::awaitable<std::string> read_rest() {
        auto into = boost::asio::dynamic_buffer(buffer_);
        co_await boost::asio::async_read(socket_, into, outcome);
        co_return std::exchange(buffer_, {});
    }

    boost::asio::io_context& io_;
    boost::asio::ip::tcp::socket socket_;
    std::string buffer_;
};

inline std::string get(std::string_view target, std::string_view more = {}) {
    return "GET " + std::string{target} + " HTTP/1.1\r\nHost: localhost\r\n" + std::string{more} + "\r\n";
}

inline std::string post(std::string_view target, std::string_view body, std::string_view more = {}) {
    return "POST " + std::string{target} +
           " HTTP/1.1\r\nHost: localhost\r\nContent-Length: " + std::to_string(body.size()) + "\r\n" +
           std::string{more} + "\r\n" + std::string{body};
}

} // namespace postern::testing
