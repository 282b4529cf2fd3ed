#include "run/sql_address.hpp"
#include "run/sql_session.hpp"
#include "run/together.hpp"
#include "store/fixture.hpp"

#include <doctest/doctest.h>

#include <csignal>
#include <soci/soci.h>
#include <sys/wait.h>
#include <unistd.h>

namespace store_test {

// The same promises from SQLite, from a real PostgreSQL server, and from one behind a pooler.

namespace {

using namespace postern;
using namespace postern::testing;
using run::lease_row;
namespace asio = boost::asio;

asio::awaitable<void> take_into(run::store& rows, lease_row seen, std::string holder, std::vector<lease_row>& won) {
    auto taken = co_await rows.take_lease(seen, holder);
    REQUIRE(taken.has_value());
    if (taken.value())
        won.push_back(*taken.value());
}

asio::awaitable<void> append_batches(run::store& rows, std::string who, int batches) {
    for (int batch = 0; batch < batches; ++batch) {
        std::vector<run::journal_entry> entries;
        for (int i = 0; i < 5; ++i)
            entries.push_back(entry(1, who + " " + std::to_string(batch) + "." + std::to_string(i)));
        auto done = co_await rows.append(std::move(entries));
        const auto why = done.has_value() ? std::string{} : done.error().message();
        INFO(why);
        REQUIRE(done.has_value());
    }
}

// A process of its own that appends batches of 20 until it is killed.
pid_t start_writer(const std::string& address) {
    const auto pid = fork();
    if (pid != 0)
        return pid;
    user writer{address};
    for (;;) {
        std::vector<run::journal_entry> entries(20, entry(1, "from a process that dies"));
        if (!writer.append(std::move(entries)))
            _exit(1);
    }
}

domain::trouble some_trouble() {
    domain::trouble t;
    t.why.kind = error_kind::throttled;
    t.why.where = "heroku PATCH app raxx";
    t.why.what = "slow down: \"it's\" too much";
    t.why.status = 429;
    t.why.code = "rate_limit";
    t.why.retry_after = std::chrono::seconds{90};
    t.count = 3;
    t.again = *parse_instant("2026-11-23T10:05:00Z");
    return t;
}

} // namespace

TEST_CASE_TEMPLATE("a new store is empty, and made only once", Where, on_sqlite, on_postgres, on_pooled_postgres) {
    const Where where;
    user first{where.address};
    CHECK(first.read_lease().value() == lease_row{});
    CHECK(first.load_troubles().value().empty());
    CHECK(first.load_status().value().empty());
    CHECK(first.read_journal().value().empty());
    first.take("one");
    CHECK(user{where.address}.read_lease().value().holder == "one");
}

TEST_CASE_TEMPLATE("of many takers one wins, and epochs grow", Where, on_sqlite, on_postgres, on_pooled_postgres) {
    const Where where;
    asio::io_context io{1};
    std::vector<std::unique_ptr<run::store>> stores;
    for (int i = 0; i < 6; ++i)
        stores.push_back(open(where.address));
    for (std::int64_t round = 1; round <= 5; ++round) {
        const auto seen = testing::run(io, stores[0]->read_lease()).value();
        std::vector<lease_row> won;
        std::vector<asio::awaitable<void>> takers;
        for (std::size_t i = 0; i < stores.size(); ++i)
            takers.push_back(take_into(*stores[i], seen, "taker " + std::to_string(i), won));
        testing::run(io, run::together(std::move(takers), stores.size()));
        REQUIRE(won.size() == 1);
        CHECK(won[0].epoch == round);
        CHECK(testing::run(io, stores[1]->read_lease()).value() == won[0]);
    }
}

TEST_CASE_TEMPLATE("who lost the lease can neither renew nor give back", Where, on_sqlite, on_postgres,
                   on_pooled_postgres) {
    const Where where;
    user one{where.address};
    user two{where.address};
    const auto first = one.take("one");
    const auto renewed = one.renew_lease(first).value().value();
    CHECK(renewed.beat == first.beat + 1);
    CHECK(renewed.epoch == first.epoch);
    CHECK_FALSE(two.take_lease(first, "two").value()); // renewed since
    const auto second = two.take_lease(renewed, "two").value().value();
    CHECK(second.epoch == first.epoch + 1);
    CHECK(second.beat > renewed.beat);
    CHECK_FALSE(one.renew_lease(renewed).value());
    CHECK(one.release_lease(renewed).has_value());
    CHECK(one.read_lease().value() == second);

    CHECK(two.release_lease(second).has_value());
    CHECK(one.read_lease().value().holder.empty());
    CHECK_FALSE(two.renew_lease(second).value());
    CHECK(one.take("one").epoch == second.epoch + 1);
}

TEST_CASE_TEMPLATE("somebody's wish for a pass reaches the holder and hinders nobody", Where, on_sqlite, on_postgres,
                   on_pooled_postgres) {
    const Where where;
    user one{where.address};
    user other{where.address};
    const auto seen = one.read_lease().value();
    CHECK(other.want_pass().has_value());
    const auto held = one.take_lease(seen, "one").value().value();
    CHECK(held.wanted == seen.wanted + 1);
    CHECK(other.want_pass().has_value());
    CHECK(one.renew_lease(held).value().value().wanted == held.wanted + 1);
}

TEST_CASE_TEMPLATE("troubles are kept as they are, and only for the epoch", Where, on_sqlite, on_postgres,
                   on_pooled_postgres) {
    const Where where;
    user one{where.address};
    const auto held = one.take("one");
    auto plain = some_trouble();
    plain.why.retry_after.reset();
    plain.why.kind = error_kind::bug;
    CHECK(one.save_troubles(held.epoch, {{"heroku/raxx", some_trouble()}, {"vault", plain}}).has_value());

    user two{where.address};
    auto loaded = two.load_troubles().value();
    REQUIRE(loaded.size() == 2);
    const auto& t = loaded.at("heroku/raxx");
    CHECK(t.why.message() == some_trouble().why.message());
    CHECK(t.why.kind == error_kind::throttled);
    CHECK(t.why.status == 429);
    CHECK(t.why.code == "rate_limit");
    CHECK(t.why.retry_after == some_trouble().why.retry_after);
    CHECK(t.count == 3);
    CHECK(t.again == some_trouble().again);
    CHECK_FALSE(loaded.at("vault").why.retry_after);
    CHECK(loaded.at("vault").why.kind == error_kind::bug);

    two.take("two");
    const auto refused = one.save_troubles(held.epoch, {});
    REQUIRE(refused.has_error());
    CHECK(refused.error().kind == error_kind::conflict);
    CHECK(one.load_troubles().value().size() == 2);
    CHECK(two.save_troubles(held.epoch + 1, {{"vault", plain}}).has_value());
    CHECK(one.load_troubles().value().size() == 1);
}

TEST_CASE_TEMPLATE("the last status is kept, and only for the epoch", Where, on_sqlite, on_postgres,
                   on_pooled_postgres) {
    const Where where;
    user one{where.address};
    const auto held = one.take("one");
    CHECK(one.save_status(held.epoch, R"({"at": "early"})").has_value());
    CHECK(one.save_status(held.epoch, R"({"at": "late", "what": "ö — 'it'"})").has_value());
    user two{where.address};
    CHECK(two.load_status().value() == R"({"at": "late", "what": "ö — 'it'"})");
    two.take("two");
    const auto refused = one.save_status(held.epoch, "{}");
    REQUIRE(refused.has_error());
    CHECK(refused.error().kind == error_kind::conflict);
    CHECK(one.load_status().value() == R"({"at": "late", "what": "ö — 'it'"})");
}

TEST_CASE_TEMPLATE("the journal survives, in order, numbered within each epoch", Where, on_sqlite, on_postgres,
                   on_pooled_postgres) {
    const Where where;
    auto odd = entry(1, "Δ 'quotes' \"too\" :colon $1 \\ and\na line");
    odd.failure = "it failed";
    odd.requests = {};
    {
        user one{where.address};
        CHECK(one.append({entry(1, "first"), odd}).has_value());
        CHECK(one.append({}).has_value());
        CHECK(one.append({entry(2, "second epoch")}).has_value());
        CHECK(one.append({entry(1, "late, of the first epoch")}).has_value());
        const auto mixed = one.append({entry(2, "a"), entry(3, "b")});
        REQUIRE(mixed.has_error());
        CHECK(mixed.error().kind == error_kind::bug);
    }
    const auto entries = user{where.address}.read_journal().value();
    REQUIRE(entries.size() == 4);
    auto first = entry(1, "first");
    first.number = 1;
    CHECK(entries[0] == first);
    odd.number = 2;
    CHECK(entries[1] == odd);
    CHECK(entries[2].words == "late, of the first epoch");
    CHECK(entries[2].number == 3);
    CHECK(entries[3].epoch == 2);
    CHECK(entries[3].number == 1);
}

TEST_CASE_TEMPLATE("text that no database takes is escaped, not lost", Where, on_sqlite, on_postgres,
                   on_pooled_postgres) {
    const Where where;
    user one{where.address};
    CHECK(one.append({entry(1, std::string{"a\0b", 3}), entry(1, "broken \xff here")}).has_value());
    const auto entries = one.read_journal().value();
    REQUIRE(entries.size() == 2);
    CHECK(entries[0].words == "a\\x00b");
    CHECK(entries[1].words == "broken \\xff here");
}

TEST_CASE_TEMPLATE("the journal is read from a time on, and the newest of it", Where, on_sqlite, on_postgres,
                   on_pooled_postgres) {
    const Where where;
    user one{where.address};
    const auto start = *parse_instant("2026-11-23T10:00:00Z");
    std::vector<run::journal_entry> entries;
    for (int i = 0; i < 10; ++i) {
        entries.push_back(entry(1, std::to_string(i)));
        entries.back().at = start + std::chrono::minutes{i};
    }
    CHECK(one.append(entries).has_value());
    const auto late = one.read_journal(start + std::chrono::minutes{7}).value();
    REQUIRE(late.size() == 3);
    CHECK(late[0].words == "7");
    const auto newest = one.read_journal({}, 2).value();
    REQUIRE(newest.size() == 2);
    CHECK(newest[0].words == "8");
    CHECK(newest[1].words == "9");
}

TEST_CASE_TEMPLATE("batches of two writers never mix", Where, on_sqlite, on_postgres, on_pooled_postgres) {
    const Where where;
    asio::io_context io{1};
    const auto one = open(where.address);
    const auto two = open(where.address);
    std::vector<asio::awaitable<void>> writers;
    writers.push_back(append_batches(*one, "one", 15));
    writers.push_back(append_batches(*two, "two", 15));
    testing::run(io, run::together(std::move(writers), 2));
    const auto entries = testing::run(io, one->read_journal({}, 1000)).value();
    REQUIRE(entries.size() == 150);
    for (std::size_t i = 0; i < entries.size(); ++i) {
        CHECK(entries[i].number == static_cast<std::int64_t>(i) + 1);
        CHECK(entries[i].words.ends_with("." + std::to_string(i % 5)));
    }
}

TEST_CASE_TEMPLATE("a writer that is killed leaves whole batches", Where, on_sqlite, on_postgres, on_pooled_postgres) {
    const Where where;
    const auto writer = start_writer(where.address);
    user reader{where.address};
    for (std::size_t kept = 0; kept < 60; kept = reader.read_journal().value().size())
        REQUIRE(waitpid(writer, nullptr, WNOHANG) == 0);
    kill(writer, SIGKILL);
    waitpid(writer, nullptr, 0);
    CHECK(reader.append({entry(1, "after")}).has_value());
    const auto entries = reader.read_journal().value();
    CHECK((entries.size() - 1) % 20 == 0);
    CHECK(entries.back().number == static_cast<std::int64_t>(entries.size()));
}

TEST_CASE_TEMPLATE("ten thousand entries", Where, on_sqlite, on_postgres, on_pooled_postgres) {
    const Where where;
    user one{where.address};
    for (int batch = 0; batch < 10; ++batch)
        CHECK(one.append(std::vector<run::journal_entry>(1000, entry(1, "one of many"))).has_value());
    const auto all = one.read_journal().value();
    REQUIRE(all.size() == 10000);
    CHECK(all.back().number == 10000);
    CHECK(one.read_journal({}, 100).value().front().number == 9901);
}

TEST_CASE_TEMPLATE("tables of a newer Postern are left alone", Where, on_sqlite, on_postgres, on_pooled_postgres) {
    const Where where;
    user one{where.address};
    CHECK(one.append({entry(1, "kept")}).has_value());
    run::sql_session raw{run::parse_sql_address(where.address).value()};
    auto set_version = [&raw](const char* words) {
        auto work = [words](soci::session& sql) -> result<void> {
            sql << words;
            return {};
        };
        REQUIRE(raw.transact(work).has_value());
    };
    set_version("update postern_schema set version = 99");
    const auto refused = user{where.address}.read_journal();
    REQUIRE(refused.has_error());
    CHECK(refused.error().kind == error_kind::refused);
    CHECK(refused.error().message().find("version 99, made by a newer Postern") != std::string::npos);
    set_version("update postern_schema set version = 1");
    CHECK(user{where.address}.read_journal().value().size() == 1);
}

TEST_CASE_TEMPLATE("what is refused in a transaction leaves nothing behind", Where, on_sqlite, on_postgres,
                   on_pooled_postgres) {
    const Where where;
    user one{where.address};
    one.take("one");
    run::sql_session raw{run::parse_sql_address(where.address).value()};
    auto regret = [](soci::session& sql) -> result<void> {
        sql << "update postern_lease set holder = 'nobody'";
        return error{error_kind::conflict, "test", "no", 0, {}, {}};
    };
    CHECK(raw.transact(regret).error().kind == error_kind::conflict);
    auto stumble = [](soci::session& sql) -> result<void> {
        sql << "update postern_lease set holder = 'nobody'";
        sql << "select nonsense";
        return {};
    };
    CHECK(raw.transact(stumble).error().kind == error_kind::unavailable);
    CHECK(one.read_lease().value().holder == "one");
}

TEST_CASE_TEMPLATE("whoever asked may be gone before the answer comes", Where, on_sqlite, on_postgres,
                   on_pooled_postgres) {
    const Where where;
    auto rows = open(where.address);
    for (int i = 0; i < 20; ++i) {
        asio::io_context io{1};
        bool ended = false;
        auto end = [&](std::exception_ptr, const result<lease_row>&) { ended = true; };
        asio::co_spawn(io, rows->read_lease(), end);
        io.poll_one();
        CHECK_FALSE(ended);
    }
    asio::io_context io{1};
    CHECK(testing::run(io, rows->read_lease()).value() == lease_row{});
}

} // namespace store_test
