#include "domain/application.hpp"
#include "domain/next.hpp"
#include "domain/reason.hpp"

#include <doctest/doctest.h>

#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

using namespace postern::domain;

namespace {

live_application guarding(std::string id, std::vector<std::string> destinations, std::string type = "self_hosted") {
    live_application app;
    app.id = std::move(id);
    app.name = "name of " + app.id;
    app.type = std::move(type);
    app.destinations = std::move(destinations);
    return app;
}

std::string found(const application_index& index, application_ref ref, const std::vector<std::string>& account = {},
                  const std::vector<std::string>& only = {}) {
    const auto came = index.resolve(ref, allowed_hosts{account}, allowed_hosts{only});
    if (const auto* bad = std::get_if<problem>(&came))
        return std::string{bad->reason};
    return std::get<const live_application*>(came)->id;
}

std::string answers(const application_index& index, std::string_view host, std::string_view path) {
    const auto* app = index.answering(host, path);
    return app == nullptr ? "nobody" : app->id;
}

} // namespace

TEST_CASE("an application is found by what a document calls it, and two of one name are none") {
    using kind = application_ref::kind;
    account_view account;
    account.applications = {guarding("a", {"one.raxx.app", "one.raxx.app/API"}), guarding("b", {"two.raxx.app"}),
                            guarding("c", {"two.raxx.app"}), guarding("d", {"link.raxx.app"}, "bookmark"),
                            guarding("e", {"link.raxx.app", "link.raxx.app"})};
    account.applications[2].name = account.applications[0].name;
    const application_index index{account};

    CHECK(found(index, {kind::id, "b"}) == "b");
    CHECK(found(index, {kind::id, "B"}) == reason::application_not_found);
    CHECK(found(index, {kind::name, "name of b"}) == "b");
    CHECK(found(index, {kind::name, "name of a"}) == reason::application_ambiguous);
    CHECK(found(index, {kind::domain, "ONE.raxx.app"}) == "a");
    CHECK(found(index, {kind::domain, "one.raxx.app/api"}) == "a");
    CHECK(found(index, {kind::domain, "two.raxx.app"}) == reason::application_ambiguous);
    CHECK(found(index, {kind::domain, "three.raxx.app"}) == reason::application_not_found);
    // What no service token can pass gives way to what one can, and is refused alone.
    CHECK(found(index, {kind::domain, "link.raxx.app"}) == "e");
    CHECK(found(index, {kind::id, "d"}) == reason::application_unsuitable);

    REQUIRE(index.with_id("c").size() == 1);
    CHECK(index.with_id("c").front() == &account.applications[2]);
    CHECK(index.with_id("z").empty());
}

TEST_CASE("hosts are allowed by name, by glob, or all where there is no list; both lists count") {
    const allowed_hosts all{{}};
    CHECK(all.contains("any.raxx.app"));
    const allowed_hosts named{{"One.raxx.app"}};
    CHECK(named.contains("one.RAXX.app"));
    CHECK_FALSE(named.contains("two.raxx.app"));
    const allowed_hosts globs{{"console*.raxx.app"}};
    CHECK(globs.contains("console-staging.raxx.app"));
    CHECK_FALSE(globs.contains("one.raxx.app"));
    const allowed_hosts both{{"console*.raxx.app", "one.raxx.app"}};
    CHECK(both.contains("console.raxx.app"));
    CHECK(both.contains("one.raxx.app"));
    CHECK_FALSE(both.contains("two.raxx.app"));

    account_view account;
    account.applications = {guarding("a", {"one.raxx.app", "two.raxx.app/path"})};
    const application_index index{account};
    const application_ref ref{application_ref::kind::id, "a"};
    CHECK(found(index, ref, {"one.raxx.app", "two.raxx.app"}, {"*.raxx.app"}) == "a");
    CHECK(found(index, ref, {"one.raxx.app"}) == reason::not_allowed);
    CHECK(found(index, ref, {}, {"one.raxx.app"}) == reason::not_allowed);
}

TEST_CASE("the longest path answers for an address, then the exact host, then who is listed first") {
    const std::vector<live_application> all{
        guarding("wild", {"*.raxx.app"}),        guarding("exact", {"one.raxx.app"}),
        guarding("twin", {"one.raxx.app"}),      guarding("wild-deep", {"*.raxx.app/deep/er"}),
        guarding("deep", {"one.raxx.app/deep"}), guarding("link", {"one.raxx.app/deep/link"}, "bookmark")};
    const auto check = [](std::vector<live_application> listed, const std::string& first) {
        account_view account;
        account.applications = std::move(listed);
        const application_index index{account};
        CHECK(answers(index, "ONE.raxx.app", "/health") == first);
        CHECK(answers(index, "two.raxx.app", "/health") == "wild");
        CHECK(answers(index, "one.raxx.app", "/deep") == "deep");
        CHECK(answers(index, "one.raxx.app", "/deeper") == first);
        CHECK(answers(index, "one.raxx.app", "/deep/link") == "deep");
        CHECK(answers(index, "one.raxx.app", "/deep/er/health") == "wild-deep");
        CHECK(answers(index, "raxx.com", "/") == "nobody");
    };
    check(all, "exact");
    check({all.rbegin(), all.rend()}, "twin");
}

TEST_CASE("a document is one token's by its name or by what it binds") {
    desired wanted;
    wanted.tokens.resize(2);
    wanted.tokens[0].name = "probe";
    wanted.tokens[1].name = "other";
    wanted.bindings.resize(2);
    wanted.bindings[0].name = "both";
    wanted.bindings[0].tokens = {"other", "probe"};
    wanted.bindings[1].name = "theirs";
    wanted.bindings[1].tokens = {"other"};
    wanted.heroku_bindings.resize(2);
    wanted.heroku_bindings[0].name = "app";
    wanted.heroku_bindings[0].token = "probe";
    wanted.heroku_bindings[1].name = "app-of-theirs";
    wanted.heroku_bindings[1].token = "other";
    CHECK(documents_of(wanted, "probe") ==
          std::set<std::string>{"AccessBinding/both", "HerokuBinding/app", "ServiceToken/probe"});
}
