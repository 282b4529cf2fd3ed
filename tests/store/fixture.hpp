#pragma once

#include "run/store.hpp"
#include "support/harness.hpp"
#include "support/postgres_server.hpp"
#include "support/scratch_folder.hpp"

#include <boost/asio/io_context.hpp>

#include <memory>
#include <string>
#include <utility>
#include <vector>

// What the tests of the store share: a fresh database of each kind, and calls that are waited for.
namespace postern::testing {

// One for the whole program: making a cluster takes seconds.
inline postgres_server& server() {
    static postgres_server the;
    return the;
}

struct on_sqlite {
    scratch_folder folder;
    std::string address = "sqlite:" + (folder / "postern.db").string();
};

struct on_postgres {
    std::string database = server().make_database();
    std::string address = server().address(database);
};

// Behind a pooler that hands out another of the server's sessions for each transaction.
struct on_pooled_postgres {
    std::string address = server().pooled_address(server().make_database());
};

inline std::unique_ptr<run::store> open(const std::string& address) {
    return run::make_store(address).value();
}

// A store and the thread of whoever uses it.
struct user {
    boost::asio::io_context io{1};
    std::unique_ptr<run::store> rows;

    explicit user(const std::string& address) : rows(open(address)) {}

    result<run::lease_row> read_lease() { return run(io, rows->read_lease()); }
    result<std::optional<run::lease_row>> take_lease(run::lease_row seen, std::string holder) {
        return run(io, rows->take_lease(std::move(seen), std::move(holder)));
    }
    result<std::optional<run::lease_row>> renew_lease(run::lease_row held) {
        return run(io, rows->renew_lease(std::move(held)));
    }
    result<void> release_lease(run::lease_row held) { return run(io, rows->release_lease(std::move(held))); }
    result<void> want_pass() { return run(io, rows->want_pass()); }
    result<void> save_troubles(std::int64_t epoch, std::map<std::string, domain::trouble> troubles) {
        return run(io, rows->save_troubles(epoch, std::move(troubles)));
    }
    result<std::map<std::string, domain::trouble>> load_troubles() { return run(io, rows->load_troubles()); }
    result<void> save_status(std::int64_t epoch, std::string document) {
        return run(io, rows->save_status(epoch, std::move(document)));
    }
    result<std::string> load_status() { return run(io, rows->load_status()); }
    result<void> append(std::vector<run::journal_entry> entries) { return run(io, rows->append(std::move(entries))); }
    result<std::vector<run::journal_entry>> read_journal(std::optional<instant> since = {}, std::size_t most = 100000) {
        return run(io, rows->read_journal(since, most));
    }

    // As it stands, taken by that holder.
    run::lease_row take(const std::string& holder) { return take_lease(read_lease().value(), holder).value().value(); }
};

inline run::journal_entry entry(std::int64_t epoch, const std::string& words) {
    run::journal_entry e;
    e.epoch = epoch;
    e.at = *parse_instant("2026-11-23T10:00:00.125Z");
    e.holder = "a1b2";
    e.revision = "c0ffee";
    e.pass = 7;
    e.resource = "ServiceToken/console-self-probe";
    e.action = "mint";
    e.target = "console-self-probe";
    e.reason = "TokenMissing";
    e.words = words;
    e.before = "000000000000";
    e.after = "111111111111";
    e.requests = {"8f2a-ray", "id with \"quotes\""};
    e.failure = "";
    return e;
}

} // namespace postern::testing
