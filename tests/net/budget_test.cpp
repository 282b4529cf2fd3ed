#include "net/budget.hpp"
#include "support/harness.hpp"
#include "support/scripted_transport.hpp"
#include "support/settable_clock.hpp"

#include <doctest/doctest.h>

#include <exception>
#include <string>
#include <utility>
#include <vector>

namespace budget_test {

// What the governor of an account makes of the answers.

using namespace postern;
using namespace postern::net;
using namespace postern::testing;
using namespace std::chrono_literals;
namespace asio = boost::asio;

namespace {

struct stage {
    asio::io_context io{1};
    settable_clock time;
    scripted_transport script;
    budget governed{script, time};

    stage() { time.jump_over_sleeps(); }

    result<response> send(std::string target, std::string quota = {}) {
        request r;
        r.origin = "https://api.example";
        r.target = std::move(target);
        r.quota = std::move(quota);
        r.repeatable = repeat::safe;
        r.what = "test";
        return run(io, governed.send(std::move(r)));
    }
};

} // namespace

TEST_CASE("of several counters the one with the least left is told; one that the remote never told of is none") {
    stage s;
    CHECK(!s.governed.remaining());
    s.script.expect(method::get, "/silent").answers(200);
    s.send("/silent", "silent");
    CHECK(!s.governed.remaining());
    s.script.expect(method::get, "/reads").answers(200, "", {{"RateLimit-Remaining", "700"}});
    s.send("/reads", "reads");
    CHECK(s.governed.remaining() == 700);
    s.script.expect(method::get, "/writes").answers(200, "", {{"RateLimit-Remaining", "40"}});
    s.send("/writes", "writes");
    CHECK(s.governed.remaining() == 40);
    s.script.expect(method::get, "/reads").answers(200, "", {{"RateLimit-Remaining", "30"}});
    s.send("/reads", "reads");
    CHECK(s.governed.remaining() == 30);
}

TEST_CASE("fewer are sent at once to a remote that is overtaxed or silent, whatever it says of that") {
    struct row {
        int status;
        bool overtaxed;
    };
    for (const auto& r : {row{429, true}, row{503, true}, row{504, true}, row{529, true}, row{200, false},
                          row{404, false}, row{500, false}, row{502, false}}) {
        CAPTURE(r.status);
        stage s;
        const auto most = s.governed.concurrency();
        s.script.expect(method::get, "/x").answers(r.status);
        s.send("/x");
        CHECK((s.governed.concurrency() < most) == r.overtaxed);
        CHECK(s.governed.concurrency() >= 1);
    }
    for (auto kind : {error_kind::timeout, error_kind::ambiguous, error_kind::unavailable, error_kind::refused}) {
        CAPTURE(static_cast<int>(kind));
        stage s;
        const auto most = s.governed.concurrency();
        s.script.expect(method::get, "/x").fails(kind);
        s.send("/x");
        CHECK((s.governed.concurrency() < most) == (kind == error_kind::timeout || kind == error_kind::ambiguous));
    }
}

TEST_CASE("the pause after a 429 is as long as the remote says, in whichever of its headers") {
    struct row {
        std::vector<std::pair<std::string, std::string>> headers;
        duration pause;
    };
    for (const auto& r :
         {row{{{"Retry-After", "20"}}, 20s}, row{{{"x-ratelimit-remaining", "0"}, {"x-ratelimit-reset", "25"}}, 25s},
          row{{{"Retry-After", "5"}, {"x-ratelimit-remaining", "0"}, {"x-ratelimit-reset", "25"}}, 25s},
          row{{}, 30s}}) {
        stage s;
        s.script.expect(method::get, "/x").answers(429, "", r.headers);
        CHECK(s.send("/x")->status == 429);
        const auto began = s.time.now();
        s.script.expect(method::get, "/x").answers(200);
        CHECK(s.send("/x")->status == 200);
        CHECK(s.time.now() - began == r.pause);
    }
}

TEST_CASE("a clock that is set back meanwhile makes no pause longer, and no window") {
    stage s;
    SUBCASE("a pause") {
        s.script.expect(method::get, "/x").answers(429, "", {{"Retry-After", "20"}});
        CHECK(s.send("/x")->status == 429);
        s.time.set(s.time.now() - 1h);
    }
    SUBCASE("a window that is used up") {
        s.script.expect(method::get, "/x").answers(200, "", {{"Ratelimit", "\"default\";r=0;t=20"}});
        CHECK(s.send("/x")->status == 200);
        s.time.set(s.time.now() - 1h);
    }
    const auto began = s.time.now();
    s.script.expect(method::get, "/x").answers(200);
    CHECK(s.send("/x")->status == 200);
    CHECK(s.time.now() - began == 20s);
}

TEST_CASE("a remote that asks for years is waited for no longer where nobody wants to hear of it, either") {
    stage s;
    s.script.expect(method::get, "/x").answers(429, "", {{"Retry-After", "999999999"}});
    CHECK(s.send("/x")->status == 429);
    CHECK(s.send("/x").error().retry_after == 1h);
}

TEST_CASE("what is still under way uses the budget up: the next one is put off until it may have left the window") {
    asio::io_context io{1};
    settable_clock time;
    scripted_transport script;
    budget_settings settings;
    settings.quotas = {{3, 5min}};
    budget governed{script, time, settings};
    std::vector<result<response>> got;
    auto begin = [&](std::string target) {
        request r;
        r.origin = "https://api.example";
        r.target = std::move(target);
        r.repeatable = repeat::safe;
        r.what = "test";
        auto job = governed.send(std::move(r));
        asio::co_spawn(io, std::move(job), [&](const std::exception_ptr& thrown, result<response> one) {
            CHECK(thrown == nullptr);
            got.push_back(std::move(one));
        });
        io.restart();
        io.poll();
    };
    for (int i = 0; i < 3; ++i) {
        script.expect(method::get, "/slow").answers(200).after(time, 1min);
        begin("/slow");
    }
    CHECK(script.requests().size() == 3);
    begin("/late");
    REQUIRE(got.size() == 1);
    CHECK(got[0].error().kind == error_kind::throttled);
    CHECK(got[0].error().retry_after == 5min);
    run_through_time(io, time);
    CHECK(got.size() == 4);
    CHECK(script.requests().size() == 3);
}

} // namespace budget_test
