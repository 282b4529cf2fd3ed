#include "cloud/caller.hpp"

#include <doctest/doctest.h>

namespace heroku_test {

using namespace postern;
using namespace postern::testcloud;
using namespace std::chrono_literals;

namespace {

struct fixture {
    cloud all;
    caller by{all};
    fixture() { all.seed_example(); }

    const std::string path = "/apps/raxx-console-prod";
    heroku_app& app() { return *all.platform.find("raxx-console-prod"); }
    reply patch(const json::object& vars) { return by.heroku("PATCH", path + "/config-vars", vars); }
    json::object vars() { return by.heroku("GET", path + "/config-vars").parsed().as_object(); }
    json::object newest() {
        return by.heroku("GET", path + "/releases", nullptr, {{"Range", "version ..; order=desc,max=1"}})
            .parsed()
            .at(0)
            .as_object();
    }
    std::string id(const reply& r) { return std::string{r.parsed().at("id").as_string()}; }
};

} // namespace

TEST_CASE_FIXTURE(fixture, "a PATCH merges, removes with null, and is one release and one restart") {
    const auto before = app().restarts;
    const auto version = newest().at("version").as_int64();
    const auto answer = patch({{"A", "1"}, {"EMPTY", ""}, {"LOG_LEVEL", nullptr}, {"ABSENT", nullptr}});
    CHECK(answer.status == 200);
    CHECK(answer.parsed() == json::object{{"A", "1"}, {"EMPTY", ""}});
    CHECK(app().restarts == before + 1);
    CHECK(newest().at("version") == version + 1);
    CHECK(newest().at("current") == true);
    CHECK(newest().at("description").as_string().find("A, EMPTY") != std::string::npos);
    CHECK(by.heroku("GET", "/apps/" + app().id + "/config-vars").status == 200);
}

TEST_CASE_FIXTURE(fixture, "a PATCH that changes nothing is a release all the same, unless that is switched") {
    const auto before = app().restarts;
    patch({{"LOG_LEVEL", "info"}});
    CHECK(app().restarts == before + 1);
    all.platform.switches.noop_creates_release = false;
    patch({{"LOG_LEVEL", "info"}});
    CHECK(app().restarts == before + 1);
    patch({{"LOG_LEVEL", "debug"}});
    CHECK(app().restarts == before + 2);
}

TEST_CASE_FIXTURE(fixture, "a PATCH with one bad key changes nothing at all") {
    app().attachment_keys = {"DATABASE_URL"};
    app().config["DATABASE_URL"] = "postgres://x";
    const auto before = app().config;
    for (const json::object& bad :
         {json::object{{"A-B", "1"}}, json::object{{"A.B", "1"}}, json::object{{"A", 1}},
          json::object{{"A", "1"}, {"DATABASE_URL", nullptr}}, json::object{{"A", std::string(65 * 1024, 'x')}}}) {
        const auto refused = patch(bad);
        CHECK(refused.status == 422);
        CHECK(id(refused) == "invalid_params");
    }
    CHECK(by.heroku("PATCH", path + "/config-vars", json::array{}).status == 400);
    CHECK(app().config == before);
}

TEST_CASE_FIXTURE(fixture, "under a release phase the old values hold until it has succeeded") {
    app().phase = {true, 30s, false, false};
    const auto answer = patch({{"A", "1"}});
    CHECK(answer.status == 200);
    CHECK_FALSE(answer.parsed().as_object().contains("A"));
    CHECK(answer.header("Warning-Message"));
    const auto second = patch({{"B", "2"}});
    CHECK(second.header("Warning-Message"));
    CHECK(newest().at("status") == "pending");
    CHECK(newest().at("current") == false);
    all.advance(30s);
    CHECK(vars() == json::object{{"LOG_LEVEL", "info"}, {"A", "1"}});
    CHECK(newest().at("status") == "pending");
    all.advance(30s);
    CHECK(vars() == json::object{{"LOG_LEVEL", "info"}, {"A", "1"}, {"B", "2"}});
    CHECK(newest().at("status") == "succeeded");
}

TEST_CASE_FIXTURE(fixture, "a failed release phase leaves the old values, a stuck one never ends") {
    app().phase = {true, 30s, true, false};
    patch({{"A", "1"}});
    all.advance(30s);
    CHECK(newest().at("status") == "failed");
    CHECK(vars() == json::object{{"LOG_LEVEL", "info"}});
    app().phase.stuck = true;
    patch({{"A", "1"}});
    all.advance(24h);
    CHECK(newest().at("status") == "pending");
}

TEST_CASE_FIXTURE(fixture, "a rollback brings the old values back, and a release keeps its own for ever") {
    patch({{"SECRET", "old"}});
    const auto old_release = newest();
    patch({{"SECRET", "new"}, {"EXTRA", "1"}});
    const std::string releases = path + "/releases";
    const auto version = std::to_string(old_release.at("version").as_int64());
    CHECK(by.heroku("GET", releases + "/" + version + "/config-vars").parsed().at("SECRET") == "old");
    const auto answer = by.heroku("POST", releases, {{"release", old_release.at("id")}});
    CHECK(answer.status == 201);
    CHECK(answer.parsed().at("description") == ("Rollback to v" + version).c_str());
    CHECK(vars().at("SECRET") == "old");
    CHECK_FALSE(vars().contains("EXTRA"));
    CHECK(by.heroku("POST", releases, {{"release", "nope"}}).status == 404);
}

TEST_CASE_FIXTURE(fixture, "lists come in ranges, however these are written") {
    for (int i = 0; i < 5; ++i)
        patch({{"N", std::to_string(i)}});
    auto list = [&](const std::string& range) {
        return by.heroku("GET", path + "/releases", nullptr, {{"Range", range}});
    };
    const auto whole = by.heroku("GET", path + "/releases");
    CHECK(whole.status == 200);
    CHECK(whole.parsed().as_array().size() == 7);
    for (const auto* range :
         {"version ..; order=desc,max=3", "version ..; max=3, order=desc", "version ..; max=3,order=desc;"}) {
        const auto page = list(range);
        CHECK(page.status == 206);
        CHECK(page.parsed().as_array().size() == 3);
        CHECK(page.parsed().at(0).at("version") == 7);
        CHECK(page.header("Next-Range") == "version ]5..; max=3, order=desc");
    }
    const auto last = list("version ]3..; max=3, order=desc");
    CHECK(last.status == 200);
    CHECK_FALSE(last.header("Next-Range"));
    CHECK(last.parsed().at(0).at("version") == 2);
    CHECK(list("version 6..; max=5").parsed().at(0).at("version") == 6);
    CHECK(list("nonsense").status == 416);
    CHECK(list("version ..; max=5000").status == 416);
    all.platform.switches.page = 1;
    const auto apps = by.heroku("GET", "/apps");
    CHECK(apps.status == 206);
    CHECK(by.heroku("GET", "/apps", nullptr, {{"Range", *apps.header("Next-Range")}}).parsed().at(0).at("id") !=
          apps.parsed().at(0).at("id"));
}

TEST_CASE_FIXTURE(fixture, "who may not is told so, in Heroku's several ways") {
    auto ask = [&](const std::string& key, const std::string& accept) {
        return by.send(service::heroku, "GET", path + "/config-vars",
                       {{"Authorization", "Bearer " + key}, {"Accept", accept}}, nullptr);
    };
    const std::string v3 = "application/vnd.heroku+json; version=3";
    CHECK(ask("wrong", v3).status == 401);
    CHECK(ask(all.example.heroku_key, "application/json").status == 406);
    CHECK(ask(all.example.heroku_key, v3 + ".sdk").status == 200);
    all.platform.keys[0].scopes = {"read", "write"};
    CHECK(ask(all.example.heroku_key, v3).status == 403);
    CHECK(by.heroku("GET", path).status == 200);
    all.platform.keys[0].scopes = {"read-protected"};
    CHECK(ask(all.example.heroku_key, v3).status == 200);
    CHECK(patch({{"A", "1"}}).status == 403);
    all.platform.keys[0].scopes = {"write-protected"};
    CHECK(patch({{"A", "1"}}).status == 200);
    app().locked = true;
    CHECK(id(by.heroku("GET", path)) == "forbidden");
    app().locked = false;
    app().two_factor = true;
    CHECK(id(by.heroku("GET", path)) == "two_factor");
    CHECK(by.last.answer.parsed().at("app").at("name") == "raxx-console-prod");
    app().two_factor = false;
    app().gone = true;
    CHECK(by.heroku("GET", path).status == 404);
    CHECK(by.heroku("GET", "/apps").parsed().as_array().size() == 1);
    all.platform.keys[0].valid = false;
    CHECK(by.heroku("GET", "/account").status == 401);
}

TEST_CASE_FIXTURE(fixture, "Basic authentication carries the key as its password") {
    all.platform.keys[0].value = "good";
    CHECK(by.send(service::heroku, "GET", "/account",
                  {{"Authorization", "Basic Omdvb2Q="}, {"Accept", "application/vnd.heroku+json; version=3"}}, nullptr)
              .status == 200);
}

TEST_CASE_FIXTURE(fixture, "the bucket empties, refills, and asking about it is free") {
    auto& s = all.platform.switches;
    s.enforce_limits = true;
    s.bucket = 3;
    for (int i = 0; i < 3; ++i)
        CHECK(by.heroku("GET", "/account").status == 200);
    CHECK(by.last.answer.header("RateLimit-Remaining") == "0");
    const auto refused = by.heroku("GET", "/account");
    CHECK(refused.status == 429);
    CHECK(id(refused) == "rate_limit");
    CHECK(by.heroku("GET", "/account/rate-limits").parsed().at("remaining") == 0);
    all.advance(1s);
    CHECK(by.heroku("GET", "/account").status == 200);
    CHECK(by.heroku("GET", "/account").status == 429);
}

TEST_CASE_FIXTURE(fixture, "an unchanged read is a 304, and If-Match holds where it is switched on") {
    const auto tag = *by.heroku("GET", path + "/config-vars").header("ETag");
    CHECK(by.heroku("GET", path + "/config-vars", nullptr, {{"If-None-Match", tag}}).status == 304);
    auto conditional = [&] {
        return by.heroku("PATCH", path + "/config-vars", json::object{{"A", "1"}}, {{"If-Match", tag}}).status;
    };
    CHECK(conditional() == 200);
    all.platform.switches.if_match = true;
    CHECK(conditional() == 412);
}

TEST_CASE_FIXTURE(fixture, "a masked var cannot be read") {
    patch({{"A", "1"}});
    app().masked_keys = {"A"};
    CHECK(vars().at("A").is_null());
    all.platform.switches.mask_by_omission = true;
    CHECK_FALSE(vars().contains("A"));
}

} // namespace heroku_test
