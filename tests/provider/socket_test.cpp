#include "cloud/harbour.hpp"
#include "net/clock.hpp"
#include "net/https_transport.hpp"
#include "printing.hpp"
#include "provider/cloudflare.hpp"
#include "provider/edge.hpp"
#include "provider/heroku.hpp"
#include "provider/infisical.hpp"
#include "support/certificates.hpp"
#include "support/harness.hpp"

#include <boost/json.hpp>
#include <doctest/doctest.h>

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace socket_test {

// The same clients over real TLS on loopback: what the transport makes of their requests, servers understand.

using namespace postern;
using testing::run;

TEST_CASE("the clients over verified TLS") {
    testcloud::cloud all{3, std::chrono::time_point_cast<duration>(std::chrono::system_clock::now())};
    all.seed_example();
    boost::asio::io_context io;
    testcloud::harbour_options options;
    options.tls = true;
    testcloud::harbour harbour{io, all, options};
    testing::temporary_file anchors{harbour.root_pem()};
    net::https_settings settings;
    settings.ca_file = anchors.path();
    auto wire = net::make_https_transport(io.get_executor(), std::move(settings));
    net::system_clock clock;

    provider::cloudflare access{*wire, harbour.cloudflare_url(), all.access.account_id, secret{all.example.api_token}};
    auto minted = run(io, access.create_token("probe", "24h"));
    REQUIRE(minted);
    auto credential = minted->token.client_id + ":" + std::string{minted->client_secret.reveal()};
    auto applications = run(io, access.list_applications());
    REQUIRE(applications);
    std::vector<std::string> tokens{minted->token.id};
    auto policy = run(io, access.create_policy(all.example.app_id, "probe", tokens, 9));
    REQUIRE(policy);
    REQUIRE(access.skew());
    CHECK(std::chrono::abs(*access.skew()) < std::chrono::minutes{5});

    provider::infisical::universal_login keys;
    keys.client_id = secret{all.example.client_id};
    keys.client_secret = secret{all.example.client_secret};
    provider::infisical::place at{harbour.origin(testcloud::service::infisical), "", all.vault.project_slug, "prod"};
    provider::infisical vault{*wire, clock, at, std::move(keys)};
    const std::string folder = "/MooseQuest/cloudflare";
    CHECK(run(io, vault.create(folder, "K", secret{credential}, "a comment")));
    auto read = run(io, vault.read(folder, "K"));
    REQUIRE(read);
    REQUIRE(read->has_value());
    CHECK((*read)->value.reveal() == credential);
    CHECK(run(io, vault.remove(folder, "K")));
    CHECK_FALSE(run(io, vault.read(folder, "K"))->has_value());

    provider::heroku platform{*wire, harbour.origin(testcloud::service::heroku), secret{all.example.heroku_key}};
    std::map<std::string, std::optional<secret>> vars;
    vars.emplace("PROBE", secret{credential});
    vars.emplace("LOG_LEVEL", std::nullopt);
    auto patched = run(io, platform.patch_config_vars(all.example.heroku_app, std::move(vars)));
    REQUIRE(patched);
    CHECK_FALSE(patched->vars.contains("LOG_LEVEL"));
    CHECK(run(io, platform.releases(all.example.heroku_app, 5)).value().size() >= 1);

    provider::knock at_console;
    at_console.host = all.example.app_host;
    at_console.path = "/health";
    at_console.connect_to = harbour.origin(testcloud::service::edge);
    CHECK(run(io, provider::knock_as_stranger(*wire, at_console)).is == domain::verdict::login_redirect);
    auto knocked = run(io, provider::knock_with(*wire, at_console, secret{credential}));
    CAPTURE(knocked.detail);
    CHECK(knocked.is == domain::verdict::passed);

    at_console.connect_to = "https://127.0.0.1:1";
    auto nobody = run(io, provider::knock_as_stranger(*wire, at_console));
    CHECK(nobody.is == domain::verdict::unreachable);
    CHECK(nobody.detail.find("refused") != std::string::npos);
    harbour.stop();
}

} // namespace socket_test
