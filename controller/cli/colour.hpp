#pragma once

#include <string>
#include <string_view>

// The colours in which plans and states are printed to a terminal.
namespace postern::cli {

inline constexpr std::string_view bold = "\x1b[1m";
inline constexpr std::string_view faint = "\x1b[2m";
inline constexpr std::string_view red = "\x1b[31m";
inline constexpr std::string_view green = "\x1b[32m";
inline constexpr std::string_view yellow = "\x1b[33m";
inline constexpr std::string_view magenta = "\x1b[35m";
inline constexpr std::string_view cyan = "\x1b[36m";

// `text` in that colour where colours are `on`.
inline std::string painted(std::string_view text, std::string_view colour, bool on) {
    return on ? std::string{colour} + std::string{text} + "\x1b[0m" : std::string{text};
}

} // namespace postern::cli
