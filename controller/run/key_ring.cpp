#include "run/key_ring.hpp"

#include <algorithm>
#include <utility>

namespace postern::run {

namespace {

bool is_id_char(char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '.' || c == '-' ||
           c == '_';
}

// What a header can carry, and no space: whatever else a secret may look like one day.
bool is_secret_char(char c) {
    return c > ' ' && c < 0x7f;
}

} // namespace

secret credential_text(std::string_view client_id, const secret& client_secret) {
    std::string text;
    text.reserve(client_id.size() + 1 + client_secret.size());
    text.append(client_id).append(1, ':').append(client_secret.reveal());
    return secret::consume(text);
}

std::string client_id_of(const secret& text) {
    auto all = text.reveal();
    auto colon = all.find(':');
    if (colon == std::string_view::npos)
        return {};
    auto id = all.substr(0, colon);
    auto rest = all.substr(colon + 1);
    const bool id_fits = id.find(".access") != std::string_view::npos && std::all_of(id.begin(), id.end(), is_id_char);
    const bool secret_fits = !rest.empty() && std::all_of(rest.begin(), rest.end(), is_secret_char);
    return id_fits && secret_fits ? std::string{id} : std::string{};
}

const key_ring::installation& key_ring::of(const std::string& vault) {
    auto [at, is_new] = installations_.try_emplace(vault);
    if (is_new) {
        at->second.id = random_hex(4);
        auto bytes = random_hex(32);
        at->second.fingerprint_key = secret::consume(bytes);
    }
    return at->second;
}

void key_ring::found(const std::string& vault, installation is) {
    installations_.insert_or_assign(vault, std::move(is));
}

std::string key_ring::fingerprint(const std::string& vault, const secret& value) {
    return postern::fingerprint(of(vault).fingerprint_key, value);
}

std::string key_ring::keep(const std::string& vault, secret value) {
    auto print = fingerprint(vault, value);
    known_.insert_or_assign(print, std::move(value));
    return print;
}

void key_ring::keep_only(const std::set<std::string>& fingerprints) {
    std::erase_if(known_, [&](const auto& known) { return !fingerprints.contains(known.first); });
}

const secret* key_ring::find(const std::string& fingerprint) const {
    auto at = known_.find(fingerprint);
    return at == known_.end() ? nullptr : &at->second;
}

} // namespace postern::run
