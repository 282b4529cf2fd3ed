#pragma once

#include "base/instant.hpp"
#include "spec/problem.hpp"
#include "spec/schema.hpp"
#include "spec/yaml.hpp"

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

// Reads the fields of a mapping that was held against its schema; what is absent gets the schema's default, what was
// refused is empty. Strict on the
// program: to read a field that the schema does not have, or to leave one of the schema's fields unread, throws
// std::logic_error, so that documents, schema and program cannot drift apart.
namespace postern::spec {

class fields {
public:
    fields(const node& mapping, schema rules, json_path path)
        : mapping_(&mapping), rules_(rules), path_(std::move(path)) {}

    const json_path& path() const { return path_; }
    json_path path(std::string_view name) const { return path_ / name; }

    // Text, or the default, or "".
    std::string text(std::string_view name);
    std::optional<std::string> optional_text(std::string_view name);
    int number(std::string_view name);
    bool flag(std::string_view name);
    std::vector<std::string> texts(std::string_view name);
    std::map<std::string, std::string> text_map(std::string_view name);

    // Nested mappings; section() of one that is absent is an empty one, whose fields have their defaults.
    fields section(std::string_view name);
    std::optional<fields> optional_section(std::string_view name);
    std::vector<fields> sections(std::string_view name);

    // The value itself, for what has several shapes; null where it is absent.
    const node* raw(std::string_view name);
    // What holds for it.
    schema rules(std::string_view name);
    // Known, accepted, of no consequence here.
    void skip(std::string_view name) { raw(name); }

    // Whether one of the fields was refused.
    bool has_broken() const;

    // Every field of the schema has been read.
    void done() const;

private:
    const node* mapping_;
    schema rules_;
    json_path path_;
    std::set<std::string, std::less<>> read_;
};

} // namespace postern::spec
