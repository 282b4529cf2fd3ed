#include "cli/live.hpp"
#include "support/settable_clock.hpp"

#include <doctest/doctest.h>

#include <sstream>

namespace live_test {

using namespace postern;
using namespace postern::domain;
using namespace std::chrono_literals;
namespace steps = postern::domain::steps;

namespace {

step prove() {
    return {"ServiceToken/console-self-probe", "console.raxx.app", "TokenMissing", "", {"prove:x"}, steps::prove{}};
}

outcome with(verdict v, std::string detail = {}) {
    outcome out;
    out.proved = proof{v, 1, std::move(detail), {}};
    return out;
}

} // namespace

TEST_CASE("away from a terminal each step is one plain line when it ends") {
    std::ostringstream out;
    std::ostringstream logged;
    run::log diagnostics{logged, run::level::warn, run::log_format::text};
    testing::settable_clock clock;
    cli::live watched{out, diagnostics, clock, {}};
    watched.gathering();
    watched.started(prove());
    watched.tick();
    watched.finished(prove(), with(verdict::login_redirect, "302\n"));
    watched.finished(prove(), with(verdict::passed));
    watched.waiting(clock.now(),
                    {{"ServiceToken/a", "Verified", status::unknown, "Propagating", "not yet", weight::waiting}});
    CHECK(out.str() == "console-self-probe: prove console.raxx.app … not yet: sent to the login page (302\\x0a)\n"
                       "console-self-probe: prove console.raxx.app … passed\n"
                       "Waiting until 2026-01-01T00:00:00Z: a: not yet\n");
    CHECK(watched.done().empty());
}

TEST_CASE("on a terminal what is under way is drawn again in place, and is gone in the end") {
    std::ostringstream out;
    std::ostringstream logged;
    run::log diagnostics{logged, run::level::warn, run::log_format::text};
    testing::settable_clock clock;
    std::size_t columns = 80;
    cli::live watched{out, diagnostics, clock, {[&] { return columns; }, false, false}};
    watched.started(prove());
    clock.advance(3s);
    watched.tick();
    CHECK(out.str() == "0s console-self-probe: prove console.raxx.app …\n"
                       "\r\x1b[1A\x1b[J3s console-self-probe: prove console.raxx.app …\n");
    columns = 10;
    watched.tick();
    CHECK(out.str().ends_with("\r\x1b[1A\x1b[J3s console\n"));
    watched.finished(prove(), with(verdict::passed));
    watched.clear();
    CHECK(out.str().ends_with("\r\x1b[1A\x1b[Jconsole-self-probe: prove console.raxx.app … passed\n"));
}

TEST_CASE("what passes leaves nothing behind") {
    std::ostringstream out;
    std::ostringstream logged;
    run::log diagnostics{logged, run::level::warn, run::log_format::text};
    testing::settable_clock clock;
    cli::live watched{out, diagnostics, clock, {[] { return std::size_t{80}; }, false, false, true}};
    watched.gathering();
    watched.started(prove());
    watched.finished(prove(), with(verdict::login_redirect));
    watched.clear();
    CHECK(out.str() == "Reading Cloudflare, the vault and Heroku …\n"
                       "\r\x1b[1A\x1b[J0s console-self-probe: prove console.raxx.app …\n"
                       "\r\x1b[1A\x1b[J");
    CHECK(logged.str().empty());
}

TEST_CASE("what changed something is remembered, what failed is not, and quiet is quiet") {
    std::ostringstream out;
    std::ostringstream logged;
    run::log diagnostics{logged, run::level::warn, run::log_format::text};
    testing::settable_clock clock;
    cli::live watched{out, diagnostics, clock, {{}, false, true}};
    step mint{"ServiceToken/a", "t", "TokenMissing", "", {"token:a"}, steps::mint{}};
    watched.finished(mint, {});
    outcome failed;
    failed.failure = error{error_kind::refused, "where", "what", 400, {}, {}};
    watched.finished(mint, failed);
    outcome waits;
    waits.awaiting_approval = true;
    watched.finished(mint, waits);
    CHECK(watched.done().size() == 1);
    CHECK(out.str().empty());
    CHECK(logged.str() ==
          "warn step action=mint resource=ServiceToken/a target=t reason=TokenMissing result=\"refused: where: what\"\n"
          "warn step action=mint resource=ServiceToken/a target=t reason=TokenMissing "
          "result=\"nothing stored: the vault waits for an approval\"\n");
}

} // namespace live_test
