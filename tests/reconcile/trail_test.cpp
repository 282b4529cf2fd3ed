#include "reconcile/scene.hpp"
#include "run/request_trail.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/strand.hpp>
#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <set>

namespace trail_test {

// Which requests were sent for which step, as the remotes name them.

using namespace postern;
using namespace postern::testing;
namespace asio = boost::asio;
namespace steps = domain::steps;

TEST_CASE("a trail keeps ids by the executor that they were noted on") {
    asio::io_context io;
    const asio::any_io_executor one = asio::make_strand(io);
    const asio::any_io_executor same = one;
    const asio::any_io_executor other = asio::make_strand(io);
    run::request_trail trail;
    trail.note(one, "before");
    trail.begin(one, net::urgency::rotation);
    trail.begin(other, net::urgency::repair);
    trail.note(same, "8c1f2e3d4a5b6c7d-LIS");
    trail.note(other, "01234567-89ab-cdef-0123-456789abcdef");
    trail.note(one, "req-rWbuQxRH1Dm93W");
    trail.note(io.get_executor(), "nobody's");
    for (auto text : {"", "two words", "line\n", "\x1b[31m", "quote\""})
        trail.note(one, text);
    trail.note(one, std::string(65, 'a'));
    CHECK(trail.take(one) == std::vector<std::string>{"8c1f2e3d4a5b6c7d-LIS", "req-rWbuQxRH1Dm93W"});
    CHECK(trail.take(one).empty());
    CHECK(trail.take(other).size() == 1);
    trail.begin(one, net::urgency::rotation);
    for (int i = 0; i < 100; ++i)
        trail.note(one, std::to_string(i));
    CHECK(trail.take(one).size() == 32);
}

namespace {

struct answered {
    std::string call; // "PATCH /apps/raxx-billing/config-vars"
    std::string id;
};

std::string id_of(const net::response& r) {
    for (auto name : {"CF-Ray", "Request-Id"}) {
        if (!r.header(name).empty())
            return std::string{r.header(name)};
    }
    return {};
}

// Where the step's own write goes; empty where that remote names no requests.
std::string call_of(const domain::step& s) {
    if (const auto* sent = std::get_if<steps::deliver>(&s.what))
        return "PATCH /apps/" + sent->app + "/config-vars";
    if (std::holds_alternative<steps::mint>(s.what))
        return "POST /service_tokens";
    if (const auto* made = std::get_if<steps::create_policy>(&s.what))
        return "POST /apps/" + made->application + "/policies";
    if (const auto* update = std::get_if<steps::update_token>(&s.what))
        return "PUT /service_tokens/" + update->token_id;
    return {};
}

} // namespace

TEST_CASE("each step brings the ids of its own requests, though steps share connections and run side by side") {
    scene s;
    std::vector<answered> answers;
    std::map<std::string, std::set<std::string>> host_rays;
    s.m.heard = [&](const net::request& r, const net::response& back) {
        const auto id = id_of(back);
        auto path = r.target.substr(0, r.target.find('?'));
        if (const auto at = path.find("/access/"); at != std::string::npos)
            path = path.substr(at + 7);
        if (r.connect_to)
            host_rays[r.origin + path].insert(id);
        else
            answers.push_back({std::string{net::to_string(r.verb)} + " " + path, id});
    };
    CHECK(fine(s.apply()));

    std::map<std::string, int> owners; // of each id: how many steps claim it
    std::size_t checked = 0;
    REQUIRE(s.m.told.steps.size() == s.m.told.outcomes.size());
    for (std::size_t i = 0; i < s.m.told.steps.size(); ++i) {
        const auto& step = s.m.told.steps[i];
        const auto& ids = s.m.told.outcomes[i].requests;
        CAPTURE(domain::word(step));
        CAPTURE(step.target);
        for (const auto& id : ids)
            ++owners[id];
        if (const auto* proved = std::get_if<steps::prove>(&step.what)) {
            CHECK(ids.size() >= 2);
            for (const auto& [url, rays] : host_rays) {
                const bool here = url.find(proved->host) != std::string::npos;
                for (const auto& id : ids)
                    CHECK((here || !rays.contains(id)));
            }
        }
        const auto call = call_of(step);
        if (call.empty())
            continue;
        ++checked;
        const auto found = std::count_if(answers.begin(), answers.end(), [&](const auto& a) {
            return a.call == call && std::find(ids.begin(), ids.end(), a.id) != ids.end();
        });
        CHECK(found == 1);
    }
    CHECK(checked >= 3 + 4 + 4);
    for (const auto& [id, times] : owners)
        CHECK_MESSAGE(times == 1, id);
    // Every write that has an id was claimed by a step; reading the world belongs to none.
    for (const auto& a : answers) {
        if (!a.id.empty() && !a.call.starts_with("GET "))
            CHECK_MESSAGE(owners.contains(a.id), a.call);
        if (a.call == "GET /service_tokens" || a.call == "GET /apps")
            CHECK_FALSE(owners.contains(a.id));
    }
}

TEST_CASE("a step that failed brings its ids, too") {
    scene s;
    testcloud::fault refuse;
    refuse.what = testcloud::fault_action::answer;
    refuse.to = testcloud::service::heroku;
    refuse.method = "PATCH";
    refuse.path = "/apps/raxx-billing/";
    refuse.status = 403;
    refuse.headers = {{"Request-Id", "the-refused-one"}};
    refuse.body = R"({"id":"forbidden","message":"no"})";
    refuse.times = 0;
    s.m.cloud.trouble.add(refuse);
    s.apply();
    bool seen = false;
    for (std::size_t i = 0; i < s.m.told.steps.size(); ++i) {
        const auto& came = s.m.told.outcomes[i];
        const auto& ids = came.requests;
        if (std::find(ids.begin(), ids.end(), "the-refused-one") == ids.end())
            continue;
        seen = true;
        CHECK(domain::word(s.m.told.steps[i]) == "deliver");
        CHECK(came.failure);
        const auto prints = domain::fingerprints(s.m.told.steps[i], came);
        CHECK(prints.second.empty());
    }
    CHECK(seen);
}

} // namespace trail_test
