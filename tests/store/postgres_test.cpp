#include "run/sql_address.hpp"
#include "store/fixture.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <cstdlib>
#include <map>
#include <string>

namespace postgres_test {

// What is PostgreSQL's own: a server that goes and comes back, addresses, passwords, and poolers.

namespace {

using namespace postern;
using namespace postern::testing;

bool says(const std::string& text, const std::string& words) {
    return text.find(words) != std::string::npos;
}

std::string settings_of(const std::string& address) {
    return std::get<run::postgres_server>(run::parse_sql_address(address).value()).settings;
}

std::string replaced(std::string text, const std::string& what, const std::string& by) {
    text.replace(text.find(what), what.size(), by);
    return text;
}

} // namespace

TEST_CASE("a server that stops and starts again is met again at once") {
    const on_postgres where;
    user one{where.address};
    const auto held = one.take("one");
    CHECK(one.append({entry(1, "before")}).has_value());
    server().stop();
    const auto gone = one.renew_lease(held);
    REQUIRE(gone.has_error());
    CHECK(gone.error().kind == error_kind::unavailable);
    CHECK(one.append({entry(1, "lost")}).has_error());
    server().start();
    CHECK(one.renew_lease(held).value());
    CHECK(one.read_journal().value().size() == 1);
    // It went while nothing was asked of it: nobody notices.
    server().stop();
    server().start();
    CHECK(one.renew_lease(held).value());
}

TEST_CASE("a server that does not answer is given up in seconds") {
    const on_postgres where;
    user one{where.address};
    const auto held = one.take("one");
    server().freeze();
    const auto began = std::chrono::steady_clock::now();
    const auto silent = one.renew_lease(held);
    const auto took = std::chrono::steady_clock::now() - began;
    server().thaw();
    REQUIRE(silent.has_error());
    CHECK(silent.error().kind == error_kind::unavailable);
    CHECK(took < std::chrono::seconds{25});
    CHECK(one.renew_lease(held).has_value());
}

TEST_CASE("nothing is kept in the server's session, so that a pooler may hand out another for each transaction") {
    const on_postgres where;
    user one{where.address};
    const auto before = server().log().size();
    const auto held = one.take("one");
    CHECK(one.renew_lease(held).has_value());
    CHECK(one.save_troubles(held.epoch, {{"x", {}}}).has_value());
    CHECK(one.load_troubles().has_value());
    CHECK(one.append({entry(1, "a")}).has_value());
    CHECK(one.read_journal().has_value());
    const auto log = server().log().substr(before);
    CHECK(says(log, "execute <unnamed>: insert into postern_journal"));
    CHECK_FALSE(says(log, "execute st_"));
    CHECK_FALSE(says(log, "PREPARE"));
    CHECK_FALSE(says(log, "DEALLOCATE"));
}

TEST_CASE("no error holds the password") {
    const on_postgres where;
    const std::string password = "p/ss:w'rd s3cret";
    const std::string written = "p%2Fss%3Aw%27rd%20s3cret";
    user wrong{replaced(where.address, server().password(), written)};
    const auto refused = wrong.read_lease();
    REQUIRE(refused.has_error());
    CHECK(says(refused.error().message(), "password authentication failed"));
    CHECK_FALSE(says(refused.error().message(), "s3cret"));

    for (const std::string bad :
         {"postgres://u:s3cret@host:notaport/db", "postgres://u:s3cret%zz@host/db", "postgres://u:s3cret@[::1/db",
          "postgresql://u:s3cret@host/db?nonsense=1", "postgres://u:s3cret@host/db?sslmode", "mysql://u:s3cret@host/db",
          "u:s3cret@host", "sqlite:", "postgres:s3cret", ""}) {
        auto parsed = run::make_store(bad);
        const auto opened = parsed ? user{bad}.read_lease().error() : parsed.error();
        CHECK_MESSAGE((parsed || opened.kind == error_kind::spec), bad);
        CHECK_MESSAGE(!says(opened.message(), "s3cret"), opened.message());
    }
}

TEST_CASE("what libpq would only find wrong when it connects is refused at once, and said") {
    const std::map<std::string, std::string> wrong{
        {"sslmode=s3cret", "its sslmode is none of disable, allow, prefer, require, verify-ca, verify-full"},
        {"sslmode=", "sslmode"},
        {"channel_binding=s3cret", "channel_binding is none of disable, prefer, require"},
        {"gssencmode=s3cret", "gssencmode"},
        {"ssl_min_protocol_version=s3cret", "ssl_min_protocol_version"},
        {"target_session_attrs=s3cret", "target_session_attrs is none of any, read-write"},
        {"connect_timeout=s3cret", "its connect_timeout is not a whole number"},
        {"keepalives_idle=5s", "keepalives_idle"},
        {"port=70000", "port"}};
    for (const auto& [setting, words] : wrong) {
        CAPTURE(setting);
        const auto made = run::make_store("postgres://u:p@db.example/x?" + setting);
        REQUIRE(made.has_error());
        CHECK(made.error().kind == error_kind::spec);
        CHECK_MESSAGE(says(made.error().message(), words), made.error().message());
        CHECK(says(made.error().message(), "postgres://USER:PASSWORD@HOST/DATABASE"));
        CHECK_FALSE(says(made.error().message(), "s3cret"));
    }
    for (const auto* setting :
         {"sslmode=verify-ca", "channel_binding=require", "connect_timeout=10", "target_session_attrs=primary",
          "ssl_min_protocol_version=TLSv1.3", "gssencmode=disable"})
        CHECK(run::make_store(std::string{"postgres://u:p@db.example/x?"} + setting).has_value());
}

TEST_CASE("TLS is asked for unless the server is here or the address says otherwise") {
    unsetenv("PGSSLMODE");
    CHECK(says(settings_of("postgres://u:p@db.example/x"), "sslmode='require'"));
    CHECK(says(settings_of("postgres://u:p@127.0.0.1,db.example/x"), "sslmode='require'"));
    CHECK(says(settings_of("postgres://u:p@localhost/x?hostaddr=10.0.0.1"), "sslmode='require'"));
    CHECK(says(settings_of("postgres://u:p@db.example/x?sslmode=verify-full"), "sslmode='verify-full'"));
    CHECK(says(settings_of("postgresql://u:p@db.example/x?sslmode=disable"), "sslmode='disable'"));
    CHECK_FALSE(says(settings_of("postgres://u:p@127.0.0.1:5433/x"), "sslmode"));
    CHECK_FALSE(says(settings_of("postgres://u:p@[::1]/x"), "sslmode"));
    CHECK_FALSE(says(settings_of("postgres:///x?host=/run/postgresql"), "sslmode"));
    CHECK_FALSE(says(settings_of("postgres:///x"), "sslmode"));
    setenv("PGSSLMODE", "verify-full", 1);
    CHECK_FALSE(says(settings_of("postgres://u:p@db.example/x"), "sslmode"));
    unsetenv("PGSSLMODE");
    CHECK(says(settings_of("postgres://u:p@db.example/x?connect_timeout=9"), "connect_timeout='9'"));
    CHECK(run::describe(run::parse_sql_address("postgres://u:p@db.example:5433/x").value()) ==
          "store postgres://db.example:5433/x");
}

TEST_CASE("a server without TLS is refused where TLS is asked for") {
    const on_postgres where;
    user one{where.address + "?sslmode=require"};
    const auto refused = one.read_lease();
    REQUIRE(refused.has_error());
    CHECK(says(refused.error().message(), "SSL"));
}

TEST_CASE("the socket in the folder serves as well") {
    const on_postgres where;
    user one{server().socket_address(where.database)};
    CHECK(one.take("one").epoch == 1);
    CHECK(user{where.address}.read_lease().value().holder == "one");
}

} // namespace postgres_test
