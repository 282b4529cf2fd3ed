#include "cloud/dice.hpp"

#include <openssl/rand.h>

#include <stdexcept>
#include <string_view>
#include <vector>

namespace postern::testcloud {

std::string dice::hex(std::size_t digits) {
    constexpr std::string_view alphabet = "0123456789abcdef";
    std::string out;
    while (out.size() < digits)
        out += alphabet[below(alphabet.size())];
    return out;
}

std::uint64_t dice::below(std::uint64_t bound) {
    return engine_() % bound;
}

std::string dice::uuid() {
    std::string id = hex(8) + "-" + hex(4) + "-4" + hex(3) + "-" + hex(4) + "-" + hex(12);
    id[19] = "89ab"[below(4)];
    return id;
}

std::string dice::client_secret() {
    return secret("cfast_", 48);
}

std::string dice::secret(std::string_view prefix, std::size_t length) {
    constexpr std::string_view alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    std::vector<unsigned char> bytes(length);
    if (RAND_bytes(bytes.data(), static_cast<int>(length)) != 1)
        throw std::runtime_error("no random bytes");
    std::string out{prefix};
    out += canary;
    for (std::size_t i = canary.size(); i < length; ++i)
        out += alphabet[bytes[i] % alphabet.size()];
    return out;
}

} // namespace postern::testcloud
