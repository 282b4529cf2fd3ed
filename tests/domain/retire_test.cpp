#include "domain/reason.hpp"
#include "world.hpp"

namespace retire_test {

// The end of a credential: who keeps it alive, who does not, and what is swept.

using namespace postern;
using namespace postern::domain;
using namespace postern::domain::testing;
using std::chrono::hours;
using std::chrono::minutes;

namespace {

// Rotated and confirmed: the overlap has begun.
scene overlapping(strategy how = strategy::replace, std::string_view why = reason::requested) {
    scene s;
    s.wanted.tokens[0].how = how;
    s.settle();
    s.now += hours{100};
    s.restart();
    s.how.requests["probe"] = {s.now, std::string{why}, {}, "somebody", false};
    for (int i = 0; i < 300 && !(s.state().records.contains("probe") && s.rec().previous_until); ++i) {
        auto j = s.ask();
        REQUIRE(!j.steps.empty());
        effect(s.world, j.steps[0], predicted(s.world, j.steps[0], s.now), s.now);
    }
    s.how.requests.clear();
    REQUIRE(s.rec().previous);
    return s;
}

void overlap_ends(scene& s) {
    s.now = std::max(s.now, *s.rec().previous_until);
    s.restart();
}

// Takes steps until this word is offered.
void until(scene& s, const std::string& last) {
    for (int i = 0; i < 100; ++i) {
        auto j = s.ask();
        REQUIRE(!j.steps.empty());
        if (word(j.steps[0]) == last)
            return;
        effect(s.world, j.steps[0], s.answered(j.steps[0]), s.now);
    }
    FAIL("never offered");
}

// As Cloudflare answers.
void settle(scene& s) {
    for (int i = 0; i < 300; ++i) {
        auto j = s.ask();
        if (j.steps.empty())
            return;
        effect(s.world, j.steps[0], s.answered(j.steps[0]), s.now);
    }
    FAIL("no fixed point");
}

const condition& told(const judgement& j, const std::string& type) {
    const auto* c = find(j, "ServiceToken/probe", type);
    REQUIRE(c != nullptr);
    return *c;
}

bool lists(const scene& s, const std::string& id) {
    const auto& tokens = s.world.accounts.at("raxx")->tokens;
    return std::any_of(tokens.begin(), tokens.end(), [&](const auto& t) { return t.id == id; });
}

live_token pending_token(const std::string& id) {
    auto t = token(id, "elsewhere (pending 01234567" + id + ")");
    t.created_at = t0;
    return t;
}

} // namespace

TEST_CASE("a retired credential that is not refused is told, and tried again, however long that takes") {
    struct row {
        strategy how;
        verdict last;
        int rounds;
        const char* reason;
        weight heft;
        const char* words;
    };
    for (const auto& r :
         {row{strategy::replace, verdict::passed, 1, "StillAdmitted", weight::waiting, "still lets"},
          row{strategy::replace, verdict::passed, 4, "StillAdmitted", weight::failed, "still lets"},
          row{strategy::replace, verdict::origin_error, 1, "Unavailable", weight::waiting, "could not be asked: 502"},
          row{strategy::replace, verdict::unreachable, 9, "Unavailable", weight::waiting, "could not be asked: 502"},
          // When it ends is Cloudflare's to say.
          row{strategy::in_place, verdict::passed, 4, "StillAdmitted", weight::told, "still lets"}}) {
        CAPTURE(static_cast<int>(r.last));
        CAPTURE(r.rounds);
        auto s = overlapping(r.how);
        overlap_ends(s);
        until(s, "try-retired");
        const auto old = *s.rec().previous;
        proof refused;
        refused.last = verdict::unauthorized;
        proof p;
        p.last = r.last;
        p.rounds = r.rounds;
        p.detail = "502";
        p.at = s.now;
        p.again = s.now + minutes{10};
        s.world.refusals[{"one.raxx.app", "/health", old.fingerprint}] = refused;
        s.world.refusals[{"two.raxx.app", "/health", old.fingerprint}] = p;
        auto j = s.ask();
        CHECK(j.steps.empty());
        CHECK(told(j, "Verified").reason == r.reason);
        CHECK(told(j, "Verified").heft == r.heft);
        CHECK(says(told(j, "Verified"), r.words));
        CHECK(says(told(j, "Verified"), "https://two.raxx.app/health"));
        REQUIRE(j.wake);
        CHECK(*j.wake == s.now + (r.heft == weight::told ? duration{hours{24}} : duration{minutes{10}}));
        CHECK(s.rec().previous);
        s.now = *j.wake;
        j = s.ask();
        REQUIRE(j.steps.size() == 1);
        CHECK(word(j.steps[0]) == "try-retired");
        settle(s);
        CHECK(!s.rec().previous);
    }
}

TEST_CASE("who still has it keeps it alive, is named, and is looked at again before the overlap ends") {
    auto s = overlapping();
    const auto old = *s.rec().previous;
    const auto was = *s.rec().previous_until;
    s.folder().values["COPY"] = {"fp-copy", old.client_id};
    auto j = s.ask();
    CHECK(j.steps.empty());
    CHECK(told(j, "RotationDue").reason == "ConsumerLags");
    CHECK(told(j, "RotationDue").heft == weight::told);
    CHECK(says(told(j, "RotationDue"), "vault key COPY in /creds"));
    REQUIRE(j.wake);
    CHECK(*j.wake < was);
    s.now = *j.wake;
    s.restart();
    CHECK(told(s.ask(), "RotationDue").heft == weight::blocked);
    settle(s);
    CHECK(*s.rec().previous_until > was);
    CHECK(lists(s, old.token_id));
    s.folder().values.erase("COPY");
    overlap_ends(s);
    settle(s);
    CHECK(!lists(s, old.token_id));
}

TEST_CASE("a compromised one that is still held is cut off by nobody, and nobody waits an overlap for it either") {
    auto s = overlapping(strategy::replace, reason::compromised);
    const auto old = *s.rec().previous;
    CHECK(*s.rec().previous_until == s.now);
    s.folder().values["COPY"] = {"fp-copy", old.client_id};
    settle(s);
    auto j = s.ask();
    CHECK(told(j, "RotationDue").reason == "ConsumerLags");
    CHECK(told(j, "RotationDue").heft == weight::blocked);
    CHECK(*s.rec().previous_until == s.now);
    CHECK(lists(s, old.token_id));
    s.folder().values.erase("COPY");
    settle(s);
    CHECK(!lists(s, old.token_id));
    CHECK(!s.rec().previous);
}

TEST_CASE("our own proof of the credential before is no use of it, somebody else's is") {
    for (bool by_us : {true, false}) {
        CAPTURE(by_us);
        auto s = overlapping();
        const auto old = *s.rec().previous;
        overlap_ends(s);
        const auto seen = s.now - minutes{30};
        for (auto& t : s.account().tokens) {
            if (t.id == old.token_id)
                t.last_seen_at = seen;
        }
        proof p;
        p.last = verdict::passed;
        p.at = seen + minutes{by_us ? 1 : 10};
        s.world.proofs[{"one.raxx.app", "/health", old.fingerprint}] = p;
        settle(s);
        CHECK(lists(s, old.token_id) != by_us);
        CHECK(s.rec().previous.has_value() != by_us);
    }
}

TEST_CASE("the token before does not expire within its overlap") {
    auto s = overlapping();
    const auto old = *s.rec().previous;
    for (auto& t : s.account().tokens) {
        if (t.id == old.token_id)
            t.expires_at = s.now + hours{1};
    }
    s.restart();
    auto j = s.ask();
    REQUIRE(j.steps.size() == 1);
    CHECK(std::get<steps::update_token>(j.steps[0].what).token_id == old.token_id);
    CHECK(j.steps[0].reason == "Overlapping");
    settle(s);
    const auto& tokens = s.account().tokens;
    CHECK(std::all_of(tokens.begin(), tokens.end(), [&](const auto& t) { return t.expires_at > s.now + hours{48}; }));
    // Once its time is over it may expire.
    for (auto& t : s.account().tokens) {
        if (t.id == old.token_id)
            t.expires_at = s.now + hours{49};
    }
    overlap_ends(s);
    settle(s);
    CHECK(!lists(s, old.token_id));
}

TEST_CASE("a token that was taken over without its secret is marked by its id where it cannot be deleted") {
    scene s;
    s.account().tokens = {token("tok-1", "probe")};
    s.wanted.tokens[0].adopt = "tok-1";
    live_group group;
    group.id = "g";
    group.name = "machines";
    group.exclude = {of_token("tok-1")};
    group.include = {of_token("tok-1")};
    s.account().groups = {group};
    settle(s);
    REQUIRE(s.rec().previous->token_id == "tok-1");
    overlap_ends(s);
    settle(s);
    CHECK(s.account().tokens.at(0).name == "probe (retired tok-1)");
    CHECK(!s.account().tokens.at(0).enabled);
    REQUIRE(s.rec().lingering.size() == 1);
    CHECK(says(told(s.ask(), "Bound"), "group \"machines\""));
    SUBCASE("whoever excludes it keeps it, too") {
        s.account().groups[0].include = {of_person("email a@raxx.app")};
        s.restart();
        CHECK(s.ask().steps.empty());
        CHECK(says(told(s.ask(), "Bound"), "group \"machines\""));
    }
    SUBCASE("somebody deletes it by hand: its own GET is believed, the list is not") {
        const auto kept = s.account().tokens.at(0);
        s.account().tokens.erase(s.account().tokens.begin());
        s.restart();
        auto j = s.ask();
        REQUIRE(j.steps.size() == 1);
        REQUIRE(word(j.steps[0]) == "look");
        auto listed = s;
        outcome there;
        there.token = kept;
        effect(listed.world, j.steps[0], there, listed.now);
        settle(listed);
        CHECK(listed.rec().lingering.size() == 1);
        settle(s);
        CHECK(s.rec().lingering.empty());
    }
}

TEST_CASE("what somebody holds, names or remembers is not swept") {
    struct row {
        const char* name;
        void (*bend)(scene&);
        bool swept;
    };
    const row rows[] = {
        {"nobody", [](scene&) {}, true},
        {"a vault key holds it",
         [](scene& s) {
             s.folder().values["COPY"] = {"fp", "lost.access"};
         },
         false},
        {"a record knows it as retired",
         [](scene& s) {
             s.rec().lingering.push_back({"n0", "lost", "lost.access", "fp", {}});
         },
         false},
        {"a policy of somebody's names it",
         [](scene& s) { s.application(0).policies[0].include.push_back(of_token("lost")); }, false},
        {"a policy denies it",
         [](scene& s) {
             s.application(1).policies.push_back(policy("d", "d", decision::deny, {of_person("x")}, 9));
             s.application(1).policies.back().require = {of_token("lost")};
         },
         false},
        {"the vault's folder says no id", [](scene& s) { s.state().installation = "0123"; }, false},
    };
    for (const auto& r : rows) {
        INFO(r.name);
        scene s;
        s.settle();
        s.now += hours{1};
        s.restart();
        s.account().tokens.push_back(pending_token("lost"));
        r.bend(s);
        for (int i = 0; i < 20; ++i) {
            auto j = s.ask();
            std::erase_if(j.steps, [](const step& x) { return x.resource.starts_with("ServiceToken/"); });
            if (j.steps.empty())
                break;
            effect(s.world, j.steps[0], s.answered(j.steps[0]), s.now);
        }
        CHECK(lists(s, "lost") != r.swept);
    }
}

TEST_CASE("write-once keys that no pointer knows: what of them is ours gets its end, what is not stays") {
    scene s;
    s.settle();
    s.now += hours{1};
    s.restart();
    const auto current = *s.rec().current;
    auto& held = s.state().held.at("probe");
    SUBCASE("a second secret of the token in force is tried until it is refused, and forgotten") {
        held["n9"] = {"fp-second", current.client_id};
        auto words = s.settle();
        CHECK(std::count(words.begin(), words.end(), "try-retired") == 2);
        CHECK(std::count(words.begin(), words.end(), "delete-token") == 0);
        CHECK(held.size() == 1);
        CHECK(!s.rec().previous);
    }
    SUBCASE("a token of ours gets its overlap") {
        s.account().tokens.push_back(token("old", "probe"));
        held["n9"] = {"fp-old", "old.access"};
        s.settle();
        REQUIRE(s.rec().previous);
        CHECK(s.rec().previous->token_id == "old");
        CHECK(*s.rec().previous_until == s.now + hours{48});
        // Another one waits for its turn.
        s.account().tokens.push_back(token("older", "probe"));
        held["n8"] = {"fp-older", "older.access"};
        s.restart();
        CHECK(s.ask().steps.empty());
        overlap_ends(s);
        s.settle();
        CHECK(!lists(s, "old"));
        CHECK(s.rec().previous->token_id == "older");
        overlap_ends(s);
        s.settle();
        CHECK(held.size() == 1);
        CHECK(s.account().tokens.size() == 1);
    }
    SUBCASE("a token that somebody gave another name stays") {
        s.account().tokens.push_back(token("theirs", "by hand"));
        held["n9"] = {"fp-theirs", "theirs.access"};
        CHECK(s.settle().empty());
        CHECK(held.size() == 2);
    }
    SUBCASE("one that cannot be read, or that keeps what is in force once more, stays") {
        held["n9"] = {"", "", true, false};
        held["n8"] = {current.fingerprint, current.client_id};
        CHECK(s.settle().empty());
        CHECK(held.size() == 3);
    }
    CHECK(s.rec().current == current);
}

TEST_CASE("of several that are due, what is compromised comes first, then what was asked for, then what expires") {
    scene s;
    for (const auto* name : {"a", "b", "c"}) {
        s.wanted.tokens.push_back(scene::spec(name, std::string{"CF_"} + name));
        s.wanted.bindings[0].tokens.emplace_back(name);
    }
    s.settle(2000);
    s.now += hours{8760 - 700};
    s.restart();
    s.how.max_rotations = 1;
    s.rec("b").request = rotation_request{s.now, std::string{reason::requested}, {}, "somebody", false};
    s.rec("c").request = rotation_request{s.now, std::string{reason::compromised}, {}, "somebody", false};
    std::vector<std::string> order;
    for (int i = 0; i < 2000 && order.size() < 3; ++i) {
        auto j = s.ask();
        REQUIRE(!j.steps.empty());
        for (const auto& x : j.steps) {
            if (const auto* m = std::get_if<steps::mint>(&x.what))
                order.push_back(m->token);
            effect(s.world, x, predicted(s.world, x, s.now), s.now);
        }
    }
    REQUIRE(order.size() == 3);
    CHECK(order[0] == "c");
    CHECK(order[1] == "b");
}

TEST_CASE("what an app holds that nobody can ask any more keeps the one before alive only while that may change") {
    struct row {
        const char* name;
        void (*bend)(scene&);
        bool retires;
    };
    const row rows[] = {
        {"its HerokuAccount left git", [](scene& s) { s.world.heroku.erase("apart"); }, true},
        {"its HerokuAccount does not answer",
         [](scene& s) { s.world.heroku["apart"].failure = error{error_kind::unavailable, "GET", "no", 503, {}, {}}; },
         false},
        {"its HerokuAccount is closed to us",
         [](scene& s) { s.world.heroku["apart"].failure = error{error_kind::credential, "GET", "no", 403, {}, {}}; },
         true},
    };
    for (const auto& r : rows) {
        INFO(r.name);
        auto s = overlapping();
        const auto old = *s.rec().previous;
        s.rec().deliveries.insert(s.rec().deliveries.begin(), {"apart", "app", {"CF_LEFT"}, 0, {}, old.fingerprint});
        r.bend(s);
        overlap_ends(s);
        settle(s);
        CHECK(lists(s, old.token_id) != r.retires);
        if (!r.retires)
            CHECK(says(told(s.ask(), "RotationDue"), "perhaps CF_LEFT on app app, which could not be read"));
    }
}

TEST_CASE("a token that is only renewed is renewed at once by whoever was away for long") {
    scene s;
    s.wanted.tokens[0].how = strategy::renew;
    s.settle();
    const auto kept = *s.rec().current;
    s.now += hours{8760 - 10};
    s.restart();
    // Even where something else has to be mended first.
    s.folder().values.clear();
    auto j = s.ask();
    REQUIRE(j.steps.size() == 1);
    CHECK(word(j.steps[0]) == "renew");
    s.settle();
    CHECK(s.account().tokens.at(0).expires_at == s.now + hours{8760});
    CHECK(s.rec().current == kept);
    CHECK(!s.rec().request);
}

} // namespace retire_test
