#include "world.hpp"

namespace proving_test {

// What is said, and done, where a credential has not passed a host.

using namespace postern;
using namespace postern::domain;
using namespace postern::domain::testing;
using std::chrono::hours;
using std::chrono::minutes;

namespace {

// A new credential that is bound; its proofs are not made.
scene bound() {
    scene s;
    for (int i = 0; i < 100; ++i) {
        auto j = s.ask();
        std::erase_if(j.steps, [](const step& x) { return word(x) == "prove"; });
        if (j.steps.empty())
            return s;
        effect(s.world, j.steps[0], predicted(s.world, j.steps[0], s.now), s.now);
    }
    FAIL("no fixed point");
    return s;
}

proof came(verdict last, int rounds, instant again) {
    proof p;
    p.last = last;
    p.rounds = rounds;
    p.detail = "what was seen";
    p.again = again;
    return p;
}

bool proves(const judgement& j, const std::string& host) {
    return std::any_of(j.steps.begin(), j.steps.end(), [&](const step& x) {
        const auto* p = std::get_if<steps::prove>(&x.what);
        return p != nullptr && p->host == host;
    });
}

} // namespace

TEST_CASE("what stands in a credential's way decides whether waiting helps, and what is said") {
    struct row {
        verdict last;
        const char* reason;
        weight heft;
        const char* words;
    };
    for (const auto& r : {
             row{verdict::public_path, "ProofFailed", weight::failed, "what was seen"},
             row{verdict::not_access, "ProofFailed", weight::failed, "what was seen"},
             row{verdict::firewall, "ProofFailed", weight::failed, "what was seen"},
             row{verdict::unexpected, "ProofFailed", weight::failed, "what was seen"},
             row{verdict::origin_error, "Unavailable", weight::waiting, "is the app behind the host up?"},
             row{verdict::unreachable, "Unavailable", weight::waiting, "does the host's name resolve from here"},
             row{verdict::login_redirect, "Propagating", weight::waiting, "does not let the credential pass yet"},
             row{verdict::unauthorized, "Propagating", weight::waiting, "does not let the credential pass yet"},
             row{verdict::forbidden, "Propagating", weight::waiting, "does not let the credential pass yet"},
         }) {
        CAPTURE(static_cast<int>(r.last));
        auto s = bound();
        const auto& made = s.state().held.at("probe").begin()->second.fingerprint;
        const auto again = s.now + minutes{1};
        s.world.proofs[{"one.raxx.app", "/health", made}] = came(r.last, 1, again);
        s.world.proofs[{"two.raxx.app", "/health", made}] = came(verdict::passed, 1, {});
        auto j = s.ask();
        CHECK(j.steps.empty());
        const auto* c = find(j, "ServiceToken/probe", "Verified");
        REQUIRE(c != nullptr);
        CHECK(c->reason == r.reason);
        CHECK(c->heft == r.heft);
        CHECK_MESSAGE(c->message.find(r.words) != std::string::npos, c->message);
        CHECK(c->message.find("https://one.raxx.app/health") != std::string::npos);
        const bool waits = r.heft == weight::waiting;
        CHECK(j.wake.has_value() == waits);
        s.now = again;
        CHECK(proves(s.ask(), "one.raxx.app") == waits);
        CHECK(!s.folder().values.contains("CF_PROBE"));
    }
}

TEST_CASE("one host that waits for a person keeps the credential from everybody, and the other hosts are asked") {
    auto s = bound();
    const auto made = s.state().held.at("probe").begin()->second.fingerprint;
    s.world.proofs[{"one.raxx.app", "/health", made}] = came(verdict::public_path, 1, {});
    CHECK(proves(s.ask(), "two.raxx.app"));
    s.settle();
    CHECK(!s.folder().values.contains("CF_PROBE"));
    CHECK(s.heroku("prod").absent);
    s.restart(); // and mended
    CHECK(s.settle().back() == "confirm");
}

TEST_CASE("nothing is proved over an application that is not to be found any more") {
    scene s;
    s.settle();
    s.restart();
    s.wanted.bindings[0].applications[1].text = "gone.raxx.app";
    s.folder().values["CF_PROBE"] = {"somebody's", ""};
    auto j = s.ask();
    CHECK(reason_at(j, "AccessBinding/probe", "Bound") == "ApplicationNotFound");
    s.settle();
    CHECK(s.folder().values.at("CF_PROBE").fingerprint == "somebody's");
    CHECK(reason_at(s.ask(), "ServiceToken/probe", "Provisioned") == "VaultDrift");
}

TEST_CASE("where a policy's other rules may keep the token out, a refusal is no sign that the credential is dead") {
    for (bool narrowed : {true, false}) {
        CAPTURE(narrowed);
        scene s;
        s.settle();
        s.restart();
        const auto ours = *s.rec().current;
        for (auto i : {0U, 1U}) {
            if (narrowed)
                s.application(i).policies.at(1).require = {of_person("country DE")};
        }
        s.folder().values["CF_PROBE"] = {"somebody's", ""};
        for (const auto* host : {"one.raxx.app", "two.raxx.app"})
            s.world.proofs[{host, "/health", ours.fingerprint}] = came(verdict::forbidden, 2, s.now + hours{48});
        s.settle();
        CHECK(s.account().tokens.size() == (narrowed ? 1U : 2U));
        CHECK(s.folder().values.at("CF_PROBE").fingerprint ==
              (narrowed ? std::string{"somebody's"} : s.rec().current->fingerprint));
        if (narrowed)
            CHECK(find(s.ask(), "AccessBinding/probe", "Bound")->message.find("has a require or exclude rule") !=
                  std::string::npos);
    }
}

} // namespace proving_test
