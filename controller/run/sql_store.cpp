#include "run/own_thread.hpp"
#include "run/sql_rows.hpp"
#include "run/sql_session.hpp"
#include "run/store.hpp"

#include <algorithm>

namespace postern::run {

namespace asio = boost::asio;

namespace {

class sql_store final : public store {
public:
    explicit sql_store(sql_address at)
        : database_(std::make_unique<sql_session>(std::move(at))),
          thread_(std::chrono::seconds{10}, [database = database_.get()] { database->cut(); }) {}
    ~sql_store() override { database_->give_up(); }
    sql_store(const sql_store&) = delete;
    sql_store& operator=(const sql_store&) = delete;

    asio::awaitable<result<lease_row>> read_lease() override {
        auto job = [this]() -> result<lease_row> {
            lease_row row;
            auto work = [&](soci::session& database) -> result<void> {
                auto read = sql::once(database, "select holder, epoch, beat, wanted from postern_lease where id = 1",
                                      soci::into(row.holder), soci::into(row.epoch), soci::into(row.beat),
                                      soci::into(row.wanted));
                if (!read.execute(true))
                    return told(error_kind::unavailable, "the lease's row is missing");
                return {};
            };
            if (auto done = database_->transact(work); !done)
                return done.error();
            return row;
        };
        co_return co_await thread_.run(std::move(job));
    }

    asio::awaitable<result<std::optional<lease_row>>> take_lease(lease_row seen, std::string holder) override {
        auto job = [this, seen = std::move(seen), holder = std::move(holder)] {
            return change_lease("update postern_lease set holder = :next, epoch = epoch + 1, beat = beat + 1 "
                                "where id = 1 and holder = :holder and epoch = :epoch and beat = :beat "
                                "returning holder, epoch, beat, wanted",
                                soci::use(holder, "next"), soci::use(seen.holder, "holder"),
                                soci::use(seen.epoch, "epoch"), soci::use(seen.beat, "beat"));
        };
        co_return co_await thread_.run(std::move(job));
    }

    asio::awaitable<result<std::optional<lease_row>>> renew_lease(lease_row held) override {
        auto job = [this, held = std::move(held)] {
            return change_lease("update postern_lease set beat = beat + 1 "
                                "where id = 1 and holder = :holder and epoch = :epoch "
                                "returning holder, epoch, beat, wanted",
                                soci::use(held.holder, "holder"), soci::use(held.epoch, "epoch"));
        };
        co_return co_await thread_.run(std::move(job));
    }

    asio::awaitable<result<void>> release_lease(lease_row held) override {
        auto job = [this, held = std::move(held)]() -> result<void> {
            auto released = change_lease("update postern_lease set holder = '' "
                                         "where id = 1 and holder = :holder and epoch = :epoch "
                                         "returning holder, epoch, beat, wanted",
                                         soci::use(held.holder, "holder"), soci::use(held.epoch, "epoch"));
            if (!released)
                return released.error();
            return {};
        };
        co_return co_await thread_.run(std::move(job));
    }

    asio::awaitable<result<void>> want_pass() override {
        auto job = [this]() -> result<void> {
            auto asked = change_lease("update postern_lease set wanted = wanted + 1 where id = 1 "
                                      "returning holder, epoch, beat, wanted");
            if (!asked)
                return asked.error();
            return {};
        };
        co_return co_await thread_.run(std::move(job));
    }

    asio::awaitable<result<void>> save_troubles(std::int64_t epoch,
                                                std::map<std::string, domain::trouble> troubles) override {
        auto job = [this, epoch, troubles = std::move(troubles)] {
            auto work = [&](soci::session& database) -> result<void> {
                if (auto held = hold_epoch(database, epoch); !held)
                    return held;
                database << "delete from postern_trouble";
                for (const auto& [lock, trouble] : troubles)
                    sql::insert(database, lock, trouble);
                return {};
            };
            return database_->transact(work);
        };
        co_return co_await thread_.run(std::move(job));
    }

    asio::awaitable<result<std::map<std::string, domain::trouble>>> load_troubles() override {
        auto job = [this]() -> result<std::map<std::string, domain::trouble>> {
            std::map<std::string, domain::trouble> out;
            auto work = [&](soci::session& database) -> result<void> {
                out = sql::read_troubles(database);
                return {};
            };
            if (auto done = database_->transact(work); !done)
                return done.error();
            return out;
        };
        co_return co_await thread_.run(std::move(job));
    }

    asio::awaitable<result<void>> save_status(std::int64_t epoch, std::string document) override {
        auto job = [this, epoch, document = sql::storable(document)] {
            auto work = [&](soci::session& database) -> result<void> {
                if (auto held = hold_epoch(database, epoch); !held)
                    return held;
                database << "delete from postern_status";
                database << "insert into postern_status (id, epoch, document) values (1, :epoch, :document)",
                    soci::use(epoch, "epoch"), soci::use(document, "document");
                return {};
            };
            return database_->transact(work);
        };
        co_return co_await thread_.run(std::move(job));
    }

    asio::awaitable<result<std::string>> load_status() override {
        auto job = [this]() -> result<std::string> {
            std::string out;
            auto work = [&](soci::session& database) -> result<void> {
                auto read = sql::once(database, "select document from postern_status where id = 1", soci::into(out));
                if (!read.execute(true))
                    out.clear();
                return {};
            };
            if (auto done = database_->transact(work); !done)
                return done.error();
            return out;
        };
        co_return co_await thread_.run(std::move(job));
    }

    asio::awaitable<result<void>> append(std::vector<journal_entry> entries) override {
        auto job = [this, entries = std::move(entries)]() -> result<void> {
            if (entries.empty())
                return {};
            const auto epoch = entries.front().epoch;
            if (std::any_of(entries.begin(), entries.end(), [&](const auto& e) { return e.epoch != epoch; }))
                return told(error_kind::bug, "journal entries of several epochs at once");
            auto work = [&](soci::session& database) -> result<void> {
                // Whoever appends stands in line here, so that no number is given twice.
                database << "update postern_schema set version = version";
                std::int64_t number = 0;
                database << "select coalesce(max(number), 0) from postern_journal where epoch = :epoch",
                    soci::into(number), soci::use(epoch, "epoch");
                for (const auto& entry : entries)
                    sql::insert(database, entry, ++number);
                return {};
            };
            return database_->transact(work);
        };
        co_return co_await thread_.run(std::move(job));
    }

    asio::awaitable<result<std::vector<journal_entry>>> read_journal(std::optional<instant> since,
                                                                     std::size_t most) override {
        auto job = [this, since, most]() -> result<std::vector<journal_entry>> {
            std::vector<journal_entry> out;
            auto work = [&](soci::session& database) -> result<void> {
                out = sql::read_entries(database, since.value_or(instant::min()), most);
                return {};
            };
            if (auto done = database_->transact(work); !done)
                return done.error();
            return out;
        };
        co_return co_await thread_.run(std::move(job));
    }

private:
    error told(error_kind kind, std::string what) const {
        return {.kind = kind, .where = database_->name(), .what = std::move(what), .code = {}, .retry_after = {}};
    }

    template<class... Bound>
    result<std::optional<lease_row>> change_lease(const std::string& text, const Bound&... bound) {
        std::optional<lease_row> out;
        auto work = [&](soci::session& database) -> result<void> {
            lease_row row;
            auto change = sql::once(database, text, soci::into(row.holder), soci::into(row.epoch), soci::into(row.beat),
                                    soci::into(row.wanted), bound...);
            if (change.execute(true))
                out = std::move(row);
            return {};
        };
        if (auto done = database_->transact(work); !done)
            return done.error();
        return out;
    }

    // Nobody takes the lease before this transaction ends; refused where somebody has.
    result<void> hold_epoch(soci::session& database, std::int64_t epoch) {
        std::int64_t now = 0;
        sql::once(database, "update postern_lease set epoch = epoch where id = 1 returning epoch", soci::into(now))
            .execute(true);
        if (now == epoch)
            return {};
        return told(error_kind::conflict,
                    "the lease is of epoch " + std::to_string(now) + ", no longer of " + std::to_string(epoch));
    }

    std::unique_ptr<sql_session> database_;
    own_thread thread_; // ends before the session does
};

} // namespace

result<std::unique_ptr<store>> make_store(const std::string& address) {
    auto at = parse_sql_address(address);
    if (!at)
        return at.error();
    return std::unique_ptr<store>{std::make_unique<sql_store>(std::move(at.value()))};
}

} // namespace postern::run
