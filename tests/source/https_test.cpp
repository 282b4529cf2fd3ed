#include "fixture.hpp"
#include "support/certificates.hpp"
#include "support/loopback_server.hpp"

#include <boost/asio/ip/tcp.hpp>

namespace https_test {

using namespace postern;
using namespace postern::testing;
using namespace std::chrono_literals;
namespace asio = boost::asio;

namespace {

const std::string token_text = "ghp_0123456789abcdefghijABCDEFGHIJ012345";

// git http-backend over TLS.
struct hub {
    scratch here;
    repository origin{here};
    test_authority authority;
    std::unique_ptr<child> server;
    std::string port;

    explicit hub(const std::string& name = "localhost") {
        origin.write("specs/a.yaml", vault("a"));
        const auto identity = authority.issue({{name}});
        here.write("ca.pem", authority.certificate());
        here.write("server.pem", identity.certificate);
        here.write("server.key", identity.key);
        here.write("token", token_text);
        const std::vector<std::string> command{std::string{POSTERN_SOURCE_DIR} + "/tests/source/https_server",
                                               here.at("srv"), here.at("server.pem"), here.at("server.key"),
                                               here.at("token")};
        server = std::make_unique<child>(command);
        port = server->line();
        REQUIRE(!port.empty());
    }

    std::unique_ptr<run::spec_source> source(const std::string& path,
                                             const std::function<void(run::git_settings&)>& change = {}) const {
        run::git_settings settings;
        settings.url = "https://localhost:" + port + path;
        settings.path = "specs";
        settings.mirror = here.at("mirror");
        settings.ca_file = here.at("ca.pem");
        settings.timeout = 20s;
        if (change)
            change(settings);
        return run::follow_git(settings, {});
    }
};

asio::awaitable<void> open_tunnel(std::shared_ptr<peer> client, std::string* asked, std::uint16_t port) {
    *asked = co_await client->read_request();
    co_await client->write("HTTP/1.1 200 Connected\r\n\r\n");
    co_await client->relay(port);
}

bool holds_token(const error& e) {
    return says(e, token_text) || says(e, token_text.substr(4)) ||
           says(e, "eC1hY2Nlc3MtdG9rZW46"); // "x-access-token:" in base64
}

} // namespace

TEST_CASE("https: a repository that is open, and pushes to it") {
    const hub at;
    const auto first = at.origin.push();
    followed source{at.source("/open/infra.git")};
    auto got = source.good();
    CHECK(got.revision == first);
    CHECK(got.specs.ok());
    CHECK(got.specs.desired.source == "localhost:" + at.port + "/open/infra//specs");
    at.origin.write("specs/b.yaml", vault("b"));
    const auto second = at.origin.push();
    got = source.good();
    CHECK(got.revision == second);
    CHECK(got.specs.desired.vaults.size() == 2);
}

TEST_CASE("https: a token is sent as GitHub takes it, read again each time, and never told") {
    const hub at;
    const auto tip = at.origin.push();
    std::string held = token_text;
    int asked = 0;
    auto with_token = [&](run::git_settings& s) {
        s.token = [&]() -> result<secret> {
            ++asked;
            return secret{held};
        };
    };
    followed source{at.source("/secret/infra.git", with_token)};
    CHECK(source.good().revision == tip);
    CHECK(asked == 1);

    at.here.write("token", "ghp_another");
    auto e = source.bad();
    CHECK(e.kind == error_kind::credential);
    CHECK(says(e, "refused the token"));
    CHECK(!holds_token(e));
    held = "ghp_another";
    CHECK(source.good().revision == tip);
    CHECK(asked == 3);

    followed without{at.source("/secret/infra.git")};
    e = without.bad();
    CHECK(e.kind == error_kind::credential);
    CHECK(says(e, "no token is set"));

    followed unreadable{at.source("/secret/infra.git", [](run::git_settings& s) {
        s.token = []() -> result<secret> {
            error absent;
            absent.kind = error_kind::credential;
            absent.what = "there is none";
            return absent;
        };
    })};
    CHECK(says(unreadable.bad(), "there is none"));
}

TEST_CASE("https: a server that is not believed gets nothing") {
    const hub at;
    at.origin.push();
    auto with_token = [](run::git_settings& s) { s.token = []() -> result<secret> { return secret{token_text}; }; };
    followed system_only{at.source("/secret/infra.git", [&](auto& s) {
        with_token(s);
        s.ca_file.reset();
    })};
    auto e = system_only.bad();
    CHECK_MESSAGE(e.kind == error_kind::refused, e.message());
    CHECK(says(e, "--ca-file"));
    // The anchors of one call are not those of the next.
    followed source{at.source("/secret/infra.git", with_token)};
    source.good();
    CHECK(system_only.bad().kind == error_kind::refused);

    const hub elsewhere{"git.example"};
    elsewhere.origin.push();
    followed wrong_name{elsewhere.source("/open/infra.git")};
    e = wrong_name.bad();
    CHECK_MESSAGE(e.kind == error_kind::refused, e.message());

    followed no_file{at.source("/open/infra.git", [&](auto& s) { s.ca_file = at.here.at("nothing"); })};
    CHECK(no_file.bad().kind == error_kind::spec);
    followed no_anchor{at.source("/open/infra.git", [&](auto& s) { s.ca_file = at.here.at("token"); })};
    e = no_anchor.bad();
    CHECK(e.kind == error_kind::spec);
    CHECK(!holds_token(e));
}

TEST_CASE("https: redirects are followed to the same host alone, and statuses are understood") {
    const hub at;
    at.origin.push();
    followed moved{at.source("/moved/infra.git")};
    moved.good();
    followed away{at.source("/away/infra.git")};
    auto e = away.bad();
    CHECK_MESSAGE(e.kind == error_kind::refused, e.message());
    CHECK(says(e, "write its new URL"));
    const std::vector<std::pair<std::string, error_kind>> statuses{{"403", error_kind::credential},
                                                                   {"404", error_kind::refused},
                                                                   {"429", error_kind::throttled},
                                                                   {"500", error_kind::unavailable},
                                                                   {"503", error_kind::unavailable}};
    for (const auto& [status, kind] : statuses) {
        followed source{at.source("/status/" + status)};
        e = source.bad();
        CHECK_MESSAGE(e.kind == kind, e.message());
        CHECK(e.status == std::stoi(status));
    }
    followed nothing{at.source("/open/nothing.git")};
    CHECK(nothing.bad().kind == error_kind::refused);
}

TEST_CASE("https: nobody there, somebody who says nothing, and one who does not speak TLS") {
    const hub at;
    at.origin.push();
    std::uint16_t closed = 0;
    {
        boost::asio::io_context io;
        const boost::asio::ip::tcp::acceptor was{io, {boost::asio::ip::address_v4::loopback(), 0}};
        closed = was.local_endpoint().port();
    }
    followed nobody{at.source("/x", [&](auto& s) { s.url = "https://localhost:" + std::to_string(closed) + "/x"; })};
    auto e = nobody.bad();
    CHECK_MESSAGE(e.kind == error_kind::unavailable, e.message());
    followed nameless{at.source("/x", [](auto& s) { s.url = "https://nowhere.invalid/x"; })};
    CHECK(nameless.bad().kind == error_kind::unavailable);

    // After the handshake, and before it.
    boost::asio::ip::tcp::acceptor mute{nobody.io(), {boost::asio::ip::address_v4::loopback(), 0}};
    for (const auto& url : {"https://localhost:" + at.port + "/silent/x",
                            "https://127.0.0.1:" + std::to_string(mute.local_endpoint().port()) + "/x"}) {
        followed silent{at.source("/x", [&](auto& s) {
            s.url = url;
            s.timeout = 300ms;
        })};
        for (int i = 0; i < 2; ++i) {
            const auto start = std::chrono::steady_clock::now();
            e = silent.bad();
            const auto took = std::chrono::steady_clock::now() - start;
            CHECK_MESSAGE(e.kind == error_kind::timeout, e.message());
            CHECK(took >= 300ms);
            CHECK(took < 10s); // and not what anybody else waits for
        }
    }
    // The one who hung did not keep the thread.
    followed source{at.source("/open/infra.git")};
    CHECK(source.good().specs.ok());
}

TEST_CASE("https: through a proxy, of which loopback has no need") {
    const hub at{"git.example"};
    const auto tip = at.origin.push();
    std::string asked;
    const auto port = static_cast<std::uint16_t>(std::stoi(at.port));
    const script tunnel = [&asked, port](std::shared_ptr<peer> client) { return open_tunnel(client, &asked, port); };
    auto io = std::make_shared<boost::asio::io_context>(1);
    const loopback_server proxy{*io, tunnel};
    auto by_proxy = [&](run::git_settings& s) {
        s.url = "https://git.example/open/infra.git";
        s.https_proxy = proxy.origin();
    };
    followed source{at.source("", by_proxy), io};
    CHECK(source.good().revision == tip);
    CHECK(asked.starts_with("CONNECT git.example:443 HTTP/1.1\r\n"));
    followed excepted{at.source("",
                                [&](auto& s) {
                                    by_proxy(s);
                                    s.no_proxy = ".example";
                                }),
                      io};
    CHECK(excepted.bad().kind == error_kind::unavailable);
    const hub near;
    near.origin.push();
    const int before = proxy.accepted();
    followed direct{near.source("/open/infra.git", [&](auto& s) { s.https_proxy = proxy.origin(); }), io};
    direct.good();
    CHECK(proxy.accepted() == before);
}

TEST_CASE("https: a watch that is cancelled while the remote says nothing ends at once") {
    const hub at;
    followed silent{at.source("/silent/x", [](auto& s) { s.poll = 1ms; })};
    silent.watch();
    silent.idle(200ms);
    const auto start = std::chrono::steady_clock::now();
    silent.stop();
    CHECK(std::chrono::steady_clock::now() - start < 10s);
    CHECK(silent.changes == 0);
}

} // namespace https_test
