#pragma once

#include "cli/options.hpp"
#include "domain/desired.hpp"

#include <optional>

// The documents of a command, or every problem that they have, told on stderr.
namespace postern::cli {

std::optional<domain::desired> load_documents(const options& asked);

} // namespace postern::cli
