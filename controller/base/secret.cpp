#include "base/secret.hpp"

#include "base/text.hpp"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

#include <array>
#include <stdexcept>

namespace postern {

secret secret::consume(std::string& text) {
    secret out{text};
    wipe(text);
    return out;
}

secret& secret::operator=(secret&& other) noexcept {
    if (this != &other) {
        OPENSSL_cleanse(bytes_.data(), bytes_.size());
        bytes_ = std::move(other.bytes_);
        other.bytes_.clear();
    }
    return *this;
}

secret::~secret() {
    OPENSSL_cleanse(bytes_.data(), bytes_.size());
}

bool same(const secret& a, const secret& b) {
    return a.size() == b.size() && CRYPTO_memcmp(a.reveal().data(), b.reveal().data(), a.size()) == 0;
}

void wipe(std::string& text) {
    OPENSSL_cleanse(text.data(), text.size());
    text.clear();
}

std::string fingerprint(const secret& key, const secret& value) {
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    unsigned int length = 0;
    auto bytes = value.reveal();
    // NOLINTNEXTLINE(cppcoreguidelines-pro-type-reinterpret-cast): OpenSSL's byte type.
    const auto* data = reinterpret_cast<const unsigned char*>(bytes.data());
    if (HMAC(EVP_sha256(), key.reveal().data(), static_cast<int>(key.size()), data, bytes.size(), digest.data(),
             &length) == nullptr)
        throw std::runtime_error("HMAC-SHA256 is not available in this OpenSSL");
    return hex({reinterpret_cast<const char*>(digest.data()), 6});
}

std::string random_hex(std::size_t bytes) {
    std::string raw(bytes, '\0');
    if (RAND_bytes(reinterpret_cast<unsigned char*>(raw.data()), static_cast<int>(bytes)) != 1)
        throw std::runtime_error("the operating system gave no random bytes");
    return hex(raw);
}

} // namespace postern
