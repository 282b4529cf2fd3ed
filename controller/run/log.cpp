#include "run/log.hpp"

#include "base/text.hpp"

#include <boost/json.hpp>

#include <array>
#include <ostream>
#include <utility>

namespace postern::run {

namespace {

constexpr std::array<std::string_view, 4> names{"debug", "info", "warn", "error"};

std::string_view name_of(level l) {
    return names.at(static_cast<std::size_t>(l));
}

// Log collectors split lines of 10 kB; no single value may take more than a part of one.
std::string shown(std::string_view value) {
    constexpr std::size_t most = 2000;
    auto out = printable(value.substr(0, most));
    if (value.size() > most)
        out += "…";
    return out;
}

std::string as_word(std::string_view value) {
    auto out = shown(value);
    if (!out.empty() && out.find_first_of(" \"=") == std::string::npos)
        return out;
    std::string quoted = "\"";
    for (char c : out) {
        if (c == '"')
            quoted += '\\';
        quoted += c;
    }
    return quoted + "\"";
}

std::string text_line(std::string_view at, level of, std::string_view event, const std::vector<field>& fields) {
    std::string line;
    if (!at.empty())
        line.append(at).append(" ");
    line.append(name_of(of)).append(" ").append(event);
    for (const auto& f : fields)
        line.append(" ").append(f.key).append("=").append(f.quoted ? as_word(f.value) : f.value);
    return line;
}

std::string json_line(std::string_view at, level of, std::string_view event, const std::vector<field>& fields) {
    std::string line = "{";
    auto add = [&](std::string_view key, std::string_view value, bool quoted) {
        if (line.size() > 1)
            line += ',';
        line += boost::json::serialize(boost::json::string_view{key.data(), key.size()}) + ":";
        line +=
            quoted ? boost::json::serialize(boost::json::string_view{value.data(), value.size()}) : std::string{value};
    };
    if (!at.empty())
        add("time", at, true);
    add("level", name_of(of), true);
    add("event", event, true);
    for (const auto& f : fields)
        add(f.key, f.quoted ? shown(f.value) : f.value, f.quoted);
    return line + "}";
}

} // namespace

std::optional<level> parse_level(std::string_view word) {
    for (std::size_t i = 0; i < names.size(); ++i) {
        if (names.at(i) == word)
            return static_cast<level>(i);
    }
    return std::nullopt;
}

log::log(std::ostream& to, level least, log_format format, std::function<std::string()> stamp)
    : to_(to), least_(least), format_(format), stamp_(std::move(stamp)) {}

void log::write(level of, std::string_view event, std::initializer_list<field> fields) {
    if (!shows(of))
        return;
    if (before_)
        before_();
    std::vector<field> all;
    all.reserve(context_.size() + fields.size());
    for (const auto& [key, value] : context_)
        all.emplace_back(key, value);
    all.insert(all.end(), fields.begin(), fields.end());
    auto at = stamp_ ? stamp_() : std::string{};
    to_ << (format_ == log_format::json ? json_line(at, of, event, all) : text_line(at, of, event, all)) << '\n';
    to_.flush();
}

} // namespace postern::run
