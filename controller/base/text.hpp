#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

// Small text functions that more than one floor needs.
namespace postern {

// Remote names as they may be shown: control characters, bidirectional marks and invalid UTF-8 come out as \xNN
// or \u{NNNN}, everything else as it is.
std::string printable(std::string_view text);

// ASCII lower case; other bytes as they are.
std::string lower(std::string_view text);

std::string_view trim(std::string_view text);

std::vector<std::string_view> split(std::string_view text, char separator);

std::string join(const std::vector<std::string>& parts, std::string_view separator);

// Whether `text` matches `pattern`, in which '*' stands for any run of characters. Case-insensitive (ASCII): for hosts.
bool matches_glob(std::string_view pattern, std::string_view text);

// Whether `text` matches one of these. A list without any allows all.
bool is_allowed(const std::vector<std::string>& patterns, std::string_view text);

// The one of `candidates` that is one or two edits away from `word` (the nearest, first on a tie), for "did you mean".
std::optional<std::string> nearest(std::string_view word, const std::vector<std::string>& candidates);

// Two lower-case hex digits per byte.
std::string hex(std::string_view bytes);

// Whether `text` is a UUID in its usual 36-character form.
bool is_uuid(std::string_view text);

} // namespace postern
