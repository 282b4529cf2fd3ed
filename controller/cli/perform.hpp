#pragma once

#include "cli/options.hpp"
#include "cli/session.hpp"
#include "domain/desired.hpp"

#include <vector>

// One pass as a person or a program follows it: the plan and a question first, each step as it happens, and what came
// of it all.
namespace postern::cli {

struct performed {
    int code = 0; // the exit code
    std::vector<domain::condition> conditions;
};

// The plan; on a terminal one sees what is being looked at, which takes as long as hosts that do not answer.
run::plan look(const options& asked, session& here);

// Shows the plan and asks, unless that was said already. Nothing: go on; else the exit code.
std::optional<int> approve(const options& asked, session& here, const domain::desired& wanted);

performed perform(const options& asked, session& here, const domain::desired& wanted);

} // namespace postern::cli
