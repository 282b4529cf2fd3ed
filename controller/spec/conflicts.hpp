#pragma once

#include "spec/drafts.hpp"

#include <vector>

// What documents that are fine by themselves must not do together: claim the same thing twice, or wait for each other.
namespace postern::spec {

// Expects references resolved; a draft whose references are missing takes part as far as it can.
void find_conflicts(drafts& all, std::vector<problem>& problems);

} // namespace postern::spec
