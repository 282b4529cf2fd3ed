#include "spec/check.hpp"

#include "base/text.hpp"
#include "spec/characters.hpp"

#include <algorithm>
#include <charconv>
#include <map>
#include <regex>

namespace postern::spec {

namespace json = boost::json;

namespace {

std::string_view view(const json::value& text) {
    return text.as_string();
}

// The name of a value's type in JSON Schema.
std::string_view type_of(const node& value) {
    switch (value.is) {
    case node::kind::null:
        return "null";
    case node::kind::boolean:
        return "boolean";
    case node::kind::integer:
        return "integer";
    case node::kind::real:
        return "number";
    case node::kind::text:
        return "string";
    case node::kind::list:
        return "array";
    case node::kind::mapping:
    case node::kind::broken:
        break;
    }
    return "object";
}

std::string_view in_words(std::string_view type) {
    static const std::map<std::string_view, std::string_view> words{
        {"boolean", "true or false"}, {"integer", "a whole number"}, {"number", "a number"},
        {"string", "text"},           {"array", "a list"},           {"object", "a mapping"},
    };
    return words.at(type);
}

// "a", "a and b", "a, b and c".
std::string enumerate(const std::vector<std::string>& words, std::string_view last) {
    std::string out;
    for (std::size_t i = 0; i < words.size(); ++i) {
        if (i > 0)
            out += i + 1 == words.size() ? " " + std::string(last) + " " : ", ";
        out += words[i];
    }
    return out;
}

bool matches(std::string_view pattern, std::string_view text) {
    thread_local std::map<std::string, std::regex, std::less<>> compiled;
    auto found = compiled.find(pattern);
    if (found == compiled.end())
        found = compiled.emplace(std::string(pattern), std::regex(std::string(pattern))).first;
    return std::regex_search(text.begin(), text.end(), found->second);
}

bool same(const node& a, const node& b) {
    if (a.is != b.is || a.scalar != b.scalar || a.items.size() != b.items.size() ||
        a.entries.size() != b.entries.size())
        return false;
    for (std::size_t i = 0; i < a.items.size(); ++i) {
        if (!same(a.items[i], b.items[i]))
            return false;
    }
    return std::all_of(a.entries.begin(), a.entries.end(), [&](const entry& e) {
        const auto* other = b.find(e.key);
        return other != nullptr && same(e.value, other->value);
    });
}

class checker {
public:
    checker(document& doc, std::vector<problem>& problems) : doc_(doc), problems_(problems) {}

    // `secret`: nothing of the value, its keys included, may be quoted.
    void check(const schema& rules, node& value, const json_path& path, bool secret) {
        if (value.is == node::kind::broken)
            return;
        const auto* marked = rules.keyword("x-postern-secret");
        if (marked != nullptr && marked->as_bool()) {
            if (value.is != node::kind::mapping)
                return refuse(value, path,
                              "a secret is not written here, only where it is to be found: {env: NAME}, "
                              "{file: PATH} or {vault: {key: NAME}}");
            secret = true;
        }
        if (auto choices = rules.alternatives("anyOf"); !choices.empty())
            return check_any(choices, value, path, secret);
        if (!check_type(rules, value, path))
            return;
        check_choice(rules, value, path, secret);
        if (value.is == node::kind::text)
            check_text(rules, value, path);
        else if (value.is == node::kind::integer)
            check_number(rules, value, path);
        else if (value.is == node::kind::list)
            check_list(rules, value, path, secret);
        else if (value.is == node::kind::mapping)
            check_mapping(rules, value, path, secret);
    }

private:
    void report(const json_path& path, std::string message, std::string suggestion = {}) {
        problems_.push_back(doc_.problem_at(path, std::move(message), std::move(suggestion)));
    }

    // Reports a value that nobody can make use of.
    void refuse(node& value, const json_path& path, std::string message, std::string suggestion = {}) {
        report(path, std::move(message), std::move(suggestion));
        value.is = node::kind::broken;
    }

    void refuse_type(const std::vector<std::string>& wanted, node& value, const json_path& path) {
        std::vector<std::string> words;
        words.reserve(wanted.size());
        for (const auto& type : wanted)
            words.emplace_back(in_words(type));
        auto message = "must be " + enumerate(words, "or");
        if (value.is == node::kind::null)
            return refuse(value, path, message + ", but is empty");
        message += ", not " + std::string(in_words(type_of(value)));
        const auto is_plain = !value.scalar.empty() && value.is != node::kind::text;
        const auto takes_text = std::find(wanted.begin(), wanted.end(), "string") != wanted.end();
        refuse(value, path, message + (is_plain && takes_text ? ": put it in quotes" : ""));
    }

    bool check_type(const schema& rules, node& value, const json_path& path) {
        const auto* wanted = rules.keyword("type");
        if (wanted == nullptr || view(*wanted) == type_of(value))
            return true;
        refuse_type({std::string(view(*wanted))}, value, path);
        return false;
    }

    // Alternatives differ in type: the one that fits the value decides.
    void check_any(const std::vector<schema>& choices, node& value, const json_path& path, bool secret) {
        std::vector<std::string> types;
        types.reserve(choices.size());
        for (const auto& choice : choices) {
            types.emplace_back(view(*choice.keyword("type")));
            if (types.back() == type_of(value))
                return check(choice, value, path, secret);
        }
        refuse_type(types, value, path);
    }

    void check_choice(const schema& rules, node& value, const json_path& path, bool secret) {
        auto choices = rules.texts("enum");
        if (const auto* only = rules.keyword("const"))
            choices.emplace_back(view(*only));
        if (choices.empty())
            return;
        const auto is_text = value.is == node::kind::text;
        if (is_text && std::find(choices.begin(), choices.end(), value.scalar) != choices.end())
            return;
        auto message = "must be " + enumerate(choices, "or");
        if (is_text && !secret && is_harmless(value.scalar))
            return refuse(value, path, message + ", not \"" + value.scalar + "\"",
                          nearest(value.scalar, choices).value_or(""));
        refuse(value, path, message);
    }

    void check_text(const schema& rules, node& value, const json_path& path) {
        const auto length = static_cast<std::int64_t>(count_characters(value.scalar));
        if (const auto* least = rules.keyword("minLength"); least != nullptr && length < least->as_int64())
            return refuse(value, path, "must not be empty");
        if (const auto* most = rules.keyword("maxLength"); most != nullptr && length > most->as_int64())
            return refuse(value, path, "must not be longer than " + std::to_string(most->as_int64()) + " characters");
        const auto* pattern = rules.keyword("pattern");
        if (pattern != nullptr && !matches(view(*pattern), value.scalar))
            refuse(value, path, std::string(view(*rules.keyword("patternErrorMessage"))));
    }

    void check_number(const schema& rules, node& value, const json_path& path) {
        const auto* least = rules.keyword("minimum");
        const auto* most = rules.keyword("maximum");
        if (least == nullptr || most == nullptr)
            return;
        std::int64_t number = 0;
        const auto* end = value.scalar.data() + value.scalar.size();
        const auto [rest, failed] = std::from_chars(value.scalar.data(), end, number);
        if (failed != std::errc{} || rest != end || number < least->as_int64() || number > most->as_int64())
            refuse(value, path,
                   "must be a whole number from " + std::to_string(least->as_int64()) + " to " +
                       std::to_string(most->as_int64()));
    }

    void check_list(const schema& rules, node& value, const json_path& path, bool secret) {
        if (const auto* least = rules.keyword("minItems");
            least != nullptr && static_cast<std::int64_t>(value.items.size()) < least->as_int64())
            report(path, "must not be empty");
        const auto* unique = rules.keyword("uniqueItems");
        const auto items = rules.part("items");
        for (std::size_t i = 0; i < value.items.size(); ++i) {
            const auto first = std::find_if(value.items.begin(), value.items.begin() + static_cast<std::ptrdiff_t>(i),
                                            [&](const node& other) { return same(other, value.items[i]); });
            const auto is_repeated = first - value.items.begin() < static_cast<std::ptrdiff_t>(i);
            if (unique != nullptr && unique->as_bool() && is_repeated)
                refuse(value.items[i], path / i,
                       "is in the list twice: first on line " + std::to_string(first->at.line));
            else if (items)
                check(*items, value.items[i], path / i, secret);
        }
    }

    void check_mapping(const schema& rules, node& value, const json_path& path, bool secret) {

        const auto unknown = check_fields(rules, value, path, secret);
        for (const auto& e : unknown) {
            if (!e.key.empty() && value.find(e.key) == nullptr)
                value.entries.push_back(e);
        }
        for (const auto& name : rules.texts("required")) {
            if (value.find(name) == nullptr)
                report(path, "\"" + name + "\" is needed");
        }
        if (unknown.empty())
            check_combination(rules, value, path);
    }

    // Checks the fields that are there; returns, as broken, what the unknown ones were probably meant to be, under ""
    // those that resemble nothing.
    std::vector<entry> check_fields(const schema& rules, node& value, const json_path& path, bool secret) {
        std::vector<entry> unknown;
        const auto names = rules.property_names();
        const auto others = rules.part("additionalProperties");
        for (auto& e : value.entries) {
            if (auto known = rules.property(e.key)) {
                check(*known, e.value, path / e.key, secret);
            } else if (others) {
                check(*others, e.value, path / e.key, secret);
            } else if (secret) {
                unknown.push_back(broken("", e.at));
                report(path, "unknown field, only " + enumerate(names, "and") + " are possible here");
            } else {
                unknown.push_back(broken(nearest(e.key, names).value_or(""), e.at));
                report_unknown(e, path, unknown.back().key);
            }
        }
        return unknown;
    }

    static entry broken(std::string key, position at) {
        entry e{std::move(key), at, {}};
        e.value.is = node::kind::broken;
        e.value.at = at;
        return e;
    }

    void report_unknown(const entry& e, const json_path& path, const std::string& suggestion) {
        const auto quoted = is_harmless(e.key) ? " \"" + e.key + "\"" : "";
        auto p = doc_.problem_at(path, "unknown field" + quoted, suggestion);
        p.line = e.at.line;
        p.column = e.at.column;
        problems_.push_back(std::move(p));
    }

    // Rules about which fields go together.
    void check_combination(const schema& rules, const node& value, const json_path& path) {
        const auto count = static_cast<std::int64_t>(value.entries.size());
        const auto* least = rules.keyword("minProperties");
        const auto* most = rules.keyword("maxProperties");
        if ((least != nullptr && count < least->as_int64()) || (most != nullptr && count > most->as_int64())) {
            const auto names = rules.property_names();
            report(path,
                   names.empty() ? "must not be empty" : "exactly one of " + enumerate(names, "and") + " is needed");
        }
        const auto has = [&](const std::string& name) { return value.find(name) != nullptr; };
        std::vector<std::string> choices;
        for (const auto& choice : rules.alternatives("oneOf"))
            choices.push_back(choice.texts("required").front());
        if (!choices.empty() && std::count_if(choices.begin(), choices.end(), has) != 1)
            report(path, "exactly one of " + enumerate(choices, "and") + " is needed");
        const auto excluded = rules.part("not");
        const auto together = excluded ? excluded->texts("required") : std::vector<std::string>{};
        if (!together.empty() && std::all_of(together.begin(), together.end(), has))
            report(path, enumerate(together, "and") + " exclude each other");
    }

    document& doc_;
    std::vector<problem>& problems_;
};

} // namespace

void check(document& doc, const schema& rules, std::vector<problem>& problems) {
    checker(doc, problems).check(rules, doc.root, {}, false);
}

} // namespace postern::spec
