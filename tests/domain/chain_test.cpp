#include "domain/reason.hpp"
#include "world.hpp"

#include <functional>

namespace chain_test {

// How a credential comes to be where others are at work, too, and what becomes of one that comes to nothing.

using namespace postern;
using namespace postern::domain;
using namespace postern::domain::testing;
using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

namespace {

// Takes the first step that is offered, again and again, until none is left or `ends` says so. Returns their words.
std::vector<std::string> play(
    scene& s, const std::function<outcome(const step&)>& come,
    const std::function<bool(const step&)>& ends = [](const step&) { return false; }) {
    std::vector<std::string> words;
    for (int i = 0; i < 300; ++i) {
        auto j = s.ask();
        if (j.refresh) {
            s.now += seconds{31};
            s.world.seen_at = s.now;
            continue;
        }
        if (j.steps.empty())
            return words;
        const auto taken = j.steps.front();
        if (ends(taken))
            return words;
        words.push_back(word(taken));
        effect(s.world, taken, come(taken), s.now);
    }
    FAIL("no fixed point");
    return words;
}

// Of this word; it was not taken.
step stopped_before(scene& s, const std::string& last) {
    std::optional<step> found;
    play(
        s, [&](const step& x) { return predicted(s.world, x, s.now); },
        [&](const step& x) {
            if (word(x) == last)
                found = x;
            return found.has_value();
        });
    REQUIRE(found);
    return *found;
}

void next_process(scene& s, duration later) {
    s.now += later;
    s.restart();
}

const condition& told(const judgement& j, const std::string& resource, const std::string& type) {
    const auto* c = find(j, resource, type);
    REQUIRE(c != nullptr);
    return *c;
}

} // namespace

TEST_CASE("a credential that is thrown away goes out of its policies first: Cloudflare deletes none that is named") {
    scene s;
    SUBCASE("the first of its token") {}
    SUBCASE("the first of its token, in policies that others work with, too") {
        for (auto i : {0U, 1U})
            s.application(i).policies.push_back(
                policy("shared", "probe (service token)", decision::non_identity, {of_token("stranger")}, 2));
    }
    SUBCASE("one beside that in force") {
        s.settle();
        s.now += hours{8760 - 700};
        s.restart();
    }
    const bool beside = s.state().records.contains("probe");
    const auto in_force = beside ? s.rec().current : std::nullopt;
    std::string refused; // its fingerprint
    auto come = [&](const step& x) {
        auto o = s.answered(x);
        const auto* proved = std::get_if<steps::prove>(&x.what);
        const bool ours = beside && proved != nullptr && proved->fingerprint == in_force->fingerprint;
        if (proved != nullptr && !ours && (refused.empty() || proved->fingerprint == refused)) {
            o.proved->last = verdict::login_redirect;
            o.proved->again = s.now + hours{48};
        }
        return o;
    };
    play(s, come);
    REQUIRE(s.rec().pending);
    const auto nonce = s.rec().pending->nonce;
    refused = s.state().held.at("probe").at(nonce).fingerprint;
    const auto token_id = s.account().tokens.back().id;
    REQUIRE(is_named(s.account(), token_id));
    SUBCASE("once") {}
    SUBCASE("that name it twice") {
        for (auto i : {0U, 1U}) {
            for (auto& p : s.application(i).policies) {
                const auto member = of_token(token_id);
                if (std::find(p.include.begin(), p.include.end(), member) != p.include.end())
                    p.include.push_back(member);
            }
        }
    }

    next_process(s, hours{25});
    auto words = play(s, come);
    CHECK(count(words, "delete-token") == 1);
    CHECK(!is_named(s.account(), token_id));
    for (const auto& a : s.account().applications)
        CHECK(std::none_of(a.policies.begin(), a.policies.end(), [](const auto& p) { return p.include.empty(); }));
    CHECK(s.account().tokens.size() == (beside ? 2U : 1U));
    CHECK(!s.state().held.at("probe").contains(nonce));
    CHECK(s.world.troubles.empty());
    // The next one needs no other word, and is in force.
    REQUIRE(s.rec().current);
    CHECK(s.rec().current->fingerprint != refused);
    CHECK(s.rec().confirmed == s.rec().current->fingerprint);
    CHECK((!beside || s.rec().previous == in_force));
    if (is_named(s.account(), "stranger"))
        CHECK(s.application(0).policies.back().include ==
              std::vector<rule>{of_token("stranger"), of_token(s.rec().current->token_id)});
}

TEST_CASE("a credential whose write-once key somebody deleted leaves its policies, goes, and has a successor") {
    scene s;
    stopped_before(s, "promote");
    const auto id = s.account().tokens.at(0).id;
    REQUIRE(is_named(s.account(), id));
    s.state().held.clear();
    next_process(s, minutes{2});
    play(s, [&](const step& x) { return s.answered(x); });
    CHECK(!is_named(s.account(), id));
    CHECK(s.account().tokens.size() == 1);
    CHECK(s.world.troubles.empty());
    REQUIRE(s.rec().current);
    CHECK(s.rec().current->token_id != id);
    CHECK(s.rec().confirmed == s.rec().current->fingerprint);
}

TEST_CASE("two processes that wrote one record at the same instant: one makes it single, before anything else") {
    scene s;
    stopped_before(s, "mint");
    s.state().doubled.insert("probe");
    auto makes_single = [](const judgement& j) {
        REQUIRE(j.steps.size() == 1);
        const auto* written = std::get_if<steps::write_record>(&j.steps[0].what);
        REQUIRE(written != nullptr);
        CHECK(written->doubled);
        CHECK(j.steps[0].reason == "DuplicateKey");
        CHECK(written->value.pending);
    };
    SUBCASE("it is its own that counts") {
        makes_single(s.ask());
        CHECK(s.settle().back() == "confirm");
        CHECK(s.account().tokens.size() == 1);
    }
    SUBCASE("it is the other's: that one has until its deadline, then the world is read again") {
        const auto deadline = s.rec().pending->deadline;
        s.restart();
        auto j = s.ask();
        CHECK(j.steps.empty());
        CHECK(j.wake == deadline);
        CHECK(reason_at(j, "ServiceToken/probe", "Provisioned") == "ForeignIntent");
        CHECK(says(told(j, "ServiceToken/probe", "Provisioned"), "began at the same instant"));
        s.now = deadline;
        j = s.ask();
        CHECK(j.steps.empty());
        CHECK(j.refresh);
        s.world.seen_at = s.now;
        makes_single(s.ask());
    }
    SUBCASE("nothing was intended") {
        s.rec().pending->holder = s.world.holder;
        s.settle();
        s.state().doubled.insert("probe");
        auto j = s.ask();
        REQUIRE(j.steps.size() == 1);
        effect(s.world, j.steps[0], predicted(s.world, j.steps[0], s.now), s.now);
        CHECK(s.ask().steps.empty());
    }
}

TEST_CASE("in place, a secret that another process has made meanwhile is taken instead of a third") {
    scene s;
    s.wanted.tokens[0].how = strategy::in_place;
    s.settle();
    const auto old = *s.rec().current;
    s.now += hours{8760 - 700};
    s.restart();
    s.how.imagined = false;
    auto come = [&](const step& x) { return predicted(s.world, x, s.now); };
    play(s, come, [](const step& x) { return word(x) == "mint" || word(x) == "rotate"; });
    REQUIRE(s.rec().pending);
    // Half of its time is waited for somebody else's request.
    auto j = s.ask();
    CHECK(j.steps.empty());
    CHECK(j.wake == s.rec().pending->started + seconds{30});
    CHECK(reason_at(j, "ServiceToken/probe", "RotationDue") == "InProgress");
    s.now = *j.wake;
    CHECK(s.ask().refresh);
    s.world.seen_at = s.now;
    s.state().held["probe"]["theirs"] = {"fp-theirs", old.client_id};
    j = s.ask();
    REQUIRE(j.steps.size() == 1);
    REQUIRE(std::holds_alternative<steps::write_record>(j.steps[0].what));
    CHECK(std::get<steps::write_record>(j.steps[0].what).value.pending->nonce == "theirs");
    auto words = play(s, come);
    CHECK(count(words, "rotate") == 0);
    CHECK(count(words, "mint") == 0);
    CHECK(s.rec().current->fingerprint == "fp-theirs");
    CHECK(s.rec().current->token_id == old.token_id);
    CHECK(s.rec().previous == old);
}

TEST_CASE("in place, a secret that never passes gives way to a token beside it, whose own stays") {
    scene s;
    s.wanted.tokens[0].how = strategy::in_place;
    s.settle();
    const auto old = *s.rec().current;
    s.now += hours{8760 - 700};
    s.restart();
    auto come = [&](const step& x) {
        auto o = predicted(s.world, x, s.now);
        const auto* proved = std::get_if<steps::prove>(&x.what);
        if (proved != nullptr && s.rec().pending && proved->fingerprint != old.fingerprint &&
            s.rec().pending->how == strategy::in_place) {
            o.proved->last = verdict::unauthorized;
            o.proved->again = s.now + hours{48};
        }
        return o;
    };
    play(s, come);
    REQUIRE(s.rec().pending);
    next_process(s, hours{25});
    play(s, come);
    next_process(s, hours{1});
    auto words = play(s, come);
    CHECK(s.rec().current->token_id != old.token_id);
    CHECK(s.rec().previous == old);
    CHECK(s.heroku("prod").fingerprint == s.rec().current->fingerprint);
}

TEST_CASE("in place, a second secret is not given up for a host that is down for days") {
    scene s;
    s.wanted.tokens[0].how = strategy::in_place;
    s.settle();
    const auto old = *s.rec().current;
    s.now += hours{8760 - 700};
    s.restart();
    bool down = true;
    auto come = [&](const step& x) {
        auto o = predicted(s.world, x, s.now);
        const auto* proved = std::get_if<steps::prove>(&x.what);
        if (down && proved != nullptr && proved->fingerprint != old.fingerprint) {
            o.proved->last = verdict::origin_error;
            o.proved->again = s.now + hours{48};
        }
        return o;
    };
    play(s, come);
    const auto nonce = s.rec().pending->nonce;
    for (int day = 0; day < 3; ++day) {
        next_process(s, hours{25});
        play(s, come);
        CHECK(s.rec().pending->nonce == nonce);
    }
    down = false;
    next_process(s, hours{1});
    play(s, come);
    CHECK(s.rec().current->nonce == nonce);
    CHECK(s.rec().current->token_id == old.token_id);
}

TEST_CASE("a credential that the consumers' key holds stays in its policies, though its write-once key is gone") {
    scene s;
    const auto taken = stopped_before(s, "promote");
    effect(s.world, taken, predicted(s.world, taken, s.now), s.now);
    s.state().held["probe"].clear();
    next_process(s, hours{1});
    auto words = play(s, [&](const step& x) { return predicted(s.world, x, s.now); });
    CHECK(is_named(s.account(), s.account().tokens.at(0).id));
    CHECK(count(words, "delete-token") == 0);
    CHECK(s.account().tokens.at(0).enabled);
}

TEST_CASE("a write-once key that hides its value is nobody's to replace") {
    scene s;
    stopped_before(s, "bind");
    for (auto& [nonce, value] : s.state().held["probe"])
        value = {"", "", true, false};
    next_process(s, minutes{2});
    auto j = s.ask();
    CHECK(j.steps.empty());
    CHECK(reason_at(j, "ServiceToken/probe", "Provisioned") == "ValueHidden");
    CHECK(says(told(j, "ServiceToken/probe", "Provisioned"), "probe." + s.rec().pending->nonce));
    CHECK(told(j, "ServiceToken/probe", "Provisioned").heft == weight::blocked);
}

TEST_CASE("the consumers' key that cannot be read, or that stands there twice, is not written to") {
    struct row {
        vault_value shown;
        const char* reason;
    };
    for (const auto& r : {row{{"", "", true, false}, "ValueHidden"}, row{{"x", "", false, true}, "DuplicateKey"}}) {
        INFO(r.reason);
        scene fresh;
        stopped_before(fresh, "promote");
        fresh.folder().values["CF_PROBE"] = r.shown;
        CHECK(fresh.settle().empty());
        CHECK(reason_at(fresh.ask(), "ServiceToken/probe", "Provisioned") == r.reason);
        auto later = provisioned();
        later.folder().values["CF_PROBE"] = r.shown;
        CHECK(later.settle().empty());
        CHECK(reason_at(later.ask(), "ServiceToken/probe", "Provisioned") == r.reason);
        CHECK(told(later.ask(), "ServiceToken/probe", "Provisioned").heft == weight::blocked);
    }
    auto gone = provisioned();
    gone.folder() = {};
    CHECK(gone.settle().empty());
    CHECK(reason_at(gone.ask(), "ServiceToken/probe", "Provisioned") == "FolderMissing");
}

TEST_CASE("a working credential in the key that the document names now is left there; one that is dead gives way") {
    for (bool works : {true, false}) {
        CAPTURE(works);
        auto s = provisioned();
        s.wanted.tokens[0].key = "CF_OTHER";
        s.wanted.tokens[0].authorization = "I authorize CF_OTHER";
        s.folder().values["CF_OTHER"] = {"fp-theirs", "of another account.access"};
        auto come = [&](const step& x) {
            auto o = predicted(s.world, x, s.now);
            const auto* proved = std::get_if<steps::prove>(&x.what);
            if (!works && proved != nullptr && proved->fingerprint == "fp-theirs") {
                o.proved->last = verdict::forbidden;
                o.proved->rounds = 2;
                o.proved->again = s.now + hours{1};
            }
            return o;
        };
        play(s, come);
        const auto& shown = s.folder().values["CF_OTHER"].fingerprint;
        if (works) {
            CHECK(shown == "fp-theirs");
            CHECK(reason_at(s.ask(), "ServiceToken/probe", "Provisioned") == "KeyTaken");
            CHECK(says(told(s.ask(), "ServiceToken/probe", "Provisioned"), "a working credential"));
        } else {
            CHECK(shown == s.rec().current->fingerprint);
        }
    }
}

TEST_CASE("a token that is kept for another document is taken over by none") {
    scene s;
    s.account().tokens = {token("tok-1", "by hand")};
    s.folder().values["CF_PROBE"] = {"fp", "tok-1.access"};
    record theirs;
    theirs.source = "another repository";
    theirs.current = credential{"n1", "tok-1", "tok-1.access", "fp"};
    s.state().records["elsewhere"] = theirs;
    CHECK(count(s.settle(), "hold") == 0);
    auto j = s.ask();
    CHECK(reason_at(j, "ServiceToken/probe", "Provisioned") == "ClaimedElsewhere");
    CHECK(says(told(j, "ServiceToken/probe", "Provisioned"), "of source another repository"));
    // From that source, and of the same place, it is the same document under another name.
    s.wanted.source = theirs.source;
    auto& kept = s.state().records["elsewhere"];
    kept.account = "raxx";
    kept.path = "/creds";
    kept.key = "CF_OTHER";
    CHECK(s.settle().empty());
    kept.key = "CF_PROBE";
    CHECK(s.settle().back() == "confirm");
    CHECK(s.rec().current->token_id == "tok-1");
}

TEST_CASE("what is adopted where Postern has no folder yet gets that first") {
    scene s;
    s.wanted.heroku_bindings.clear();
    s.state().initialised = false;
    s.account().tokens = {token("tok-1", "by hand")};
    s.folder().values["CF_PROBE"] = {"fp", "tok-1.access"};
    auto words = s.settle();
    const auto at = [&](const char* w) { return std::find(words.begin(), words.end(), w) - words.begin(); };
    CHECK(count(words, "initialise") == 1);
    CHECK(at("initialise") < at("hold"));
    CHECK(words.back() == "confirm");
    CHECK(s.rec().current->token_id == "tok-1");
}

} // namespace chain_test
