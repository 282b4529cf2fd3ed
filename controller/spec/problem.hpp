#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

// What is wrong with the documents, for the person who wrote them: where it stands, which field it is about and, where
// a name is one or two letters off, what was probably meant. No part of a problem ever holds the value of a field
// that may be a secret.
namespace postern::spec {

// Line and column of a text, from 1, columns in characters; line 0 where a problem concerns a whole file or folder.
struct position {
    int line = 0;
    int column = 0;
    auto operator<=>(const position&) const = default;
};

// Where a value stands inside its document: "$.spec.apps[0]".
class json_path {
public:
    using step = std::variant<std::string, std::size_t>;

    json_path operator/(std::string_view name) const;
    json_path operator/(std::size_t index) const;

    const std::vector<step>& steps() const { return steps_; }
    std::string to_string() const;

private:
    std::vector<step> steps_;
};

struct problem {
    std::string file; // as given or found; empty for a problem of the flags
    int line = 0;
    int column = 0;
    std::string path; // JSON path, or empty
    std::string message;
    std::string suggestion; // empty where there is none

    bool operator==(const problem&) const = default;
};

// "specs/a.yaml:4:3: unknown field \"duratoin\", did you mean \"duration\"? [$.spec]", control characters escaped.
std::string to_string(const problem& p);

// Whether a word may be quoted although it stands where nothing was expected: letters and separators alone, and short,
// as field names are and keys and tokens are not.
bool is_harmless(std::string_view word);

// A problem of a whole file or folder, or, with no file, of the flags.
problem problem_of(std::string_view file, std::string message);

} // namespace postern::spec
