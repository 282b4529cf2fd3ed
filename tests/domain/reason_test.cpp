#include <doctest/doctest.h>

#include <fstream>
#include <regex>
#include <sstream>
#include <string>

namespace {

std::string read(const std::string& path) {
    std::ifstream in(std::string{POSTERN_SOURCE_DIR} + "/" + path);
    REQUIRE_MESSAGE(in.good(), path);
    std::ostringstream out;
    out << in.rdbuf();
    return out.str();
}

} // namespace

TEST_CASE("every reason has its line in the runbook, and the runbook names no other") {
    auto header = read("controller/domain/reason.hpp");
    auto runbook = read("deploy/runbook.md");
    std::regex constant{"= \"([A-Za-z]+)\";"};
    std::set<std::string> known;
    for (std::sregex_iterator at(header.begin(), header.end(), constant), end; at != end; ++at)
        known.insert((*at)[1]);
    REQUIRE(known.size() > 50);
    std::regex row{"\\| `([A-Za-z]+)` \\|"};
    std::set<std::string> documented;
    for (std::sregex_iterator at(runbook.begin(), runbook.end(), row), end; at != end; ++at)
        documented.insert((*at)[1]);
    CHECK(documented == known);
}
