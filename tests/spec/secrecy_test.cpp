#include "base/text.hpp"
#include "documents.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <random>

namespace secrecy_test {

using namespace postern;
using namespace postern::spec_test;

namespace {

const std::string canary = "hunter2Canary";

// Ways to put a secret where only a source may stand, by mistake or not.
const std::vector<std::string> misplaced{
    "C",
    "\"C\"",
    "'C'",
    "[C]",
    "[[C]]",
    "{C}",
    "{C: x}",
    "{C: {a: 1, a: 2}}",
    "{env: C, C: x}",
    "{env: 'C D'}",
    "{env: C}",
    "{env: [C]}",
    "{env: {C: C}}",
    "{file: C}",
    "{file: /C/../C}",
    "{vault: C}",
    "{vault: {key: 'C D'}}",
    "{vault: {key: C, path: /C}}",
    "{vault: {key: C, path: C}}",
    "{vault: {key: C, vault: C}}",
    "{vault: {C: C}}",
    "{vault: {C}}",
    "{value: C}",
    "&C x",
    "&C C",
    "*C",
    "!C x",
    "!!C x",
    "!<C> x",
    "\"C",
    "'C",
    "{C",
    "[C",
    "C: C",
    "C: {",
    "\"\\C\"",
    "\"\\xC\"",
    "{? [C] : x}",
    "{? {C: C} : x}",
    "{<<: {C: C}}",
    "|C\n  C",
    "|\n  C\n",
    ">9\n C",
    "@C",
    "`C",
    "%C",
    "- C",
    "{a: C, a: C}",
    "{env: CLOUDFLARE_A, env: C}",
    "C # x",
    "\tC",
    "C\x01",
    "C\xff",
    "\n    C\n   C\n  C",
    "{env: \"C\x1b\"}",
};

std::string with_canary(std::string text) {
    for (auto at = text.find('C'); at != std::string::npos; at = text.find('C', at + canary.size())) {
        // Names that really begin with a C keep it.
        if (text.compare(at, 11, "CLOUDFLARE_") != 0)
            text.replace(at, 1, canary);
    }
    return text;
}

std::string all_said(const std::string& text) {
    const auto got = spec::load({{"a.yaml", text}, {"b.yaml", vault}}, "test", {});
    std::string out;
    for (const auto& p : got.problems)
        out += spec::to_string(p) + "\n";
    return out;
}

const std::vector<std::string> secret_fields{
    "kind: CloudflareAccount\nmetadata: {name: a}\nspec:\n  accountId: x\n  apiToken: ",
    "kind: HerokuAccount\nmetadata: {name: a}\nspec:\n  apiKey: ",
    "kind: InfisicalVault\nmetadata: {name: a}\nspec:\n  auth:\n    token: ",
    "kind: InfisicalVault\nmetadata: {name: a}\nspec:\n  auth:\n    universalAuth:\n      clientId: x\n      "
    "clientSecret: ",
    // What people write who do not know better.
    "kind: CloudflareAccount\nmetadata: {name: a}\nspec:\n  password: ",
    "kind: CloudflareAccount\nmetadata: {name: a}\nspec:\n  apitoken: ",
    "kind: ServiceToken\nmetadata: {name: a}\nspec:\n  credential:\n    key: K\n    secret: ",
    "kind: ServiceTokens\nmetadata: {name: a}\nspec:\n  clientSecret: ",
    "clientSecret: ",
    "",
};

} // namespace

TEST_CASE("a secret that stands in a document is never repeated") {
    for (const auto& field : secret_fields) {
        for (const auto& value : misplaced) {
            const auto said = all_said("apiVersion: postern/v1alpha1\n" + field + with_canary(value) + "\n");
            CHECK_MESSAGE(said.find(canary) == std::string::npos, field, value, "\n", said);
            CHECK_MESSAGE(!said.empty(), field, value);
        }
    }
}

TEST_CASE("no bytes bring the loader down") {
    std::mt19937 dice(20261123);
    const auto roll = [&](std::size_t sides) { return std::uniform_int_distribution<std::size_t>(0, sides - 1)(dice); };
    const std::string seed = all_documents();
    const std::vector<std::string> pieces{
        "---\n", "...\n", ": ",          "- ",    "? ",           "{",    "}",    "[", "]",   ",",
        "&a ",   "*a",    "!t ",         "|\n",   ">-\n",         "\"",   "'",    "#", "\n",  "\t",
        "  ",    "<<: ",  "%YAML 1.2\n", "\\x00", "\xef\xbb\xbf", "\r\n", "null", "~", "1e9", "kind: "};
    for (int round = 0; round < 3000; ++round) {
        auto text = round % 4 == 0 ? std::string() : seed.substr(roll(seed.size()), roll(400));
        for (auto edits = roll(20) + 1; edits > 0; --edits) {
            const auto at = roll(text.size() + 1);
            switch (roll(4)) {
            case 0:
                text.insert(at, 1, static_cast<char>(roll(256)));
                break;
            case 1:
                text.erase(at, roll(12));
                break;
            default:
                text.insert(at, pieces[roll(pieces.size())]);
            }
        }
        CAPTURE(printable(text));
        const auto got = spec::load({{"a.yaml", text}}, "test", {});
        // Nothing that random bytes say is a whole set of documents.
        CHECK((got.ok() ? got.desired.tokens.size() : 0) <= 1);
    }
}

TEST_CASE("large and odd texts are done with soon") {
    const auto many = [](const std::string& piece, std::size_t bytes) {
        std::string out;
        while (out.size() < bytes)
            out += piece;
        return out;
    };
    const auto began = std::chrono::steady_clock::now();
    for (const auto& text :
         {many("[", 300'000),        many("{a: ", 300'000),  many("- ", 300'000), many("a: b\n", 300'000),
          many("? ", 300'000),       many("[a, ", 300'000),  many("k,", 300'000), "[" + many("a,", 300'000),
          "{" + many("a,", 300'000), many("\"", 300'000),    many("!", 300'000),  many("&a ", 300'000),
          many("--- ", 300'000),     many("---\n", 300'000), many("# ", 300'000), many(" ", 300'000),
          many("\n", 300'000),       many("{}: ", 300'000),  many("a", 300'000),  "a: " + many("'", 300'000),
          many("%A\n", 300'000)})
        CHECK(!spec::load({{"a.yaml", text}}, "test", {}).ok());
    CHECK(std::chrono::steady_clock::now() - began < std::chrono::seconds(30));
}

} // namespace secrecy_test
