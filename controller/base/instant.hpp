#pragma once

#include "base/error.hpp"

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

// Points in time and spans between them: UTC, in milliseconds, read from and written as the remotes write them.
namespace postern {

using duration = std::chrono::milliseconds;
using instant = std::chrono::time_point<std::chrono::system_clock, duration>;

// RFC 3339 with any fraction and offset ("2026-11-23T10:00:00.5+01:00"); nothing on anything else.
std::optional<instant> parse_instant(std::string_view text);

// "2026-11-23T10:00:00Z", with ".123" only where there are milliseconds.
std::string format_instant(instant at);

// An HTTP date ("Mon, 23 Nov 2026 10:00:00 GMT"); nothing on anything else.
std::optional<instant> parse_http_date(std::string_view text);

// A Go duration ("8760h", "1h30m", "500ms"; units h m s ms us ns). Negative, empty, or past 290 years: an error of
// kind spec that says what is accepted. Fractions of a millisecond are cut off.
result<duration> parse_duration(std::string_view text);

// The Go form of a duration in whole units: "8760h", "1h30m", "5s", "500ms", "0s".
std::string format_duration(duration d);

} // namespace postern
