#include "reconcile/miniature.hpp"
#include "run/own_keys.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <set>

namespace connections_test {

// Connections follow their documents, and the keys behind them tell when they end.

using namespace postern;
using namespace postern::testing;
using namespace std::chrono_literals;
namespace asio = boost::asio;

namespace {

// Reads the world over documents that a test edits in between, in one process.
struct following {
    miniature m;
    domain::desired wanted = documents(console_documents());
    std::set<std::string> origins; // of the last reading
    int logins = 0;

    following() {
        m.on_the_way = [this](const net::request& r) -> std::optional<error> {
            origins.insert(r.origin);
            logins += r.login ? 1 : 0;
            return std::nullopt;
        };
    }

    asio::awaitable<void> read(miniature::hands h) {
        origins.clear();
        logins = 0;
        auto reading = h.reader.gather(std::move(h.world));
        h.world = co_await std::move(reading);
    }
};

asio::awaitable<void> move_all(following* f, miniature::hands h) {
    auto first = f->read(h);
    co_await std::move(first);
    CHECK(f->origins ==
          std::set<std::string>{"http://127.0.0.1:1001", "http://127.0.0.1:1002", "http://127.0.0.1:1003"});
    CHECK(f->logins == 1);
    const auto* vault = h.around.remotes.vault("infisical");
    const auto* heroku = h.around.remotes.heroku("heroku");

    // Unchanged documents keep their connections, and with them their logins; keys are read anew.
    f->m.environment["HEROKU_API_KEY"] = "HRKU-another";
    auto second = f->read(h);
    co_await std::move(second);
    CHECK(f->logins == 0);
    CHECK(h.around.remotes.vault("infisical") == vault);
    CHECK(h.around.remotes.heroku("heroku") == heroku);
    REQUIRE(h.world.heroku["heroku"].failure);
    CHECK(h.world.heroku["heroku"].failure->kind == error_kind::credential);
    f->m.environment["HEROKU_API_KEY"] = f->m.cloud.example.heroku_key;

    f->wanted.vaults[0].url = "http://localhost:1002";
    f->wanted.cloudflare[0].api_url = "http://localhost:1001/client/v4";
    f->wanted.heroku[0].api_url = "http://localhost:1003";
    auto third = f->read(h);
    co_await std::move(third);
    CHECK(f->origins ==
          std::set<std::string>{"http://localhost:1001", "http://localhost:1002", "http://localhost:1003"});
    CHECK(f->logins == 1);
    CHECK(h.world.vaults["infisical"].seen);
    CHECK(h.world.heroku["heroku"].seen);
    CHECK(h.world.accounts["raxx"].seen);
}

asio::awaitable<void> change_environment(following* f, miniature::hands h) {
    auto first = f->read(h);
    co_await std::move(first);
    REQUIRE(h.world.vaults["infisical"].seen);
    h.world.awaiting_approval.insert({"infisical", "/MooseQuest/cloudflare"});
    const auto candidate = h.around.ring.of("infisical").id;
    auto again = f->read(h);
    co_await std::move(again);
    CHECK(h.world.awaiting_approval.size() == 1);
    CHECK(h.around.ring.of("infisical").id == candidate);
    testcloud::fault down;
    down.to = testcloud::service::infisical;
    down.what = testcloud::fault_action::reset;
    down.times = 0;
    f->m.cloud.trouble.add(down);
    auto unread = f->read(h);
    co_await std::move(unread);
    CHECK(h.world.vaults["infisical"].failure);
    CHECK(h.world.awaiting_approval.size() == 1);
    f->m.cloud.trouble.clear();

    f->wanted.vaults[0].environment = "dev";
    auto second = f->read(h);
    co_await std::move(second);
    CHECK(h.around.ring.of("infisical").id != candidate);
    CHECK(h.world.awaiting_approval.empty());
    // The Cloudflare key comes from there, and the other environment does not have it.
    CHECK(h.world.accounts["raxx"].failure);
}

asio::awaitable<void> leave(following* f, miniature::hands h) {
    auto first = f->read(h);
    co_await std::move(first);
    CHECK(h.around.remotes.heroku("heroku") != nullptr);
    f->wanted.heroku.clear();
    f->wanted.heroku_bindings.clear();
    auto second = f->read(h);
    co_await std::move(second);
    CHECK(h.around.remotes.heroku("heroku") == nullptr);
    CHECK(!h.around.remotes.budgets().contains("HerokuAccount/heroku"));
    CHECK(h.around.remotes.vault("infisical") != nullptr);
    f->wanted.cloudflare[0].name = "renamed";
    auto third = f->read(h);
    co_await std::move(third);
    CHECK(h.around.remotes.cloudflare("raxx") == nullptr);
    CHECK(h.around.remotes.cloudflare("renamed") != nullptr);
}

} // namespace

TEST_CASE("a document that says another place leads to another connection, all others stay") {
    following f;
    f.m.in_process(f.wanted, [&](miniature::hands h) { return move_all(&f, h); });
}

TEST_CASE("another environment is another vault: nothing that was learnt of the old one is believed of it") {
    following f;
    f.m.in_process(f.wanted, [&](miniature::hands h) { return change_environment(&f, h); });
}

TEST_CASE("a document that left takes its connection with it") {
    following f;
    f.m.in_process(f.wanted, [&](miniature::hands h) { return leave(&f, h); });
}

namespace {

asio::awaitable<void> look(following* f, miniature::hands h, std::vector<run::key_expiry>* out, bool opened) {
    if (opened) {
        auto reading = f->read(h);
        co_await std::move(reading);
    }
    f->m.requests();
    auto looking = run::look_at_own_keys(h.around);
    *out = co_await std::move(looking);
}

} // namespace

TEST_CASE("the key of a Cloudflare account tells when it ends; the others have no date, which is no failure") {
    following f;
    std::vector<run::key_expiry> keys;
    auto ask = [&](bool opened) {
        f.m.in_process(f.wanted, [&](miniature::hands h) { return look(&f, h, &keys, opened); });
        REQUIRE(keys.size() == 3);
        CHECK(keys[0].resource == "CloudflareAccount/raxx");
        CHECK(keys[1].resource == "InfisicalVault/infisical");
        CHECK(keys[2].resource == "HerokuAccount/heroku");
        for (std::size_t i : {1U, 2U}) {
            CHECK(!keys[i].expires_at);
            CHECK(!keys[i].failure);
        }
    };
    auto& token = f.m.cloud.access.api_tokens.front();
    SUBCASE("a date, of a user's token and of an account's") {
        const auto end = std::chrono::floor<std::chrono::seconds>(f.m.clock.now()) + 20 * 24h;
        token.expires_on = end;
        for (bool owned : {false, true}) {
            token.account_owned = owned;
            ask(true);
            CHECK(keys[0].expires_at == instant{end});
            CHECK(!keys[0].failure);
            CHECK(f.m.requests().size() <= 2);
        }
        const auto told = run::own_key_conditions(keys, f.m.clock.now());
        REQUIRE(told.size() == 1);
        CHECK(told[0].resource == "CloudflareAccount/raxx");
        CHECK(told[0].heft == domain::weight::told);
    }
    SUBCASE("none") {
        ask(true);
        CHECK(!keys[0].expires_at);
        CHECK(!keys[0].failure);
    }
    SUBCASE("nothing was opened yet") {
        ask(false);
        CHECK(!keys[0].expires_at);
        CHECK(!keys[0].failure);
        CHECK(f.m.requests().empty());
    }
    SUBCASE("the remote is down") {
        testcloud::fault down;
        down.what = testcloud::fault_action::answer;
        down.to = testcloud::service::cloudflare;
        down.path = "tokens/verify";
        down.status = 503;
        down.times = 0;
        f.m.cloud.trouble.add(down);
        ask(true);
        CHECK(!keys[0].expires_at);
        REQUIRE(keys[0].failure);
        CHECK(keys[0].failure->kind == error_kind::unavailable);
    }
}

TEST_CASE("a key that ends is told a month before, and asks for a person a week before") {
    const auto end = *parse_instant("2027-03-01T00:00:00Z");
    const std::vector<run::key_expiry> keys{{"CloudflareAccount/raxx", end, {}}, {"HerokuAccount/heroku", {}, {}}};
    auto at = [&](duration before) { return run::own_key_conditions(keys, end - before); };
    CHECK(at(30 * 24h + 1s).empty());
    for (auto [before, heft, word] : {std::tuple{duration{30 * 24h}, domain::weight::told, "ends 2027-03-01T00:00:00Z"},
                                      {duration{7 * 24h + 1s}, domain::weight::told, "ends"},
                                      {duration{7 * 24h}, domain::weight::blocked, "ends"},
                                      {duration{0}, domain::weight::blocked, "ended"},
                                      {duration{-24h}, domain::weight::blocked, "ended 2027-03-01T00:00:00Z"}}) {
        const auto told = at(before);
        REQUIRE(told.size() == 1);
        CHECK(told[0].resource == "CloudflareAccount/raxx");
        CHECK(told[0].type == "AccessExpiring");
        CHECK(told[0].reason == "AccessExpiring");
        CHECK(told[0].is == domain::status::true_);
        CHECK(told[0].heft == heft);
        CHECK_MESSAGE(told[0].message.find(word) != std::string::npos, told[0].message);
    }
}

} // namespace connections_test
