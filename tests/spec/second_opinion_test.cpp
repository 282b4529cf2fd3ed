#include "spec/generated.hpp"
#include "spec/schema.hpp"
#include "spec/second_opinion.hpp"

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <doctest/doctest.h>

#include <random>

namespace second_opinion_test {

using namespace postern;
using namespace postern::spec_test;
namespace json = boost::json;

// The short form of tests/fuzz/schemas.
TEST_CASE("generated documents are judged as an independent validator judges them") {
    std::mt19937 dice{20261126};
    int fine = 0;
    int refused = 0;
    for (const auto& kind : spec::schema::kinds()) {
        for (int i = 0; i < 300; ++i) {
            std::string bytes(200, '\0');
            for (auto& byte : bytes)
                byte = static_cast<char>(dice() & 0xffU);
            choices by{bytes};
            const auto document = generate(*spec::schema::of(kind), by);
            const auto both = ask_both(kind, document);
            CHECK_MESSAGE(both.ours == both.theirs, json::serialize(document), "\n", both.said);
            ++(both.ours ? fine : refused);
        }
    }
    // Else one side of the comparison would be empty.
    CHECK(fine > 20);
    CHECK(refused > 500);
}

} // namespace second_opinion_test
