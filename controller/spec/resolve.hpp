#pragma once

#include "spec/drafts.hpp"

#include <map>
#include <string>
#include <vector>

// References between documents: each left-out one filled in where only one thing can be meant, each other one held
// against what exists, and what follows from the document referred to (folders, config vars, allow-lists).
namespace postern::spec {

// The names of all documents by kind, also of those that are wrong in other respects.
struct known_names {
    std::map<std::string, std::vector<std::string>, std::less<>> by_kind;
    bool complete = true; // false where part of a file could not be read: what is missing may stand there
};

void resolve(drafts& all, const known_names& names, std::vector<problem>& problems);

} // namespace postern::spec
