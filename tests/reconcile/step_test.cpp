#include "reconcile/miniature.hpp"

#include <doctest/doctest.h>

#include <algorithm>

namespace step_test {

// The executor, one step at a time, against a world that moves, refuses and loses things.

using namespace postern;
using namespace postern::testing;
using namespace std::chrono_literals;
namespace asio = boost::asio;
namespace steps = domain::steps;

namespace {

const std::string folder = "/MooseQuest/cloudflare";
const std::string state = "/MooseQuest/postern";
const std::string app = "raxx-console-prod";
const std::string var = "CF_ACCESS_SVC_CONSOLE";

// A process that has read the world and knows two credentials.
struct bench {
    miniature m;
    domain::desired wanted = documents(console_documents());
    std::string one; // fingerprint of a.access:one
    std::string two; // of b.access:two
    std::function<void(domain::observed&)> before = [](domain::observed&) {};
    duration wait = 20min;
    domain::outcome out;

    const domain::outcome& execute(const std::function<domain::action()>& what) {
        m.in_process(wanted, [&](miniature::hands h) { return take(this, h, what); });
        return out;
    }

    void put(const std::string& path, const std::string& key, const std::string& value, bool duplicate = false) {
        m.cloud.vault.put(m.cloud.vault.folder(*m.cloud.vault.environment("prod"), path), key, value, duplicate);
    }
    testcloud::heroku_app& heroku() { return *m.cloud.platform.find(app); }
    steps::deliver deliver(std::string from) const {
        return {"heroku", "console-self-probe", app, var, {}, {}, two, "b.access", std::move(from)};
    }

private:
    static asio::awaitable<void> take(bench* b, miniature::hands h, std::function<domain::action()> what) {
        auto reading = h.reader.gather(std::move(h.world));
        h.world = co_await std::move(reading);
        b->one = h.around.ring.keep("infisical", secret{"a.access:one"});
        b->two = h.around.ring.keep("infisical", secret{"b.access:two"});
        b->before(h.world);
        run::executor hands{h.around, h.world, h.halt};
        hands.give_up_at(b->m.clock.now() + b->wait);
        domain::step s{"ServiceToken/t", "t", "Test", "", {"lock"}, what()};
        auto task = hands.execute(std::move(s));
        b->out = co_await std::move(task);
    }
};

error_kind kind_of(const domain::outcome& out) {
    REQUIRE(out.failure);
    return out.failure->kind;
}

} // namespace

TEST_CASE("hold creates once: the same again is fine, another value is a conflict") {
    bench b;
    b.m.apply(b.wanted);
    auto hold = [&] { return steps::hold{"infisical", state, "t", "n1", b.one, "a.access"}; };
    CHECK(!b.execute(hold).failure);
    CHECK(b.m.vault_value(state, "t.n1") == "a.access:one");
    CHECK(!b.execute(hold).failure);
    b.put(state, "t.n1", "b.access:two");
    CHECK(kind_of(b.execute(hold)) == error_kind::conflict);
    CHECK(b.m.vault_value(state, "t.n1") == "b.access:two");
    CHECK(kind_of(b.execute([&] { return steps::hold{"infisical", state, "t", "n2", "000000000000", "a.access"}; })) ==
          error_kind::bug);
}

TEST_CASE("the consumers' key is only overwritten where it is as it was judged") {
    bench b;
    b.m.apply(b.wanted);
    auto write = [&](std::string before) {
        return b.execute([&] {
            return steps::write_credential{"infisical", folder, "K", b.two, before == "one" ? b.one : before,
                                           "b.access"};
        });
    };
    CHECK(!write("").failure);
    CHECK(b.m.vault_value(folder, "K") == "b.access:two");
    CHECK(!write("whatever").failure); // it is there already: nothing is written
    b.put(folder, "K", "a.access:one");
    CHECK(kind_of(write("")) == error_kind::conflict);
    CHECK(!write("one").failure);
    CHECK(b.m.vault_value(folder, "K") == "b.access:two");
}

TEST_CASE("a write that waits for approval has stored nothing, and says so") {
    bench b;
    b.m.apply(b.wanted);
    b.m.cloud.vault.switches.approval_paths = {folder, state};
    CHECK(b.execute([&] {
               return steps::write_credential{"infisical", folder, "K", b.two, "", "b.access"};
           }).awaiting_approval);
    CHECK(b.execute([&] { return steps::hold{"infisical", state, "t", "n", b.one, "a.access"}; }).awaiting_approval);
    CHECK(b.m.vault_value(folder, "K").empty());
}

TEST_CASE("a hidden value is never compared, copied or deleted") {
    bench b;
    b.m.apply(b.wanted);
    b.put(folder, "K", "a.access:one");
    b.m.cloud.vault.switches.hide_values = true;
    CHECK(
        b.execute([&] { return steps::write_credential{"infisical", folder, "K", b.two, b.one, "b.access"}; }).failure);
    CHECK(b.execute([&] { return steps::delete_key{"infisical", folder, "K", b.one}; }).failure);
    CHECK(b.m.vault_value(folder, "K") == "a.access:one");
}

TEST_CASE("a key is deleted only while it holds what was judged") {
    bench b;
    b.m.apply(b.wanted);
    auto del = [&] { return steps::delete_key{"infisical", folder, "K", b.one}; };
    CHECK(!b.execute(del).failure); // gone already
    b.put(folder, "K", "b.access:two");
    CHECK(kind_of(b.execute(del)) == error_kind::conflict);
    b.put(folder, "K", "a.access:one");
    CHECK(!b.execute(del).failure);
    CHECK(b.m.vault_value(folder, "K").empty());
}

TEST_CASE("two processes that initialise at once find each other") {
    bench b;
    SUBCASE("one after the other") {
        b.before = [&](auto&) { b.put(state, "postern", R"({"v":1,"installation":"x","fingerprintKey":"y"})"); };
        CHECK(kind_of(b.execute([&] { return steps::initialise{"infisical", state}; })) == error_kind::conflict);
    }
    auto in_the_same_instant = [&](std::string text) {
        testcloud::fault twin;
        twin.what = testcloud::fault_action::hook;
        twin.to = testcloud::service::infisical;
        twin.method = "POST";
        twin.path = "/postern";
        twin.after = true;
        twin.act = [&b, text] { b.put(state, "postern", text, true); };
        b.m.cloud.trouble.add(twin);
    };
    SUBCASE("in the same instant, and the other's id is the smaller one") {
        in_the_same_instant(R"({"v":1,"installation":"!","fingerprintKey":"y"})");
        CHECK(kind_of(b.execute([&] { return steps::initialise{"infisical", state}; })) == error_kind::conflict);
        // That process is gone: the next one makes its key the only one.
        CHECK(!b.execute([&] { return steps::initialise{"infisical", state}; }).failure);
        CHECK(b.m.vault_value(state, "postern").find("\"!\"") != std::string::npos);
        CHECK(b.m.folder(state).secrets.count("postern") == 1);
    }
    SUBCASE("in the same instant, and ours is the smaller one") {
        in_the_same_instant(R"({"v":1,"installation":"x","fingerprintKey":"y"})");
        CHECK(!b.execute([&] { return steps::initialise{"infisical", state}; }).failure);
        CHECK(b.m.vault_value(state, "postern").find("\"x\"") == std::string::npos);
        CHECK(b.m.folder(state).secrets.count("postern") == 1);
    }
}

TEST_CASE("a nonce is sent once, and again only where the remote surely did nothing") {
    bench b;
    b.before = [&](domain::observed& world) { world.unsent.insert("n1"); };
    auto mint = [&](std::string nonce) {
        b.execute([&] {
            return steps::mint{"raxx", "console-self-probe", nonce, "console-self-probe (pending n1)", "8760h"};
        });
        return b.out;
    };
    testcloud::fault fault;
    fault.to = testcloud::service::cloudflare;
    fault.method = "POST";
    SUBCASE("well") {
        auto out = mint("n1");
        REQUIRE(out.token);
        CHECK(!out.fingerprint.empty());
        CHECK(b.m.tokens("console-self-probe").size() == 1);
    }
    SUBCASE("not its own") {
        CHECK(kind_of(mint("n2")) == error_kind::conflict);
        CHECK(b.m.tokens("console-self-probe").empty());
    }
    SUBCASE("a lost reply") {
        fault.after = true;
        b.m.cloud.trouble.add(fault);
        CHECK(kind_of(mint("n1")) == error_kind::ambiguous);
        CHECK(b.m.tokens("console-self-probe").size() == 1);
    }
    SUBCASE("refused") {
        fault.what = testcloud::fault_action::answer;
        fault.status = 400;
        fault.body = R"({"success":false,"errors":[{"code":12130,"message":"no"}],"messages":[],"result":null})";
        b.m.cloud.trouble.add(fault);
        CHECK(kind_of(mint("n1")) == error_kind::refused);
    }
}

TEST_CASE("deliver: one PATCH, and only where the app is as it was judged") {
    bench b;
    auto& heroku = b.heroku();
    const auto releases = heroku.releases.size();
    SUBCASE("absent") {
        const auto& out = b.execute([&] { return b.deliver(""); });
        REQUIRE(out.value);
        CHECK(out.value->fingerprint == b.two);
        CHECK(out.value->client_id == "b.access");
        CHECK(b.m.app_value(app, var) == "b.access:two");
        CHECK(b.m.app_value(app, "LOG_LEVEL") == "info");
        CHECK(heroku.releases.size() == releases + 1);
        CHECK(!b.execute([&] { return b.deliver(""); }).failure); // holds it already
        CHECK(heroku.releases.size() == releases + 1);
    }
    SUBCASE("changed since") {
        b.m.cloud.platform.set(heroku, var, "somebody.access:else");
        CHECK(kind_of(b.execute([&] { return b.deliver(""); })) == error_kind::conflict);
        CHECK(b.m.app_value(app, var) == "somebody.access:else");
    }
    SUBCASE("set by somebody, and shown only once its release phase has ended") {
        heroku.phase.present = true;
        heroku.phase.takes = 90s;
        auto set = [&] { b.m.cloud.platform.set(heroku, var, "somebody.access:else"); };
        testcloud::fault meanwhile; // after the step's own look at the variables
        meanwhile.what = testcloud::fault_action::hook;
        meanwhile.method = "GET";
        meanwhile.path = "/apps/" + app + "/config-vars";
        meanwhile.skip = 1; // the look at the world
        meanwhile.after = true;
        std::string_view words = "came to its end only now";
        SUBCASE("before the step") {
            set();
        }
        SUBCASE("before the step, which sees it end") {
            set();
            meanwhile.act = [&] { b.m.clock.advance(2min); };
        }
        SUBCASE("before the step, and hidden by a release of something else") {
            set();
            b.m.cloud.platform.set(heroku, "LOG_LEVEL", "debug");
        }
        SUBCASE("between its comparison and its change") {
            meanwhile.act = set;
            words = "was released while";
        }
        if (meanwhile.act)
            b.m.cloud.trouble.add(meanwhile);
        const auto& out = b.execute([&] { return b.deliver(""); });
        CHECK(kind_of(out) == error_kind::conflict);
        CHECK_MESSAGE(out.failure->what.find(words) != std::string::npos, out.failure->what);
        for (const auto& e : b.m.cloud.ledger.requests())
            CHECK(e.method != "PATCH");
    }
    SUBCASE("withdrawn") {
        b.m.cloud.platform.set(heroku, var, "a.access:one");
        const auto& out =
            b.execute([&] { return steps::deliver{"heroku", "console-self-probe", app, var, {}, {}, {}, {}, b.one}; });
        REQUIRE(out.value);
        CHECK(out.value->absent);
        CHECK(!heroku.config.contains(var));
    }
    SUBCASE("a lost reply is not sent again") {
        testcloud::fault lost;
        lost.method = "PATCH";
        lost.after = true;
        b.m.cloud.trouble.add(lost);
        CHECK(kind_of(b.execute([&] { return b.deliver(""); })) == error_kind::ambiguous);
        CHECK(heroku.releases.size() == releases + 1);
    }
    SUBCASE("two variables") {
        b.wanted.heroku_bindings[0].config_var.clear();
        b.wanted.heroku_bindings[0].client_id_var = "ID";
        b.wanted.heroku_bindings[0].client_secret_var = "SECRET";
        const auto& out = b.execute([&] {
            return steps::deliver{"heroku", "console-self-probe", app, {}, "ID", "SECRET", b.two, "b.access", {}};
        });
        REQUIRE(out.value);
        CHECK(out.value->fingerprint == b.two);
        CHECK(b.m.app_value(app, "ID") == "b.access");
        CHECK(b.m.app_value(app, "SECRET") == "two");
    }
}

TEST_CASE("a release that sets a variable of a longer name is nobody's release of ours") {
    bench b;
    auto& heroku = b.heroku();
    auto set_another = [&](std::string status) {
        b.m.cloud.platform.set(heroku, "MY_" + var, "x");
        heroku.releases.back().status = std::move(status);
    };
    SUBCASE("failed, right after ours") {
        testcloud::fault meanwhile;
        meanwhile.what = testcloud::fault_action::hook;
        meanwhile.method = "PATCH";
        meanwhile.after = true;
        meanwhile.act = [&] { set_another("failed"); };
        b.m.cloud.trouble.add(meanwhile);
    }
    SUBCASE("pending, before ours") {
        set_another("pending");
    }
    const auto& out = b.execute([&] { return b.deliver(""); });
    INFO((out.failure ? out.failure->message() : ""));
    REQUIRE(out.value);
    CHECK(out.value->fingerprint == b.two);
}

TEST_CASE("a release phase is waited for, and its failure told") {
    bench b;
    auto& heroku = b.heroku();
    heroku.phase.present = true;
    heroku.phase.takes = 90s;
    SUBCASE("succeeds") {
        const auto& out = b.execute([&] { return b.deliver(""); });
        REQUIRE(out.value);
        CHECK(out.value->fingerprint == b.two);
    }
    SUBCASE("fails") {
        heroku.phase.fails = true;
        const auto& out = b.execute([&] { return b.deliver(""); });
        CHECK(kind_of(out) == error_kind::refused);
        CHECK(out.failure->message().find("still runs with the old value") != std::string::npos);
        CHECK(out.failure->message().find("v" + std::to_string(heroku.releases.back().version)) != std::string::npos);
    }
    SUBCASE("does not end in time, and is waited for again without a second PATCH") {
        b.wait = 20s;
        CHECK(kind_of(b.execute([&] { return b.deliver(""); })) == error_kind::ambiguous);
        const auto releases = heroku.releases.size();
        CHECK(kind_of(b.execute([&] { return b.deliver(""); })) == error_kind::timeout);
        const auto& out = b.execute([&] { return steps::await_release{"heroku", "console-self-probe", app}; });
        CHECK(kind_of(out) == error_kind::timeout);
        b.wait = 20min;
        const auto& ended = b.execute([&] { return steps::await_release{"heroku", "console-self-probe", app}; });
        REQUIRE(ended.value);
        CHECK(ended.value->fingerprint == b.two);
        CHECK(ended.releases->front().status == "succeeded");
        CHECK(heroku.releases.size() == releases);
    }
}

TEST_CASE("prove: a stranger first, then twice in a row; a host that is not guarded never sees the credential") {
    bench b;
    b.m.apply(b.wanted);
    const auto host = b.m.cloud.example.app_host;
    auto held = b.m.vault_value(folder, var);
    std::string print;
    auto prove = [&](std::string fingerprint, int attempts) {
        return steps::prove{
            "console-self-probe", b.m.cloud.example.app_id, host, "/health", std::move(fingerprint), 200, attempts, 5s};
    };
    b.before = [&](domain::observed& world) {
        print = world.vaults.at("infisical")->folders.at(folder)->values.at(var).fingerprint;
    };
    auto visits = [&] {
        const auto& all = b.m.cloud.ledger.requests();
        return std::count_if(all.begin(), all.end(), [](const auto& e) { return e.kind == "visit"; });
    };
    b.m.requests();
    SUBCASE("passes") {
        const auto& out = b.execute([&] { return prove(print, 5); });
        REQUIRE(out.proved);
        CHECK(out.proved->last == domain::verdict::passed);
        CHECK(out.proved->rounds == 0);
        CHECK(visits() == 2);
    }
    SUBCASE("does not pass: told, with a time to come back") {
        const auto start = b.m.clock.now();
        const auto& out = b.execute([&] { return prove(b.one, 3); });
        REQUIRE(out.proved);
        CHECK(out.proved->last != domain::verdict::passed);
        CHECK(out.proved->rounds == 1);
        CHECK(out.proved->again > b.m.clock.now());
        CHECK(b.m.clock.now() - start == 10s);
        CHECK(visits() == 3);
    }
    SUBCASE("not guarded") {
        b.m.cloud.network.hosts[host].outside_access = true;
        const auto& out = b.execute([&] { return prove(print, 3); });
        REQUIRE(out.proved);
        CHECK(out.proved->last == domain::verdict::public_path);
        CHECK(visits() == 0);
    }
    SUBCASE("guarded by an application that we do not mean") {
        b.m.cloud.access.config.apps.at(b.m.cloud.example.app_id).aud = std::string(64, 'a');
        const auto print_of = b.before;
        b.before = [&](domain::observed& world) {
            print_of(world);
            for (auto& each : world.accounts.begin()->second->applications)
                each.aud = std::string(64, 'b');
        };
        const auto& out = b.execute([&] { return prove(print, 3); });
        REQUIRE(out.proved);
        CHECK(out.proved->last == domain::verdict::not_access);
        CHECK(out.proved->detail.find("another application") != std::string::npos);
        CHECK(visits() == 0);
    }
    CHECK(b.m.cloud.ledger.leaks_in(b.out.proved->detail).empty());
}

TEST_CASE("a list that fails fails its part alone") {
    bench b;
    b.m.apply(b.wanted);
    domain::observed seen;
    b.before = [&](domain::observed& world) { seen = world; };
    auto look = [&] { b.execute([] { return steps::look_releases{"heroku", app}; }); };
    auto refuse = [&](testcloud::service to, const std::string& path, int status, const std::string& body) {
        testcloud::fault f;
        f.what = testcloud::fault_action::answer;
        f.to = to;
        f.path = path;
        f.times = 0;
        f.status = status;
        f.body = body;
        b.m.cloud.trouble.add(f);
    };
    SUBCASE("an app that is gone") {
        b.m.cloud.platform.find("raxx-console-staging")->gone = true;
        look();
        CHECK(seen.heroku.at("heroku")->apps.at("raxx-console-staging").failure->status == 404);
        CHECK(seen.heroku.at("heroku")->apps.at(app));
    }
    SUBCASE("a key of Cloudflare that was revoked is explained by its own check") {
        b.m.cloud.access.api_tokens.front().status = "disabled";
        look();
        const auto& failure = seen.accounts.at("raxx").failure;
        REQUIRE(failure);
        CHECK(failure->kind == error_kind::credential);
        CHECK(seen.vaults.at("infisical"));
        CHECK(b.m.cloud.ledger.leaks_in(failure->message()).empty());
    }
    SUBCASE("a vault that is down is one failure") {
        refuse(testcloud::service::infisical, "/secrets", 503, "down");
        look();
        CHECK(seen.vaults.at("infisical").failure);
        CHECK(seen.accounts.at("raxx").failure); // its key comes from that vault
        CHECK(seen.heroku.at("heroku")->apps.at(app));
    }
    SUBCASE("a folder that does not exist is told from an empty one") {
        b.wanted.tokens[0].path = "/MooseQuest/nowhere";
        look();
        const auto& folders = seen.vaults.at("infisical")->folders;
        CHECK(!folders.at("/MooseQuest/nowhere")->exists);
        CHECK(folders.at(folder)->exists); // the record still speaks of it
    }
}

} // namespace step_test
