#include "reconcile/scene.hpp"

#include <boost/asio/this_coro.hpp>

#include <algorithm>

namespace limits_test {

using namespace postern;
using namespace postern::testing;
using namespace std::chrono_literals;
using domain::weight;
using testcloud::fault;
using testcloud::fault_action;
using testcloud::service;
namespace reason = domain::reason;
namespace json = boost::json;

namespace {

constexpr auto binding_resource = "AccessBinding/console-self-probe";

fault garbled(service to, std::string path, fault_action what, int status = 200, std::string body = {}) {
    fault f;
    f.what = what;
    f.to = to;
    f.method = "GET";
    f.path = std::move(path);
    f.times = 0;
    f.status = status;
    f.body = std::move(body);
    return f;
}

// Cloudflare's answer to so many requests; 0: to all.
fault slow_down(std::string retry_after, std::size_t times) {
    fault f;
    f.what = fault_action::answer;
    f.to = service::cloudflare;
    f.times = times;
    f.status = 429;
    f.headers = {{"Retry-After", std::move(retry_after)}};
    f.body = testcloud::cloudflare_failure(429, 971, "rate limited").body;
    return f;
}

// Control characters, a terminal's escape, a right-to-left override, a line separator.
constexpr std::string_view evil_name = "Con\x1b[31msole\r\n\xe2\x80\xae"
                                       "evil\xe2\x80\xa8line\x07";

bool is_printable(std::string_view text) {
    const bool controls =
        std::any_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20 && c != '\n'; });
    return !controls && text.find("\xe2\x80\xae") == std::string_view::npos &&
           text.find("\xe2\x80\xa8") == std::string_view::npos;
}

} // namespace

TEST_CASE("limits: a credential is shown to the hosts of its own applications and to no other") {
    scene s;
    s.rewrite("smokeTest: {path: /console-self-probe/health}",
              "smokeTest: {path: /console-self-probe/health, hosts: [console.raxx.app, console-staging.raxx.app]}");
    REQUIRE(fine(s.apply()));
    std::set<std::string> expected;
    for (const auto* c : {&console(), &billing(), &apart()}) {
        for (const auto& host : c->hosts)
            expected.insert(host + " " + s.token(*c).client_id);
    }
    CHECK(s.shown_to == expected);
}

TEST_CASE("limits: a host that no bound application guards is not even knocked at") {
    scene s;
    std::string_view host;
    SUBCASE("a stranger's") {
        host = "collector.example";
    }
    SUBCASE("of another application of the account") {
        host = "billing.raxx.app";
    }
    s.rewrite("smokeTest: {path: /console-self-probe/health}",
              "smokeTest: {path: /console-self-probe/health, hosts: [console.raxx.app, console-staging.raxx.app, " +
                  std::string{host} + "]}");
    std::set<std::string> knocked;
    s.in_the_way = [&](const net::request& r) -> std::optional<error> {
        if (r.connect_to && r.target.starts_with("/console-self-probe"))
            knocked.insert(r.origin);
        return {};
    };
    auto report = s.apply();
    check_condition(
        report, {binding_resource, "Bound", reason::host_foreign, weight::blocked, {std::string{host}, "never shown"}});
    CHECK(knocked.empty());
    CHECK(std::none_of(s.shown_to.begin(), s.shown_to.end(),
                       [](const auto& entry) { return entry.starts_with("console"); }));
    s.check_untouched(console());
    s.check_whole(billing());
}

TEST_CASE("limits: an application may not lend its name to a host that the account does not allow") {
    scene s;
    s.rewrite("apiToken: {vault: {vault: infisical, key: CLOUDFLARE_ACCESS_MGMT_TOKEN}}",
              "apiToken: {vault: {vault: infisical, key: CLOUDFLARE_ACCESS_MGMT_TOKEN}}\n"
              "  applications: [console*.raxx.app, billing.raxx.app]");
    SUBCASE("as long as it guards only allowed hosts it is fine") {
        CHECK(fine(s.apply()));
        s.check_all_whole();
    }
    SUBCASE("one host too many is one too many") {
        s.application("console.raxx.app").settings["destinations"] =
            json::array{json::object{{"type", "public"}, {"uri", "console.raxx.app"}},
                        json::object{{"type", "public"}, {"uri", "console.elsewhere.example"}}};
        s.m.cloud.changed();
        auto report = s.apply();
        check_condition(
            report, {binding_resource, "Bound", reason::not_allowed, weight::blocked, {"console.elsewhere.example"}});
        CHECK(!s.shown_to_host("console.raxx.app"));
        CHECK(!s.shown_to_host("console.elsewhere.example"));
        s.check_untouched(console());
        s.check_whole(billing());
    }
}

TEST_CASE("limits: an application may not lend its name to a host that the operator's flag does not allow") {
    scene s;
    auto wanted = s.wanted();
    for (auto& account : wanted.cloudflare)
        account.only_hosts = {"billing.raxx.app", "apart.raxx.app"};
    auto report = s.m.apply(wanted);
    check_condition(report,
                    {binding_resource, "Bound", reason::not_allowed, weight::blocked, {"console", "--only-hosts"}});
    CHECK(!s.shown_to_host("console.raxx.app"));
    s.check_untouched(console());
    s.check_whole(billing());
}

TEST_CASE("limits: an app that the Heroku account does not allow is refused before anything is asked") {
    scene s;
    s.rewrite("spec: {apiUrl: \"http://127.0.0.1:1003\", apiKey: {env: HEROKU_API_KEY}}",
              "spec: {apiUrl: \"http://127.0.0.1:1003\", apiKey: {env: HEROKU_API_KEY}, apps: [raxx-console-*]}");
    std::string refused;
    try {
        s.wanted();
    } catch (const std::logic_error& e) {
        refused = e.what();
    }
    CHECK(refused.find("is none of the apps that account heroku may touch") != std::string::npos);
    CHECK(s.m.requests().empty());
}

TEST_CASE("limits: what remotes call things cannot speak to a terminal or to a log") {
    scene s;
    const auto name = std::string{evil_name};
    SUBCASE("an application that does not fit") {
        auto& copy = s.m.cloud.access.add_application(name, "console.raxx.app");
        (void)copy;
    }
    SUBCASE("a policy that is told of") {
        s.m.cloud.access.attach_policy(s.application("console.raxx.app"), name, "bypass",
                                       {json::object{{"everyone", json::object{}}}});
    }
    SUBCASE("an error's own words") {
        s.m.cloud.trouble.add(cloudflare_refuses("POST", "/policies", 400, 12130, name));
    }
    SUBCASE("a page instead of an answer") {
        s.m.cloud.trouble.add(garbled(service::cloudflare, "/access/apps", fault_action::answer, 403,
                                      "<html><title>" + name + "</title></html>"));
    }
    SUBCASE("an app's error") {
        s.m.cloud.trouble.add(garbled(service::heroku, "config-vars", fault_action::answer, 403,
                                      json::serialize(json::object{{"id", name}, {"message", name}})));
    }
    auto report = s.apply();
    bool told = false;
    for (const auto& c : report.last.conditions) {
        CHECK_MESSAGE(is_printable(c.message), c.resource, " ", c.type);
        told = told || c.message.find("evil") != std::string::npos;
    }
    CHECK(told);
    CHECK(is_printable(s.m.logged.str()));
    for (const auto& step : s.m.told.steps)
        CHECK(is_printable(step.target + step.words));
}

TEST_CASE("limits: answers that are no answers delete nothing, overwrite nothing and end with the weather") {
    struct row {
        std::string_view name;
        fault what;
    };
    const std::string html = "<!DOCTYPE html><html><head><title>Bad gateway</title></head></html>";
    std::vector<row> rows;
    for (const auto& [to, path] : {std::pair{service::cloudflare, "service_tokens"},
                                   {service::cloudflare, "access/apps\\?"},
                                   {service::cloudflare, "access/policies\\?"},
                                   {service::infisical, "secrets/raw\\?"},
                                   {service::heroku, "config-vars"}}) {
        rows.push_back({"HTML, 200", garbled(to, path, fault_action::answer, 200, html)});
        rows.push_back({"HTML, 502", garbled(to, path, fault_action::answer, 502, html)});
        rows.push_back({"truncated", garbled(to, path, fault_action::truncate)});
        rows.push_back({"cut off", garbled(to, path, fault_action::cut)});
        rows.push_back({"JSON of another shape", garbled(to, path, fault_action::answer, 200, "[[[null]]]")});
        rows.push_back({"an empty object", garbled(to, path, fault_action::answer, 200, "{}")});
        if (to != service::heroku)
            rows.push_back({"success, and an empty list", garbled(to, path, fault_action::empty_list)});
    }
    scene s;
    REQUIRE(fine(s.apply()));
    for (const auto& row : rows) {
        CAPTURE(row.name);
        CAPTURE(row.what.path);
        const bool harmless =
            row.name == "success, and an empty list" && row.what.path == "access/policies\\?"; // none is used
        const bool no_vars = row.name == "an empty object" && row.what.to == service::heroku;  // as if all were unset
        if (no_vars)
            continue;
        s.m.cloud.trouble.clear();
        s.m.cloud.trouble.add(row.what);
        s.m.requests();
        auto report = s.apply();
        INFO(troubles(report.last.conditions));
        CHECK(fine(report) == harmless);
        const auto calls = s.m.requests();
        const auto writes = std::count_if(calls.begin(), calls.end(), [](const auto& line) {
            // A folder that is there already is not made again, whoever asks.
            return line.find(" GET ") == std::string::npos && line.find("/auth/") == std::string::npos &&
                   line != "infisical POST /api/v1/folders";
        });
        CHECK(writes == 0);
        s.m.cloud.trouble.clear();
        s.check_all_whole();
        s.check_quiet(report);
    }
    auto report = s.apply();
    CHECK_MESSAGE(fine(report), troubles(report.last.conditions));
    s.check_all_whole();
}

TEST_CASE("limits: empty lists, with --prune too") {
    scene s;
    s.rewrite("authorization: I authorize CF_ACCESS_SVC_BILLING",
              "authorization: I authorize CF_ACCESS_SVC_BILLING\n  deletionPolicy: Delete");
    REQUIRE(fine(s.apply()));
    s.m.settings.how.prune = true;
    s.m.requests();
    s.m.cloud.trouble.add(garbled(service::cloudflare, "service_tokens\\?", fault_action::empty_list));
    auto report = s.apply();
    check_condition(
        report,
        {"ServiceToken/console-self-probe", "Ready", reason::empty_list, weight::failed, {"Access: Service Tokens"}});
    CHECK(s.m.writes() == 0);
    s.m.cloud.trouble.clear();
    CHECK(fine(s.apply()));
    s.check_all_whole();
}

TEST_CASE("limits: one that a list leaves out is asked for by its id, and is not gone") {
    scene s;
    REQUIRE(fine(s.apply()));
    s.m.requests();
    const auto id = s.token(console()).id;
    // A page that shifted while it was read: everybody is there but one.
    fault f;
    f.what = fault_action::hook;
    f.to = service::cloudflare;
    f.method = "GET";
    f.path = "/service_tokens\\?";
    f.times = 0;
    auto aside = s.token(console());
    f.act = [&] { s.m.cloud.access.config.tokens.erase(id); };
    auto back = f;
    back.after = true;
    back.act = [&] { s.m.cloud.access.config.tokens[id] = aside; };
    s.m.cloud.trouble.add(f);
    s.m.cloud.trouble.add(back);
    auto report = s.apply();
    CHECK_MESSAGE(fine(report), troubles(report.last.conditions));
    CHECK(s.m.writes() == 0);
    const auto calls = s.m.requests();
    CHECK(std::any_of(calls.begin(), calls.end(),
                      [&](const auto& line) { return line.ends_with("/service_tokens/" + id); }));
    s.check_all_whole();
}

TEST_CASE("limits: slow down, says Cloudflare, and we do") {
    scene s;
    auto f = slow_down("30", 3);
    f.skip = 6;
    s.m.cloud.trouble.add(f);
    const auto before = s.m.clock.now();
    auto report = s.apply();
    CHECK_MESSAGE(fine(report), troubles(report.last.conditions));
    CHECK(s.m.clock.now() - before >= 30s);
    s.check_all_whole();
    s.check_quiet(report);
}

TEST_CASE("limits: who asks to be left alone for years is asked again within the hour, and the log tells of it") {
    scene s;
    s.m.settings.wait = 2h;
    s.m.cloud.trouble.add(slow_down("99999999", 1));
    const auto before = s.m.clock.now();
    auto report = s.apply();
    CHECK_MESSAGE(fine(report), troubles(report.last.conditions));
    CHECK(s.m.clock.now() - before >= 1h);
    CHECK(s.m.clock.now() - before < 2h);
    CHECK(s.m.logged.str().find("names a wait of that length") != std::string::npos);
    s.check_all_whole();
}

TEST_CASE("limits: what was compared before a wait is compared again before it is overwritten") {
    scene s;
    fault f;
    f.what = fault_action::answer;
    f.to = service::heroku;
    f.method = "GET";
    f.path = "/apps/raxx-billing/releases";
    SUBCASE("of its first look") {
        f.skip = 1; // the look before the record's note
    }
    SUBCASE("of its last look") {
        f.skip = 2;
    }
    f.status = 429;
    f.headers = {{"Retry-After", "40"}};
    f.body = R"({"id":"rate_limit","message":"slow down"})";
    s.m.cloud.trouble.add(f);
    // Somebody sets the variable while the delivery waits.
    s.m.heard = [&](const net::request& r, const net::response& back) {
        if (back.status == 429 && r.target.starts_with("/apps/raxx-billing/"))
            s.app("raxx-billing").config[billing().key] = "somebody's";
    };
    s.apply();
    const bool left_alone = s.app_value("raxx-billing", billing().key) == "somebody's";
    CHECK(left_alone);
}

TEST_CASE("limits: what overwrites goes out soon after its comparison, or not at all") {
    scene s;
    REQUIRE(fine(s.apply()));
    std::set<std::string> overwritten;
    s.in_the_way = [&](const net::request& r) -> std::optional<error> {
        const bool of_policy = r.verb != net::method::get && r.target.find("/policies/") != std::string::npos;
        if (r.verb != net::method::patch && !of_policy)
            return {};
        overwritten.insert(r.origin + " " + std::string{net::to_string(r.verb)});
        CHECK_MESSAGE(r.patience, r.what);
        CHECK(r.start_by.value_or(instant::max()) <= s.m.clock.now() + net::compared_lately);
        return {};
    };
    s.m.settings.how.requests[billing().name] = {s.m.clock.now(), "Requested", std::nullopt, "test"};
    CHECK(fine(s.apply()));
    CHECK(overwritten.contains("http://127.0.0.1:1001 PUT"));
    CHECK(overwritten.contains("http://127.0.0.1:1002 PATCH"));
    CHECK(overwritten.contains("http://127.0.0.1:1003 PATCH"));
}

TEST_CASE("limits: a step that has written is told from one that has not") {
    scene s;
    std::map<std::string, std::vector<bool>> finishes; // by method and last part of the path, at Heroku
    s.in_the_way = [&](const net::request& r) -> std::optional<error> {
        if (r.origin == "http://127.0.0.1:1003" && r.target.find("/apps/raxx-billing/") != std::string::npos)
            finishes[std::string{net::to_string(r.verb)} + r.target.substr(r.target.rfind('/'))].push_back(r.finishes);
        return {};
    };
    CHECK(fine(s.apply()));
    // A look at the world, and a delivery: compared before its one PATCH, and looked at after it.
    CHECK(finishes["PATCH/config-vars"] == std::vector{false});
    CHECK(finishes["GET/config-vars"].front() == false);
    CHECK(finishes["GET/config-vars"].back() == true);
    CHECK(finishes["GET/releases"].front() == false);
    CHECK(finishes["GET/releases"].back() == true);
}

TEST_CASE("limits: what is read for a credential on its way is as urgent as that") {
    scene s;
    std::vector<net::urgency> lanes; // in which the tokens of one account were listed
    bool no_room = false;
    s.in_the_way = [&](const net::request& r) -> std::optional<error> {
        if (r.origin != "http://127.0.0.1:1001" || r.target.find("/service_tokens?") == std::string::npos)
            return {};
        lanes.push_back(r.lane);
        if (!std::exchange(no_room, false))
            return {};
        return error{error_kind::throttled, {}, "no room", 0, {}, 70s};
    };
    SUBCASE("after a lost reply the world is read anew") {
        fault f;
        f.to = service::cloudflare;
        f.what = fault_action::hang;
        f.method = "POST";
        f.path = "/service_tokens$";
        f.after = true;
        s.m.cloud.trouble.add(f);
        s.apply();
        REQUIRE(lanes.size() >= 2);
        CHECK(lanes[0] == net::urgency::refresh);
        CHECK(lanes[1] == net::urgency::rotation);
    }
    SUBCASE("a process that finds one begun, and has no room to read the account") {
        s.m.dies = [&](std::size_t, bool after) { return after && !s.m.tokens("billing").empty(); };
        s.apply();
        s.m.dies = {};
        lanes.clear();
        no_room = true;
        s.apply();
        REQUIRE(lanes.size() >= 2);
        CHECK(lanes[0] == net::urgency::refresh); // nobody knew yet
        CHECK(lanes[1] == net::urgency::rotation);
    }
    SUBCASE("one that waits for a person hurries nobody") {
        s.m.cloud.vault.switches.approval_paths = {"/MooseQuest/cloudflare"};
        auto two_passes = [&](miniature::hands h) -> boost::asio::awaitable<void> {
            auto executor = co_await boost::asio::this_coro::executor;
            for (int i = 0; i < 2; ++i) {
                lanes.clear();
                recorder watch;
                run::pass work{h.around, h.reader, h.world, h.halt, watch, s.m.settings, executor};
                auto working = work.run();
                co_await std::move(working);
            }
            CHECK(h.world.vaults["infisical"]->state->records.at(console().name).pending);
        };
        s.m.in_process(s.wanted(), two_passes);
        CHECK(lanes == std::vector<net::urgency>{net::urgency::refresh});
        s.m.cloud.vault.switches.approval_paths.clear();
    }
    // Where nothing is to be done, it is a look like another.
    CHECK(fine(s.apply()));
    lanes.clear();
    CHECK(fine(s.apply()));
    CHECK(lanes == std::vector<net::urgency>{net::urgency::refresh});
}

TEST_CASE("limits: a pass that is asked to stop while it waits for room to read ends at once, and says nothing new") {
    scene s;
    s.m.cloud.trouble.add(slow_down("50", 0));
    const auto before = s.m.clock.now();
    run::pass_report report;
    net::stop* halt = nullptr;
    s.m.heard = [&](const net::request&, const net::response& back) {
        if (back.status == 429 && halt != nullptr)
            halt->ask();
    };
    auto one_pass = [&](miniature::hands h) -> boost::asio::awaitable<void> {
        halt = &h.halt;
        recorder watch;
        auto executor = co_await boost::asio::this_coro::executor;
        run::pass work{h.around, h.reader, h.world, h.halt, watch, s.m.settings, executor};
        auto working = work.run();
        report = co_await std::move(working);
    };
    s.m.in_process(s.wanted(), one_pass);
    CHECK(report.interrupted);
    CHECK(report.cut_short);
    CHECK(report.last.conditions.empty());
    CHECK(s.m.clock.now() - before < 1s);
}

TEST_CASE("limits: no secret is anywhere but where it belongs, whatever goes wrong") {
    scene s;
    // Every second write fails, and the services repeat what they were sent.
    for (const auto to : {service::cloudflare, service::infisical, service::heroku}) {
        fault f;
        f.what = fault_action::hang;
        f.to = to;
        f.method = "write";
        f.after = true;
        f.skip = 1;
        f.times = 2;
        s.m.cloud.trouble.add(f);
    }
    for (int i = 0; i < 4; ++i) {
        auto report = s.apply();
        s.check_quiet(report);
        s.m.cloud.trouble.clear();
        s.m.clock.advance(1min);
    }
    s.check_all_whole();
    for (const auto* state : {"/MooseQuest/postern", "/MooseQuest/apart"}) {
        for (const auto& [key, row] : s.folder(state).secrets) {
            const bool credential = key.find('.') != std::string::npos;
            CHECK_MESSAGE((credential || s.m.cloud.ledger.leaks_in(row.value).empty()), key);
        }
    }
}

TEST_CASE("an account id that is something else is sent nowhere and logged nowhere") {
    scene s;
    const std::string key = s.m.environment.at("HEROKU_API_KEY");
    s.rewrite("accountId: {env: CLOUDFLARE_ACCOUNT_ID}", "accountId: {env: HEROKU_API_KEY}");
    const auto report = s.apply();
    check_condition(report, {"CloudflareAccount/raxx",
                             "Ready",
                             reason::refused,
                             weight::failed,
                             {"environment variable HEROKU_API_KEY", "32 hexadecimal digits"}});
    CHECK(s.m.logged.str().find(key) == std::string::npos);
    for (const auto& c : report.last.conditions)
        CHECK(c.message.find(key) == std::string::npos);
    s.check_untouched(console());
}

} // namespace limits_test
