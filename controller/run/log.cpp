#include "run/log.hpp"

#include "base/text.hpp"

#include <boost/json.hpp>

#include <algorithm>
#include <array>
#include <ostream>
#include <utility>

namespace postern::run {

namespace {

constexpr std::array<std::string_view, 4> names{"debug", "info", "warn", "error"};

std::string_view name_of(level l) {
    return names.at(static_cast<std::size_t>(l));
}

// Log collectors split longer lines, and half a line is no JSON.
constexpr std::size_t longest_line = 9'998; // and its newline
constexpr std::size_t most_of_a_value = 2000;
constexpr std::size_t least_of_a_value = 60;

std::string shown(std::string_view value, std::size_t most) {
    auto out = printable(value.substr(0, most));
    if (value.size() > most)
        out += "…";
    return out;
}

std::string as_word(std::string_view value, std::size_t most) {
    auto out = shown(value, most);
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

// The parts of a line, to be written with so much of each value.
struct line {
    std::string at;
    level of;
    std::string_view event;
    std::vector<field> fields;

    std::string text(std::size_t most) const {
        std::string out;
        if (!at.empty())
            out.append(at).append(" ");
        out.append(name_of(of)).append(" ").append(shown(event, most));
        for (const auto& f : fields)
            out.append(" ").append(f.key).append("=").append(f.quoted ? as_word(f.value, most) : f.value);
        return out;
    }

    std::string json(std::size_t most) const {
        std::string out = "{";
        auto add = [&](std::string_view key, std::string_view value, bool quoted) {
            if (out.size() > 1)
                out += ',';
            out += boost::json::serialize(boost::json::string_view{key.data(), key.size()}) + ":";
            out += quoted ? boost::json::serialize(boost::json::string_view{value.data(), value.size()})
                          : std::string{value};
        };
        if (!at.empty())
            add("time", at, true);
        add("level", name_of(of), true);
        add("event", shown(event, most), true);
        for (const auto& f : fields)
            add(f.key, f.quoted ? shown(f.value, most) : f.value, f.quoted);
        return out + "}";
    }

    std::string as(log_format format, std::size_t most) const {
        return format == log_format::json ? json(most) : text(most);
    }
};

// Whole where it fits; else with shorter values, and where that is not enough, without the last fields.
std::string fitted(line of, log_format format) {
    auto most = most_of_a_value;
    auto out = of.as(format, most);
    while (out.size() > longest_line) {
        if (most > least_of_a_value) {
            most = std::max(most / 2, least_of_a_value);
        } else if (!of.fields.empty()) {
            of.fields.pop_back();
        } else {
            break;
        }
        out = of.as(format, most);
    }
    return out;
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
    line one{stamp_ ? stamp_() : std::string{}, of, event, std::move(all)};
    to_ << fitted(std::move(one), format_) << '\n';
    to_.flush();
}

} // namespace postern::run
