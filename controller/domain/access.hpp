#pragma once

#include "domain/observed.hpp"

#include <set>
#include <string>
#include <vector>

// A small evaluator of Access policies: who would be let in. It follows the documented order (bypass and non_identity
// first, then allow and deny by precedence, the first match ends it) and knows groups. It exists so that a change can
// be judged, and tested, by what it does to access.
namespace postern::domain {

// Somebody at the door: a machine with a valid service token, or a person of whom certain rules hold.
struct principal {
    std::string token_id;          // empty: a person
    std::set<std::string> matches; // `raw` of the rules that hold for a person
};

enum class access { refused, admitted };

bool satisfied(const rules& by, const std::vector<live_group>& groups, const principal& who);

access evaluate(const std::vector<live_policy>& policies, const std::vector<live_group>& groups, const principal& who);

} // namespace postern::domain
