#pragma once

#include "base/error.hpp"

#include <string>
#include <variant>
#include <vector>

// Where a store is, taken from its address. What may be told of it and what may not part ways here.
namespace postern::run {

struct sqlite_file {
    std::string path; // absolute
};

struct postgres_server {
    std::string settings;             // as libpq takes them, with the password
    std::vector<std::string> secrets; // what must not be told
    std::string shown;                // "postgres://host:port/database"
};

using sql_address = std::variant<sqlite_file, postgres_server>;

// "sqlite:PATH", or "postgres://…" with all that libpq takes there. What the address leaves open is settled so that
// nothing hangs and nothing travels in the clear: TLS is asked for unless the server is on this machine or the address
// (or PGSSLMODE) says otherwise. Errors are of kind `spec` and repeat nothing of an address that may hold a password.
result<sql_address> parse_sql_address(const std::string& address);

// For messages: "store sqlite:/var/lib/postern/postern.db".
std::string describe(const sql_address& at);

} // namespace postern::run
