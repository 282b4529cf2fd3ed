#include "net/json.hpp"

#include <boost/json/serialize.hpp>
#include <doctest/doctest.h>

#include <string>

namespace json_test {

using namespace postern;
namespace json = postern::net::json;

namespace {

std::string problem(std::string_view body, json::limits within = {}) {
    auto got = json::parse(secret{body}, within);
    if (got.has_value())
        return "";
    CHECK(got.error().kind == error_kind::unavailable);
    CHECK(got.error().message().find("made-up") == std::string::npos);
    return got.error().what;
}

} // namespace

TEST_CASE("what is not JSON is told by its sort, and never repeated") {
    CHECK(problem("{\"a\":1}") == "");
    CHECK(problem(" \n[1]\n ") == "");
    CHECK(problem("") == "an empty body instead of JSON");
    CHECK(problem(" \r\n") == "an empty body instead of JSON");
    CHECK(problem("<!DOCTYPE html><title>made-up</title>") == "HTML instead of JSON");
    CHECK(problem("\n<html>made-up") == "HTML instead of JSON");
    CHECK(problem("{\"client_secret\":\"made-up").find("truncated JSON") == 0);
    CHECK(problem("{\"a\":[1,2").find("truncated JSON") == 0);
    CHECK(problem("error code: 1010 made-up").find("not JSON") == 0);
    CHECK(problem("{\"a\":1} made-up").find("not JSON: more text") == 0);
    CHECK(problem("{\"a\":1}{\"b\":2}").find("not JSON: more text") == 0);
    CHECK(problem("\"\xff\"").find("not JSON") == 0);
    CHECK(problem("\x1f\x8b\x08made-up").find("gzip") == 0);
    CHECK(problem(std::string(100, '[') + std::string(100, ']')) == "JSON that is nested too deeply");
    CHECK(problem(std::string(50, '[') + std::string(50, ']')) == "");
    CHECK(problem("[1,2,3]", {4, 64}) == "a JSON document larger than 4 bytes");
}

TEST_CASE("a member of another type is not there") {
    auto got =
        json::parse(secret{R"({"s":"text","n":3,"f":3.0,"half":3.5,"big":1e300,"u":18446744073709551615,"b":true,)"
                           R"("t":"2026-11-23T10:00:00Z","a":[1],"o":{"x":1},"z":null})"});
    REQUIRE(got.has_value());
    const auto& v = *got;
    CHECK(json::text(v, "s") == "text");
    CHECK(json::text(v, "n").empty());
    CHECK(json::text(v, "absent").empty());
    CHECK(json::secret_text(v, "s")->reveal() == "text");
    CHECK(!json::secret_text(v, "z"));
    CHECK(json::number(v, "n") == 3);
    CHECK(json::number(v, "f") == 3);
    CHECK(json::number(v, "half") == 3);
    CHECK(!json::number(v, "big"));
    CHECK(!json::number(v, "u"));
    CHECK(!json::number(v, "s"));
    CHECK(json::flag(v, "b") == true);
    CHECK(!json::flag(v, "n"));
    CHECK(json::time(v, "t") == parse_instant("2026-11-23T10:00:00Z"));
    CHECK(!json::time(v, "s"));
    CHECK(json::items(v, "a").size() == 1);
    CHECK(json::items(v, "o").empty());
    CHECK(json::object(v, "o").size() == 1);
    CHECK(json::object(v, "a").empty());
    CHECK(json::find(v, "z") == nullptr);
    CHECK(json::find(json::items(v, "a")[0], "x") == nullptr);
    CHECK(json::number(boost::json::value{}, "x") == std::nullopt);
}

TEST_CASE("what was read is written again as it was") {
    std::string text = R"({"a":[1,-2,"x\n",null,true],"b":{}})";
    auto got = json::parse(secret{text});
    REQUIRE(got.has_value());
    CHECK(json::serialize(*got).reveal() == text);
    std::string longer = "[\"" + std::string(100000, 'x') + "\"]";
    CHECK(json::serialize(*json::parse(secret{longer})).reveal() == longer);
}

} // namespace json_test
