#include "net/http_listener.hpp"

#include "base/text.hpp"
#include "net/outcome.hpp"
#include "net/wiping.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>

#include <algorithm>
#include <array>
#include <charconv>
#include <ctime>
#include <exception>
#include <list>
#include <optional>

namespace postern::net {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using boost::system::error_code;
using tcp = asio::ip::tcp;

namespace {

// Headers carry bearer tokens.
using request_parser = http::request_parser<http::string_body, wiping_allocator<char>>;
constexpr std::size_t read_size = 16U << 10U;
using read_buffer = beast::basic_flat_buffer<wiping_allocator<char>>;

error wrong_address(std::string_view text) {
    return {error_kind::spec,
            "address to listen on",
            "\"" + printable(text) + "\" is not ADDRESS:PORT, like 127.0.0.1:9090, 0.0.0.0:9090 or [::1]:9090",
            0,
            {},
            {}};
}

std::string written(const tcp::endpoint& at) {
    const auto host = at.address().to_string();
    return (at.address().is_v6() ? "[" + host + "]" : host) + ":" + std::to_string(at.port());
}

std::string http_date() {
    const auto now = std::time(nullptr);
    std::tm parts{};
    gmtime_r(&now, &parts);
    std::array<char, 40> text{};
    std::strftime(text.data(), text.size(), "%a, %d %b %Y %H:%M:%S GMT", &parts);
    return text.data();
}

reply refusal(int status, std::string words) {
    reply out;
    out.status = status;
    out.body = std::move(words) + "\n";
    return out;
}

// What is answered to something that is no request, or too much of one; nothing where the client has gone.
std::optional<reply> refusal_of(const error_code& ec) {
    if (ec == asio::error::timed_out)
        return refusal(408, "The request did not come in time.");
    if (ec == http::error::header_limit || ec == http::error::buffer_overflow)
        return refusal(431, "The header is larger than what is read here.");
    if (ec == http::error::body_limit)
        return refusal(413, "The body is larger than what is read here.");
    if (ec == http::error::end_of_stream || ec == http::error::partial_message ||
        ec.category() != http::make_error_code(http::error::bad_method).category())
        return std::nullopt;
    return refusal(400, "This is not an HTTP/1.1 request.");
}

std::string answer_text(const reply& out, unsigned version, bool head, bool keep_alive) {
    auto text = std::string{version == 10 ? "HTTP/1.0 " : "HTTP/1.1 "} + std::to_string(out.status) + " " +
                std::string{http::obsolete_reason(static_cast<http::status>(out.status))} + "\r\nDate: " + http_date() +
                "\r\n";
    if (!out.content_type.empty())
        text += "Content-Type: " + out.content_type + "\r\nX-Content-Type-Options: nosniff\r\n";
    for (const auto& [name, value] : out.headers)
        text += name + ": " + value + "\r\n";
    text += "Content-Length: " + std::to_string(out.body.size()) + "\r\nCache-Control: no-store\r\nConnection: ";
    text += keep_alive ? "keep-alive\r\n\r\n" : "close\r\n\r\n";
    return head ? text : text + out.body;
}

struct connection {
    enum class phase { idle, reading, handling, writing };

    explicit connection(tcp::socket with) : socket(std::move(with)), timer(socket.get_executor()) {}

    tcp::socket socket;
    asio::steady_timer timer;
    asio::cancellation_signal ending;
    phase now = phase::idle;
    std::uint64_t idle_turn = 0; // grows from one wait for a request to the next, over all connections
    std::uint64_t armed = 0;
    bool expired = false;

    // Ends what is awaited: a handler by cancellation, writing for good, a read so that something can be answered. A
    // read whose end is on its way is not stopped by that: whoever reads on looks at `expired` first.
    static void arm(const std::shared_ptr<connection>& self, duration in) {
        const auto turn = ++self->armed;
        self->expired = false;
        self->timer.expires_after(in);
        self->timer.async_wait([self, turn](error_code ec) {
            if (ec || turn != self->armed)
                return;
            self->expired = true;
            error_code ignored;
            if (self->now == phase::handling)
                self->ending.emit(asio::cancellation_type::terminal);
            else if (self->now == phase::writing)
                self->socket.close(ignored);
            else
                self->socket.cancel(ignored);
        });
    }

    // Ends whatever is awaited, and with it the coroutine.
    static void end(const std::shared_ptr<connection>& self) {
        self->ending.emit(asio::cancellation_type::terminal);
        self->drop();
        // Asio passes a cancellation from outside the executor on by a pointer into `ending`, later: that stays till
        // then.
        asio::post(self->socket.get_executor(), [self] {});
    }

    void drop() {
        ++armed;
        timer.cancel();
        error_code ignored;
        socket.close(ignored);
    }
};

using link = std::shared_ptr<connection>;

} // namespace

const secret* incoming::header(std::string_view name) const {
    const auto wanted = lower(name);
    const auto at =
        std::find_if(headers.begin(), headers.end(), [&](const auto& h) { return lower(h.name) == wanted; });
    return at == headers.end() ? nullptr : &at->value;
}

result<bind_address> parse_bind_address(std::string_view text) {
    const auto colon = text.rfind(':');
    if (colon == std::string_view::npos)
        return wrong_address(text);
    auto host = text.substr(0, colon);
    const auto digits = text.substr(colon + 1);
    bind_address out;
    const auto [end, failed] = std::from_chars(digits.data(), digits.data() + digits.size(), out.port);
    if (digits.empty() || failed != std::errc{} || end != digits.data() + digits.size())
        return wrong_address(text);
    const bool brackets = host.size() > 2 && host.front() == '[' && host.back() == ']';
    if (brackets)
        host = host.substr(1, host.size() - 2);
    error_code ec;
    const auto address = asio::ip::make_address(host == "localhost" && !brackets ? "127.0.0.1" : host, ec);
    if (ec || address.is_v6() != brackets)
        return wrong_address(text);
    out.host = address.to_string();
    out.loopback =
        address.is_loopback() || (address.is_v6() && address.to_v6().is_v4_mapped() &&
                                  asio::ip::make_address_v4(asio::ip::v4_mapped, address.to_v6()).is_loopback());
    return out;
}

struct http_listener::state : std::enable_shared_from_this<state> {
    state(asio::any_io_executor on, handler ask, listener_limits within)
        : executor(std::move(on)), acceptor(executor), pause(executor), handle(std::move(ask)), limits(within) {}

    asio::any_io_executor executor;
    tcp::acceptor acceptor;
    asio::steady_timer pause;
    handler handle;
    listener_limits limits;
    std::list<link> open;
    std::uint64_t turns = 0;
    bool closed = false;

    void start(tcp::socket socket);
    bool make_room();
    asio::awaitable<void> accept_all();
    asio::awaitable<void> converse(link c);
    asio::awaitable<error_code> parse(link c, read_buffer* from, request_parser* into, bool header_only);
    // The next request, once something of it is there; nothing where the connection is to end.
    asio::awaitable<std::optional<incoming>> take(link c, read_buffer* from, request_parser* into);
    asio::awaitable<void> refuse(link c, reply with);
    asio::awaitable<void> finish(link c);
    asio::awaitable<reply> ask(link c, incoming what);
    asio::awaitable<bool> send(link c, std::string text);
};

// Whoever waits for longest without a word makes room; false where all are at work.
bool http_listener::state::make_room() {
    if (open.size() < limits.connections)
        return true;
    auto oldest = open.end();
    for (auto at = open.begin(); at != open.end(); ++at) {
        const bool idle = (*at)->now == connection::phase::idle;
        if (idle && (oldest == open.end() || (*at)->idle_turn < (*oldest)->idle_turn))
            oldest = at;
    }
    if (oldest == open.end())
        return false;
    const auto leaving = *oldest;
    open.erase(oldest);
    connection::end(leaving);
    return true;
}

void http_listener::state::start(tcp::socket socket) {
    if (!make_room())
        return;
    error_code ignored;
    socket.set_option(tcp::no_delay{true}, ignored);
    const auto c = std::make_shared<connection>(std::move(socket));
    c->idle_turn = ++turns;
    open.push_back(c);
    auto ended = [self = shared_from_this(), c](std::exception_ptr) {
        c->drop();
        self->open.remove(c);
    };
    asio::co_spawn(executor, converse(c), asio::bind_cancellation_slot(c->ending.slot(), std::move(ended)));
}

asio::awaitable<void> http_listener::state::accept_all() {
    const auto self = shared_from_this();
    while (!closed) {
        auto [ec, socket] = co_await acceptor.async_accept(outcome);
        if (closed)
            co_return;
        if (!ec) {
            start(std::move(socket));
            continue;
        }
        // Out of descriptors, or the client has gone already.
        pause.expires_after(std::chrono::milliseconds{100});
        co_await pause.async_wait(outcome);
    }
}

asio::awaitable<bool> http_listener::state::send(link c, std::string text) {
    const auto before = std::exchange(c->now, connection::phase::writing);
    const auto bytes = asio::buffer(text);
    auto [ec, n] = co_await asio::async_write(c->socket, bytes, outcome);
    c->now = before;
    co_return !ec && !c->expired;
}

// Reads on until the parser's header, or all of the message, is there.
asio::awaitable<error_code> http_listener::state::parse(link c, read_buffer* from, request_parser* into,
                                                        bool header_only) {
    auto& buffer = *from;
    auto& parser = *into;
    while (!parser.is_done() && !(header_only && parser.is_header_done())) {
        error_code ec;
        if (buffer.size() > 0)
            buffer.consume(parser.put(buffer.data(), ec));
        else
            ec = http::error::need_more;
        if (!ec)
            continue;
        if (ec != http::error::need_more)
            co_return ec;
        if (c->expired)
            co_return error_code{asio::error::timed_out};
        const auto room = buffer.prepare(std::min<std::size_t>(buffer.max_size() - buffer.size(), read_size));
        auto [failed, n] = co_await c->socket.async_read_some(room, outcome);
        buffer.commit(n);
        if (failed)
            co_return c->expired ? error_code{asio::error::timed_out} : failed;
    }
    co_return error_code{};
}

// The end of a connection. What the client still sends is swallowed for a moment: closing over it would reset the
// connection, and the answer with it.
asio::awaitable<void> http_listener::state::finish(link c) {
    c->now = connection::phase::reading;
    connection::arm(c, limits.drain);
    error_code ec;
    c->socket.shutdown(tcp::socket::shutdown_send, ec);
    std::array<char, 4096> waste{};
    const auto bytes = asio::buffer(waste);
    while (!ec && !c->expired) {
        auto [failed, n] = co_await c->socket.async_read_some(bytes, outcome);
        ec = failed;
    }
}

asio::awaitable<void> http_listener::state::refuse(link c, reply with) {
    c->now = connection::phase::reading;
    connection::arm(c, limits.drain);
    auto sending = send(c, answer_text(with, 11, false, false));
    const bool sent = co_await std::move(sending);
    if (!sent)
        co_return;
    auto finishing = finish(c);
    co_await std::move(finishing);
}

asio::awaitable<std::optional<incoming>> http_listener::state::take(link c, read_buffer* from, request_parser* into) {
    auto& buffer = *from;
    auto& parser = *into;
    parser.header_limit(static_cast<std::uint32_t>(limits.header));
    parser.body_limit(limits.body);
    if (buffer.size() == 0) {
        c->now = connection::phase::idle;
        c->idle_turn = ++turns;
        connection::arm(c, limits.idle);
        const auto room = buffer.prepare(read_size);
        auto [ec, n] = co_await c->socket.async_read_some(room, outcome);
        buffer.commit(n);
        if (ec)
            co_return std::nullopt;
    }
    c->now = connection::phase::reading;
    connection::arm(c, limits.request);
    auto heading = parse(c, from, into, true);
    auto ec = co_await std::move(heading);
    std::optional<reply> no;
    if (!ec && parser.get().version() >= 11 && parser.get().count(http::field::host) != 1)
        no = refusal(400, "A request has one Host header.");
    if (!ec && !no && parser.get().count(http::field::expect) > 0 && !parser.is_done()) {
        if (lower(parser.get()[http::field::expect]) != "100-continue") {
            no = refusal(417, "Nothing but 100-continue can be expected here.");
        } else {
            auto sending = send(c, "HTTP/1.1 100 Continue\r\n\r\n");
            co_await std::move(sending);
        }
    }
    if (!ec && !no) {
        auto completing = parse(c, from, into, false);
        ec = co_await std::move(completing);
    }
    if (ec)
        no = refusal_of(ec);
    if (no) {
        auto refusing = refuse(c, std::move(*no));
        co_await std::move(refusing);
        co_return std::nullopt;
    }
    if (ec)
        co_return std::nullopt;
    std::optional<incoming> out{std::in_place};
    const auto& message = parser.get();
    out->method = std::string{message.method_string()};
    out->target = std::string{message.target()};
    for (const auto& h : message)
        out->headers.push_back({std::string{h.name_string()}, secret{h.value()}});
    out->body = std::move(parser.get().body());
    co_return out;
}

asio::awaitable<reply> http_listener::state::ask(link c, incoming what) {
    c->now = connection::phase::handling;
    std::optional<reply> out;
    try {
        auto answering = handle(std::move(what));
        out = co_await std::move(answering);
    } catch (const std::exception&) {
        out = refusal(500, "This is a bug in Postern.");
    }
    co_return std::move(*out);
}

asio::awaitable<void> http_listener::state::converse(link c) {
    const auto self = shared_from_this();
    read_buffer buffer{64U << 10U};
    for (;;) {
        request_parser parser;
        auto taking = take(c, &buffer, &parser);
        auto request = co_await std::move(taking);
        if (!request)
            co_return;
        const auto version = parser.get().version();
        const bool keep_alive = parser.get().keep_alive();
        const bool head = request->method == "HEAD";
        auto asking = ask(c, std::move(*request));
        const reply out = co_await std::move(asking);
        auto sending = send(c, answer_text(out, version, head, keep_alive));
        const bool sent = co_await std::move(sending);
        if (!sent)
            co_return;
        if (!keep_alive)
            break;
    }
    auto finishing = finish(c);
    co_await std::move(finishing);
}

http_listener::http_listener(std::shared_ptr<state> of) : state_(std::move(of)) {}

http_listener::~http_listener() { // NOLINT(bugprone-exception-escape): what could throw here only ends the program
    close();
}

std::uint16_t http_listener::port() const {
    error_code ignored;
    return state_->acceptor.local_endpoint(ignored).port();
}

std::string http_listener::address() const {
    error_code ignored;
    return written(state_->acceptor.local_endpoint(ignored));
}

std::size_t http_listener::connections() const {
    return state_->open.size();
}

void http_listener::close() {
    if (state_->closed)
        return;
    state_->closed = true;
    error_code ignored;
    state_->acceptor.close(ignored);
    state_->pause.cancel();
    const auto leaving = std::move(state_->open);
    state_->open.clear();
    for (const auto& c : leaving)
        connection::end(c);
}

result<std::unique_ptr<http_listener>> listen(asio::any_io_executor executor, bind_address at, handler answer,
                                              listener_limits limits) {
    const auto made = std::make_shared<http_listener::state>(executor, std::move(answer), limits);
    error_code ec;
    const tcp::endpoint where{asio::ip::make_address(at.host, ec), at.port};
    auto& acceptor = made->acceptor;
    if (!ec)
        acceptor.open(where.protocol(), ec);
    if (!ec)
        acceptor.set_option(asio::socket_base::reuse_address{true}, ec);
    if (!ec)
        acceptor.bind(where, ec);
    if (!ec)
        acceptor.listen(asio::socket_base::max_listen_connections, ec);
    if (ec)
        return error{error_kind::unavailable, "listening on " + written(where), ec.message(), 0, {}, {}};
    asio::co_spawn(executor, made->accept_all(), [](std::exception_ptr) {});
    return std::unique_ptr<http_listener>{new http_listener{made}};
}

} // namespace postern::net
