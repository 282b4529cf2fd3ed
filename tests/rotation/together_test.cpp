#include "rotation/canonical.hpp"
#include "rotation/matrix.hpp"

#include <doctest/doctest.h>

#include <iostream>
#include <random>

namespace together_test {

using namespace postern;
using namespace postern::testing;
using namespace std::chrono_literals;

namespace {

// Two or three processes at once, each request some milliseconds on its way, begun within some time of one another.
std::string play_together(const scenario& s, unsigned seed, const undisturbed& expected) {
    std::mt19937 dice{seed};
    auto below = [&](int most) { return duration{std::uniform_int_distribution<int>{0, most}(dice)}; };
    story_world w;
    s.prepare(w);
    w.cloud.vault.switches.create_gap = 40ms;
    const int spread = seed % 4 == 0 ? 0 : seed % 4 == 1 ? 60 : seed % 4 == 2 ? 2000 : 40000;
    const int lag = seed % 3 == 0 ? 20 : seed % 3 == 1 ? 120 : 900;
    std::vector<duration> starts{0ms, below(spread)};
    if (seed % 5 == 0)
        starts.push_back(below(spread));
    w.apply_together(w.wanted(), starts, [&](std::size_t) { return below(lag); });
    auto wrong = until_over(w, s.afterwards);
    wrong += complaints(w, expected.end, interference::leaves::echoes);
    return wrong;
}

} // namespace

TEST_CASE("several processes at once: one token, one row per key, the same end") {
    const auto only = environment("POSTERN_MATRIX_SCENARIO");
    const unsigned seeds = asked_sample().is_full() ? 200 : asked_sample().one_in > sample{}.one_in ? 2 : 6;
    tally counts;
    for (const auto& s : scenarios()) {
        if (s.name.find(only) == std::string::npos)
            continue;
        const auto expected = play(s);
        for (unsigned seed = 1; seed <= seeds; ++seed) {
            const auto wrong = play_together(s, seed, expected);
            counts.enter(s.name, "at once", wrong.empty());
            CHECK_MESSAGE(wrong.empty(), s.name, ", seed ", seed, ":\n", wrong);
        }
    }
    std::cout << counts.text();
}

} // namespace together_test
