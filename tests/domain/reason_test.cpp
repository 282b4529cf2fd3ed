#include <doctest/doctest.h>

#include <fstream>
#include <regex>
#include <set>
#include <sstream>
#include <string>

namespace reason_test {

// The runbook is what an operator has at night: it speaks of every reason, of every step and of every field of the
// record, and of nothing that is not there.

namespace {

std::string read(const std::string& path) {
    std::ifstream in(std::string{POSTERN_SOURCE_DIR} + "/" + path);
    REQUIRE_MESSAGE(in.good(), path);
    std::ostringstream out;
    out << in.rdbuf();
    return out.str();
}

// What the first group of `pattern` matches.
std::multiset<std::string> all(const std::string& text, const std::string& pattern) {
    std::multiset<std::string> out;
    const std::regex form{pattern};
    for (std::sregex_iterator at(text.begin(), text.end(), form), end; at != end; ++at)
        out.insert((*at)[1]);
    return out;
}

std::string section(const std::string& text, const std::string& heading) {
    const auto from = text.find("\n" + heading + "\n");
    REQUIRE_MESSAGE(from != std::string::npos, heading);
    return text.substr(from + 1, text.find("\n#", from + 2) - from);
}

} // namespace

TEST_CASE("every reason has its section in the runbook, which says what to do, and the runbook names no other") {
    const auto known = all(read("controller/domain/reason.hpp"), "= \"([A-Za-z]+)\";");
    const auto runbook = read("deploy/runbook.md");
    REQUIRE(known.size() > 50);
    CHECK(all(runbook, "\n### `([A-Za-z]+)`\n") == known);
    for (const auto& reason : known) {
        CAPTURE(reason);
        const auto text = section(runbook, "### `" + reason + "`");
        const auto advice = text.find("\n**Do:** ");
        REQUIRE(advice != std::string::npos);
        CHECK(text.find_first_not_of('\n', text.find('\n')) < advice); // what it means comes first
        CHECK(text.size() > advice + 12);
    }
}

TEST_CASE("the runbook tells the order of the steps and every field of the record") {
    const auto runbook = read("deploy/runbook.md");
    const auto order = section(runbook, "## The order of the steps");
    std::size_t last = 0;
    for (const auto* step :
         {"check", "intend", "renew", "mint", "hold", "bind", "prove", "promote", "deliver", "confirm", "retire"}) {
        CAPTURE(step);
        const auto at = order.find(std::string{"\n| "} + step);
        REQUIRE(at != std::string::npos);
        CHECK(at > last);
        last = at;
    }
    const auto record = section(runbook, "## The record");
    for (const auto& field : all(read("crds-like-schemas/record.json"), "\"([A-Za-z]+)\": \\{\"description")) {
        CAPTURE(field);
        CHECK(record.find("`" + field + "`") != std::string::npos);
    }
}

} // namespace reason_test
