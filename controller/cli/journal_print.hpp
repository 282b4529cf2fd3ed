#pragma once

#include "run/store.hpp"

#include <string>
#include <vector>

// The journal as people and programs read it. Pure: entries in, text out. Names that came from a remote are escaped.
namespace postern::cli {

// One line per entry, in columns: when, who in which epoch, what for, what was done to what, and why; below it what was
// changed, what failed, and the remotes' ids of the requests. Empty for none.
std::string journal_text(const std::vector<run::journal_entry>& entries);

// The one document of -o json, {"entries": [...]}, with a newline.
std::string journal_document(const std::vector<run::journal_entry>& entries);

} // namespace postern::cli
