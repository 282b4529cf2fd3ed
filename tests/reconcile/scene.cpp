#include "reconcile/scene.hpp"

#include "net/http.hpp"

#include <algorithm>
#include <stdexcept>

namespace postern::testing {

using testcloud::service;

const cast& console() {
    static const cast c{"console-self-probe",
                        "CF_ACCESS_SVC_CONSOLE",
                        "/MooseQuest/cloudflare",
                        {"console-staging.raxx.app", "console.raxx.app"},
                        {"raxx-console-staging", "raxx-console-prod"},
                        "/MooseQuest/postern"};
    return c;
}

const cast& billing() {
    static const cast c{"billing-probe",      "CF_ACCESS_SVC_BILLING", "/MooseQuest/billing",
                        {"billing.raxx.app"}, {"raxx-billing"},        "/MooseQuest/postern"};
    return c;
}

const cast& apart() {
    static const cast c{"apart-probe",      "CF_ACCESS_SVC_APART", "/MooseQuest/apart-keys",
                        {"apart.raxx.app"}, {"raxx-apart"},        "/MooseQuest/apart"};
    return c;
}

namespace {

constexpr std::string_view connections = R"(
apiVersion: postern/v1alpha1
kind: CloudflareAccount
metadata: {name: raxx}
spec:
  apiUrl: http://127.0.0.1:1001/client/v4
  accountId: {env: CLOUDFLARE_ACCOUNT_ID}
  apiToken: {vault: {vault: infisical, key: CLOUDFLARE_ACCESS_MGMT_TOKEN}}
---
apiVersion: postern/v1alpha1
kind: CloudflareAccount
metadata: {name: apart}
spec:
  apiUrl: http://localhost:1001/client/v4
  accountId: {env: CLOUDFLARE_ACCOUNT_ID}
  apiToken: {env: CLOUDFLARE_APART_TOKEN}
---
apiVersion: postern/v1alpha1
kind: InfisicalVault
metadata: {name: infisical}
spec:
  url: http://127.0.0.1:1002
  projectSlug: moosequest-68e8db
  environment: prod
  auth: {universalAuth: {clientId: {env: INFISICAL_CLIENT_ID}, clientSecret: {env: INFISICAL_CLIENT_SECRET}}}
  vendorPaths: {cloudflare: /MooseQuest/cloudflare}
  statePath: /MooseQuest/postern
---
apiVersion: postern/v1alpha1
kind: InfisicalVault
metadata: {name: apart}
spec:
  url: http://localhost:1002
  projectSlug: moosequest-68e8db
  environment: prod
  auth: {universalAuth: {clientId: {env: INFISICAL_APART_ID}, clientSecret: {env: INFISICAL_APART_SECRET}}}
  vendorPaths: {cloudflare: /MooseQuest/apart-keys}
  statePath: /MooseQuest/apart
---
apiVersion: postern/v1alpha1
kind: HerokuAccount
metadata: {name: heroku}
spec: {apiUrl: "http://127.0.0.1:1003", apiKey: {env: HEROKU_API_KEY}}
---
apiVersion: postern/v1alpha1
kind: HerokuAccount
metadata: {name: apart}
spec: {apiUrl: "http://localhost:1003", apiKey: {env: HEROKU_APART_KEY}}
)";

// Each token's documents; NAME, KEY and so on stand for what its cast says.
constexpr std::string_view token_documents = R"(---
apiVersion: postern/v1alpha1
kind: ServiceToken
metadata: {name: NAME}
spec:
  account: CLOUDFLARE
  vault: VAULT
  duration: 8760h
  credential: {key: KEY, path: FOLDER}
  authorization: I authorize KEY
---
apiVersion: postern/v1alpha1
kind: AccessBinding
metadata: {name: NAME}
spec:
  tokens: [NAME]
  applications: [APPLICATIONS]
  smokeTest: {path: /NAME/health}
---
apiVersion: postern/v1alpha1
kind: HerokuBinding
metadata: {name: NAME}
spec: {account: HEROKU, token: NAME, apps: [APPS]}
)";

std::string documents_of(const cast& of, const std::string& connection) {
    std::vector<std::string> applications;
    for (const auto& host : of.hosts)
        applications.push_back("{domain: " + host + "}");
    auto joined = [](const std::vector<std::string>& parts) {
        std::string out;
        for (const auto& part : parts)
            out += (out.empty() ? "" : ", ") + part;
        return out;
    };
    const bool own = !connection.empty();
    std::string text{token_documents};
    const std::vector<std::pair<std::string, std::string>> parts{{"CLOUDFLARE", own ? connection : "raxx"},
                                                                 {"VAULT", own ? connection : "infisical"},
                                                                 {"HEROKU", own ? connection : "heroku"},
                                                                 {"APPLICATIONS", joined(applications)},
                                                                 {"APPS", joined(of.apps)},
                                                                 {"NAME", of.name},
                                                                 {"FOLDER", of.folder},
                                                                 {"KEY", of.key}};
    for (const auto& [from, to] : parts)
        text = replaced(std::move(text), from, to);
    return text;
}

} // namespace

std::string replaced(std::string text, std::string_view from, std::string_view to) {
    if (text.find(from) == std::string::npos)
        throw std::logic_error("the documents have no \"" + std::string{from} + "\"");
    for (auto at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size()))
        text.replace(at, from.size(), to);
    return text;
}

scene::scene()
    : yaml(std::string{connections} + documents_of(console(), "") + documents_of(billing(), "") +
           documents_of(apart(), "apart")) {
    auto& cloud = m.cloud;
    for (const auto* c : {&billing(), &apart()}) {
        cloud.access.add_application(c->name, c->hosts.front());
        cloud.platform.add_app(c->apps.front());
        cloud.vault.folder(*cloud.vault.environment("prod"), c->folder);
    }
    const auto token = testcloud::dice::secret("cfut_", 40);
    cloud.access.api_tokens.push_back({cloud.ids.hex(32), token, false, "active", std::nullopt, {"*"}});
    cloud.ledger.give(cloud.time.now(), "api token", "cloudflare apart", token);
    const auto key = testcloud::dice::secret("HRKU-", 36);
    cloud.platform.keys.push_back({key, {"global"}, true});
    cloud.ledger.give(cloud.time.now(), "api key", "heroku apart", key);
    const auto& identity = cloud.vault.add_identity();
    m.environment["CLOUDFLARE_APART_TOKEN"] = token;
    m.environment["HEROKU_APART_KEY"] = key;
    m.environment["INFISICAL_APART_ID"] = identity.client_id;
    m.environment["INFISICAL_APART_SECRET"] = identity.client_secrets.front();
    cloud.changed();
    m.on_the_way = [this](const net::request& r) -> std::optional<error> {
        for (const auto& header : r.headers) {
            if (r.connect_to && header.name == "CF-Access-Client-Id")
                shown_to.insert(net::parse_origin(r.origin)->host + " " + std::string{header.value.reveal()});
        }
        return in_the_way ? in_the_way(r) : std::nullopt;
    };
}

void scene::rewrite(std::string_view from, std::string_view to) {
    yaml = replaced(std::move(yaml), from, to);
}

testcloud::application& scene::application(std::string_view host) {
    for (auto& [id, app] : m.cloud.access.config.apps) {
        if (app.domain && *app.domain == host)
            return app;
    }
    throw std::logic_error("no application guards " + std::string{host});
}

std::vector<const testcloud::policy*> scene::policies(std::string_view host, const std::string& token_id) {
    std::vector<const testcloud::policy*> out;
    for (const auto& link : application(host).policies) {
        const auto& policy = m.cloud.access.config.policies.at(link.policy_id);
        const auto text = testcloud::json::serialize(policy.include);
        if (policy.decision == "non_identity" && text.find(token_id) != std::string::npos)
            out.push_back(&policy);
    }
    return out;
}

testcloud::vault_folder& scene::folder(const std::string& path) {
    return m.cloud.vault.folder(*m.cloud.vault.environment("prod"), path);
}

testcloud::heroku_app& scene::app(const std::string& name) {
    for (auto& one : m.cloud.platform.apps) {
        if (one.name == name)
            return one;
    }
    throw std::logic_error("there is no app " + name);
}

std::string scene::app_value(const std::string& name, const std::string& var) {
    const auto& config = app(name).config;
    auto at = config.find(var);
    return at == config.end() ? std::string{} : at->second;
}

testcloud::service_token& scene::token(const cast& of) {
    auto found = m.tokens(of.name);
    if (found.size() != 1)
        throw std::logic_error(std::to_string(found.size()) + " tokens have names that begin with " + of.name);
    return m.cloud.access.config.tokens.at(found.front()->id);
}

std::string scene::credential(const cast& of) {
    const auto& t = token(of);
    return t.client_id + ":" + t.secret;
}

bool scene::shown_to_host(std::string_view host) const {
    return std::any_of(shown_to.begin(), shown_to.end(),
                       [&](const auto& entry) { return entry.starts_with(std::string{host} + " "); });
}

void scene::check_whole(const cast& of) {
    CAPTURE(of.name);
    const auto found = m.tokens(of.name);
    REQUIRE(found.size() == 1);
    CHECK(found.front()->name == of.name);
    const auto value = credential(of);
    CHECK(m.vault_value(of.folder, of.key) == value);
    for (const auto& name : of.apps)
        CHECK_MESSAGE(app_value(name, of.key) == value, name);
    for (const auto& host : of.hosts) {
        CAPTURE(host);
        const auto admitting = policies(host, found.front()->id);
        REQUIRE(admitting.size() == 1);
        CHECK(admitting.front()->include.size() == 1);
    }
    int kept = 0;
    for (const auto& [key, row] : m.folder(of.vault_state).secrets)
        kept += key.starts_with(of.name + ".") && row.value == value ? 1 : 0;
    CHECK(kept == 1);
}

void scene::check_all_whole() {
    for (const auto* c : {&console(), &billing(), &apart()})
        check_whole(*c);
    CHECK(m.cloud.access.config.tokens.size() == 4); // and the example's own
}

void scene::check_untouched(const cast& of) {
    CAPTURE(of.name);
    CHECK(m.tokens(of.name).empty());
    CHECK(m.vault_value(of.folder, of.key).empty());
    for (const auto& name : of.apps)
        CHECK(app_value(name, of.key).empty());
}

void scene::check_quiet(const run::pass_report& report) {
    CHECK_MESSAGE(m.cloud.checks.refusals().empty(), m.cloud.checks.complaint());
    auto leaks = m.cloud.ledger.leaks_in(m.logged.str());
    for (const auto& c : report.last.conditions) {
        for (auto& leak : m.cloud.ledger.leaks_in(c.message))
            leaks.push_back(leak + " in " + c.resource);
    }
    for (const auto& leak : leaks)
        FAIL_CHECK("leaked: ", leak);
}

bool fine(const run::pass_report& report) {
    return !report.unsettled && !report.interrupted &&
           std::none_of(report.last.conditions.begin(), report.last.conditions.end(),
                        [](const auto& c) { return c.heft > domain::weight::told; });
}

const domain::condition* condition_of(const run::pass_report& report, std::string_view resource,
                                      std::string_view type) {
    const auto& all = report.last.conditions;
    auto at =
        std::find_if(all.begin(), all.end(), [&](const auto& c) { return c.resource == resource && c.type == type; });
    return at == all.end() ? nullptr : &*at;
}

void check_condition(const run::pass_report& report, const expected& e) {
    CAPTURE(e.resource);
    CAPTURE(e.type);
    const auto* c = condition_of(report, e.resource, e.type);
    REQUIRE_MESSAGE(c != nullptr, troubles(report.last.conditions));
    CHECK_MESSAGE(c->reason == e.reason, c->message);
    CHECK(static_cast<int>(c->heft) == static_cast<int>(e.heft));
    if (e.heft >= domain::weight::waiting)
        CHECK(c->is != domain::status::true_);
    for (const auto& word : e.words)
        CHECK_MESSAGE(c->message.find(word) != std::string::npos, "\"", word, "\" is not in: ", c->message);
}

testcloud::fault cloudflare_refuses(std::string method, std::string path, int status, int code, std::string message) {
    testcloud::fault f;
    f.what = testcloud::fault_action::answer;
    f.to = service::cloudflare;
    f.method = std::move(method);
    f.path = std::move(path);
    f.times = 0;
    f.status = status;
    f.body = testcloud::cloudflare_failure(status, code, message).body;
    return f;
}

} // namespace postern::testing
