#include "spec/problem.hpp"

#include "base/text.hpp"

#include <algorithm>

namespace postern::spec {

namespace {

bool is_letter(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

bool is_plain_name(std::string_view name) {
    auto plain = [](char c) { return is_letter(c) || (c >= '0' && c <= '9') || c == '_' || c == '-'; };
    return !name.empty() && std::all_of(name.begin(), name.end(), plain);
}

} // namespace

json_path json_path::operator/(std::string_view name) const {
    auto longer = *this;
    longer.steps_.emplace_back(std::string(name));
    return longer;
}

json_path json_path::operator/(std::size_t index) const {
    auto longer = *this;
    longer.steps_.emplace_back(index);
    return longer;
}

std::string json_path::to_string() const {
    std::string out = "$";
    for (const auto& s : steps_) {
        if (const auto* index = std::get_if<std::size_t>(&s)) {
            out += "[" + std::to_string(*index) + "]";
            continue;
        }
        const auto& name = std::get<std::string>(s);
        out += is_plain_name(name) ? "." + name : "[\"" + name + "\"]";
    }
    return out;
}

std::string to_string(const problem& p) {
    auto out = p.file;
    if (p.line > 0)
        out += ":" + std::to_string(p.line) + ":" + std::to_string(p.column);
    out += (out.empty() ? "" : ": ") + p.message;
    if (!p.suggestion.empty())
        out += ", did you mean \"" + p.suggestion + "\"?";
    if (!p.path.empty())
        out += " [" + p.path + "]";
    return printable(out);
}

bool is_harmless(std::string_view word) {
    auto fine = [](char c) { return is_letter(c) || c == '_' || c == '-' || c == '.' || c == '/'; };
    return !word.empty() && word.size() <= 40 && std::all_of(word.begin(), word.end(), fine);
}

problem problem_of(std::string_view file, std::string message) {
    problem p;
    p.file = file;
    p.message = std::move(message);
    return p;
}

} // namespace postern::spec
