#include "net/json.hpp"
#include "run/record_codec.hpp"

#include <boost/json.hpp>
#include <doctest/doctest.h>

#include <fstream>
#include <iterator>

namespace record_test {

using namespace postern;
namespace json = boost::json;

namespace {

domain::record full_record() {
    domain::record r;
    r.installation = "aa11bb22";
    r.holder = "holder";
    r.epoch = 7;
    r.source = "specs";
    r.deletion = domain::deletion_policy::delete_;
    r.account = "raxx";
    r.path = "/MooseQuest/cloudflare";
    r.key = "CF_ACCESS_SVC_CONSOLE";
    r.current =
        domain::credential{"n2", "token-2", "c2.access", "0123456789ab", parse_instant("2026-11-22T10:00:00Z").value()};
    r.previous = domain::credential{"", "token-1", "c1.access", ""};
    r.previous_until = *parse_instant("2026-11-23T10:00:00.250Z");
    r.cut_off = *parse_instant("2026-11-23T10:00:00.250Z");
    r.lingering = {{"n0", "token-0", "c0.access", "0123456789ab"}};
    r.request = domain::rotation_request{*parse_instant("2026-11-23T09:00:00Z"), "Requested",
                                         domain::strategy::in_place, "holder", true};
    r.pending = domain::intent{"n3",
                               "Expiring",
                               "holder",
                               *parse_instant("2026-11-23T10:00:00Z"),
                               *parse_instant("2026-11-23T10:00:30Z"),
                               domain::strategy::in_place};
    r.reason = "Expiring";
    r.policies = {{"b", "app-1", "p1", {"token-1", "token-2"}, "0123456789ab"}};
    r.deliveries = {{"heroku", "raxx-console-prod", {"ID", "SECRET"}, 61, "0123456789ab", ""}};
    r.authorizations = {"I authorize CF_ACCESS_SVC_CONSOLE", "quoted \"words\" \xe2\x80\xae"};
    r.promoted = "/MooseQuest/cloudflare/CF_ACCESS_SVC_CONSOLE";
    r.confirmed = "0123456789ab";
    return r;
}

// Whether the value is what the schema says, as far as the record's schema goes.
void check_against(const json::object& root, const json::object& schema, const json::value& value,
                   const std::string& at) {
    CAPTURE(at);
    if (const auto* ref = schema.if_contains("$ref")) {
        auto name = json::value_to<std::string>(*ref).substr(std::string{"#/$defs/"}.size());
        return check_against(root, root.at("$defs").at(name).as_object(), value, at);
    }
    if (const auto* type = schema.if_contains("type")) {
        const std::map<std::string, json::kind> kinds{{"object", json::kind::object},
                                                      {"array", json::kind::array},
                                                      {"string", json::kind::string},
                                                      {"integer", json::kind::int64},
                                                      {"boolean", json::kind::bool_}};
        CHECK(kinds.at(json::value_to<std::string>(*type)) == value.kind());
    }
    if (const auto* items = schema.if_contains("items")) {
        for (const auto& item : value.as_array())
            check_against(root, items->as_object(), item, at + "[]");
    }
    const auto* properties = schema.if_contains("properties");
    if (properties == nullptr)
        return;
    for (const auto& name : schema.at("required").as_array())
        CHECK_MESSAGE(value.as_object().contains(name.as_string()), name.as_string());
    for (const auto& field : value.as_object()) {
        const auto* known = properties->as_object().if_contains(field.key());
        REQUIRE_MESSAGE(known != nullptr, field.key());
        check_against(root, known->as_object(), field.value(), at + "." + std::string{field.key()});
    }
}

} // namespace

TEST_CASE("a record comes back as it was written, and equal records are equal texts") {
    for (const auto& r : {full_record(), domain::record{}}) {
        auto text = run::to_text(r);
        auto back = run::record_from(text);
        REQUIRE_MESSAGE(back.has_value(), back.error().what);
        CHECK(back.value() == r);
        CHECK(run::to_text(back.value()) == text);
    }
}

TEST_CASE("a record is what its published schema says, and the schema knows every field") {
    std::ifstream in{std::string{POSTERN_SOURCE_DIR} + "/crds-like-schemas/record.json"};
    std::string text{std::istreambuf_iterator<char>{in}, {}};
    auto schema = json::parse(text).as_object();
    auto value = json::parse(run::to_text(full_record()));
    check_against(schema, schema, value, "$");
    CHECK(value.as_object().size() == schema.at("properties").as_object().size());
    CHECK(schema.at("properties").at("v").at("const").as_int64() == domain::record::format);
}

TEST_CASE("unknown fields are passed over, another version and wrong types are not") {
    auto with = [](const std::string& field) { return "{\"v\":1," + field + "}"; };
    CHECK(run::record_from(with(R"("fromTheFuture":{"a":[1]})")).has_value());
    CHECK(run::record_from(with(R"("current":null)")).has_value());
    struct wrong {
        std::string text;
        std::string says;
    };
    const std::vector<wrong> table{
        {"", "JSON"},
        {"[]", "JSON object"},
        {"{\"v\":1", "JSON"},
        {"{}", "version"},
        {R"({"v":"1"})", "version"},
        {R"({"v":2})", "version is 2"},
        {with(R"("epoch":"7")"), "epoch"},
        {with(R"("epoch":99999999999999)"), "range"},
        {with(R"("current":[])"), "current"},
        {with(R"("current":{"nonce":5})"), "current.nonce"},
        {with(R"("policies":[{"put":[5]}])"), "policies.put"},
        {with(R"("policies":[5])"), "policies"},
        {with(R"("previousUntil":"soon")"), "previousUntil"},
        {with(R"("deletionPolicy":"Burn")"), "deletionPolicy"},
    };
    for (const auto& row : table) {
        auto r = run::record_from(row.text);
        REQUIRE_MESSAGE(r.has_error(), row.text);
        CHECK_MESSAGE(r.error().what.find(row.says) != std::string::npos, r.error().what);
        CHECK(r.error().kind == error_kind::refused);
    }
}

TEST_CASE("the folder's own key comes back, and nothing of it is quoted where it is wrong") {
    run::key_ring::installation own{"aa11bb22", secret{"00112233445566778899aabbccddeeff"}};
    auto back = run::installation_from(run::to_text(own));
    REQUIRE(back.has_value());
    CHECK(back.value().id == own.id);
    CHECK(same(back.value().fingerprint_key, own.fingerprint_key));
    for (auto bad : {"hush-hush", R"({"v":1,"installation":"hush-hush"})",
                     R"({"v":9,"installation":"a","fingerprintKey":"hush-hush"})",
                     R"({"v":1,"installation":"","fingerprintKey":"hush-hush"})"}) {
        auto r = run::installation_from(secret{bad});
        REQUIRE_MESSAGE(r.has_error(), bad);
        CHECK(r.error().message().find("hush") == std::string::npos);
    }
}

} // namespace record_test
