#include "support/loopback_server.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

#include <array>
#include <exception>

namespace postern::testing {

namespace asio = boost::asio;
namespace ssl = asio::ssl;
using tcp = asio::ip::tcp;

namespace {

constexpr auto outcome = asio::as_tuple(asio::use_awaitable);

std::size_t content_length(const std::string& head) {
    auto at = head.find("\r\nContent-Length: ");
    return at == std::string::npos ? 0 : std::stoul(head.substr(at + 18));
}

asio::awaitable<void> copy_bytes(std::shared_ptr<tcp::socket> from, std::shared_ptr<tcp::socket> to) {
    std::array<char, 4096> bytes{};
    for (;;) {
        auto [ec, n] = co_await from->async_read_some(asio::buffer(bytes), outcome);
        if (ec)
            break;
        auto [write_error, written] = co_await asio::async_write(*to, asio::buffer(bytes.data(), n), outcome);
        if (write_error)
            break;
    }
    boost::system::error_code not_important;
    to->shutdown(tcp::socket::shutdown_send, not_important);
    from->shutdown(tcp::socket::shutdown_receive, not_important);
}

class plain_peer final : public peer {
public:
    explicit plain_peer(tcp::socket socket) : socket_(std::make_shared<tcp::socket>(std::move(socket))) {}

    // The server's half of TLS, from which on everything is said through it.
    asio::awaitable<bool> start_tls(std::shared_ptr<ssl::context> context) {
        context_ = context;
        tls_ = std::make_unique<ssl::stream<tcp::socket&>>(*socket_, *context_);
        auto [ec] = co_await tls_->async_handshake(ssl::stream_base::server, outcome);
        co_return !ec;
    }

    asio::awaitable<std::string> read_request() override {
        for (;;) {
            auto end = pending_.find("\r\n\r\n");
            if (end != std::string::npos) {
                auto size = end + 4 + content_length(pending_.substr(0, end + 2));
                if (pending_.size() >= size) {
                    auto out = pending_.substr(0, size);
                    pending_.erase(0, size);
                    co_return out;
                }
            }
            std::array<char, 4096> bytes{};
            auto n = co_await read_some(bytes.data(), bytes.size());
            if (n == 0)
                co_return std::string{};
            pending_.append(bytes.data(), n);
        }
    }

    asio::awaitable<void> write(std::string text) override {
        if (tls_)
            co_await asio::async_write(*tls_, asio::buffer(text), outcome);
        else
            co_await asio::async_write(*socket_, asio::buffer(text), outcome);
    }

    asio::awaitable<void> hold() override {
        std::array<char, 4096> bytes{};
        while (co_await read_some(bytes.data(), bytes.size()) > 0) {
        }
    }

    asio::awaitable<void> pause(std::chrono::milliseconds time) override {
        asio::steady_timer timer{socket_->get_executor(), time};
        co_await timer.async_wait(outcome);
    }

    asio::awaitable<void> relay(std::uint16_t port) override {
        auto onward = std::make_shared<tcp::socket>(socket_->get_executor());
        tcp::endpoint there{asio::ip::address_v4::loopback(), port};
        auto [ec] = co_await onward->async_connect(there, outcome);
        if (ec)
            co_return;
        auto back = copy_bytes(onward, socket_);
        auto ended = [](const std::exception_ptr&) {};
        asio::co_spawn(socket_->get_executor(), std::move(back), ended);
        co_await copy_bytes(socket_, onward);
    }

    asio::awaitable<void> finish() override {
        if (tls_)
            co_await tls_->async_shutdown(outcome);
        boost::system::error_code not_important;
        socket_->shutdown(tcp::socket::shutdown_send, not_important);
    }

    void reset() override {
        socket_->set_option(asio::socket_base::linger{true, 0});
        socket_->close();
    }

    std::string server_name() const override {
        const char* name = tls_ ? SSL_get_servername(tls_->native_handle(), TLSEXT_NAMETYPE_host_name) : nullptr;
        return name == nullptr ? "" : name;
    }

private:
    asio::awaitable<std::size_t> read_some(char* to, std::size_t size) {
        auto buffer = asio::buffer(to, size);
        if (tls_) {
            auto [ec, n] = co_await tls_->async_read_some(buffer, outcome);
            co_return ec ? 0 : n;
        }
        auto [ec, n] = co_await socket_->async_read_some(buffer, outcome);
        co_return ec ? 0 : n;
    }

    std::shared_ptr<tcp::socket> socket_;
    std::shared_ptr<ssl::context> context_;
    std::unique_ptr<ssl::stream<tcp::socket&>> tls_;
    std::string pending_;
};

} // namespace

struct loopback_server::state {
    tcp::acceptor acceptor;
    script behaviour;
    std::shared_ptr<ssl::context> tls;
    int accepted = 0;
};

namespace {

asio::awaitable<void> serve(tcp::socket socket, std::shared_ptr<ssl::context> tls, script behaviour) {
    auto one = std::make_shared<plain_peer>(std::move(socket));
    if (tls) {
        bool shaken = co_await one->start_tls(tls);
        if (!shaken)
            co_return;
    }
    co_await behaviour(one);
}

template<class State>
asio::awaitable<void> accept_all(std::shared_ptr<State> server) {
    auto ended = [](const std::exception_ptr&) {};
    for (;;) {
        auto [ec, socket] = co_await server->acceptor.async_accept(outcome);
        if (ec)
            co_return;
        ++server->accepted;
        auto connection = serve(std::move(socket), server->tls, server->behaviour);
        asio::co_spawn(server->acceptor.get_executor(), std::move(connection), ended);
    }
}

} // namespace

loopback_server::loopback_server(asio::io_context& io, script behaviour, std::optional<identity> tls) {
    tcp::endpoint any_port{asio::ip::address_v4::loopback(), 0};
    state_ = std::make_shared<state>(state{tcp::acceptor{io, any_port}, std::move(behaviour), nullptr});
    if (tls) {
        state_->tls = std::make_shared<ssl::context>(ssl::context::tls_server);
        state_->tls->use_certificate_chain(asio::buffer(tls->certificate));
        state_->tls->use_private_key(asio::buffer(tls->key), ssl::context::pem);
    }
    auto ended = [](const std::exception_ptr&) {};
    auto loop = accept_all(state_);
    asio::co_spawn(io, std::move(loop), ended);
}

loopback_server::~loopback_server() {
    stop();
}

std::uint16_t loopback_server::port() const {
    return state_->acceptor.local_endpoint().port();
}

std::string loopback_server::origin() const {
    return (state_->tls ? "https://127.0.0.1:" : "http://127.0.0.1:") + std::to_string(port());
}

int loopback_server::accepted() const {
    return state_->accepted;
}

void loopback_server::stop() {
    boost::system::error_code not_important;
    state_->acceptor.close(not_important);
}

namespace {

asio::awaitable<void> answer_all(std::shared_ptr<peer> client, std::string text) {
    for (;;) {
        auto asked = co_await client->read_request();
        if (asked.empty())
            co_return;
        co_await client->write(text);
    }
}

} // namespace

script always(std::string text) {
    return [text](std::shared_ptr<peer> client) { return answer_all(std::move(client), text); };
}

std::string answer(int status, std::string_view body, std::string_view more_headers) {
    return "HTTP/1.1 " + std::to_string(status) + " Test\r\n" + std::string{more_headers} +
           "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + std::string{body};
}

} // namespace postern::testing
