#include "run/pass.hpp"

#include "run/fenced_transport.hpp"
#include "run/plan.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/strand.hpp>

#include <algorithm>
#include <exception>
#include <iterator>
#include <utility>

namespace postern::run {

namespace asio = boost::asio;

namespace {

// next() looks at every document: with thousands of them it is not asked after each of many small steps, and never
// takes more than a part of the time.
constexpr auto judge_at_least_every = std::chrono::milliseconds{50};
constexpr int shortest_rest = 10; // times what the last judgement took
constexpr int most_idle_readings = 5;
constexpr std::size_t most_under_way = 4; // times `at_once`, those that rest included

// New intents come last: what was begun is finished first, well before anybody's deadline.
bool begins_something(const domain::step& s) {
    const auto* record = std::get_if<domain::steps::write_record>(&s.what);
    return record != nullptr && record->stage == "intend";
}

// The Cloudflare account that a step asks something of; empty where it asks none.
struct account_finder {
    std::string operator()(const domain::steps::deliver&) const { return {}; }
    std::string operator()(const domain::steps::await_release&) const { return {}; }
    std::string operator()(const domain::steps::look_releases&) const { return {}; }
    template<class Step>
    std::string operator()(const Step& s) const {
        if constexpr (requires { s.account; })
            return s.account;
        else
            return {};
    }
};

std::optional<instant> sooner(std::optional<instant> a, std::optional<instant> b) {
    return a && b ? std::min(a, b) : a ? a : b;
}

bool is_taken(const domain::step& writing, extent takes) {
    return takes == extent::all || (takes == extent::requests && domain::word(writing) == "request");
}

// Whether the records, as last read, tell of a credential on its way.
bool is_rotating(const domain::observed& world) {
    auto is_under_way = [](const auto& named) {
        const domain::record& r = named.second;
        return r.pending || (r.request && !r.request->done) || (r.current && !r.reason.empty());
    };
    return std::any_of(world.vaults.begin(), world.vaults.end(), [&](const auto& named) {
        const auto& vault = named.second;
        return vault && vault->state &&
               std::any_of(vault->state->records.begin(), vault->state->records.end(), is_under_way);
    });
}

// Whether a part of the world was not read for such a reason.
bool any_unread(const domain::observed& world, error_kind why) {
    auto cut = [why](const auto& of) { return of.failure && of.failure->kind == why; };
    auto any = [&](const auto& all) {
        return std::any_of(all.begin(), all.end(), [&](const auto& named) { return cut(named.second); });
    };
    return any(world.accounts) || any(world.vaults) || any(world.heroku) ||
           std::any_of(world.vaults.begin(), world.vaults.end(),
                       [&](const auto& vault) {
                           return vault.second && (cut(vault.second->state) || any(vault.second->folders));
                       }) ||
           std::any_of(world.heroku.begin(), world.heroku.end(),
                       [&](const auto& account) { return account.second && any(account.second->apps); });
}

bool passed(const domain::outcome& came) {
    return came.proved && came.proved->last == domain::verdict::passed;
}

// After so many no fixed point is hoped for.
std::size_t most_steps_for(const domain::desired& wanted) {
    std::size_t objects = wanted.tokens.size();
    for (const auto& binding : wanted.bindings)
        objects += binding.applications.size() * std::max<std::size_t>(1, binding.tokens.size());
    for (const auto& binding : wanted.heroku_bindings)
        objects += binding.apps.size();
    return 200 + 60 * objects;
}

domain::outcome outcome_of(std::exception_ptr thrown) {
    std::string what = "unknown exception";
    try {
        std::rethrow_exception(std::move(thrown));
    } catch (const std::exception& e) {
        what = e.what();
    } catch (...) {
    }
    return failed({error_kind::bug, "execute", what, 0, {}, {}});
}

} // namespace

pass::pass(surroundings around, gatherer& reader, domain::observed& world, net::stop& halt, progress& watcher,
           pass_settings settings, const asio::any_io_executor& executor)
    : around_(around), reader_(reader), world_(world), halt_(halt), watcher_(watcher), settings_(settings),
      executor_(executor), hands_(around, world, halt), bell_(executor), most_steps_(most_steps_for(around.wanted)) {
    hands_.on_rest = [this] { bell_.ring(); };
}

// The steps that are under way refer to this object: whatever is thrown waits for their end.
asio::awaitable<pass_report> pass::run() {
    std::exception_ptr thrown;
    try {
        auto work = go_on();
        co_await std::move(work);
    } catch (...) {
        thrown = std::current_exception();
    }
    while (running_ > 0) {
        auto ring = bell_.wait();
        co_await std::move(ring);
    }
    if (thrown)
        std::rethrow_exception(thrown);
    co_return std::move(report_);
}

asio::awaitable<void> pass::go_on() {
    changed();
    // What passed before this pass may have died since, in the plan that an operator took a while to read.
    world_.proofs.clear();
    world_.refusals.clear();
    auto first = read_world();
    co_await std::move(first);
    for (;;) {
        take_in();
        if (should_judge())
            judge();
        start();
        if (running_ > 0) {
            auto ring = bell_.wait();
            co_await std::move(ring);
            continue;
        }
        if (is_stopping()) {
            report_.interrupted = true;
            break;
        }
        if (report_.unsettled)
            break;
        if (world_.stale || (report_.last.refresh && !dirty_)) {
            if (!may_read_again())
                break;
            auto again = read_world();
            co_await std::move(again);
            continue;
        }
        if (dirty_)
            continue;
        const auto room = crowded_reading();
        const auto wake = sooner(sooner(report_.last.wake, held_back_), room);
        if (settings_.takes != extent::all || !wake || *wake > give_up_) {
            report_.last.wake = wake; // when another pass has more to do than this one
            break;
        }
        auto waiting = wait_until(*wake);
        co_await std::move(waiting);
        world_.stale = world_.stale || (room && *room <= around_.clock.now());
    }
    report_.cut_short = report_.interrupted && any_unread(world_, error_kind::cancelled);
    if (report_.cut_short)
        co_return;
    if (report_.interrupted)
        report_.last = domain::next(around_.wanted, world_, settings_.how, around_.clock.now());
    tell_all_observed(report_.last.conditions, around_.wanted, world_, settings_.how, around_.clock.now());
}

asio::awaitable<void> pass::wait_until(instant wake) {
    watcher_.waiting(wake, report_.last.conditions);
    auto sleep = halt_.sleep_for(around_.clock, std::min(wake - around_.clock.now(), settings_.wait));
    co_await std::move(sleep);
    dirty_ = true;
}

// An account that could only not be read because it had no room is read again when it has.
std::optional<instant> pass::crowded_reading() const {
    std::optional<instant> first;
    for (const auto& [name, account] : world_.accounts) {
        if (account.failure && account.failure->kind == error_kind::throttled && account.failure->retry_after)
            first = sooner(first, world_.seen_at + *account.failure->retry_after);
    }
    return first;
}

asio::awaitable<void> pass::read_world() {
    watcher_.gathering();
    queue_.clear();
    auto& trail = around_.remotes.trail();
    trail.look_for(waits_for_reading());
    auto reading = reader_.gather(std::move(world_));
    world_ = co_await std::move(reading);
    trail.look_for(net::urgency::refresh);
    dirty_ = true;
}

// Where there was no room to read, a credential that is on its way would never come to where it is used: then it is
// read for as urgently as it is moved. Elsewhere a reading leaves what is reserved for what is urgent, and one that
// waits for a person does not hurry it.
net::urgency pass::waits_for_reading() const {
    if (settings_.takes != extent::all)
        return net::urgency::refresh;
    const bool starves = is_rotating(world_) && any_unread(world_, error_kind::throttled);
    return starves ? net::urgency::rotation : urgent_;
}

bool pass::may_read_again() {
    if (++idle_readings_ <= most_idle_readings)
        return true;
    report_.unsettled = error{error_kind::unavailable,
                              "pass",
                              "the world was read " + std::to_string(most_idle_readings) +
                                  " times in a row without anything changing for the better",
                              0,
                              {},
                              {}};
    return false;
}

bool pass::should_judge() const {
    if (!dirty_ || world_.stale || is_stopping() || report_.unsettled)
        return false;
    return queue_.size() <= room() || running_ == 0 || std::chrono::steady_clock::now() >= judge_again_;
}

void pass::judge() {
    const auto started = std::chrono::steady_clock::now();
    // Two judgements of thousands of tokens need not be in memory at once.
    queue_.clear();
    report_.last = {};
    report_.last = domain::next(around_.wanted, world_, settings_.how, around_.clock.now(), busy_);
    std::vector<domain::step> beginnings;
    for (auto& s : std::exchange(report_.last.steps, {})) {
        if (domain::writes(s) && !is_taken(s, settings_.takes))
            continue;
        if (domain::writes(s))
            urgent_ = std::min(urgent_, lane_of(s));
        if (begins_something(s))
            beginnings.push_back(std::move(s));
        else
            queue_.push_back(std::move(s));
    }
    std::move(beginnings.begin(), beginnings.end(), std::back_inserter(queue_));
    dirty_ = false;
    const auto ended = std::chrono::steady_clock::now();
    judge_again_ =
        ended + std::max<std::chrono::steady_clock::duration>(judge_at_least_every, (ended - started) * shortest_rest);
}

// For how many more steps.
std::size_t pass::room() const {
    const auto working = running_ - hands_.resting();
    const auto most = most_under_way * settings_.at_once;
    return std::min(settings_.at_once - std::min(settings_.at_once, working), most - std::min(most, running_));
}

bool pass::free(const domain::step& s) const {
    return std::none_of(s.locks.begin(), s.locks.end(), [&](const auto& lock) { return busy_.contains(lock); });
}

// An intent has a deadline: it is not written where what it is for could not be sent before.
bool pass::is_held_back(const domain::step& s) {
    if (crowded_.empty() || !begins_something(s))
        return false;
    auto crowd = crowded_.find(std::get<domain::steps::write_record>(s.what).value.account);
    if (crowd == crowded_.end() || around_.clock.now() >= crowd->second)
        return false;
    held_back_ = sooner(held_back_, crowd->second);
    return true;
}

void pass::start() {
    held_back_.reset();
    if (world_.stale || is_stopping() || report_.unsettled)
        return;
    for (auto at = queue_.begin(); at != queue_.end() && room() > 0;) {
        if (!free(*at) || is_held_back(*at)) {
            ++at;
            continue;
        }
        auto s = std::move(*at);
        at = queue_.erase(at);
        if (++taken_ > most_steps_) {
            report_.unsettled = error{error_kind::bug,
                                      "pass",
                                      "no fixed point within " + std::to_string(most_steps_) + " steps; the last was " +
                                          domain::word(s) + " " + s.target,
                                      0,
                                      {},
                                      {}};
            return;
        }
        begin(std::move(s));
    }
}

void pass::begin(domain::step s) {
    watcher_.started(s);
    busy_.insert(s.locks.begin(), s.locks.end());
    ++running_;
    // An executor of its own: by it the requests that are sent for the step are told from all others.
    const asio::any_io_executor work = asio::make_strand(executor_);
    around_.remotes.trail().begin(work, lane_of(s));
    auto ended = [this, s, work](std::exception_ptr thrown, domain::outcome came) {
        --running_;
        ended_.emplace_back(s, thrown ? outcome_of(std::move(thrown)) : std::move(came));
        ended_.back().second.requests = around_.remotes.trail().take(work);
        bell_.ring();
    };
    asio::co_spawn(work, hands_.execute(std::move(s)), std::move(ended));
}

void pass::changed() {
    give_up_ = around_.clock.now() + settings_.wait;
    hands_.give_up_at(give_up_);
    idle_readings_ = 0;
}

void pass::take_in() {
    for (auto& [s, came] : std::exchange(ended_, {}))
        take_in(s, std::move(came));
}

void pass::take_in(const domain::step& s, domain::outcome came) {
    for (const auto& lock : s.locks)
        busy_.erase(lock);
    dirty_ = true;
    watcher_.finished(s, came);
    if (came.failure)
        report_.failures.emplace_back(s, *came.failure);
    if (came.failure && came.failure->kind == error_kind::throttled && came.failure->retry_after) {
        if (auto account = std::visit(account_finder{}, s.what); !account.empty()) {
            auto& until = crowded_[account];
            until = std::max(until, around_.clock.now() + *came.failure->retry_after);
        }
    }
    if (came.failure && came.failure->kind == error_kind::cancelled) {
        fenced_ = fenced_ || came.failure->code == fenced_code;
        return;
    }
    if (came.failure && came.failure->kind == error_kind::credential && !keys_reread_) {
        keys_reread_ = true;
        world_.stale = true;
        return;
    }
    if (!came.failure && !came.awaiting_approval && (domain::writes(s) || passed(came))) {
        changed();
        report_.changes += domain::writes(s) ? 1 : 0;
    }
    domain::effect(world_, s, came, around_.clock.now());
}

} // namespace postern::run
