#include "spec/characters.hpp"

#include "base/text.hpp"

#include <algorithm>

namespace postern::spec {

namespace {

bool is_continuation(char c) {
    return (static_cast<unsigned char>(c) & 0xc0U) == 0x80;
}

// Where the character that begins at `from` ends, by its lead byte alone.
std::size_t end_of_character(std::string_view text, std::size_t from) {
    auto end = from + 1;
    while (end < text.size() && end < from + 4 && is_continuation(text[end]))
        ++end;
    return end;
}

// Of one character, whether it shows as it is.
bool is_visible(std::string_view character) {
    const auto is_ascii = character.size() == 1 && character[0] >= ' ' && character[0] <= '~';
    return is_ascii || printable(character) == character;
}

bool ends_line(std::string_view text, std::size_t at) {
    return text.substr(at).starts_with("\r\n");
}

} // namespace

std::optional<bad_character> find_bad_character(std::string_view text) {
    position at{1, 1};
    for (std::size_t i = 0; i < text.size();) {
        auto end = end_of_character(text, i);
        auto character = text.substr(i, end - i);
        if (character == "\n") {
            ++at.line;
            at.column = 0;
        } else if (character != "\t" && !ends_line(text, i) && !is_visible(character)) {
            auto shown = printable(character);
            auto message = shown.starts_with("\\x") && static_cast<unsigned char>(character[0]) >= 0x80
                               ? "not valid UTF-8"
                               : "control characters are not allowed: " + shown;
            return bad_character{at, message};
        }
        ++at.column;
        i = end;
    }
    return std::nullopt;
}

bool has_hidden_characters(std::string_view value) {
    std::string shown(value);
    std::erase_if(shown, [](char c) { return c == '\t' || c == '\n'; });
    return printable(shown) != shown;
}

std::size_t count_characters(std::string_view text) {
    return static_cast<std::size_t>(
        std::count_if(text.begin(), text.end(), [](char c) { return !is_continuation(c); }));
}

} // namespace postern::spec
