#include "bench/decades.hpp"

#include <doctest/doctest.h>

#include <numeric>
#include <string>

// The short form of the program `decades`, and what it would be worth little without: that a refusal is seen, and that
// a seed replays.
namespace postern::bench {

namespace {

std::string words_of(const outcome_of_run& out) {
    if (!out.first)
        return "nothing found";
    return std::accumulate(out.first->history.begin(), out.first->history.end(), out.first->what,
                           [](const auto& all, const auto& line) { return all + "\n  " + line; });
}

std::uint64_t sum(const std::map<std::string, std::uint64_t>& counts) {
    return std::accumulate(counts.begin(), counts.end(), std::uint64_t{0},
                           [](auto so_far, const auto& one) { return so_far + one.second; });
}

} // namespace

TEST_CASE("fifty tokens over three years: nobody is refused, and all comes to rest") {
    const auto out = live_all(short_form(1));
    CHECK_MESSAGE(!out.first, words_of(out));
    CHECK(out.refusals == 0);
    CHECK(out.done.samples > 10);
    CHECK(out.done.surprises == 0);
    for (const char* strategy : {"Replace", "InPlace", "Renew"}) {
        CAPTURE(strategy);
        CHECK(out.done.rotations.contains(strategy));
    }
    CHECK(sum(out.done.rotations) > 100);
    CHECK(out.done.faults.size() >= 10);
    CHECK(out.done.crashes > 5);
    CHECK(out.done.stalls > 5);
    CHECK(out.done.asked > 10000);
    CHECK(out.done.stood_for > out.done.asked);
}

TEST_CASE("a seed replays exactly, on however many threads; another seed does not") {
    auto f = short_form(7);
    f.tokens = 20;
    f.estates = 2;
    f.years = 1;
    const auto once = live_all(f);
    f.threads = 1;
    const auto again = live_all(f);
    CHECK(once.digest == again.digest);
    CHECK(once.done.events == again.done.events);
    CHECK(once.done.stood_for == again.done.stood_for);
    f.seed = 8;
    CHECK(live_all(f).digest != once.digest);
}

TEST_CASE("a core that is broken on purpose is caught, and what it did is told") {
    auto f = short_form(1);
    f.broken = defect::no_overlap;
    auto out = live_all(f);
    CHECK(out.refusals > 0);
    REQUIRE(out.first);
    CHECK_MESSAGE(out.first->what.find("it is dead") != std::string::npos, out.first->what);
    CHECK(out.first->history.size() > 10);

    f.broken = defect::blind_promote;
    out = live_all(f);
    CHECK(out.refusals > 0);
    REQUIRE(out.first);
    CHECK_MESSAGE(out.first->what.find("no policy at the edge admits it") != std::string::npos, out.first->what);
}

} // namespace postern::bench
