#include "base/instant.hpp"
#include "base/secret.hpp"
#include "base/text.hpp"

#include <doctest/doctest.h>

#include <type_traits>

namespace base_test {

using namespace postern;
using namespace std::chrono_literals;

TEST_CASE("durations are read and written the way Go writes them") {
    CHECK(parse_duration("8760h").value() == 8760h);
    CHECK(parse_duration("1h30m").value() == 90min);
    CHECK(parse_duration("500ms").value() == 500ms);
    CHECK(parse_duration("1.5h").value() == 90min);
    CHECK(parse_duration("0").value() == 0ms);
    CHECK(parse_duration("2h45m3s").value() == 2h + 45min + 3s);
    for (auto bad : {"", "5", "h", "-5s", "5 s", "1d", "1..5s", "99999999999h", "5sx"})
        CHECK_MESSAGE(parse_duration(bad).has_error(), bad);
    CHECK(format_duration(8760h) == "8760h");
    CHECK(format_duration(90min) == "1h30m");
    CHECK(format_duration(500ms) == "500ms");
    CHECK(format_duration(0ms) == "0s");
    // Near the longest that is taken, no millisecond is lost between the parts.
    CHECK(parse_duration("9529s952529h1ms").value() == std::chrono::hours{952529} + 9529s + 1ms);
    const auto long_one = parse_duration("752m2ms9s9552m2ms952m2ms9s952522h30s9s952529h").value();
    CHECK(parse_duration(format_duration(long_one)).value() == long_one);
}

TEST_CASE("instants are read from RFC 3339 and HTTP dates") {
    auto at = parse_instant("2026-11-23T10:00:00Z");
    REQUIRE(at);
    CHECK(format_instant(*at) == "2026-11-23T10:00:00Z");
    CHECK(parse_instant("2026-11-23T11:00:00+01:00") == at);
    CHECK(parse_instant("2026-11-23T10:00:00.250Z") == *at + 250ms);
    CHECK(format_instant(*at + 250ms) == "2026-11-23T10:00:00.250Z");
    CHECK(parse_instant("2026-11-23T10:00:00.123456789Z") == *at + 123ms);
    CHECK(parse_http_date("Mon, 23 Nov 2026 10:00:00 GMT") == at);
    for (auto bad : {"", "2026-11-23", "2026-13-23T10:00:00Z", "2026-02-30T10:00:00Z", "2026-11-23T10:00:00",
                     "2026-11-23T10:00:00.Z", "2026-11-23T25:00:00Z", "2026-11-23T10:00:00+1"})
        CHECK_MESSAGE(!parse_instant(bad), bad);
    CHECK(!parse_http_date("23 Nov 2026 10:00:00 GMT"));
    CHECK(!parse_http_date("Mon, 23 Foo 2026 10:00:00 GMT"));
}

TEST_CASE("what a remote calls itself cannot move the cursor or reverse the line") {
    CHECK(printable("console \xe2\x9c\x93") == "console \xe2\x9c\x93");
    CHECK(printable("a\x1b[31mb\n") == "a\\x1b[31mb\\x0a");
    CHECK(printable("a\xe2\x80\xae"
                    "b") == "a\\u{202e}b");
    CHECK(printable("\xff") == "\\xff");
    CHECK(printable("\xc0\x80") == "\\xc0\\x80");
}

TEST_CASE("globs match hosts whatever their case") {
    CHECK(matches_glob("console*.raxx.app", "console-staging.RAXX.app"));
    CHECK(matches_glob("*", ""));
    CHECK(!matches_glob("console*.raxx.app", "evil.raxx.app"));
    CHECK(!matches_glob("console.raxx.app", "console.raxx.app.evil"));
    CHECK(matches_glob("a*b*c", "aXbYbc"));
}

TEST_CASE("a suggestion is one or two letters off, or there is none") {
    CHECK(nearest("durtion", {"name", "duration"}) == "duration");
    CHECK(nearest("polcyNmae", {"policyName"}) == std::nullopt);
    CHECK(nearest("x", {"y"}) == std::nullopt);
}

TEST_CASE("a secret has no way out but reveal") {
    static_assert(!std::is_copy_constructible_v<secret>);
    static_assert(!std::is_convertible_v<secret, std::string>);
    std::string text = "made-up-value";
    auto s = secret::consume(text);
    CHECK(text.empty());
    CHECK(s.reveal() == "made-up-value");
    auto moved = std::move(s);
    CHECK(s.empty()); // NOLINT(bugprone-use-after-move): emptiness after a move is the promise
    CHECK(same(moved, secret{"made-up-value"}));
    CHECK(!same(moved, secret{"made-up-valuf"}));
    auto key = secret{"k"};
    CHECK(fingerprint(key, moved) == fingerprint(key, moved.copy()));
    CHECK(fingerprint(key, moved) != fingerprint(secret{"l"}, moved));
    CHECK(fingerprint(key, moved).size() == 12);
    CHECK(random_hex(8).size() == 16);
    CHECK(random_hex(8) != random_hex(8));
}

TEST_CASE("uuids and hex") {
    CHECK(is_uuid("0b55d01b-592b-4da4-b170-02d48a9f550d"));
    CHECK(!is_uuid("0b55d01b592b4da4b17002d48a9f550d"));
    CHECK(!is_uuid("0b55d01b-592b-4da4-b170-02d48a9f550g"));
    CHECK(hex(std::string_view{"\x00\xff", 2}) == "00ff");
}

} // namespace base_test
