#include "base/text.hpp"
#include "domain/rotation.hpp"
#include "domain/world.hpp"
#include "run/status.hpp"

#include <boost/json.hpp>
#include <doctest/doctest.h>

#include <string>

namespace status_test {

using namespace postern;
using domain::testing::scene;
using domain::testing::t0;
using std::chrono::hours;
namespace json = boost::json;

namespace {

run::status full() {
    run::status s;
    s.version = "0.1.0";
    s.holder = "host/1/ab";
    s.epoch = 7;
    s.leading = true;
    s.leader = "host/1/ab";
    s.observing = true;
    s.revision = "sha256:abc";
    s.specs_problem = "specs/a.yaml:1:2: no";
    s.store_problem = "gone";
    s.started_at = t0;
    s.at = t0 + std::chrono::milliseconds{1234};
    s.pass = 1234567890123;
    s.pass_began = t0 + hours{1};
    s.pass_took = std::chrono::milliseconds{61005};
    s.silent_holder = "host/2/cd";
    s.last_whole_pass = t0 - hours{2};
    s.last_good_pass = t0 - hours{1};
    s.next_pass = t0 + hours{2};
    s.tokens = {{"a", "cadence", "id", "id.access", "0123456789ab", t0, t0 + hours{1}, t0 + hours{2}, "overlap"},
                {"b", "", "", "", "", {}, {}, {}, ""}};
    s.connections = {{"CloudflareAccount/raxx", t0 + hours{9}}, {"HerokuAccount/heroku", {}}};
    using domain::weight;
    for (auto heft : {weight::fine, weight::told, weight::waiting, weight::blocked, weight::failed})
        s.conditions.push_back({"ServiceToken/a", "Ready", domain::status::false_, "Refused", "\"quoted\" é", heft});
    s.conditions[0].is = domain::status::true_;
    s.conditions[1].is = domain::status::unknown;
    return s;
}

const run::token_status& only(const std::vector<run::token_status>& all) {
    REQUIRE(all.size() == 1);
    return all.front();
}

run::token_status seen(const scene& w) {
    return only(run::tokens_of(w.wanted, w.world, w.now));
}

} // namespace

TEST_CASE("a status comes back from its JSON as it was") {
    const auto text = run::to_json(full());
    const auto back = run::parse_status(text);
    REQUIRE_MESSAGE(back.has_value(), back.error().what);
    CHECK(run::to_json(back.value()) == text);
    const auto& s = back.value();
    CHECK(s.epoch == 7);
    CHECK(s.leader == "host/1/ab");
    CHECK(s.at == t0 + std::chrono::milliseconds{1234});
    CHECK(s.pass == 1234567890123);
    CHECK(s.pass_took == std::chrono::milliseconds{61005});
    CHECK(s.tokens[0].previous_until == t0 + hours{2});
    CHECK(!s.tokens[1].expires_at);
    CHECK(!s.connections[1].expires_at);
    CHECK(s.conditions[2].heft == domain::weight::waiting);
    CHECK(s.conditions[1].is == domain::status::unknown);
    CHECK(s.conditions[0].message == "\"quoted\" é");

    const auto empty = run::to_json(run::status{});
    CHECK(run::to_json(run::parse_status(empty).value()) == empty);
}

TEST_CASE("conditions have the fields that plan and apply print, and their weight") {
    const auto document = json::parse(run::to_json(full()));
    const auto& c = document.at("conditions").at(3).as_object();
    CHECK(c.size() == 6);
    CHECK(c.at("resource") == "ServiceToken/a");
    CHECK(c.at("type") == "Ready");
    CHECK(c.at("status") == "False");
    CHECK(c.at("reason") == "Refused");
    CHECK(c.at("message") == "\"quoted\" é");
    CHECK(c.at("weight") == "blocked");
    CHECK(document.at("tokens").at(0).at("expiresAt") == "2026-11-23T10:00:00Z");
    CHECK(document.at("tokens").at(1).at("expiresAt").is_null());
}

TEST_CASE("names from remotes are escaped, and no byte breaks the document") {
    auto s = full();
    s.conditions[0].message = "\x1b[31m\xff\xe2\x80\xae";
    const auto back = run::parse_status(run::to_json(s));
    REQUIRE(back.has_value());
    CHECK(back->conditions[0].message == "\\x1b[31m\\xff\\u{202e}");
}

TEST_CASE("what is missing or of another type is named, what another version added is passed over") {
    const auto good = json::parse(run::to_json(full())).as_object();
    for (const auto& entry : good) {
        auto less = good;
        less.erase(entry.key());
        const auto read = run::parse_status(json::serialize(less));
        // These came later: a store may hold what a version before saved.
        if (entry.key() == "silentHolder" || entry.key() == "lastWholePass") {
            CHECK_MESSAGE(read.has_value(), std::string{entry.key()});
        } else {
            REQUIRE_MESSAGE(read.has_error(), std::string{entry.key()});
            CHECK(read.error().what == std::string{entry.key()} + " is missing");
        }
        auto other = good;
        other[entry.key()] = json::object{};
        CHECK_MESSAGE(run::parse_status(json::serialize(other)).has_error(), std::string{entry.key()});
    }
    for (const auto* list : {"tokens", "connections", "conditions"}) {
        for (const auto& entry : good.at(list).at(0).as_object()) {
            auto less = good;
            less[list].at(0).as_object().erase(entry.key());
            CHECK_MESSAGE(run::parse_status(json::serialize(less)).has_error(), std::string{entry.key()});
        }
        auto odd = good;
        odd[list].as_array().emplace_back("text");
        CHECK(run::parse_status(json::serialize(odd)).has_error());
    }
    auto more = good;
    more["later"] = 1;
    CHECK(run::parse_status(json::serialize(more)).has_value());
    auto newer = good;
    newer["v"] = 2;
    CHECK(run::parse_status(json::serialize(newer)).has_error());
    auto time = good;
    time["at"] = "yesterday";
    CHECK(run::parse_status(json::serialize(time)).error().what == "at is not a time");
    time["at"] = nullptr;
    CHECK(run::parse_status(json::serialize(time)).has_error());
    auto word = good;
    word["conditions"].at(0).as_object()["weight"] = "heavy";
    CHECK(run::parse_status(json::serialize(word)).has_error());
    for (const auto* text : {"", "[]", "null", "{", "{}"})
        CHECK(run::parse_status(text).has_error());
}

TEST_CASE("one token alone, or the one that was meant") {
    auto s = full();
    s.conditions[4].resource = "AccessBinding/a";
    const auto one = run::only_token(s, "a");
    REQUIRE(one.has_value());
    CHECK(one->tokens.size() == 1);
    CHECK(one->conditions.size() == 4);
    CHECK(one->connections.size() == 2);
    s.tokens[0].name = "console";
    const auto none = run::only_token(s, "konsole");
    REQUIRE(none.has_error());
    CHECK(none.error().what == "there is no ServiceToken \"konsole\", did you mean \"console\"?");
    CHECK(run::only_token(s, "elsewhere").error().what == "there is no ServiceToken \"elsewhere\"");
}

TEST_CASE("a token's stage follows its record from nothing to in force") {
    scene w;
    CHECK(seen(w).name == "probe");
    CHECK(seen(w).stage.empty());
    CHECK(seen(w).token_id.empty());
    CHECK(!seen(w).expires_at);

    std::vector<std::string> stages;
    w.how.imagined = true;
    for (int i = 0; i < 200; ++i) {
        const auto j = w.ask();
        if (j.steps.empty())
            break;
        for (const auto& s : j.steps) {
            domain::effect(w.world, s, domain::predicted(w.world, s, w.now), w.now);
            const auto stage = seen(w).stage;
            if (stages.empty() || stages.back() != stage)
                stages.push_back(stage);
        }
    }
    CHECK(join(stages, " ") == "intend mint hold prove deliver ");
    const auto now = seen(w);
    CHECK(now.token_id == w.rec().current->token_id);
    CHECK(now.fingerprint == w.rec().current->fingerprint);
    REQUIRE(now.expires_at);
    CHECK(*now.expires_at == w.account().tokens.at(0).expires_at);
    // As the documents say, and as the chain decides it.
    REQUIRE(now.rotation_due);
    const domain::rotation_facts facts{w.wanted.tokens[0], w.rec(), w.account().tokens.at(0), w.now};
    CHECK(*now.rotation_due == domain::rotation_ahead(facts)->since);
    CHECK(*now.rotation_due > w.now);
    CHECK(*now.rotation_due <= *now.expires_at - hours{720});
}

TEST_CASE("a rotation that is due, its overlap and its end") {
    scene w;
    w.settle();
    w.now = *seen(w).rotation_due + hours{5};
    CHECK(*seen(w).rotation_due == w.now - hours{5}); // since when, not from now
    w.settle();
    auto in_overlap = seen(w);
    CHECK(in_overlap.stage == "overlap");
    REQUIRE(in_overlap.previous_until);
    CHECK(*in_overlap.previous_until == w.now + hours{48});
    w.now = *in_overlap.previous_until;
    CHECK(seen(w).stage == "retire");
    w.settle();
    CHECK(seen(w).stage.empty());
    CHECK(!seen(w).previous_until);
}

TEST_CASE("what could not be read leaves what the record says") {
    scene w;
    w.settle();
    const auto id = seen(w).token_id;
    w.world.accounts["raxx"].seen.reset();
    CHECK(seen(w).token_id == id);
    CHECK(!seen(w).expires_at);
    CHECK(!seen(w).rotation_due);
    w.world.vaults["infisical"].seen.reset();
    CHECK(seen(w).token_id.empty());
    w.world.vaults.clear();
    w.world.accounts.clear();
    CHECK(seen(w).name == "probe");
}

TEST_CASE("tokens are sorted by name") {
    scene w;
    w.wanted.tokens.push_back(scene::spec("alpha", "CF_ALPHA"));
    const auto all = run::tokens_of(w.wanted, w.world, w.now);
    REQUIRE(all.size() == 2);
    CHECK(all[0].name == "alpha");
}

} // namespace status_test
