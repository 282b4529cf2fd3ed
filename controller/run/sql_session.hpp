#pragma once

#include "base/error.hpp"
#include "run/sql_address.hpp"

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <sys/types.h>
#include <utility>

namespace soci {
class session;
}

// One connection to the store's database, opened when it is needed and anew after each failure, with the tables made
// where they are missing. No state is kept in the server's session beyond a transaction, so that a pooler may stand in
// between. For one thread, but for cut() and give_up().
namespace postern::run {

// What this program's tables are. A database that says more was made by a newer Postern and is left alone.
inline constexpr std::int64_t sql_schema = 1;

class sql_session {
public:
    explicit sql_session(sql_address at);
    ~sql_session();
    sql_session(const sql_session&) = delete;
    sql_session& operator=(const sql_session&) = delete;

    // Does `work` in one transaction, and keeps what it did where it returns no error. What it throws of SOCI's comes
    // back as an error; nothing was kept then, unless the answer to the very last word was lost.
    result<void> transact(const std::function<result<void>(soci::session&)>& work);

    // From any thread: what waits for the server's answer fails now.
    void cut();
    // From any thread, too: and nothing is opened any more.
    void give_up();

    const std::string& name() const { return name_; }

private:
    result<void> begin();
    result<void> open();
    void open_file(const sqlite_file& file);
    void open_server(const postgres_server& server);
    result<void> make_tables();
    void close();
    // SQLite: whether the file at the path is still the one that is open.
    bool moved() const;
    error told(std::string what, error_kind kind) const;

    struct file_id {
        dev_t device = 0;
        ino_t number = 0;
        bool operator==(const file_id&) const = default;
    };
    static file_id id_of(const std::string& path);
    void remove_remains(const std::string& path) const;

    sql_address at_;
    std::string name_;
    std::unique_ptr<soci::session> open_;
    file_id file_;
    file_id log_;   // the write-ahead log
    file_id index_; // and its index
    std::atomic<bool> given_up_ = false;
    std::mutex lock_;
    int socket_ = -1; // behind `lock_`
};

} // namespace postern::run
