#pragma once

#include "domain/desired.hpp"
#include "domain/observed.hpp"
#include "domain/step.hpp"

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

// The whole of Postern's judgement, as a pure function. `plan` unfolds it over predicted outcomes, `apply` and the
// daemon over real ones, and after a crash it is simply asked again. It does no I/O, reads no clock, holds no global.
namespace postern::domain {

enum class status { true_, false_, unknown };

// How much a condition asks of whom.
enum class weight {
    fine,    // nothing to do
    told,    // worth knowing, nothing is wrong
    waiting, // comes right by itself: propagation, a release, somebody else's intent
    blocked, // needs a person
    failed,  // a remote failed, or a proof did: may come right, or not
};

struct condition {
    std::string resource;
    std::string type; // Ready, Provisioned, Bound, Delivered, Verified, RotationDue, AccessExpiring
    status is = status::unknown;
    std::string reason;
    std::string message;
    weight heft = weight::fine;
};

struct settings {
    bool observe = false;   // the brake: everything is judged, nothing is written
    bool prune = false;     // act on what left git
    int max_changes = 30;   // percent of ten or more objects that one pass may delete or overwrite
    int max_failures = 4;   // tries per step in one pass before it is given up
    int max_rotations = 20; // how many credentials may be on their way at once; the others wait their turn
    std::string only;       // a ServiceToken's name: nothing is done or told but for it and its bindings
    bool for_ever = false; // what was given up is tried again, ever more rarely: a daemon has no other pass to hope for
    bool released = false; // what is only observed is offered too, and marked so: to tell what it would lead to
    bool imagined = false; // a plan: every request is thought to come off at once
    std::map<std::string, rotation_request> requests; // by token: what somebody asks of this process
    duration request_timeout = std::chrono::seconds{30};
    std::set<std::string> own_apps; // names and ids of the Heroku app that this process runs on: a PATCH restarts it
};

struct judgement {
    std::vector<step> steps;           // may all be taken now, in any order or at once
    std::vector<condition> conditions; // sorted by resource, type
    std::optional<instant> wake;       // when waiting alone will allow more
    bool refresh = false;              // the world must be read again before more can be decided
};

// This ServiceToken's document and those of its bindings: "HerokuBinding/probe".
std::set<std::string> documents_of(const desired& wanted, const std::string& token);

// The steps that may be taken now. `busy` holds the locks of steps that are under way: nothing that needs one is
// offered.
judgement next(const desired& wanted, const observed& world, const settings& how, instant now,
               const std::set<std::string>& busy = {});

// The world after the step, given what came of it.
void effect(observed& world, const step& taken, const outcome& came, instant now);

// What a step is expected to come to: what a plan assumes.
outcome predicted(const observed& world, const step& s, instant now);

} // namespace postern::domain
