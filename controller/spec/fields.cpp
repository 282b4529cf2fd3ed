#include "spec/fields.hpp"

#include <boost/json/value.hpp>

#include <algorithm>
#include <charconv>
#include <stdexcept>

namespace postern::spec {

namespace {

const node empty_mapping = [] {
    node empty;
    empty.is = node::kind::mapping;
    return empty;
}();

std::string text_of(const node& value) {
    return value.is == node::kind::text ? value.scalar : "";
}

} // namespace

schema fields::rules(std::string_view name) {
    auto found = rules_.property(name);
    if (!found)
        throw std::logic_error("read of " + path(name).to_string() + ", which the schema does not have");
    return *found;
}

const node* fields::raw(std::string_view name) {
    rules(name);
    read_.emplace(name);
    const auto* e = mapping_->find(name);
    return e == nullptr ? nullptr : &e->value;
}

std::optional<std::string> fields::optional_text(std::string_view name) {
    if (const auto* value = raw(name))
        return text_of(*value);
    if (const auto* otherwise = rules(name).keyword("default"))
        return std::string(std::string_view(otherwise->as_string()));
    return std::nullopt;
}

std::string fields::text(std::string_view name) {
    return optional_text(name).value_or("");
}

int fields::number(std::string_view name) {
    const auto* value = raw(name);
    if (value == nullptr)
        return static_cast<int>(rules(name).keyword("default")->as_int64());
    int out = 0;
    std::from_chars(value->scalar.data(), value->scalar.data() + value->scalar.size(), out);
    return out;
}

bool fields::flag(std::string_view name) {
    const auto* value = raw(name);
    if (value == nullptr)
        return rules(name).keyword("default")->as_bool();
    return value->scalar.starts_with('t') || value->scalar.starts_with('T');
}

std::vector<std::string> fields::texts(std::string_view name) {
    std::vector<std::string> out;
    if (const auto* value = raw(name)) {
        for (const auto& item : value->items)
            out.push_back(text_of(item));
    }
    return out;
}

std::map<std::string, std::string> fields::text_map(std::string_view name) {
    std::map<std::string, std::string> out;
    if (const auto* value = raw(name)) {
        for (const auto& e : value->entries)
            out.emplace(e.key, text_of(e.value));
    }
    return out;
}

std::optional<fields> fields::optional_section(std::string_view name) {
    const auto* value = raw(name);
    if (value == nullptr)
        return std::nullopt;
    return fields{*value, rules(name), path(name)};
}

fields fields::section(std::string_view name) {
    const auto* value = raw(name);
    return fields{value == nullptr ? empty_mapping : *value, rules(name), path(name)};
}

std::vector<fields> fields::sections(std::string_view name) {
    std::vector<fields> out;
    const auto* value = raw(name);
    const auto item_rules = rules(name).part("items");
    for (std::size_t i = 0; value != nullptr && i < value->items.size(); ++i)
        out.emplace_back(value->items[i], item_rules.value(), path(name) / i);
    return out;
}

bool fields::has_broken() const {
    return std::any_of(mapping_->entries.begin(), mapping_->entries.end(),
                       [](const entry& e) { return e.value.is == node::kind::broken; });
}

void fields::done() const {
    for (const auto& name : rules_.property_names()) {
        if (!read_.contains(name))
            throw std::logic_error("nobody reads " + path(name).to_string());
    }
}

} // namespace postern::spec
