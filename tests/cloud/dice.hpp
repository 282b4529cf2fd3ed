#pragma once

#include <cstdint>
#include <random>
#include <string>
#include <string_view>

// Where ids and secrets come from. Ids repeat for a given seed, so that a failing run can be replayed; secrets come
// from the operating system and never do.
namespace postern::testcloud {

// Stands in every secret, so that tests/canary finds one wherever it was printed or written.
inline constexpr std::string_view canary = "CANARYxPOSTERN";

class dice {
public:
    explicit dice(std::uint64_t seed) : engine_(seed) {}

    std::string uuid();
    std::string hex(std::size_t digits);
    std::uint64_t below(std::uint64_t bound);

    // "cfast_" and 48 letters or digits, the shape of service-token secrets since August 2026.
    static std::string client_secret();
    // `prefix` and `length` letters or digits: the canary, and random ones.
    static std::string secret(std::string_view prefix, std::size_t length);

private:
    std::mt19937_64 engine_;
};

} // namespace postern::testcloud
