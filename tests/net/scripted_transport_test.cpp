#include "support/harness.hpp"
#include "support/scripted_transport.hpp"
#include "support/settable_clock.hpp"

#include <doctest/doctest.h>

namespace scripted_transport_test {

using namespace postern;
using namespace postern::net;
using namespace postern::testing;
using namespace std::chrono_literals;

namespace {

result<response> put(scripted_transport& script, std::string_view body) {
    boost::asio::io_context io{1};
    request r;
    r.verb = method::put;
    r.origin = "https://a.example";
    r.target = "/x";
    r.body = secret{body};
    r.with("X-Key", "k");
    r.what = "put x";
    return run(io, script.send(std::move(r)));
}

} // namespace

TEST_CASE("a script answers what it expects, and remembers what was asked") {
    scripted_transport script;
    script.expect(method::put, "/x").answers(201, "first", {{"A", "b"}});
    script.expect(method::put, "https://a.example/x").with_body("{\"b\": 2, \"a\": 1}").with_header("x-key", "k");
    script.expect(method::put, "/x").fails(error_kind::ambiguous, "lost");
    auto first = put(script, "");
    CHECK(first->status == 201);
    CHECK(first->body.reveal() == "first");
    CHECK(first->header("a") == "b");
    CHECK(put(script, "{\"a\":1,\"b\":2}")->status == 200);
    auto lost = put(script, "");
    CHECK(lost.error().kind == error_kind::ambiguous);
    CHECK(lost.error().message() == "put x: lost");
    CHECK(script.requests().size() == 3);
    CHECK(script.requests()[1].url == "https://a.example/x");
    CHECK(script.requests()[1].header("X-KEY") == "k");
}

TEST_CASE("a request that is not in the script fails the test" * doctest::should_fail()) {
    scripted_transport script;
    CHECK(put(script, "").error().kind == error_kind::bug);
}

TEST_CASE("an expectation that is left over fails the test" * doctest::should_fail()) {
    scripted_transport script;
    script.expect(method::put, "/x");
}

TEST_CASE("another body than expected fails the test" * doctest::should_fail()) {
    scripted_transport script;
    script.expect(method::put, "/x").with_body("{\"a\":1}");
    CHECK(put(script, "{\"a\":2}").has_value());
}

} // namespace scripted_transport_test
