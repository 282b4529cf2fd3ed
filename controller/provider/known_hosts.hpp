#pragma once

#include <string>
#include <string_view>
#include <vector>

// Whether a host over ssh is the one that was pinned: known_hosts files as OpenSSH writes them, with hashed names,
// "[host]:port", wildcards, and @revoked. Certificates (@cert-authority) do not count.
namespace postern::provider {

enum class host_key { known, unknown_host, other_key, revoked };

struct host_key_verdict {
    host_key is = host_key::unknown_host;
    std::vector<std::string> pinned; // the types of the keys that are pinned for this host
};

// `key` is the key's blob, as it goes over the wire.
host_key_verdict find_host_key(std::string_view known_hosts, std::string_view host, int port, std::string_view key);

// "ssh-ed25519": what the blob says that it is; empty where it says nothing readable.
std::string host_key_type(std::string_view key);

// "SHA256:…", as ssh-keygen -l shows it.
std::string host_key_fingerprint(std::string_view key);

} // namespace postern::provider
