#include "cli/secret_flag.hpp"
#include "cli/status_text.hpp"
#include "run/endpoint.hpp"
#include "run/store.hpp"
#include "support/certificates.hpp"
#include "support/client.hpp"

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <doctest/doctest.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>
#include <sys/wait.h>
#include <thread>
#include <utility>

namespace cli_test {

using namespace postern;
using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

namespace {

const instant now = parse_instant("2026-11-23T10:00:00Z").value();

run::status some() {
    run::status s;
    s.version = "0.1.0";
    s.holder = "worker/1/ab";
    s.epoch = 7;
    s.leading = true;
    s.leader = s.holder;
    s.revision = "abc123";
    s.started_at = now - hours{76};
    s.at = now;
    s.pass = 42;
    s.pass_began = now - minutes{2};
    s.pass_took = std::chrono::milliseconds{1200};
    s.last_good_pass = now - minutes{2};
    s.next_pass = now + minutes{3};
    s.tokens = {{"console-self-probe", "cf_access", "id-1", "id-1.access", "0123456789ab", now + hours{24 * 364},
                 now + hours{24 * 334}, now + hours{20}, "overlap"},
                {"probe", "", "id-2", "id-2.access", "", {}, {}, {}, ""},
                {"late", "", "id-3", "id-3.access", "", now - hours{2}, now - hours{30}, {}, "prove"},
                {"new", "", "", "", "", {}, {}, {}, ""}};
    s.connections = {{"CloudflareAccount/raxx", now + hours{24 * 12}}, {"HerokuAccount/heroku", {}}};
    s.conditions = {
        {"ServiceToken/probe", "Ready", domain::status::true_, "AsDeclared", "all well", domain::weight::fine},
        {"ServiceToken/new", "Ready", domain::status::false_, "AuthorizationMissing", "say it",
         domain::weight::blocked}};
    return s;
}

bool says(const std::string& text, std::string_view words) {
    return text.find(words) != std::string::npos;
}

struct ended {
    int code = -1;
    std::string out;
};

// `postern status` with an environment of its own; both streams.
ended status_of(const std::string& arguments, const std::string& environment = {}) {
    const auto command = "env -i PATH=\"$PATH\" " + environment + " " POSTERN_BINARY_DIR "/postern status " +
                         arguments + " 2>&1 </dev/null";
    ended out;
    std::FILE* program = popen(command.c_str(), "r");
    REQUIRE(program != nullptr);
    std::array<char, 4096> part{};
    for (std::size_t n = 0; (n = std::fread(part.data(), 1, part.size(), program)) > 0;)
        out.out.append(part.data(), n);
    const int status = pclose(program);
    out.code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    return out;
}

// An endpoint on a thread of its own, for a program that asks it.
class served {
public:
    explicit served(std::optional<secret> token = {}) {
        run::endpoint_settings settings;
        settings.listen = "127.0.0.1:0";
        settings.token = std::move(token);
        auto opened = run::open_endpoint(io_.get_executor(), std::move(settings), some, counted_, [] {});
        door_ = std::move(opened.value());
        url_ = "http://" + door_->address();
        thread_ = std::thread{[this] { io_.run(); }};
    }
    ~served() {
        boost::asio::post(io_, [this] { door_->close(); });
        thread_.join();
    }
    served(const served&) = delete;
    served& operator=(const served&) = delete;

    std::string flag() const { return "--endpoint " + url_; }

private:
    boost::asio::io_context io_{1};
    run::metrics counted_;
    std::unique_ptr<run::endpoint> door_;
    std::string url_;
    std::thread thread_;
};

} // namespace

TEST_CASE("spans are told by their two greatest parts") {
    CHECK(cli::rough(hours{76}) == "3d4h");
    CHECK(cli::rough(hours{72}) == "3d");
    CHECK(cli::rough(minutes{125}) == "2h5m");
    CHECK(cli::rough(seconds{61}) == "1m1s");
    CHECK(cli::rough(seconds{59}) == "59s");
    CHECK(cli::rough(duration{999}) == "0s");
    CHECK(cli::rough(-seconds{5}) == "0s");
    CHECK(cli::rough(hours{24 * 364 + 5}) == "364d");
}

TEST_CASE("the status as an operator reads it") {
    const auto text = cli::status_text(some(), now, false);
    CHECK(says(text, "worker/1/ab leads, epoch 7"));
    CHECK(says(text, "version 0.1.0, up for 3d4h"));
    CHECK(says(text, "abc123"));
    CHECK(says(text, "number 42, began 2m ago, took 1s200ms"));
    CHECK(says(text, "Next pass   in 3m"));
    CHECK(says(text, "TOKEN               STAGE                 EXPIRES         ROTATION\n"));
    CHECK(says(text, "console-self-probe  overlap, ends in 20h  in 364d         2027-10-23, in 334d\n"));
    CHECK(says(text, "probe               in force              -               -\n"));
    CHECK(says(text, "late                prove                 EXPIRED 2h ago  due since 1d6h\n"));
    CHECK(says(text, "new                 no token yet          -               -\n"));
    CHECK(says(text, "Needs a person:\n  ServiceToken/new Ready=False AuthorizationMissing: say it\n"));
    CHECK(!says(text, "all well"));
    CHECK(says(text, "CloudflareAccount/raxx: expires in 12d\n"));
    CHECK(says(text, "HerokuAccount/heroku: no date known\n"));
    CHECK(!says(text, "Brake"));
    CHECK(!says(text, "\x1b"));
    CHECK(says(cli::status_text(some(), now, true), "\x1b[1m"));
}

TEST_CASE("who stands by, what is refused, what is not there yet") {
    auto s = some();
    s.leading = false;
    s.leader = "worker/2/cd";
    s.observing = true;
    s.specs_problem = "specs/a.yaml:1:1: no\x1b[31m";
    s.store_problem = "gone";
    s.next_pass = now - seconds{4};
    auto text = cli::status_text(s, now, false);
    CHECK(says(text, "worker/2/cd leads; this is what worker/1/ab saw"));
    CHECK(says(text, "nothing is written"));
    CHECK(says(text, "not in force: specs/a.yaml:1:1: no\\x1b[31m"));
    CHECK(says(text, "does not answer: gone"));
    CHECK(says(text, "due 4s ago"));
    CHECK(!says(text, "\x1b"));
    s = run::status{};
    s.at = s.started_at = now;
    text = cli::status_text(s, now, false);
    CHECK(says(text, "nobody leads"));
    CHECK(says(text, "there were no good documents yet"));
    CHECK(says(text, "none has ended yet"));
    CHECK(says(text, "No tokens."));
    const auto one = run::only_token(some(), "console-self-probe");
    text = cli::status_text(one.value(), now, false);
    CHECK(says(text, "Token id    id-1\n"));
    CHECK(says(text, "Fingerprint 0123456789ab\n"));
}

TEST_CASE("a flag names where a secret is read, and a variable serves where there is none") {
    setenv("POSTERN_TEST_SECRET", "from-env", 1);
    setenv("POSTERN_TEST_EMPTY", "", 1);
    unsetenv("POSTERN_TEST_ABSENT");
    const auto read = [](const std::optional<domain::value_source>& flag, const char* usually) {
        return cli::read_secret_flag(flag, usually);
    };
    const auto is = [](const result<std::optional<secret>>& got, std::string_view text) {
        return got.has_value() && got.value() && same(*got.value(), secret{text});
    };
    CHECK(is(read({}, "POSTERN_TEST_SECRET"), "from-env"));
    CHECK(is(read(domain::from_env{"POSTERN_TEST_SECRET"}, "POSTERN_TEST_ABSENT"), "from-env"));
    CHECK(!read({}, "POSTERN_TEST_ABSENT").value());
    CHECK(!read({}, "POSTERN_TEST_EMPTY").value());
    CHECK(read(domain::from_env{"POSTERN_TEST_ABSENT"}, "POSTERN_TEST_SECRET").error().kind == error_kind::credential);
    CHECK(read(domain::from_env{"POSTERN_TEST_EMPTY"}, "POSTERN_TEST_SECRET").has_error());
    const testing::temporary_file file{"from-file\n"};
    CHECK(is(read(domain::from_file{file.path()}, "POSTERN_TEST_SECRET"), "from-file"));
    const testing::temporary_file blank{"\n"};
    CHECK(read(domain::from_file{blank.path()}, "POSTERN_TEST_SECRET").has_error());
    CHECK(read(domain::from_file{"/nowhere/at-all"}, "POSTERN_TEST_SECRET").error().message().find("/nowhere/at-all") !=
          std::string::npos);
}

TEST_CASE("postern status asks an endpoint") {
    const served d;
    const auto text = status_of(d.flag());
    CHECK(text.code == 0);
    CHECK(says(text.out, "worker/1/ab leads"));
    CHECK(says(text.out, "console-self-probe"));
    const auto whole = status_of(d.flag() + " -o json");
    CHECK(whole.code == 0);
    CHECK(whole.out == run::to_json(some()) + "\n");
    const auto one = status_of(d.flag() + " probe -o json");
    CHECK(one.code == 0);
    CHECK(run::parse_status(one.out)->tokens.size() == 1);
    const auto none = status_of(d.flag() + " probes");
    CHECK(none.code == 1);
    CHECK(says(none.out, "there is no ServiceToken \"probes\", did you mean \"probe\"?"));
}

TEST_CASE("postern status sends the bearer token, and says what is wrong without it") {
    const served d{secret{"open-sesame"}};
    const auto without = status_of(d.flag());
    CHECK(without.code == 1);
    CHECK(says(without.out, "POSTERN_LISTEN_TOKEN"));
    CHECK(status_of(d.flag(), "POSTERN_LISTEN_TOKEN=open-sesame").code == 0);
    CHECK(status_of(d.flag(), "POSTERN_LISTEN_TOKEN=wrong").code == 1);
    const testing::temporary_file file{"open-sesame\n"};
    CHECK(status_of(d.flag() + " --listen-token-from file:" + file.path()).code == 0);
    CHECK(status_of(d.flag() + " --listen-token-from env:MINE", "MINE=open-sesame").code == 0);
    const auto absent = status_of(d.flag() + " --listen-token-from env:MINE");
    CHECK(absent.code == 1);
    CHECK(says(absent.out, "environment variable MINE"));
}

namespace {

// Somebody who holds a lease and renews it, on a thread and a connection of its own.
class beating {
public:
    beating(const std::string& address, run::lease_row held)
        : kept_(run::make_store(address).value()), thread_([this, held] { beat(held); }) {}
    ~beating() {
        ended_ = true;
        thread_.join();
    }
    beating(const beating&) = delete;
    beating& operator=(const beating&) = delete;

private:
    void beat(run::lease_row held) {
        boost::asio::io_context io{1};
        while (!ended_) {
            const auto next = testing::run(io, kept_->renew_lease(held));
            if (next.has_value() && next.value())
                held = *next.value();
            std::this_thread::sleep_for(std::chrono::milliseconds{100});
        }
    }

    std::unique_ptr<run::store> kept_;
    std::atomic<bool> ended_{false};
    std::thread thread_;
};

} // namespace

TEST_CASE("postern status reads the store: what was saved last, and who leads by now") {
    testing::temporary_file file{""};
    const auto address = "sqlite:" + file.path();
    const auto flag = "--lease 4s --store " + address;
    boost::asio::io_context io{1};
    const auto kept = run::make_store(address).value();
    const auto nothing = status_of(flag);
    CHECK(nothing.code == 1);
    CHECK(says(nothing.out, "no daemon has saved its status there yet"));

    auto s = some();
    const auto free = testing::run(io, kept->read_lease()).value();
    const auto taken = testing::run(io, kept->take_lease(free, s.holder)).value();
    REQUIRE(taken);
    s.epoch = taken->epoch;
    REQUIRE(testing::run(io, kept->save_status(taken->epoch, run::to_json(s))).has_value());
    run::lease_row held = *taken;
    {
        const beating alive{address, held};
        const auto led = status_of(flag);
        CHECK(led.code == 0);
        CHECK_MESSAGE(says(led.out, "worker/1/ab leads, epoch"), led.out);
        CHECK(says(led.out, "console-self-probe"));
        CHECK(status_of("-o json", "POSTERN_LEASE=4s DATABASE_URL=" + address).out == status_of(flag + " -o json").out);
        CHECK(run::parse_status(status_of(flag + " -o json probe").out)->tokens.size() == 1);
    }
    // It was killed, and nobody has taken its place.
    const auto dead = status_of(flag);
    CHECK(dead.code == 0);
    CHECK_MESSAGE(says(dead.out, "nobody leads: worker/1/ab holds the lease, but did not renew it"), dead.out);
    const auto told = run::parse_status(status_of(flag + " -o json").out);
    CHECK_FALSE(told->leading);
    CHECK(told->leader.empty());
    CHECK(told->silent_holder == "worker/1/ab");

    const auto there = testing::run(io, kept->read_lease()).value();
    const auto next = testing::run(io, kept->take_lease(there, "worker/2/cd")).value();
    REQUIRE(next);
    held = *next;
    {
        const beating alive{address, held};
        CHECK(says(status_of(flag).out, "worker/2/cd leads; this is what worker/1/ab saw"));
    }
    CHECK(testing::run(io, kept->release_lease(*next)).has_value());
    CHECK(says(status_of(flag).out, "nobody leads"));
    const auto none = status_of("--store sqlite:" + file.path() + ".not");
    CHECK(none.code == 1);
    CHECK(says(none.out, "no such file"));
}

TEST_CASE("postern status says what else answered, or that nobody did") {
    const auto nobody = status_of("--endpoint http://127.0.0.1:1");
    CHECK(nobody.code == 1);
    CHECK(says(nobody.out, "GET http://127.0.0.1:1/api/v1/status"));
}

} // namespace cli_test
