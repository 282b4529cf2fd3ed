#include "cli/verbs.hpp"

#include <iostream>

namespace postern::cli {

int show_status(const options&) {
    std::cerr << "postern status is not built yet.\n";
    return code::error;
}

} // namespace postern::cli
