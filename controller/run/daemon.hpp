#pragma once

#include "net/clock.hpp"
#include "run/alarm.hpp"
#include "run/chronicle.hpp"
#include "run/clients.hpp"
#include "run/key_ring.hpp"
#include "run/lease.hpp"
#include "run/log.hpp"
#include "run/metrics.hpp"
#include "run/own_keys.hpp"
#include "run/pass.hpp"
#include "run/sources.hpp"
#include "run/spec_source.hpp"
#include "run/status.hpp"
#include "run/store.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/cancellation_signal.hpp>

#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <vector>

// One pass after another, for ever. A wake-up says only that something may be new; what it is, the next pass reads from
// the world. Nothing that goes wrong ends the loop: the documents that were last good stay in force, and what failed is
// tried again. Only while this process holds the lease does it write.
namespace postern::run {

struct daemon_settings {
    pass_settings passes;
    duration interval = std::chrono::minutes{5};
    duration lease = std::chrono::seconds{15};
    std::string version;
    std::function<void()> at_rest; // called when nothing will be done for a while
    duration silent_at_first{};    // for so long nothing is written: a predecessor may still be alive
};

class daemon {
public:
    // What it works with; all outlive it.
    struct parts {
        spec_source& documents;
        store& memory;
        clients& remotes;
        key_ring& ring;
        const reach& process;
        net::clock& clock;
        log& diagnostics;
        metrics& numbers;
        std::function<double()> random; // in [0, 1)
    };
    daemon(parts with, daemon_settings settings, boost::asio::any_io_executor executor);

    // Until stop(), once. Then everything that it started has ended, and the lease is given back.
    boost::asio::awaitable<void> run();

    // A pass now: somebody asks, or there may be news.
    void wake(std::string_view why);
    // The documents are read now, and a pass follows where they are others: however often somebody knocks, the pass
    // under way is not disturbed by it.
    void look_at_documents();
    // No new step is begun; those under way are finished.
    void stop();
    // Whether a request that changes something may go out.
    bool may_write() const;

    status now() const;

private:
    using job = std::function<boost::asio::awaitable<void>()>;
    struct span {
        instant began;
        duration took;
    };

    void start(const char* name, job what);
    boost::asio::awaitable<void> tend(const char* name, job what);
    boost::asio::awaitable<void> ended(std::string_view name); // of all where it is empty
    void cancel_all();

    boost::asio::awaitable<void> follow_documents();
    void take(result<sourced> came);
    void refuse(std::string why, const std::vector<spec::problem>& all);

    lease_listeners listeners();
    void interrupt(std::string_view why);
    bool leads() const;
    boost::asio::awaitable<void> restore();
    void restore_approval(const std::string& where, const domain::trouble& noted);
    std::map<std::string, domain::trouble> troubles() const;
    boost::asio::awaitable<void> one_pass();
    boost::asio::awaitable<void> look_at_keys(surroundings around);
    void forget_refusals();
    void forget_old_troubles();
    void follow_clock();
    void note_approvals();
    void forget_approvals();
    void publish(const domain::desired& wanted, std::string revision, const pass_report& report, span when, bool wrote);
    void show(const domain::desired& wanted, std::string revision, const pass_report& report, span when);
    void schedule(const pass_report& report, bool wrote);
    duration jittered(duration d) const;

    parts with_;
    daemon_settings settings_;
    boost::asio::any_io_executor executor_;
    chronicle chronicle_;
    domain::observed world_ = new_process();
    const std::string holder_ = world_.holder;
    lease leadership_;
    std::string store_problem_;                   // as the lease last met it
    duration store_problem_at_ = duration::min(); // since boot, as all that is only a span here: the clock may be set

    // A pass keeps the documents that it began with.
    std::shared_ptr<const domain::desired> wanted_;
    std::string revision_;
    std::string specs_problem_;
    int bad_readings_ = 0;
    reminder reminder_;
    alarm documents_bell_;

    alarm bell_;
    duration next_ = duration::max(); // since boot
    duration gap_{};
    duration first_write_;         // since boot
    instant boot_date_;            // by the clock as it was set when the last pass began
    net::stop* passing_ = nullptr; // the stop of the pass under way
    bool again_ = false;           // somebody asked for a pass while one was under way
    bool asked_ = false;           // by somebody, or by other documents, since the last pass began
    bool stopping_ = false;
    bool restored_ = false;
    std::int64_t passes_ = 0;
    instant started_at_;
    std::map<std::pair<std::string, std::string>, std::pair<instant, int>> approvals_; // vault, path: since, times

    std::vector<key_expiry> keys_;
    duration keys_again_{}; // since boot
    status shown_;          // but for what changes between passes

    struct child {
        std::string_view name;
        boost::asio::cancellation_signal end;
        bool ended = false;
    };
    std::list<child> children_;
    alarm child_ended_;
};

} // namespace postern::run
