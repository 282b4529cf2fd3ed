#include "provider/known_hosts.hpp"

#include "target.hpp"

// A known_hosts file, and a key's blob: a key counts only where the file holds it.
void postern::fuzz::try_input(std::string_view input) {
    using namespace provider;
    const std::string key = std::string{"\0\0\0\x0bssh-ed25519\0\0\0\x20", 19} + std::string(32, 'k');
    const auto verdict = find_host_key(input, "example.com", 22, key);
    if (verdict.is == host_key::known || verdict.is == host_key::revoked)
        hold(input.find("AAAAC3NzaC1lZDI1NTE5AAAAIGtra2tra2tra2tra2tra2tra2tra2tra2tra2tr") != std::string_view::npos,
             "a key counts only where it stands in the file");
    find_host_key(input, "example.com", 2222, key);
    host_key_type(input);
    host_key_fingerprint(input);
}
