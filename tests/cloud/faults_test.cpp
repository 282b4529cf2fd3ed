#include "cloud/caller.hpp"

#include <doctest/doctest.h>

namespace faults_test {

using namespace postern;
using namespace postern::testcloud;
using namespace std::chrono_literals;

namespace {

struct fixture {
    cloud all;
    caller by{all};
    fixture() { all.seed_example(); }

    void meet(fault_action what, std::string method = "", bool after = false) {
        fault f;
        f.what = what;
        f.method = std::move(method);
        f.after = after;
        all.trouble.add(f);
    }
    std::size_t tokens() const { return all.access.config.tokens.size(); }
    reply create() { return by.cloudflare("POST", "/service_tokens", {{"name", "x"}}); }
};

} // namespace

TEST_CASE_FIXTURE(fixture, "a request can be lost before it acts, or only its reply") {
    const auto before = tokens();
    meet(fault_action::drop);
    create();
    CHECK(by.last.how == fate::drop);
    CHECK(tokens() == before);
    CHECK(all.ledger.requests().back().status == 0);
    meet(fault_action::reset, "POST", true);
    create();
    CHECK(by.last.how == fate::reset);
    CHECK(tokens() == before + 1);
    CHECK(all.ledger.requests().back().status == 201);
    CHECK(all.ledger.requests().back().fault == "reset");
    create();
    CHECK(by.last.how == fate::answer);
}

TEST_CASE_FIXTURE(fixture, "an answer can be put in the service's place, before or after the effect") {
    fault f;
    f.what = fault_action::answer;
    f.status = 504;
    f.body = "<html>gateway</html>";
    f.headers = {{"Retry-After", "7"}};
    const auto before = tokens();
    all.trouble.add(f);
    const auto lost = create();
    CHECK(lost.status == 504);
    CHECK(lost.header("Content-Type")->starts_with("text/html"));
    CHECK(lost.header("Retry-After") == "7");
    CHECK(tokens() == before);
    f.after = true;
    f.body = "{}";
    all.trouble.add(f);
    CHECK(create().header("Content-Type") == "application/json");
    CHECK(tokens() == before + 1);
}

TEST_CASE_FIXTURE(fixture, "a fault waits for its service, method, path and turn") {
    fault f;
    f.what = fault_action::drop;
    f.to = service::cloudflare;
    f.method = "write";
    f.path = "/service_tokens$";
    f.skip = 1;
    f.times = 2;
    all.trouble.add(f);
    auto dropped = [&](auto&& call) {
        call();
        return by.last.how == fate::drop;
    };
    CHECK_FALSE(dropped([&] { by.cloudflare("GET", "/service_tokens"); }));
    CHECK_FALSE(dropped([&] { by.cloudflare("POST", "/policies", json::object{}); }));
    CHECK_FALSE(dropped([&] { by.secret("POST", "service_tokens", "x"); }));
    CHECK_FALSE(dropped([&] { create(); }));
    CHECK(dropped([&] { create(); }));
    CHECK(dropped([&] { create(); }));
    CHECK_FALSE(dropped([&] { create(); }));
    CHECK(all.trouble.all()[0].seen == 4);
    CHECK(all.trouble.all()[0].fired == 2);
    f.path = "(";
    CHECK_THROWS(all.trouble.add(f));
}

TEST_CASE_FIXTURE(fixture, "times 0 is for ever, until it is cleared") {
    fault f;
    f.what = fault_action::hang;
    f.times = 0;
    all.trouble.add(f);
    for (int i = 0; i < 5; ++i) {
        by.cloudflare("GET", "/apps");
        CHECK(by.last.how == fate::hang);
    }
    all.trouble.clear();
    by.cloudflare("GET", "/apps");
    CHECK(by.last.how == fate::answer);
}

TEST_CASE_FIXTURE(fixture, "lists come empty with success, bodies come short") {
    meet(fault_action::empty_list);
    const auto list = by.cloudflare("GET", "/service_tokens").parsed();
    CHECK(list.at("success") == true);
    CHECK(list.at("result").as_array().empty());
    CHECK(list.at("result_info").at("total_count") == 0);
    meet(fault_action::empty_list);
    CHECK(by.heroku("GET", "/apps").parsed().as_array().empty());
    by.log_in();
    meet(fault_action::empty_list);
    CHECK(by.secret("GET", "").parsed().at("secrets").as_array().empty());
    meet(fault_action::truncate);
    CHECK(by.cloudflare("GET", "/service_tokens").parsed().is_null());
    CHECK_FALSE(by.last.answer.body.empty());
}

TEST_CASE_FIXTURE(fixture, "somebody else's edit comes between a GET and a PUT") {
    const std::string path = "/apps/" + all.example.app_id;
    auto body = by.result_of("GET", path).as_object();
    body.erase("policies");
    fault f;
    f.what = fault_action::hook;
    f.method = "PUT";
    f.act = [&] {
        auto& app = all.access.config.apps[all.example.app_id];
        app.name = "Renamed meanwhile";
        all.access.attach_policy(app, "foreign", "deny", json::array{json::object{{"everyone", json::object{}}}});
        all.changed("foreign edit");
    };
    all.trouble.add(f);
    const auto answer = by.result_of("PUT", path, body);
    CHECK(answer.at("name") == "Console");
    CHECK(answer.at("policies").as_array().size() == 2);
}

TEST_CASE_FIXTURE(fixture, "a delay is said, and several faults may meet one request") {
    fault slow;
    slow.what = fault_action::delay;
    slow.delay = 250ms;
    all.trouble.add(slow);
    meet(fault_action::drop, "", true);
    by.cloudflare("GET", "/apps");
    CHECK(by.last.delay == 250ms);
    CHECK(by.last.how == fate::drop);
    CHECK(all.ledger.requests().back().fault == "delay drop");
}

TEST_CASE_FIXTURE(fixture, "the ledger counts by service, method, kind and status, and leaves the operator out") {
    all.ledger.forget_requests();
    create();
    by.visit("console.raxx.app");
    by.visit("console.raxx.app", by.mint("probe").shown);
    by.log_in();
    all.as_operator(service::heroku, "GET", "/apps");
    const auto counts = all.ledger.counts();
    CHECK(counts.at("cloudflare POST") == 2);
    CHECK(counts.at("cloudflare status 201") == 2);
    CHECK(counts.at("edge knock") == 1);
    CHECK(counts.at("edge visit") == 1);
    CHECK(counts.at("infisical login") == 1);
    CHECK_FALSE(counts.contains("heroku"));
    CHECK(all.ledger.requests().back().by_operator);
}

TEST_CASE_FIXTURE(fixture, "each Date header can be wrong on its own") {
    CHECK(by.cloudflare("GET", "/apps").header("Date") == "Mon, 23 Nov 2026 10:00:00 GMT");
    all.date_skew[service::cloudflare] = 90s;
    CHECK(by.cloudflare("GET", "/apps").header("Date") == "Mon, 23 Nov 2026 10:01:30 GMT");
    CHECK(by.heroku("GET", "/apps").header("Date") == "Mon, 23 Nov 2026 10:00:00 GMT");
}

TEST_CASE("the same seed gives the same ids, and never the same secrets") {
    cloud one{7};
    cloud two{7};
    cloud three{8};
    for (auto* c : {&one, &two, &three})
        c->seed_example();
    CHECK(one.access.account_id == two.access.account_id);
    CHECK(one.access.account_id != three.access.account_id);
    CHECK(one.access.config.tokens.begin()->first == two.access.config.tokens.begin()->first);
    CHECK(one.access.config.tokens.begin()->second.secret != two.access.config.tokens.begin()->second.secret);
    CHECK(one.example.api_token != two.example.api_token);
}

TEST_CASE("time moves forward only, and timers run in order at their own instant") {
    virtual_time time{cloud::default_start()};
    std::vector<int> ran;
    const auto start = time.now();
    time.at(start + 2s, [&] { ran.push_back(2); });
    time.at(start + 1s, [&] { ran.push_back(1); });
    time.at(start + 2s, [&] { ran.push_back(3); });
    time.move_to(start + 1s);
    time.run_timers();
    CHECK(ran == std::vector{1});
    time.move_to(start);
    CHECK(time.now() == start + 1s);
    time.move_to(start + 5s);
    time.run_timers();
    CHECK(ran == std::vector{1, 2, 3});
    CHECK_FALSE(time.next_timer());
    CHECK(time.due() == time.now());
    time.flow();
    CHECK(time.due() >= time.now());
}

} // namespace faults_test
