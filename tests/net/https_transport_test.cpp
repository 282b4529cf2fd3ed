#include "net/https_transport.hpp"
#include "support/certificates.hpp"
#include "support/harness.hpp"
#include "support/loopback_server.hpp"

#include <doctest/doctest.h>

using namespace postern;
using namespace postern::net;
using namespace postern::testing;
using namespace std::chrono_literals;
namespace asio = boost::asio;

namespace {

request get(const std::string& origin, std::string target = "/") {
    request r;
    r.origin = origin;
    r.target = std::move(target);
    r.repeatable = repeat::safe;
    r.what = "test GET";
    return r;
}

// One process of the outside: an io_context, a trusted authority, a transport that believes it.
struct fixture {
    asio::io_context io{1};
    test_authority authority;
    temporary_file anchors{authority.certificate()};
    https_settings settings;
    std::unique_ptr<transport> out;

    fixture() { settings.ca_file = anchors.path(); }

    result<response> send(request r) {
        if (!out)
            out = make_https_transport(io.get_executor(), settings);
        return run(io, out->send(std::move(r)));
    }
};

} // namespace

TEST_CASE("an answer comes over verified TLS") {
    fixture f;
    loopback_server server{f.io, always(answer(200, "hello", "X-Test: yes\r\nSet-Cookie: a=b\r\n")),
                           f.authority.issue({{"127.0.0.1"}})};
    auto got = f.send(get(server.origin()));
    REQUIRE_MESSAGE(got.has_value(), got.error().message());
    CHECK(got->status == 200);
    CHECK(got->body.reveal() == "hello");
    CHECK(got->header("x-test") == "yes");
    CHECK(got->header("set-cookie").empty());
}
