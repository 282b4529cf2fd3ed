#include "provider/words.hpp"

#include <doctest/doctest.h>

#include <string>
#include <vector>

namespace words_test {

using namespace postern;

namespace {

std::string struck_of(const std::string& text, const std::string& known = {}) {
    std::vector<secret> values;
    if (!known.empty())
        values.emplace_back(known);
    return provider::struck(text, values);
}

std::string excerpt_of(const std::string& body) {
    net::response r;
    r.body = secret{body};
    return provider::excerpt(r, {});
}

} // namespace

TEST_CASE("what looks like a secret is struck out, what identifies things stays") {
    const std::string token = "cfast_" + std::string(48, 'A');
    CHECK(struck_of("a " + token + " b") == "a [struck out] b");
    CHECK(struck_of("x" + token) == "x[struck out]");
    CHECK(struck_of(std::string(64, 'f')) == "[struck out]");
    CHECK(struck_of("=" + std::string(64, 'F') + ";") == "=[struck out];");
    CHECK(struck_of("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln!") == "[struck out]!");
    CHECK(struck_of("HRKU-12345678-aaaa") == "[struck out]");
    for (const std::string kept :
         {"0f1e2d3c4b5a69788796a5b4c3d2e1f0.access", "3b0c6f0e-6a57-4f0e-9c5d-0d7f5b1c2a11",
          "access.api.error.conflict", "8f1b2c3d4e5f6071-LHR", "eyJ", "da39a3ee5e6b4b0d3255bfef95601890afd80709"})
        CHECK(struck_of(kept) == kept);
}

TEST_CASE("known values are struck out, whole and in halves") {
    const std::string pair = "0f1e.access:s3cr3t-value";
    CHECK(struck_of("got " + pair, pair) == "got [struck out]");
    CHECK(struck_of("got s3cr3t-value twice: s3cr3t-value", pair) == "got [struck out] twice: [struck out]");
    CHECK(struck_of("client 0f1e.access", pair) == "client 0f1e.access");
    CHECK(struck_of("an a is no secret", "a") == "an a is no secret");
}

TEST_CASE("a long text is cut after it was struck") {
    auto out = struck_of(std::string(590, ' ') + "cfast_" + std::string(48, 'A'));
    CHECK(out.find("AAA") == std::string::npos);
    CHECK(out.size() < 620);
}

TEST_CASE("bodies that are not JSON") {
    CHECK(excerpt_of("") == "an empty body");
    CHECK(excerpt_of("  plain words \n") == "\"plain words\"");
    CHECK(excerpt_of("<!DOCTYPE html><HTML><Title> Bad gateway </Title>") == "an HTML page, \"Bad gateway\"");
    CHECK(excerpt_of("<html><body>x") == "an HTML page");
    CHECK(excerpt_of(R"({"client_secret":"x)") == "JSON that is cut off or not what was expected");
    CHECK(excerpt_of(std::string(500, 'x')).size() < 180);
}

} // namespace words_test
