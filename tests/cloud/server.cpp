#include "cloud/server.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/ssl.hpp>

#include <list>
#include <utility>

namespace postern::testcloud {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using tcp = asio::ip::tcp;

namespace {

constexpr std::size_t largest_body = 16U << 20U;
constexpr auto idle_limit = std::chrono::minutes{5};

request take_in(service to, http::request<http::string_body>& message) {
    std::vector<field> headers;
    for (const auto& h : message)
        headers.push_back({std::string{h.name_string()}, std::string{h.value()}});
    return make_request(to, std::string{message.method_string()}, std::string{message.target()}, std::move(headers),
                        std::move(message.body()));
}

std::string give_out(const reply& answer, bool head, bool keep_alive) {
    http::response<http::string_body> message{static_cast<http::status>(answer.status), 11};
    for (const auto& h : answer.headers)
        message.insert(h.name, h.value);
    message.keep_alive(keep_alive);
    message.body() = answer.body;
    if (answer.status == 204 || answer.status == 304)
        message.body().clear();
    else
        message.content_length(answer.body.size());
    std::ostringstream out;
    out << message.base();
    if (!head)
        out << message.body();
    return out.str();
}

} // namespace

struct server::state : std::enable_shared_from_this<state> {
    state(asio::io_context& context, service service_to, handler handler_to, asio::ssl::context* tls_context)
        : io(context), acceptor(context), to(service_to), handle(std::move(handler_to)), tls(tls_context) {}

    asio::io_context& io;
    tcp::acceptor acceptor;
    service to;
    handler handle;
    asio::ssl::context* tls;
    std::list<asio::cancellation_signal> running;
    bool stopping = false;

    template<class Work>
    void spawn(Work work) {
        const auto signal = running.emplace(running.end());
        auto done = [self = shared_from_this(), signal](std::exception_ptr) { self->running.erase(signal); };
        asio::co_spawn(io, std::move(work), asio::bind_cancellation_slot(signal->slot(), std::move(done)));
    }

    asio::awaitable<void> accept_all();
    asio::awaitable<void> plain_session(tcp::socket socket);
    asio::awaitable<void> tls_session(tcp::socket socket);
    // False where the server stops first.
    asio::awaitable<bool> wait_for(std::shared_ptr<bool> released);
    template<class Stream>
    asio::awaitable<void> converse(Stream& stream);
    template<class Stream>
    asio::awaitable<bool> answer(Stream& stream, outcome out, bool head, bool keep_alive);
};

asio::awaitable<void> server::state::accept_all() {
    while (!stopping) {
        boost::system::error_code ec;
        auto token = asio::redirect_error(asio::use_awaitable, ec);
        tcp::socket socket = co_await acceptor.async_accept(token);
        if (ec == asio::error::operation_aborted)
            co_return;
        if (ec)
            continue;
        if (tls != nullptr)
            spawn(tls_session(std::move(socket)));
        else
            spawn(plain_session(std::move(socket)));
    }
}

asio::awaitable<void> server::state::plain_session(tcp::socket socket) {
    const auto self = shared_from_this();
    beast::tcp_stream stream{std::move(socket)};
    co_await converse(stream);
}

asio::awaitable<void> server::state::tls_session(tcp::socket socket) {
    const auto self = shared_from_this();
    if (stopping)
        co_return;
    beast::ssl_stream<beast::tcp_stream> stream{std::move(socket), *tls};
    boost::system::error_code ec;
    auto token = asio::redirect_error(asio::use_awaitable, ec);
    co_await stream.async_handshake(asio::ssl::stream_base::server, token);
    if (ec)
        co_return;
    co_await converse(stream);
}

asio::awaitable<bool> server::state::wait_for(std::shared_ptr<bool> released) {
    asio::steady_timer timer{io};
    while (!*released) {
        boost::system::error_code ec;
        auto token = asio::redirect_error(asio::use_awaitable, ec);
        timer.expires_after(std::chrono::milliseconds{2});
        co_await timer.async_wait(token);
        if (ec || stopping)
            co_return false;
    }
    co_return true;
}

template<class Stream>
asio::awaitable<void> server::state::converse(Stream& stream) {
    beast::flat_buffer buffer;
    for (;;) {
        http::request_parser<http::string_body> parser;
        parser.body_limit(largest_body);
        beast::get_lowest_layer(stream).expires_after(idle_limit);
        boost::system::error_code ec;
        auto token = asio::redirect_error(asio::use_awaitable, ec);
        co_await http::async_read(stream, buffer, parser, token);
        if (ec)
            co_return;
        auto message = parser.release();
        const bool keep_alive = message.keep_alive();
        const bool head = message.method() == http::verb::head;
        const auto r = take_in(to, message);
        auto out = handle(r);
        while (out.how == fate::hold) {
            auto held = wait_for(out.released);
            const bool released = co_await std::move(held);
            if (!released)
                co_return;
            out = handle(r);
        }
        const bool go_on = co_await answer(stream, std::move(out), head, keep_alive);
        if (!go_on || stopping)
            co_return;
    }
}

// Whether the connection goes on.
template<class Stream>
asio::awaitable<bool> server::state::answer(Stream& stream, outcome out, bool head, bool keep_alive) {
    boost::system::error_code ec;
    auto token = asio::redirect_error(asio::use_awaitable, ec);
    if (out.how == fate::hang || out.delay > duration{}) {
        beast::get_lowest_layer(stream).expires_never();
        asio::steady_timer timer{io};
        if (out.how == fate::hang)
            timer.expires_at(std::chrono::steady_clock::time_point::max());
        else
            timer.expires_after(out.delay);
        co_await timer.async_wait(token);
        if (ec)
            co_return false;
    }
    auto& socket = beast::get_lowest_layer(stream).socket();
    if (out.how == fate::reset) {
        socket.set_option(asio::socket_base::linger{true, 0}, ec);
        socket.close(ec);
        co_return false;
    }
    if (out.how == fate::drop) {
        socket.shutdown(tcp::socket::shutdown_both, ec);
        co_return false;
    }
    auto bytes = give_out(out.answer, head, keep_alive);
    if (out.how == fate::cut)
        bytes.resize(bytes.size() - out.answer.body.size() + out.answer.body.size() / 2);
    beast::get_lowest_layer(stream).expires_after(idle_limit);
    const auto buffer = asio::buffer(bytes);
    co_await asio::async_write(stream, buffer, token);
    if (ec || out.how == fate::cut || !keep_alive) {
        socket.shutdown(tcp::socket::shutdown_both, ec);
        co_return false;
    }
    co_return true;
}

server::server(asio::io_context& io, service to, handler handle, std::uint16_t port, asio::ssl::context* tls)
    : state_(std::make_shared<state>(io, to, std::move(handle), tls)) {
    const tcp::endpoint where{asio::ip::address_v4::loopback(), port};
    state_->acceptor.open(where.protocol());
    state_->acceptor.set_option(asio::socket_base::reuse_address{true});
    state_->acceptor.bind(where);
    state_->acceptor.listen();
    state_->spawn(state_->accept_all());
}

server::~server() {
    stop();
}

std::uint16_t server::port() const {
    return state_->acceptor.local_endpoint().port();
}

void server::stop() {
    if (state_->stopping)
        return;
    state_->stopping = true;
    state_->handle = [](const request&) { return outcome{{}, fate::drop, {}, {}}; };
    boost::system::error_code ec;
    state_->acceptor.close(ec);
    for (auto& signal : state_->running)
        signal.emit(asio::cancellation_type::terminal);
}

} // namespace postern::testcloud
