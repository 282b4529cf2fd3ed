#pragma once

#include <chrono>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

// TLS certificates for servers on loopback, made on the spot: nothing secret, nothing that expires in a repository.
namespace postern::testing {

// A certificate chain and its key, as PEM.
struct identity {
    std::string certificate;
    std::string key;
};

struct certificate_wish {
    std::vector<std::string> names; // DNS names and addresses
    std::chrono::hours valid_from{-1};
    std::chrono::hours valid_until{24};
};

class test_authority {
public:
    explicit test_authority(std::string name = "Postern test authority");
    ~test_authority();
    test_authority(const test_authority&) = delete;
    test_authority& operator=(const test_authority&) = delete;

    // The trust anchor, as PEM: for --ca-file.
    const std::string& certificate() const;
    identity issue(const certificate_wish& wish) const;

private:
    struct state;
    std::unique_ptr<state> state_;
};

identity self_signed(const certificate_wish& wish);

// A file of its own that goes when this goes.
class temporary_file {
public:
    explicit temporary_file(std::string_view content);
    ~temporary_file();
    temporary_file(const temporary_file&) = delete;
    temporary_file& operator=(const temporary_file&) = delete;

    std::string path() const { return path_.string(); }

private:
    std::filesystem::path path_;
};

} // namespace postern::testing
