#pragma once

#include "bench/decades.hpp"
#include "bench/documents.hpp"
#include "bench/witness.hpp"
#include "domain/next.hpp"
#include "model/process.hpp"

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <ostream>
#include <string>
#include <string_view>
#include <vector>

// One estate in virtual time: a world that changes by itself, an operator who edits documents, and processes of Postern
// that do passes over it. A pass goes as controller/run/pass goes, request by request; at each request something may go
// wrong. Time moves from one event to the next.
namespace postern::bench {

class estate {
public:
    static constexpr std::size_t fault_in = 40; // one in so many requests and readings meets a fault
    static constexpr duration interval{std::chrono::minutes{5}};

    estate(const form& f, int number, std::ostream* log);

    outcome_of_run live();

private:
    enum class fate { replied, unavailable, throttled, lost, reset, late, late_and_crash, crash_after };
    struct pass_end {
        bool died = false;
        bool troubled = false; // something failed, or comes right by itself
        std::uint64_t changes = 0;
        std::optional<instant> wake;
        std::string words; // of what is not fine
    };

    // ---- time
    void at(instant when, std::function<void()> act);
    void advance(instant to);
    void expect_operator();
    void expect_stall();
    void operate();

    // ---- passes
    void visit();
    pass_end pass(model::process& p, bool alone);
    void read_world(model::process& p);
    void add_what_left(model::process& p) const;
    domain::judgement judge(const domain::desired& wanted, const model::process& p) const;
    bool take(model::process& p, const domain::step& s, bool alone); // false: the process died
    bool send(model::process& p, const domain::step& s, model::request& q);
    fate throw_fate();
    model::manner throw_manner(const domain::step& s);
    domain::outcome land(const model::request& q, model::manner how);
    void changed(const model::request& q);
    void stand_still();
    model::process start_process();

    // ---- telling
    void tell(std::string_view what, std::string_view about, std::string_view more = {});
    void tell_step(const domain::step& s, std::string_view more);
    void count_step(const domain::step& s);
    void count_rotation(const domain::step& s);
    void check_rest();
    bool found() const { return first_.has_value() || eyes_.refusal().has_value(); }

    form form_;
    std::ostream* log_;
    dice chance_;
    documents docs_;
    std::shared_ptr<const domain::desired> wanted_; // as the newest documents say
    domain::settings how_;
    model::remotes world_;
    tally done_;
    digester digest_;
    std::multimap<instant, std::function<void()>> events_;
    witness eyes_;
    instant now_;
    instant end_;
    instant calm_;       // from here on nothing goes wrong any more
    instant next_visit_; // of the daemon
    instant stalled_until_;
    std::optional<model::process> daemon_;
    bool outdated_ = false; // the next visit is by a new process
    bool sampling_ = false; // the next visit is one at which nothing is due
    bool arrived_ = false;  // a request came late since the last visit began: that visit may not have seen it
    std::size_t troubled_visits_ = 0;
    std::string last_words_;
    std::optional<trouble_found> first_;
};

} // namespace postern::bench
