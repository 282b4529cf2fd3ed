#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <string_view>

// A fuzz target is one function of the input, `try_input`; libFuzzer calls it until something breaks. A property that
// does not hold ends the program, whose input libFuzzer then keeps.
namespace postern::fuzz {

inline void hold(bool property, std::string_view what) {
    if (property)
        return;
    std::cerr << "does not hold: " << what << std::endl;
    std::abort();
}

void try_input(std::string_view input);

} // namespace postern::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    postern::fuzz::try_input({reinterpret_cast<const char*>(data), size});
    return 0;
}
