#include "reconcile/miniature.hpp"

#include <doctest/doctest.h>

#include <algorithm>

namespace steady_test {

using namespace postern;
using namespace postern::testing;

namespace {

std::string many_documents(int tokens) {
    auto text = base_documents();
    for (int i = 0; i < tokens; ++i) {
        auto n = std::to_string(i);
        text += "---\napiVersion: postern/v1alpha1\nkind: ServiceToken\nmetadata: {name: probe-" + n +
                "}\nspec: {credential: {key: CF_PROBE_" + n + "}, authorization: I authorize CF_PROBE_" + n + "}\n";
    }
    text += "---\napiVersion: postern/v1alpha1\nkind: AccessBinding\nmetadata: {name: probes}\n"
            "spec: {applications: [{domain: console.raxx.app}], tokens: [";
    for (int i = 0; i < tokens; ++i)
        text += (i == 0 ? "probe-" : ", probe-") + std::to_string(i);
    return text + "]}\n";
}

std::ptrdiff_t count(const std::vector<std::string>& calls, const std::string& start) {
    return std::count_if(calls.begin(), calls.end(), [&](const auto& call) { return call.starts_with(start); });
}

} // namespace

TEST_CASE("a steady pass over many tokens costs their pages, and nothing else grows with them") {
    constexpr int tokens = 30;
    miniature m;
    m.cloud.access.switches.per_page_cap = 10;
    auto wanted = documents(many_documents(tokens));
    auto first = m.apply(wanted);
    CHECK_MESSAGE(!first.unsettled, troubles(first.last.conditions));
    REQUIRE(m.tokens("probe-").size() == tokens);
    m.requests();
    auto second = m.apply(wanted);
    CHECK(m.writes() == 0);
    m.requests();
    m.apply(wanted);
    auto calls = m.requests();
    const std::string account = "cloudflare GET /client/v4/accounts/" + m.cloud.access.account_id + "/access/";
    auto token_pages = count(calls, account + "service_tokens");
    auto app_pages = count(calls, account + "apps");
    auto policy_pages = count(calls, account + "policies");
    auto vault_lists = count(calls, "infisical GET /api/v3/secrets/raw");
    CHECK(token_pages == 4); // 30 and the example's own, ten a page
    CHECK(app_pages == 1);
    CHECK(policy_pages == 1);
    CHECK(vault_lists == 2);
    CHECK(count(calls, "edge") == 0);
    CHECK(static_cast<std::ptrdiff_t>(calls.size()) <= token_pages + app_pages + policy_pages + vault_lists + 6);
}

// Whether a new record stands alone is only seen in a list of the whole folder, half a second after it was written.
TEST_CASE("many new records are looked at in a few lists") {
    constexpr int tokens = 30;
    miniature m;
    auto report = m.apply(documents(many_documents(tokens)));
    CHECK_MESSAGE(!report.unsettled, troubles(report.last.conditions));
    REQUIRE(m.tokens("probe-").size() == tokens);
    auto calls = m.requests();
    auto created = count(calls, "infisical POST /api/v3/secrets/raw/probe-");
    CHECK(created == 2 * tokens); // the record and the write-once key
    CHECK(count(calls, "infisical GET /api/v3/secrets/raw?") < tokens / 2);
}

} // namespace steady_test
