#include "net/http.hpp"
#include "net/https_transport.hpp"
#include "net/proxy.hpp"

#include <doctest/doctest.h>

#include <map>

namespace http_test {

using namespace postern;
using namespace postern::net;

TEST_CASE("an origin is scheme, host and port, and nothing else") {
    auto plain = parse_origin("https://API.Cloudflare.com");
    REQUIRE(plain);
    CHECK(plain->scheme == "https");
    CHECK(plain->host == "api.cloudflare.com");
    CHECK(plain->port == "443");
    CHECK(parse_origin("http://127.0.0.1:8080")->port == "8080");
    CHECK(parse_origin("http://host_1")->port == "80");
    auto six = parse_origin("HTTP://[::1]:81");
    REQUIRE(six);
    CHECK(six->host == "::1");
    CHECK(six->port == "81");
    for (auto bad : {"",
                     "host",
                     "ftp://host",
                     "https://",
                     "https://host/",
                     "https://host/path",
                     "https://me@host",
                     "https://host:",
                     "https://host:0",
                     "https://host:65536",
                     "https://host:8o",
                     "https://[::1",
                     "https://[host]",
                     "https://ho st",
                     "https://host\r\n",
                     "https://[]",
                     "https://::1",
                     "https:/host",
                     "https://host?x",
                     "https://host#x",
                     "https://[::1]x"})
        CHECK_MESSAGE(!parse_origin(bad), bad);
}

TEST_CASE("a path segment or a query value is encoded byte by byte") {
    CHECK(percent_encode("aZ09-._~") == "aZ09-._~");
    CHECK(percent_encode("/Moose Quest?&=+%") == "%2FMoose%20Quest%3F%26%3D%2B%25");
    CHECK(percent_encode("\xc3\xa9\r\n") == "%C3%A9%0D%0A");
}

TEST_CASE("a header is found whatever its case; the first one counts") {
    response r;
    r.headers = {{"Retry-After", "1"}, {"retry-after", "2"}};
    CHECK(r.header("RETRY-AFTER") == "1");
    CHECK(r.header("Date").empty());
}

TEST_CASE("a copy of a request is the request") {
    request r;
    r.verb = method::put;
    r.origin = "https://a.example";
    r.target = "/x";
    r.with("A", "b");
    r.body = secret{"body"};
    r.repeatable = repeat::safe;
    r.what = "what";
    r.timeout = std::chrono::seconds{3};
    r.body_limit = 5;
    r.connect_to = "http://127.0.0.1";
    auto copy = r.copy();
    CHECK(copy.verb == r.verb);
    CHECK(copy.origin == r.origin);
    CHECK(copy.target == r.target);
    REQUIRE(copy.headers.size() == 1);
    CHECK(copy.headers[0].name == "A");
    CHECK(copy.headers[0].value.reveal() == "b");
    CHECK(copy.body.reveal() == "body");
    CHECK(copy.repeatable == r.repeatable);
    CHECK(copy.what == r.what);
    CHECK(copy.timeout == r.timeout);
    CHECK(copy.body_limit == r.body_limit);
    CHECK(copy.connect_to == r.connect_to);
}

TEST_CASE("a proxy is read as its variable is usually written") {
    CHECK(parse_proxy("http://proxy.example:3128").value().host == "proxy.example");
    CHECK(parse_proxy("http://proxy.example:3128/").value().port == "3128");
    CHECK(parse_proxy("proxy.example").value().port == "80");
    CHECK(parse_proxy("proxy.example").value().authorization.empty());
    // "a:b/%zz%2": what is no escape stands for itself.
    CHECK(parse_proxy("http://a:b%2F%zz%2@p:1").value().authorization.reveal() == "Basic YTpiLyV6eiUy");
    CHECK(parse_proxy("http://a:b%2f%zz%2@p:1").value().authorization.reveal() == "Basic YTpiLyV6eiUy");
    CHECK(parse_proxy("http://Aladdin:open%20sesame@p:1").value().authorization.reveal() ==
          "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
    for (auto bad :
         {"https://proxy.example", "socks5://proxy.example", "http://", "http://made-up:pass@", "http://a b"}) {
        auto got = parse_proxy(bad);
        REQUIRE_MESSAGE(got.has_error(), bad);
        CHECK(got.error().kind == error_kind::spec);
        CHECK(got.error().message().find("made-up") == std::string::npos);
    }
}

TEST_CASE("who is reached without the proxy") {
    struct row {
        std::string_view list;
        std::string_view origin;
        bool direct;
    };
    for (auto [list, origin, direct] : std::initializer_list<row>{
             {"", "https://api.example", false},
             {"", "https://localhost", true},
             {"", "https://127.0.0.9:8443", true},
             {"", "https://[::1]", true},
             {"*", "https://api.example", true},
             {"api.example", "https://api.example", true},
             {"other, API.example", "https://api.example", true},
             {"example", "https://api.example", true},
             {".example", "https://api.example", true},
             {"*.example", "https://api.example", true},
             {"pi.example", "https://api.example", false},
             {"api.example:8443", "https://api.example", false},
             {"api.example:8443", "https://api.example:8443", true},
             {"10.0.0.1", "https://10.0.0.1", true},
             {"fe80::1", "https://[fe80::1]", true},
             {",,", "https://api.example", false},
         })
        CHECK_MESSAGE(bypasses_proxy(list, *parse_origin(origin)) == direct, list << " " << origin);
}

TEST_CASE("the proxy comes from the environment, the lower-case name first") {
    std::map<std::string, std::string, std::less<>> variables{{"HTTPS_PROXY", "http://big:1"}, {"NO_PROXY", "a"}};
    auto environment = [&](std::string_view name) {
        auto at = variables.find(name);
        return at == variables.end() ? std::nullopt : std::optional{at->second};
    };
    https_settings settings;
    read_proxy_environment(settings, environment);
    CHECK(settings.https_proxy == "http://big:1");
    CHECK(settings.no_proxy == "a");
    variables["https_proxy"] = "http://small:1";
    variables["no_proxy"] = "";
    read_proxy_environment(settings, environment);
    CHECK(settings.https_proxy == "http://small:1");
    CHECK(settings.no_proxy == "a");
    variables.clear();
    https_settings none;
    read_proxy_environment(none, environment);
    CHECK(!none.https_proxy);
}

} // namespace http_test
