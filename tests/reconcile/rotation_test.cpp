#include "domain/reason.hpp"
#include "reconcile/miniature.hpp"

#include <doctest/doctest.h>

#include <algorithm>

namespace rotation_test {

// Rotation over the miniature cloud, for years of virtual time: its checker asks after every change, at every expiry
// and at every end of an overlap whether each consumer still passes.

using namespace postern;
using namespace postern::testing;
using namespace std::chrono_literals;

namespace {

std::string documents_with(const std::string& rotation) {
    auto yaml = console_documents();
    const std::string duration = "  duration: 8760h\n";
    auto at = yaml.find(duration);
    REQUIRE(at != std::string::npos);
    return yaml.insert(at + duration.size(), "  rotation: " + rotation + "\n");
}

std::string joined(const std::vector<std::string>& words) {
    std::string out;
    for (const auto& w : words)
        out += w + " ";
    return out;
}

std::string refusals(miniature& m) {
    return m.cloud.checks.complaint();
}

struct tally {
    int mints = 0;
    int rotates = 0;
    int renewals = 0;
    int retirements = 0;
};

// One pass a day.
tally live(miniature& m, const domain::desired& wanted, int days) {
    tally t;
    for (int day = 0; day < days; ++day) {
        m.clock.advance(24h);
        auto report = m.apply(wanted);
        REQUIRE_MESSAGE(!report.unsettled, report.unsettled->message());
        for (const auto& w : m.told.words) {
            t.mints += w == "mint" ? 1 : 0;
            t.rotates += w == "rotate" ? 1 : 0;
            t.renewals += w == "renew" ? 1 : 0;
            t.retirements += w == "retire" ? 1 : 0;
        }
        REQUIRE_MESSAGE(refusals(m).empty(), refusals(m), "after ", joined(m.told.words));
        for (const auto& c : report.last.conditions)
            REQUIRE_MESSAGE(c.heft <= domain::weight::told, c.resource, " ", c.reason, ": ", c.message);
    }
    return t;
}

void check_whole(miniature& m) {
    auto tokens = m.tokens("console-self-probe");
    REQUIRE(tokens.size() == 1);
    CHECK(tokens[0]->name == "console-self-probe");
    const auto credential = tokens[0]->client_id + ":" + tokens[0]->secret;
    CHECK(m.vault_value("/MooseQuest/cloudflare", "CF_ACCESS_SVC_CONSOLE") == credential);
    CHECK(m.app_value("raxx-console-prod", "CF_ACCESS_SVC_CONSOLE") == credential);
    CHECK(m.app_value("raxx-console-staging", "CF_ACCESS_SVC_CONSOLE") == credential);
    CHECK(m.folder("/MooseQuest/postern").secrets.size() == 3); // its own key, the record, one credential
}

} // namespace

TEST_CASE("Replace: three years, three rotations, nobody is refused") {
    miniature m;
    auto wanted = documents(documents_with("{strategy: Replace}"));
    m.apply(wanted);
    auto t = live(m, wanted, 3 * 365);
    CHECK(t.mints == 3);
    CHECK(t.retirements == 3);
    CHECK(t.rotates == 0);
    check_whole(m);
}

TEST_CASE("InPlace: three years, three rotations, nobody is refused, the token stays") {
    miniature m;
    auto wanted = documents(documents_with("{strategy: InPlace}"));
    m.apply(wanted);
    const auto id = m.tokens("console-self-probe").at(0)->id;
    auto t = live(m, wanted, 3 * 365);
    CHECK(t.rotates == 3);
    CHECK(t.retirements == 3);
    CHECK(t.mints == 0);
    check_whole(m);
    CHECK(m.tokens("console-self-probe").at(0)->id == id);
}

TEST_CASE("Renew: three years, the secret stays") {
    miniature m;
    auto wanted = documents(documents_with("{strategy: Renew}"));
    m.apply(wanted);
    const auto secret = m.tokens("console-self-probe").at(0)->secret;
    auto t = live(m, wanted, 3 * 365);
    CHECK(t.renewals == 3);
    CHECK(t.mints + t.rotates + t.retirements == 0);
    check_whole(m);
    CHECK(m.tokens("console-self-probe").at(0)->secret == secret);
}

TEST_CASE("every: no secret gets older, whatever its expiry") {
    miniature m;
    auto wanted = documents(documents_with("{every: 2160h, overlap: 24h}"));
    m.apply(wanted);
    auto t = live(m, wanted, 365);
    CHECK(t.mints >= 4);
    CHECK(t.mints <= 5);
    check_whole(m);
}

TEST_CASE("a worker that was away for the whole time of renewal still rotates without a refusal") {
    miniature m;
    auto wanted = documents(documents_with("{strategy: Replace}"));
    m.apply(wanted);
    m.clock.advance(std::chrono::hours{8760 - 2});
    auto t = live(m, wanted, 0);
    auto report = m.apply(wanted);
    CHECK_MESSAGE(refusals(m).empty(), refusals(m));
    CHECK(std::count(m.told.words.begin(), m.told.words.end(), "mint") == 1);
    t = live(m, wanted, 5);
    CHECK(t.retirements == 1);
    check_whole(m);
}

TEST_CASE("compromised: the old secret dies as soon as everybody has the new one") {
    miniature m;
    auto wanted = documents(documents_with("{strategy: Replace}"));
    for (auto how : {domain::strategy::replace, domain::strategy::in_place}) {
        m.settings.how.requests.clear();
        m.apply(wanted);
        m.clock.advance(1h);
        const auto before = m.tokens("console-self-probe").at(0)->secret;
        m.settings.how.requests["console-self-probe"] = {m.clock.now(), std::string{domain::reason::compromised}, how,
                                                         "somebody", false};
        auto report = m.apply(wanted);
        CHECK_MESSAGE(refusals(m).empty(), refusals(m));
        check_whole(m);
        CHECK(m.tokens("console-self-probe").at(0)->secret != before);
        CHECK(std::count(m.told.words.begin(), m.told.words.end(), "retire") == 1);
    }
}

} // namespace rotation_test
