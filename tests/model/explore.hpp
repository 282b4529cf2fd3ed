#pragma once

#include "model/digest.hpp"
#include "model/state.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <unordered_set>
#include <vector>

// Tries every order of every move from a state, each state once, depth first; checks every move and every state against
// the rules, and from wherever nobody has anything left to do without a fault, that a calm world becomes whole.
namespace postern::model {

struct findings {
    std::uint64_t states = 0;
    std::uint64_t moves = 0;
    std::uint64_t ends = 0; // states from which a calm run was tried
    std::size_t deepest = 0;
    double seconds = 0;
    std::optional<std::string> violation; // the rule in words, and every move that led to it
};

// The name of a state: everything that can influence what follows.
digest name_of(const state& s, bool with_budgets = true);

findings explore(const setting& in, const state& first, std::uint64_t most_states = UINT64_MAX);

// What a calm world becomes: nobody fails, everybody gets the time that is asked for.
state settled(const setting& in, state from);

} // namespace postern::model
