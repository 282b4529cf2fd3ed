#include "provider/known_hosts.hpp"

#include "base/text.hpp"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <array>
#include <cstdint>
#include <optional>

namespace postern::provider {

namespace {

std::string base64(std::string_view bytes) {
    std::string out((bytes.size() + 2) / 3 * 4 + 1, '\0');
    EVP_EncodeBlock(reinterpret_cast<unsigned char*>(out.data()), reinterpret_cast<const unsigned char*>(bytes.data()),
                    static_cast<int>(bytes.size()));
    out.pop_back();
    return out;
}

std::optional<std::string> from_base64(std::string_view text) {
    if (text.empty() || text.size() % 4 != 0)
        return {};
    std::string out(text.size() / 4 * 3, '\0');
    const auto size =
        EVP_DecodeBlock(reinterpret_cast<unsigned char*>(out.data()),
                        reinterpret_cast<const unsigned char*>(text.data()), static_cast<int>(text.size()));
    if (size < 0)
        return {};
    const std::size_t padding = text.ends_with("==") ? 2 : text.ends_with('=') ? 1 : 0;
    out.resize(static_cast<std::size_t>(size) - padding);
    return out;
}

// "|1|salt|hash": HMAC-SHA1 of the name under the salt.
bool is_hash_of(std::string_view hashed, std::string_view name) {
    const auto parts = split(hashed, '|');
    if (parts.size() != 4 || parts[1] != "1")
        return false;
    const auto salt = from_base64(parts[2]);
    if (!salt)
        return false;
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    unsigned int size = 0;
    if (HMAC(EVP_sha1(), salt->data(), static_cast<int>(salt->size()),
             reinterpret_cast<const unsigned char*>(name.data()), name.size(), digest.data(), &size) == nullptr)
        return false;
    return base64({reinterpret_cast<const char*>(digest.data()), size}) == parts[3];
}

// '*' and '?', as ssh has them. Only the last '*' is ever tried again, so that no file makes this slow.
bool fits(std::string_view pattern, std::string_view name) {
    std::size_t at = 0;
    std::size_t read = 0;
    std::optional<std::size_t> star;
    std::size_t star_ends = 0;
    while (read < name.size()) {
        if (at < pattern.size() && pattern[at] == '*') {
            star = at++;
            star_ends = read;
        } else if (at < pattern.size() && (pattern[at] == '?' || pattern[at] == name[read])) {
            ++at;
            ++read;
        } else if (star) {
            at = *star + 1;
            read = ++star_ends;
        } else {
            return false;
        }
    }
    return pattern.find_first_not_of('*', at) == std::string_view::npos;
}

// A negated pattern that fits beats the others.
bool names_host(std::string_view patterns, std::string_view name) {
    if (patterns.starts_with('|'))
        return is_hash_of(patterns, name);
    bool found = false;
    for (auto pattern : split(patterns, ',')) {
        const bool negated = pattern.starts_with('!');
        if (negated)
            pattern.remove_prefix(1);
        if (!fits(lower(pattern), name))
            continue;
        if (negated)
            return false;
        found = true;
    }
    return found;
}

std::vector<std::string_view> words_of(std::string_view line) {
    std::vector<std::string_view> out;
    while (!(line = trim(line)).empty()) {
        const auto end = line.find_first_of(" \t");
        out.push_back(line.substr(0, end));
        line.remove_prefix(end == std::string_view::npos ? line.size() : end);
    }
    return out;
}

} // namespace

host_key_verdict find_host_key(std::string_view known_hosts, std::string_view host, int port, std::string_view key) {
    const auto plain = lower(host);
    const auto name = port == 22 ? plain : "[" + plain + "]:" + std::to_string(port);
    const auto shown = base64(key);
    host_key_verdict out;
    for (const auto line : split(known_hosts, '\n')) {
        auto words = words_of(line);
        if (words.empty() || words[0].starts_with('#'))
            continue;
        const auto marker = words[0].starts_with('@') ? words[0] : std::string_view{};
        if (!marker.empty())
            words.erase(words.begin());
        if (words.size() < 3 || !names_host(words[0], name))
            continue;
        if (marker == "@revoked" && words[2] == shown)
            return {host_key::revoked, {}};
        if (!marker.empty())
            continue;
        out.pinned.emplace_back(words[1]);
        if (words[2] == shown)
            out.is = host_key::known;
    }
    if (out.is != host_key::known && !out.pinned.empty())
        out.is = host_key::other_key;
    return out;
}

std::string host_key_type(std::string_view key) {
    if (key.size() < 4)
        return {};
    std::size_t size = 0;
    for (const char c : key.substr(0, 4))
        size = size << 8U | static_cast<std::uint8_t>(c);
    return size > key.size() - 4 || size > 64 ? "" : printable(key.substr(4, size));
}

std::string host_key_fingerprint(std::string_view key) {
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    unsigned int size = 0;
    EVP_Digest(key.data(), key.size(), digest.data(), &size, EVP_sha256(), nullptr);
    auto text = base64({reinterpret_cast<const char*>(digest.data()), size});
    text.erase(text.find_last_not_of('=') + 1);
    return "SHA256:" + text;
}

} // namespace postern::provider
