#include "spec/check.hpp"
#include "spec/embedded.hpp"
#include "spec/fields.hpp"
#include "spec/load.hpp"
#include "spec/schema.hpp"

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <doctest/doctest.h>

#include <functional>
#include <stdexcept>

namespace schema_test {

using namespace postern;
namespace json = boost::json;

namespace {

const json::object& as_schema(const json::value& v) {
    return v.as_object();
}

// Calls `see` for a schema and each schema inside it; `$ref` is not followed.
void walk(const json::object& body, const std::string& path,
          const std::function<void(const json::object&, const std::string&)>& see) {
    see(body, path);
    for (auto group : {"properties", "$defs"}) {
        if (const auto* parts = body.if_contains(group)) {
            for (const auto& [name, part] : parts->as_object())
                walk(as_schema(part), path + "/" + std::string(name), see);
        }
    }
    for (auto one : {"items", "additionalProperties"}) {
        if (const auto* part = body.if_contains(one); part != nullptr && part->is_object())
            walk(as_schema(*part), path + "/" + one, see);
    }
    if (const auto* parts = body.if_contains("anyOf")) {
        for (const auto& part : parts->as_array())
            walk(as_schema(part), path + "/anyOf", see);
    }
}

void walk_all(const std::function<void(const json::object&, const std::string&)>& see) {
    for (auto text : spec::embedded_schemas()) {
        const auto root = json::parse(text);
        walk(as_schema(root), std::string(root.at("title").as_string()), see);
    }
}

spec::document document_of(const std::string& text) {
    spec::document doc;
    doc.root = spec::read_yaml(text).documents.at(0);
    return doc;
}

// A document with every field that the schema knows, choosing alternative `choice` wherever fields or shapes exclude
// each other.
std::string everything(const spec::schema& rules, std::size_t choice) {
    if (const auto* only = rules.keyword("const"))
        return std::string(only->as_string());
    if (const auto* several = rules.keyword("enum"))
        return std::string(several->as_array()[0].as_string());
    if (const auto alternatives = rules.alternatives("anyOf"); !alternatives.empty())
        return everything(alternatives[choice % alternatives.size()], choice);
    const auto type = rules.keyword("type")->as_string();
    if (type == "array")
        return "[" + everything(*rules.part("items"), choice) + "]";
    if (type == "boolean")
        return "true";
    if (type == "integer")
        return std::to_string(rules.keyword("minimum")->as_int64());
    if (type == "string")
        return "\"\"";
    if (const auto others = rules.part("additionalProperties"))
        return "{cloudflare: " + everything(*others, choice) + "}";
    auto names = rules.property_names();
    if (rules.keyword("maxProperties") != nullptr)
        names = {names[choice % names.size()]};
    std::vector<std::string> excluded;
    for (const auto& one : rules.alternatives("oneOf"))
        excluded.push_back(one.texts("required").at(0));
    if (const auto together = rules.part("not"))
        excluded = together->texts("required");
    std::string out;
    for (const auto& name : names) {
        const auto at = std::find(excluded.begin(), excluded.end(), name);
        if (at == excluded.end() || static_cast<std::size_t>(at - excluded.begin()) == choice % excluded.size())
            out += (out.empty() ? "" : ", ") + name + ": " + everything(*rules.property(name), choice);
    }
    return "{" + out + "}";
}

// Values that patterns and rules accept, for the fields that `everything` leaves empty.
std::string fill(std::string text, const std::string& kind) {
    const std::vector<std::pair<std::string, std::string>> values{
        {"key", kind == "ServiceToken" ? "K" : "L"},

        {"apiUrl", kind == "HerokuAccount" ? "https://api.heroku.com" : "https://api.cloudflare.com"},
        {"url", "https://app.infisical.com"},
        {"env", "POSTERN_X"},
        {"file", "x"},
        {"path", "/x"},
        {"statePath", "/state"},
        {"cloudflare", "/x"},
        {"vault", "v"},
        {"account", kind == "HerokuBinding" ? "h" : "a"},
        {"token", "t"},
        {"duration", "8760h"},
        {"renewBefore", "1h"},
        {"every", "100h"},
        {"overlap", "1h"},
        {"interval", "1s"},
        {"authorization", "I authorize K"},
        {"configVar", "V"},
        {"clientSecret", "W"},
        {"domain", "a.example.com"},
        {"tokens", "t"},
        {"hosts", "a.example.com"},
        {"apps", "app-a"},
        {"applications", "a.example.com"},
    };
    for (const auto& [name, value] : values) {
        for (const auto& open : {name + ": \"", name + ": [\""}) {
            for (auto at = text.find(open + "\""); at != std::string::npos; at = text.find(open + "\"", at + 1)) {
                if (at > 0 && text[at - 1] != ' ' && text[at - 1] != '{')
                    continue;
                text.insert(at + open.size(), value);
            }
        }
    }
    for (auto at = text.find("\"\""); at != std::string::npos; at = text.find("\"\""))
        text.replace(at, 2, "key");
    return text;
}

} // namespace

TEST_CASE("every field of every schema is described, and what is shared is the same everywhere") {
    std::map<std::string, std::string> shared;
    walk_all([&](const json::object& body, const std::string& path) {
        CHECK_MESSAGE((body.contains("description") || body.contains("$ref")), path);
        if (const auto* definitions = body.if_contains("$defs")) {
            for (const auto& [name, part] : definitions->as_object()) {
                const auto [at, is_first] = shared.emplace(std::string(name), json::serialize(part));
                CHECK_MESSAGE((is_first || at->second == json::serialize(part)), path, name);
            }
        }
    });
    CHECK(shared.size() == 2);
}

TEST_CASE("schemas refuse unknown fields, and fields with a default have one that they accept") {
    walk_all([](const json::object& body, const std::string& path) {
        if (body.contains("properties")) {
            REQUIRE_MESSAGE(body.contains("additionalProperties"), path);
            CHECK_MESSAGE(body.at("additionalProperties") == false, path);
        }
        const auto* otherwise = body.if_contains("default");
        if (otherwise == nullptr)
            return;
        std::vector<spec::problem> problems;
        auto doc = document_of(json::serialize(*otherwise));
        spec::check(doc, spec::schema(body), problems);
        CHECK_MESSAGE(problems.empty(), path);
    });
}

TEST_CASE("a schema that says more than is checked is a bug") {
    const auto use = [](std::string_view text) {
        const auto root = json::parse(text).as_object();
        spec::schema{root};
    };
    CHECK_NOTHROW(use(R"({"type": "object", "properties": {"a": {"type": "string"}}})"));
    CHECK_THROWS_AS(use(R"({"properties": {"a": {"multipleOf": 2}}})"), std::logic_error);
    CHECK_THROWS_AS(use(R"({"items": {"format": "uri"}})"), std::logic_error);
    CHECK_THROWS_AS(use(R"({"anyOf": [{"$ref": "#/$defs/nothing"}]})"), std::logic_error);
    CHECK_THROWS_AS(use(R"({"pattern": "^a$"})"), std::logic_error);
}

TEST_CASE("a field that only the program or only the schema knows is a bug") {
    const auto root = json::parse(R"({"type": "object", "properties": {"a": {"type": "string", "default": "x"},
                                                                       "b": {"type": "boolean", "default": true}}})")
                          .as_object();
    const auto doc = document_of("{b: false}");
    spec::fields f(doc.root, spec::schema(root), {});
    CHECK_THROWS_AS(f.text("c"), std::logic_error);
    CHECK(f.text("a") == "x");
    CHECK_THROWS_WITH_AS(f.done(), "nobody reads $.b", std::logic_error);
    CHECK_FALSE(f.flag("b"));
    CHECK_NOTHROW(f.done());
}

// Reading throws where the schema has a field that nobody reads, or lacks one that is read: so loading documents that
// hold everything is the test.
TEST_CASE("every field of the schemas is read, and none that they lack") {
    const std::vector<std::string> names{"a", "v", "h", "t", "b", "d"};
    for (std::size_t choice = 0; choice < 6; ++choice) {
        std::vector<spec::spec_file> files;
        for (const auto& kind : spec::schema::kinds()) {
            auto text = everything(*spec::schema::of(kind), choice);
            const auto name = text.find("name: \"");
            REQUIRE(name != std::string::npos);
            text.insert(name + 7, names[files.size()]);
            files.push_back({kind, fill(text, kind)});
        }
        CAPTURE(choice);
        const auto got = spec::load(files, "test", {{}, "/secrets", {}});
        for (const auto& p : got.problems) {
            // Only a vault that reads its own login from itself is a matter of choice.
            if (p.message != "a vault cannot hold its own login")
                FAIL_CHECK(spec::to_string(p));
        }
        CHECK(got.desired.cloudflare.size() == 1);
        CHECK(got.desired.vaults.size() == 1);
        CHECK(got.desired.heroku.size() == 1);
        CHECK(got.desired.tokens.size() == 1);
        CHECK(got.desired.bindings.size() == 1);
        CHECK(got.desired.heroku_bindings.size() == 1);
    }
}

} // namespace schema_test
