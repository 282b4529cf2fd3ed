#include "provider/words.hpp"

#include "base/text.hpp"

#include <algorithm>

namespace postern::provider {

namespace {

constexpr std::string_view mark = "[struck out]";
constexpr std::size_t longest = 600;

bool is_hex(char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

bool is_word(char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '-';
}

bool is_jwt(char c) {
    return is_word(c) || c == '.';
}

std::size_t run(std::string_view text, bool (*belongs)(char)) {
    return static_cast<std::size_t>(std::find_if_not(text.begin(), text.end(), belongs) - text.begin());
}

// How many characters at the front of `text` look like a secret.
std::size_t looks_secret(std::string_view text, bool at_start) {
    if (text.starts_with("cfast_"))
        return run(text, is_word);
    if (!at_start)
        return 0;
    if (text.starts_with("eyJ")) {
        auto n = run(text, is_jwt);
        return n >= 20 ? n : 0;
    }
    if (text.starts_with("HRKU-"))
        return run(text, is_word);
    auto n = run(text, is_hex);
    return n >= 48 ? n : 0;
}

// Names that are public, or too short to mean anything, stay readable.
bool worth_striking(std::string_view value) {
    return value.size() >= 6 && !value.ends_with(".access");
}

void strike(std::string& text, std::string_view value) {
    if (!worth_striking(value))
        return;
    for (auto at = text.find(value); at != std::string::npos; at = text.find(value, at + mark.size()))
        text.replace(at, value.size(), mark);
}

} // namespace

std::string struck(std::string_view text, const std::vector<secret>& known) {
    std::string clean{text};
    for (const auto& value : known) {
        strike(clean, value.reveal());
        auto colon = value.reveal().find(':');
        if (colon == std::string_view::npos)
            continue;
        strike(clean, value.reveal().substr(colon + 1));
        strike(clean, value.reveal().substr(0, colon));
    }
    std::string out;
    for (std::size_t at = 0; at < clean.size() && out.size() < longest;) {
        auto n = looks_secret(std::string_view{clean}.substr(at), at == 0 || !is_word(clean[at - 1]));
        if (n != 0)
            out += mark;
        else
            out += clean[at];
        at += std::max<std::size_t>(n, 1);
    }
    if (out.size() >= longest)
        out += "…";
    return out;
}

std::string excerpt(const net::response& r, const std::vector<secret>& known) {
    auto body = trim(r.body.reveal());
    if (body.empty())
        return "an empty body";
    auto front = lower(body.substr(0, 4096));
    auto open = front.find("<title>");
    if (front.find("<html") != std::string::npos || front.starts_with("<!doctype")) {
        auto close = open == std::string::npos ? open : front.find("</title>", open);
        if (close == std::string::npos)
            return "an HTML page";
        return "an HTML page, \"" + struck(trim(body.substr(open + 7, close - open - 7)), known).substr(0, 120) + "\"";
    }
    if (front.starts_with('{') || front.starts_with('['))
        return "JSON that is cut off or not what was expected";
    // Struck before it is cut: half a secret would no longer be recognised.
    auto words = struck(body.substr(0, 2000), known);
    auto length = std::min<std::size_t>(words.size(), 160);
    return "\"" + words.substr(0, length) + (length < words.size() ? "…\"" : "\"");
}

} // namespace postern::provider
