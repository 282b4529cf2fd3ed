#pragma once

#include <cstdint>
#include <random>
#include <string>

// Where ids and secrets come from. Ids repeat for a given seed, so that a failing run can be replayed; secrets come
// from the operating system and never do.
namespace postern::testcloud {

class dice {
public:
    explicit dice(std::uint64_t seed) : engine_(seed) {}

    std::string uuid();
    std::string hex(std::size_t digits);
    std::uint64_t below(std::uint64_t bound);

    // "cfast_" and 48 letters or digits, the shape of service-token secrets since August 2026.
    static std::string client_secret();
    // `prefix` and `length` random letters or digits.
    static std::string secret(std::string_view prefix, std::size_t length);

private:
    std::mt19937_64 engine_;
};

} // namespace postern::testcloud
