#include "fixture.hpp"
#include "net/budget.hpp"
#include "net/retry.hpp"

#include <doctest/doctest.h>

#include <filesystem>
#include <iterator>
#include <vector>

namespace attack_test {

// Servers and proxies that mean harm or are broken, over real sockets, through all that stands between a provider and
// its remote. Whatever they do, a request ends by its deadline with the error that is right for it, a `once` request
// reaches the far side at most once, no error repeats a secret, and no descriptor stays open. What they do is a row of
// a table; what leaks memory, the sanitizers find.

using namespace postern;
using namespace postern::net;
using namespace postern::testing;
using namespace std::chrono_literals;
namespace asio = boost::asio;

namespace {

constexpr std::string_view canary = "canary-made-up-5b1f";
constexpr int tries = 2; // of a safe request
// Of a request that is to run into it, and of one that is not, however busy the machine is.
constexpr duration soon = 250ms;
constexpr duration late = 20s;

enum class end { hold, close, reset };

// What a server does with a connection.
struct conduct {
    std::string say = {};     // after the request
    std::string and_on = {};  // and this again and again,
    int times = 0;            // so often,
    duration between{};       // so far apart
    end at_last = end::close; // and then
    bool listens = true;      // reads the request first
    bool echoes = false;      // says the request itself in front of everything
};

struct attack {
    std::string_view name;
    conduct does;
    error_kind safe = error_kind::unavailable;
    error_kind once = error_kind::ambiguous;
};

using tally = std::shared_ptr<int>;

asio::awaitable<void> carry_out(std::shared_ptr<peer> client, tally received, conduct what) {
    if (what.listens) {
        auto asked = co_await client->read_request();
        if (asked.empty())
            co_return;
        ++*received;
        if (what.echoes)
            co_await client->write(asked);
    }
    if (!what.say.empty())
        co_await client->write(what.say);
    for (int i = 0; i < what.times; ++i) {
        if (what.between > 0ms)
            co_await client->pause(what.between);
        co_await client->write(what.and_on);
    }
    if (what.at_last == end::hold)
        co_await client->hold();
    else if (what.at_last == end::close)
        co_await client->finish();
    else
        client->reset();
}

script acting(const conduct& what, const tally& received) {
    return [=](std::shared_ptr<peer> client) { return carry_out(std::move(client), received, what); };
}

double middle() {
    return 0.5;
}

// The way of a connection's requests, retries and budget included.
struct way_out : outside {
    system_clock time;
    std::unique_ptr<budget> governed;
    std::unique_ptr<retrying_transport> retried;

    duration deadline;

    explicit way_out(error_kind expected) : deadline(expected == error_kind::timeout ? soon : late) {
        settings.request_timeout = deadline;
        settings.handshake_timeout = deadline;
        settings.connect_timeout = deadline;
        settings.header_limit = 16U << 10U;
    }
    result<response> ask(request r) {
        if (!retried) {
            retry_settings patience;
            patience.attempts = tries;
            patience.first_wait = 1ms;
            budget_settings room;
            room.pause = 1ms;
            governed = std::make_unique<budget>(transport(), time, room);
            retried = std::make_unique<retrying_transport>(*governed, time, middle, patience);
        }
        r.body_limit = 64U << 10U;
        r.timeout = deadline;
        r.with("Authorization", "Bearer " + std::string{canary});
        return run(io, retried->send(std::move(r)));
    }
};

request secret_post(const std::string& origin) {
    return post(origin, R"({"secret":")" + std::string{canary} + "\"}");
}

void check_error(const result<response>& got, error_kind kind) {
    REQUIRE(got.has_error());
    CHECK_MESSAGE(to_string(got.error().kind) == to_string(kind), got.error().message());
    CHECK_MESSAGE(got.error().message().find(canary) == std::string::npos, "an error repeats a secret");
    CHECK_MESSAGE(got.error().message().size() < 500, "an error is as long as what was said");
    CHECK(got.error().where.starts_with("test "));
}

// A server that does this, asked both ways.
void withstand(const attack& one, const std::optional<identity>& tls = {}) {
    CAPTURE(one.name);
    const auto before = open_descriptors();
    {
        way_out f{one.safe};
        auto received = std::make_shared<int>(0);
        loopback_server server{f.io, acting(one.does, received), tls};
        const auto began = std::chrono::steady_clock::now();
        check_error(f.ask(get(server.origin())), one.safe);
        CHECK(*received <= tries);
        *received = 0;
        check_error(f.ask(secret_post(server.origin())), one.once);
        CHECK(*received <= 1);
        if (one.once == error_kind::unavailable)
            CHECK(*received == 0);
        CHECK(std::chrono::steady_clock::now() - began < late);
    }
    CHECK(open_descriptors() == before);
}

std::string head(std::string_view fields) {
    return "HTTP/1.1 200 OK\r\n" + std::string{fields};
}

const std::string kilobytes(4096, 'x');

} // namespace

TEST_CASE("attack: a server that hangs or drips, at any stage") {
    constexpr auto timeout = error_kind::timeout;
    constexpr auto ambiguous = error_kind::ambiguous;
    const std::vector<attack> table{
        {"says nothing", {.at_last = end::hold}, timeout, ambiguous},
        {"does not even read", {.at_last = end::hold, .listens = false}, timeout, ambiguous},
        {"half a status line", {.say = "HTTP/1.1 2", .at_last = end::hold}, timeout, ambiguous},
        {"half a header", {.say = head("Content-Le"), .at_last = end::hold}, timeout, ambiguous},
        {"no body", {.say = head("Content-Length: 5\r\n\r\n"), .at_last = end::hold}, timeout, ambiguous},
        {"half a body", {.say = head("Content-Length: 5\r\n\r\nab"), .at_last = end::hold}, timeout, ambiguous},
        {"half a chunk",
         {.say = head("Transfer-Encoding: chunked\r\n\r\n5\r\nab"), .at_last = end::hold},
         timeout,
         ambiguous},
        {"no last chunk",
         {.say = head("Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n"), .at_last = end::hold},
         timeout,
         ambiguous},
        {"no end of a body without a length", {.say = head("\r\nab"), .at_last = end::hold}, timeout, ambiguous},
        {"drips a header", {.say = head("X: "), .and_on = "x", .times = 100, .between = 20ms}, timeout, ambiguous},
        {"drips header lines",
         {.say = head(""), .and_on = "X: y\r\n", .times = 100, .between = 20ms},
         timeout,
         ambiguous},
        {"drips a body",
         {.say = head("Content-Length: 999\r\n\r\n"), .and_on = "x", .times = 100, .between = 20ms},
         timeout,
         ambiguous},
        {"drips chunks",
         {.say = head("Transfer-Encoding: chunked\r\n\r\n"), .and_on = "1\r\nx\r\n", .times = 100, .between = 20ms},
         timeout,
         ambiguous},
        {"drips interim answers",
         {.and_on = "HTTP/1.1 100 Continue\r\n\r\n", .times = 100, .between = 20ms},
         timeout,
         ambiguous},
    };
    for (const auto& one : table)
        withstand(one);
    for (std::size_t i = 4; i < table.size(); i += 4)
        withstand(table[i], loopback_identity());
}

TEST_CASE("attack: a handshake that hangs, drips or breaks off: nothing was sent") {
    struct row {
        std::string_view name;
        conduct does;
        error_kind safe;
    };
    const std::string hello{"\x16\x03\x03\x40\x00\x02\x00\x3f\xfc", 9};
    const std::vector<row> table{
        {"hangs", {.at_last = end::hold, .listens = false}, error_kind::timeout},
        {"half a record", {.say = hello, .at_last = end::hold, .listens = false}, error_kind::timeout},
        {"drips a record",
         {.say = hello, .and_on = "x", .times = 100, .between = 20ms, .listens = false},
         error_kind::timeout},
        {"closes", {.listens = false}, error_kind::unavailable},
        {"resets", {.at_last = end::reset, .listens = false}, error_kind::unavailable},
        {"speaks HTTP", {.say = head("Content-Length: 0\r\n\r\n"), .listens = false}, error_kind::unavailable},
        {"endless nonsense", {.and_on = kilobytes, .times = 200, .listens = false}, error_kind::unavailable},
    };
    for (const auto& one : table) {
        CAPTURE(one.name);
        const auto before = open_descriptors();
        {
            way_out f{one.safe};
            auto received = std::make_shared<int>(0);
            loopback_server server{f.io, acting(one.does, received)};
            auto origin = "https://127.0.0.1:" + std::to_string(server.port());
            check_error(f.ask(get(origin)), one.safe);
            check_error(f.ask(secret_post(origin)), error_kind::unavailable);
            CHECK(*received == 0);
        }
        CHECK(open_descriptors() == before);
    }
}

TEST_CASE("attack: headers and bodies that are huge or have no end") {
    const std::vector<attack> table{
        {"a header without end", {.say = head("X: "), .and_on = kilobytes, .times = 500}},
        {"header lines without end", {.say = head(""), .and_on = "X: y\r\nZ: 0123456789\r\n", .times = 5000}},
        {"a status line without end", {.say = "HTTP/1.1 200 ", .and_on = kilobytes, .times = 500}},
        {"a body that says it is huge", {.say = head("Content-Length: 9223372036854775807\r\n\r\n")}},
        {"a body that is huge", {.say = head("Content-Length: 99999999\r\n\r\n"), .and_on = kilobytes, .times = 500}},
        {"a body without length or end", {.say = head("\r\n"), .and_on = kilobytes, .times = 500}},
        {"chunks without end",
         {.say = head("Transfer-Encoding: chunked\r\n\r\n"), .and_on = "1000\r\n" + kilobytes + "\r\n", .times = 500}},
        {"one endless chunk",
         {.say = head("Transfer-Encoding: chunked\r\n\r\n7fffffffffffffff\r\n"), .and_on = kilobytes, .times = 500}},
        {"a chunk's extension without end",
         {.say = head("Transfer-Encoding: chunked\r\n\r\n1;"),
          .and_on = kilobytes,
          .times = 500,
          .at_last = end::hold}},
        {"a trailer without end",
         {.say = head("Transfer-Encoding: chunked\r\n\r\n0\r\nX: "),
          .and_on = kilobytes,
          .times = 500,
          .at_last = end::hold}},
        {"an interim answer's header without end",
         {.say = "HTTP/1.1 103 Early Hints\r\nX: ", .and_on = kilobytes, .times = 500}},
    };
    for (const auto& one : table)
        withstand(one);
    for (std::size_t i = 0; i < table.size(); i += 4)
        withstand(table[i], loopback_identity());
}

TEST_CASE("attack: wrong lengths, bad chunks and what is no HTTP") {
    const std::vector<attack> table{
        {"shorter than it says", {.say = head("Content-Length: 10\r\n\r\nabc")}},
        {"no number for a length", {.say = head("Content-Length: ten\r\n\r\n")}},
        {"less than nothing", {.say = head("Content-Length: -1\r\n\r\n")}},
        {"a length past 2^64", {.say = head("Content-Length: 18446744073709551617\r\n\r\na")}},
        {"two lengths", {.say = head("Content-Length: 1\r\nContent-Length: 2\r\n\r\nab")}},
        {"a length and chunks", {.say = head("Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")}},
        {"a chunk's size in letters", {.say = head("Transfer-Encoding: chunked\r\n\r\nzz\r\nab\r\n")}},
        {"a chunk of less than nothing", {.say = head("Transfer-Encoding: chunked\r\n\r\n-1\r\nab\r\n")}},
        {"a chunk past 2^64", {.say = head("Transfer-Encoding: chunked\r\n\r\n10000000000000001\r\na\r\n0\r\n\r\n")}},
        {"a chunk longer than its size", {.say = head("Transfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n0\r\n\r\n")}},
        {"chunks that end early", {.say = head("Transfer-Encoding: chunked\r\n\r\n5\r\nab")}},
        {"a version to come", {.say = "HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n"}},
        {"no version", {.say = "just text\r\n\r\n"}},
        {"no status", {.say = "HTTP/1.1 OK\r\nContent-Length: 0\r\n\r\n"}},
        {"a status of four digits", {.say = "HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n"}},
        {"a header without a colon", {.say = head("X\r\nContent-Length: 0\r\n\r\n")}},
        {"a zero byte in a header", {.say = head("X: a" + std::string(1, '\0') + "b\r\nContent-Length: 0\r\n\r\n")}},
        {"another protocol, unasked", {.say = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n"}},
        {"the request, sent back", {.echoes = true}},
        {"the secret in its status line", {.say = "HTTP/9 200 " + std::string{canary} + "\r\n\r\n"}},
        {"the secret in a broken header", {.say = head(std::string{canary} + "\r\n\r\n")}},
        {"nothing, and gone", {}},
        {"reset once it was acted on", {.at_last = end::reset}},
        {"reset in the middle of the answer",
         {.say = head("Content-Length: 9\r\n\r\nhalf"),
          .and_on = "",
          .times = 1,
          .between = 20ms,
          .at_last = end::reset}},
    };
    for (const auto& one : table)
        withstand(one);
}

TEST_CASE("attack: reset before the request was acted on") {
    // Whether the request got out before the reset came in is a race that the client cannot see the end of.
    for (int round = 0; round < 5; ++round) {
        way_out f{error_kind::unavailable};
        auto received = std::make_shared<int>(0);
        loopback_server server{f.io, acting({.at_last = end::reset, .listens = false}, received)};
        check_error(f.ask(get(server.origin())), error_kind::unavailable);
        const auto accepted = server.accepted();
        auto once = f.ask(secret_post(server.origin()));
        REQUIRE(once.has_error());
        const auto unsent = once.error().kind == error_kind::unavailable;
        CHECK((unsent || once.error().kind == error_kind::ambiguous));
        CHECK(server.accepted() - accepted <= (unsent ? tries : 1));
        CHECK(*received == 0);
    }
}

TEST_CASE("attack: certificates that vouch for nobody: the server never sees a request") {
    const test_authority stranger{"Somebody else's"};
    const std::vector<std::pair<std::string_view, identity>> table{
        {"expired", authority().issue({{"127.0.0.1"}, -48h, -24h})},
        {"not valid yet", authority().issue({{"127.0.0.1"}, 24h, 48h})},
        {"self-signed", self_signed({{"127.0.0.1"}})},
        {"for another host", authority().issue({{"api.example"}})},
        {"for no host", authority().issue({})},
        {"by an unknown authority", stranger.issue({{"127.0.0.1"}})},
    };
    for (const auto& [name, shown] : table) {
        CAPTURE(name);
        const auto before = open_descriptors();
        {
            way_out f{error_kind::unavailable};
            auto received = std::make_shared<int>(0);
            loopback_server server{f.io, acting({.say = answer(200, "ok")}, received), shown};
            check_error(f.ask(get(server.origin())), error_kind::refused);
            check_error(f.ask(secret_post(server.origin())), error_kind::refused);
            CHECK(*received == 0);
            CHECK(server.accepted() == 2); // it is no passing fault: not tried again
        }
        CHECK(open_descriptors() == before);
    }
}

TEST_CASE("attack: a proxy that refuses, hangs or lies: nothing was sent, and its password is not told") {
    const std::string password = "hunter-made-up-2";
    struct row {
        std::string_view name;
        conduct does;
        error_kind safe = error_kind::unavailable;
        error_kind once = error_kind::unavailable;
    };
    const std::vector<row> table{
        {"wants a password", {.say = answer(407, "")}, error_kind::refused, error_kind::refused},
        {"forbids", {.say = answer(403, "")}, error_kind::refused, error_kind::refused},
        {"has no way", {.say = answer(502, "")}},
        {"redirects", {.say = answer(302, "", "Location: https://127.0.0.1:1/\r\n")}},
        {"closes", {}},
        {"resets", {.at_last = end::reset}},
        {"hangs", {.at_last = end::hold}, error_kind::timeout},
        {"drips", {.say = "HTTP/1.1 200 ", .and_on = "x", .times = 100, .between = 20ms}, error_kind::timeout},
        {"a header without end", {.say = head("X: "), .and_on = kilobytes, .times = 500}},
        {"speaks no HTTP", {.say = "SSH-2.0-OpenSSH_9.2\r\n\r\n"}},
        {"sends the request back", {.echoes = true}},
        {"says more than it was asked", {.say = head("\r\nHTTP/1.1 200 OK\r\n\r\n")}},
        {"lets through to nobody", {.say = head("\r\n")}},
        {"lets through to a server that hangs", {.say = head("\r\n"), .at_last = end::hold}, error_kind::timeout},
    };
    for (const auto& one : table) {
        CAPTURE(one.name);
        const auto before = open_descriptors();
        {
            way_out f{one.safe};
            auto received = std::make_shared<int>(0);
            loopback_server proxy{f.io, acting(one.does, received)};
            f.settings.https_proxy = "http://me:" + password + "@127.0.0.1:" + std::to_string(proxy.port());
            for (bool once : {false, true}) {
                auto got = f.ask(once ? secret_post("https://api.example") : get("https://api.example"));
                check_error(got, once ? one.once : one.safe);
                CHECK(got.error().message().find(password) == std::string::npos);
                CHECK(got.error().message().find("bWU6") == std::string::npos); // "me:" as it goes over the wire
            }
        }
        CHECK(open_descriptors() == before);
    }
}

TEST_CASE("attack: what is odd but whole is handed on as it is, and leads nowhere") {
    way_out f{error_kind::unavailable};
    auto elsewhere = std::make_shared<int>(0);
    loopback_server bait{f.io, acting({.say = answer(200, "caught")}, elsewhere)};
    struct row {
        std::string text;
        int status;
        std::string_view body;
    };
    std::vector<row> table{
        {"HTTP/1.0 200 OK\r\n\r\nold", 200, "old"},
        {"HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nold", 200, "old"},
        {answer(200, "\x1f\x8b\x08 zipped", "Content-Encoding: gzip\r\n"), 200, "\x1f\x8b\x08 zipped"},
        {answer(200, "more") + "than it says", 200, "more"},
        {answer(200, "", "Set-Cookie: a=b\r\nSet-Cookie: c=d\r\n"), 200, ""},
    };
    for (int status : {301, 302, 303, 307, 308})
        table.push_back(
            {answer(status, "", "Location: " + bait.origin() + "/\r\nRefresh: 0; " + bait.origin() + "\r\n"), status,
             ""});
    for (const auto& one : table) {
        CAPTURE(one.text);
        auto received = std::make_shared<int>(0);
        loopback_server server{f.io, acting({.say = one.text}, received)};
        for (bool once : {false, true}) {
            auto got = f.ask(once ? secret_post(server.origin()) : get(server.origin()));
            REQUIRE_MESSAGE(got.has_value(), got.error().message());
            CHECK(got->status == one.status);
            CHECK(got->body.reveal() == one.body);
        }
        CHECK(*received == 2);
    }
    CHECK(*elsewhere == 0);
}

} // namespace attack_test
