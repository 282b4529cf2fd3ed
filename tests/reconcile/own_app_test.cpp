#include "reconcile/scene.hpp"

#include <doctest/doctest.h>

#include <algorithm>

namespace own_app_test {

// Postern runs on one of the apps that it serves: setting that one's config var restarts it.

using namespace postern;
using namespace postern::testing;
namespace steps = domain::steps;

namespace {

const std::string own = "raxx-console-staging"; // listed before raxx-console-prod

struct on_heroku : scene {
    on_heroku() {
        m.settings.how.own_apps = {own, "5c1ab2f0-0000-4000-8000-000000000001"};
        in_the_way = [this](const net::request& r) -> std::optional<error> {
            patched = patched || (r.verb == net::method::patch && r.target == "/apps/" + own + "/config-vars");
            return std::nullopt;
        };
    }

    bool patched = false; // the own app's PATCH went out

    std::vector<std::string> writes() {
        std::vector<std::string> out;
        for (const auto& entry : m.cloud.ledger.requests()) {
            if (entry.kind == "write" && !entry.by_operator)
                out.push_back(entry.method + " " + entry.target.substr(0, entry.target.find('?')));
        }
        return out;
    }
    std::ptrdiff_t patches_of_own() {
        const auto all = writes();
        return std::count(all.begin(), all.end(), "PATCH /apps/" + own + "/config-vars");
    }
};

} // namespace

TEST_CASE("the own app is patched once, after all that is written for any token but its own last note") {
    on_heroku s;
    CHECK(fine(s.apply()));
    s.check_all_whole();
    const auto all = s.writes();
    const auto at = std::find(all.begin(), all.end(), "PATCH /apps/" + own + "/config-vars");
    REQUIRE(at != all.end());
    CHECK(s.patches_of_own() == 1);
    for (auto after = at + 1; after != all.end(); ++after)
        CHECK_MESSAGE(after->find("/console-self-probe") != std::string::npos, *after);
    CHECK(all.end() - at <= 3);
}

TEST_CASE("the restart that its PATCH is loses nothing: the successor finds it done and finishes") {
    for (const bool answered : {false, true}) {
        CAPTURE(answered);
        on_heroku s;
        // The request has arrived; this process hears nothing of it, or nothing after its answer.
        bool heard = false;
        s.m.dies = [&](std::size_t, bool after) {
            if (!s.patched)
                return false;
            if (answered && after && !heard) {
                heard = true;
                return false;
            }
            return answered ? heard : after;
        };
        s.apply();
        REQUIRE(s.patched);
        CHECK(!s.app_value(own, console().key).empty());
        s.m.dies = {};
        auto report = s.apply();
        CHECK_MESSAGE(fine(report), troubles(report.last.conditions));
        s.check_all_whole();
        CHECK(s.patches_of_own() == 1);
        s.check_quiet(report);
        const auto before = s.m.writes();
        CHECK(fine(s.apply()));
        CHECK(s.m.writes() == before);
    }
}

TEST_CASE("while another delivery is stuck the own app waits, and it is said what for") {
    on_heroku s;
    s.app("raxx-billing").config[billing().key] = "somebody's";
    auto report = s.apply();
    check_condition(report, {"HerokuBinding/" + console().name,
                             "Delivered",
                             domain::reason::own_app_last,
                             domain::weight::waiting,
                             {own, "HerokuBinding/" + billing().name + " ConfigVarTaken"}});
    CHECK(!report.unsettled);
    CHECK(s.patches_of_own() == 0);
    CHECK(s.app_value("raxx-console-prod", console().key) == s.credential(console()));
    s.app("raxx-billing").config.erase(billing().key);
    CHECK(fine(s.apply()));
    s.check_all_whole();
    CHECK(s.patches_of_own() == 1);
}

TEST_CASE("the plan has it last, too") {
    on_heroku s;
    const auto plan = s.m.plan(s.wanted());
    REQUIRE(!plan.failure);
    std::vector<std::string> order;
    for (const auto& step : plan.steps) {
        if (const auto* sent = std::get_if<steps::deliver>(&step.what))
            order.push_back(sent->app);
    }
    REQUIRE(order.size() == 4);
    CHECK(order.back() == own);
    CHECK(domain::word(plan.steps.back()) == "confirm");
}

} // namespace own_app_test
