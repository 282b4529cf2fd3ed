#pragma once

#include "base/instant.hpp"

#include <cstdint>
#include <string_view>

// Chance that replays: the same seed gives the same throws with every compiler and library. And the digest by which two
// runs are compared.
namespace postern::bench {

class dice {
public:
    explicit dice(std::uint64_t seed) : state_(seed) {}

    // SplitMix64.
    std::uint64_t next() {
        std::uint64_t z = (state_ += 0x9e3779b97f4a7c15U);
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
        return z ^ (z >> 31);
    }
    // From nothing up to and without `n`, which is not zero.
    std::size_t below(std::size_t n) { return static_cast<std::size_t>(next() % n); }
    bool one_in(std::size_t n) { return below(n) == 0; }
    duration between(duration least, duration most) {
        const auto room = static_cast<std::uint64_t>((most - least).count());
        return least + duration{static_cast<duration::rep>(next() % (room + 1))};
    }

private:
    std::uint64_t state_;
};

// FNV-1a over all that is put in.
class digester {
public:
    void put(std::string_view text) {
        for (char c : text)
            byte(static_cast<unsigned char>(c));
        byte(0xff);
    }
    void put(std::uint64_t number) {
        for (int i = 0; i < 8; ++i)
            byte(static_cast<unsigned char>(number >> (8 * i)));
    }
    std::uint64_t value() const { return value_; }

private:
    void byte(unsigned char b) { value_ = (value_ ^ b) * 1099511628211U; }

    std::uint64_t value_ = 14695981039346656037U;
};

} // namespace postern::bench
