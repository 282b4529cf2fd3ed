#include "domain/reason.hpp"
#include "domain/rotation.hpp"
#include "world.hpp"

#include <set>

namespace rotation_test {

using namespace postern;
using namespace postern::domain;
using namespace postern::domain::testing;
using std::chrono::hours;

namespace {

std::string joined(const std::vector<std::string>& words) {
    std::string out;
    for (const auto& w : words)
        out += (out.empty() ? "" : " ") + w;
    return out;
}

// Provisioned, and some time later.
scene after(duration later, strategy how = strategy::replace) {
    scene s;
    s.wanted.tokens[0].how = how;
    s.settle();
    s.now += later;
    s.restart();
    return s;
}

constexpr auto nearly_over = hours{8760 - 700};

credential current(const scene& s) {
    return *s.world.vaults.at("infisical")->state->records.at("probe").current;
}

void ask_for(scene& s, std::string_view why, std::optional<strategy> how = {}) {
    s.how.requests["probe"] = {s.now, std::string{why}, how, "somebody", false};
}

std::set<std::string> members(const scene& s) {
    std::set<std::string> ids;
    for (const auto& app : s.world.accounts.at("raxx")->applications) {
        for (const auto& p : app.policies) {
            for (const auto& r : p.include) {
                if (r.is == rule::kind::service_token)
                    ids.insert(r.id);
            }
        }
    }
    return ids;
}

} // namespace

TEST_CASE("which rule asks for another credential, and when") {
    auto spec = scene::spec("probe", "CF_PROBE");
    spec.every = hours{2160};
    record r;
    r.current = credential{"n", "t", "t.access", "f", t0};
    live_token live = token("t", "probe");
    auto due = [&](duration later) { return rotation_due({spec, r, live, t0 + later}); };

    CHECK(!due(hours{0}));
    auto ahead = rotation_ahead({spec, r, live, t0});
    REQUIRE(ahead);
    CHECK(ahead->reason == "TooOld");
    CHECK(ahead->since <= t0 + hours{2160});
    CHECK(ahead->since > t0 + hours{2160 - 2160 / 8 - 1});
    CHECK(due(hours{2160})->reason == "TooOld");
    CHECK(due(hours{8760 - 720})->reason == "Expiring");

    r.request = rotation_request{t0, "Requested", strategy::in_place, "me", false};
    CHECK(due(hours{8760 - 720})->reason == "Requested");
    CHECK(due(hours{1})->how == strategy::in_place);
    r.request->reason = "Compromised";
    spec.how = strategy::renew;
    r.request->how.reset();
    CHECK(due(hours{1})->reason == "Compromised");
    CHECK(due(hours{1})->how == strategy::replace); // renewing would keep the secret
    r.request->done = true;
    CHECK(!due(hours{1}));
}

TEST_CASE("credentials that were made on one day are not replaced on one day") {
    std::set<std::int64_t> days;
    for (int i = 0; i < 1000; ++i) {
        auto s = spread("token-" + std::to_string(i), hours{180});
        CHECK(s >= duration{});
        CHECK(s < hours{180});
        days.insert(std::chrono::duration_cast<hours>(s).count() / 24);
    }
    CHECK(days.size() == 8);
    CHECK(spread("a", hours{180}) == spread("a", hours{180}));
    CHECK(spread("a", duration{}) == duration{});
}

TEST_CASE("Replace: a second token, then the overlap, then the end of the first") {
    auto s = after(nearly_over);
    auto old = current(s);
    auto words = s.settle();
    INFO(joined(words));
    for (auto pair : {std::pair{"prove", "intend"},
                      {"intend", "renew"},
                      {"renew", "mint"},
                      {"mint", "hold"},
                      {"hold", "bind"},
                      {"bind", "promote"},
                      {"promote", "deliver"},
                      {"deliver", "confirm"}})
        CHECK_MESSAGE(place(words, pair.first) < place(words, pair.second), pair.first, " before ", pair.second);
    CHECK(count(words, "mint") == 1);
    CHECK(count(words, "delete-token") == 0);
    auto made = current(s);
    CHECK(made.token_id != old.token_id);
    CHECK(made.made == s.now);
    CHECK(s.rec().previous->token_id == old.token_id);
    CHECK(s.rec().previous_until == s.now + hours{48});
    CHECK(members(s) == std::set<std::string>{old.token_id, made.token_id});
    CHECK(s.folder().values.at("CF_PROBE").fingerprint == made.fingerprint);
    CHECK(s.heroku("prod").fingerprint == made.fingerprint);

    SUBCASE("nothing happens inside the overlap, whatever is asked") {
        s.now += hours{47};
        s.restart();
        ask_for(s, reason::requested);
        words = s.settle();
        CHECK(words == std::vector<std::string>{"request"});
        CHECK(current(s).token_id == made.token_id);
        s.restart();
        CHECK(s.ask().steps.empty());
    }
    SUBCASE("after it the first is taken out, deleted, tried and forgotten") {
        s.now += hours{48};
        s.restart();
        words = s.settle();
        CHECK(joined(words) == "unbind unbind delete-token try-retired try-retired delete-key retire");
        CHECK(s.account().tokens.size() == 1);
        CHECK(members(s) == std::set<std::string>{made.token_id});
        CHECK(s.state().held.at("probe").size() == 1);
        CHECK(!s.rec().previous);
        s.restart();
        CHECK(s.ask().steps.empty());
    }
    SUBCASE("an app that somebody rolled back holds the first again: repaired, and the overlap goes on") {
        s.heroku("prod") = {false, old.fingerprint, old.client_id};
        s.now += hours{48};
        s.restart();
        auto j = s.ask();
        CHECK(std::none_of(j.steps.begin(), j.steps.end(), [](const auto& st) { return word(st) == "unbind"; }));
        CHECK(std::any_of(j.steps.begin(), j.steps.end(), [](const auto& st) { return st.reason == "ConfigDrift"; }));
        words = s.settle();
        CHECK(count(words, "deliver") == 1);
        CHECK(s.heroku("prod").fingerprint == made.fingerprint);
    }
    SUBCASE("somebody still uses the first: the overlap is stretched") {
        for (auto& t : s.account().tokens) {
            if (t.id == old.token_id)
                t.last_seen_at = s.now + hours{40};
        }
        s.now += hours{48};
        s.restart();
        auto j = s.ask();
        CHECK(reason_at(j, "ServiceToken/probe", "RotationDue") == "ConsumerLags");
        words = s.settle();
        CHECK(words == std::vector<std::string>{"stretch"});
        CHECK(s.rec().previous_until == s.now + hours{48});
        s.now += hours{48};
        s.restart();
        words = s.settle();
        CHECK(count(words, "delete-token") == 1);
        CHECK(!s.rec().previous);
    }
    SUBCASE("the vault's key brought back to the first is drift, not a way back") {
        s.folder().values["CF_PROBE"] = {old.fingerprint, old.client_id};
        s.restart();
        words = s.settle();
        CHECK(count(words, "repair") == 1);
        CHECK(current(s).token_id == made.token_id);
        CHECK(s.folder().values.at("CF_PROBE").fingerprint == made.fingerprint);
    }
    SUBCASE("the record is lost: the first is found by its key, and still gets its overlap") {
        s.state().records.clear();
        s.restart();
        s.settle();
        CHECK(current(s).token_id == made.token_id);
        CHECK(s.rec().previous->token_id == old.token_id);
        s.now += hours{48};
        s.restart();
        s.settle();
        CHECK(s.account().tokens.size() == 1);
        CHECK(s.state().held.at("probe").size() == 1);
    }
}

TEST_CASE("InPlace: a second secret of the same token") {
    auto s = after(nearly_over, strategy::in_place);
    auto old = current(s);
    auto words = s.settle();
    INFO(joined(words));
    CHECK(count(words, "rotate") == 1);
    CHECK(count(words, "mint") == 0);
    CHECK(count(words, "bind") == 0);
    CHECK(place(words, "confirm") < place(words, "cut-off"));
    auto made = current(s);
    CHECK(made.token_id == old.token_id);
    CHECK(made.fingerprint != old.fingerprint);
    CHECK(s.rec().previous->fingerprint == old.fingerprint);
    CHECK(s.rec().previous_until == s.now + hours{48});
    CHECK(s.rec().cut_off == s.rec().previous_until);
    s.now += hours{48};
    s.restart();
    words = s.settle();
    CHECK(joined(words) == "try-retired try-retired delete-key retire");
    CHECK(s.account().tokens.size() == 1);
    CHECK(members(s) == std::set<std::string>{made.token_id});
    s.restart();
    CHECK(s.ask().steps.empty());
}

TEST_CASE("InPlace: a reply that was lost is healed by a token beside it, never by rotating again") {
    auto s = after(nearly_over, strategy::in_place);
    auto old = current(s);
    s.how.imagined = true;
    for (int i = 0; i < 50; ++i) {
        auto j = s.ask();
        REQUIRE(!j.steps.empty());
        const auto& st = j.steps.front();
        if (word(st) == "rotate") {
            s.world.unsent.clear(); // sent, and the process died
            break;
        }
        effect(s.world, st, predicted(s.world, st, s.now), s.now);
    }
    s.restart();
    s.now += std::chrono::seconds{61};
    s.world.seen_at = s.now;
    auto words = s.settle();
    INFO(joined(words));
    CHECK(count(words, "rotate") == 0);
    CHECK(count(words, "mint") == 1);
    CHECK(current(s).token_id != old.token_id);
    CHECK(s.rec().previous->token_id == old.token_id);
}

TEST_CASE("Renew: the expiry moves, the secret stays") {
    auto s = after(nearly_over, strategy::renew);
    auto old = current(s);
    auto words = s.settle();
    CHECK(words == std::vector<std::string>{"renew"});
    CHECK(current(s) == old);
    CHECK(s.account().tokens.at(0).expires_at == s.now + hours{8760});
    s.restart();
    CHECK(s.ask().steps.empty());

    ask_for(s, reason::requested);
    words = s.settle();
    CHECK(joined(words) == "request renew record");
    CHECK(s.rec().request->done);
    CHECK(s.ask().steps.empty());
}

TEST_CASE("a request is done once, and survives the process that wrote it down") {
    auto s = after(hours{100});
    auto old = current(s);
    ask_for(s, reason::requested);
    auto j = s.ask();
    REQUIRE(j.steps.size() == 1);
    CHECK(word(j.steps[0]) == "request");
    effect(s.world, j.steps[0], predicted(s.world, j.steps[0], s.now), s.now);
    s.how.requests.clear();
    s.restart();
    auto words = s.settle();
    CHECK(count(words, "mint") == 1);
    CHECK(current(s).token_id != old.token_id);
    CHECK(s.rec().request->done);
    s.now += hours{49};
    s.restart();
    words = s.settle();
    CHECK(count(words, "mint") == 0);
    CHECK(!s.rec().previous);
}

TEST_CASE("a compromised credential dies as soon as every consumer has the next one") {
    auto s = after(hours{100});
    auto old = current(s);
    ask_for(s, reason::compromised);
    auto words = s.settle();
    INFO(joined(words));
    CHECK(place(words, "confirm") < place(words, "delete-token"));
    CHECK(count(words, "delete-token") == 1);
    CHECK(count(words, "try-retired") == 2);
    CHECK(!s.rec().previous);
    CHECK(s.account().tokens.size() == 1);
    CHECK(s.account().tokens[0].id != old.token_id);
}

TEST_CASE("compromised inside an overlap: the overlap ends, and the credential in force is replaced at once") {
    for (auto how : {strategy::replace, strategy::in_place}) {
        CAPTURE(how == strategy::replace);
        auto s = after(nearly_over, how);
        s.settle();
        auto leaked = current(s);
        auto before = *s.rec().previous;
        // Whoever stole it uses it: that keeps nothing alive.
        for (auto& t : s.account().tokens)
            t.last_seen_at = s.now + hours{40};
        s.now += hours{40};
        s.restart();
        ask_for(s, reason::compromised);
        auto words = s.settle();
        INFO(joined(words));
        CHECK(s.rec().request->done);
        CHECK(!s.rec().previous);
        auto made = current(s);
        CHECK(made.fingerprint != leaked.fingerprint);
        CHECK(s.state().held.at("probe").size() == 1);
        CHECK(s.account().tokens.size() == 1);
        CHECK(s.folder().values.at("CF_PROBE").fingerprint == made.fingerprint);
        CHECK(s.heroku("prod").fingerprint == made.fingerprint);
        (void)before;
    }
}

TEST_CASE("compromised while a rotation waits for its host: noted, and done once that is over") {
    auto s = after(nearly_over);
    s.how.imagined = true;
    for (int i = 0; i < 50; ++i) {
        auto j = s.ask();
        REQUIRE(!j.steps.empty());
        effect(s.world, j.steps.front(), predicted(s.world, j.steps.front(), s.now), s.now);
        if (word(j.steps.front()) == "hold")
            break;
    }
    REQUIRE(s.rec().pending);
    const auto pending = s.state().held.at("probe").at(s.rec().pending->nonce).fingerprint;
    s.restart();
    s.now += hours{1};
    for (const auto* host : {"one.raxx.app", "two.raxx.app"}) {
        proof failing;
        failing.last = verdict::login_redirect;
        failing.rounds = 5;
        failing.again = instant::max();
        s.world.proofs[{host, "/health", pending}] = failing;
    }
    ask_for(s, reason::compromised);
    CHECK(count(s.settle(), "request") == 1);
    s.how.requests.clear();
    s.restart();
    s.settle();
    CHECK(s.rec().request->done);
    CHECK(!s.rec().previous);
    CHECK(current(s).fingerprint != pending);
}

TEST_CASE("a compromised credential does not wait until others have been rotated") {
    scene s;
    for (int i = 0; i < 2; ++i) {
        auto name = "probe-" + std::to_string(i);
        s.wanted.tokens.push_back(scene::spec(name, "CF_" + std::to_string(i)));
        s.wanted.bindings[0].tokens.push_back(name);
    }
    s.settle(2000);
    s.now += hours{100};
    s.restart();
    s.how.max_rotations = 1;
    // One that hangs: it was promoted, and an app of it cannot be brought up to date.
    auto& stuck = s.rec("probe-0");
    stuck.previous = stuck.current;
    stuck.previous->token_id = "elsewhere";
    stuck.confirmed.clear();
    s.wanted.heroku_bindings.push_back(s.wanted.heroku_bindings[0]);
    auto& b = s.wanted.heroku_bindings.back();
    b.name = b.token = "probe-0";
    b.apps = {"gone"};
    b.config_var = "CF_0";
    const auto old = current(s);
    ask_for(s, reason::compromised);
    s.settle(2000);
    CHECK(current(s).fingerprint != old.fingerprint);
    CHECK(!s.rec().previous);
}

TEST_CASE("our own try of a retired credential is no use of it") {
    auto s = after(nearly_over);
    auto old = current(s);
    s.settle();
    s.application(0).policies[0].include.push_back(of_token(old.token_id)); // so that it cannot be deleted
    s.now += hours{48};
    s.restart();
    std::vector<std::string> words;
    int tries = 0;
    for (int i = 0; i < 60; ++i) {
        auto j = s.ask();
        if (j.steps.empty())
            break;
        const auto& st = j.steps.front();
        auto o = predicted(s.world, st, s.now);
        words.push_back(word(st));
        if (word(st) == "delete-token") {
            o = {};
            o.failure = error{error_kind::refused, "DELETE", "service_token_in_use", 400, "12139", {}};
        }
        if (word(st) == "try-retired" && ++tries == 1) {
            o.proved->last = verdict::passed; // the edge has not learnt of it yet
            o.proved->at = s.now;
            for (auto& t : s.account().tokens) {
                if (t.id == old.token_id)
                    t.last_seen_at = s.now;
            }
        }
        effect(s.world, st, o, s.now);
        if (word(st) == "try-retired" && tries == 1) { // the process ends, another one goes on
            s.restart();
            s.now += std::chrono::minutes{10};
        }
    }
    INFO(joined(words));
    CHECK(count(words, "stretch") == 0);
    CHECK(count(words, "bind") == 0);
    CHECK(!s.rec().previous);
}

TEST_CASE("a secret that never expires is replaced when it is as old as it may be") {
    scene s;
    s.wanted.tokens[0].duration_text = "forever";
    s.wanted.tokens[0].lifetime.reset();
    s.wanted.tokens[0].renew_before = {};
    s.settle();
    REQUIRE(!s.account().tokens[0].expires_at);
    CHECK(reason_at(s.ask(), "ServiceToken/probe", "RotationDue") == "NeverExpires");
    s.wanted.tokens[0].every = hours{2160};
    CHECK(reason_at(s.ask(), "ServiceToken/probe", "RotationDue") == "Scheduled");
    auto old = current(s);
    s.now += hours{2160};
    s.restart();
    auto words = s.settle();
    INFO(joined(words));
    CHECK(count(words, "mint") == 1);
    CHECK(count(words, "renew") == 0);
    s.now += hours{48};
    s.restart();
    words = s.settle();
    CHECK(count(words, "delete-token") == 1);
    CHECK(count(words, "mint") == 0);
    CHECK(s.account().tokens.size() == 1);
    CHECK(s.account().tokens[0].id != old.token_id);
}

TEST_CASE("InPlace: each previous secret is ended by a request of its own, however soon it follows the one before") {
    auto s = after(nearly_over, strategy::in_place);
    for (int i = 0; i < 3; ++i) {
        s.now += std::chrono::minutes{1};
        ask_for(s, reason::compromised);
        auto words = s.settle();
        INFO(joined(words));
        CHECK(count(words, "rotate") == 1);
        CHECK(count(words, "cut-off") == 1);
        CHECK(!s.rec().previous);
    }
}

TEST_CASE("InPlace: an app that lags for weeks keeps its secret") {
    auto s = after(nearly_over, strategy::in_place);
    s.wanted.heroku_bindings[0].apps.push_back("broken");
    s.world.heroku["heroku"]->apps["broken"].seen = app_view{{{"probe", {}}}, {}, {}};
    s.settle();
    s.rec().previous_until.reset(); // its release failed: nothing was confirmed
    s.rec().cut_off.reset();
    s.rec().confirmed.clear();
    s.world.heroku["heroku"]->apps["broken"].seen.reset();
    for (int day = 0; day < 60; ++day) {
        s.now += hours{24};
        s.restart();
        auto words = s.settle();
        const auto cut_off = s.rec().cut_off.value_or(*s.rec().current->made + hours{30 * 24});
        CHECK_MESSAGE(cut_off > s.now + hours{24}, "day ", day, ": ", joined(words));
    }
}

TEST_CASE("nothing is rotated in somebody's outage, and nothing expires meanwhile") {
    auto s = after(nearly_over);
    auto old = current(s);
    proof failing;
    failing.last = verdict::origin_error;
    failing.rounds = 2;
    failing.again = instant::max();
    s.world.proofs[{"one.raxx.app", "/health", old.fingerprint}] = failing;
    auto words = s.settle();
    CHECK(count(words, "intend") == 0);
    CHECK(reason_at(s.ask(), "ServiceToken/probe", "RotationDue") == "CannotRotate");

    s.now = t0 + hours{8760 - 300};
    words = s.settle();
    CHECK(joined(words) == "record renew");
    CHECK(s.account().tokens.at(0).expires_at == s.now + hours{8760});
    // It is still to be replaced once the host is back.
    s.restart();
    words = s.settle();
    CHECK(count(words, "mint") == 1);
}

TEST_CASE("a rotation that a wrong clock has to put off is due for the next right one") {
    auto s = after(nearly_over);
    s.now = t0 + hours{8760 - 300};
    for (auto ahead : {hours{1}, hours{-1}}) {
        auto wrong = s;
        wrong.now += ahead;
        wrong.account().skew = -ahead;
        auto words = wrong.settle();
        CHECK(count(words, "mint") == 0);
        REQUIRE(count(words, "renew") == 1);
        wrong.now -= ahead;
        wrong.account().skew = {};
        wrong.restart();
        words = wrong.settle();
        CHECK(count(words, "mint") == 1);
    }
}

TEST_CASE("what a machine with a wrong clock asks for is due now, and hides nothing that is asked for later") {
    auto s = after(std::chrono::minutes{30});
    for (auto ahead : {hours{1}, hours{-1}}) {
        auto wrong = s;
        wrong.now += ahead;
        wrong.account().skew = -ahead;
        ask_for(wrong, reason::requested);
        auto j = wrong.ask();
        REQUIRE(j.steps.size() == 1);
        CHECK(word(j.steps[0]) == "request");
        effect(wrong.world, j.steps[0], predicted(wrong.world, j.steps[0], wrong.now), wrong.now);
        wrong.how.requests.clear();
        CHECK(wrong.rec().request->at == s.now);
        CHECK(count(wrong.settle(), "mint") == 0);
        CHECK(reason_at(wrong.ask(), "ServiceToken/probe", "Provisioned") == reason::clock_skew);
        // The same request, by a clock that was read anew.
        ask_for(wrong, reason::requested);
        wrong.account().skew += std::chrono::milliseconds{900};
        CHECK(count(wrong.settle(), "request") == 0);
        wrong.how.requests.clear();
        wrong.now -= ahead;
        wrong.account().skew = {};
        wrong.restart();
        CHECK(count(wrong.settle(), "mint") == 1);
        wrong.now += std::chrono::minutes{1};
        ask_for(wrong, reason::compromised);
        CHECK(count(wrong.settle(), "request") == 1);
    }
}

TEST_CASE(
    "that a secret is known to somebody is noted beside any other request, and stands above it until it is done") {
    auto s = after(hours{100});
    auto note = [&] {
        auto j = s.ask();
        REQUIRE(j.steps.size() == 1);
        REQUIRE(word(j.steps[0]) == "request");
        effect(s.world, j.steps[0], predicted(s.world, j.steps[0], s.now), s.now);
    };
    s.now += std::chrono::seconds{20}; // somebody's clock is that far ahead
    ask_for(s, reason::requested);
    note();
    s.now -= std::chrono::seconds{20};
    ask_for(s, reason::compromised);
    note();
    CHECK(s.rec().request->reason == reason::compromised);
    s.now += std::chrono::minutes{1};
    ask_for(s, reason::requested);
    CHECK(count(s.settle(), "request") == 0);
    CHECK(s.rec().request->done);
    CHECK(!s.rec().previous);
}

TEST_CASE("a token that something else lets in is not replaced by one that it would not") {
    auto s = after(nearly_over);
    auto old = current(s);
    auto elsewhere = app("app-3", "three.raxx.app");
    elsewhere.policies.push_back(policy("by-hand", "by hand", decision::non_identity, {of_token(old.token_id)}));
    SUBCASE("directly") {}
    SUBCASE("through a group") {
        elsewhere.policies.back().include = {{rule::kind::group, "g", {}}};
        live_group g;
        g.id = "g";
        g.name = "machines";
        g.include = {of_token(old.token_id)};
        s.account().groups.push_back(g);
    }
    s.account().applications.push_back(elsewhere);
    CHECK(s.settle().empty());
    auto j = s.ask();
    CHECK(reason_at(j, "ServiceToken/probe", "RotationDue") == "ReferencedElsewhere");
    CHECK(find(j, "ServiceToken/probe", "RotationDue")->heft == weight::blocked);

    s.wanted.tokens[0].how = strategy::in_place;
    CHECK(count(s.settle(), "rotate") == 1);
}

TEST_CASE("a retired token that something still names is disabled, marked, and deleted later") {
    auto s = after(nearly_over);
    auto old = current(s);
    s.settle();
    // An allow policy names it: that admits no machine, but Cloudflare refuses to delete the token.
    s.application(0).policies[0].include.push_back(of_token(old.token_id));
    s.now += hours{48};
    s.restart();
    for (int i = 0; i < 50; ++i) {
        auto j = s.ask();
        if (j.steps.empty())
            break;
        const auto& st = j.steps.front();
        auto o = predicted(s.world, st, s.now);
        if (word(st) == "delete-token") {
            o = {};
            o.failure = error{error_kind::refused, "DELETE", "service_token_in_use", 400, "12139", {}};
        }
        effect(s.world, st, o, s.now);
    }
    REQUIRE(s.account().tokens.size() == 2);
    auto left = *std::find_if(s.account().tokens.begin(), s.account().tokens.end(),
                              [&](const auto& t) { return t.id == old.token_id; });
    CHECK(!left.enabled);
    CHECK(left.name == "probe (retired " + old.nonce + ")");
    CHECK(!s.rec().previous);
    REQUIRE(s.rec().lingering.size() == 1);
    s.restart();
    auto j = s.ask();
    CHECK(j.steps.empty());
    CHECK(reason_at(j, "ServiceToken/probe", "Bound") == "StillReferenced");

    s.application(0).policies[0].include.pop_back();
    s.restart();
    CHECK(joined(s.settle()) == "delete-token record");
    CHECK(s.account().tokens.size() == 1);
    CHECK(s.rec().lingering.empty());
}

TEST_CASE("only so many rotate at once, the soonest to expire first") {
    scene s;
    for (int i = 0; i < 4; ++i) {
        auto name = "probe-" + std::to_string(i);
        s.wanted.tokens.push_back(scene::spec(name, "CF_" + std::to_string(i)));
        s.wanted.bindings[0].tokens.push_back(name);
    }
    s.settle(2000);
    s.now += nearly_over;
    s.restart();
    s.how.max_rotations = 2;
    std::size_t most = 0;
    for (int i = 0; i < 2000; ++i) {
        auto j = s.ask();
        if (j.steps.empty())
            break;
        for (const auto& st : j.steps)
            effect(s.world, st, predicted(s.world, st, s.now), s.now);
        std::size_t now = 0;
        for (const auto& [name, r] : s.state().records)
            now += r.pending || (r.previous && !r.previous_until) ? 1U : 0U;
        most = std::max(most, now);
    }
    CHECK(most == 2);
    for (const auto& [name, r] : s.state().records)
        CHECK_MESSAGE(r.previous, name);
}

TEST_CASE("what nothing accounts for is swept, and nothing else") {
    auto s = after(hours{1});
    auto ours = token("lost", "elsewhere (pending 01234567beef1)");
    ours.created_at = t0;
    auto foreign = token("foreign", "elsewhere (pending ffffffffbeef1)");
    foreign.created_at = t0;
    auto young = token("young", "elsewhere (pending 01234567beef2)");
    young.created_at = s.now;
    auto by_hand = token("by-hand", "probe by hand");
    by_hand.created_at = t0;
    s.account().tokens.insert(s.account().tokens.end(), {ours, foreign, young, by_hand});
    s.state().held["probe"]["gone"] = {"f-gone", "gone.access"};
    auto words = s.settle();
    CHECK(count(words, "delete-token") == 1);
    CHECK(count(words, "delete-key") == 1);
    CHECK(s.state().held.at("probe").size() == 1);
    std::set<std::string> left;
    for (const auto& t : s.account().tokens)
        left.insert(t.id);
    CHECK(!left.contains("lost"));
    CHECK(left.size() == 4);

    // While a record cannot be read, it may be what accounts for a token.
    s.account().tokens.push_back(ours);
    s.state().unreadable["other"] = "doubled";
    CHECK(count(s.settle(), "delete-token") == 0);
}

} // namespace rotation_test
