#include "run/plan.hpp"

#include <boost/asio/this_coro.hpp>

#include <utility>

namespace postern::run {

namespace asio = boost::asio;

result<std::vector<domain::step>> unfold(const domain::desired& wanted, domain::observed world, domain::settings how,
                                         instant now) {
    constexpr int most_rounds = 200;
    how.imagined = true;
    std::vector<domain::step> out;
    for (int round = 0; round < most_rounds; ++round) {
        auto judged = domain::next(wanted, world, how, now);
        if (judged.steps.empty())
            return out;
        for (auto& s : judged.steps) {
            domain::effect(world, s, domain::predicted(world, s, now), now);
            if (domain::writes(s))
                out.push_back(std::move(s));
        }
    }
    return error{error_kind::bug, "plan", "no end within " + std::to_string(most_rounds) + " rounds", 0, {}, {}};
}

asio::awaitable<plan> make_plan(surroundings around, gatherer& reader, domain::observed& world, stop& halt,
                                progress& watcher, pass_settings settings) {
    settings.takes = extent::looks;
    auto executor = co_await asio::this_coro::executor;
    pass looks{around, reader, world, halt, watcher, settings, executor};
    auto looking = looks.run();
    auto report = co_await std::move(looking);
    plan out;
    out.conditions = std::move(report.last.conditions);
    out.wake = report.last.wake;
    out.interrupted = report.interrupted;
    out.failure = std::move(report.unsettled);
    if (out.interrupted || out.failure)
        co_return out;
    auto steps = unfold(around.wanted, world, settings.how, around.clock.now());
    if (steps.has_error())
        out.failure = steps.error();
    else
        out.steps = std::move(steps.value());
    co_return out;
}

} // namespace postern::run
