#include "spec/generated.hpp"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

#include <algorithm>
#include <array>
#include <cstdint>
#include <map>
#include <regex>
#include <vector>

namespace postern::spec_test {

namespace json = boost::json;

namespace {

constexpr std::size_t deepest = 8;

std::string repeated(std::string_view text, std::size_t times) {
    std::string out;
    for (std::size_t i = 0; i < times; ++i)
        out += text;
    return out;
}

// What stands in documents, what nearly does, and what is just as long as it may be or one longer.
const std::vector<std::string>& texts() {
    static const std::vector<std::string> all = [] {
        std::vector<std::string> some{"console-self-probe",
                                      "CF_ACCESS_SVC_CONSOLE",
                                      "8760h",
                                      "1h30m",
                                      "forever",
                                      "0s",
                                      "1.5h",
                                      "/MooseQuest/cloudflare",
                                      "/health?a=1",
                                      "//evil",
                                      "/a/../b",
                                      "https://api.cloudflare.com/client/v4",
                                      "http://127.0.0.1:8080",
                                      "ftp://a",
                                      "console.raxx.app",
                                      "*.raxx.app",
                                      "console*.raxx.app/path",
                                      "0b55d01b-592b-4da4-b170-02d48a9f550d",
                                      "I authorize CF_ACCESS_SVC_CONSOLE",
                                      "I authorize K again 2027-01-31",
                                      "raxx-console-prod",
                                      "HEROKU_X",
                                      "__X",
                                      "postern",
                                      "name (retired 2027)",
                                      "a b",
                                      " a",
                                      "a ",
                                      "a",
                                      "",
                                      "-",
                                      "true",
                                      "null",
                                      "12",
                                      "Replace",
                                      "Enforce",
                                      "Retain",
                                      "\xc3\xa9t\xc3\xa9",
                                      "0123456789ab",
                                      "#",
                                      "a: b",
                                      "quote \" and \\"};
        for (const std::size_t length : {29U, 30U, 31U, 63U, 64U, 65U, 100U, 101U, 256U, 257U, 300U, 301U}) {
            some.push_back(repeated("a", length));
            some.push_back("/" + repeated("b", length - 1));
            some.push_back(repeated("\xc3\xa9", length));
        }
        return some;
    }();
    return all;
}

const std::regex& compiled(const std::string& pattern) {
    static std::map<std::string, std::regex> all;
    const auto found = all.find(pattern);
    return found != all.end() ? found->second : all.emplace(pattern, std::regex{pattern}).first->second;
}

// Mostly one that the pattern takes.
json::string text(const spec::schema& rules, choices& by) {
    const auto from = by.next(texts().size());
    const auto* pattern = rules.keyword("pattern");
    if (pattern == nullptr || by.one_in(8))
        return json::string{texts()[from]};
    const auto& wanted = compiled(std::string{std::string_view{pattern->as_string()}});
    for (std::size_t i = 0; i < texts().size(); ++i) {
        const auto& one = texts()[(from + i) % texts().size()];
        if (std::regex_search(one, wanted))
            return json::string{one};
    }
    return json::string{texts()[from]};
}

json::value number(const spec::schema& rules, choices& by) {
    const auto* least = rules.keyword("minimum");
    const auto* most = rules.keyword("maximum");
    const auto low = least != nullptr ? least->as_int64() : 0;
    const auto high = most != nullptr ? most->as_int64() : 1000;
    const std::array<std::int64_t, 6> some{low, high, low - 1, high + 1, (low + high) / 2, 0};
    return some[by.next(some.size())];
}

// Of whatever type.
json::value anything(choices& by) {
    switch (by.next(8)) {
    case 0:
        return nullptr;
    case 1:
        return by.one_in(2);
    case 2:
        return static_cast<std::int64_t>(by.next(256)) - 5;
    case 3:
        return 1.5;
    case 4:
        return json::array{};
    case 5:
        return json::array{"a", "a"};
    case 6:
        return json::object{{"env", "POSTERN_X"}};
    default:
        return json::string{texts()[by.next(texts().size())]};
    }
}

json::value make(const spec::schema& rules, choices& by, std::size_t depth);

json::object mapping(const spec::schema& rules, choices& by, std::size_t depth) {
    json::object out;
    auto names = rules.property_names();
    const auto* most = rules.keyword("maxProperties");
    if (most != nullptr && !names.empty() && !by.one_in(8))
        names = {names[by.next(names.size())]};
    const auto needed = rules.texts("required");
    for (const auto& name : names) {
        const bool asked = std::find(needed.begin(), needed.end(), name) != needed.end() || names.size() == 1;
        if (asked ? !by.one_in(16) : by.one_in(2))
            out[name] = make(*rules.property(name), by, depth + 1);
    }
    if (const auto others = rules.part("additionalProperties")) {
        for (auto n = by.next(3); n > 0; --n)
            out["vendor" + std::to_string(n)] = make(*others, by, depth + 1);
    }
    if (by.one_in(16))
        out["unknown"] = anything(by);
    return out;
}

json::value make(const spec::schema& rules, choices& by, std::size_t depth) {
    if (depth > deepest || by.one_in(24))
        return anything(by);
    if (const auto* only = rules.keyword("const"))
        return *only;
    if (const auto* several = rules.keyword("enum"))
        return by.one_in(8) ? json::value{"Replaced"} : several->as_array()[by.next(several->as_array().size())];
    if (const auto alternatives = rules.alternatives("anyOf"); !alternatives.empty())
        return make(alternatives[by.next(alternatives.size())], by, depth + 1);
    const auto* type = rules.keyword("type");
    const std::string_view is = type == nullptr ? std::string_view{} : std::string_view{type->as_string()};
    if (is == "object")
        return mapping(rules, by, depth);
    if (is == "string")
        return text(rules, by);
    if (is == "integer")
        return number(rules, by);
    if (is == "boolean")
        return by.one_in(2);
    if (is != "array")
        return anything(by);
    json::array out;
    for (auto n = by.next(4); n > 0; --n)
        out.push_back(rules.part("items") ? make(*rules.part("items"), by, depth + 1) : anything(by));
    return out;
}

} // namespace

std::size_t choices::next(std::size_t below) {
    const auto byte = at_ < bytes_.size() ? static_cast<unsigned char>(bytes_[at_++]) : 0U;
    return byte % below;
}

json::value generate(const spec::schema& rules, choices& by) {
    return mapping(rules, by, 0);
}

} // namespace postern::spec_test
