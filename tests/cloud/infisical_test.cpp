#include "cloud/caller.hpp"

#include <doctest/doctest.h>

#include <algorithm>

namespace infisical_test {

using namespace postern;
using namespace postern::testcloud;
using namespace std::chrono_literals;

namespace {

struct fixture {
    cloud all;
    caller by{all};
    fixture() { all.seed_example(); }

    json::object stored(const std::string& name) { return by.secret("GET", name).parsed().at("secret").as_object(); }
    std::string value(const std::string& name) { return std::string{stored(name).at("secretValue").as_string()}; }
    std::string error(const reply& r) { return std::string{r.parsed().at("error").as_string()}; }
    std::string message(const reply& r) { return std::string{r.parsed().at("message").as_string()}; }
    reply get(const std::string& token, const std::string& target = "/api/v3/secrets/raw") {
        std::vector<field> headers;
        if (!token.empty())
            headers.push_back({"Authorization", token});
        return by.send(service::infisical, "GET", target + "?" + by.place(), headers, nullptr);
    }
    reply log_in(const std::string& id, const std::string& secret_text) {
        return by.send(service::infisical, "POST", "/api/v1/auth/universal-auth/login/", {},
                       json::object{{"clientId", id}, {"clientSecret", secret_text}});
    }
    std::string token() { return std::string{by.log_in().parsed().at("accessToken").as_string()}; }
    machine_identity& identity() { return all.vault.identities.front(); }
    infisical_switches& switches() { return all.vault.switches; }
};

} // namespace

TEST_CASE_FIXTURE(fixture, "a secret is created, read, changed, deleted, and starts again at version 1") {
    const auto made = by.secret("POST", "KEY", "one");
    CHECK(made.status == 200);
    CHECK(made.parsed().at("secret").at("version") == 1);
    CHECK(value("KEY") == "one");
    CHECK(by.secret("PATCH", "KEY", "two").parsed().at("secret").at("version") == 2);
    CHECK(by.secret("PATCH", "KEY", "two").parsed().at("secret").at("version") == 3);
    CHECK(by.secret("DELETE", "KEY").parsed().at("secret").at("secretValue") == "two");
    CHECK(by.secret("GET", "KEY").status == 404);
    CHECK(by.secret("DELETE", "KEY").status == 404);
    CHECK(by.secret("PATCH", "KEY", "x").status == 404);
    CHECK(by.secret("POST", "KEY", "three").parsed().at("secret").at("version") == 1);
}

TEST_CASE_FIXTURE(fixture, "an existing name is a 400, in the words of the server's time") {
    by.secret("POST", "KEY", "one");
    const auto again = by.secret("POST", "KEY", "one");
    CHECK(again.status == 400);
    CHECK(message(again) == "Secret already exists");
    switches().old_server = true;
    CHECK(message(by.secret("POST", "KEY", "one")) == "Secret already exist");
}

TEST_CASE("values are trimmed, one final newline stays") {
    CHECK(stored_value("  padded value \t") == "padded value");
    CHECK(stored_value("line1\nline2\n") == "line1\nline2\n");
    CHECK(stored_value("  x \n\n") == "x\n");
    CHECK(stored_value("").empty());
    CHECK(stored_value("\n") == "\n");
}

TEST_CASE_FIXTURE(fixture, "a place that is none: 404 with the operation's name, but an empty list") {
    const std::string project = "workspaceId=" + all.vault.project_id;
    auto at = [&](const std::string& rest) { return by.vault("GET", "/api/v3/secrets/raw" + rest); };
    const auto missing = at("/KEY?" + project + "&environment=prod&secretPath=/no/such");
    CHECK(missing.status == 404);
    CHECK(error(missing) == "GetSecretByName");
    CHECK(error(at("/KEY?" + project + "&environment=nope&secretPath=/MooseQuest/cloudflare")) == "GetSecretByName");
    CHECK(at("/CLOUDFLARE_ACCESS_MGMT_TOKEN?" + project + "&environment=prod&secretPath=/MooseQuest/cloudflare/")
              .status == 200);
    CHECK(
        at("/CLOUDFLARE_ACCESS_MGMT_TOKEN?" + project + "&environment=prod&secretPath=MooseQuest/cloudflare").status ==
        404);
    CHECK(
        at("/CLOUDFLARE_ACCESS_MGMT_TOKEN?" + project + "&environment=prod&secretPath=/moosequest/cloudflare").status ==
        404);
    const auto list = at("?" + project + "&environment=prod&secretPath=/no/such");
    CHECK(list.status == 200);
    CHECK(list.parsed().at("secrets").as_array().empty());
    CHECK(at("?" + project + "&environment=prod&recursive=1").status == 422);
    CHECK(at("/KEY?workspaceId=nope&environment=prod").status == 404);
    CHECK(at("/KEY?environment=prod").status == 400);
    CHECK(error(by.vault("GET", "/api/v3/nothing")) == "Not Found");
    CHECK(error(by.vault("PUT", "/api/v3/secrets/raw/KEY", json::object{})) == "Not Found");
    CHECK(error(by.vault("GET", "/api/v3/secrets/raw/" + std::string(101, 'N') + "?" + by.place())) == "Not Found");
}

TEST_CASE_FIXTURE(fixture, "a token may be missing, malformed, forged, expired or revoked, and each says so") {
    CHECK(get("").status == 401);
    CHECK(message(get("")) == "Token missing");
    CHECK(get("Bearer garbage").status == 403);
    CHECK(error(get("Bearer garbage")) == "TokenError");
    CHECK(message(get("Bearer eyJhbGciOiJIUzI1NiJ9.eyJ4IjoxfQ.forged")) == "invalid signature");
    identity().ttl = 3600;
    identity().max_ttl = 7200;
    const auto live = token();
    CHECK(get("Bearer " + live).status == 200);
    CHECK(get("Basic " + live).status == 403);
    const auto other = token();
    by.send(service::infisical, "POST", "/api/v1/auth/token/revoke", {}, json::object{{"accessToken", other}});
    CHECK(get("Bearer " + other).status == 401);
    CHECK(get("Bearer " + live).status == 200);
    all.advance(1h);
    CHECK(get("Bearer " + live).status == 403);
    CHECK(message(get("Bearer " + live)) == "Your token has expired. Please re-authenticate.");
}

TEST_CASE_FIXTURE(fixture, "the old server ends a token by its TTL with 401, and then knows it no more") {
    switches().old_server = true;
    identity().ttl = 3600;
    identity().max_ttl = 7200;
    const auto live = token();
    all.advance(1h);
    CHECK(message(get("Bearer " + live)) == "Failed to renew MI access token due to TTL expiration");
    CHECK(message(get("Bearer " + live)) == "No identity access token found");
}

TEST_CASE_FIXTURE(fixture, "a token is renewed up to its maximum") {
    identity().ttl = 3600;
    identity().max_ttl = 5400;
    const auto live = token();
    auto renew = [&] {
        return by.send(service::infisical, "POST", "/api/v1/auth/token/renew", {}, json::object{{"accessToken", live}});
    };
    all.advance(30min);
    CHECK(renew().status == 200);
    all.advance(50min);
    CHECK(get("Bearer " + live).status == 200);
    CHECK(renew().status == 401);
}

TEST_CASE_FIXTURE(fixture, "a token with a limit of uses ends") {
    identity().uses_limit = 1;
    const auto live = token();
    CHECK(get("Bearer " + live).status == 200);
    CHECK(get("Bearer " + live).status == 401);
    identity().uses_limit = 0;
    all.vault.static_tokens["static-token"] = identity().id;
    CHECK(get("Bearer static-token").status == 200);
}

TEST_CASE_FIXTURE(fixture, "three bad logins lock the client id for five minutes, even for the right secret") {
    const auto id = all.example.client_id;
    CHECK(log_in(id, "bad").status == 401);
    CHECK(log_in(id, "bad").status == 401);
    CHECK(log_in(id, all.example.client_secret).status == 200);
    for (int i = 0; i < 3; ++i)
        log_in(id, "bad");
    const auto locked = log_in(id, all.example.client_secret);
    CHECK(locked.status == 401);
    CHECK(message(locked).find("temporarily locked") != std::string::npos);
    all.advance(5min);
    CHECK(log_in(id, all.example.client_secret).status == 200);
    log_in(id, "bad");
    log_in(id, "bad");
    all.advance(31s);
    log_in(id, "bad");
    CHECK(log_in(id, all.example.client_secret).status == 200);
    CHECK(log_in("unknown", "x").status == 401);
    switches().old_server = true;
    CHECK(log_in("unknown", "x").status == 404);
}

TEST_CASE_FIXTURE(fixture, "validation is 422 today and was 401") {
    auto login_without_secret = [&] {
        return by.send(service::infisical, "POST", "/api/v1/auth/universal-auth/login", {},
                       json::object{{"clientId", "x"}});
    };
    CHECK(login_without_secret().status == 422);
    CHECK(error(login_without_secret()) == "ValidationFailure");
    CHECK(login_without_secret().parsed().at("message").is_array());
    CHECK(by.secret("POST", "KEY").status == 422);
    CHECK(by.secret("POST", "A%3AB", "x").status == 422);
    by.secret("POST", "KEY", "x");
    CHECK(by.secret("PATCH", "KEY").status == 200);
    switches().old_server = true;
    CHECK(login_without_secret().status == 401);
    CHECK(by.secret("PATCH", "KEY").status == 401);
    CHECK(by.secret("POST", "A%3AB", "x").status == 200);
}

TEST_CASE_FIXTURE(fixture, "what is no JSON, or over a mebibyte, is a 500") {
    const std::string target = "/api/v3/secrets/raw/KEY";
    std::vector<field> headers{{"Authorization", "Bearer " + token()}, {"Content-Type", "application/json"}};
    auto post = [&](const std::string& body, std::vector<field> with) {
        return all.serve(make_request(service::infisical, "POST", target, std::move(with), body)).answer;
    };
    CHECK(post("{\"x\":", headers).status == 500);
    CHECK(post("{}", {headers[0], {"Content-Type", "text/plain"}}).status == 500);
    CHECK(by.secret("POST", "BIG", json::string((1U << 20U) - 300, 'z')).status == 200);
    CHECK(by.secret("POST", "BIGGER", json::string(1U << 20U, 'z')).status == 500);
}

TEST_CASE_FIXTURE(fixture, "who may not, may not; who is no member is told in the error field") {
    identity().role = "viewer";
    CHECK(by.secret("GET", "CLOUDFLARE_ACCESS_MGMT_TOKEN").status == 200);
    CHECK(error(by.secret("POST", "KEY", "x")) == "PermissionDenied");
    CHECK(message(by.secret("PATCH", "KEY", "x")) == "You are not allowed to edit on secrets");
    identity().role = "no-access";
    CHECK(by.secret("GET", "CLOUDFLARE_ACCESS_MGMT_TOKEN").status == 403);
    identity().role = "";
    CHECK(error(by.secret("GET", "CLOUDFLARE_ACCESS_MGMT_TOKEN")).starts_with("Identity is not a member"));
}

TEST_CASE_FIXTURE(fixture, "folders: made with their parents, twice the same, listed one level deep") {
    auto make = [&](const std::string& name, const std::string& path, const std::string& env = "prod") {
        return by.vault("POST", "/api/v1/folders",
                        {{"workspaceId", all.vault.project_id}, {"environment", env}, {"name", name}, {"path", path}});
    };
    auto list = [&](const std::string& path) {
        const auto found =
            by.vault("GET", "/api/v1/folders?workspaceId=" + all.vault.project_id + "&environment=prod&path=" + path);
        CHECK(found.status == 200);
        return found.parsed().at("folders").as_array();
    };
    const auto made = make("leaf", "/auto/made/deep");
    CHECK(made.status == 200);
    CHECK(make("leaf", "/auto/made/deep/").parsed().at("folder").at("id") == made.parsed().at("folder").at("id"));
    CHECK(list("/auto").size() == 1);
    CHECK(list("/").size() == 2);
    CHECK(list("/nope").empty());
    CHECK(make("has space", "/").status == 422);
    CHECK(make("x", "/", "nope").status == 404);
    json::object body{{"workspaceId", all.vault.project_id}, {"environment", "prod"}, {"path", "/auto"}};
    CHECK(by.vault("DELETE", "/api/v1/folders/made", body).status == 200);
    CHECK(by.vault("DELETE", "/api/v1/folders/made", body).status == 404);
    CHECK(list("/auto").empty());
    CHECK(by.vault("POST", "/api/v2/folders",
                   {{"projectId", all.vault.project_id}, {"environment", "prod"}, {"name", "x"}, {"path", "/"}})
              .status == 200);
}

TEST_CASE_FIXTURE(fixture, "the project is found by slug on every route, and by id") {
    for (const auto* route : {"/api/v1/projects/slug/", "/api/v1/workspace/slug/", "/api/v2/workspace/"}) {
        CHECK(by.vault("GET", route + all.vault.project_slug).parsed().at("id") == all.vault.project_id.c_str());
        CHECK(by.vault("GET", std::string{route} + "nope").status == 404);
    }
    CHECK(by.vault("GET", "/api/v1/projects/" + all.vault.project_id).parsed().as_object().contains("project"));
    CHECK(by.vault("GET", "/api/v1/workspace/" + all.vault.project_id).parsed().as_object().contains("workspace"));
    switches().old_server = true;
    CHECK(error(by.vault("GET", "/api/v1/projects/slug/" + all.vault.project_slug)) == "Not Found");
    CHECK(by.vault("GET", "/api/v2/workspace/nope").status == 500);
}

TEST_CASE_FIXTURE(fixture, "v4 is there on a new server, and a route 404 on others") {
    const std::string target = "/api/v4/secrets/CLOUDFLARE_ACCESS_MGMT_TOKEN?projectId=" + all.vault.project_id +
                               "&environment=prod&secretPath=/MooseQuest/cloudflare";
    CHECK(by.vault("GET", target).parsed().at("secret").at("secretValue") == all.example.api_token.c_str());
    json::object body{{"projectId", all.vault.project_id},
                      {"environment", "prod"},
                      {"secretPath", "/MooseQuest/cloudflare"},
                      {"secretValue", "four"}};
    CHECK(by.vault("POST", "/api/v4/secrets/KEY", body).status == 200);
    CHECK(value("KEY") == "four");
    body.erase("projectId");
    CHECK(by.vault("POST", "/api/v4/secrets/KEY2", body).status == 422);
    switches().v4 = false;
    CHECK(error(by.vault("GET", target)) == "Not Found");
    switches().v4 = true;
    switches().old_server = true;
    CHECK(error(by.vault("GET", target)) == "Not Found");
}

TEST_CASE_FIXTURE(fixture, "batches are all or nothing, and can upsert") {
    auto batch = [&](const std::string& method, const json::array& secrets, const std::string& mode = "") {
        json::object body{{"workspaceId", all.vault.project_id},
                          {"environment", "prod"},
                          {"secretPath", "/MooseQuest/cloudflare"},
                          {"secrets", secrets}};
        if (!mode.empty())
            body["mode"] = mode;
        return by.vault(method, "/api/v3/secrets/batch/raw", body).status;
    };
    const json::array two{{{"secretKey", "B1"}, {"secretValue", "1"}}, {{"secretKey", "B2"}, {"secretValue", "2"}}};
    CHECK(batch("POST", two) == 200);
    const json::array overlapping{{{"secretKey", "B3"}, {"secretValue", "3"}},
                                  {{"secretKey", "B2"}, {"secretValue", "x"}}};
    CHECK(batch("POST", overlapping) == 400);
    CHECK(by.secret("GET", "B3").status == 404);
    CHECK(batch("PATCH", overlapping) == 404);
    CHECK(value("B2") == "2");
    CHECK(batch("PATCH", overlapping, "upsert") == 200);
    CHECK(value("B2") == "x");
    CHECK(value("B3") == "3");
    CHECK(batch("DELETE", overlapping) == 200);
    CHECK(by.secret("GET", "B2").status == 404);
}

TEST_CASE_FIXTURE(fixture, "a change policy answers 200 and stores nothing") {
    by.secret("POST", "KEY", "one");
    switches().approval_paths = {"/MooseQuest"};
    const auto asked = by.secret("PATCH", "KEY", "two");
    CHECK(asked.status == 200);
    CHECK(asked.parsed().as_object().contains("approval"));
    CHECK_FALSE(asked.parsed().as_object().contains("secret"));
    CHECK(by.secret("POST", "NEW", "x").parsed().as_object().contains("approval"));
    CHECK(by.secret("DELETE", "KEY").parsed().as_object().contains("approval"));
    CHECK(value("KEY") == "one");
    CHECK(by.secret("GET", "NEW").status == 404);
}

TEST_CASE_FIXTURE(fixture, "values can be hidden from those who may only describe") {
    by.secret("POST", "KEY", "one");
    const auto described = by.vault("GET", "/api/v3/secrets/raw/KEY?viewSecretValue=false&" + by.place());
    CHECK(described.parsed().at("secret").at("secretValueHidden") == true);
    CHECK(described.parsed().at("secret").at("secretValue") == "<hidden-by-infisical>");
    switches().hide_values = true;
    CHECK(by.secret("GET", "KEY").status == 403);
    const auto list = by.secret("GET", "").parsed();
    for (const auto& one : list.at("secrets").as_array())
        CHECK(one.at("secretValue") == "<hidden-by-infisical>");
}

TEST_CASE_FIXTURE(fixture, "a version is shown where the server honours it, and another where it does not") {
    by.secret("POST", "KEY", "one");
    by.secret("PATCH", "KEY", "two");
    auto version = [&](int n) {
        return by.vault("GET", "/api/v3/secrets/raw/KEY?version=" + std::to_string(n) + "&" + by.place());
    };
    CHECK(version(1).parsed().at("secret").at("secretValue") == "one");
    CHECK(version(99).status == 404);
    switches().version_ignored = true;
    CHECK(version(1).parsed().at("secret").at("secretValue") == "two");
    CHECK(version(99).parsed().at("secret").at("version") == 2);
}

TEST_CASE_FIXTURE(fixture, "two creates at once leave two rows, and then an update seems lost") {
    by.secret("POST", "KEY", "one");
    switches().race_creates = true;
    CHECK(by.secret("POST", "KEY", "two").status == 200);
    switches().race_creates = false;
    const auto list = by.secret("GET", "").parsed().at("secrets").as_array();
    CHECK(std::count_if(list.begin(), list.end(), [](const auto& s) { return s.at("secretKey") == "KEY"; }) == 2);
    CHECK(by.secret("PATCH", "KEY", "three").status == 200);
    CHECK(value("KEY") == "one");
    CHECK(by.secret("POST", "KEY", "x").status == 400);
    CHECK(by.secret("DELETE", "KEY").status == 200);
    CHECK(by.secret("GET", "KEY").status == 404);
}

TEST_CASE_FIXTURE(fixture, "renaming, comments, metadata") {
    by.secret("POST", "KEY", "one");
    by.secret("POST", "OTHER", "two");
    const std::string target = "/api/v3/secrets/raw/KEY";
    json::object body{{"workspaceId", all.vault.project_id},
                      {"environment", "prod"},
                      {"secretPath", "/MooseQuest/cloudflare"},
                      {"secretComment", "kept"},
                      {"secretMetadata", json::array{{{"key", "k"}, {"value", "v"}}}}};
    by.vault("PATCH", target, body);
    CHECK(by.secret("PATCH", "KEY", "two").parsed().at("secret").at("secretComment") == "");
    CHECK(stored("KEY").at("secretComment") == "kept");
    CHECK(stored("KEY").at("secretMetadata").as_array().size() == 1);
    body["newSecretName"] = "OTHER";
    CHECK(by.vault("PATCH", target, body).status == 400);
    body["newSecretName"] = "RENAMED";
    CHECK(by.vault("PATCH", target, body).status == 200);
    CHECK(value("RENAMED") == "two");
    CHECK(by.secret("GET", "KEY").status == 404);
    body["type"] = "personal";
    CHECK(by.vault("POST", "/api/v3/secrets/raw/PERSONAL", body).status == 400);
}

TEST_CASE_FIXTURE(fixture, "an unchanged read costs no body") {
    const auto first = by.secret("GET", "CLOUDFLARE_ACCESS_MGMT_TOKEN");
    const auto tag = *first.header("ETag");
    const std::vector<field> headers{{"Authorization", "Bearer " + token()}, {"If-None-Match", tag}};
    const std::string target = "/api/v3/secrets/raw/CLOUDFLARE_ACCESS_MGMT_TOKEN?" + by.place();
    const auto again = by.send(service::infisical, "GET", target, headers, nullptr);
    CHECK(again.status == 304);
    CHECK(again.body.empty());
    by.secret("PATCH", "CLOUDFLARE_ACCESS_MGMT_TOKEN", "other");
    CHECK(by.send(service::infisical, "GET", target, headers, nullptr).status == 200);
}

TEST_CASE_FIXTURE(fixture, "each route has a limit of its own") {
    switches().enforce_limits = true;
    switches().secret_limit = 2;
    by.secret("GET", "A");
    CHECK(by.secret("GET", "B").header("x-ratelimit-remaining") == "0");
    const auto refused = by.secret("GET", "C");
    CHECK(refused.status == 429);
    CHECK(error(refused) == "RateLimitExceeded");
    CHECK(refused.header("retry-after") == "60");
    CHECK(by.secret("POST", "A", "x").status == 200);
    switches().limit_headers = false;
    CHECK_FALSE(by.secret("GET", "C").header("retry-after"));
    all.advance(1min);
    CHECK(by.secret("GET", "A").status == 200);
}

} // namespace infisical_test
