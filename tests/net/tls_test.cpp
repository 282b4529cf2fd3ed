#include "fixture.hpp"

#include <doctest/doctest.h>

namespace tls_test {

using namespace postern;
using namespace postern::net;
using namespace postern::testing;
using namespace std::chrono_literals;
namespace asio = boost::asio;

namespace {

// The failure of one GET to a server with this identity, reached by this name.
error refusal(const identity& of_server, const std::string& host = "127.0.0.1") {
    outside f;
    loopback_server server{f.io, always(answer(200, "must not be seen")), of_server};
    auto got = f.send(get("https://" + host + ":" + std::to_string(server.port())));
    REQUIRE(got.has_error());
    return got.error();
}

asio::awaitable<void> speak_first(std::shared_ptr<peer> client) {
    co_await client->write("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
    co_await client->hold();
}

} // namespace

TEST_CASE("an answer comes over verified TLS") {
    outside f;
    loopback_server server{f.io, always(answer(200, "hello", "X-Test: yes\r\nSet-Cookie: a=b\r\n")),
                           loopback_identity()};
    auto got = f.send(get(server.origin()));
    REQUIRE_MESSAGE(got.has_value(), got.error().message());
    CHECK(got->status == 200);
    CHECK(got->body.reveal() == "hello");
    CHECK(got->header("x-test") == "yes");
    CHECK(got->header("set-cookie").empty());
}

TEST_CASE("a certificate that cannot be believed is refused in words, with the cure") {
    auto self = refusal(self_signed({{"127.0.0.1"}}));
    CHECK(self.kind == error_kind::refused);
    CHECK(self.where == "test GET");
    CHECK(says(self, "self-signed"));
    CHECK(says(self, "--ca-file"));

    auto expired = refusal(authority().issue({{"127.0.0.1"}, -48h, -24h}));
    CHECK(expired.kind == error_kind::refused);
    CHECK(says(expired, "expired at 20"));

    auto early = refusal(authority().issue({{"127.0.0.1"}, 24h, 48h}));
    CHECK(early.kind == error_kind::refused);
    CHECK(says(early, "not valid before 20"));

    auto elsewhere = refusal(authority().issue({{"a.example", "b.example"}}));
    CHECK(elsewhere.kind == error_kind::refused);
    CHECK(says(elsewhere, "wrong host"));
    CHECK(says(elsewhere, "a.example, b.example, not for 127.0.0.1"));

    auto many = refusal(authority().issue(
        {{"a.example", "b.example", "c.example", "d.example", "e.example", "f.example", "g.example"}}));
    CHECK(says(many, "for a.example, b.example, c.example, d.example, e.example, ..., not for 127.0.0.1"));

    auto by_address = refusal(authority().issue({{"127.0.0.2", "10.0.0.1"}}));
    CHECK(says(by_address, "wrong host: the TLS certificate is for no host name, not for 127.0.0.1"));

    auto by_name = refusal(authority().issue({{"127.0.0.1"}}), "localhost");
    CHECK(by_name.kind == error_kind::refused);
    CHECK(says(by_name, "not for localhost"));

    const test_authority stranger{"Somebody else's"};
    auto unknown = refusal(stranger.issue({{"127.0.0.1"}}));
    CHECK(unknown.kind == error_kind::refused);
    CHECK(says(unknown, "\"Somebody else's\", which this machine does not trust"));
    CHECK(says(unknown, "--ca-file"));

    // The whole chain, with the authority that nobody here knows.
    auto whole = stranger.issue({{"127.0.0.1"}});
    whole.certificate += stranger.certificate();
    auto in_chain = refusal(whole);
    CHECK(in_chain.kind == error_kind::refused);
    CHECK(says(in_chain, "\"Somebody else's\", which this machine does not trust"));
}

TEST_CASE("a common name without a subject alternative name is no host name") {
    auto e = refusal(authority().issue({}), "localhost");
    CHECK(e.kind == error_kind::refused);
    CHECK(says(e, "the TLS certificate is for no host name, not for localhost"));
}

TEST_CASE("without a file of anchors the system's own are believed, and no others") {
    outside f;
    f.settings.ca_file.reset();
    CHECK(check(f.settings).has_value());
    loopback_server server{f.io, always(answer(200, "must not be seen")), loopback_identity()};
    auto got = f.send(get(server.origin()));
    REQUIRE(got.has_error());
    CHECK(got.error().kind == error_kind::refused);
    CHECK(says(got.error(), "\"Postern test authority\", which this machine does not trust"));
}

TEST_CASE("a server's own certificate serves as trust anchor") {
    outside f;
    auto own = self_signed({{"127.0.0.1"}});
    temporary_file anchor{own.certificate};
    f.settings.ca_file = anchor.path();
    loopback_server server{f.io, always(answer(200, "")), own};
    CHECK(f.send(get(server.origin())).has_value());
}

TEST_CASE("a peer that does not speak TLS is told from one that is not believed") {
    outside f;
    loopback_server server{f.io, speak_first};
    auto got = f.send(post("https://127.0.0.1:" + std::to_string(server.port())));
    REQUIRE(got.has_error());
    CHECK(got.error().kind == error_kind::unavailable);
    CHECK(says(got.error(), "does it speak TLS"));
}

TEST_CASE("a CA file that cannot be used is a mistake of the operator's") {
    outside f;
    f.settings.ca_file = "/nonexistent/ca.pem";
    CHECK(check(f.settings).error().kind == error_kind::spec);
    auto got = f.send(get("https://127.0.0.1:1"));
    REQUIRE(got.has_error());
    CHECK(got.error().kind == error_kind::spec);
    CHECK(says(got.error(), "/nonexistent/ca.pem"));

    temporary_file empty{"no certificate here"};
    f.settings.ca_file = empty.path();
    CHECK(check(f.settings).has_error());
    f.settings.ca_file = anchors().path();
    CHECK(check(f.settings).has_value());
}

} // namespace tls_test
