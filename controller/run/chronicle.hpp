#pragma once

#include "net/clock.hpp"
#include "run/alarm.hpp"
#include "run/log.hpp"
#include "run/pass.hpp"
#include "run/store.hpp"

#include <boost/asio/awaitable.hpp>

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

// What a daemon tells of what it does: to the log at once, to the store as soon as that takes it. What the store does
// not take yet is kept (the newest ten thousand entries) and tried again.
namespace postern::run {

// Says whether something that goes on is told again: at once where it is new, then after an hour, two, four, and once a
// day. Other words are told at once, but only the first few between two reminders: what fails in two ways by turns, or
// with a number in its message, goes on all the same.
class reminder {
public:
    bool due(const std::string& of, const std::string& words, instant now);
    void forget(const std::string& of) { told_.erase(of); }

private:
    struct entry {
        std::set<std::string> words; // told since the last reminder
        int times = 0;
        instant again{};
    };
    std::map<std::string, entry> told_;
};

class chronicle final : public progress {
public:
    // All outlive this object.
    chronicle(log& diagnostics, store& memory, net::clock& clock) : log_(diagnostics), store_(memory), clock_(clock) {}

    // What stands in the entries from now on. Epoch 0: nothing goes to the store.
    void now_in(std::int64_t epoch, std::string holder, std::string revision, std::int64_t pass);

    // Asked whenever a pass waits: whether it should go on doing so.
    std::function<void()> on_waiting;
    // Called for each step that repaired what somebody else had changed.
    std::function<void()> on_repair;

    void started(const domain::step& s) override;
    void finished(const domain::step& s, const domain::outcome& came) override;
    void waiting(instant until, const std::vector<domain::condition>& conditions) override;

    // The conditions that a pass has come to: what changed since the last ones is told.
    void conditions(std::vector<domain::condition> now);
    // Conditions that no pass knows of, told with those of each.
    std::vector<domain::condition> besides;
    // To be saved, replacing what was to be saved before.
    void save(std::map<std::string, domain::trouble> troubles, std::string status);

    // Writes to the store what is to be written, until it is told to finish. Once at a time.
    boost::asio::awaitable<void> keep();
    // Has keep() try once more to write what is left, and end.
    void finish();
    // Why the store does not take anything; empty where it does.
    const std::string& store_problem() const { return store_problem_; }

private:
    void enter(journal_entry e);
    boost::asio::awaitable<bool> write();

    log& log_;
    store& store_;
    net::clock& clock_;
    std::int64_t epoch_ = 0;
    std::string holder_;
    std::string revision_;
    std::int64_t pass_ = 0;
    std::map<std::string, domain::condition> last_; // by resource and type
    reminder reminder_;

    struct state {
        std::int64_t epoch = 0;
        std::map<std::string, domain::trouble> troubles;
        std::string status;
    };
    std::deque<journal_entry> entries_; // of the journal, not written yet
    std::optional<state> state_;        // not written yet
    std::size_t lost_ = 0;              // entries that were given up
    alarm bell_;
    bool finishing_ = false;
    std::string store_problem_;
};

} // namespace postern::run
