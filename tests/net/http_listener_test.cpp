#include "net/http_listener.hpp"
#include "support/client.hpp"

#include <boost/asio/steady_timer.hpp>
#include <doctest/doctest.h>

#include <chrono>
#include <deque>
#include <map>
#include <memory>
#include <stdexcept>
#include <thread>

namespace http_listener_test {

using namespace postern;
using postern::testing::client;
using postern::testing::get;
using postern::testing::post;
namespace asio = boost::asio;
using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {

// A listener whose handler says what it was asked; /hang never answers, /throw throws, /large answers 32 MiB.
struct house {
    asio::io_context io{1};
    int hanging = 0;
    std::vector<net::incoming> seen;
    std::unique_ptr<net::http_listener> door;

    explicit house(net::listener_limits limits = {}, const std::string& at = "127.0.0.1:0") {
        auto opened = net::listen(
            io.get_executor(), net::parse_bind_address(at).value(),
            [this](net::incoming in) { return answer(std::move(in)); }, limits);
        REQUIRE_MESSAGE(opened.has_value(), opened.error().message());
        door = std::move(opened.value());
    }

    asio::awaitable<net::reply> answer(net::incoming in) {
        if (in.target == "/hang") {
            struct counted {
                int& of;
                explicit counted(int& n) : of(n) { ++of; }
                ~counted() { --of; }
            } here{hanging};
            asio::steady_timer never{io, asio::steady_timer::time_point::max()};
            co_await never.async_wait(asio::use_awaitable);
        }
        if (in.target == "/throw")
            throw std::runtime_error("a bug");
        net::reply out;
        out.body = in.target == "/large" ? std::string(32U << 20U, 'x') : in.method + " " + in.target + " " + in.body;
        out.headers.emplace_back("X-Of", in.target);
        seen.push_back(std::move(in));
        co_return out;
    }

    client visitor() { return {io, door->port()}; }
    // Whether all ends by itself once the door is closed.
    bool runs_dry() {
        door->close();
        io.restart();
        io.run_for(seconds{5});
        return io.stopped();
    }
    // Runs what can run until that holds.
    template<class Condition>
    bool until(Condition holds) {
        const auto end = std::chrono::steady_clock::now() + seconds{5};
        io.restart();
        while (!holds() && std::chrono::steady_clock::now() < end)
            io.run_one_for(milliseconds{20});
        return holds();
    }
};

net::listener_limits hasty() {
    net::listener_limits limits;
    limits.request = milliseconds{80};
    limits.idle = milliseconds{80};
    limits.drain = milliseconds{40};
    return limits;
}

} // namespace

TEST_CASE("an address to listen on is taken apart, and loopback is told from the rest") {
    struct row {
        const char* text;
        const char* host;
        int port;
        bool loopback;
    };
    for (const auto& r :
         {row{"127.0.0.1:9090", "127.0.0.1", 9090, true}, row{"127.8.8.8:0", "127.8.8.8", 0, true},
          row{"localhost:1", "127.0.0.1", 1, true}, row{"[::1]:9090", "::1", 9090, true},
          row{"0.0.0.0:80", "0.0.0.0", 80, false}, row{"[::]:65535", "::", 65535, false},
          row{"[::ffff:127.0.0.1]:5", "::ffff:127.0.0.1", 5, true},
          row{"[::ffff:10.0.0.1]:5", "::ffff:10.0.0.1", 5, false}, row{"10.1.2.3:5", "10.1.2.3", 5, false}}) {
        const auto at = net::parse_bind_address(r.text);
        REQUIRE_MESSAGE(at.has_value(), r.text);
        CHECK(at->host == r.host);
        CHECK(at->port == r.port);
        CHECK_MESSAGE(at->loopback == r.loopback, r.text);
    }
    for (const auto* text : {"", "127.0.0.1", ":9090", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:-1", "127.0.0.1:9a",
                             "::1:9090", "[127.0.0.1]:1", "[localhost]:1", "example.com:80", "[::1]", "127.1:80"}) {
        const auto at = net::parse_bind_address(text);
        REQUIRE_MESSAGE(at.has_error(), text);
        CHECK(at.error().kind == error_kind::spec);
        CHECK(at.error().what.find("127.0.0.1:9090") != std::string::npos);
    }
}

TEST_CASE("requests are answered one after the other on one connection") {
    house h;
    auto c = h.visitor();
    const auto first = c.ask(get("/a?b=c"));
    CHECK(first.status == 200);
    CHECK(first.body == "GET /a?b=c ");
    CHECK(first.header("Content-Type") == "text/plain; charset=utf-8");
    CHECK(first.header("X-Of") == "/a?b=c");
    CHECK(first.header("Connection") == "keep-alive");
    CHECK(parse_http_date(first.header("Date")).has_value());
    CHECK(c.ask(post("/p", "body")).body == "POST /p body");
    CHECK(h.door->connections() == 1);
    CHECK(h.runs_dry());
}

TEST_CASE("headers are found whatever their case") {
    house h;
    auto c = h.visitor();
    c.ask(get("/", "X-Thing: one\r\nx-thing: two\r\n"));
    REQUIRE(h.seen.size() == 1);
    REQUIRE(h.seen[0].header("x-THING") != nullptr);
    CHECK(h.seen[0].header("x-THING")->reveal() == "one");
    CHECK(h.seen[0].header("absent") == nullptr);
}

TEST_CASE("HEAD gets a GET's headers and no body, and the connection goes on") {
    house h;
    auto c = h.visitor();
    c.send("HEAD /x HTTP/1.1\r\nHost: localhost\r\n\r\n");
    const auto head = c.take(true);
    CHECK(head.status == 200);
    CHECK(head.header("Content-Length") == "8");
    CHECK(c.ask(get("/y")).body == "GET /y ");
}

TEST_CASE("pipelined requests are answered in their order, bodies and all") {
    house h;
    auto c = h.visitor();
    c.send(post("/1", "first") + get("/2") + post("/3", "third") + "HEAD /4 HTTP/1.1\r\nHost: localhost\r\n\r\n" +
           get("/5", "Connection: close\r\n"));
    CHECK(c.take().body == "POST /1 first");
    CHECK(c.take().body == "GET /2 ");
    CHECK(c.take().body == "POST /3 third");
    CHECK(c.take(true).header("Content-Length") == "8");
    const auto last = c.take();
    CHECK(last.body == "GET /5 ");
    CHECK(last.header("Connection") == "close");
    CHECK(c.rest().empty());
}

TEST_CASE("a request may come byte by byte") {
    house h;
    auto c = h.visitor();
    for (char byte : post("/slow", "body"))
        c.send(std::string(1, byte));
    CHECK(c.take().body == "POST /slow body");
}

TEST_CASE("a chunked body is put together, and 100-continue is said before it") {
    house h;
    auto c = h.visitor();
    c.send("POST /c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n");
    CHECK(c.take().status == 100);
    c.send("3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n");
    CHECK(c.take().body == "POST /c abcde");
}

TEST_CASE("an HTTP/1.0 client gets its answer and the end") {
    house h;
    auto c = h.visitor();
    const auto got = c.ask("GET /old HTTP/1.0\r\n\r\n");
    CHECK(got.head.starts_with("HTTP/1.0 200 "));
    CHECK(got.body == "GET /old ");
    CHECK(c.rest().empty());
}

TEST_CASE("what is no request is refused, and the connection closed") {
    struct row {
        const char* what;
        std::string text;
        int status;
    };
    const std::string many(9000, 'x');
    for (const auto& r :
         {row{"not HTTP", "hello there\r\n\r\n", 400},
          row{"a TLS hello", std::string("\x16\x03\x01\x02\x00\x01", 6), 400},
          row{"HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400}, row{"no Host", "GET / HTTP/1.1\r\n\r\n", 400},
          row{"two Hosts", "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400},
          row{"two lengths", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", 400},
          row{"length and chunks",
              "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
          row{"a bad length", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n", 400},
          row{"a bad chunk", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400},
          row{"a folded header", "GET / HTTP/1.1\r\nHost: a\r\nX : b\r\n\r\n", 400},
          row{"a long header", "GET / HTTP/1.1\r\nHost: a\r\nX: " + many + "\r\n\r\n", 431},
          row{"a long target", "GET /" + many + " HTTP/1.1\r\nHost: a\r\n\r\n", 431},
          row{"a large body", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1048577\r\n\r\n", 413},
          row{"an odd expectation", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nExpect: x\r\n\r\n", 417}}) {
        house h;
        auto c = h.visitor();
        const auto got = c.ask(r.text);
        CHECK_MESSAGE(got.status == r.status, r.what);
        CHECK_MESSAGE(got.header("Connection") == "close", r.what);
        CHECK_MESSAGE(c.rest().empty(), r.what);
        CHECK_MESSAGE(h.seen.empty(), r.what);
        CHECK_MESSAGE(h.runs_dry(), r.what);
    }
}

TEST_CASE("a body of exactly the limit is taken, and who sends more still reads the refusal") {
    house h;
    {
        auto c = h.visitor();
        CHECK(c.ask(post("/", std::string(1U << 20U, 'b'))).status == 200);
        CHECK(h.seen.at(0).body.size() == 1U << 20U);
    }
    auto c = h.visitor();
    CHECK(c.ask(post("/", std::string(3U << 20U, 'b'))).status == 413);
    auto chunks = h.visitor();
    std::string text = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    for (int i = 0; i < 40; ++i)
        text += "8000\r\n" + std::string(0x8000, 'c') + "\r\n";
    CHECK(chunks.ask(text + "0\r\n\r\n").status == 413);
}

TEST_CASE("a request that does not come in time is told so, an idle connection just ends") {
    house h{hasty()};
    auto head = h.visitor();
    CHECK(head.ask("GET / HT").status == 408);
    CHECK(head.rest().empty());
    auto body = h.visitor();
    CHECK(body.ask("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nab").status == 408);
    auto idle = h.visitor();
    CHECK(idle.rest().empty());
    auto later = h.visitor();
    CHECK(later.ask(get("/")).status == 200);
    CHECK(later.rest().empty());
    CHECK(h.door->connections() == 0);
    CHECK(h.seen.size() == 1);
}

TEST_CASE("a byte now and then does not stretch a request's time") {
    house h{hasty()};
    auto c = h.visitor();
    const auto began = std::chrono::steady_clock::now();
    asio::steady_timer beat{h.io};
    bool over = false;
    auto trickle = [&]() -> asio::awaitable<void> {
        const auto token = asio::as_tuple(asio::use_awaitable);
        while (!over) {
            beat.expires_after(milliseconds{5});
            co_await beat.async_wait(token);
            const auto byte = asio::buffer("x", 1);
            co_await asio::async_write(c.socket(), byte, token);
        }
    };
    c.send("GET /");
    bool ended = false;
    asio::co_spawn(h.io, trickle(), [&](std::exception_ptr) { ended = true; });
    CHECK(c.take().status == 408);
    over = true;
    CHECK(std::chrono::steady_clock::now() - began < seconds{3});
    CHECK(h.until([&] { return ended; }));
}

TEST_CASE("an answer that nobody reads, and one that never comes, end with the request's time") {
    house h{hasty()};
    auto deaf = h.visitor();
    deaf.send(get("/large"));
    auto patient = h.visitor();
    patient.send(get("/hang"));
    CHECK(h.until([&] { return h.hanging == 1; }));
    CHECK(h.until([&] { return h.door->connections() == 0; }));
    CHECK(h.hanging == 0);
    CHECK(patient.rest().empty());
    CHECK(deaf.rest().size() < 32U << 20U);
}

TEST_CASE("an exception in the handler is a 500 and no more") {
    house h;
    auto c = h.visitor();
    const auto got = c.ask(get("/throw"));
    CHECK(got.status == 500);
    CHECK(got.body.find("a bug\n") == std::string::npos); // its words are not for strangers
    CHECK(c.ask(get("/after")).status == 200);
}

TEST_CASE("one connection too many ends the one that was idle for longest") {
    net::listener_limits limits;
    limits.connections = 3;
    house h{limits};
    auto first = h.visitor();
    auto second = h.visitor();
    auto third = h.visitor();
    CHECK(first.ask(get("/1")).status == 200);
    CHECK(second.ask(get("/2")).status == 200);
    CHECK(third.ask(get("/3")).status == 200);
    CHECK(first.ask(get("/1")).status == 200); // now the second is idle for longest
    auto fourth = h.visitor();
    CHECK(fourth.ask(get("/4")).status == 200);
    CHECK(h.door->connections() == 3);
    CHECK(second.rest().empty());
    CHECK(first.ask(get("/1")).status == 200);
    CHECK(third.ask(get("/3")).status == 200);
}

TEST_CASE("where all are at work, the newcomer is turned away") {
    net::listener_limits limits;
    limits.connections = 2;
    house h{limits};
    auto first = h.visitor();
    auto second = h.visitor();
    first.send(get("/hang"));
    second.send(get("/hang"));
    REQUIRE(h.until([&] { return h.hanging == 2; }));
    auto third = h.visitor();
    CHECK(third.rest().empty());
    CHECK(h.hanging == 2);
    CHECK(h.runs_dry());
}

TEST_CASE("hundreds of clients at once are served, many more than may stay") {
    house h;
    std::deque<client> all;
    for (int i = 0; i < 200; ++i) {
        all.emplace_back(h.io, h.door->port());
        REQUIRE(all.back().ask(get("/" + std::to_string(i))).body == "GET /" + std::to_string(i) + " ");
    }
    CHECK(h.door->connections() == 64);
    CHECK(all.front().rest().empty());
    CHECK(all.back().ask(get("/again")).status == 200);
}

TEST_CASE("closing while busy ends all of it") {
    house h;
    auto idle = h.visitor();
    auto half = h.visitor();
    auto hanging = h.visitor();
    auto deaf = h.visitor();
    half.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nab");
    hanging.send(get("/hang") + get("/never"));
    deaf.send(get("/large"));
    REQUIRE(h.until([&] { return h.hanging == 1 && h.door->connections() == 4; }));
    const auto port = h.door->port();
    CHECK(h.runs_dry());
    CHECK(h.hanging == 0);
    CHECK(h.door->connections() == 0);
    CHECK(hanging.rest().empty());
    CHECK(half.rest().empty());
    CHECK(idle.rest().empty());
    asio::ip::tcp::socket late{h.io};
    boost::system::error_code refused;
    late.connect({asio::ip::address_v4::loopback(), port}, refused);
    CHECK(refused == asio::error::connection_refused);
}

TEST_CASE("a handler may close the door that it is behind") {
    asio::io_context io{1};
    std::unique_ptr<net::http_listener> door;
    auto opened = net::listen(io.get_executor(), net::parse_bind_address("127.0.0.1:0").value(),
                              [&](net::incoming) -> asio::awaitable<net::reply> {
                                  door->close();
                                  co_return net::reply{};
                              });
    door = std::move(opened.value());
    client c{io, door->port()};
    CHECK(c.ask(get("/")).status == 0);
    io.restart();
    io.run_for(seconds{5});
    CHECK(io.stopped());
}

TEST_CASE("IPv6, an address in use, and one that is not ours") {
    house h;
    auto taken = net::listen(h.io.get_executor(), {"127.0.0.1", h.door->port(), true}, {});
    REQUIRE(taken.has_error());
    CHECK(taken.error().kind == error_kind::unavailable);
    CHECK(taken.error().where.find(h.door->address()) != std::string::npos);
    CHECK(net::listen(h.io.get_executor(), {"192.0.2.1", 0, false}, {}).has_error());
    auto six =
        net::listen(h.io.get_executor(), {"::1", 0, true}, [&](net::incoming in) { return h.answer(std::move(in)); });
    if (six.has_error()) {
        MESSAGE("there is no IPv6 here: " << six.error().message());
        return;
    }
    CHECK(six.value()->address() == "[::1]:" + std::to_string(six.value()->port()));
    client c{h.io, six.value()->port(), "::1"};
    CHECK(c.ask(get("/six")).body == "GET /six ");
}

} // namespace http_listener_test
