#pragma once

#include "domain/next.hpp"
#include "run/pass.hpp"
#include "run/plan.hpp"

#include <vector>

// From what was found to the exit code, in one place.
namespace postern::cli {

int exit_code(const run::plan& made);
// 1 beats 3: a failure, or a wait that was given up, is more urgent than something that needs a person.
int exit_code(const run::pass_report& report);
int exit_code(const std::vector<domain::condition>& conditions);

} // namespace postern::cli
