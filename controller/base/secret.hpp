#pragma once

#include "base/error.hpp"

#include <cstddef>
#include <iosfwd>
#include <string>
#include <string_view>
#include <vector>

// The only type in which a secret may live. It is move-only, wipes its bytes when it goes, cannot be printed, compared
// with == or turned into JSON; reveal() is the one door, and tests/base/reveal_test.cpp holds the list of its callers.
namespace postern {

class secret {
public:
    secret() = default;
    explicit secret(std::string_view text) : bytes_(text.begin(), text.end()) {}
    // Takes the text and wipes the string it came in.
    static secret consume(std::string& text);

    secret(secret&& other) noexcept : bytes_(std::move(other.bytes_)) { other.bytes_.clear(); }
    secret& operator=(secret&& other) noexcept;
    secret(const secret&) = delete;
    secret& operator=(const secret&) = delete;
    ~secret();

    secret copy() const { return secret{reveal()}; }
    bool empty() const { return bytes_.empty(); }
    std::size_t size() const { return bytes_.size(); }

    // The bytes, for the call that sends them. The view dies with the secret.
    std::string_view reveal() const { return {bytes_.data(), bytes_.size()}; }

private:
    // A vector, not a string: a short string keeps its bytes inside the object, where a move leaves them behind.
    std::vector<char> bytes_;
};

// Printing a secret is a compile error.
std::ostream& operator<<(std::ostream&, const secret&) = delete;

// Constant-time equality.
bool same(const secret& a, const secret& b);

// Wipes the characters of `text` and empties it.
void wipe(std::string& text);

// 12 hex digits of HMAC-SHA256(key, value): enough to tell credentials apart in records, plans and logs, useless
// without the key for testing guesses. The key is the installation's own, kept in the vault.
std::string fingerprint(const secret& key, const secret& value);

// `bytes` random bytes from the operating system, as lower-case hex.
std::string random_hex(std::size_t bytes);

} // namespace postern
