#include "run/plan.hpp"

#include "base/text.hpp"
#include "domain/reason.hpp"

#include <boost/asio/this_coro.hpp>

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <utility>

namespace postern::run {

namespace asio = boost::asio;

result<std::vector<domain::step>> unfold(const domain::desired& wanted, const domain::observed& seen,
                                         domain::settings how, instant now) {
    // A round takes one step per application and app: hundreds of tokens on one of them take as many rounds.
    const auto most_rounds = 200 + 4 * wanted.tokens.size();
    how.imagined = true;
    std::vector<domain::step> out;
    std::optional<domain::observed> world; // as it would be; most often nothing is to be done, and none is needed
    for (std::size_t round = 0; round < most_rounds; ++round) {
        auto judged = domain::next(wanted, world ? *world : seen, how, now);
        if (judged.steps.empty())
            return out;
        if (!world)
            world = seen;
        for (auto& s : judged.steps) {
            domain::effect(*world, s, domain::predicted(*world, s, now), now);
            if (domain::writes(s))
                out.push_back(std::move(s));
        }
    }
    return error{error_kind::bug, "plan", "no end within " + std::to_string(most_rounds) + " rounds", 0, {}, {}};
}

void tell_all_observed(std::vector<domain::condition>& conditions, const domain::desired& wanted,
                       const domain::observed& world, domain::settings how, instant now) {
    auto is_drift = [](const domain::condition& c) {
        return c.type == "Ready" && c.reason == domain::reason::observed_drift;
    };
    if (std::none_of(conditions.begin(), conditions.end(), is_drift))
        return;
    how.released = true;
    auto steps = unfold(wanted, world, std::move(how), now);
    if (steps.has_error())
        return;
    std::map<std::string, std::vector<std::string>> drift;
    for (const auto& s : steps.value()) {
        if (s.observed)
            drift[s.resource].push_back(domain::word(s) + " " + s.target + " (" + s.reason + ")");
    }
    std::erase_if(conditions, [&](const auto& c) {
        return is_drift(c) || (c.type == "Ready" && c.heft == domain::weight::fine && drift.contains(c.resource));
    });
    // One condition per resource and type: what asks for more stays.
    for (const auto& c : conditions) {
        if (c.type == "Ready")
            drift.erase(c.resource);
    }
    for (const auto& [resource, what] : drift)
        conditions.push_back({resource, "Ready", domain::status::false_, std::string{domain::reason::observed_drift},
                              "observed only; would be done: " + join(what, "; "), domain::weight::told});
    std::sort(conditions.begin(), conditions.end(), [](const auto& a, const auto& b) {
        return std::tie(a.resource, a.type, a.reason) < std::tie(b.resource, b.type, b.reason);
    });
}

namespace {

// Pointers, for a coroutine: what they refer to outlives it, as its caller promises.
asio::awaitable<plan> look(surroundings around, gatherer* reader, domain::observed* world, net::stop* halt,
                           progress* watcher, pass_settings settings) {
    settings.takes = extent::looks;
    auto executor = co_await asio::this_coro::executor;
    pass looks{around, *reader, *world, *halt, *watcher, settings, executor};
    auto looking = looks.run();
    auto report = co_await std::move(looking);
    plan out;
    out.conditions = std::move(report.last.conditions);
    out.wake = report.last.wake;
    out.interrupted = report.interrupted;
    out.failure = std::move(report.unsettled);
    if (out.interrupted || out.failure)
        co_return out;
    auto steps = unfold(around.wanted, *world, settings.how, around.clock.now());
    if (steps.has_error())
        out.failure = steps.error();
    else
        out.steps = std::move(steps.value());
    co_return out;
}

} // namespace

asio::awaitable<plan> make_plan(surroundings around, gatherer& reader, domain::observed& world, net::stop& halt,
                                progress& watcher, pass_settings settings) {
    return look(around, &reader, &world, &halt, &watcher, settings);
}

} // namespace postern::run
