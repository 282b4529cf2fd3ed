#include "fixture.hpp"

#include <boost/asio/ip/tcp.hpp>

#include <pwd.h>

namespace ssh_test {

using namespace postern;
using namespace postern::testing;
using namespace std::chrono_literals;

namespace {

std::string sshd_program() {
    for (const std::string path : {"/usr/sbin/sshd", "/usr/local/sbin/sshd"}) {
        if (fs::exists(path))
            return path;
    }
    return {};
}

// A real sshd for the user who runs the test, with keys of its own.
struct host {
    scratch here;
    repository origin{here};
    std::string user = ::getpwuid(::geteuid())->pw_name;
    std::uint16_t port = 0;
    std::unique_ptr<child> sshd;

    host() {
        origin.write("specs/a.yaml", vault("a"));
        for (const std::string key : {"host_key", "deploy_key", "strange_key"})
            shell("ssh-keygen -q -t ed25519 -N '' -C test -f " + here.at(key));
        shell("ssh-keygen -q -t ed25519 -N secret -C test -f " + here.at("locked_key"));
        fs::copy(here / "deploy_key.pub", here / "authorized_keys");
        if (::geteuid() == 0)
            fs::create_directories("/run/sshd");
        {
            boost::asio::io_context io;
            const boost::asio::ip::tcp::acceptor free{io, {boost::asio::ip::address_v4::loopback(), 0}};
            port = free.local_endpoint().port();
        }
        here.write("sshd_config", "ListenAddress 127.0.0.1:" + std::to_string(port) + "\nHostKey " +
                                      here.at("host_key") + "\nAuthorizedKeysFile " + here.at("authorized_keys") +
                                      "\nStrictModes no\nUsePAM no\nPidFile none\nPermitRootLogin yes\n"
                                      "PasswordAuthentication no\nKbdInteractiveAuthentication no\n");
        // It tells on stderr when it listens.
        const std::vector<std::string> command{
            "/bin/sh", "-c", "exec " + sshd_program() + " -D -e -f " + here.at("sshd_config") + " 2>&1"};
        sshd = std::make_unique<child>(command, true);
        const auto said = sshd->line();
        REQUIRE_MESSAGE(said.find("Server listening") != std::string::npos, said);
        here.write("known_hosts", "[127.0.0.1]:" + std::to_string(port) + " " + content("host_key.pub") + "\n");
    }

    std::string content(const std::string& name) const {
        std::ifstream in(here / name);
        std::string line;
        std::getline(in, line);
        return line;
    }

    std::unique_ptr<run::spec_source> source(const std::function<void(run::git_settings&)>& change = {}) const {
        run::git_settings settings;
        settings.url = "ssh://" + user + "@127.0.0.1:" + std::to_string(port) + origin.bare();
        settings.path = "specs";
        settings.mirror = here.at("mirror");
        settings.key = here.at("deploy_key");
        settings.known_hosts = here.at("known_hosts");
        settings.timeout = 20s;
        if (change)
            change(settings);
        return run::follow_git(settings, {});
    }
};

bool is_there() {
    if (!sshd_program().empty())
        return true;
    MESSAGE("there is no sshd on this machine: repositories over ssh are not tried (package openssh-server)");
    return false;
}

} // namespace

TEST_CASE("ssh: a deploy key and a pinned host; pushes and forced pushes") {
    if (!is_there())
        return;
    const host at;
    const auto first = at.origin.push();
    followed source{at.source()};
    CHECK(source.good().revision == first);
    at.origin.write("specs/b.yaml", vault("b"));
    at.origin.push();
    CHECK(source.good().specs.desired.vaults.size() == 2);
    at.origin.git("reset -q --hard " + first);
    at.origin.write("specs/c.yaml", vault("c"));
    const auto forced = at.origin.push("--force");
    CHECK(source.good().revision == forced);
    followed polled{at.source([](auto& s) { s.poll = 50ms; })};
    polled.good();
    polled.watch();
    at.origin.push();
    CHECK(polled.sees(1));
    polled.stop();
}

TEST_CASE("ssh: a hashed file of known hosts") {
    if (!is_there())
        return;
    const host at;
    at.origin.push();
    shell("ssh-keygen -q -H -f " + at.here.at("known_hosts"));
    CHECK(at.content("known_hosts").starts_with("|1|"));
    followed source{at.source()};
    source.good();
}

TEST_CASE("ssh: a host that is not the pinned one is refused") {
    if (!is_there())
        return;
    const host at;
    at.origin.push();
    followed source{at.source()};
    at.here.write("known_hosts", "[127.0.0.1]:" + std::to_string(at.port) + " " + at.content("strange_key.pub") + "\n");
    auto e = source.bad();
    CHECK_MESSAGE(e.kind == error_kind::refused, e.message());
    CHECK(says(e, "another key than"));
    CHECK(says(e, shell("ssh-keygen -l -f " + at.here.at("host_key.pub") + " | cut -d' ' -f2")));

    at.here.write("known_hosts", "127.0.0.1 " + at.content("host_key.pub") + "\n");
    e = source.bad();
    CHECK(e.kind == error_kind::refused);
    CHECK(says(e, "is not in"));
    fs::remove(at.here / "known_hosts");
    CHECK(source.bad().kind == error_kind::refused);
    followed unpinned{at.source([](auto& s) { s.known_hosts.clear(); })};
    e = unpinned.bad();
    CHECK(e.kind == error_kind::refused);
    CHECK(says(e, "no file of known hosts"));
}

TEST_CASE("ssh: a key that is not taken, not there, locked, or none") {
    if (!is_there())
        return;
    const host at;
    at.origin.push();
    for (const std::string key : {"strange_key", "nothing", "locked_key", "known_hosts", ""}) {
        followed source{at.source([&](auto& s) { s.key = key.empty() ? "" : at.here.at(key); })};
        const auto e = source.bad();
        CHECK_MESSAGE(e.kind == error_kind::credential, key, ": ", e.message());
    }
}

TEST_CASE("ssh: a host that accepts and says nothing, and a repository that is not there") {
    if (!is_there())
        return;
    const host at;
    at.origin.push();
    boost::asio::io_context io;
    const boost::asio::ip::tcp::acceptor mute{io, {boost::asio::ip::address_v4::loopback(), 0}};
    followed silent{at.source([&](auto& s) {
        s.url = "ssh://git@127.0.0.1:" + std::to_string(mute.local_endpoint().port()) + "/x";
        s.timeout = 300ms;
    })};
    for (int i = 0; i < 2; ++i) {
        const auto start = std::chrono::steady_clock::now();
        const auto e = silent.bad();
        CHECK_MESSAGE(e.kind == error_kind::timeout, e.message());
        CHECK(std::chrono::steady_clock::now() - start < 10s);
    }
    followed nothing{at.source([](auto& s) { s.url += ".nothing"; })};
    CHECK(nothing.bad().kind == error_kind::unavailable);
}

} // namespace ssh_test
