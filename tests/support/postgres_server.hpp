#pragma once

#include "support/scratch_folder.hpp"

#include <string>
#include <sys/types.h>
#include <vector>

// A real PostgreSQL server of the test's own: a new cluster in a temporary folder, on loopback and on a socket in that
// folder, with a superuser "postern" who needs a password on loopback. It ends with this object, and with this process.
namespace postern::testing {

class postgres_server {
public:
    // Made and running. Throws where the Debian package postgresql is missing.
    postgres_server();
    ~postgres_server();
    postgres_server(const postgres_server&) = delete;
    postgres_server& operator=(const postgres_server&) = delete;

    void start();
    // Open transactions are ended and the clients are sent away.
    void stop();
    // The processes stand still: the kernel takes connections, and nobody answers.
    void freeze();
    void thaw();

    // A new, empty database there.
    std::string make_database();

    // "postgres://postern:password@127.0.0.1:port/database"
    std::string address(const std::string& database) const;
    // The same over the socket in the folder.
    std::string socket_address(const std::string& database) const;
    // The same through PgBouncer, which gives each transaction another of its two sessions.
    std::string pooled_address(const std::string& database);
    std::string password() const { return password_; }
    int port() const { return port_; }
    // What the server wrote: every statement among it.
    std::string log() const;

private:
    void make_cluster();
    std::vector<pid_t> processes() const;

    scratch_folder folder_;
    std::string password_;
    int port_ = 0;
    int databases_ = 0;
    pid_t pid_ = 0;
    int pooler_port_ = 0;
    pid_t pooler_ = 0;
};

} // namespace postern::testing
