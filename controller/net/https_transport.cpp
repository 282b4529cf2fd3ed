#include "net/https_transport.hpp"

#include "base/text.hpp"
#include "net/gate.hpp"
#include "net/outcome.hpp"
#include "net/proxy.hpp"
#include "net/request_text.hpp"
#include "net/trust.hpp"
#include "net/wiping.hpp"

#include <boost/asio/ssl/error.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/vector_body.hpp>

#include <algorithm>
#include <array>
#include <map>
#include <sys/socket.h>

namespace postern::net {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
namespace ssl = asio::ssl;
using boost::system::error_code;
using steady = std::chrono::steady_clock;
using tcp = asio::ip::tcp;

namespace {

using body_type = http::vector_body<char, wiping_allocator<char>>;
using answer_parser = http::response_parser<body_type, wiping_allocator<char>>;
using connect_parser = http::response_parser<http::empty_body, wiping_allocator<char>>;
using read_buffer = beast::basic_flat_buffer<wiping_allocator<char>>;

// One connection: TCP, and TLS over it once it was put on. It stays where it is: TLS refers to the TCP below it.
class wire {
public:
    using executor_type = beast::tcp_stream::executor_type;

    explicit wire(const asio::any_io_executor& executor) : tcp_(executor) {}
    wire(const wire&) = delete;
    wire& operator=(const wire&) = delete;

    executor_type get_executor() { return tcp_.get_executor(); }
    beast::tcp_stream& transport_layer() { return tcp_; }

    ssl::stream<beast::tcp_stream&>& put_on_tls(ssl::context& context) { return tls_.emplace(tcp_, context); }

    template<class Buffers, class Token>
    auto async_read_some(const Buffers& buffers, Token&& token) {
        auto start = [this](auto handler, const Buffers& to) {
            if (tls_)
                tls_->async_read_some(to, std::move(handler));
            else
                tcp_.async_read_some(to, std::move(handler));
        };
        return asio::async_initiate<Token, void(error_code, std::size_t)>(start, token, buffers);
    }

    template<class Buffers, class Token>
    auto async_write_some(const Buffers& buffers, Token&& token) {
        auto start = [this](auto handler, const Buffers& from) {
            if (tls_)
                tls_->async_write_some(from, std::move(handler));
            else
                tcp_.async_write_some(from, std::move(handler));
        };
        return asio::async_initiate<Token, void(error_code, std::size_t)>(start, token, buffers);
    }

    // Whether the peer has neither closed this idle connection nor said anything unasked.
    bool is_quiet() {
        char byte = 0;
        // NOLINTNEXTLINE(clang-analyzer-unix.BlockInCriticalSection): it does not wait
        auto n = ::recv(tcp_.socket().native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
        return n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
    }

private:
    beast::tcp_stream tcp_;
    std::optional<ssl::stream<beast::tcp_stream&>> tls_;
};

// Where a request goes: who it is for, and to whom the connection leads.
struct route {
    origin_parts origin;
    origin_parts peer;
    bool through_proxy = false;

    bool tls() const { return peer.scheme == "https"; }
    std::string key() const {
        return origin.host + ":" + origin.port + " " + peer.scheme + "://" + peer.host + ":" + peer.port;
    }
};

struct idle_wire {
    std::unique_ptr<wire> connection;
    steady::time_point since;
};

struct lane {
    gate places;
    std::vector<idle_wire> idle;
};

// What the exchanges of one transport share.
struct shared_state {
    shared_state(asio::any_io_executor e, https_settings s, lookup resolve)
        : executor(std::move(e)), settings(std::move(s)), names(std::move(resolve)) {
        auto anchors = trust(settings.ca_file);
        if (anchors)
            tls = *anchors;
        else
            unusable = anchors.error();
        if (!settings.https_proxy)
            return;
        auto parsed = parse_proxy(*settings.https_proxy);
        if (parsed)
            through = std::move(*parsed);
        else
            unusable = parsed.error();
    }

    asio::any_io_executor executor;
    https_settings settings;
    std::optional<error> unusable;
    std::shared_ptr<ssl::context> tls;
    std::optional<proxy> through;
    name_cache names;
    std::map<std::string, lane> lanes;

    lane& lane_of(const std::string& key) {
        auto at = lanes.find(key);
        if (at == lanes.end())
            at = lanes.emplace(key, lane{gate{settings.connections_per_origin}, {}}).first;
        return at->second;
    }

    void drop_stale() {
        auto oldest = steady::now() - settings.idle_timeout;
        for (auto& [key, l] : lanes)
            std::erase_if(l.idle, [&](const idle_wire& w) { return w.since < oldest; });
    }

    // A kept connection, the last used first; nothing where none is fit.
    std::unique_ptr<wire> take(lane& from, duration youngest) {
        drop_stale();
        while (!from.idle.empty()) {
            auto candidate = std::move(from.idle.back());
            from.idle.pop_back();
            if (steady::now() - candidate.since <= youngest && candidate.connection->is_quiet())
                return std::move(candidate.connection);
        }
        return {};
    }

    void keep(lane& in, std::unique_ptr<wire> connection) {
        drop_stale();
        connection->transport_layer().expires_never();
        in.idle.push_back({std::move(connection), steady::now()});
    }
};

response unpack(answer_parser& parser) {
    auto& message = parser.get();
    response out;
    out.status = static_cast<int>(message.result_int());
    for (const auto& field : message.base()) {
        if (field.name() != http::field::set_cookie)
            out.headers.emplace_back(std::string{field.name_string()}, std::string{field.value()});
    }
    const auto& body = message.body();
    out.body = secret{std::string_view{body.data(), body.size()}};
    return out;
}

// One request on its way. The steps are members, so that what is known when one fails is at hand.
class exchange {
public:
    exchange(std::shared_ptr<shared_state> shared, request r)
        : shared_(std::move(shared)), request_(std::move(r)), started_(steady::now()),
          deadline_(started_ + request_.timeout.value_or(shared_->settings.request_timeout)) {}

    asio::awaitable<result<response>> run();

    // The failure as the caller must understand it, given what had been sent by then.
    error judge(error e, bool cancelled) const;

private:
    result<void> find_route();
    asio::awaitable<result<void>> dial();
    asio::awaitable<result<void>> connect(origin_parts to);
    asio::awaitable<result<void>> tunnel();
    asio::awaitable<result<void>> handshake();
    asio::awaitable<result<response>> talk();
    asio::awaitable<result<response>> read_answer();

    void enter(std::string_view stage, steady::time_point until);
    error explained(error_code ec) const;
    bool once() const { return request_.repeatable == repeat::once; }

    std::shared_ptr<shared_state> shared_;
    request request_;
    steady::time_point started_;
    steady::time_point deadline_;
    route route_;
    std::unique_ptr<wire> wire_;
    std::string peer_; // at the other end by now, for errors
    std::string_view stage_ = "starting";
    bool sent_ = false;     // the peer may have acted on it
    bool answered_ = false; // a byte of the answer came
    bool lost_ = false;     // the connection was closed or reset, rather than slow or talking nonsense
    bool reusable_ = false;
};

void exchange::enter(std::string_view stage, steady::time_point until) {
    stage_ = stage;
    wire_->transport_layer().expires_at(std::min(deadline_, until));
}

bool is_lost_connection(error_code ec) {
    return ec == asio::error::connection_reset || ec == asio::error::broken_pipe || ec == asio::error::eof ||
           ec == http::error::end_of_stream || ec == ssl::error::stream_truncated ||
           ec == asio::error::connection_aborted;
}

error exchange::explained(error_code ec) const {
    auto during = " while " + std::string{stage_};
    if (ec == beast::error::timeout || ec == asio::error::timed_out) {
        auto waited = std::chrono::round<duration>(steady::now() - started_);
        return failure(error_kind::timeout, {},
                       "timed out after " + format_duration(waited) + during + " (" + peer_ + ")");
    }
    if (ec == asio::error::connection_refused)
        return failure(error_kind::unavailable, {}, peer_ + " refused the connection");
    if (ec == http::error::partial_message || (answered_ && is_lost_connection(ec)))
        return failure(error_kind::unavailable, {},
                       "the answer ended early: the connection was closed in the middle of it");
    if (ec == asio::error::connection_reset || ec == asio::error::broken_pipe)
        return failure(error_kind::unavailable, {}, peer_ + " reset the connection" + during);
    if (is_lost_connection(ec))
        return failure(error_kind::unavailable, {}, peer_ + " closed the connection" + during);
    if (ec == http::error::header_limit || ec == http::error::buffer_overflow)
        return failure(error_kind::unavailable, {},
                       "the answer's headers are larger than " + std::to_string(shared_->settings.header_limit) +
                           " bytes");
    if (ec == http::error::body_limit)
        return failure(error_kind::unavailable, {},
                       "the answer is larger than " + std::to_string(request_.body_limit) + " bytes");
    if (ec.category() == make_error_code(http::error::bad_version).category())
        return failure(error_kind::unavailable, {}, "malformed HTTP from " + peer_ + " (" + ec.message() + ")");
    return failure(error_kind::unavailable, {}, ec.message() + during + " (" + peer_ + ")");
}

error exchange::judge(error e, bool cancelled) const {
    if (!e.where.empty())
        e.what = e.where + ": " + e.what;
    e.where = request_.what;
    if (cancelled) {
        e.kind = error_kind::cancelled;
        e.what = "cancelled while " + std::string{stage_};
    }
    if (once() && sent_) {
        e.kind = error_kind::ambiguous;
        e.what += "; the request was sent and may have been acted on";
    } else if (once() && e.kind == error_kind::timeout) {
        e.kind = error_kind::unavailable;
        e.what += "; nothing was sent";
    }
    return e;
}

result<void> exchange::find_route() {
    auto origin = parse_origin(request_.origin);
    auto peer = request_.connect_to ? parse_origin(*request_.connect_to) : origin;
    if (!origin || !peer)
        return failure(error_kind::spec, {},
                       "not an origin: \"" + (origin ? *request_.connect_to : request_.origin) +
                           "\"; write http(s)://host[:port]");
    route_ = {*origin, *peer, false};
    route_.through_proxy = route_.tls() && shared_->through && !bypasses_proxy(shared_->settings.no_proxy, route_.peer);
    return check_text(request_);
}

asio::awaitable<result<response>> exchange::run() {
    if (shared_->unusable)
        co_return *shared_->unusable;
    if (auto fit = find_route(); !fit)
        co_return fit.error();
    auto& lane = shared_->lane_of(route_.key());
    peer_ = authority(route_.peer);
    stage_ = "waiting for a free connection";
    auto place = co_await lane.places.enter(deadline_);
    if (!place)
        co_return explained(asio::error::timed_out);
    wire_ = shared_->take(lane, once() ? shared_->settings.idle_timeout_once : shared_->settings.idle_timeout);
    result<response> out = failure(error_kind::unavailable, {}, {});
    if (wire_)
        out = co_await talk();
    // A kept connection that the peer had closed meanwhile says nothing about the request: once more, on a new one.
    bool kept_was_dead = wire_ && out.has_error() && lost_ && !answered_ && (!once() || !sent_);
    if (!wire_ || kept_was_dead) {
        lane.idle.clear();
        sent_ = false;
        auto dialled = co_await dial();
        if (!dialled)
            co_return dialled.error();
        out = co_await talk();
    }
    if (out.has_value() && reusable_)
        shared_->keep(lane, std::move(wire_));
    co_return out;
}

asio::awaitable<result<void>> exchange::dial() {
    lost_ = false;
    wire_.reset();
    auto first = route_.peer;
    if (route_.through_proxy)
        first = {"http", shared_->through->host, shared_->through->port};
    peer_ = (route_.through_proxy ? "the proxy " : "") + authority(first);
    auto done = co_await connect(first);
    if (done.has_value() && route_.through_proxy)
        done = co_await tunnel();
    if (done.has_value() && route_.tls())
        done = co_await handshake();
    co_return done;
}

asio::awaitable<result<void>> exchange::connect(origin_parts to) {
    stage_ = "looking up the host name";
    auto answer = co_await shared_->names.find(to.host, deadline_);
    if (answer.ec == asio::error::timed_out)
        co_return explained(answer.ec);
    if (answer.ec)
        co_return failure(error_kind::unavailable, {}, "DNS: " + to.host + ": " + answer.ec.message());
    auto give_up = std::min(deadline_, steady::now() + shared_->settings.connect_timeout);
    auto port = static_cast<std::uint16_t>(std::stoul(to.port));
    error_code last = asio::error::host_unreachable;
    auto left = static_cast<std::ptrdiff_t>(answer.found.size());
    for (const auto& address : answer.found) {
        // Each address gets its share of the time: the first may be one that swallows packets.
        auto share = (give_up - steady::now()) / left--;
        wire_ = std::make_unique<wire>(shared_->executor);
        enter("connecting", steady::now() + share);
        auto [ec] = co_await wire_->transport_layer().async_connect(tcp::endpoint{address, port}, outcome);
        if (!ec) {
            error_code not_important;
            wire_->transport_layer().socket().set_option(tcp::no_delay{true}, not_important);
            shared_->names.prefer(to.host, address);
            co_return result<void>{};
        }
        last = ec;
    }
    shared_->names.forget(to.host);
    co_return explained(last);
}

asio::awaitable<result<void>> exchange::tunnel() {
    auto ask = connect_text(route_.peer, shared_->through->authorization);
    enter("asking the proxy for a way through", steady::now() + shared_->settings.connect_timeout);
    auto [write_error, written] = co_await asio::async_write(*wire_, asio::buffer(ask), outcome);
    if (write_error)
        co_return explained(write_error);
    read_buffer buffer;
    connect_parser parser;
    parser.skip(true);
    auto [read_error, read] = co_await http::async_read_header(*wire_, buffer, parser, outcome);
    if (read_error)
        co_return explained(read_error);
    auto status = static_cast<int>(parser.get().result_int());
    if (status / 100 == 2 && buffer.size() == 0) {
        peer_ = authority(route_.peer);
        co_return result<void>{};
    }
    // 403 and 407 are answers about us, which waiting does not change.
    auto e =
        failure(status == 403 || status == 407 ? error_kind::refused : error_kind::unavailable, {},
                "the proxy answered " + std::to_string(status) + " when asked for a way to " + authority(route_.peer));
    if (status == 407)
        e.what += ": it wants a user and password, as in HTTPS_PROXY=http://user:password@host:port";
    co_return e;
}

asio::awaitable<result<void>> exchange::handshake() {
    auto& tls = wire_->put_on_tls(*shared_->tls);
    const auto& host = route_.origin.host;
    expect_host(tls.native_handle(), host);
    auto blamed = std::make_shared<std::string>();
    auto verdict = [blamed, host](bool believed, ssl::verify_context& verifier) {
        if (!believed)
            *blamed = blame(verifier.native_handle(), host);
        return believed;
    };
    tls.set_verify_callback(verdict);
    enter("shaking hands over TLS", steady::now() + shared_->settings.handshake_timeout);
    auto [ec] = co_await tls.async_handshake(ssl::stream_base::client, outcome);
    if (!ec)
        co_return result<void>{};
    if (!blamed->empty())
        co_return failure(error_kind::refused, {}, *blamed);
    if (ec.category() == asio::error::get_ssl_category() || is_lost_connection(ec))
        co_return failure(error_kind::unavailable, {},
                          "TLS with " + peer_ + " failed (" + ec.message() + "): does it speak TLS on this port?");
    co_return explained(ec);
}

asio::awaitable<result<response>> exchange::talk() {
    auto text = request_text(request_, route_.origin, shared_->settings.user_agent);
    enter("sending the request", deadline_);
    auto [ec, written] = co_await asio::async_write(*wire_, asio::buffer(text), outcome);
    // A connection that was dead from the start took nothing; an interrupted write may have got through.
    lost_ = is_lost_connection(ec);
    sent_ = !(lost_ && written == 0);
    if (ec)
        co_return explained(ec);
    co_return co_await read_answer();
}

asio::awaitable<result<response>> exchange::read_answer() {
    // What is neither header nor body, a chunk's extension or a trailer, is bounded by the buffer alone.
    constexpr std::size_t one_read = 64U << 10U;
    read_buffer buffer{shared_->settings.header_limit + one_read};
    for (;;) {
        answer_parser parser;
        parser.header_limit(static_cast<std::uint32_t>(shared_->settings.header_limit));
        parser.body_limit(request_.body_limit);
        enter("waiting for the answer", deadline_);
        auto [header_error, header_bytes] = co_await http::async_read_header(*wire_, buffer, parser, outcome);
        answered_ = answered_ || parser.got_some() || buffer.size() > 0;
        lost_ = is_lost_connection(header_error);
        if (header_error)
            co_return explained(header_error);
        auto status = parser.get().result_int();
        if (status == 101)
            co_return failure(error_kind::unavailable, {}, "the answer switches to another protocol, unasked");
        // Interim answers (100, 103) precede the one that counts.
        if (status < 200)
            continue;
        enter("reading the answer", deadline_);
        auto [body_error, body_bytes] = co_await http::async_read(*wire_, buffer, parser, outcome);
        if (body_error)
            co_return explained(body_error);
        reusable_ = parser.keep_alive() && buffer.size() == 0;
        co_return unpack(parser);
    }
}

class pooled_transport final : public https_transport {
public:
    explicit pooled_transport(std::shared_ptr<shared_state> shared) : shared_(std::move(shared)) {}

    asio::awaitable<result<response>> send(request r) override {
        exchange one{shared_, std::move(r)};
        result<response> out = failure(error_kind::bug, {}, {});
        try {
            out = co_await one.run();
        } catch (const std::exception& e) {
            out = failure(error_kind::bug, {}, e.what());
        }
        if (out.has_value())
            co_return out;
        auto state = co_await asio::this_coro::cancellation_state;
        co_return one.judge(out.error(), state.cancelled() != asio::cancellation_type::none);
    }

    void close_idle() override {
        for (auto& [key, l] : shared_->lanes)
            l.idle.clear();
    }

private:
    std::shared_ptr<shared_state> shared_;
};

} // namespace

void read_proxy_environment(https_settings& settings,
                            const std::function<std::optional<std::string>(std::string_view)>& environment) {
    auto read = [&](std::string_view first, std::string_view second) {
        auto value = environment(first);
        return value && !value->empty() ? value : environment(second);
    };
    auto url = read("https_proxy", "HTTPS_PROXY");
    if (url && !url->empty())
        settings.https_proxy = url;
    settings.no_proxy = read("no_proxy", "NO_PROXY").value_or("");
}

result<void> check(const https_settings& settings) {
    shared_state tried{{}, settings, {}};
    return tried.unusable ? result<void>{*tried.unusable} : result<void>{};
}

std::unique_ptr<https_transport> make_https_transport(asio::any_io_executor executor, https_settings settings) {
    if (settings.user_agent.empty())
        settings.user_agent = "postern/" POSTERN_VERSION;
    auto resolve = settings.resolve ? settings.resolve : system_lookup(executor);
    auto shared = std::make_shared<shared_state>(std::move(executor), std::move(settings), std::move(resolve));
    return std::make_unique<pooled_transport>(std::move(shared));
}

} // namespace postern::net
