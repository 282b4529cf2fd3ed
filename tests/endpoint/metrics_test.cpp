#include "run/metrics.hpp"

#include <doctest/doctest.h>

#include <cstdio>
#include <cstdlib>
#include <sstream>
#include <string>

namespace metrics_test {

using namespace postern;

namespace {

const instant at = parse_instant("2026-11-23T10:00:00Z").value(); // 1795428000

run::status some() {
    run::status s;
    s.version = "0.1.0";
    s.revision = "abc";
    s.leading = true;
    s.last_good_pass = at;
    s.tokens = {{"console", "", "id", "id.access", "f", at, at + std::chrono::hours{1}, {}, ""},
                {"forever", "", "id", "id.access", "f", {}, {}, {}, ""}};
    s.connections = {{"CloudflareAccount/raxx", at}, {"HerokuAccount/h", {}}};
    s.conditions = {
        {"ServiceToken/console", "Ready", domain::status::true_, "AsDeclared", "", domain::weight::fine},
        {"ServiceToken/forever", "Ready", domain::status::false_, "AuthorizationMissing", "", domain::weight::blocked}};
    return s;
}

bool has(const run::metrics& m, const std::string& line) {
    return ("\n" + m.text()).find("\n" + line + "\n") != std::string::npos;
}

std::size_t lines_of(const run::metrics& m, const std::string& name) {
    std::istringstream in{m.text()};
    std::size_t count = 0;
    for (std::string line; std::getline(in, line);)
        count += line.starts_with(name + "{") || line.starts_with(name + " ") ? 1 : 0;
    return count;
}

void count_all(run::metrics& m) {
    m.show(some());
    m.count_request("cloudflare", 200);
    m.count_request("cloudflare", 200);
    m.count_request("heroku", 429);
    m.count_request("edge", 0);
    m.budget("cloudflare", "raxx", 1199);
    m.pass_took(std::chrono::milliseconds{1500});
    m.drift_repaired(3);
}

} // namespace

TEST_CASE("every metric has the name and the labels that alert rules rest on") {
    run::metrics m;
    count_all(m);
    for (const auto* line :
         {"postern_token_expiry_timestamp_seconds{token=\"console\"} 1795428000",
          "postern_token_rotation_due_timestamp_seconds{token=\"console\"} 1795431600",
          "postern_condition{reason=\"AsDeclared\",resource=\"ServiceToken/console\",status=\"True\",type=\"Ready\"} 1",
          "postern_condition{reason=\"AuthorizationMissing\",resource=\"ServiceToken/"
          "forever\",status=\"False\",type=\"Ready\"} 1",
          "postern_needs_person{reason=\"AuthorizationMissing\",resource=\"ServiceToken/forever\"} 1",
          "postern_connection_expiry_timestamp_seconds{connection=\"CloudflareAccount/raxx\"} 1795428000",
          "postern_build_info{revision=\"abc\",version=\"0.1.0\"} 1",
          "postern_leader 1",
          "postern_observing 0",
          "postern_specs_good 1",
          "postern_last_good_pass_timestamp_seconds 1795428000",
          "postern_api_requests_total{code=\"200\",provider=\"cloudflare\"} 2",
          "postern_api_requests_total{code=\"429\",provider=\"heroku\"} 1",
          "postern_api_requests_total{code=\"none\",provider=\"edge\"} 1",
          "postern_api_budget_remaining{account=\"raxx\",provider=\"cloudflare\"} 1199",
          "postern_drift_repaired_total 3",
          "postern_reconcile_duration_seconds_count 1",
          "postern_reconcile_duration_seconds_sum 1.5",
          "postern_reconcile_duration_seconds_bucket{le=\"1\"} 0",
          "postern_reconcile_duration_seconds_bucket{le=\"2.5\"} 1"})
        CHECK_MESSAGE(has(m, line), line, "\n", m.text());
    CHECK(lines_of(m, "postern_token_expiry_timestamp_seconds") == 1);
    CHECK(lines_of(m, "postern_connection_expiry_timestamp_seconds") == 1);
    CHECK(lines_of(m, "postern_needs_person") == 1);
}

TEST_CASE("who stands by asks for nobody: what it saw wrong may have been mended long ago") {
    run::metrics m;
    auto s = some();
    s.leading = false;
    m.show(s);
    CHECK(lines_of(m, "postern_needs_person") == 0);
    CHECK(lines_of(m, "postern_condition") == 0);
    CHECK(lines_of(m, "postern_token_expiry_timestamp_seconds") == 1);
    s.leading = true;
    m.show(s);
    CHECK(lines_of(m, "postern_needs_person") == 1);
}

TEST_CASE("series of what is gone are gone, the others stay") {
    run::metrics m;
    count_all(m);
    auto s = some();
    m.show(s);
    CHECK(lines_of(m, "postern_condition") == 2);
    s.tokens.erase(s.tokens.begin());
    s.connections.clear();
    s.conditions[1].reason = "AsDeclared";
    s.conditions[1].is = domain::status::true_;
    s.conditions[1].heft = domain::weight::fine;
    s.revision = "def";
    m.show(s);
    CHECK(lines_of(m, "postern_token_expiry_timestamp_seconds") == 0);
    CHECK(lines_of(m, "postern_token_rotation_due_timestamp_seconds") == 0);
    CHECK(lines_of(m, "postern_connection_expiry_timestamp_seconds") == 0);
    CHECK(lines_of(m, "postern_needs_person") == 0);
    CHECK(lines_of(m, "postern_condition") == 2);
    CHECK(lines_of(m, "postern_build_info") == 1);
    CHECK(has(m, "postern_build_info{revision=\"def\",version=\"0.1.0\"} 1"));
    CHECK(has(m, "postern_drift_repaired_total 3"));
    m.show(run::status{});
    CHECK(lines_of(m, "postern_condition") == 0);
    m.show(some());
    CHECK(lines_of(m, "postern_condition") == 2);
}

TEST_CASE("the documents are good while some are in force and no newer ones are refused") {
    run::metrics m;
    m.show(run::status{});
    CHECK(has(m, "postern_specs_good 0"));
    CHECK(has(m, "postern_last_good_pass_timestamp_seconds 0"));
    CHECK(has(m, "postern_leader 0"));
    auto s = some();
    s.observing = true;
    m.show(s);
    CHECK(has(m, "postern_specs_good 1"));
    CHECK(has(m, "postern_observing 1"));
    s.specs_problem = "no";
    m.show(s);
    CHECK(has(m, "postern_specs_good 0"));
}

TEST_CASE("a label cannot break the text") {
    run::metrics m;
    auto s = some();
    s.conditions[0].resource = "a\"} 1\nx \x1b\xff\\";
    m.show(s);
    CHECK(lines_of(m, "postern_condition") == 2);
    CHECK(m.text().find("resource=\"a\\\"} 1\\\\x0ax") != std::string::npos);
    CHECK(m.text().find('\x1b') == std::string::npos);
}

TEST_CASE("promtool finds nothing to say") {
    if (std::system("command -v promtool >/dev/null") != 0) {
        MESSAGE("skipped: there is no promtool here");
        return;
    }
    run::metrics m;
    count_all(m);
    std::FILE* tool = popen("promtool check metrics >&2", "w");
    REQUIRE(tool != nullptr);
    const auto text = m.text();
    CHECK(std::fwrite(text.data(), 1, text.size(), tool) == text.size());
    CHECK(pclose(tool) == 0);
}

} // namespace metrics_test
