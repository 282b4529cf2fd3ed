#include "spec/yaml.hpp"

#include <doctest/doctest.h>

namespace yaml_test {

using namespace postern;
using spec::node;
using spec::read_yaml;

namespace {

std::string flaw_of(std::string_view text, const spec::yaml_limits& limits = {}) {
    const auto got = read_yaml(text, limits);
    if (got.flaws.empty())
        return "";
    const auto& first = got.flaws.front();
    return std::to_string(first.at.line) + ":" + std::to_string(first.at.column) + ": " + first.message;
}

node::kind kind_of(const std::string& scalar) {
    const auto got = read_yaml("a: " + scalar);
    REQUIRE(got.flaws.empty());
    REQUIRE(got.documents.size() == 1);
    return got.documents[0].entries.at(0).value.is;
}

} // namespace

TEST_CASE("documents become trees with positions") {
    const auto got = read_yaml("# first\na: 1\nb:\n  - x\n  - {ç: 'y', d: z}\n---\n# nothing\n---\n- e\n");
    CHECK(got.flaws.empty());
    CHECK(got.complete);
    REQUIRE(got.documents.size() == 2);
    const auto& first = got.documents[0];
    CHECK(first.is == node::kind::mapping);
    CHECK(first.at == spec::position{2, 1});
    REQUIRE(first.find("b") != nullptr);
    CHECK(first.find("b")->at == spec::position{3, 1});
    const auto& list = first.find("b")->value;
    REQUIRE(list.items.size() == 2);
    CHECK(list.items[0].at == spec::position{4, 5});
    const auto* d = list.items[1].find("d");
    REQUIRE(d != nullptr);
    CHECK(d->value.scalar == "z");
    // Columns are characters, whatever their bytes.
    CHECK(d->at == spec::position{5, 14});
    CHECK(got.documents[1].is == node::kind::list);
}

TEST_CASE("plain scalars have the types of YAML 1.2") {
    using enum node::kind;
    for (auto plain : {"", "~", "null", "Null", "NULL"})
        CHECK_MESSAGE(kind_of(plain) == null, plain);
    for (auto plain : {"true", "True", "TRUE", "false"})
        CHECK_MESSAGE(kind_of(plain) == boolean, plain);
    for (auto plain : {"0", "-12", "+3", "0o17", "0xfF", "007"})
        CHECK_MESSAGE(kind_of(plain) == integer, plain);
    for (auto plain : {"1.5", ".5", "1.", "-1e3", "2E-4", ".inf", "-.Inf", ".nan"})
        CHECK_MESSAGE(kind_of(plain) == real, plain);
    for (auto plain : {"yes",
                       "on",
                       "no",
                       "tRUE",
                       "1h",
                       "0x",
                       "0o8",
                       "1e",
                       "e1",
                       ".",
                       "-",
                       "+",
                       "1.2.3",
                       "'1'",
                       "\"true\"",
                       "''",
                       "023e105f4ecef8ad9ca31a8372d0c353",
                       "8760h",
                       "2027-01-31",
                       "1:30"}) {
        if (std::string_view(plain) != "-")
            CHECK_MESSAGE(kind_of(plain) == text, plain);
    }
    CHECK(read_yaml("a: |\n  1\n").documents.at(0).entries.at(0).value.is == text);
}

TEST_CASE("what could be misread is refused, where it stands") {
    CHECK(flaw_of("a: 1\nb: 2\na: 3\n") == "3:1: this field was already given on line 1");
    CHECK(flaw_of("a: 1\n'a': 3\n") == "2:1: this field was already given on line 1");
    CHECK(flaw_of("a: &x 1\n") == "1:4: anchors and aliases are not allowed");
    CHECK(flaw_of("a: &x [b]\n") == "1:4: anchors and aliases are not allowed");
    CHECK(flaw_of("a: &x [*x]\n") == "1:4: anchors and aliases are not allowed");
    CHECK(flaw_of("a: *x\n") == "1:4: anchors and aliases are not allowed");
    CHECK(flaw_of("<<: {a: 1}\n") == "1:1: merge keys are not allowed: write the fields out");
    CHECK(flaw_of("a: !!str 1\n") == "1:4: tags are not allowed");
    CHECK(flaw_of("a: !secret {b: c}\n") == "1:4: tags are not allowed");
    CHECK(flaw_of("[a]: 1\n") == "1:1: a key must be a plain word");
    CHECK(flaw_of("{{a: b}: 1}\n") == "1:2: a key must be a plain word");
    CHECK(flaw_of("~: 1\n") == "1:1: a key must be a plain word");
    CHECK(flaw_of("a: \"\\x1b[2J\"\n") == "1:4: control characters are not allowed");
    CHECK(flaw_of("a: \"\\u202e\"\n") == "1:4: control characters are not allowed");
    CHECK(flaw_of("a: \"b\\tc\\nd\"\n") == "");
}

TEST_CASE("all that is refused in a text is told at once, and the rest is read") {
    const auto got = read_yaml("a: &x 1\nb: *x\nc: !t 1\nd: 4\nd: 5\n---\ne: 6\n");
    CHECK(got.complete);
    REQUIRE(got.flaws.size() == 4);
    CHECK(got.flaws[3].path.to_string() == "$.d");
    REQUIRE(got.documents.size() == 2);
    CHECK(got.documents[0].find("a")->value.is == node::kind::integer);
    CHECK(got.documents[0].find("b")->value.is == node::kind::broken);
    CHECK(got.documents[0].find("d")->value.scalar == "4");
}

TEST_CASE("bytes that are no text are refused") {
    CHECK(flaw_of("\xef\xbb\xbf"
                  "a: 1\n") == "");
    CHECK(flaw_of("a: 1\r\nb: 2\r\n") == "");
    CHECK(flaw_of("a: é\xff\n") == "1:5: not valid UTF-8");
    CHECK(flaw_of("a: \xc0\x80\n") == "1:4: not valid UTF-8");
    CHECK(flaw_of("a: \xed\xa0\x80\n") == "1:4: not valid UTF-8");
    CHECK(flaw_of("a:\n b: \x1b[31m\n") == "2:5: control characters are not allowed: \\x1b");
    CHECK(flaw_of(std::string_view("a: \0b\n", 7)) == "1:4: control characters are not allowed: \\x00");
    CHECK(flaw_of("a: b\rc: d\n") == "1:5: control characters are not allowed: \\x0d");
    CHECK(flaw_of("# \xe2\x80\xae\n") == "1:3: control characters are not allowed: \\u{202e}");
    CHECK(flaw_of(std::string_view("a\0:\0 \0b\0", 8)) == "1:2: control characters are not allowed: \\x00");
}

TEST_CASE("limits hold") {
    CHECK(flaw_of("a: 123456\n", {8, 100, 32}) == "0:0: larger than 8 bytes");
    CHECK(flaw_of("[1, 2, 3]", {100, 3, 32}) == "1:8: more than 3 values in one file");
    CHECK(flaw_of(std::string(32, '[') + std::string(32, ']')) == "");
    CHECK(flaw_of(std::string(33, '[') + std::string(33, ']')) == "1:33: nested deeper than 32 levels");
    CHECK(flaw_of(std::string(100'000, '[')).find("nested deeper than 32 levels") != std::string::npos);
    std::string blocks;
    for (int i = 0; i < 100; ++i)
        blocks += std::string(static_cast<std::size_t>(i), ' ') + "-\n";
    CHECK(flaw_of(blocks).find("nested deeper than 32 levels") != std::string::npos);
}

TEST_CASE("what is not YAML is told without quoting it") {
    CHECK(flaw_of("a: b: c\n") == "1:5: not valid YAML: illegal map value");
    CHECK(flaw_of("a: [b\n") == "2:1: not valid YAML: end of sequence flow not found");
    CHECK(flaw_of("a: \"hunter2") == "1:12: not valid YAML: illegal EOF in scalar");
    CHECK(flaw_of("a: \"\\hunter2\"\n") == "1:7: not valid YAML: unknown escape character");
    CHECK(flaw_of("a: 1\n b: 2\n  c\n").find("not valid YAML") != std::string::npos);
    const auto got = read_yaml("a: 1\n---\nb: [\n");
    CHECK(!got.complete);
    CHECK(got.documents.size() == 1);
    CHECK(got.flaws.at(0).document == 1);
}

} // namespace yaml_test
