#pragma once

#include "base/error.hpp"
#include "base/instant.hpp"
#include "domain/observed.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

// What a daemon keeps outside the vault: who leads, what is backed off from, what was last seen, and the journal. None
// of it is needed to keep a credential: a store that is lost is rebuilt from the vault and the world. SQLite and
// PostgreSQL take the same SQL. No secret is ever in it.
namespace postern::run {

// Who may write. The holder raises `beat`; whoever sees one row unchanged for the lease's time may take it. Nobody's
// clock is compared with anybody else's.
struct lease_row {
    std::string holder;      // empty: nobody, it was given back
    std::int64_t epoch = 0;  // grows with each taking
    std::int64_t beat = 0;   // grows with each renewal
    std::int64_t wanted = 0; // how often somebody asked the holder for a pass now
    bool operator==(const lease_row&) const = default;
};

// One decision or change, as it was made. Append-only.
struct journal_entry {
    std::int64_t epoch = 0;
    std::int64_t number = 0; // within the epoch, from 1; the store gives it
    instant at{};
    std::string holder;
    std::string revision; // of the documents
    std::int64_t pass = 0;
    std::string resource;
    std::string action; // the step's word, or "condition"
    std::string target;
    std::string reason; // CamelCase
    std::string words;
    std::string before;                // fingerprint of what was there, where a value was changed
    std::string after;                 // and of what is there now
    std::vector<std::string> requests; // the remotes' ids of the requests that were sent for it
    std::string failure;               // empty: it came off
    bool operator==(const journal_entry&) const = default;
};

class store {
public:
    virtual ~store() = default;

    virtual boost::asio::awaitable<result<lease_row>> read_lease() = 0;
    // The row with this holder and the next epoch, where it still is as `seen`; nothing: somebody was faster.
    virtual boost::asio::awaitable<result<std::optional<lease_row>>> take_lease(lease_row seen, std::string holder) = 0;
    // The row with the next beat, where its holder and epoch still are those of `held`; nothing: it was taken.
    virtual boost::asio::awaitable<result<std::optional<lease_row>>> renew_lease(lease_row held) = 0;
    // Gives it back; no error where somebody else has it by now.
    virtual boost::asio::awaitable<result<void>> release_lease(lease_row held) = 0;
    // Asks whoever holds the lease for a pass now.
    virtual boost::asio::awaitable<result<void>> want_pass() = 0;

    // By the step's lock, as in domain::observed. What is not in the map is forgotten. Refused (`conflict`) where the
    // lease's epoch is another by now.
    virtual boost::asio::awaitable<result<void>> save_troubles(std::int64_t epoch,
                                                               std::map<std::string, domain::trouble> troubles) = 0;
    virtual boost::asio::awaitable<result<std::map<std::string, domain::trouble>>> load_troubles() = 0;

    // The last status document (JSON text); refused (`conflict`) where the lease's epoch is another by now.
    virtual boost::asio::awaitable<result<void>> save_status(std::int64_t epoch, std::string document) = 0;
    // Empty: none was saved yet.
    virtual boost::asio::awaitable<result<std::string>> load_status() = 0;

    // Entries of one epoch, all or none; their `number`s are ignored and given.
    virtual boost::asio::awaitable<result<void>> append(std::vector<journal_entry> entries) = 0;
    // Oldest first, at most so many of the newest.
    virtual boost::asio::awaitable<result<std::vector<journal_entry>>> read_journal(std::optional<instant> since,
                                                                                    std::size_t most) = 0;
};

// "sqlite:PATH" or "postgres://…" (also "postgresql://…"). The address may carry a password: no error repeats it. The
// database is opened at the first use, and again after a failure: a store that is down is `unavailable`, not the end.
// SQL runs on a thread of its own.
result<std::unique_ptr<store>> make_store(const std::string& address);

} // namespace postern::run
