#include "store/fixture.hpp"

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <sys/stat.h>

namespace sqlite_test {

// What is SQLite's own: the file, its rights, and what happens when somebody takes it away.

namespace {

using namespace postern;
using namespace postern::testing;
namespace fs = std::filesystem;

mode_t rights(const fs::path& file) {
    struct stat seen {};
    REQUIRE(stat(file.c_str(), &seen) == 0);
    return seen.st_mode & 07777;
}

} // namespace

TEST_CASE("the file is for its owner alone, whatever the umask") {
    const scratch_folder folder;
    const auto before = umask(0);
    user one{"sqlite:" + (folder / "a b = c.db").string()};
    one.take("one");
    umask(before);
    CHECK(rights(folder / "a b = c.db") == 0600);
    CHECK(rights(folder / "a b = c.db-wal") == 0600);
}

TEST_CASE("a file that was deleted is made anew, and two who had it open meet in the new one") {
    const on_sqlite where;
    const auto file = where.folder / "postern.db";
    user one{where.address};
    user two{where.address};
    for (int i = 0; i < 3; ++i)
        one.take("one");
    two.append({entry(3, "soon gone")}).value();
    SUBCASE("the file alone") {
        fs::remove(file);
    }
    SUBCASE("with its log") {
        fs::remove(file);
        fs::remove(file.string() + "-wal");
        fs::remove(file.string() + "-shm");
    }
    const auto held = one.take("one");
    CHECK(held.epoch == 1);
    CHECK(rights(file) == 0600);
    CHECK(one.append({entry(1, "in the new one")}).has_value());
    CHECK(two.read_lease().value() == held);
    CHECK(two.append({entry(1, "by the other")}).has_value());
    CHECK(one.read_journal().value().size() == 2);
    one.rows.reset();
    two.rows.reset();
    CHECK(user{where.address}.read_journal().value().size() == 2);
}

TEST_CASE("a file that was put in the other's place is what counts") {
    const on_sqlite where;
    const auto file = where.folder / "postern.db";
    const auto other = where.folder / "other.db";
    {
        user old{"sqlite:" + other.string()};
        old.append({entry(1, "from the copy")}).value();
    }
    user one{where.address};
    one.append({entry(1, "a"), entry(1, "b")}).value();
    fs::rename(other, file);
    const auto entries = one.read_journal().value();
    REQUIRE(entries.size() == 1);
    CHECK(entries[0].words == "from the copy");
    CHECK(one.append({entry(1, "and on")}).has_value());
    one.rows.reset();
    CHECK(user{where.address}.read_journal().value().size() == 2);
}

TEST_CASE("the log of a file that is gone is not taken for the new file's") {
    const on_sqlite where;
    const auto file = where.folder / "postern.db";
    const auto kept = where.folder / "kept";
    {
        user one{where.address};
        one.append({entry(1, "in the log")}).value();
        fs::copy_file(file.string() + "-wal", kept);
    }
    fs::remove(file);
    fs::rename(kept, file.string() + "-wal");
    CHECK(user{where.address}.read_journal().value().empty());
}

TEST_CASE("what cannot be a store is said, and may become one") {
    const scratch_folder folder;
    const auto file = folder / "deep/postern.db";
    user one{"sqlite:" + file.string()};
    auto nowhere = one.read_lease();
    REQUIRE(nowhere.has_error());
    CHECK(nowhere.error().kind == error_kind::unavailable);
    CHECK(nowhere.error().message().find("No such file") != std::string::npos);
    fs::create_directory(folder / "deep");
    std::ofstream{file} << std::string(8192, 'x');
    auto garbage = one.read_lease();
    REQUIRE(garbage.has_error());
    CHECK(garbage.error().kind == error_kind::unavailable);
    CHECK(garbage.error().message().find("not a database") != std::string::npos);
    fs::remove(file);
    CHECK(one.read_lease().has_value());
}

} // namespace sqlite_test
