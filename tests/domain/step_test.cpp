#include "domain/step.hpp"

#include <doctest/doctest.h>

namespace step_test {

using namespace postern::domain;

TEST_CASE("a step tells the journal what it found and what it left") {
    auto told = [](action what, const outcome& came = {}) {
        return fingerprints({"r", "t", "R", "", {"l"}, std::move(what)}, came);
    };
    using both = std::pair<std::string, std::string>;
    outcome made;
    made.fingerprint = "new";
    live_policy p;
    p.version = "v2";
    made.policy = p;
    steps::write_credential write{"v", "/p", "K", "f2", "f1", "c"};
    steps::edit_policy edit;
    edit.version = "v1";
    CHECK(told(steps::mint{}, made) == both{"", "new"});
    CHECK(told(steps::rotate{}, made) == both{"", "new"});
    CHECK(told(steps::hold{"v", "/s", "t", "n", "f", "c"}) == both{"", "f"});
    CHECK(told(write) == both{"f1", "f2"});
    CHECK(told(steps::deliver{"h", "b", "a", "V", "", "", "f2", "c", "f1"}) == both{"f1", "f2"});
    CHECK(told(steps::deliver{"h", "b", "a", "V", "", "", "", "", "f1"}) == both{"f1", ""});
    CHECK(told(steps::delete_key{"v", "/s", "t.n", "f"}) == both{"f", ""});
    CHECK(told(edit, made) == both{"v1", "v2"});
    CHECK(told(steps::create_policy{}, made) == both{"", "v2"});
    CHECK(told(steps::create_policy{}) == both{}); // an answer without the policy
    CHECK(told(steps::delete_policy{"a", "app", "p", "v1"}) == both{"v1", ""});
    CHECK(told(steps::look_token{}) == both{});
    CHECK(told(steps::write_record{}) == both{});
    outcome failed;
    failed.failure = postern::error{postern::error_kind::ambiguous, "x", "lost", 0, {}, {}};
    CHECK(told(write, failed) == both{"f1", ""});
    outcome unapproved;
    unapproved.awaiting_approval = true;
    CHECK(told(write, unapproved) == both{"f1", "f1"});
}

} // namespace step_test
