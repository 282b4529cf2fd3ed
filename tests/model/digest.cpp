#include "model/digest.hpp"

#include <bit>

namespace postern::model {

namespace {

std::uint64_t mixed(std::uint64_t x) {
    x ^= x >> 32U;
    x *= 0xd6e8feb86659fd93U;
    x ^= x >> 32U;
    x *= 0xd6e8feb86659fd93U;
    return x ^ (x >> 32U);
}

} // namespace

digest digest_of(const std::string& text) {
    digest d{0x9e3779b97f4a7c15U, 0xc2b2ae3d27d4eb4fU ^ text.size()};
    std::size_t at = 0;
    while (at < text.size()) {
        std::uint64_t word = 0;
        std::memcpy(&word, text.data() + at, std::min<std::size_t>(8, text.size() - at));
        at += 8;
        d[0] = std::rotl(d[0] ^ (word * 0x87c37b91114253d5U), 31) * 0x4cf5ad432745937fU;
        d[1] = (std::rotl(d[1], 29) + word) * 0x9fb21c651e98df25U ^ d[0];
    }
    return {mixed(d[0] + d[1]), mixed(d[1] ^ std::rotl(d[0], 17))};
}

} // namespace postern::model
