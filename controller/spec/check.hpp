#pragma once

#include "spec/document.hpp"
#include "spec/problem.hpp"
#include "spec/schema.hpp"

#include <vector>

// Holds a document against its schema and reports everything that is wrong, not only the first. What is
// refused is marked as broken in its tree, so that the rest of the document can be read and nobody complains of it
// twice. Values are quoted only where the schema lists what is possible (enum, const), and nothing at all is quoted
// below a secret field.
namespace postern::spec {

void check(document& doc, const schema& rules, std::vector<problem>& problems);

} // namespace postern::spec
