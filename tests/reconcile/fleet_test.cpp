#include "reconcile/miniature.hpp"
#include "spec/load.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>
#include <deque>
#include <iostream>

namespace fleet_test {

// How long a fleet takes from nothing where Cloudflare's budget is what there is too little of: 1,200 calls in five
// minutes for 1,000 tokens, or the same for a fifth of both, which takes a fifth of the work and no less time.
// POSTERN_FLEET=1000 plays the whole.

using namespace postern;
using namespace postern::testing;
using namespace std::chrono_literals;
using testcloud::service;

namespace {

constexpr auto window = 5min;

// One file a token, as an operator would keep them.
domain::desired fleet(int tokens, int sites) {
    std::vector<spec::spec_file> files{{"connections.yaml", base_documents()}};
    for (int i = 0; i < tokens; ++i) {
        auto n = std::to_string(i);
        files.push_back({"probe-" + n + ".yaml",
                         "apiVersion: postern/v1alpha1\nkind: ServiceToken\nmetadata: {name: probe-" + n +
                             "}\nspec: {credential: {key: CF_PROBE_" + n + "}, authorization: I authorize CF_PROBE_" +
                             n + "}\n---\napiVersion: postern/v1alpha1\nkind: AccessBinding\nmetadata: {name: probe-" +
                             n + "}\nspec: {tokens: [probe-" + n + "], applications: [{domain: site-" +
                             std::to_string(i % sites) + ".raxx.app}]}\n"});
    }
    auto loaded = spec::load(files, "tests", {});
    REQUIRE(loaded.problems.empty());
    return std::move(loaded.desired);
}

struct traffic {
    std::size_t calls = 0;
    std::size_t refused = 0;
    std::size_t busiest = 0; // most calls in any window
};

traffic traffic_of(const testcloud::books& ledger) {
    traffic out;
    std::deque<instant> recent;
    for (const auto& e : ledger.requests()) {
        if (e.to != service::cloudflare || e.by_operator)
            continue;
        ++out.calls;
        out.refused += e.status == 429 ? 1 : 0;
        recent.push_back(e.at);
        while (recent.front() + window <= e.at)
            recent.pop_front();
        out.busiest = std::max(out.busiest, recent.size());
    }
    return out;
}

} // namespace

TEST_CASE("fleet: it converges in hardly more time than the budget dictates, and never breaks that") {
    const auto* asked = std::getenv("POSTERN_FLEET");
    const int tokens = asked != nullptr ? std::atoi(asked) : 200;
    const int sites = tokens / 5;
    const auto limit = static_cast<std::size_t>(tokens) * 1200 / 1000;
    miniature m;
    for (int i = 0; i < sites; ++i)
        m.cloud.access.add_application("site-" + std::to_string(i), "site-" + std::to_string(i) + ".raxx.app");
    m.cloud.changed();
    m.cloud.access.switches.enforce_limits = true;
    m.cloud.access.switches.limit = limit;
    m.distance = 15ms;
    const auto began = m.clock.now();
    auto report = m.apply(fleet(tokens, sites));
    const auto took = m.clock.now() - began;
    CHECK_MESSAGE(!report.unsettled, (report.unsettled ? report.unsettled->message() : std::string{}));
    CHECK(m.tokens("probe-").size() == static_cast<std::size_t>(tokens));
    CHECK_MESSAGE(troubles(report.last.conditions).empty(), troubles(report.last.conditions).substr(0, 2000));

    const auto seen = traffic_of(m.cloud.ledger);
    CHECK(seen.refused == 0);
    CHECK(seen.busiest <= limit);
    // Three calls a token and the lists: whoever sends as much as a window takes at its very beginning is done then.
    CHECK(seen.calls >= static_cast<std::size_t>(3 * tokens));
    const auto dictated = window * static_cast<std::int64_t>((seen.calls - 1) / limit);
    CHECK(took <= dictated * 11 / 10);
    std::cout << "fleet: " << tokens << " tokens, " << seen.calls << " calls to Cloudflare of " << m.requests_of_last
              << " in all, at most " << seen.busiest << " of " << limit << " in five minutes, " << format_duration(took)
              << " where the budget alone dictates " << format_duration(dictated) << "\n";
}

} // namespace fleet_test
