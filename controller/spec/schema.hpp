#pragma once

#include <boost/json/object.hpp>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

// The contract of each kind of document: its JSON Schema, the same file that editors use. Whoever checks or reads a
// document asks it for rules, field names and defaults, so that nothing of it is written down twice. Of JSON Schema
// 2020-12 it knows the keywords listed in schema.cpp; a schema that uses another one is a bug of this program.
namespace postern::spec {

// A schema, or the part of one that holds for a certain value. A cheap handle: what it points to outlives it.
class schema {
public:
    // The schema of a kind; nothing for a kind that does not exist.
    static std::optional<schema> of(std::string_view kind);
    static std::vector<std::string> kinds();

    // A schema of the caller's own, which outlives the handle. Throws std::logic_error where it holds a keyword that
    // is not known, a "$ref" that leads nowhere, or a pattern that is not bounded by "maxLength".
    explicit schema(const boost::json::object& root);

    // The value of a keyword, here or else where "$ref" points; null where there is none.
    const boost::json::value* keyword(std::string_view name) const;
    // The texts of a keyword that holds a list of texts; none where it is absent.
    std::vector<std::string> texts(std::string_view name) const;
    // The schemas of a keyword that holds a list of them.
    std::vector<schema> alternatives(std::string_view name) const;
    // The schema under a keyword that holds one; nothing where the keyword is absent or a boolean.
    std::optional<schema> part(std::string_view name) const;

    // What holds for the field `name` of a mapping; nothing where the schema has no such field.
    std::optional<schema> property(std::string_view name) const;
    std::vector<std::string> property_names() const;

private:
    schema(const boost::json::object& root, const boost::json::object& body) : root_(&root), body_(&body) {}

    const boost::json::object* root_;
    const boost::json::object* body_;
};

} // namespace postern::spec
