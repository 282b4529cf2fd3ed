#include "provider/edge.hpp"
#include "run/execute.hpp"

#include <algorithm>
#include <utility>

namespace postern::run {

namespace asio = boost::asio;
using domain::outcome;
using domain::verdict;

namespace {

constexpr int passes_in_a_row = 2;
constexpr duration first_back_off = std::chrono::seconds{5};
constexpr duration longest_back_off = std::chrono::seconds{60};

bool refused_by_access(verdict v) {
    return v == verdict::login_redirect || v == verdict::unauthorized || v == verdict::forbidden;
}

duration back_off(int rounds) {
    return rounds > 3 ? longest_back_off : std::min(longest_back_off, first_back_off * (1 << rounds));
}

std::string aud_of(const domain::observed& world, const std::string& application) {
    for (const auto& [name, account] : world.accounts) {
        if (!account)
            continue;
        for (const auto& app : account->applications) {
            if (app.id == application)
                return app.aud;
        }
    }
    return {};
}

} // namespace

// An attempt is a stranger's knock, until one was refused the way Access refuses, and then the credential's, which has
// to pass twice in a row. A host that lets a stranger in, or that refuses in its own way, never sees the credential.
// There are fewer attempts where somebody does not want to wait for them.
executor::task executor::take(domain::steps::prove s) {
    const secret* known = around_.ring.find(s.fingerprint);
    if (known == nullptr)
        co_return failed(lacks_secret("prove " + s.host, s.fingerprint));
    auto credential = known->copy();
    const domain::proof_key key{s.host, s.path, s.fingerprint};
    auto before = world_.proofs.find(key);
    domain::proof found;
    found.rounds = before == world_.proofs.end() ? 0 : before->second.rounds;

    const auto aud = aud_of(world_, s.application);
    bool guarded = false;
    int passes = 0;
    for (int attempt = 0; attempt < s.attempts && passes < passes_in_a_row;) {
        provider::knock at{s.host, s.path, s.expect_status, around_.remotes.connect_to(), aud};
        auto knocked = guarded ? provider::knock_with(around_.remotes.edge(), std::move(at), credential.copy())
                               : provider::knock_as_stranger(around_.remotes.edge(), std::move(at));
        auto answer = co_await std::move(knocked);
        if (guarded)
            found.at = around_.clock.now();
        found.last = answer.is;
        found.detail = answer.detail;
        if (!guarded && refused_by_access(answer.is)) {
            guarded = true;
            continue;
        }
        if (guarded && answer.is == verdict::passed) {
            ++passes;
            continue;
        }
        passes = 0;
        if (++attempt == s.attempts || around_.clock.now() + s.interval > give_up_)
            break;
        auto sleep = halt_.sleep_for(around_.clock, s.interval);
        co_await std::move(sleep);
        if (halt_.asked())
            co_return failed({error_kind::cancelled, "prove " + s.host, "somebody asked to stop", 0, {}, {}});
    }
    if (passes < passes_in_a_row) {
        ++found.rounds;
        found.again = around_.clock.now() + back_off(found.rounds);
    }
    outcome out;
    out.proved = std::move(found);
    co_return out;
}

// The same knocks, until the credential is refused. Access may not have heard of its end yet.
executor::task executor::take(domain::steps::try_retired s) {
    const secret* known = around_.ring.find(s.fingerprint);
    if (known == nullptr)
        co_return failed(lacks_secret("try " + s.host, s.fingerprint));
    auto credential = known->copy();
    auto before = world_.refusals.find({s.host, s.path, s.fingerprint});
    domain::proof found;
    found.rounds = before == world_.refusals.end() ? 0 : before->second.rounds;
    ++found.rounds;
    const auto aud = aud_of(world_, s.application);
    for (int attempt = 0;;) {
        provider::knock at{s.host, s.path, 0, around_.remotes.connect_to(), aud};
        auto stranger = provider::knock_as_stranger(around_.remotes.edge(), at);
        auto answer = co_await std::move(stranger);
        if (refused_by_access(answer.is)) {
            found.at = around_.clock.now();
            auto knocked = provider::knock_with(around_.remotes.edge(), std::move(at), credential.copy());
            answer = co_await std::move(knocked);
        }
        found.last = answer.is == verdict::unexpected ? verdict::passed : answer.is;
        found.detail = answer.detail;
        if (refused_by_access(found.last) || ++attempt >= s.attempts || around_.clock.now() + s.interval > give_up_)
            break;
        auto sleep = halt_.sleep_for(around_.clock, s.interval);
        co_await std::move(sleep);
        if (halt_.asked())
            co_return failed({error_kind::cancelled, "try " + s.host, "somebody asked to stop", 0, {}, {}});
    }
    found.again = around_.clock.now() + back_off(found.rounds);
    outcome out;
    out.proved = std::move(found);
    co_return out;
}

} // namespace postern::run
