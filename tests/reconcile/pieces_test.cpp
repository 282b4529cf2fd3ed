#include "run/doorbell.hpp"
#include "run/key_ring.hpp"
#include "run/log.hpp"
#include "run/record_codec.hpp"
#include "run/sources.hpp"
#include "run/together.hpp"
#include "run/views.hpp"
#include "support/certificates.hpp"
#include "support/harness.hpp"

#include <boost/asio/post.hpp>
#include <boost/json.hpp>
#include <doctest/doctest.h>

#include <filesystem>
#include <sstream>
#include <stdexcept>

namespace pieces_test {

using namespace postern;
using namespace postern::testing;
using namespace std::chrono_literals;
namespace asio = boost::asio;

// A secret cannot be a field of a log line.
static_assert(!std::is_constructible_v<run::field, std::string_view, const secret&>);
static_assert(std::is_constructible_v<run::field, std::string_view, std::string>);

TEST_CASE("only what looks like a credential has a client id") {
    auto id = [](std::string_view text) { return run::client_id_of(secret{text}); };
    CHECK(id("0f1e.access:cfast_abc") == "0f1e.access");
    CHECK(id("0f1e.access.example.com:64hex") == "0f1e.access.example.com");
    for (auto other :
         {"", "postgres://user:password@host/db", "user:password", "0f1e.access", "0f1e.access:", ":secret",
          "0f1e.access:with space", "0f1e.access:line\n", "hunter2 .access:x", "a:0f1e.access:b"})
        CHECK_MESSAGE(id(other).empty(), other);
    CHECK(same(run::credential_text("a.access", secret{"s"}), secret{"a.access:s"}));
}

TEST_CASE("a vault's own key outranks the candidate, and fingerprints follow it") {
    run::key_ring ring;
    auto candidate = ring.of("v").id;
    CHECK(candidate.size() == 8);
    CHECK(ring.of("v").id == candidate);
    CHECK(ring.of("w").id != candidate);
    auto first = ring.keep("v", secret{"a.access:s"});
    CHECK(same(*ring.find(first), secret{"a.access:s"}));
    ring.found("v", {"real", secret{"key"}});
    CHECK(ring.of("v").id == "real");
    auto second = ring.keep("v", secret{"a.access:s"});
    CHECK(second != first);
    CHECK(second == fingerprint(secret{"key"}, secret{"a.access:s"}));
    CHECK(ring.find("000000000000") == nullptr);
}

namespace {

provider::infisical::entry entry(std::string key, std::string_view value, bool hidden = false) {
    return {std::move(key), secret{value}, 1, hidden};
}

} // namespace

TEST_CASE("Postern's folder is taken apart") {
    run::key_ring ring;
    domain::record r;
    r.key = "K";
    run::vault_entries entries;
    entries.push_back(entry("postern", R"({"v":1,"installation":"inst","fingerprintKey":"k"})"));
    entries.push_back(entry("one", run::to_text(r)));
    entries.push_back(entry("two", "not a record"));
    entries.push_back(entry("three", "", true));
    entries.push_back(entry("four", R"({"v":2})"));
    entries.push_back(entry("one.n1", "a.access:s"));
    entries.push_back(entry("one.n2", "b.access:s"));
    entries.push_back(entry("one.n2", "b.access:s"));
    entries.push_back(entry("one.n3", "b.access:s"));
    entries.push_back(entry("one.n3", "c.access:s"));
    auto state = run::view_of_state(entries, "v", ring);
    REQUIRE(state.has_value());
    const auto& view = state.value();
    CHECK(view.initialised);
    CHECK(view.installation == "inst");
    CHECK(view.records.at("one").key == "K");
    CHECK(view.clobbered.contains("two"));
    CHECK(view.unreadable.contains("four"));
    CHECK(view.unreadable.contains("three"));
    const auto& held = view.held.at("one");
    CHECK(held.at("n1").client_id == "a.access");
    CHECK(!held.at("n1").duplicated);
    CHECK(!held.at("n2").duplicated); // equal rows say one thing
    CHECK(held.at("n3").duplicated);
    CHECK(ring.find(held.at("n1").fingerprint) != nullptr);

    run::vault_entries bare;
    auto fresh = run::view_of_state(bare, "w", ring);
    REQUIRE(fresh.has_value());
    CHECK(!fresh.value().initialised);
    CHECK(fresh.value().installation == ring.of("w").id);
}

TEST_CASE("an own key that is hidden or wrong is an error that quotes nothing") {
    run::key_ring ring;
    auto refused = [&](run::vault_entries entries) {
        auto state = run::view_of_state(entries, "v", ring);
        REQUIRE(state.has_error());
        CHECK(state.error().kind == error_kind::refused);
        CHECK(state.error().message().find("hush") == std::string::npos);
    };
    run::vault_entries hidden;
    hidden.push_back(entry("postern", "", true));
    refused(std::move(hidden));
    run::vault_entries wrong;
    wrong.push_back(entry("postern", "hush"));
    refused(std::move(wrong));
}

TEST_CASE("of two own keys the smaller id counts, and the folder is not initialised before it is the only one") {
    run::key_ring ring;
    run::vault_entries doubled;
    doubled.push_back(entry("postern", R"({"v":1,"installation":"b","fingerprintKey":"k"})"));
    doubled.push_back(entry("postern", R"({"v":1,"installation":"a","fingerprintKey":"l"})"));
    auto state = run::view_of_state(doubled, "v", ring);
    REQUIRE(state.has_value());
    CHECK(!state.value().initialised);
    CHECK(state.value().installation == "a");
}

TEST_CASE("of two records the one that is further on counts, of equals the one whose holder sorts first") {
    auto intent_of = [](std::string holder) {
        domain::record r;
        r.epoch = 1;
        r.pending = domain::intent{};
        r.pending->holder = std::move(holder);
        return r;
    };
    auto counting = [](std::vector<std::string> texts) {
        run::vault_entries entries;
        for (auto& text : texts)
            entries.push_back(entry("t", std::move(text)));
        run::key_ring ring;
        auto state = run::view_of_state(entries, "v", ring);
        REQUIRE(state.has_value());
        CHECK(state.value().doubled.contains("t"));
        CHECK(state.value().records.contains("t"));
        return state.value().records.at("t");
    };
    const auto a = intent_of("a");
    const auto b = intent_of("b");
    auto done = intent_of("c");
    done.current = domain::credential{"n", "id", "client", "fingerprint"};
    CHECK(counting({run::to_text(b), run::to_text(a)}).pending->holder == "a");
    CHECK(counting({run::to_text(a), run::to_text(b)}).pending->holder == "a");
    CHECK(counting({run::to_text(a), run::to_text(done)}).current);
    CHECK(counting({"garbage", run::to_text(b)}).pending->holder == "b");
}

TEST_CASE("an app's variables become one value") {
    run::key_ring ring;
    const run::variables one{"VAR", {}, {}};
    const run::variables two{{}, "ID", "SECRET"};
    run::config_vars vars;
    CHECK(run::view_of_app(vars, one, "v", ring).absent);
    CHECK(run::view_of_app(vars, two, "v", ring).absent);
    vars.emplace("ID", secret{"a.access"});
    auto half = run::view_of_app(vars, two, "v", ring);
    CHECK(!half.absent);
    CHECK(half.client_id.empty());
    CHECK(!half.fingerprint.empty());
    vars.emplace("SECRET", secret{"s"});
    auto whole = run::view_of_app(vars, two, "v", ring);
    CHECK(whole.client_id == "a.access");
    CHECK(whole.fingerprint == ring.fingerprint("v", secret{"a.access:s"}));
    vars.emplace("VAR", secret{"a.access:s"});
    CHECK(run::view_of_app(vars, one, "v", ring).fingerprint == whole.fingerprint);
    vars.insert_or_assign("VAR", secret{""});
    CHECK(!run::view_of_app(vars, one, "v", ring).absent);

    const secret credential{"a.access:s:t"};
    auto set = two.set_to(&credential);
    CHECK(same(*set.at("ID"), secret{"a.access"}));
    CHECK(same(*set.at("SECRET"), secret{"s:t"}));
    CHECK(!two.set_to(nullptr).at("ID"));
    CHECK(run::variables::noted(two.names()).client_secret == "SECRET");
    CHECK(run::variables::noted(one.names()).combined == "VAR");
}

TEST_CASE("sources are read where they point, without the last newline, and errors name the place alone") {
    run::reach reach;
    reach.env = [](const std::string& name) -> std::optional<secret> {
        if (name == "SET")
            return secret{"hush\r\n\n"};
        return name == "EMPTY" ? std::optional<secret>{secret{"\n"}} : std::nullopt;
    };
    reach.file = run::reach_of_process("").file;
    run::folder_lists lists;
    run::vault_entries entries;
    entries.push_back(entry("KEY", "hush"));
    entries.push_back(entry("HIDDEN", "", true));
    entries.push_back(entry("TWICE", "hush"));
    entries.push_back(entry("TWICE", "hush"));
    lists.emplace(std::pair{"v", "/f"}, std::move(entries));
    lists.emplace(std::pair{"v", "/broken"}, error{error_kind::unavailable, "vault", "down", 503, {}, {}});
    const run::sources from{reach, lists};
    using domain::from_env;
    using domain::from_file;
    using domain::from_vault;

    CHECK(same(from.read(domain::value_source{from_env{"SET"}}).value(), secret{"hush"}));
    CHECK(same(from.read(domain::value_source{from_vault{"v", "/f", "KEY"}}).value(), secret{"hush"}));
    CHECK(from.read(domain::text_value{std::string{"literal"}}).value() == "literal");
    struct wrong {
        domain::value_source source;
        std::string names;
        error_kind kind = error_kind::credential;
    };
    const std::vector<wrong> table{
        {from_env{"UNSET"}, "UNSET"},
        {from_env{"EMPTY"}, "EMPTY"},
        {from_file{"/etc/hostname"}, "--secrets-dir"},
        {from_vault{"v", "/f", "NOKEY"}, "NOKEY"},
        {from_vault{"v", "/f", "HIDDEN"}, "HIDDEN"},
        {from_vault{"v", "/f", "TWICE"}, "more than once"},
        {from_vault{"v", "/unread", "KEY"}, "/unread"},
        {from_vault{"v", "/broken", "KEY"}, "down", error_kind::unavailable},
    };
    for (const auto& row : table) {
        auto value = from.read(row.source);
        REQUIRE_MESSAGE(value.has_error(), row.names);
        CHECK(value.error().kind == row.kind);
        CHECK_MESSAGE(value.error().message().find(row.names) != std::string::npos, value.error().message());
        CHECK(value.error().message().find("hush") == std::string::npos);
    }
}

TEST_CASE("files are read below the secrets' folder alone, links included") {
    namespace fs = std::filesystem;
    const auto root = fs::temp_directory_path() / ("postern-test-" + random_hex(6));
    fs::create_directories(root / "secrets" / "sub");
    const temporary_file inside{"x"};
    fs::copy_file(inside.path(), root / "secrets" / "sub" / "key");
    fs::copy_file(inside.path(), root / "outside");
    fs::create_symlink(root / "outside", root / "secrets" / "link");
    auto reach = run::reach_of_process((root / "secrets").string());
    CHECK(same(reach.file((root / "secrets/sub/key").string()).value(), secret{"x"}));
    for (auto bad : {"outside", "secrets/../outside", "secrets/link", "secrets", "secrets/none"})
        CHECK_MESSAGE(reach.file((root / bad).string()).has_error(), bad);
    fs::remove_all(root);
}

TEST_CASE("a log line is one line whatever it is given, in both forms") {
    std::ostringstream out;
    run::log text{out, run::level::info, run::log_format::text};
    text.debug("hidden");
    text.info("seen", {{"who", "a b\n\x1b[31m\"q\""}, {"n", 7}, {"yes", true}});
    CHECK(out.str() == "info seen who=\"a b\\x0a\\x1b[31m\\\"q\\\"\" n=7 yes=true\n");
    out.str("");
    run::log json{out, run::level::debug, run::log_format::json, [] { return std::string{"T"}; }};
    json.warn("seen", {{"who", "a\n\"q\""}, {"n", -7}});
    CHECK(out.str() ==
          "{\"time\":\"T\",\"level\":\"warn\",\"event\":\"seen\",\"who\":\"a\\\\x0a\\\"q\\\"\",\"n\":-7}\n");
    out.str("");
    json.warn("long", {{"what", std::string(20000, 'x')}});
    CHECK(out.str().size() < 3000);
    CHECK(run::parse_level("error") == run::level::error);
    CHECK(!run::parse_level("loud"));
}

TEST_CASE("no log line reaches 10,000 bytes, whatever it is given, and a JSON line stays JSON") {
    const std::vector<std::string> nasty{std::string(50'000, 'x'),
                                         std::string(50'000, '"'),
                                         std::string(50'000, '\\'),
                                         std::string(50'000, '\x1b'),
                                         std::string(50'000, '\0'),
                                         [] {
                                             std::string s;
                                             for (int i = 0; i < 20'000; ++i)
                                                 s += "\u202eä€";
                                             return s;
                                         }()};
    for (auto form : {run::log_format::text, run::log_format::json}) {
        for (const auto& v : nasty) {
            std::ostringstream out;
            run::log log{out, run::level::debug, form, [] { return std::string{"2026-11-26T10:00:00Z"}; }};
            auto check = [&](std::string_view first, std::string_view last) {
                const auto line = out.str();
                out.str("");
                CHECK(line.size() < 10'000);
                CHECK(line.find('\n') == line.size() - 1);
                CHECK(line.find(first) != std::string::npos);
                if (form == run::log_format::text)
                    return;
                boost::system::error_code ec;
                const auto parsed = boost::json::parse(line, ec);
                REQUIRE(!ec);
                CHECK(parsed.at("event") == "step");
                CHECK(parsed.as_object().contains(last));
            };
            log.info("step", {{"a", v}});
            check("step", "a");
            log.set_context({{"pass", "7"}, {"revision", v}, {"holder", v}});
            log.error("step", {{"a", v}, {"b", v}, {"c", v}, {"d", v}, {"e", v}, {"f", v}, {"n", 12345}});
            check("pass", "n");
            std::vector<std::pair<std::string, std::string>> many;
            for (int i = 0; i < 400; ++i)
                many.emplace_back("field" + std::to_string(i), v);
            log.set_context(many);
            log.warn("step", {{"a", v}});
            check("field0", "field1");
        }
    }
}

namespace {

asio::awaitable<void> count_up(int* running, int* most, int* done) {
    *most = std::max(*most, ++*running);
    auto executor = co_await asio::this_coro::executor;
    co_await asio::post(executor, asio::use_awaitable);
    --*running;
    ++*done;
}

asio::awaitable<void> throws() {
    auto executor = co_await asio::this_coro::executor;
    co_await asio::post(executor, asio::use_awaitable);
    throw std::runtime_error("a bug");
}

} // namespace

TEST_CASE("jobs run together, so many at a time, and an exception comes out after the others have ended") {
    asio::io_context io;
    int running = 0;
    int most = 0;
    int done = 0;
    std::vector<asio::awaitable<void>> jobs;
    for (int i = 0; i < 10; ++i)
        jobs.push_back(count_up(&running, &most, &done));
    testing::run(io, run::together(std::move(jobs), 3));
    CHECK(done == 10);
    CHECK(most == 3);
    testing::run(io, run::together({}, 3));

    std::vector<asio::awaitable<void>> bad;
    bad.push_back(throws());
    bad.push_back(count_up(&running, &most, &done));
    CHECK_THROWS_AS(testing::run(io, run::together(std::move(bad), 2)), std::runtime_error);
    CHECK(running == 0);
}

TEST_CASE("a ring before the wait is not lost, and two rings are one") {
    asio::io_context io;
    run::doorbell bell{io.get_executor()};
    bell.ring();
    bell.ring();
    testing::run(io, bell.wait());
    bool woken = false;
    asio::co_spawn(io, bell.wait(), [&](std::exception_ptr) { woken = true; });
    io.restart();
    io.poll();
    CHECK(!woken);
    bell.ring();
    io.restart();
    io.poll();
    CHECK(woken);
}

} // namespace pieces_test
