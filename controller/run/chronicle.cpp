#include "run/chronicle.hpp"

#include "base/text.hpp"
#include "domain/reason.hpp"
#include "run/status.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

namespace postern::run {

namespace asio = boost::asio;

namespace {

constexpr std::size_t most_entries = 10000;
constexpr std::size_t most_at_once = 200;
constexpr std::size_t most_words = 4;
constexpr duration first_reminder = std::chrono::hours{1};
constexpr duration longest_reminder = std::chrono::hours{24};
constexpr duration try_again = std::chrono::seconds{5};

bool is_repair(const domain::step& s) {
    namespace reason = domain::reason;
    return s.reason == reason::vault_drift || s.reason == reason::config_drift || s.reason == reason::wrong_decision ||
           s.reason == reason::member_doubled || s.reason == reason::duplicate_policy || s.reason == reason::disabled;
}

// Of what needs a person or failed, a lasting state is told again and again.
bool is_bad(const domain::condition& c) {
    return c.heft == domain::weight::blocked || c.heft == domain::weight::failed;
}

} // namespace

bool reminder::due(const std::string& of, const std::string& words, instant now) {
    auto& e = told_[of];
    if (e.times > 0 && now < e.again)
        return e.words.size() < most_words && e.words.insert(words).second;
    e.words = {words};
    const auto wait = first_reminder * (1 << std::min(e.times, 5));
    e.again = now + std::min<duration>(wait, longest_reminder);
    ++e.times;
    return true;
}

void chronicle::now_in(std::int64_t epoch, std::string holder, std::string revision, std::int64_t pass) {
    epoch_ = epoch;
    holder_ = std::move(holder);
    revision_ = std::move(revision);
    pass_ = pass;
    log_.set_context({{"pass", std::to_string(pass_)}, {"revision", revision_}, {"epoch", std::to_string(epoch_)}});
}

void chronicle::started(const domain::step& s) {
    log_.debug("step begins",
               {{"resource", s.resource}, {"action", domain::word(s)}, {"target", s.target}, {"reason", s.reason}});
}

void chronicle::finished(const domain::step& s, const domain::outcome& came) {
    const bool writes = domain::writes(s);
    const bool failed = came.failure && came.failure->kind != error_kind::cancelled;
    if (!writes && !failed) {
        reminder_.forget("step " + s.locks.front());
        log_.debug("looked", {{"resource", s.resource}, {"action", domain::word(s)}, {"target", s.target}});
        return;
    }
    const auto requests = join(came.requests, " ");
    const auto name = "step " + s.locks.front();
    if (came.failure) {
        const bool told = !failed || reminder_.due(name, came.failure->message(), clock_.now());
        const std::initializer_list<field> fields{{"resource", s.resource},
                                                  {"action", domain::word(s)},
                                                  {"target", s.target},
                                                  {"reason", s.reason},
                                                  {"kind", postern::to_string(came.failure->kind)},
                                                  {"what", came.failure->message()},
                                                  {"requests", requests}};
        if (told)
            log_.warn("step failed", fields);
        else
            log_.debug("step failed", fields);
    } else {
        reminder_.forget(name);
        log_.info("step", {{"resource", s.resource},
                           {"action", domain::word(s)},
                           {"target", s.target},
                           {"reason", s.reason},
                           {"words", s.words},
                           {"requests", requests}});
    }
    if (!came.failure && is_repair(s) && on_repair)
        on_repair();
    auto [before, after] = domain::fingerprints(s, came);
    enter({0,
           0,
           clock_.now(),
           {},
           {},
           0,
           s.resource,
           domain::word(s),
           s.target,
           s.reason,
           s.words,
           std::move(before),
           std::move(after),
           came.requests,
           came.failure             ? came.failure->message()
           : came.awaiting_approval ? std::string{"the vault waits for an approval: nothing was stored"}
                                    : std::string{}});
}

void chronicle::waiting(instant until, const std::vector<domain::condition>& told) {
    for (const auto& c : told) {
        if (c.heft == domain::weight::waiting)
            log_.debug("waiting", {{"resource", c.resource},
                                   {"reason", c.reason},
                                   {"what", c.message},
                                   {"until", format_instant(until)}});
    }
    conditions(told);
    if (on_waiting)
        on_waiting();
}

void chronicle::conditions(std::vector<domain::condition> now) {
    const auto at = clock_.now();
    now.insert(now.end(), besides.begin(), besides.end());
    std::map<std::string, domain::condition> seen;
    for (const auto& c : now)
        seen.emplace(c.resource + " " + c.type, c);
    for (const auto& [name, c] : seen) {
        auto before = last_.find(name);
        const bool changed = before == last_.end() || before->second.is != c.is || before->second.reason != c.reason;
        if (is_bad(c)) {
            if (reminder_.due(name, c.reason, at))
                log_.warn("condition", {{"resource", c.resource},
                                        {"type", c.type},
                                        {"status", word_of(c.is)},
                                        {"reason", c.reason},
                                        {"message", c.message}});
        } else {
            reminder_.forget(name);
            if (changed && c.heft != domain::weight::fine)
                log_.info("condition", {{"resource", c.resource},
                                        {"type", c.type},
                                        {"status", word_of(c.is)},
                                        {"reason", c.reason},
                                        {"message", c.message}});
            else if (changed && before != last_.end() && is_bad(before->second))
                log_.info("condition",
                          {{"resource", c.resource}, {"type", c.type}, {"status", "True"}, {"reason", c.reason}});
        }
        if (changed)
            enter({0,
                   0,
                   at,
                   {},
                   {},
                   0,
                   c.resource,
                   "condition",
                   c.type + "=" + std::string{word_of(c.is)},
                   c.reason,
                   c.message,
                   {},
                   {},
                   {},
                   {}});
    }
    for (const auto& [name, c] : last_) {
        if (seen.contains(name))
            continue;
        reminder_.forget(name);
        if (is_bad(c))
            log_.info("condition ends", {{"resource", c.resource}, {"type", c.type}, {"reason", c.reason}});
        enter({0, 0, at, {}, {}, 0, c.resource, "condition", c.type + " ends", c.reason, {}, {}, {}, {}, {}});
    }
    last_ = std::move(seen);
}

void chronicle::save(std::map<std::string, domain::trouble> troubles, std::string status) {
    if (epoch_ == 0)
        return;
    state_ = {epoch_, std::move(troubles), std::move(status)};
    bell_.ring();
}

void chronicle::enter(journal_entry e) {
    if (epoch_ == 0)
        return;
    e.epoch = epoch_;
    e.holder = holder_;
    e.revision = revision_;
    e.pass = pass_;
    entries_.push_back(std::move(e));
    if (entries_.size() > most_entries) {
        entries_.pop_front();
        ++lost_;
    }
    bell_.ring();
}

asio::awaitable<bool> chronicle::write() {
    while (!entries_.empty()) {
        // Entries of one epoch at a time; more may come while these are written.
        const auto epoch = entries_.front().epoch;
        const auto end =
            std::find_if(entries_.begin(), entries_.end(), [&](const auto& e) { return e.epoch != epoch; });
        const auto count = std::min<std::size_t>(most_at_once, static_cast<std::size_t>(end - entries_.begin()));
        const auto lost_before = lost_;
        std::vector<journal_entry> batch{entries_.begin(), std::next(entries_.begin(), static_cast<long>(count))};
        auto appending = store_.append(std::move(batch));
        auto came = co_await std::move(appending);
        if (came.has_error()) {
            store_problem_ = came.error().message();
            co_return false;
        }
        // Those that were given up meanwhile were the first of these.
        const auto given_up = std::min(count, lost_ - lost_before);
        entries_.erase(entries_.begin(), std::next(entries_.begin(), static_cast<long>(count - given_up)));
    }
    while (state_) {
        auto writing = std::move(*state_);
        state_.reset();
        auto troubles = store_.save_troubles(writing.epoch, writing.troubles);
        auto came = co_await std::move(troubles);
        if (came.has_value()) {
            auto status = store_.save_status(writing.epoch, writing.status);
            came = co_await std::move(status);
        }
        // Another controller leads by now: what it saw counts.
        if (came.has_error() && came.error().kind == error_kind::conflict)
            continue;
        if (came.has_error()) {
            store_problem_ = came.error().message();
            if (!state_)
                state_ = std::move(writing);
            co_return false;
        }
    }
    store_problem_.clear();
    co_return true;
}

asio::awaitable<void> chronicle::keep() {
    for (;;) {
        const bool last = finishing_;
        auto writing = write();
        const bool written = co_await std::move(writing);
        if (!written && reminder_.due("store", "store", clock_.now()))
            log_.warn("store", {{"what", store_problem_}, {"entries", entries_.size()}});
        if (written)
            reminder_.forget("store");
        if (written && lost_ > 0) {
            log_.warn("journal", {{"lost", lost_}, {"what", "the store was away for too long"}});
            lost_ = 0;
        }
        if (last)
            co_return;
        auto nap = bell_.wait(&clock_, written ? duration::max() : duration{try_again});
        co_await std::move(nap);
    }
}

void chronicle::finish() {
    finishing_ = true;
    bell_.ring();
}

} // namespace postern::run
