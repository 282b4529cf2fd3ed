#pragma once

#include "cli/options.hpp"

// One function per verb: what it prints goes to stdout, what went wrong to stderr, and it returns the exit code.
namespace postern::cli {

int validate(const options& asked);
int plan(const options& asked);
int apply(const options& asked);
// Of the ServiceToken that `asked.only` names.
int rotate(const options& asked);
// For ever, until SIGTERM or SIGINT.
int run_daemon(const options& asked);
// From the daemon's endpoint, or from its store.
int show_status(const options& asked);
int show_journal(const options& asked);

} // namespace postern::cli
