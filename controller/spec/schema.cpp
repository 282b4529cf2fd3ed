#include "spec/schema.hpp"

#include "spec/embedded.hpp"

#include <boost/json/parse.hpp>

#include <algorithm>
#include <array>
#include <stdexcept>

namespace postern::spec {

namespace json = boost::json;

namespace {

constexpr std::array<std::string_view, 27> known_keywords{
    "$schema",
    "$ref",
    "$defs",
    "title",
    "description",
    "default",
    "type",
    "const",
    "enum",
    "pattern",
    "minLength",
    "maxLength",
    "minimum",
    "maximum",
    "minItems",
    "uniqueItems",
    "items",
    "properties",
    "required",
    "anyOf",
    "oneOf",
    "minProperties",
    "maxProperties",
    "additionalProperties",
    "not",
    "patternErrorMessage", // what editors, and we, say where the pattern does not match
    "x-postern-secret",    // a value that must not stand in a document
};

constexpr std::string_view local_definitions = "#/$defs/";

const json::object* find_definition(const json::object& root, std::string_view reference) {
    if (!reference.starts_with(local_definitions))
        return nullptr;
    const auto* all = root.if_contains("$defs");
    const auto* found =
        all == nullptr ? nullptr : all->as_object().if_contains(reference.substr(local_definitions.size()));
    return found == nullptr ? nullptr : &found->as_object();
}

void require(bool fine, std::string_view what) {
    if (!fine)
        throw std::logic_error("schema: " + std::string(what));
}

void refuse_unknown(const json::object& root, const json::object& body);

void refuse_unknown_below(const json::object& root, std::string_view keyword, const json::value& value) {
    if (keyword == "properties" || keyword == "$defs") {
        for (const auto& [name, part] : value.as_object())
            refuse_unknown(root, part.as_object());
    } else if (keyword == "anyOf" || keyword == "oneOf") {
        for (const auto& part : value.as_array())
            refuse_unknown(root, part.as_object());
    } else if (keyword == "items" || keyword == "not" || (keyword == "additionalProperties" && value.is_object())) {
        refuse_unknown(root, value.as_object());
    }
}

void refuse_unknown(const json::object& root, const json::object& body) {
    for (const auto& [name, value] : body) {
        std::string_view keyword(name.data(), name.size());
        require(std::find(known_keywords.begin(), known_keywords.end(), keyword) != known_keywords.end(), keyword);
        refuse_unknown_below(root, keyword, value);
    }
    if (const auto* reference = body.if_contains("$ref"))
        require(find_definition(root, std::string_view(reference->as_string())) != nullptr, "$ref");
    require(!body.contains("pattern") || (body.contains("maxLength") && body.contains("patternErrorMessage")),
            "pattern");
}

// The schemas by kind, parsed once.
const std::vector<json::object>& all_schemas() {
    static const std::vector<json::object> all = [] {
        std::vector<json::object> parsed;
        for (auto text : embedded_schemas())
            parsed.push_back(json::parse(text).as_object());
        for (const auto& one : parsed)
            refuse_unknown(one, one);
        return parsed;
    }();
    return all;
}

std::string_view kind_of(const json::object& root) {
    return root.at("title").as_string();
}

} // namespace

std::optional<schema> schema::of(std::string_view kind) {
    for (const auto& root : all_schemas()) {
        if (kind_of(root) == kind)
            return schema{root, root};
    }
    return std::nullopt;
}

std::vector<std::string> schema::kinds() {
    std::vector<std::string> names;
    for (const auto& root : all_schemas())
        names.emplace_back(kind_of(root));
    return names;
}

schema::schema(const json::object& root) : root_(&root), body_(&root) {
    refuse_unknown(root, root);
}

const json::value* schema::keyword(std::string_view name) const {
    if (const auto* here = body_->if_contains(name))
        return here;
    const auto* reference = body_->if_contains("$ref");
    if (reference == nullptr)
        return nullptr;
    return schema{*root_, *find_definition(*root_, std::string_view(reference->as_string()))}.keyword(name);
}

std::vector<std::string> schema::texts(std::string_view name) const {
    std::vector<std::string> out;
    if (const auto* list = keyword(name)) {
        for (const auto& text : list->as_array())
            out.emplace_back(std::string_view(text.as_string()));
    }
    return out;
}

std::vector<schema> schema::alternatives(std::string_view name) const {
    std::vector<schema> out;
    if (const auto* list = keyword(name)) {
        for (const auto& part : list->as_array())
            out.push_back(schema{*root_, part.as_object()});
    }
    return out;
}

std::optional<schema> schema::part(std::string_view name) const {
    const auto* found = keyword(name);
    if (found == nullptr || !found->is_object())
        return std::nullopt;
    return schema{*root_, found->as_object()};
}

std::optional<schema> schema::property(std::string_view name) const {
    const auto* all = keyword("properties");
    const auto* found = all == nullptr ? nullptr : all->as_object().if_contains(name);
    if (found == nullptr)
        return std::nullopt;
    return schema{*root_, found->as_object()};
}

std::vector<std::string> schema::property_names() const {
    std::vector<std::string> names;
    if (const auto* all = keyword("properties")) {
        for (const auto& field : all->as_object())
            names.emplace_back(std::string_view(field.key().data(), field.key().size()));
    }
    return names;
}

} // namespace postern::spec
