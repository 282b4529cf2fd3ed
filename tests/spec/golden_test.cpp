#include "spec/load.hpp"

#include <doctest/doctest.h>

#include <fstream>
#include <sstream>

namespace golden_test {

using namespace postern;

namespace {

const std::string golden = POSTERN_SOURCE_DIR "/tests/golden/specs/";

std::string read(const std::string& path) {
    std::ifstream in(path);
    REQUIRE_MESSAGE(in, path);
    std::ostringstream out;
    out << in.rdbuf();
    return out.str();
}

// As `validate` prints it, less the way to this checkout.
std::string said_about(const std::string& folder) {
    std::string out;
    for (const auto& p : spec::load({folder}, {}).problems)
        out += spec::to_string(p) + "\n";
    for (auto at = out.find(golden); at != std::string::npos; at = out.find(golden))
        out.erase(at, golden.size());
    return out;
}

} // namespace

TEST_CASE("a folder full of errors: all at once, in order, no secret quoted") {
    const auto said = said_about(golden + "broken");
    CHECK(said == read(golden + "broken.txt"));
    CHECK(said.find("canary") == std::string::npos);
}

TEST_CASE("a folder of which everything can be read: what the documents say about each other") {
    CHECK(said_about(golden + "contradictory") == read(golden + "contradictory.txt"));
}

} // namespace golden_test
