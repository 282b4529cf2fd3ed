#include "net/request_text.hpp"

#include <doctest/doctest.h>

namespace request_text_test {

using namespace postern;
using namespace postern::net;

namespace {

std::string text_of(const wiping_buffer& bytes) {
    return {bytes.begin(), bytes.end()};
}

request to(std::string target) {
    request r;
    r.target = std::move(target);
    return r;
}

} // namespace

TEST_CASE("the port is named where it is not the usual one") {
    CHECK(authority({"https", "a.example", "443"}) == "a.example");
    CHECK(authority({"https", "a.example", "80"}) == "a.example:80");
    CHECK(authority({"http", "a.example", "80"}) == "a.example");
    CHECK(authority({"http", "::1", "8080"}) == "[::1]:8080");
    CHECK(authority({"https", "::1", "443"}) == "[::1]");
}

TEST_CASE("a length is sent where a body may be expected") {
    auto r = to("/");
    auto length_of = [&](method verb, std::string_view body) {
        r.verb = verb;
        r.body = secret{body};
        auto text = text_of(request_text(r, {"https", "a.example", "443"}, "test"));
        auto at = text.find("Content-Length: ");
        return at == std::string::npos ? std::string{} : text.substr(at + 16, text.find('\r', at) - at - 16);
    };
    CHECK(length_of(method::get, "") == "");
    CHECK(length_of(method::delete_, "") == "");
    CHECK(length_of(method::delete_, "{}") == "2");
    CHECK(length_of(method::post, "") == "0");
    CHECK(length_of(method::put, "") == "0");
    CHECK(length_of(method::patch, "{\"a\":null}") == "10");
}

TEST_CASE("a proxy is asked by host and port, with its login where it has one") {
    CHECK(text_of(connect_text({"https", "a.example", "443"}, {})) ==
          "CONNECT a.example:443 HTTP/1.1\r\nHost: a.example:443\r\n\r\n");
    CHECK(text_of(connect_text({"https", "::1", "8443"}, secret{"Basic eDp5"})) ==
          "CONNECT [::1]:8443 HTTP/1.1\r\nHost: [::1]:8443\r\nProxy-Authorization: Basic eDp5\r\n\r\n");
}

TEST_CASE("text that would mean something else on the wire is not sent") {
    for (auto good : {"/", "/a?b=c&d=%20", "/~x;y"})
        CHECK_MESSAGE(check_text(to(good)).has_value(), good);
    for (auto bad : {"", "a", "/a b", "/a\r\nX: y", "/\x7f", "/\xc3\xa9", "http://a.example/"})
        CHECK_MESSAGE(check_text(to(bad)).error().kind == error_kind::bug, bad);
    for (auto bad : {"", "A B", "A:", "A\r\nB", "Host", "content-length", "Transfer-Encoding", "CONNECTION"}) {
        auto r = to("/");
        r.with(bad, "x");
        CHECK_MESSAGE(check_text(r).error().kind == error_kind::bug, bad);
    }
    for (auto bad : {"made-up\n", "made-up\r", "a\r\nX: y", "\x7f", "\x01"}) {
        auto r = to("/");
        r.with("Authorization", bad);
        auto got = check_text(r);
        REQUIRE_MESSAGE(got.has_error(), bad);
        CHECK(got.error().kind == error_kind::spec);
        CHECK(got.error().message().find("made-up") == std::string::npos);
    }
    auto nul = to("/");
    nul.with("Authorization", std::string_view{"a\0b", 3});
    CHECK(check_text(nul).has_error());
    auto fine = to("/");
    fine.with("X-Any", "tab\tand \xc3\xa9 and : too");
    CHECK(check_text(fine).has_value());
}

} // namespace request_text_test
