#include "spec/load.hpp"

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <sstream>

namespace shipped_test {

using namespace postern;
using namespace std::chrono_literals;

TEST_CASE("the shipped specs declare the case they are shipped for") {
    const auto got = spec::load({POSTERN_SOURCE_DIR "/specs"}, {});
    for (const auto& p : got.problems)
        FAIL_CHECK(spec::to_string(p));
    REQUIRE(got.ok());
    const auto& d = got.desired;
    REQUIRE(d.tokens.size() == 2);
    const auto& console = d.tokens[0];
    CHECK(console.display_name == "console-self-probe");
    CHECK(console.duration_text == "8760h");
    CHECK(console.path + "/" + console.key == "/MooseQuest/cloudflare/CF_ACCESS_SVC_CONSOLE");
    CHECK(console.authorization == "I authorize CF_ACCESS_SVC_CONSOLE");
    CHECK(console.cadence_key == "cf_access_service_token");
    const auto& status = d.tokens[1];
    CHECK(status.display_name == "status-probe");
    CHECK(status.key == "CF_ACCESS_SVC_STATUS");
    CHECK(status.account == "raxx");
    CHECK(status.vault == "infisical");
    CHECK(status.authorization.empty());

    REQUIRE(d.bindings.size() == 2);
    using ref = domain::application_ref;
    CHECK(d.bindings[0].policy_name == "console-self-probe (service token)");
    CHECK(d.bindings[0].applications == std::vector<ref>{{ref::kind::id, "fbacf797-9708-40eb-8c70-0ab558e96988"},
                                                         {ref::kind::id, "0b55d01b-592b-4da4-b170-02d48a9f550d"}});
    CHECK(d.bindings[1].applications == std::vector<ref>{{ref::kind::domain, "status.raxx.app"}});
    REQUIRE(d.heroku_bindings.size() == 1);
    CHECK(d.heroku_bindings[0].apps == std::vector<std::string>{"raxx-console-staging", "raxx-console-prod"});
    CHECK(d.heroku_bindings[0].config_var == "CF_ACCESS_SVC_CONSOLE");

    REQUIRE(d.cloudflare.size() == 1);
    CHECK(d.cloudflare[0].api_token == domain::value_source{domain::from_vault{"infisical", "/MooseQuest/cloudflare",
                                                                               "CLOUDFLARE_ACCESS_MGMT_TOKEN"}});
}

TEST_CASE("each shipped file tells editors its schema") {
    namespace fs = std::filesystem;
    for (const auto& at : fs::recursive_directory_iterator(POSTERN_SOURCE_DIR "/specs")) {
        if (at.path().extension() != ".yaml")
            continue;
        CAPTURE(at.path().string());
        std::ifstream in(at.path());
        std::string first;
        std::getline(in, first);
        const std::string mark = "# yaml-language-server: $schema=";
        REQUIRE(first.starts_with(mark));
        const auto schema = at.path().parent_path() / first.substr(mark.size());
        REQUIRE(fs::exists(schema));
        std::ostringstream rest;
        rest << in.rdbuf();
        CHECK(rest.str().find("\nkind: " + schema.stem().string() + "\n") != std::string::npos);
    }
}

// What stands in for the vendors is put in their place line by line.
TEST_CASE("addresses and project stand on lines of their own") {
    std::string all;
    for (auto file : {"account", "vault", "heroku"}) {
        std::ifstream in(std::string(POSTERN_SOURCE_DIR "/specs/") + file + ".yaml");
        all += std::string(std::istreambuf_iterator<char>(in), {});
    }
    for (auto line : {"  apiUrl: https://api.cloudflare.com/client/v4", "  url: https://app.infisical.com",
                      "  apiUrl: https://api.heroku.com", "  projectId: 64a1f0c2-5b7d-4e39-9c18-2f6d0ab3e751"})
        CHECK_MESSAGE(all.find("\n" + std::string(line) + "\n") != std::string::npos, line);
}

} // namespace shipped_test
