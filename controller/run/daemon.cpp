#include "run/daemon.hpp"

#include "base/text.hpp"
#include "domain/reason.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/this_coro.hpp>

#include <algorithm>
#include <exception>
#include <set>
#include <string>
#include <tuple>
#include <utility>

namespace postern::run {

namespace asio = boost::asio;

namespace {

constexpr duration never = duration::max();
constexpr duration longest_wait_in_a_pass = std::chrono::minutes{1};
constexpr duration shortest_gap = std::chrono::seconds{5};
constexpr duration a_while = std::chrono::seconds{30};
constexpr duration after_a_bug = std::chrono::seconds{10};
constexpr duration oldest_trouble = std::chrono::hours{7 * 24};
constexpr duration keys_every = std::chrono::hours{1};
constexpr duration first_approval_wait = std::chrono::hours{1};
constexpr duration longest_approval_wait = std::chrono::hours{24};
constexpr std::size_t most_problems_told = 20;
constexpr std::string_view approval_lock = "approval "; // and "VAULT PATH", beside the locks of steps

// A step that failed and is tried again has failed all the same: where nothing else goes wrong for an hour, somebody
// has to hear of it.
bool any_failing(const std::vector<domain::condition>& of) {
    return std::any_of(of.begin(), of.end(), [](const auto& c) {
        return c.heft == domain::weight::failed || c.reason == domain::reason::retrying;
    });
}

std::string_view provider_of(std::string_view resource) {
    return resource.starts_with("CloudflareAccount/") ? "cloudflare"
           : resource.starts_with("InfisicalVault/")  ? "infisical"
                                                      : "heroku";
}

// By the clock as it is set now.
instant date_of_boot(const net::clock& time) {
    return time.now() - net::time_since_boot();
}

std::string words_of(std::exception_ptr thrown) {
    try {
        std::rethrow_exception(std::move(thrown));
    } catch (const std::exception& e) {
        return e.what();
    } catch (...) {
        return "unknown exception";
    }
}

} // namespace

daemon::daemon(parts with, daemon_settings settings, asio::any_io_executor executor)
    : with_(std::move(with)), settings_(std::move(settings)), executor_(std::move(executor)),
      chronicle_(with_.diagnostics, with_.memory, with_.clock),
      leadership_(with_.memory, with_.clock, {holder_, settings_.lease}, listeners()), gap_(shortest_gap),
      first_write_(net::time_since_boot() + settings_.silent_at_first), boot_date_(date_of_boot(with_.clock)),
      started_at_(with_.clock.now()) {
    settings_.passes.wait = std::min(settings_.interval, longest_wait_in_a_pass);
    settings_.passes.how.for_ever = true;
    chronicle_.now_in(0, holder_, {}, 0);
    chronicle_.on_repair = [this] { with_.numbers.drift_repaired(1); };
    chronicle_.on_waiting = [this] {
        // The world is looked at again at least this often, whatever else is waited for.
        if (passing_ != nullptr && net::time_since_boot() >= next_)
            passing_->ask();
    };
}

// ---- what runs beside the passes

void daemon::start(const char* name, job what) {
    auto& c = children_.emplace_back();
    c.name = name;
    auto ended = [this, &c](std::exception_ptr) {
        c.ended = true;
        child_ended_.ring();
    };
    asio::co_spawn(executor_, tend(name, std::move(what)),
                   asio::bind_cancellation_slot(c.end.slot(), std::move(ended)));
}

// What ends by itself had a bug: it is told, and begun again.
asio::awaitable<void> daemon::tend(const char* name, job what) {
    while (!stopping_) {
        std::exception_ptr thrown;
        try {
            auto work = what();
            co_await std::move(work);
        } catch (...) {
            thrown = std::current_exception();
        }
        const auto state = co_await asio::this_coro::cancellation_state;
        if (stopping_ || state.cancelled() != asio::cancellation_type::none)
            co_return;
        with_.diagnostics.error("bug", {{"in", name}, {"what", thrown ? words_of(thrown) : "it ended"}});
        auto nap = with_.clock.sleep_for(after_a_bug);
        co_await std::move(nap);
    }
}

asio::awaitable<void> daemon::ended(std::string_view name) {
    auto runs = [&](const child& c) { return !c.ended && (name.empty() || c.name == name); };
    while (std::any_of(children_.begin(), children_.end(), runs)) {
        auto nap = child_ended_.wait(&with_.clock, never);
        co_await std::move(nap);
    }
}

void daemon::cancel_all() {
    for (auto& c : children_) {
        if (!c.ended)
            c.end.emit(asio::cancellation_type::terminal);
    }
    // What sleeps on a bell of ours has to be woken to notice.
    documents_bell_.ring();
}

// ---- documents

asio::awaitable<void> daemon::follow_documents() {
    for (;;) {
        auto reading = with_.documents.read();
        auto came = co_await std::move(reading);
        take(std::move(came));
        const auto wait =
            wanted_ ? settings_.interval
                    : std::min<duration>(settings_.interval, shortest_gap * (1 << std::min(bad_readings_, 6)));
        auto nap = documents_bell_.wait(&with_.clock, jittered(wait));
        co_await std::move(nap);
    }
}

void daemon::take(result<sourced> came) {
    if (came.has_error())
        return refuse(came.error().message(), {});
    auto& read = came.value();
    if (!read.specs.ok()) {
        const auto count = read.specs.problems.size();
        return refuse(std::to_string(count) + (count == 1 ? " problem" : " problems") + " in " + read.revision +
                          "; the first: " + spec::to_string(read.specs.problems.front()),
                      read.specs.problems);
    }
    if (!specs_problem_.empty())
        with_.diagnostics.info("documents are good again", {{"new", read.revision}});
    specs_problem_.clear();
    reminder_.forget("documents");
    bad_readings_ = 0;
    if (wanted_ && read.revision == revision_)
        return;
    const bool first = wanted_ == nullptr;
    revision_ = read.revision;
    wanted_ = std::make_shared<const domain::desired>(std::move(read.specs.desired));
    with_.diagnostics.info("documents",
                           {{"new", revision_}, {"tokens", wanted_->tokens.size()}, {"source", wanted_->source}});
    // The first that a process reads may be those that its predecessor had: restore() tells.
    asked_ = asked_ || !first;
    interrupt("documents");
}

void daemon::refuse(std::string why, const std::vector<spec::problem>& all) {
    ++bad_readings_;
    if (reminder_.due("documents", why, with_.clock.now())) {
        with_.diagnostics.error("documents refused", {{"what", why},
                                                      {"in force", revision_.empty() ? "none" : revision_},
                                                      {"note", "what was last good stays in force"}});
        for (std::size_t i = 1; i < std::min(all.size(), most_problems_told); ++i)
            with_.diagnostics.error("documents refused", {{"what", spec::to_string(all.at(i))}});
    }
    specs_problem_ = std::move(why);
}

// ---- leading

bool daemon::leads() const {
    return leadership_.may_write();
}

bool daemon::may_write() const {
    return leads() && !settings_.passes.how.observe && net::time_since_boot() >= first_write_;
}

lease_listeners daemon::listeners() {
    lease_listeners all;
    all.gained = [this](std::int64_t epoch) {
        with_.diagnostics.info("leading", {{"new epoch", epoch}});
        store_problem_.clear();
        reminder_.forget("lease");
        restored_ = false;
        interrupt("leading");
    };
    all.lost = [this](const std::string& why) {
        with_.diagnostics.warn("not leading any more", {{"what", why}});
        interrupt("not leading");
    };
    all.wanted = [this] { wake("asked for through the store"); };
    all.troubled = [this](const error& why) {
        store_problem_ = why.message();
        store_problem_at_ = net::time_since_boot();
        if (reminder_.due("lease", store_problem_, with_.clock.now()))
            with_.diagnostics.warn("store", {{"what", store_problem_}});
    };
    return all;
}

void daemon::interrupt(std::string_view why) {
    with_.diagnostics.debug("wake", {{"why", why}});
    again_ = true;
    if (passing_ != nullptr)
        passing_->ask();
    bell_.ring();
}

void daemon::look_at_documents() {
    documents_bell_.ring();
}

void daemon::wake(std::string_view why) {
    asked_ = true;
    documents_bell_.ring();
    interrupt(why);
}

void daemon::stop() {
    stopping_ = true;
    interrupt("stop");
}

// What the leader before, or this process in its last life, was backing off from.
asio::awaitable<void> daemon::restore() {
    auto loading = with_.memory.load_troubles();
    auto came = co_await std::move(loading);
    if (came.has_error())
        co_return;
    auto remembering = with_.memory.load_status();
    const auto saved = co_await std::move(remembering);
    const auto last = saved.has_value() ? parse_status(saved.value()) : result<status>{saved.error()};
    // Other documents may mend what these were refused for.
    if (last.has_error() || last->revision != printable(revision_))
        asked_ = true;
    for (auto& [lock, trouble] : came.value()) {
        // With other documents it may be another vault that has this name.
        if (lock.starts_with(approval_lock)) {
            if (!asked_)
                restore_approval(lock.substr(approval_lock.size()), trouble);
        }
        // What another process was refused for its keys, this one has to try with its own.
        else if (trouble.why.kind != error_kind::credential)
            world_.troubles.emplace(lock, std::move(trouble));
    }
    restored_ = true;
}

void daemon::restore_approval(const std::string& where, const domain::trouble& noted) {
    const auto space = where.find(' '); // a vault's name is a DNS label
    if (space == std::string::npos)
        return;
    const std::pair at{where.substr(0, space), where.substr(space + 1)};
    auto& [since, times] = approvals_[at];
    if (noted.again <= since)
        return;
    since = noted.again;
    times = noted.count;
    world_.awaiting_approval.insert(at);
}

// Everything that is backed off from, as the store keeps it.
std::map<std::string, domain::trouble> daemon::troubles() const {
    auto all = world_.troubles;
    for (const auto& [where, waiting] : approvals_) {
        const auto& [vault, path] = where;
        const auto& [since, times] = waiting;
        if (since != instant{})
            all[std::string{approval_lock} + vault + " " + path] = {
                {error_kind::refused, "vault " + vault + " folder " + path, "waits for an approval", 0, {}, {}},
                times,
                since};
    }
    return all;
}

// ---- passes

asio::awaitable<void> daemon::run() {
    start("lease", [this] { return leadership_.keep(); });
    start("documents", [this] { return follow_documents(); });
    start("watch", [this] { return with_.documents.watch([this] { documents_bell_.ring(); }); });
    start("journal", [this] { return chronicle_.keep(); });
    while (!stopping_) {
        if (!again_) {
            if (settings_.at_rest && next_ - net::time_since_boot() > a_while)
                settings_.at_rest();
            auto nap = bell_.wait(&with_.clock, next_ - net::time_since_boot());
            co_await std::move(nap);
        }
        if (stopping_)
            break;
        again_ = false;
        if (!wanted_) {
            next_ = never;
            continue;
        }
        // Who stands by has to have seen the whole world once, and no more.
        if (!leads() && shown_.last_whole_pass) {
            chronicle_.now_in(0, holder_, revision_, passes_);
            next_ = never;
            continue;
        }
        std::exception_ptr thrown;
        try {
            auto pass = one_pass();
            co_await std::move(pass);
        } catch (...) {
            thrown = std::current_exception();
        }
        if (thrown) {
            with_.diagnostics.error("bug", {{"in", "pass"}, {"what", words_of(thrown)}});
            passing_ = nullptr;
            next_ = net::time_since_boot() + after_a_bug;
            // It may have gone with the reading of the world; what it knew is found again, as after a crash.
            if (world_.holder.empty()) {
                world_ = new_process();
                world_.holder = holder_;
                for (const auto& [where, waiting] : approvals_) {
                    if (waiting.first != instant{})
                        world_.awaiting_approval.insert(where);
                }
                restored_ = false;
            }
        }
    }
    chronicle_.finish();
    auto written = ended("journal");
    co_await std::move(written);
    auto giving_back = leadership_.release();
    co_await std::move(giving_back);
    cancel_all();
    auto rest = ended({});
    co_await std::move(rest);
}

asio::awaitable<void> daemon::one_pass() {
    const auto wanted = wanted_;
    const auto revision = revision_;
    const auto began = with_.clock.now();
    const auto since = net::time_since_boot();
    const bool writing = may_write();
    const auto epoch = leadership_.epoch();
    chronicle_.now_in(epoch, holder_, revision, passes_ + 1);
    if (epoch != 0 && !restored_) {
        auto restoring = restore();
        co_await std::move(restoring);
    }
    follow_clock();
    forget_refusals();
    forget_old_troubles();
    forget_approvals();
    // A credential that is gone from the world is to be gone from memory; one that nobody has kept yet is only there.
    std::set<std::string> unkept;
    for (const auto& [nonce, made] : world_.minted)
        unkept.insert(made.fingerprint);
    with_.ring.keep_only(unkept);
    surroundings around{*wanted, with_.remotes, with_.ring, with_.process, with_.clock};
    gatherer reader{around};
    net::stop halt;
    auto settings = settings_.passes;
    settings.takes = writing ? extent::all : extent::looks;
    next_ = since + settings_.interval;
    passing_ = &halt;
    if (stopping_)
        halt.ask();
    pass work{around, reader, world_, halt, chronicle_, settings, executor_};
    auto working = work.run();
    auto report = co_await std::move(working);
    passing_ = nullptr;
    if (!report.interrupted) {
        auto keys = look_at_keys(around);
        co_await std::move(keys);
    }
    publish(*wanted, revision, report, {began, net::time_since_boot() - since}, writing);
    schedule(report, writing);
}

asio::awaitable<void> daemon::look_at_keys(surroundings around) {
    if (net::time_since_boot() < keys_again_)
        co_return;
    auto looking = look_at_own_keys(around);
    auto seen = co_await std::move(looking);
    const auto before = std::exchange(keys_, std::move(seen));
    for (auto& key : keys_) {
        if (!key.failure)
            continue;
        const auto& why = *key.failure;
        if (reminder_.due("own key " + key.resource, why.message(), with_.clock.now()))
            with_.diagnostics.info("own key", {{"resource", key.resource}, {"what", why.message()}});
        // A date that could not be asked for again is still the date, unless the key was refused.
        const auto last =
            std::find_if(before.begin(), before.end(), [&](const auto& k) { return k.resource == key.resource; });
        if (why.kind != error_kind::credential && last != before.end())
            key.expires_at = last->expires_at;
    }
    keys_again_ = net::time_since_boot() + keys_every;
}

// Where the clock was set back, what is put off by a date would be put off for as long again.
void daemon::follow_clock() {
    const auto before = std::exchange(boot_date_, date_of_boot(with_.clock));
    const auto back = before - boot_date_;
    if (back < std::chrono::seconds{1})
        return;
    for (auto& [lock, trouble] : world_.troubles)
        trouble.again -= back;
    for (auto& [where, waiting] : approvals_) {
        if (waiting.first != instant{})
            waiting.first -= back;
    }
}

// What only a person or other documents could help is not put off any longer once there are such, or somebody asks.
void daemon::forget_refusals() {
    if (!std::exchange(asked_, false))
        return;
    std::erase_if(world_.troubles, [](const auto& of) {
        const auto kind = of.second.why.kind;
        return kind == error_kind::spec || kind == error_kind::credential || kind == error_kind::refused;
    });
}

// What is not there any more is not offered any more: its troubles would be kept for ever.
void daemon::forget_old_troubles() {
    const auto now = with_.clock.now();
    std::erase_if(world_.troubles, [&](const auto& of) { return of.second.again + oldest_trouble < now; });
}

// Since when a path waits; the store is told at the end of the very pass that found it out. A vault that took another's
// name has not refused anything yet.
void daemon::note_approvals() {
    for (const auto& where : world_.awaiting_approval) {
        auto& since = approvals_[where].first;
        if (since == instant{})
            since = with_.clock.now();
    }
    for (auto& [where, waiting] : approvals_) {
        if (!world_.awaiting_approval.contains(where))
            waiting.first = {};
    }
}

// A path whose change somebody has to approve is tried again after an hour, and then ever more rarely.
void daemon::forget_approvals() {
    note_approvals();
    const auto now = with_.clock.now();
    for (auto& [where, waiting] : approvals_) {
        auto& [since, times] = waiting;
        const auto wait = std::min<duration>(first_approval_wait * (1 << std::min(times, 5)), longest_approval_wait);
        if (since == instant{} || now < since + wait)
            continue;
        world_.awaiting_approval.erase(where);
        since = {};
        ++times;
    }
}

void daemon::publish(const domain::desired& wanted, std::string revision, const pass_report& report, span when,
                     bool wrote) {
    ++passes_;
    // What was not read because somebody asked to stop says nothing of the world: what was told last stays.
    if (!report.cut_short)
        show(wanted, std::move(revision), report, when);
    with_.diagnostics.info("pass", {{"ms", when.took.count()},
                                    {"changes", report.changes},
                                    {"failures", report.failures.size()},
                                    {"interrupted", report.interrupted},
                                    {"wrote", wrote}});
    with_.numbers.pass_took(when.took);
    for (const auto& [resource, remaining] : with_.remotes.budgets())
        with_.numbers.budget(provider_of(resource), resource, static_cast<double>(remaining));
}

void daemon::show(const domain::desired& wanted, std::string revision, const pass_report& report, span when) {
    const auto now = with_.clock.now();
    chronicle_.besides = own_key_conditions(keys_, now);
    chronicle_.conditions(report.last.conditions);
    auto conditions = report.last.conditions;
    conditions.insert(conditions.end(), chronicle_.besides.begin(), chronicle_.besides.end());
    std::sort(conditions.begin(), conditions.end(),
              [](const auto& a, const auto& b) { return std::tie(a.resource, a.type) < std::tie(b.resource, b.type); });
    if (!report.unsettled)
        reminder_.forget("pass");
    else if (reminder_.due("pass", report.unsettled->message(), now))
        with_.diagnostics.error("pass", {{"what", report.unsettled->message()}});
    shown_.revision = std::move(revision);
    shown_.pass_began = when.began;
    shown_.pass_took = when.took;
    if (!report.interrupted)
        shown_.last_whole_pass = now;
    if (!report.unsettled && !report.interrupted && !any_failing(conditions))
        shown_.last_good_pass = now;
    shown_.conditions = std::move(conditions);
    shown_.tokens = tokens_of(wanted, world_, now);
    shown_.connections.clear();
    for (const auto& key : keys_)
        shown_.connections.push_back({key.resource, key.expires_at});
}

void daemon::schedule(const pass_report& report, bool wrote) {
    const auto now = net::time_since_boot();
    const bool moved = report.changes > 0;
    gap_ = moved ? shortest_gap : std::min<duration>(gap_ * 2, settings_.interval);
    next_ = now + jittered(settings_.interval);
    if (report.interrupted && (wrote || !shown_.last_whole_pass))
        next_ = now;
    else if (wrote && report.last.wake)
        next_ = std::min(next_, now + std::max(*report.last.wake - with_.clock.now(), gap_));
    if (now < first_write_)
        next_ = std::min(next_, first_write_);
    note_approvals();
    chronicle_.save(troubles(), to_json(this->now()));
}

duration daemon::jittered(duration d) const {
    const auto tenth = static_cast<double>(d.count()) / 10.0;
    return d + duration{static_cast<std::int64_t>(tenth * (2.0 * with_.random() - 1.0))};
}

status daemon::now() const {
    auto s = shown_;
    s.version = settings_.version;
    s.holder = holder_;
    s.epoch = leadership_.epoch();
    s.leading = leads();
    if (leadership_.row())
        s.leader = leadership_.row()->holder;
    s.observing = settings_.passes.how.observe;
    s.specs_problem = specs_problem_;
    // The lease asks the store so often that an older problem is over.
    s.store_problem =
        net::time_since_boot() < store_problem_at_ + settings_.lease ? store_problem_ : chronicle_.store_problem();
    s.started_at = started_at_;
    s.at = with_.clock.now();
    s.pass = passes_;
    if (next_ != never)
        s.next_pass = s.at + (next_ - net::time_since_boot());
    return s;
}

} // namespace postern::run
