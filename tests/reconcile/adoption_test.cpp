#include "reconcile/scene.hpp"

#include <algorithm>

namespace adoption_test {

using namespace postern;
using namespace postern::testing;
using namespace std::chrono_literals;
using domain::weight;
using testcloud::service;
namespace reason = domain::reason;

namespace {

// The example's "status-probe": minted by hand years ago, its credential in the vault, admitted by a policy that is an
// `allow` by mistake.
std::string status_documents(std::string_view extra = "") {
    return base_documents() + R"(---
apiVersion: postern/v1alpha1
kind: ServiceToken
metadata: {name: status-probe}
spec:
  duration: 8760h
  credential: {key: CF_ACCESS_SVC_STATUS}
)" + std::string{extra} +
           R"(---
apiVersion: postern/v1alpha1
kind: AccessBinding
metadata: {name: status-probe}
spec: {tokens: [status-probe], applications: [{domain: status.raxx.app}]}
---
apiVersion: postern/v1alpha1
kind: HerokuBinding
metadata: {name: status-probe}
spec: {token: status-probe, apps: [raxx-console-prod]}
)";
}

constexpr auto creds = "/MooseQuest/cloudflare";
constexpr auto key = "CF_ACCESS_SVC_STATUS";

struct by_hand : miniature {
    std::string id;
    std::string credential;
    instant touched{};

    by_hand() {
        const auto& token = *tokens("status-probe").front();
        id = token.id;
        credential = token.client_id + ":" + token.secret;
        touched = token.updated_at;
    }
    const testcloud::policy& policy() {
        for (const auto& [policy_id, p] : cloud.access.config.policies) {
            if (p.name == "status-probe")
                return p;
        }
        throw std::logic_error("the policy is gone");
    }
    std::vector<std::string> kept() {
        std::vector<std::string> out;
        for (const auto& [name, row] : folder_secrets("/MooseQuest/postern")) {
            if (name.find('.') != std::string::npos)
                out.push_back(row.value);
        }
        return out;
    }
    std::multimap<std::string, testcloud::secret_row> folder_secrets(const std::string& path) {
        auto& folders = cloud.vault.environment("prod")->folders;
        auto at = folders.find(path);
        return at == folders.end() ? decltype(at->second.secrets){} : at->second.secrets;
    }
    // The token as it was, one policy that admits it, one copy, and everybody has the credential.
    void check_adopted() {
        const auto found = tokens("status-probe");
        REQUIRE(found.size() == 1);
        CHECK(found.front()->id == id);
        CHECK(found.front()->updated_at == touched);
        CHECK(found.front()->client_id + ":" + found.front()->secret == credential);
        CHECK(vault_value(creds, key) == credential);
        CHECK(app_value("raxx-console-prod", key) == credential);
        CHECK(policy().decision == "non_identity");
        CHECK(cloud.access.config.policies.size() == 4);
        CHECK(kept() == std::vector<std::string>{credential});
        CHECK(cloud.checks.refusals().empty());
        CHECK(cloud.ledger.leaks_in(logged.str()).empty());
    }
};

} // namespace

TEST_CASE("a credential that the vault holds is proved and adopted without a write to its token") {
    by_hand m;
    auto report = m.apply(documents(status_documents()));
    CHECK_MESSAGE(fine(report), troubles(report.last.conditions));
    m.check_adopted();
    CHECK(m.plan(documents(status_documents())).steps.empty());
}

// To die before a request leaves the world as to die after the one before it does.
TEST_CASE("adoption, killed after any request, is finished by the next process") {
    const auto wanted = documents(status_documents());
    std::size_t all = 0;
    {
        by_hand m;
        m.apply(wanted);
        all = m.requests_of_last;
    }
    for (std::size_t at = 1; at <= all; ++at) {
        by_hand m;
        m.dies = [&](std::size_t n, bool done) { return n == at && done; };
        m.apply(wanted);
        m.dies = {};
        auto report = m.apply(wanted);
        CAPTURE(at);
        CHECK_MESSAGE(fine(report), troubles(report.last.conditions));
        m.check_adopted();
    }
}

TEST_CASE("adoption, with the reply to any write lost, ends the same") {
    const auto wanted = documents(status_documents());
    std::size_t writes = 0;
    {
        by_hand m;
        m.apply(wanted);
        writes = m.writes();
    }
    for (const bool acted : {false, true}) {
        for (std::size_t skip = 0; skip < writes; ++skip) {
            by_hand m;
            testcloud::fault lost;
            lost.method = "write";
            lost.skip = skip;
            lost.after = acted;
            m.cloud.trouble.add(lost);
            auto report = m.apply(wanted);
            CAPTURE(skip);
            CAPTURE(acted);
            CHECK_MESSAGE(fine(report), troubles(report.last.conditions));
            m.check_adopted();
        }
    }
}

TEST_CASE("a credential that only an app holds is adopted from there") {
    by_hand m;
    for (auto& [name, f] : m.cloud.vault.environment("prod")->folders)
        f.secrets.erase(key);
    m.cloud.platform.set(*m.cloud.platform.find("raxx-console-prod"), key, m.credential);
    m.cloud.changed();
    auto report = m.apply(documents(status_documents()));
    CHECK_MESSAGE(fine(report), troubles(report.last.conditions));
    m.check_adopted();
    CHECK(m.app_value("raxx-console-staging", key).empty());
    CHECK(m.plan(documents(status_documents())).steps.empty());
}

TEST_CASE("a token whose secret nobody can show is left alone until it is named, and then replaced beside it") {
    by_hand m;
    for (auto& [name, f] : m.cloud.vault.environment("prod")->folders)
        f.secrets.erase(key);
    m.cloud.changed();
    auto report = m.apply(documents(status_documents()));
    check_condition(report,
                    {"ServiceToken/status-probe", "Provisioned", reason::secret_unknown, weight::blocked, {"adopt"}});
    CHECK(m.tokens("status-probe").size() == 1);

    report = m.apply(documents(status_documents("  adopt: {tokenId: " + m.id + "}\n")));
    check_condition(report, {"ServiceToken/status-probe",
                             "Provisioned",
                             reason::authorization_missing,
                             weight::blocked,
                             {"I authorize CF_ACCESS_SVC_STATUS"}});
    CHECK(m.tokens("status-probe").size() == 1);

    const auto wanted = documents(
        status_documents("  adopt: {tokenId: " + m.id + "}\n  authorization: I authorize CF_ACCESS_SVC_STATUS\n"));
    report = m.apply(wanted);
    CHECK_MESSAGE(fine(report), troubles(report.last.conditions));
    const auto found = m.tokens("status-probe");
    REQUIRE(found.size() == 2); // the old one goes when its overlap is over
    const auto& fresh = found[0]->id == m.id ? *found[1] : *found[0];
    const auto value = fresh.client_id + ":" + fresh.secret;
    CHECK(m.vault_value(creds, key) == value);
    CHECK(m.app_value("raxx-console-prod", key) == value);
    CHECK(m.kept() == std::vector<std::string>{value});
    CHECK(m.cloud.access.config.tokens.at(m.id).enabled);
    CHECK(m.cloud.checks.refusals().empty());
    CHECK(m.plan(wanted).steps.empty());
}

} // namespace adoption_test
