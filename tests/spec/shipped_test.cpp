#include "spec/load.hpp"

#include <doctest/doctest.h>

using namespace postern;

TEST_CASE("the shipped specs load") {
    const auto got = spec::load({POSTERN_SOURCE_DIR "/specs"}, {});
    for (const auto& p : got.problems)
        FAIL_CHECK(spec::to_string(p));
    REQUIRE(got.ok());
    CHECK(got.desired.tokens.size() == 2);
}
