#pragma once

#include "model/process.hpp"

#include <array>
#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <vector>

// One state of the model, the moves that are possible in it, and where they lead. A move is taken by one of at most two
// processes, by a write that is still on its way, by somebody else's hand, or by time. What goes wrong is paid for from
// budgets, so that all there is of it can be tried.
namespace postern::model {

struct budgets {
    int faults = 0;   // a failed, lost or late request, a crash, a reading that misses something, a lagging edge
    int edits = 0;    // somebody else's hand in the vault, at Heroku or at Cloudflare
    int jumps = 0;    // to the next date at which something is due, once all is quiet
    int rivals = 0;   // a second process at the same time
    int switches = 0; // from one living process to the other
    int starts = 6;   // processes, the first among them
    int detours = 0;  // steps that are taken although another one was offered before them
};

using judging =
    std::function<judgement(const desired&, const observed&, const settings&, instant, const std::set<std::string>&)>;

struct setting {
    std::string name;
    desired wanted;
    settings how;
    budgets most;
    bool any_order = true;   // of the steps that are offered at one time; else as many detours as there are
    bool overtaking = false; // a write may stand still while its process waits for it and does other things
    judging judge;           // empty: domain::next
    std::function<bool(const std::string&)> edits_of_interest; // by its words; empty: all
};

// A write on its way, and the process that waits for its reply; -1: nobody does.
struct parcel {
    step what;
    request sent;
    int waiter = -1;
    instant latest{};
};

struct state {
    instant now{};
    remotes world;
    std::array<std::optional<process>, 2> processes;
    std::vector<parcel> parcels;
    budgets left;
    int last = -1;   // who acted last
    int started = 0; // processes so far
    bool settled = false;
    bool pause = false;          // the last pass came to no end: the next one starts later
    std::optional<instant> wake; // as the last pass said
    std::vector<condition> said; // by the last pass; no part of the state's name
};

enum class deed { start, rival, gather, take, sleep, finish, crash, land, catch_up, end_release, edit, jump };
enum class fate { replied, unavailable, lost, vanished, late, late_and_crash, overtaken, edge_lags, release_pends };

struct move {
    deed what = deed::start;
    int who = 0;
    std::size_t index = 0; // of a step, parcel, edit, application, app
    fate how = fate::replied;
    blindness missing = blindness::none;
};

// A state's moves, with the judgements that they stand on.
struct choices {
    std::array<judgement, 2> judged;
    std::vector<move> moves;
};

// `calm`: only what happens without any fault, one choice at a time, and without regard to budgets.
choices choices_in(const setting& in, const state& s, bool calm = false);

state after(const setting& in, const state& s, const choices& c, const move& m);

std::string words_of(const setting& in, const state& s, const choices& c, const move& m);

// What stands in the world, in a few lines.
std::string words_of(const state& s);

// Whether nobody is at work and nothing is on its way.
bool at_rest(const state& s);

// When something will be due that is due by itself: an overlap that ends, a pending credential that gets too old.
std::optional<instant> due(const setting& in, const state& s);

// Somebody else's deeds that are possible in this state.
struct edit {
    std::string words;
    std::function<void(remotes&)> how;
};
std::vector<edit> edits_in(const setting& in, const state& s);

} // namespace postern::model
