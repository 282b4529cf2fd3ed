// core_bench: what the pure core costs, in processor time of one thread, without any I/O.
//
//   core_bench TOKENS...
//
// For each number: so many service tokens, each bound to 2 of 200 applications and 1 of 100 Heroku apps. One line of
// JSON each: "plan" is the whole plan of a world that is as declared, "from nothing" the one of a world that has none
// of it yet (its "rounds" are judgements), "next" one judgement in the middle of provisioning, when a third of the
// tokens are done, a third is under way and a third has not begun. Milliseconds, the best of a few. Exits 1 where a
// plan is not what it must be: no step where all is as declared, and every token minted, bound and delivered from
// nothing.
#include "domain/next.hpp"
#include "run/plan.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <string>

namespace {

using namespace postern;
using namespace postern::domain;

constexpr std::size_t tokens_each = 10; // of an application, of an app
const instant now = *parse_instant("2026-11-23T10:00:00Z");

std::string host(std::size_t i) {
    return "site-" + std::to_string(i) + ".raxx.app";
}
std::string app(std::size_t i) {
    return "estate-app-" + std::to_string(i);
}

std::size_t applications_of(std::size_t tokens) {
    return std::max<std::size_t>(2, 2 * tokens / tokens_each);
}
std::size_t apps_of(std::size_t tokens) {
    return std::max<std::size_t>(1, tokens / tokens_each);
}

void add_token(desired& to, std::size_t i, std::size_t tokens) {
    const auto applications = applications_of(tokens);
    service_token t;
    t.name = "estate-" + std::to_string(i);
    t.account = "raxx";
    t.vault = "infisical";
    t.display_name = t.name;
    t.duration_text = "8760h";
    t.lifetime = std::chrono::hours{8760};
    t.key = "CF_ESTATE_" + std::to_string(i);
    t.authorization = "I authorize " + t.key;
    t.path = "/MooseQuest/cloudflare";
    t.renew_before = std::chrono::hours{720};
    t.overlap = std::chrono::hours{48};
    access_binding b;
    b.name = t.name;
    b.account = "raxx";
    b.tokens = {t.name};
    b.policy_name = t.name + " (service token)";
    b.applications = {{application_ref::kind::domain, host(i % applications)},
                      {application_ref::kind::domain, host((i * 7 + 1) % applications)}};
    if (b.applications[0] == b.applications[1])
        b.applications[1].text = host((i + 1) % applications);
    heroku_binding h;
    h.name = t.name;
    h.account = "heroku";
    h.token = t.name;
    h.apps = {app(i % apps_of(tokens))};
    h.config_var = t.key;
    to.tokens.push_back(std::move(t));
    to.bindings.push_back(std::move(b));
    to.heroku_bindings.push_back(std::move(h));
}

desired documents(std::size_t tokens) {
    desired d;
    d.source = "specs";
    cloudflare_account account;
    account.name = "raxx";
    for (std::size_t i = 0; i < applications_of(tokens); ++i)
        account.applications.push_back(host(i));
    d.cloudflare.push_back(std::move(account));
    infisical_vault vault;
    vault.name = "infisical";
    vault.state_path = "/MooseQuest/postern";
    d.vaults.push_back(std::move(vault));
    heroku_account heroku;
    heroku.name = "heroku";
    d.heroku.push_back(std::move(heroku));
    for (std::size_t i = 0; i < tokens; ++i)
        add_token(d, i, tokens);
    return d;
}

observed empty_world(const desired& wanted) {
    const auto tokens = wanted.tokens.size();
    observed world;
    account_view account;
    account.id = "a";
    for (std::size_t i = 0; i < applications_of(tokens); ++i) {
        live_application a;
        a.id = "0b55d01b-592b-4da4-b170-" + std::to_string(100000000000 + i);
        a.name = host(i);
        a.type = "self_hosted";
        a.destinations = {host(i)};
        live_policy people;
        people.id = "people-" + std::to_string(i);
        people.name = "people";
        people.decides = decision::allow;
        people.precedence = 1;
        people.version = "1";
        people.include = {{rule::kind::other, {}, R"({"email_domain":{"domain":"raxx.app"}})"}};
        a.policies = {std::move(people)};
        account.applications.push_back(std::move(a));
    }
    world.accounts["raxx"].seen = std::move(account);
    vault_view vault;
    vault.state.seen.emplace();
    vault.state->initialised = true;
    vault.state->installation = "0123456789ab";
    vault.folders["/MooseQuest/cloudflare"].seen = folder_view{.exists = true, .values = {}};
    world.vaults["infisical"].seen = std::move(vault);
    heroku_view heroku;
    for (std::size_t i = 0; i < apps_of(tokens); ++i)
        heroku.apps[app(i)].seen.emplace();
    for (const auto& b : wanted.heroku_bindings)
        heroku.apps[b.apps.front()]->values[b.name] = {};
    world.heroku["heroku"].seen = std::move(heroku);
    world.holder = "bench";
    world.salt = "5a17";
    world.seen_at = now;
    return world;
}

// Takes the steps as they are predicted, but for those of tokens that `takes` refuses; so many rounds at most.
template<class Takes>
std::size_t play(const desired& wanted, observed& world, std::size_t most, Takes takes) {
    settings how;
    how.imagined = true;
    for (std::size_t round = 0; round < most; ++round) {
        auto steps = next(wanted, world, how, now).steps;
        std::erase_if(steps, [&](const step& s) {
            return !takes(std::strtoul(s.resource.substr(s.resource.rfind('-') + 1).c_str(), nullptr, 10));
        });
        if (steps.empty())
            return round + 1;
        for (const auto& s : steps)
            effect(world, s, predicted(world, s, now), now);
    }
    return most;
}

double milliseconds() {
    timespec at{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &at);
    return static_cast<double>(at.tv_sec) * 1e3 + static_cast<double>(at.tv_nsec) / 1e6;
}

template<class Work>
double best_of(int times, Work work) {
    double best = 1e300;
    for (int i = 0; i < times; ++i) {
        const auto began = milliseconds();
        work();
        best = std::min(best, milliseconds() - began);
    }
    return best;
}

bool measure(std::size_t tokens) {
    const auto wanted = documents(tokens);
    const auto nothing = empty_world(wanted);
    auto done = nothing;
    const auto rounds = play(wanted, done, 200, [](std::size_t) { return true; });
    auto halfway = nothing;
    play(wanted, halfway, 200, [&](std::size_t i) { return i % 3 == 0; });
    play(wanted, halfway, 4, [&](std::size_t i) { return i % 3 == 1; });

    std::size_t steps = 0;
    std::size_t left = 0;
    // The daemon and `plan` look at a steady world with no proof in hand, and prove nothing that owes none.
    done.proofs.clear();
    done.touched.clear();
    const auto plan = best_of(5, [&] {
        auto made = run::unfold(wanted, done, {}, now);
        left = made.has_value() ? made->size() : 1;
    });
    const auto from_nothing = best_of(tokens > 2000 ? 1 : 3, [&] {
        auto made = run::unfold(wanted, nothing, {}, now);
        steps = made.has_value() ? made->size() : 0;
    });
    const auto once = best_of(5, [&] { next(wanted, halfway, {}, now); });
    std::printf("{\"tokens\":%zu,\"plan\":%.3f,\"from nothing\":%.3f,\"rounds\":%zu,\"steps\":%zu,\"next\":%.3f}\n",
                tokens, plan, from_nothing, rounds, steps, once);
    std::fflush(stdout);
    return left == 0 && steps >= 8 * tokens;
}

} // namespace

int main(int argc, char** argv) {
    if (argc < 2) {
        std::fputs("usage: core_bench TOKENS...\n", stderr);
        return 2;
    }
    bool fine = true;
    for (int i = 1; i < argc; ++i)
        fine = measure(std::strtoul(argv[i], nullptr, 10)) && fine;
    return fine ? 0 : 1;
}
