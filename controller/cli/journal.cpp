#include "cli/verbs.hpp"

#include <iostream>

namespace postern::cli {

int show_journal(const options&) {
    std::cerr << "postern journal is not built yet.\n";
    return code::error;
}

} // namespace postern::cli
