#pragma once

#include "spec/document.hpp"
#include "spec/problem.hpp"
#include "spec/schema.hpp"

#include <vector>

// Holds a document against its schema and reports everything that is wrong, not only the first. Values are quoted only
// where the schema lists what is possible (enum, const); nothing at all is quoted below a secret field.
namespace postern::spec {

void check(const document& doc, const schema& rules, std::vector<problem>& problems);

} // namespace postern::spec
