#include "cli/verbs.hpp"

#include <iostream>

namespace postern::cli {

int run_daemon(const options&) {
    std::cerr << "postern run is not built yet.\n";
    return code::error;
}

} // namespace postern::cli
