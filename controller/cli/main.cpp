#include "cli/arguments.hpp"
#include "cli/options.hpp"

#include <cstdlib>
#include <exception>
#include <iostream>
#include <malloc.h>
#include <sys/prctl.h>
#include <sys/resource.h>

namespace {

// A core dump would hold every secret that this process knows.
void harden() {
    prctl(PR_SET_DUMPABLE, 0);
    const rlimit none{0, 0};
    setrlimit(RLIMIT_CORE, &none);
    // A look-up of a name that is under way cannot be cut short, so it must not take long.
    setenv("RES_OPTIONS", "timeout:2 attempts:2", 0);
}

} // namespace

int main(int argc, char** argv) {
    harden();
    // What lists and answers of megabytes took goes back at once: by itself the library begins to keep such pieces.
    mallopt(M_MMAP_THRESHOLD, 256 * 1024);
    try {
        return postern::cli::run_command(argc, argv);
    } catch (const std::exception& e) {
        std::cerr << "postern: this is a bug in Postern: " << e.what() << '\n';
    } catch (...) {
        std::cerr << "postern: this is a bug in Postern\n";
    }
    return postern::cli::code::error;
}
