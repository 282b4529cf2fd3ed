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

namespace application_test {

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

TEST_CASE("credentials are proved on an application's own hosts, or on those that fill its wildcards") {
    const auto proved = [](std::vector<std::string> destinations, std::vector<std::string> hosts,
                           std::vector<std::string> open = {}) {
        account_view account;
        account.applications = {guarding("a", std::move(destinations))};
        account.applications[0].open_paths = std::move(open);
        const application_index index{account};
        smoke_test smoke;
        smoke.hosts = std::move(hosts);
        const auto came = index.sites(smoke, account.applications[0]);
        if (const auto* bad = std::get_if<problem>(&came))
            return std::string{bad->reason};
        std::string out;
        for (const auto& s : std::get<std::vector<site>>(came))
            out += (out.empty() ? "" : " ") + s.host + s.path;
        return out;
    };
    CHECK(proved({"One.raxx.app", "*.two.raxx.app"}, {}) == "one.raxx.app/health");
    CHECK(proved({"*.raxx.app"}, {}) == reason::host_unknown);
    CHECK(proved({}, {"one.raxx.app"}) == reason::host_unknown);
    CHECK(proved({"*.raxx.app"}, {"B.raxx.app", "a.raxx.app", "a.raxx.app", "raxx.com"}) ==
          "a.raxx.app/health b.raxx.app/health");
    // Named hosts narrow: the others are not asked.
    CHECK(proved({"one.raxx.app", "two.raxx.app"}, {"two.raxx.app"}) == "two.raxx.app/health");
    // Below the path that the application guards, however that is written.
    for (const auto* path : {"one.raxx.app/api", "one.raxx.app/api/", "one.raxx.app/api*", "one.raxx.app/api/*"})
        CHECK(proved({path}, {}) == "one.raxx.app/api/health");
    CHECK(proved({"one.raxx.app"}, {}, {"/public/*", "/health"}) == reason::path_open);
    CHECK(proved({"one.raxx.app"}, {}, {"/public/*"}) == "one.raxx.app/health");

    account_view nothing;
    const auto none = application_index{nothing}.resolve({application_ref::kind::name, "Console"}, allowed_hosts{{}},
                                                         allowed_hosts{{}});
    REQUIRE(std::holds_alternative<problem>(none));
    CHECK(std::get<problem>(none).message.find("does the API token have \"Access: Apps and Policies\"?") !=
          std::string::npos);
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

} // namespace application_test
