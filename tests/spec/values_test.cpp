#include "documents.hpp"

#include <doctest/doctest.h>

namespace values_test {

using namespace postern;
using namespace postern::spec_test;
using namespace std::chrono_literals;

namespace {

domain::desired desired_of(const std::vector<std::string>& documents, const spec::load_options& options = {}) {
    auto got = load_documents(documents, options);
    for (const auto& p : got.problems)
        FAIL(spec::to_string(p));
    return std::move(got.desired);
}

domain::service_token token_of(const std::string& more) {
    return desired_of({account, vault, token("t", more)}).tokens.at(0);
}

} // namespace

TEST_CASE("what a token does not say has its default") {
    const auto t = token_of("");
    CHECK(t.name == "t");
    CHECK(t.at.file == "3.yaml");
    CHECK(t.at.line == 1);
    CHECK(t.account == "raxx");
    CHECK(t.vault == "infisical");
    CHECK(t.display_name == "t");
    CHECK(t.duration_text == "8760h");
    CHECK(t.lifetime == duration{8760h});
    CHECK(t.path == "/shop/cloudflare");
    CHECK(t.how == domain::strategy::replace);
    CHECK(t.renew_before == 730h);
    CHECK(!t.every);
    CHECK(t.overlap == 48h);
    CHECK(t.enforcement == domain::mode::enforce);
    CHECK(t.deletion == domain::deletion_policy::retain);
    CHECK(t.authorization.empty());
    CHECK(t.adopt.empty());
}

TEST_CASE("what a token says is taken") {
    const auto t = token_of("displayName: A token, duration: 1000h, rotation: {strategy: InPlace, renewBefore: 10h, "
                            "every: 200h, overlap: 20h}, mode: Observe, deletionPolicy: Delete, adopt: {tokenId: x-1}, "
                            "authorization: I authorize KEY again 2027-01-31");
    CHECK(t.display_name == "A token");
    CHECK(t.lifetime == duration{1000h});
    CHECK(t.how == domain::strategy::in_place);
    CHECK(t.renew_before == 10h);
    CHECK(t.every == duration{200h});
    CHECK(t.overlap == 20h);
    CHECK(t.enforcement == domain::mode::observe);
    CHECK(t.deletion == domain::deletion_policy::delete_);
    CHECK(t.adopt == "x-1");
    CHECK(t.authorization == "I authorize KEY again 2027-01-31");
    const auto for_ever = token_of("duration: forever");
    CHECK(for_ever.duration_text == "forever");
    CHECK(!for_ever.lifetime);
}

TEST_CASE("sources are resolved to what they name") {
    const auto accounts = document("CloudflareAccount", "a",
                                   "{apiUrl: 'https://api.cloudflare.com/client/v4/', accountId: {file: cf/id}, "
                                   "apiToken: {vault: {key: K}}}");
    const auto d = desired_of({accounts, vault, heroku}, {{}, "/run/secrets", {}});
    const auto& a = d.cloudflare.at(0);
    CHECK(a.api_url == "https://api.cloudflare.com/client/v4");
    CHECK(a.account_id == domain::text_value{domain::value_source{domain::from_file{"/run/secrets/cf/id"}}});
    CHECK(a.api_token == domain::value_source{domain::from_vault{"infisical", "/shop/cloudflare", "K"}});
    CHECK(a.applications.empty());
    CHECK(d.heroku.at(0).api_url == "https://api.heroku.com");
    CHECK(d.heroku.at(0).api_key == domain::value_source{domain::from_env{"HEROKU_API_KEY"}});
    const auto& v = d.vaults.at(0);
    CHECK(v.url == "https://app.infisical.com");
    CHECK(v.project_id == "p-1");
    CHECK(v.state_path == "/shop/postern");
    CHECK(v.vendor_paths.at("cloudflare") == "/shop/cloudflare");
    CHECK(std::get<domain::token_auth>(v.auth).token == domain::value_source{domain::from_env{"INFISICAL_TOKEN"}});
}

TEST_CASE("bindings have their defaults, and hosts no case") {
    const auto d = desired_of(
        {account, vault, heroku, token("t"),
         document("AccessBinding", "b",
                  "{tokens: [t], applications: [{domain: A.raxx.app/Path}, {name: Console}, {id: 0B-1}], "
                  "smokeTest: {hosts: [X.raxx.app]}}"),
         document("HerokuBinding", "d", "{token: t, apps: [shop-b, shop-a]}"),
         document("HerokuBinding", "e", "{token: t, apps: [shop-a], configVars: {clientId: I, clientSecret: S}}")});
    using ref = domain::application_ref;
    const auto& b = d.bindings.at(0);
    CHECK(b.account == "raxx");
    CHECK(b.policy_name == "b (service token)");
    CHECK(b.applications == std::vector<ref>{{ref::kind::domain, "a.raxx.app/Path"},
                                             {ref::kind::name, "Console"},
                                             {ref::kind::id, "0b-1"}});
    CHECK(b.smoke.path == "/health");
    CHECK(b.smoke.expect_status == 200);
    CHECK(b.smoke.attempts == 5);
    CHECK(b.smoke.interval == 5s);
    CHECK(b.smoke.hosts == std::vector<std::string>{"x.raxx.app"});
    const auto& one = d.heroku_bindings.at(0);
    CHECK(one.account == "heroku");
    CHECK(one.config_var == "KEY");
    CHECK(one.combined());
    CHECK(!one.adopt);
    CHECK(one.apps == std::vector<std::string>{"shop-b", "shop-a"});
    const auto& two = d.heroku_bindings.at(1);
    CHECK(!two.combined());
    CHECK(two.client_id_var == "I");
    CHECK(two.client_secret_var == "S");
    CHECK(d.source == "test");
}

TEST_CASE("the order of files does not matter, but for the order of what comes out") {
    const std::vector<std::string> documents{account, vault, heroku, token("t"),
                                             document("HerokuBinding", "d", "{token: t, apps: [shop-a]}")};
    auto backwards = documents;
    std::reverse(backwards.begin(), backwards.end());
    const auto a = desired_of(documents);
    const auto b = desired_of(backwards);
    CHECK(a.tokens.at(0).path == b.tokens.at(0).path);
    CHECK(a.heroku_bindings.at(0).config_var == b.heroku_bindings.at(0).config_var);
}

} // namespace values_test
