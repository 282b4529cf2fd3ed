#include "fixture.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <doctest/doctest.h>

#include <filesystem>
#include <vector>

namespace connections_test {

using namespace postern;
using namespace postern::net;
using namespace postern::testing;
using namespace std::chrono_literals;
namespace asio = boost::asio;

namespace {

using journal = std::shared_ptr<std::vector<std::string>>;

asio::awaitable<void> note_all(std::shared_ptr<peer> client, journal seen, std::string text) {
    for (;;) {
        auto asked = co_await client->read_request();
        if (asked.empty())
            co_return;
        seen->push_back(client->server_name() + "|" + asked);
        co_await client->write(text);
    }
}

// Answers everything, and notes what was asked.
script noting(journal seen, std::string text = answer(200, "ok")) {
    return [seen, text](std::shared_ptr<peer> client) { return note_all(std::move(client), seen, text); };
}

asio::awaitable<void> answer_one(std::shared_ptr<peer> client, journal seen, bool read_second) {
    seen->push_back(co_await client->read_request());
    co_await client->write(answer(200, "ok"));
    // Closes once the next request is there, so that the client could not know.
    if (read_second)
        seen->push_back(co_await client->read_request());
}

script only_one(journal seen, bool read_second) {
    return [=](std::shared_ptr<peer> client) { return answer_one(std::move(client), seen, read_second); };
}

asio::awaitable<void> pause(duration time) {
    asio::steady_timer timer{co_await asio::this_coro::executor, time};
    co_await timer.async_wait(asio::use_awaitable);
}

asio::awaitable<void> proxy_one(std::shared_ptr<peer> client, journal seen, std::string reply, std::uint16_t onward) {
    seen->push_back(co_await client->read_request());
    co_await client->write(reply);
    if (onward != 0)
        co_await client->relay(onward);
}

// A proxy that answers CONNECT with this, and leads on where a port is given.
script proxying(journal seen, std::string reply, std::uint16_t onward) {
    return [=](std::shared_ptr<peer> client) { return proxy_one(std::move(client), seen, reply, onward); };
}

// Sends, and emits a terminal cancellation after that time.
result<response> send_and_cancel(outside& f, request r, duration after) {
    asio::cancellation_signal stop;
    std::optional<result<response>> out;
    auto job = f.transport().send(std::move(r));
    auto ended = [&](std::exception_ptr thrown, result<response> got) {
        if (!thrown)
            out.emplace(std::move(got));
        f.io.stop();
    };
    asio::co_spawn(f.io, std::move(job), asio::bind_cancellation_slot(stop.slot(), ended));
    asio::steady_timer timer{f.io, after};
    timer.async_wait([&](boost::system::error_code) { stop.emit(asio::cancellation_type::terminal); });
    f.io.restart();
    f.io.run();
    REQUIRE(out.has_value());
    return std::move(*out);
}

} // namespace

TEST_CASE("a request goes over the wire as it was meant") {
    outside f;
    auto seen = std::make_shared<std::vector<std::string>>();
    loopback_server server{f.io, noting(seen)};
    auto r = post(server.origin(), "{\"a\":1}");
    r.target = "/a%20b?c=d";
    r.with("X-Key", "made-up");
    REQUIRE(f.send(std::move(r)).has_value());
    REQUIRE(f.send(get(server.origin()).with("User-Agent", "probe").copy()).has_value());
    REQUIRE(seen->size() == 2);
    CHECK(seen->at(0) == "|POST /a%20b?c=d HTTP/1.1\r\nHost: 127.0.0.1:" + std::to_string(server.port()) +
                             "\r\nUser-Agent: postern/0.1.0\r\nAccept-Encoding: identity\r\nX-Key: made-up\r\n"
                             "Content-Length: 7\r\n\r\n{\"a\":1}");
    CHECK(seen->at(1).find("User-Agent: probe\r\n") != std::string::npos);
    CHECK(seen->at(1).find("postern") == std::string::npos);
    CHECK(seen->at(1).find("Content-Length") == std::string::npos);
}

TEST_CASE("a value that would end its line is not sent, and not shown") {
    outside f;
    auto seen = std::make_shared<std::vector<std::string>>();
    loopback_server server{f.io, noting(seen)};
    auto newline = get(server.origin());
    newline.with("Authorization", "Bearer made-up\n");
    auto got = f.send(std::move(newline));
    REQUIRE(got.has_error());
    CHECK(got.error().kind == error_kind::spec);
    CHECK(says(got.error(), "Authorization"));
    CHECK(!says(got.error(), "made-up"));

    auto own_host = get(server.origin());
    own_host.with("hOsT", "elsewhere");
    CHECK(f.send(std::move(own_host)).error().kind == error_kind::bug);
    CHECK(f.send(get(server.origin(), "/a b")).error().kind == error_kind::bug);
    CHECK(f.send(get(server.origin(), "/a\r\nX: y")).error().kind == error_kind::bug);
    CHECK(f.send(get("ftp://127.0.0.1")).error().kind == error_kind::spec);
    CHECK(seen->empty());
    CHECK(server.accepted() == 0);
}

TEST_CASE("a connection is used again, and not once it is stale") {
    outside f;
    auto seen = std::make_shared<std::vector<std::string>>();
    SUBCASE("kept") {
        loopback_server server{f.io, noting(seen), loopback_identity()};
        for (int i = 0; i < 5; ++i)
            REQUIRE(f.send(i % 2 == 0 ? get(server.origin()) : post(server.origin())).has_value());
        CHECK(server.accepted() == 1);
    }
    SUBCASE("not after Connection: close, HTTP/1.0, or bytes too many") {
        for (const auto& text :
             {answer(200, "ok", "Connection: close\r\n"), std::string{"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n"},
              answer(200, "ok") + "HTTP/1.1 500 Smuggled\r\nContent-Length: 0\r\n\r\n"}) {
            loopback_server server{f.io, noting(seen, text)};
            for (int i = 0; i < 2; ++i)
                CHECK(f.send(get(server.origin()))->status == 200);
            CHECK(server.accepted() == 2);
        }
    }
    SUBCASE("not when idle for too long, sooner for `once`") {
        f.settings.idle_timeout_once = 0ms;
        loopback_server server{f.io, noting(seen)};
        REQUIRE(f.send(get(server.origin())).has_value());
        run(f.io, pause(5ms));
        REQUIRE(f.send(post(server.origin())).has_value());
        CHECK(server.accepted() == 2);
        f.settings.idle_timeout = 0ms;
        f.out.reset();
        REQUIRE(f.send(get(server.origin())).has_value());
        run(f.io, pause(5ms));
        REQUIRE(f.send(get(server.origin())).has_value());
        CHECK(server.accepted() == 4);
    }
    SUBCASE("closed meanwhile: noticed before anything is written") {
        loopback_server server{f.io, only_one(seen, false)};
        REQUIRE(f.send(get(server.origin())).has_value());
        run(f.io, pause(20ms));
        CHECK(f.send(post(server.origin())).has_value());
        run(f.io, pause(20ms));
        CHECK(f.send(get(server.origin())).has_value());
        CHECK(server.accepted() == 3);
    }
    SUBCASE("closed by what was sent: again if that is safe, ambiguous if not") {
        loopback_server server{f.io, only_one(seen, true)};
        REQUIRE(f.send(get(server.origin())).has_value());
        CHECK(f.send(get(server.origin())).has_value());
        CHECK(server.accepted() == 2);
        CHECK(seen->size() == 3);
        auto once = f.send(post(server.origin()));
        REQUIRE(once.has_error());
        CHECK(once.error().kind == error_kind::ambiguous);
        CHECK(server.accepted() == 2);
        CHECK(seen->size() == 4);
    }
}

TEST_CASE("no more connections to one origin than allowed; waiting for one counts") {
    outside f;
    f.settings.connections_per_origin = 2;
    auto seen = std::make_shared<std::vector<std::string>>();
    loopback_server server{f.io, noting(seen)};
    int left = 6;
    int fine = 0;
    for (int i = 0; i < 6; ++i) {
        auto job = f.transport().send(get(server.origin()));
        auto ended = [&](std::exception_ptr, result<response> got) {
            fine += got.has_value() ? 1 : 0;
            if (--left == 0)
                f.io.stop();
        };
        asio::co_spawn(f.io, std::move(job), ended);
    }
    f.io.restart();
    f.io.run();
    CHECK(fine == 6);
    CHECK(server.accepted() == 2);

    f.out.reset();
    f.settings.connections_per_origin = 1;
    auto mute = [](std::shared_ptr<peer> client) { return client->hold(); };
    loopback_server silent{f.io, mute};
    auto first = f.transport().send(get(silent.origin()));
    asio::co_spawn(f.io, std::move(first), [](std::exception_ptr, const result<response>&) {});
    auto second = post(silent.origin());
    second.timeout = 60ms;
    auto got = f.send(std::move(second));
    REQUIRE(got.has_error());
    CHECK(got.error().kind == error_kind::unavailable);
    CHECK(says(got.error(), "while waiting for a free connection"));
    CHECK(silent.accepted() == 1);
}

TEST_CASE("connect_to moves the connection and nothing else") {
    outside f;
    auto seen = std::make_shared<std::vector<std::string>>();
    auto named = authority().issue({{"console.raxx.example"}});
    loopback_server server{f.io, noting(seen), named};
    auto r = get("https://console.raxx.example", "/health");
    r.connect_to = server.origin();
    auto got = f.send(std::move(r));
    REQUIRE_MESSAGE(got.has_value(), got.error().message());
    CHECK(seen->at(0).starts_with("console.raxx.example|GET /health HTTP/1.1\r\nHost: console.raxx.example\r\n"));

    // The certificate is still checked against the origin's host.
    auto other = get("https://other.raxx.example");
    other.connect_to = server.origin();
    CHECK(f.send(std::move(other)).error().kind == error_kind::refused);

    // The scheme of connect_to decides about TLS.
    loopback_server plain{f.io, noting(seen)};
    auto in_clear = get("https://console.raxx.example");
    in_clear.connect_to = plain.origin();
    REQUIRE(f.send(std::move(in_clear)).has_value());
    CHECK(seen->back().starts_with("|GET / HTTP/1.1\r\nHost: console.raxx.example\r\n"));

    auto wrong = get("https://console.raxx.example");
    wrong.connect_to = "127.0.0.1";
    CHECK(f.send(std::move(wrong)).error().kind == error_kind::spec);
}

TEST_CASE("https goes through the proxy, verified to its end") {
    outside f;
    auto seen = std::make_shared<std::vector<std::string>>();
    auto asked = std::make_shared<std::vector<std::string>>();
    loopback_server server{f.io, noting(seen), authority().issue({{"api.example"}})};
    loopback_server proxy{f.io, proxying(asked, "HTTP/1.1 200 Connection established\r\n\r\n", server.port())};
    f.settings.https_proxy = "http://me:p%40ss@127.0.0.1:" + std::to_string(proxy.port());
    for (int i = 0; i < 3; ++i) {
        auto got = f.send(get("https://api.example"));
        REQUIRE_MESSAGE(got.has_value(), got.error().message());
    }
    CHECK(proxy.accepted() == 1);
    CHECK(asked->at(0) == "CONNECT api.example:443 HTTP/1.1\r\nHost: api.example:443\r\n"
                          "Proxy-Authorization: Basic bWU6cEBzcw==\r\n\r\n");
    CHECK(seen->at(0).starts_with("api.example|GET / "));

    auto elsewhere = f.send(get("https://other.example"));
    REQUIRE(elsewhere.has_error());
    CHECK(elsewhere.error().kind == error_kind::refused);
    CHECK(says(elsewhere.error(), "wrong host"));

    // Loopback is reached directly.
    loopback_server here{f.io, noting(seen), loopback_identity()};
    REQUIRE(f.send(get(here.origin())).has_value());
    CHECK(proxy.accepted() == 2);
}

TEST_CASE("a proxy that does not let us through is named, and nothing was sent") {
    struct answered {
        std::string text;
        error_kind kind;
        std::string_view words;
    };
    const std::vector<answered> table{
        {answer(407, "who are you?"), error_kind::refused, "407"},
        {answer(403, "no"), error_kind::refused, "403"},
        {answer(502, "gone"), error_kind::unavailable, "502"},
        {"", error_kind::unavailable, "closed the connection"},
        {"nonsense\r\n\r\n", error_kind::unavailable, "malformed HTTP"},
        {"HTTP/1.1 200 OK\r\n\r\nbytes nobody asked for", error_kind::unavailable, "200"},
    };
    for (const auto& one : table) {
        outside f;
        auto asked = std::make_shared<std::vector<std::string>>();
        loopback_server proxy{f.io, proxying(asked, one.text, 0)};
        f.settings.https_proxy = "127.0.0.1:" + std::to_string(proxy.port());
        auto got = f.send(post("https://api.example"));
        REQUIRE(got.has_error());
        CHECK_MESSAGE(got.error().kind == one.kind, got.error().message());
        CHECK_MESSAGE(says(got.error(), one.words), got.error().message());
        CHECK_MESSAGE(says(got.error(), "the proxy"), got.error().message());
    }
    outside f;
    f.settings.https_proxy = "http://127.0.0.1:1";
    auto got = f.send(post("https://api.example"));
    CHECK(got.error().kind == error_kind::unavailable);
    CHECK(says(got.error(), "the proxy 127.0.0.1:1 refused the connection"));
    f.out.reset();
    f.settings.https_proxy = "socks5://me:made-up@127.0.0.1:1";
    got = f.send(post("https://api.example"));
    CHECK(got.error().kind == error_kind::spec);
    CHECK(!says(got.error(), "made-up"));
}

TEST_CASE("a cancelled request ends at once, and says whether it had been sent") {
    outside f;
    auto mute = [](std::shared_ptr<peer> client) { return client->hold(); };
    loopback_server silent{f.io, mute};
    auto started = std::chrono::steady_clock::now();
    auto safe = send_and_cancel(f, get(silent.origin()), 20ms);
    CHECK(safe.error().kind == error_kind::cancelled);
    auto once = send_and_cancel(f, post(silent.origin()), 20ms);
    CHECK(once.error().kind == error_kind::ambiguous);
    CHECK(says(once.error(), "cancelled while waiting for the answer"));
    auto unsent = send_and_cancel(f, post("https://127.0.0.1:" + std::to_string(silent.port())), 20ms);
    CHECK(unsent.error().kind == error_kind::cancelled);
    CHECK(says(unsent.error(), "shaking hands"));

    f.out.reset();
    f.settings.resolve = [](const std::string&, const auto&) {};
    auto unresolved = send_and_cancel(f, post("http://slow.example"), 20ms);
    CHECK(unresolved.error().kind == error_kind::cancelled);

    f.out.reset();
    f.settings.connections_per_origin = 1;
    auto first = f.transport().send(get(silent.origin()));
    asio::co_spawn(f.io, std::move(first), [](std::exception_ptr, const result<response>&) {});
    auto queued = send_and_cancel(f, post(silent.origin()), 20ms);
    CHECK(queued.error().kind == error_kind::cancelled);
    CHECK(says(queued.error(), "waiting for a free connection"));
    CHECK(std::chrono::steady_clock::now() - started < 25s);
}

TEST_CASE("looking up a name is bounded, kept, and survives whoever asked") {
    outside f;
    auto seen = std::make_shared<std::vector<std::string>>();
    loopback_server server{f.io, noting(seen, answer(200, "ok", "Connection: close\r\n"))};
    auto origin = "http://slow.example:" + std::to_string(server.port());
    std::vector<std::function<void(boost::system::error_code, addresses)>> asked;
    f.settings.resolve = [&](const std::string&, auto done) { asked.push_back(done); };
    f.settings.request_timeout = 50ms;
    auto late = f.send(get(origin));
    REQUIRE(late.has_error());
    CHECK(late.error().kind == error_kind::timeout);
    CHECK(says(late.error(), "while looking up the host name"));
    CHECK(f.send(post(origin)).error().kind == error_kind::unavailable);
    // The second waited for the first one's lookup, which now ends and serves the third.
    REQUIRE(asked.size() == 1);
    asked[0]({}, {asio::ip::make_address("127.0.0.1")});
    CHECK(f.send(get(origin)).has_value());
    CHECK(f.send(get(origin)).has_value());
    CHECK(asked.size() == 1);

    auto unknown = "http://unknown.example";
    asio::steady_timer soon{f.io, 10ms};
    soon.async_wait([&](boost::system::error_code) { asked[1](asio::error::host_not_found, {}); });
    auto lost = f.send(get(unknown));
    REQUIRE(lost.has_error());
    CHECK(lost.error().kind == error_kind::unavailable);
    CHECK(says(lost.error(), "DNS: unknown.example"));

    CHECK(f.send(get("http://third.example")).has_error());
    REQUIRE(asked.size() == 3);
    f.out.reset();
    asked[2]({}, {asio::ip::make_address("127.0.0.1")});
}

TEST_CASE("an address that no longer answers is looked up again") {
    outside f;
    auto seen = std::make_shared<std::vector<std::string>>();
    loopback_server server{f.io, noting(seen, answer(200, "ok", "Connection: close\r\n"))};
    auto origin = "http://moving.example:" + std::to_string(server.port());
    std::string address = "127.0.0.9";
    int asked = 0;
    f.settings.resolve = [&](const std::string&, auto done) {
        ++asked;
        addresses found{asio::ip::make_address(address)};
        asio::post(f.io, [done, found] { done({}, found); });
    };
    CHECK(f.send(get(origin)).has_error());
    address = "127.0.0.1";
    CHECK(f.send(get(origin)).has_value());
    CHECK(asked == 2);
}

TEST_CASE("the system's resolver is asked where no other is given") {
    outside f;
    loopback_server server{f.io, always(answer(200, "ok")), loopback_identity()};
    auto got = f.send(get("https://localhost:" + std::to_string(server.port())));
    REQUIRE_MESSAGE(got.has_value(), got.error().message());
}

TEST_CASE("no descriptor is left behind") {
    auto storm = [] {
        outside f;
        f.settings.request_timeout = 30ms;
        auto seen = std::make_shared<std::vector<std::string>>();
        auto mute = [](std::shared_ptr<peer> client) { return client->hold(); };
        loopback_server good{f.io, noting(seen), loopback_identity()};
        loopback_server once_only{f.io, only_one(seen, true)};
        loopback_server silent{f.io, mute};
        for (int i = 0; i < 5; ++i) {
            (void)f.send(get(good.origin()));
            (void)f.send(get(once_only.origin()));
            (void)f.send(get(silent.origin()));
            (void)f.send(get("https://127.0.0.1:" + std::to_string(silent.port())));
            (void)f.send(get("https://localhost:" + std::to_string(once_only.port())));
            (void)send_and_cancel(f, post(silent.origin()), 5ms);
        }
    };
    storm();
    auto before = open_descriptors();
    storm();
    CHECK(open_descriptors() == before);
}

} // namespace connections_test
