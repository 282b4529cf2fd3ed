#include "cli/options.hpp"
#include "cli/outcome.hpp"
#include "cli/print.hpp"

#include <boost/json.hpp>
#include <doctest/doctest.h>

namespace print_test {

using namespace postern;
using namespace postern::domain;
namespace steps = postern::domain::steps;
namespace json = boost::json;

namespace {

step step_of(std::string resource, std::string target, std::string lock, action what) {
    return {std::move(resource),     std::move(target), "TokenMissing",
            "there is no token yet", {std::move(lock)}, std::move(what)};
}

std::vector<step> some_steps() {
    const std::string token = "ServiceToken/probe";
    std::vector<step> out;
    steps::write_record intend{"v", "/MooseQuest/postern", "probe", {}, false, "intend"};
    steps::write_record confirm{"v", "/MooseQuest/postern", "probe", {}, true, "confirm"};
    steps::edit_policy edit;
    edit.policy = "p";
    edit.add = {"t"};
    edit.shared_by = 3;
    out.push_back(step_of(token, "record in /MooseQuest/postern", "record:probe", intend));
    out.push_back(step_of(token, "service token \"probe\"", "token:probe",
                          steps::mint{"raxx", "probe", "n", "probe (pending n)", "8760h"}));
    out.push_back(step_of("AccessBinding/probe", "policy \"x\" on Console\x1b[31m", "policy:probe/app", edit));
    out.push_back(step_of(token, "service token 1", "token:probe", steps::update_token{"raxx", "1", "probe", {}, {}}));
    out.push_back(step_of(token, "record in /MooseQuest/postern", "record:probe", confirm));
    out.push_back(step_of("ServiceToken/old", "service token 2", "token:old", steps::delete_token{"raxx", "2"}));
    return out;
}

desired some_documents() {
    desired wanted;
    service_token token;
    token.name = "probe";
    token.key = "CF_ACCESS_SVC_CONSOLE";
    token.cadence_key = "cf_access_service_token";
    token.duration_text = "8760h";
    wanted.tokens.push_back(token);
    return wanted;
}

std::vector<condition> some_conditions() {
    return {
        {"AccessBinding/probe", "Bound", status::true_, "AsDeclared", "fine", weight::fine},
        {"ServiceToken/a", "Provisioned", status::false_, "AuthorizationMissing", "say \"I authorize A\"",
         weight::blocked},
        {"ServiceToken/b", "Verified", status::unknown, "Propagating", "not yet\n", weight::waiting},
        {"CloudflareAccount/raxx", "Ready", status::false_, "Unavailable", "503", weight::failed},
        {"ServiceToken/c", "Ready", status::unknown, "LeftGit", "its document left git", weight::told},
        {"ServiceToken/d", "RotationDue", status::false_, "Scheduled", "to be rotated from 2027", weight::fine},
        {"ServiceToken/e", "RotationDue", status::false_, "Overlapping", "the one before until 2026", weight::fine}};
}

} // namespace

TEST_CASE("a note that stands for nothing else tells in words what it notes, and once") {
    steps::write_record note{"v", "/MooseQuest/postern", "probe", {}, true, "record"};
    auto first = step_of("ServiceToken/probe", "record in /MooseQuest/postern", "record:probe", note);
    first.words = "what was done so far is noted";
    CHECK(cli::steps_text({first, first}, false) ==
          "ServiceToken/probe\n"
          "  ~   record         what was done so far is noted  # notes in /MooseQuest/postern\n\n");
}

TEST_CASE("a plan in Terraform's grammar") {
    CHECK(cli::plan_text(some_steps(), some_conditions(), some_documents(), false) ==
          R"(ServiceToken/probe
  +   mint           service token "probe"  # TokenMissing: there is no token yet
  ~   rename         service token 1  # TokenMissing: there is no token yet
  +   record         intend, confirm  # notes in /MooseQuest/postern

AccessBinding/probe
  ~   bind           policy "x" on Console\x1b[31m  # TokenMissing: there is no token yet

ServiceToken/old
  -   delete-token   service token 2  # TokenMissing: there is no token yet

Plan: 2 to create, 1 to change, 0 to replace, 1 to delete.

New credentials to enter in the cadence table, if they are not in it yet:
  CF_ACCESS_SVC_CONSOLE: cf_access_service_token

Failed:
  CloudflareAccount/raxx Ready=False Unavailable: 503

Needs a person:
  ServiceToken/a Provisioned=False AuthorizationMissing: say "I authorize A"

Waiting:
  ServiceToken/b Verified=Unknown Propagating: not yet\x0a

Worth knowing:
  ServiceToken/c Ready=Unknown LeftGit: its document left git

Scheduled:
  d: to be rotated from 2027
  e: the one before until 2026
)");
}

TEST_CASE("colours come and go as one") {
    auto coloured = cli::plan_text(some_steps(), some_conditions(), some_documents(), true);
    CHECK(coloured.find("\x1b[32m+") != std::string::npos);
    CHECK(cli::plan_text(some_steps(), {}, some_documents(), false).find('\x1b') == std::string::npos);
    CHECK(cli::plan_text({}, {}, {}, false).starts_with("No changes"));
}

TEST_CASE("the JSON document has the fields that are promised, and names are escaped in it") {
    auto text = cli::document(some_steps(), some_conditions(), some_documents());
    auto parsed = json::parse(text);
    const auto& all = parsed.at("steps").as_array();
    REQUIRE(all.size() == 6);
    for (const auto& s : all) {
        const auto& o = s.as_object();
        for (auto field : {"action", "resource", "target", "reason"})
            CHECK_MESSAGE(o.at(field).is_string(), field);
        CHECK(o.at("details").is_object());
        CHECK(o.size() == 5);
    }
    CHECK(all[1].at("action") == "mint");
    CHECK(all[1].at("details").at("cadenceKey") == "cf_access_service_token");
    CHECK(all[2].at("target") == "policy \"x\" on Console\\x1b[31m");
    CHECK(all[2].at("details").at("sharedBy") == 3);
    const auto& conditions = parsed.at("conditions").as_array();
    REQUIRE(conditions.size() == 7);
    CHECK(json::serialize(conditions[1]) ==
          R"({"resource":"ServiceToken/a","type":"Provisioned","status":"False","reason":"AuthorizationMissing",)"
          R"("message":"say \"I authorize A\""})");
    CHECK(json::parse(cli::document({}, {}, {})) == json::parse(R"({"steps":[],"conditions":[]})"));
}

TEST_CASE("an object that is made and deleted is replaced, one that takes many steps is counted once") {
    std::vector<step> steps{
        step_of("r", "t", "token:a", steps::mint{}), step_of("r", "t", "token:a", steps::delete_token{}),
        step_of("r", "t", "key:b", steps::delete_key{}), step_of("r", "t", "token:c", steps::mint{}),
        step_of("r", "t", "token:c", steps::update_token{})};
    CHECK(cli::plan_summary(cli::count(steps)) == "Plan: 1 to create, 0 to change, 1 to replace, 1 to delete.\n");
    CHECK(cli::apply_summary(cli::count(steps)) == "Applied: 1 created, 0 changed, 1 replaced, 1 deleted.\n");
}

TEST_CASE("exit codes: 1 beats 3, what waits in the end is 1, what is told is nothing") {
    auto report = [](std::vector<weight> of) {
        run::pass_report r;
        for (auto w : of)
            r.last.conditions.push_back({"r", "Ready", status::false_, "x", "y", w});
        return cli::exit_code(r);
    };
    CHECK(report({}) == 0);
    CHECK(report({weight::fine, weight::told}) == 0);
    CHECK(report({weight::told, weight::blocked}) == 3);
    CHECK(report({weight::blocked, weight::failed}) == 1);
    CHECK(report({weight::blocked, weight::waiting}) == 1);
    run::pass_report interrupted;
    interrupted.interrupted = true;
    CHECK(cli::exit_code(interrupted) == 1);

    run::plan made;
    CHECK(cli::exit_code(made) == 0);
    made.steps = some_steps();
    CHECK(cli::exit_code(made) == 2);
    made.conditions.push_back({"r", "Ready", status::false_, "x", "y", weight::blocked});
    CHECK(cli::exit_code(made) == 2);
    made.conditions.push_back({"r", "Ready", status::false_, "x", "y", weight::failed});
    CHECK(cli::exit_code(made) == 1);
}

} // namespace print_test
