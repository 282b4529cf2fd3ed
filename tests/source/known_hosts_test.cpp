#include "provider/known_hosts.hpp"

#include <doctest/doctest.h>

namespace known_hosts_test {

using namespace postern::provider;

namespace {

// "ssh-ed25519" with a key of 'k's, and what ssh-keygen -H made of its line for [127.0.0.1]:2222 and for example.com.
const std::string key = std::string{"\0\0\0\x0bssh-ed25519\0\0\0\x20", 19} + std::string(32, 'k');
const std::string blob = "AAAAC3NzaC1lZDI1NTE5AAAAIGtra2tra2tra2tra2tra2tra2tra2tra2tra2tra2tr";
const std::string line = " ssh-ed25519 " + blob + "\n";

host_key found(const std::string& text, const std::string& host, int port = 22) {
    return find_host_key(text, host, port, key).is;
}

} // namespace

TEST_CASE("known hosts: by name, list, wildcard and port") {
    CHECK(host_key_type(key) == "ssh-ed25519");
    CHECK(found("example.com" + line, "example.com") == host_key::known);
    CHECK(found("example.com" + line, "Example.COM") == host_key::known);
    CHECK(found("example.com" + line, "example.com", 2222) == host_key::unknown_host);
    CHECK(found("[example.com]:2222" + line, "example.com", 2222) == host_key::known);
    CHECK(found("[example.com]:2222" + line, "example.com") == host_key::unknown_host);
    CHECK(found("a.example,b.example" + line, "b.example") == host_key::known);
    CHECK(found("*.example" + line, "b.example") == host_key::known);
    CHECK(found("?.example" + line, "bb.example") == host_key::unknown_host);
    CHECK(found("*.example,!b.example" + line, "b.example") == host_key::unknown_host);
    CHECK(found("# example.com" + line, "example.com") == host_key::unknown_host);
    CHECK(found("", "example.com") == host_key::unknown_host);
    CHECK(found("\t example.com" + line + "\n\r\nrubbish\n", "example.com") == host_key::known);
}

// Found by tests/fuzz: matching took time exponential in the number of wildcards.
TEST_CASE("known hosts: many wildcards end at once") {
    const std::string stars(180, '*');
    CHECK(found(stars + "c*x" + line, "example.com") == host_key::unknown_host);
    CHECK(found(stars + "c*m" + line, "example.com") == host_key::known);
    CHECK(found("e*m*c?m*" + line, "example.com") == host_key::known);
    CHECK(found("*?*" + line, "e") == host_key::known);
    CHECK(found("e?*" + line, "e") == host_key::unknown_host);
}

TEST_CASE("known hosts: another key, a revoked one, an authority") {
    const auto other = std::string{"example.com ssh-rsa AAAAB3NzaC1yc2EAAAA=\n"};
    const auto verdict = find_host_key(other, "example.com", 22, key);
    CHECK(verdict.is == host_key::other_key);
    CHECK(verdict.pinned == std::vector<std::string>{"ssh-rsa"});
    CHECK(found(other + "example.com" + line, "example.com") == host_key::known);
    CHECK(found("example.com" + line + "@revoked *" + line, "example.com") == host_key::revoked);
    CHECK(found("@cert-authority example.com" + line, "example.com") == host_key::unknown_host);
}

} // namespace known_hosts_test
