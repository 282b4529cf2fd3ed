#pragma once

#include "run/status.hpp"

#include <string>

// A daemon's status as an operator reads it. Pure: text out of a value.
namespace postern::cli {

// Who leads, which documents are in force, the passes; then the tokens, what is not fine, and Postern's own keys. Times
// are told from `now`.
std::string status_text(const run::status& s, instant now, bool colour);

// "3d4h", "2h5m", "40s": the two greatest parts of a span; "0s" of none.
std::string rough(duration span);

} // namespace postern::cli
