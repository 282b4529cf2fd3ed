#pragma once

#include "domain/next.hpp"
#include "net/stop.hpp"
#include "run/doorbell.hpp"
#include "run/execute.hpp"
#include "run/gather.hpp"

#include <boost/asio/awaitable.hpp>

#include <chrono>
#include <cstddef>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

// One pass: gather, judge, execute, take the outcome in, judge again, until nothing is left that can be done now and
// waiting a while would not change that. Many steps are under way at a time; each judgement sees the outcomes so far. A
// conflict or a lost reply leads back to gathering. Recovery after a crash is this same pass.
namespace postern::run {

// Who watches a pass. Called from the pass's own thread, between its awaits.
class progress {
public:
    virtual ~progress() = default;
    virtual void gathering() {}
    virtual void started(const domain::step&) {}
    virtual void finished(const domain::step&, const domain::outcome&) {}
    // Nothing can be done before `until`; the conditions say what is waited for.
    virtual void waiting(instant, const std::vector<domain::condition>&) {}
};

// Which of the steps that may be taken a pass takes.
enum class extent {
    all,
    looks,    // none that writes
    requests, // of those that write, what notes a request for whoever leads
};

struct pass_settings {
    domain::settings how;
    duration wait = std::chrono::minutes{20}; // for propagation, since something last changed for the better
    std::size_t at_once = 8;                  // steps; those that only let time pass come on top
    extent takes = extent::all;
};

struct pass_report {
    domain::judgement last;  // its steps are what would come next, where the pass was interrupted
    std::size_t changes = 0; // steps that wrote, and came off
    std::vector<std::pair<domain::step, error>> failures;
    bool interrupted = false;
    bool cut_short = false;         // in a reading of the world: `last` is what was judged before that, if anything was
    std::optional<error> unsettled; // no fixed point was found
};

class pass {
public:
    // All outlive this object. `world` brings what the process knows of itself, but for proofs and refusals, which
    // each pass makes anew, and has the world as last seen afterwards.
    pass(surroundings around, gatherer& reader, domain::observed& world, net::stop& halt, progress& watcher,
         pass_settings settings, const boost::asio::any_io_executor& executor);

    // Once per object, which outlives the call. Returns early, with every step that was under way at its end, when
    // somebody asks to stop or a write was not let out.
    boost::asio::awaitable<pass_report> run();

private:
    boost::asio::awaitable<void> go_on();
    boost::asio::awaitable<void> read_world();
    net::urgency waits_for_reading() const;
    bool should_judge() const;
    void judge();
    void start();
    void begin(domain::step s);
    void changed();
    void take_in();
    void take_in(const domain::step& s, domain::outcome came);
    bool may_read_again();
    std::size_t room() const;
    bool free(const domain::step& s) const;
    bool is_held_back(const domain::step& s);
    std::optional<instant> crowded_reading() const;
    boost::asio::awaitable<void> wait_until(instant wake);
    bool is_stopping() const { return halt_.asked() || fenced_; }

    surroundings around_;
    gatherer& reader_;
    domain::observed& world_;
    net::stop& halt_;
    progress& watcher_;
    pass_settings settings_;
    boost::asio::any_io_executor executor_;
    executor hands_;
    doorbell bell_;

    std::deque<domain::step> queue_; // offered, not started
    std::set<std::string> busy_;     // locks of what is under way
    std::size_t running_ = 0;
    std::vector<std::pair<domain::step, domain::outcome>> ended_;
    std::map<std::string, instant> crowded_; // accounts without room, until when: nothing new is begun for them
    std::optional<instant> held_back_;       // until when the first of the queue is that waits for it
    bool dirty_ = true;                      // something happened since the last judgement
    std::chrono::steady_clock::time_point judge_again_; // at the latest
    const std::size_t most_steps_;
    std::size_t taken_ = 0;
    net::urgency urgent_ = net::urgency::refresh; // the most urgent that was offered to write
    int idle_readings_ = 0;                       // gathers since something last changed
    bool fenced_ = false;                         // a write was not let out: another controller may lead
    bool keys_reread_ = false;                    // a refused key led to a new reading already
    instant give_up_{};                           // waiting, unless something changes for the better
    pass_report report_;
};

} // namespace postern::run
