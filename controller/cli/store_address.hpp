#pragma once

#include "base/error.hpp"
#include "cli/options.hpp"
#include "run/store.hpp"

#include <memory>
#include <string>

// Which store is meant, for every verb that uses one.
namespace postern::cli {

// What --store says, else DATABASE_URL, else SQLite in the working folder.
std::string store_address(const options& asked);

// For the verbs that only look: a SQLite store that is not there is an error, and none is made.
result<std::unique_ptr<run::store>> open_existing_store(const options& asked);

} // namespace postern::cli
