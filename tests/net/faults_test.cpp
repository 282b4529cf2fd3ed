#include "fixture.hpp"

#include <boost/asio/ip/tcp.hpp>
#include <doctest/doctest.h>

#include <vector>

namespace faults_test {

using namespace postern;
using namespace postern::net;
using namespace postern::testing;
using namespace std::chrono_literals;
namespace asio = boost::asio;

namespace {

// Takes one request, says this much, and then nothing more.
asio::awaitable<void> say_and_hang(std::shared_ptr<peer> client, std::string text) {
    co_await client->read_request();
    co_await client->write(text);
    co_await client->hold();
}

script stalled(std::string text) {
    return [text](std::shared_ptr<peer> client) { return say_and_hang(std::move(client), text); };
}

asio::awaitable<void> say_and_close(std::shared_ptr<peer> client, std::string text) {
    co_await client->read_request();
    co_await client->write(text);
    co_await client->finish();
}

script closing(std::string text) {
    return [text](std::shared_ptr<peer> client) { return say_and_close(std::move(client), text); };
}

asio::awaitable<void> drip(std::shared_ptr<peer> client, std::string head) {
    co_await client->read_request();
    co_await client->write(head);
    for (int i = 0; i < 100; ++i) {
        co_await client->pause(20ms);
        co_await client->write("x");
    }
}

asio::awaitable<void> reset_after_request(std::shared_ptr<peer> client, std::string said_before) {
    co_await client->read_request();
    if (!said_before.empty()) {
        co_await client->write(said_before);
        co_await client->pause(20ms);
    }
    client->reset();
}

asio::awaitable<void> reset_at_once(std::shared_ptr<peer> client) {
    client->reset();
    co_return;
}

// The failure of a request of each kind to a server that behaves like this.
struct failures {
    error safe;
    error once;
};

failures fail_at(script behaviour, https_settings settings = {}) {
    outside f;
    settings.ca_file = anchors().path();
    f.settings = settings;
    loopback_server server{f.io, std::move(behaviour)};
    auto safe = f.send(get(server.origin()));
    auto once = f.send(post(server.origin()));
    REQUIRE(safe.has_error());
    REQUIRE(once.has_error());
    return {safe.error(), once.error()};
}

https_settings patient_for(duration time) {
    https_settings out;
    out.request_timeout = time;
    return out;
}

} // namespace

TEST_CASE("nobody listens: nothing was sent, whatever the request") {
    outside f;
    std::string origin;
    {
        loopback_server gone{f.io, always("")};
        origin = gone.origin();
    }
    for (auto repeatable : {repeat::safe, repeat::once}) {
        auto r = get(origin);
        r.repeatable = repeatable;
        auto got = f.send(std::move(r));
        REQUIRE(got.has_error());
        CHECK(got.error().kind == error_kind::unavailable);
        CHECK(says(got.error(), "refused the connection"));
    }
}

TEST_CASE("a hang at any stage ends at the deadline, named") {
    SUBCASE("TLS handshake, by its own deadline") {
        outside f;
        f.settings.handshake_timeout = 100ms;
        loopback_server server{f.io, stalled("")};
        auto got = f.send(get("https://127.0.0.1:" + std::to_string(server.port())));
        REQUIRE(got.has_error());
        CHECK(got.error().kind == error_kind::timeout);
        CHECK(says(got.error(), "while shaking hands over TLS"));
        auto once = f.send(post("https://127.0.0.1:" + std::to_string(server.port())));
        CHECK(once.error().kind == error_kind::unavailable);
        CHECK(says(once.error(), "nothing was sent"));
    }
    SUBCASE("no answer") {
        auto [safe, once] = fail_at(stalled(""), patient_for(100ms));
        CHECK(safe.kind == error_kind::timeout);
        CHECK(says(safe, "while waiting for the answer"));
        CHECK(once.kind == error_kind::ambiguous);
    }
    SUBCASE("half a header") {
        auto [safe, once] = fail_at(stalled("HTTP/1.1 200 OK\r\nContent-"), patient_for(100ms));
        CHECK(safe.kind == error_kind::timeout);
        CHECK(once.kind == error_kind::ambiguous);
    }
    SUBCASE("half a body") {
        auto [safe, once] = fail_at(stalled("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"), patient_for(100ms));
        CHECK(safe.kind == error_kind::timeout);
        CHECK(says(safe, "while reading the answer"));
        CHECK(once.kind == error_kind::ambiguous);
    }
    SUBCASE("a drip does not renew the deadline") {
        auto slow = [](std::shared_ptr<peer> client) {
            return drip(std::move(client), "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n");
        };
        auto [safe, once] = fail_at(slow, patient_for(150ms));
        CHECK(safe.kind == error_kind::timeout);
        CHECK(once.kind == error_kind::ambiguous);
    }
    SUBCASE("a request's own timeout goes before the transport's") {
        outside f;
        loopback_server server{f.io, stalled("")};
        auto r = get(server.origin());
        r.timeout = 50ms;
        auto started = std::chrono::steady_clock::now();
        CHECK(f.send(std::move(r)).error().kind == error_kind::timeout);
        CHECK(std::chrono::steady_clock::now() - started < 25s);
    }
}

TEST_CASE("an address that swallows packets costs its share of the time, and the next one is tried") {
    outside f;
    loopback_server server{f.io, always(answer(200, "found"))};
    // A listener whose queue is full answers no further connection.
    asio::ip::tcp::acceptor full{f.io, {asio::ip::make_address("127.0.0.2"), server.port()}};
    full.listen(0);
    std::vector<asio::ip::tcp::socket> filling;
    filling.reserve(4);
    for (int i = 0; i < 4; ++i) {
        auto& s = filling.emplace_back(f.io);
        s.open(asio::ip::tcp::v4());
        s.async_connect(full.local_endpoint(), [](boost::system::error_code) {});
    }
    f.settings.connect_timeout = 400ms;
    f.settings.resolve = [&](std::string, auto done) {
        addresses both{asio::ip::make_address("127.0.0.2"), asio::ip::make_address("127.0.0.1")};
        asio::post(f.io, [done, both] { done({}, both); });
    };
    auto got = f.send(get("http://two.example:" + std::to_string(server.port())));
    REQUIRE_MESSAGE(got.has_value(), got.error().message());
    CHECK(got->body.reveal() == "found");

    f.out.reset();
    f.settings.resolve = [&](std::string, auto done) {
        asio::post(f.io, [done] { done({}, {asio::ip::make_address("127.0.0.2")}); });
    };
    auto lost = f.send(get("http://one.example:" + std::to_string(server.port())));
    REQUIRE(lost.has_error());
    CHECK(lost.error().kind == error_kind::timeout);
    CHECK(says(lost.error(), "while connecting"));
}

TEST_CASE("an answer larger than allowed is not read to its end") {
    https_settings small;
    small.header_limit = 1024;
    auto big_head = "HTTP/1.1 200 OK\r\nX-Big: " + std::string(5000, 'x') + "\r\nContent-Length: 0\r\n\r\n";
    auto headers = fail_at(closing(big_head), small);
    CHECK(headers.safe.kind == error_kind::unavailable);
    CHECK(says(headers.safe, "headers are larger than 1024 bytes"));
    CHECK(headers.once.kind == error_kind::ambiguous);

    outside f;
    loopback_server by_length{f.io, stalled("HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n")};
    auto r = get(by_length.origin());
    r.body_limit = 1000;
    auto got = f.send(std::move(r));
    REQUIRE(got.has_error());
    CHECK(got.error().kind == error_kind::unavailable);
    CHECK(says(got.error(), "larger than 1000 bytes"));

    std::string chunks = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    for (int i = 0; i < 10; ++i)
        chunks += "c8\r\n" + std::string(200, 'y') + "\r\n";
    loopback_server by_chunks{f.io, stalled(chunks)};
    auto again = get(by_chunks.origin());
    again.body_limit = 1000;
    auto chunked = f.send(std::move(again));
    REQUIRE(chunked.has_error());
    CHECK(says(chunked.error(), "larger than 1000 bytes"));
}

TEST_CASE("a broken answer is unavailable, or ambiguous where the request may have been acted on") {
    struct broken {
        std::string text;
        std::string_view words;
    };
    const std::vector<broken> table{
        {"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort", "ended early"},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n", "malformed HTTP"},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel", "ended early"},
        {"HTTP/1.1 200 OK\r\nContent-Length: ten\r\n\r\n", "malformed HTTP"},
        {"SSH-2.0-OpenSSH_9.2\r\n\r\n", "malformed HTTP"},
        {"HTTP/1.1 200 O", "ended early"},
        {"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n", "another protocol"},
        {"", "closed the connection while waiting for the answer"},
    };
    for (const auto& one : table) {
        auto [safe, once] = fail_at(closing(one.text));
        CHECK_MESSAGE(safe.kind == error_kind::unavailable, one.text);
        CHECK_MESSAGE(says(safe, one.words), safe.message());
        CHECK_MESSAGE(once.kind == error_kind::ambiguous, one.text);
        CHECK_MESSAGE(says(once, "may have been acted on"), once.message());
    }
}

TEST_CASE("a reset is told from a close") {
    auto after = [](std::shared_ptr<peer> client) { return reset_after_request(std::move(client), ""); };
    auto [safe, once] = fail_at(after);
    CHECK(safe.kind == error_kind::unavailable);
    CHECK(says(safe, "reset the connection"));
    CHECK(once.kind == error_kind::ambiguous);

    auto midway = [](std::shared_ptr<peer> client) {
        return reset_after_request(std::move(client), "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf");
    };
    auto half = fail_at(midway);
    CHECK(says(half.safe, "ended early"));
    CHECK(half.once.kind == error_kind::ambiguous);

    // Whether the request got out before the reset came in is a race; never may a `once` one be called a timeout.
    auto before = fail_at(reset_at_once);
    CHECK(before.safe.kind == error_kind::unavailable);
    CHECK((before.once.kind == error_kind::ambiguous || before.once.kind == error_kind::unavailable));
}

TEST_CASE("over TLS an answer without a length that is cut off is no answer") {
    outside f;
    auto cut = [](std::shared_ptr<peer> client) {
        return reset_after_request(std::move(client), "HTTP/1.1 200 OK\r\n\r\n{\"a\":1}");
    };
    loopback_server server{f.io, cut, loopback_identity()};
    CHECK(f.send(get(server.origin())).error().kind == error_kind::unavailable);
    loopback_server whole{f.io, closing("HTTP/1.0 200 OK\r\n\r\n{\"a\":1}"), loopback_identity()};
    auto got = f.send(get(whole.origin()));
    REQUIRE_MESSAGE(got.has_value(), got.error().message());
    CHECK(got->body.reveal() == "{\"a\":1}");
}

TEST_CASE("what is odd but whole is an answer") {
    outside f;
    auto reply = [&](std::string text) {
        loopback_server server{f.io, closing(std::move(text))};
        auto got = f.send(get(server.origin()));
        REQUIRE_MESSAGE(got.has_value(), got.error().message());
        return std::move(*got);
    };
    CHECK(reply("HTTP/1.0 200 OK\r\n\r\nuntil the end").body.reveal() == "until the end");
    CHECK(reply("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + answer(200, "then"))
              .body.reveal() == "then");
    CHECK(reply("HTTP/1.1 204 No Content\r\n\r\n").status == 204);
    CHECK(reply("HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\n\r\n").status == 304);
    CHECK(reply(answer(200, "one") + "HTTP/1.1 500 Smuggled\r\n\r\n").status == 200);
    CHECK(reply("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n").body.reveal() == "abc");

    auto moved = reply(answer(302, "", "Location: http://127.0.0.1:1/elsewhere\r\n"));
    CHECK(moved.status == 302);
    CHECK(moved.header("location") == "http://127.0.0.1:1/elsewhere");

    auto zipped = reply(answer(200, "\x1f\x8b not unpacked", "Content-Encoding: gzip\r\n"));
    CHECK(zipped.body.reveal() == "\x1f\x8b not unpacked");
    CHECK(reply(answer(503, "<html>", "Retry-After: 5\r\n")).header("retry-after") == "5");
}

} // namespace faults_test
