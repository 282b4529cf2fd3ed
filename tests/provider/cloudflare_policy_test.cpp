#include "printing.hpp"
#include "provider/cloudflare.hpp"
#include "support/harness.hpp"
#include "support/scripted_transport.hpp"
#include "support/settable_clock.hpp"

#include <boost/json.hpp>
#include <doctest/doctest.h>

#include <string>
#include <utility>
#include <vector>

namespace cloudflare_policy_test {

using namespace postern;
using net::method;
using testing::run;

namespace {

const std::string account = "/client/v4/accounts/acc";
const std::string first_page = "?per_page=100&page=1";
const std::string at_app = account + "/access/apps/app/policies/pol";
const std::string at_account = account + "/access/policies/pol";

struct bench {
    boost::asio::io_context io;
    testing::scripted_transport wire;
    provider::cloudflare api{wire, "https://api.cloudflare.com/client/v4", "acc", secret{"key"}};

    // What list_applications() says of one application with these policies inlined.
    domain::live_application listed(const std::string& policies, const std::string& reusable = "[]") {
        wire.expect(method::get, account + "/access/policies" + first_page)
            .answers(200, R"({"success":true,"result_info":{"total_count":0},"result":)" + reusable + "}");
        wire.expect(method::get, account + "/access/apps" + first_page)
            .answers(200,
                     R"({"success":true,"result_info":{"total_count":1},"result":[{"id":"app","type":"self_hosted",)"
                     R"("name":"billing","domain":"billing.example.com","aud":"a","policies":)" +
                         policies + "}]}");
        auto list = run(io, api.list_applications());
        REQUIRE(list);
        REQUIRE(list->size() == 1);
        return list->front();
    }
};

std::string ok(const std::string& result) {
    return R"({"success":true,"errors":[],"messages":[],"result":)" + result + "}";
}

// As the policy's own GET has it: with what a PUT must not have, unknown fields and rules, and a duplicate.
const std::string fresh =
    R"({"id":"pol","uid":"pol","name":"staff","decision":"allow","precedence":2.0,"reusable":false,
  "include":[{"service_token":{"token_id":"t1"}},{"user_risk_score":{"user_risk_score":["low"]}},
             {"service_token":{"token_id":"t1"}},{"service_token":{"token_id":"t2"}}],
  "exclude":[],"require":[{"geo":{"country_code":"PT"}}],"session_duration":"24h","approval_required":false,
  "isolation_required":null,"mfa_config":{"allowed_authenticators":[]},"from_the_future":{"b":1,"a":[2]},
  "created_at":"2026-01-01T00:00:00Z","updated_at":"2026-02-02T00:00:00Z"})";

// The same, as an application's list inlines it: other order, nulls and absences elsewhere.
const std::string inlined = R"([{"decision":"allow","name":"staff","id":"pol","precedence":2,"account_id":"acc",
  "require":[{"geo":{"country_code":"PT"}}],"exclude":null,
  "include":[{"service_token":{"token_id":"t2"}},{"service_token":{"token_id":"t1"}},
             {"user_risk_score":{"user_risk_score":["low"]}}],
  "session_duration":"24h","purpose_justification_required":false,"approval_groups":[],"connection_rules":{},
  "created_at":"2026-01-01T00:00:00Z"}])";

provider::cloudflare::policy_edit edit_of(const std::string& version) {
    provider::cloudflare::policy_edit e;
    e.application = "app";
    e.policy = "pol";
    e.version = version;
    return e;
}

} // namespace

TEST_CASE("applications: hosts, open paths, types") {
    bench b;
    b.wire.expect(method::get, account + "/access/policies" + first_page).answers(200, ok("[]"));
    b.wire.expect(method::get, account + "/access/apps" + first_page).answers(200, ok(R"([
          {"id":"1","type":"self_hosted","name":"billing","domain":"Billing.Example.com/Admin","aud":"aa",
           "self_hosted_domains":["billing.example.com/Admin","*.example.org"],
           "destinations":[{"type":"public","uri":"billing.example.com/Admin"},{"type":"private","cidr":"10.0.0.0/8"},
             {"type":"public","uri":"New.example.com","overrides":[{"behavior":"public","path_pattern":"/health*"},
               {"behavior":"other","path_pattern":"/x"}]},{"type":"worker"}]},
          {"id":"2","type":"self_hosted","name":"from destinations","domain":null,
           "destinations":[{"type":"public","uri":"only.example.com"}]},
          {"id":"3","type":"saas","name":"not for machines",
           "policies":[{"id":"p","decision":"allow","include":[]},{"id":"unheard of"}]},
          {"id":"4","type":"ssh","domain":"ssh.example.com"}])"));
    b.wire.expect(method::get, account + "/access/apps?per_page=100&page=2").answers(200, ok("[]"));
    auto list = run(b.io, b.api.list_applications());
    REQUIRE(list);
    REQUIRE(list->size() == 4);
    using names = std::vector<std::string>;
    CHECK(list->at(0).destinations == names{"billing.example.com/Admin", "*.example.org", "new.example.com"});
    CHECK(list->at(0).open_paths == names{"/health*"});
    CHECK(list->at(0).aud == "aa");
    CHECK(list->at(1).destinations == names{"only.example.com"});
    CHECK(list->at(2).type == "saas");
    CHECK(list->at(2).destinations.empty());
    CHECK(list->at(2).policies.size() == 1);
    CHECK(list->at(3).type == "ssh");
}

TEST_CASE("a reusable policy that more applications use than are listed says so") {
    bench b;
    const auto used = [&](const std::string& count) {
        return b.listed(R"(["p1",{"id":"p2","decision":"allow","reusable":false}])",
                        R"([{"id":"p1","decision":"allow")" + count + "}]");
    };
    CHECK(used(R"(,"app_count":3)").policies[0].users_elsewhere == 2);
    CHECK(used(R"(,"app_count":1)").policies[0].users_elsewhere == 0);
    CHECK(used(R"(,"app_count":0)").policies[0].users_elsewhere == 0);
    CHECK(used("").policies[0].users_elsewhere == 0);
    CHECK(used(R"(,"app_count":3)").policies[1].users_elsewhere == 0);
    CHECK(used(R"(,"app_count":3)").policies[0].version == used("").policies[0].version);
}

TEST_CASE("policies: decisions, rules, kinds") {
    bench b;
    auto app =
        b.listed(R"([
      {"id":"p1","name":"a","decision":"non_identity","precedence":1,"reusable":true,
       "include":[{"service_token":{"token_id":"t"}},{"any_valid_service_token":{}},{"everyone":{}},{"group":{"id":"g"}},
                  {"email":{"email":"a@b"}},{}],"exclude":[{"ip":{"ip":"192.0.2.0/24"}}]},
      {"id":"p2","decision":"bypass","precedence":2},
      {"id":"p3","decision":"deny","precedence":3},
      {"id":"p4","decision":"something new","precedence":4},
      {"id":"p5","precedence":5},
      "p6"])",
                 R"([{"id":"p3","decision":"deny"},{"id":"p5","decision":"allow"},{"id":"p6","decision":"allow"}])");
    REQUIRE(app.policies.size() == 6);
    using kind = domain::rule::kind;
    const auto& include = app.policies[0].include;
    REQUIRE(include.size() == 6);
    CHECK(include[0] == domain::rule{kind::service_token, "t", ""});
    CHECK(include[1].is == kind::any_valid_service_token);
    CHECK(include[2].is == kind::everyone);
    CHECK(include[3] == domain::rule{kind::group, "g", ""});
    CHECK(include[4] == domain::rule{kind::other, "", R"({"email":{"email":"a@b"}})"});
    CHECK(include[5].is == kind::other);
    CHECK(app.policies[0].exclude.size() == 1);
    CHECK(app.policies[0].decides == domain::decision::non_identity);
    CHECK(app.policies[1].decides == domain::decision::bypass);
    CHECK(app.policies[2].decides == domain::decision::deny);
    CHECK(app.policies[3].decides == domain::decision::other);
    // Said by the answer; not in the list of reusable ones; in it; and links to reusable ones.
    CHECK(app.policies[0].reusable);
    CHECK_FALSE(app.policies[1].reusable);
    CHECK(app.policies[2].reusable);
    CHECK(app.policies[4].decides == domain::decision::allow);
    CHECK(app.policies[4].precedence == 5);
    CHECK(app.policies[5].reusable);
}

TEST_CASE("a policy's version is the same wherever it is read, and changes with its meaning") {
    bench b;
    auto version = b.listed(inlined).policies.front().version;
    CHECK(b.listed("[" + fresh + "]").policies.front().version == version);
    CHECK(version.size() == 64);

    const std::vector<std::pair<std::string, std::string>> changes{
        {R"("name":"staff")", R"("name":"stuff")"},
        {R"("decision":"allow")", R"("decision":"deny")"},
        {R"("precedence":2.0)", R"("precedence":3)"},
        {R"("reusable":false)", R"("reusable":true)"},
        {R"("token_id":"t2")", R"("token_id":"t3")"},
        {R"("country_code":"PT")", R"("country_code":"ES")"},
        {R"("exclude":[])", R"("exclude":[{"everyone":{}}])"},
        {R"("session_duration":"24h")", R"("session_duration":"1h")"},
        {R"("approval_required":false)", R"("approval_required":true)"},
        {R"("isolation_required":null)", R"("isolation_required":true)"},
        {R"("allowed_authenticators":[])", R"("allowed_authenticators":["totp"])"},
    };
    for (const auto& [from, to] : changes) {
        CAPTURE(to);
        auto changed = fresh;
        REQUIRE(changed.find(from) != std::string::npos);
        changed.replace(changed.find(from), from.size(), to);
        CHECK(b.listed("[" + changed + "]").policies.front().version != version);
    }
    auto touched = fresh;
    touched.replace(touched.find("2026-02-02"), 10, "2026-03-03");
    CHECK(b.listed("[" + touched + "]").policies.front().version == version);
}

TEST_CASE("an edit echoes everything else, as it was read") {
    bench b;
    auto e = edit_of(b.listed(inlined).policies.front().version);
    e.make_non_identity = true;
    e.add = {"t2", "t3"};
    e.remove = {"t1"};
    b.wire.expect(method::get, at_app).answers(200, ok(fresh));
    b.wire.expect(method::put, at_app)
        .with_body(R"({"name":"staff","decision":"non_identity","precedence":2.0,
          "include":[{"user_risk_score":{"user_risk_score":["low"]}},{"service_token":{"token_id":"t2"}},
                     {"service_token":{"token_id":"t3"}}],
          "exclude":[],"require":[{"geo":{"country_code":"PT"}}],"session_duration":"24h","approval_required":false,
          "isolation_required":null,"mfa_config":{"allowed_authenticators":[]},"from_the_future":{"b":1,"a":[2]}})")
        .answers(200, ok(R"({"id":"pol","name":"staff","decision":"non_identity","precedence":2,
          "include":[{"service_token":{"token_id":"t2"}},{"service_token":{"token_id":"t3"}}]})"));
    auto after = run(b.io, b.api.edit_policy(e));
    REQUIRE(after);
    CHECK(after->decides == domain::decision::non_identity);
    CHECK(after->version != e.version);
    CHECK(b.wire.requests().back().repeatable == net::repeat::once);
}

TEST_CASE("adding a token keeps duplicates and order") {
    bench b;
    auto e = edit_of(b.listed(inlined).policies.front().version);
    e.add = {"t9"};
    b.wire.expect(method::get, at_app).answers(200, ok(fresh));
    b.wire.expect(method::put, at_app)
        .answers(200, ok(R"({"id":"pol","decision":"allow","include":[{"service_token":{"token_id":"t9"}}]})"));
    CHECK(run(b.io, b.api.edit_policy(e)));
    auto sent = boost::json::parse(b.wire.requests().back().body);
    CHECK(
        boost::json::serialize(sent.at("include")) ==
        R"([{"service_token":{"token_id":"t1"}},{"user_risk_score":{"user_risk_score":["low"]}},)"
        R"({"service_token":{"token_id":"t1"}},{"service_token":{"token_id":"t2"}},{"service_token":{"token_id":"t9"}}])");
}

TEST_CASE("a token that stands in it twice is left once, also where it is the only one") {
    bench b;
    const std::string twice = R"({"id":"pol","decision":"non_identity","include":[{"service_token":{"token_id":"t1"}},
      {"service_token":{"token_id":"t1"}}]})";
    const std::string once =
        R"({"id":"pol","decision":"non_identity","include":[{"service_token":{"token_id":"t1"}}]})";
    auto e = edit_of(b.listed("[" + twice + "]").policies.front().version);
    e.add = {"t1"};
    e.remove = {"t1"};
    b.wire.expect(method::get, at_app).answers(200, ok(twice));
    SUBCASE("and the answer shows it") {
        b.wire.expect(method::put, at_app)
            .with_body(R"({"decision":"non_identity","include":[{"service_token":{"token_id":"t1"}}]})")
            .answers(200, ok(once));
        CHECK(run(b.io, b.api.edit_policy(e)));
    }
    SUBCASE("and the answer does not show it") {
        b.wire.expect(method::put, at_app).answers(200, ok(twice));
        CHECK(run(b.io, b.api.edit_policy(e)).error().kind == error_kind::ambiguous);
    }
}

TEST_CASE("an edit stops where the world moved") {
    bench b;
    auto e = edit_of(b.listed(inlined).policies.front().version);
    e.add = {"t9"};
    SUBCASE("changed") {
        auto changed = fresh;
        changed.replace(changed.find("staff"), 5, "stuff");
        b.wire.expect(method::get, at_app).answers(200, ok(changed));
        CHECK(run(b.io, b.api.edit_policy(e)).error().kind == error_kind::conflict);
    }
    SUBCASE("gone") {
        b.wire.expect(method::get, at_app)
            .answers(404, R"({"success":false,"errors":[{"code":12135,"message":"not_found"}]})");
        CHECK(run(b.io, b.api.edit_policy(e)).error().kind == error_kind::conflict);
    }
    SUBCASE("made reusable") {
        auto changed = fresh;
        changed.replace(changed.find(R"("reusable":false)"), 16, R"("reusable":true)");
        b.wire.expect(method::get, at_app).answers(200, ok(changed));
        CHECK(run(b.io, b.api.edit_policy(e)).error().kind == error_kind::conflict);
    }
    SUBCASE("the answer does not show the change") {
        b.wire.expect(method::get, at_app).answers(200, ok(fresh));
        b.wire.expect(method::put, at_app).answers(200, ok(fresh));
        CHECK(run(b.io, b.api.edit_policy(e)).error().kind == error_kind::ambiguous);
    }
    SUBCASE("the reply is lost") {
        b.wire.expect(method::get, at_app).answers(200, ok(fresh));
        b.wire.expect(method::put, at_app).answers(504, "");
        CHECK(run(b.io, b.api.edit_policy(e)).error().kind == error_kind::ambiguous);
    }
    SUBCASE("nobody would be left") {
        e.add = {};
        e.remove = {"t1"};
        const std::string lone =
            R"({"id":"pol","name":"staff","decision":"allow","include":[{"service_token":{"token_id":"t1"}}]})";
        e.version = b.listed("[" + lone + "]").policies.front().version;
        b.wire.expect(method::get, at_app).answers(200, ok(lone));
        auto refused = run(b.io, b.api.edit_policy(e));
        REQUIRE_FALSE(refused);
        CHECK(refused.error().kind == error_kind::refused);
        CHECK(refused.error().message().find("policy \"staff\" (pol)") != std::string::npos);
        CHECK(refused.error().message().find("delete it by hand") != std::string::npos);
    }
    SUBCASE("already so: nothing is written") {
        e.add = {"t1"};
        b.wire.expect(method::get, at_app).answers(200, ok(fresh));
        CHECK(run(b.io, b.api.edit_policy(e)));
    }
}

TEST_CASE("a reusable policy is edited at its own endpoint, whatever precedence its link has") {
    bench b;
    const std::string inline_form = R"([{"id":"pol","name":"x","decision":"allow","precedence":7,"reusable":true,
      "include":[{"service_token":{"token_id":"t1"}}]}])";
    auto policy = b.listed(inline_form).policies.front();
    CHECK(policy.precedence == 7);
    auto e = edit_of(policy.version);
    e.reusable = true;
    e.make_non_identity = true;
    b.wire.expect(method::get, at_account)
        .answers(200, ok(R"({"id":"pol","name":"x","decision":"allow","reusable":true,"app_count":3,
          "include":[{"service_token":{"token_id":"t1"}}],"exclude":[],"require":[]})"));
    b.wire.expect(method::put, at_account)
        .with_body(R"({"name":"x","decision":"non_identity","include":[{"service_token":{"token_id":"t1"}}],
          "exclude":[],"require":[]})")
        .answers(200, ok(R"({"id":"pol","name":"x","decision":"non_identity","reusable":true,
          "include":[{"service_token":{"token_id":"t1"}}]})"));
    auto after = run(b.io, b.api.edit_policy(e));
    REQUIRE(after);
    CHECK(after->reusable);
}

TEST_CASE("creating and deleting a policy of our own") {
    bench b;
    auto collection = account + "/access/apps/app/policies";
    b.wire.expect(method::post, collection)
        .with_body(R"({"name":"svc [service token]","decision":"non_identity","precedence":4,
          "include":[{"service_token":{"token_id":"t1"}},{"service_token":{"token_id":"t2"}}]
})")
        .answers(201, ok(R"({"id":"pol","name":"svc [service token]","decision":"non_identity","precedence":4,
          "include":[{"service_token":{"token_id":"t1"}},{"service_token":{"token_id":"t2"}}]
})"));
    std::vector<std::string> both{"t1", "t2"};
    auto made = run(b.io, b.api.create_policy("app", "svc [service token]", both, 4));
    REQUIRE(made);
    CHECK(made->id == "pol");
    CHECK_FALSE(made->reusable);
    CHECK(b.wire.requests().back().repeatable == net::repeat::once);

    const std::string ours = R"({"id":"pol","name":"svc [service token]", "decision" : "non_identity",
                  "precedence" : 4,
                  "include" : [ {"service_token" : {"token_id" : "t2"}}, {"service_token" : {"token_id" : "t1"}} ]
})";
    b.wire.expect(method::get, at_app).answers(200, ok(ours));
    b.wire.expect(method::delete_, at_app).answers(202, ok(R"({"id":"pol"})"));
    CHECK(run(b.io, b.api.delete_policy("app", "pol", made->version)));

    b.wire.expect(method::get, at_app).answers(200, ok(ours));
    CHECK(run(b.io, b.api.delete_policy("app", "pol", "another version")).error().kind == error_kind::conflict);
    b.wire.expect(method::get, at_app)
        .answers(404, R"({"success":false,"errors":[{"code":11021,"message":"unknown_application"}]})");
    CHECK(run(b.io, b.api.delete_policy("app", "pol", made->version)));
}

TEST_CASE("a deletion that is refused in passing is not asked for again once its comparison is old") {
    bench b;
    testing::settable_clock time;
    time.jump_over_sleeps();
    provider::cloudflare api{b.wire, "https://api.cloudflare.com/client/v4", "acc", secret{"key"}, &time};
    const auto version = b.listed(inlined).policies.front().version;
    const auto began = time.now();
    b.wire.expect(method::get, at_app).answers(200, ok(fresh));
    for (int i = 0; i < 2; ++i)
        b.wire.expect(method::delete_, at_app)
            .answers(403, R"({"success":false,"errors":[{"code":10000,"message":"Authentication error"}]})");
    const auto got = run(b.io, api.delete_policy("app", "pol", version));
    REQUIRE(got.has_error());
    CHECK(got.error().kind == error_kind::credential);
    CHECK(time.now() == began + std::chrono::seconds{2});
    CHECK(b.wire.requests().back().start_by == began + net::compared_lately);
}

TEST_CASE("groups") {
    bench b;
    b.wire.expect(method::get, account + "/access/groups" + first_page)
        .answers(200, R"({"success":true,"result_info":{"total_count":1},"result":[
          {"id":"g","name":"machines","include":[{"service_token":{"token_id":"t"}}],"require":[{"everyone":{}}]}]})");
    auto list = run(b.io, b.api.list_groups());
    REQUIRE(list);
    CHECK(list->front().name == "machines");
    CHECK(list->front().include.front().id == "t");
    CHECK(list->front().require.size() == 1);
}

} // namespace cloudflare_policy_test
