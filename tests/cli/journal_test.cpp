#include "cli/journal_print.hpp"
#include "run/store.hpp"
#include "support/harness.hpp"
#include "support/scratch_folder.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/json.hpp>
#include <doctest/doctest.h>

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>
#include <sys/wait.h>

namespace journal_test {

// The journal as it is printed, and as the program reads it from a store.

namespace {

using namespace postern;
using postern::testing::scratch_folder;
namespace json = boost::json;

run::journal_entry minted() {
    run::journal_entry e;
    e.epoch = 3;
    e.at = *parse_instant("2026-11-23T10:00:00Z");
    e.holder = "a1b2";
    e.revision = "c0ffee";
    e.pass = 7;
    e.resource = "ServiceToken/probe";
    e.action = "mint";
    e.target = "probe";
    e.reason = "TokenMissing";
    e.words = "nobody has it";
    e.requests = {"ray-1", "ray-2"};
    return e;
}

run::journal_entry delivered() {
    auto e = minted();
    e.at = *parse_instant("2026-11-23T11:00:00Z");
    e.resource = "HerokuBinding/probe";
    e.action = "deliver";
    e.target = "raxx-\x1b[31mprod";
    e.before = "aaaa";
    e.after = "bbbb";
    e.failure = "heroku: 503";
    e.requests = {};
    return e;
}

struct ended {
    int code = -1;
    std::string out;
    std::string err;
};

std::string read(const std::filesystem::path& file) {
    std::ifstream in{file};
    return {std::istreambuf_iterator<char>{in}, {}};
}

ended journal(const scratch_folder& in, const std::string& arguments, const std::string& environment = {}) {
    const auto command = "cd " + in.at().string() + " && env -i " + environment + " " + POSTERN_BINARY_DIR +
                         "/postern journal " + arguments + " >out 2>err </dev/null";
    const int status = std::system(command.c_str());
    return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, read(in / "out"), read(in / "err")};
}

} // namespace

TEST_CASE("a journal is a table, with what failed and the requests below") {
    CHECK(cli::journal_text({minted(), delivered()}) ==
          "2026-11-23T10:00:00Z  a1b2/3  ServiceToken/probe   mint     probe              # TokenMissing: nobody has "
          "it\n"
          "    requests: ray-1, ray-2\n"
          "2026-11-23T11:00:00Z  a1b2/3  HerokuBinding/probe  deliver  raxx-\\x1b[31mprod  # TokenMissing: nobody has "
          "it\n"
          "    from aaaa to bbbb\n"
          "    failed: heroku: 503\n");
    CHECK(cli::journal_text({}).empty());
}

TEST_CASE("a journal is one document") {
    const auto parsed = json::parse(cli::journal_document({minted(), delivered()}));
    const auto& entries = parsed.at("entries").as_array();
    REQUIRE(entries.size() == 2);
    CHECK(entries[0].at("at") == "2026-11-23T10:00:00Z");
    CHECK(entries[0].at("epoch") == 3);
    CHECK(entries[0].at("requests") == json::array{"ray-1", "ray-2"});
    CHECK(entries[1].at("failure") == "heroku: 503");
    CHECK(cli::journal_document({}) == "{\"entries\":[]}\n");
}

TEST_CASE("postern journal reads a store and never makes one") {
    const scratch_folder folder;
    const auto none = journal(folder, "");
    CHECK(none.code == 1);
    CHECK(none.out.empty());
    CHECK(none.err.find("store sqlite:postern.db: there is no such file") != std::string::npos);
    CHECK_FALSE(std::filesystem::exists(folder / "postern.db"));

    boost::asio::io_context io{1};
    const auto address = "sqlite:" + (folder / "postern.db").string();
    REQUIRE(testing::run(io, run::make_store(address).value()->append({minted(), delivered()})).has_value());
    const auto all = journal(folder, "");
    CHECK(all.code == 0);
    CHECK(all.err.empty());
    auto first = minted();
    first.number = 1;
    auto second = delivered();
    second.number = 2;
    second.target = "raxx-\\x1b[31mprod"; // what a terminal would obey is not even kept
    CHECK(all.out == cli::journal_text({first, second}));
    CHECK(journal(folder, "-o json --limit 1").out == cli::journal_document({second}));
    CHECK(journal(folder, "-o json --since 2026-11-23T10:30:00Z").out == cli::journal_document({second}));
    CHECK(journal(folder, "-o json --since 1ms").out == "{\"entries\":[]}\n");
    CHECK(journal(folder, "-o json --store sqlite:postern.db", "DATABASE_URL=sqlite:elsewhere.db").code == 0);
    CHECK(journal(folder, "", "DATABASE_URL=sqlite:elsewhere.db").code == 1);
    const auto wrong = journal(folder, "", "DATABASE_URL=postgres://u:s3cret@h:nowhere/x");
    CHECK(wrong.code == 1);
    CHECK(wrong.err.find("store address: ") == 0);
    CHECK(wrong.err.find("s3cret") == std::string::npos);
}

} // namespace journal_test
