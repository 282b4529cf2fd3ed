#pragma once

namespace postern::cli {

// Flags and their environment twins become options, options go to a verb; returns the process's exit code.
int run_command(int argc, char** argv);

} // namespace postern::cli
