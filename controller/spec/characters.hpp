#pragma once

#include "spec/problem.hpp"

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

// Which characters a document may be made of: valid UTF-8 and nothing that a terminal or a reviewer's eye would not
// see as it is (control characters, bidirectional marks).
namespace postern::spec {

struct bad_character {
    position at;
    std::string message;
};

// The first character that a document must not hold. Tabs and line ends ("\n", "\r\n") are fine.
std::optional<bad_character> find_bad_character(std::string_view text);

// Whether a value, its escapes resolved, holds such a character. Tabs and "\n" are fine.
bool has_hidden_characters(std::string_view value);

// Code points in valid UTF-8.
std::size_t count_characters(std::string_view text);

} // namespace postern::spec
