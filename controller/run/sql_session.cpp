#include "run/sql_session.hpp"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <libpq-fe.h>
#include <optional>
#include <soci/postgresql/soci-postgresql.h>
#include <soci/soci.h>
#include <soci/sqlite3/soci-sqlite3.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>

namespace postern::run {

namespace {

// Settings go with the transaction. A process that is stopped in the middle of one must not hold up the others.
constexpr const char* begin_on_server = "begin; set local statement_timeout = 5000; "
                                        "set local idle_in_transaction_session_timeout = 3000";
constexpr const char* begin_on_file = "begin immediate";

constexpr const char* find_tables_on_server = "select count(*) from pg_class where oid = to_regclass('postern_schema')";
constexpr const char* find_tables_on_file = "select count(*) from sqlite_master where name = 'postern_schema'";

// The same for both.
constexpr const char* tables[] = {
    "create table postern_schema (version bigint not null)",
    "create table postern_lease (id bigint primary key, holder text not null, epoch bigint not null, "
    "beat bigint not null, wanted bigint not null)",
    "create table postern_trouble (step_lock text primary key, kind text not null, place text not null, "
    "what text not null, status bigint not null, code text not null, retry_after_ms bigint not null, "
    "times bigint not null, again_ms bigint not null)",
    "create table postern_status (id bigint primary key, epoch bigint not null, document text not null)",
    "create table postern_journal (epoch bigint not null, number bigint not null, at_ms bigint not null, "
    "holder text not null, revision text not null, pass bigint not null, resource text not null, "
    "action text not null, target text not null, reason text not null, words text not null, "
    "before_print text not null, after_print text not null, requests text not null, failure text not null, "
    "primary key (epoch, number))",
    "create index postern_journal_at on postern_journal (at_ms)",
    "insert into postern_lease (id, holder, epoch, beat, wanted) values (1, '', 0, 0, 0)",
};

class descriptor {
public:
    explicit descriptor(int fd) : fd_(fd) {}
    ~descriptor() {
        if (fd_ >= 0)
            ::close(fd_);
    }
    descriptor(const descriptor&) = delete;
    descriptor& operator=(const descriptor&) = delete;
    int operator*() const { return fd_; }

private:
    int fd_;
};

// On one line, without SOCI's own opening words.
std::string plain(std::string text) {
    constexpr std::string_view opening = "Cannot establish connection to the database.";
    if (text.starts_with(opening))
        text.erase(0, opening.size());
    std::string out;
    for (const char c : text) {
        if (c != '\n' && c != '\t')
            out += c;
        else if (!out.empty() && out.back() != ' ')
            out += ' ';
    }
    const auto first = out.find_first_not_of(' ');
    const auto last = out.find_last_not_of(' ');
    return first == std::string::npos ? "no reason was given" : out.substr(first, last - first + 1);
}

error_kind kind_of(const soci::soci_error& e) {
    const auto* from_server = dynamic_cast<const soci::postgresql_soci_error*>(&e);
    if (from_server == nullptr)
        return error_kind::unavailable;
    const auto state = from_server->sqlstate();
    if (state == "57014") // query_canceled, by the statement's timeout
        return error_kind::timeout;
    if (state == "42501") // insufficient_privilege
        return error_kind::refused;
    return error_kind::unavailable;
}

} // namespace

sql_session::sql_session(sql_address at) : at_(std::move(at)), name_(describe(at_)) {}

sql_session::~sql_session() {
    close();
}

error sql_session::told(std::string what, error_kind kind) const {
    if (const auto* server = std::get_if<postgres_server>(&at_)) {
        for (const auto& hidden : server->secrets) {
            for (auto found = what.find(hidden); found != std::string::npos; found = what.find(hidden, found + 3))
                what.replace(found, hidden.size(), "***");
        }
    }
    return {.kind = kind, .where = name_, .what = plain(std::move(what)), .code = {}, .retry_after = {}};
}

result<void> sql_session::transact(const std::function<result<void>(soci::session&)>& work) {
    try {
        if (auto begun = begin(); !begun) {
            close();
            return begun;
        }
        auto done = work(*open_);
        if (done)
            open_->commit();
        else
            open_->rollback();
        return done;
    } catch (const soci::soci_error& e) {
        auto why = told(e.get_error_message(), kind_of(e));
        close();
        return why;
    } catch (const std::system_error& e) {
        close();
        return told(e.what(), error_kind::unavailable);
    }
}

result<void> sql_session::begin() {
    const char* words = std::holds_alternative<sqlite_file>(at_) ? begin_on_file : begin_on_server;
    if (open_ && moved())
        close();
    if (open_) {
        try {
            *open_ << words;
            return {};
        } catch (const soci::soci_error&) {
            close(); // the connection was lost while nothing was asked of it
        }
    }
    if (auto opened = open(); !opened)
        return opened;
    *open_ << words;
    return {};
}

result<void> sql_session::open() {
    if (given_up_)
        return told("it is being closed", error_kind::cancelled);
    if (const auto* file = std::get_if<sqlite_file>(&at_))
        open_file(*file);
    else
        open_server(std::get<postgres_server>(at_));
    auto made = make_tables();
    if (const auto* file = std::get_if<sqlite_file>(&at_)) {
        log_ = id_of(file->path + "-wal");
        index_ = id_of(file->path + "-shm");
    }
    return made;
}

void sql_session::open_file(const sqlite_file& file) {
    const auto folder = std::filesystem::path{file.path}.parent_path().string();
    // A log that outlived its file would be taken for the new file's, and no two may turn a new file into one with a
    // log at a time: SQLite tells the second that it is locked, however long that would wait. So one process at a time
    // looks and makes it.
    const descriptor turn{::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
    if (*turn < 0 || ::flock(*turn, LOCK_EX) != 0)
        throw std::system_error(errno, std::generic_category(), "the folder " + folder);
    struct stat seen {};
    if (::stat(file.path.c_str(), &seen) != 0) {
        ::unlink((file.path + "-wal").c_str());
        ::unlink((file.path + "-shm").c_str());
        const descriptor made{::open(file.path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, S_IRUSR | S_IWUSR)};
        if (*made < 0)
            throw std::system_error(errno, std::generic_category(), "the file cannot be made");
    }
    file_ = id_of(file.path);
    open_ = std::make_unique<soci::session>(soci::sqlite3, "dbname=\"" + file.path + "\" timeout=5");
    std::string mode;
    *open_ << "pragma journal_mode = wal", soci::into(mode);
    *open_ << "pragma synchronous = normal";
}

void sql_session::open_server(const postgres_server& server) {
    open_ = std::make_unique<soci::session>(soci::postgresql, server.settings);
    auto* connection = static_cast<soci::postgresql_session_backend*>(open_->get_backend())->conn_;
    PQsetNoticeProcessor(
        connection, [](void*, const char*) {}, nullptr);
    const std::lock_guard hold{lock_};
    socket_ = PQsocket(connection);
}

result<void> sql_session::make_tables() {
    const bool on_file = std::holds_alternative<sqlite_file>(at_);
    auto& sql = *open_;
    sql << (on_file ? begin_on_file : begin_on_server);
    if (!on_file)
        sql << "select pg_advisory_xact_lock(7305808869232)"; // of Postern's own choosing
    long long found = 0;
    sql << (on_file ? find_tables_on_file : find_tables_on_server), soci::into(found);
    if (found == 0) {
        for (const char* table : tables)
            sql << table;
        sql << "insert into postern_schema (version) values (:version)", soci::use(sql_schema, "version");
    } else {
        long long version = 0;
        sql << "select max(version) from postern_schema", soci::into(version);
        if (version > sql_schema)
            return told("its tables are of version " + std::to_string(version) +
                            ", made by a newer Postern; this one "
                            "knows version " +
                            std::to_string(sql_schema) + ": run the newer one, or give another store",
                        error_kind::refused);
    }
    sql.commit();
    return {};
}

void sql_session::close() {
    {
        const std::lock_guard hold{lock_};
        socket_ = -1;
    }
    const auto* file = std::get_if<sqlite_file>(&at_);
    if (file != nullptr && open_ && moved())
        remove_remains(file->path);
    open_.reset();
}

void sql_session::cut() {
    const std::lock_guard hold{lock_};
    if (socket_ >= 0)
        ::shutdown(socket_, SHUT_RDWR);
}

void sql_session::give_up() {
    given_up_ = true;
    cut();
}

sql_session::file_id sql_session::id_of(const std::string& path) {
    struct stat seen {};
    if (::stat(path.c_str(), &seen) != 0)
        return {};
    return {seen.st_dev, seen.st_ino};
}

bool sql_session::moved() const {
    const auto* file = std::get_if<sqlite_file>(&at_);
    return file != nullptr && id_of(file->path) != file_;
}

// SQLite leaves the log of a file that is not at its place any more. Somebody else's new one there stays: it is
// another file, and ours is still open.
void sql_session::remove_remains(const std::string& path) const {
    if (log_ != file_id{} && id_of(path + "-wal") == log_)
        ::unlink((path + "-wal").c_str());
    if (index_ != file_id{} && id_of(path + "-shm") == index_)
        ::unlink((path + "-shm").c_str());
}

} // namespace postern::run
