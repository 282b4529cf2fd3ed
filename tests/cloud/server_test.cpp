#include "base/text.hpp"
#include "cloud/harbour.hpp"

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/ssl/host_name_verification.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <doctest/doctest.h>

#include <csignal>
#include <future>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

namespace server_test {

using namespace postern;
using namespace postern::testcloud;
using namespace std::chrono_literals;
namespace asio = boost::asio;
namespace http = boost::beast::http;
using tcp = asio::ip::tcp;

namespace {

// A cloud that serves on a thread of its own while the test talks to it over blocking sockets.
struct served {
    asio::io_context io{1};
    cloud all;
    std::unique_ptr<harbour> on_loopback;
    std::thread thread;

    explicit served(bool tls = false) {
        all.seed_example();
        on_loopback = std::make_unique<harbour>(io, all, harbour_options{tls, 0});
        thread = std::thread{[this] { io.run(); }};
    }
    ~served() {
        asio::post(io, [this] { on_loopback->stop(); });
        thread.join();
    }
    std::uint16_t port(service of) const {
        const auto origin = on_loopback->origin(of);
        return static_cast<std::uint16_t>(std::stoi(origin.substr(origin.rfind(':') + 1)));
    }
    void fail(fault_action what, bool after = false) {
        fault f;
        f.what = what;
        f.after = after;
        std::promise<void> added;
        asio::post(io, [&] {
            all.trouble.add(f);
            added.set_value();
        });
        added.get_future().wait();
    }
};

struct line {
    asio::io_context io;
    tcp::socket socket{io};

    explicit line(std::uint16_t port) { socket.connect({asio::ip::address_v4::loopback(), port}); }

    http::response<http::string_body> ask(http::verb verb, const std::string& target, const std::string& body = "",
                                          std::initializer_list<field> headers = {}) {
        return ask_over(socket, verb, target, body, headers);
    }
    template<class Stream>
    static http::response<http::string_body> ask_over(Stream& stream, http::verb verb, const std::string& target,
                                                      const std::string& body, std::initializer_list<field> headers) {
        http::request<http::string_body> message{verb, target, 11};
        message.set(http::field::host, "127.0.0.1");
        message.set(http::field::user_agent, "test/1");
        for (const auto& h : headers)
            message.set(h.name, h.value);
        message.body() = body;
        message.prepare_payload();
        http::write(stream, message);
        boost::beast::flat_buffer buffer;
        http::response<http::string_body> answer;
        http::read(stream, buffer, answer);
        return answer;
    }
};

json::value parsed(const http::response<http::string_body>& r) {
    return json::parse(r.body());
}

} // namespace

TEST_CASE("one connection carries many requests, to every service on a port of its own") {
    served s;
    for (auto to : {service::cloudflare, service::infisical, service::heroku, service::edge, service::control}) {
        line l{s.port(to)};
        for (int i = 0; i < 3; ++i)
            CHECK(l.ask(http::verb::get, "/").result_int() != 0);
    }
    line vault{s.port(service::infisical)};
    const auto status = vault.ask(http::verb::get, "/api/status");
    CHECK(status.result_int() == 200);
    CHECK(status["Date"] == "Mon, 23 Nov 2026 10:00:00 GMT");
    line edge_line{s.port(service::edge)};
    const auto refused = edge_line.ask(http::verb::get, "/health", "", {{"Host", "console.raxx.app"}});
    CHECK(refused.result_int() == 302);
}

TEST_CASE("faults are done to the connection") {
    served s;
    auto ask = [&]() -> std::string {
        line l{s.port(service::infisical)};
        try {
            return std::to_string(l.ask(http::verb::get, "/api/status").result_int());
        } catch (const boost::system::system_error& e) {
            return e.code().message();
        }
    };
    CHECK(ask() == "200");
    s.fail(fault_action::drop);
    CHECK(ask() == "end of stream");
    s.fail(fault_action::reset);
    CHECK(ask() == "Connection reset by peer");
    s.fail(fault_action::cut);
    CHECK(ask() == "partial message");
    s.fail(fault_action::hang);
    line waiting{s.port(service::infisical)};
    asio::write(waiting.socket, asio::buffer(std::string_view{"GET /api/status HTTP/1.1\r\nHost: x\r\n\r\n"}));
    pollfd readable{waiting.socket.native_handle(), POLLIN, 0};
    CHECK(poll(&readable, 1, 100) == 0);
    CHECK(ask() == "200");
}

TEST_CASE("a delay is waited out in real time") {
    served s;
    fault f;
    f.what = fault_action::delay;
    f.delay = 60ms;
    asio::post(s.io, [&] { s.all.trouble.add(f); });
    line l{s.port(service::infisical)};
    const auto before = std::chrono::steady_clock::now();
    CHECK(l.ask(http::verb::get, "/api/status").result_int() == 200);
    CHECK(std::chrono::steady_clock::now() - before >= 60ms);
}

TEST_CASE("with TLS, every guarded host has a certificate of the test CA") {
    served s{true};
    for (const std::string host : {"console.raxx.app", "anything.example.org", "localhost", "127.0.0.1"}) {
        CAPTURE(host);
        asio::io_context io;
        asio::ssl::context trust{asio::ssl::context::tls_client};
        trust.set_verify_mode(asio::ssl::verify_peer);
        const auto pem = s.on_loopback->root_pem();
        trust.add_certificate_authority(asio::buffer(pem));
        asio::ssl::stream<tcp::socket> stream{io, trust};
        if (host != "127.0.0.1")
            SSL_set_tlsext_host_name(stream.native_handle(), host.c_str());
        stream.set_verify_callback(asio::ssl::host_name_verification{host});
        stream.next_layer().connect({asio::ip::address_v4::loopback(), s.port(service::edge)});
        stream.handshake(asio::ssl::stream_base::client);
        const auto answer = line::ask_over(stream, http::verb::get, "/health", "", {{"Host", host}});
        CHECK(answer.result_int() == (host == "console.raxx.app" ? 302 : 530));
    }
    CHECK(s.on_loopback->cloudflare_url().starts_with("https://127.0.0.1:"));
    CHECK(s.on_loopback->origin(service::control).starts_with("http://"));
}

TEST_CASE("an untrusting client gets nowhere") {
    served s{true};
    asio::io_context io;
    asio::ssl::context trust{asio::ssl::context::tls_client};
    trust.set_verify_mode(asio::ssl::verify_peer);
    asio::ssl::stream<tcp::socket> stream{io, trust};
    stream.next_layer().connect({asio::ip::address_v4::loopback(), s.port(service::edge)});
    CHECK_THROWS(stream.handshake(asio::ssl::stream_base::client));
}

TEST_CASE("the control origin moves time, plans faults, and shows the books and the state") {
    served s;
    line l{s.port(service::control)};
    auto post = [&](const std::string& target, const json::value& body) {
        return l.ask(http::verb::post, target, json::serialize(body));
    };
    auto get = [&](const std::string& target) { return parsed(l.ask(http::verb::get, target)); };
    CHECK(l.ask(http::verb::get, "/help").body().find("POST /faults") != std::string::npos);
    CHECK(l.ask(http::verb::get, "/nope").result_int() == 404);
    CHECK(post("/time/advance", {{"seconds", 90}}).result_int() == 200);
    CHECK(get("/time").at("now") == "2026-11-23T10:01:30Z");
    CHECK(post("/time/advance", {{"to", "2026-12-01T00:00:00Z"}}).result_int() == 200);
    CHECK(post("/time/advance", {{"to", "tomorrow"}}).result_int() == 400);

    const auto token = parsed(post("/state/tokens", {{"name", "made"}, {"expiresInSeconds", 3600}}));
    json::object app{{"name", "Made"}, {"domain", "made.raxx.app"}};
    json::object policy{{"name", "machines"}, {"decision", "non_identity"}};
    policy["include"] = json::array{{{"service_token", {{"token_id", token.at("id")}}}}};
    app["policies"] = json::array{policy};
    CHECK(post("/state/apps", app).result_int() == 200);
    const std::string value =
        std::string{token.at("client_id").as_string()} + ":" + std::string{token.at("client_secret").as_string()};
    CHECK(post("/state/heroku-apps", {{"name", "made-app"}, {"config", {{"CRED", value}}}}).result_int() == 200);
    CHECK(post("/state/vault", {{"path", "/A/b"}, {"key", "CRED"}, {"value", value}}).result_int() == 200);
    CHECK(get("/books/consumers").as_array().size() == 3);
    CHECK(get("/books/refusals").as_array().empty());
    post("/time/advance", {{"seconds", 3600}});
    CHECK(get("/books/refusals").as_array().size() == 2);
    s.all.checks.meant(2, "the token was let expire");
    CHECK(parsed(post("/books/leaks", {{"text", value}})).at("leaks").as_array().size() == 1);

    json::object step{{"service", "heroku"}, {"method", "PATCH"}, {"target", "/apps/made-app/config-vars"}};
    step["body"] = {{"FOREIGN", "1"}};
    json::object edit{{"service", "heroku"}, {"action", "hook"}, {"method", "PATCH"}};
    edit["operations"] = json::array{step};
    CHECK(post("/faults", json::array{edit, {{"service", "infisical"}, {"action", "answer"}, {"status", 503}}})
              .result_int() == 200);
    line heroku_line{s.port(service::heroku)};
    const auto& key = s.all.example.heroku_key;
    heroku_line.ask(http::verb::patch, "/apps/made-app/config-vars", "{\"OURS\":\"2\"}",
                    {{"Authorization", "Bearer " + key}, {"Accept", "application/vnd.heroku+json; version=3"}});
    const auto heroku_state = get("/state/heroku");
    const auto& vars = heroku_state.at("apps").at(2).at("config");
    CHECK(vars.at("FOREIGN") == "1");
    CHECK(vars.at("OURS") == "2");
    line vault_line{s.port(service::infisical)};
    CHECK(vault_line.ask(http::verb::get, "/api/status").result_int() == 503);
    CHECK(get("/faults").at(1).at("fired") == 1);
    CHECK(post("/faults", {{"action", "explode"}}).result_int() == 400);
    CHECK(post("/operator", {{"service", "cloudflare"}, {"target", "/client/v4/accounts"}}).result_int() == 200);

    post("/state/switches", {{"cloudflare", {{"perPageCap", 2}}}, {"infisical", {{"approvalPaths", {"/A"}}}}});
    CHECK(get("/state/cloudflare").at("switches").at("perPageCap") == 2);
    CHECK(get("/state/infisical").at("switches").at("approvalPaths").at(0) == "/A");
    CHECK(post("/state/edges", {{"delaysMs", {0, 5000}}}).result_int() == 200);
    CHECK(get("/state/edge").at("delaysMs").as_array().size() == 2);
    CHECK(post("/state/hosts", {{"host", "made.raxx.app"}, {"waf", true}}).result_int() == 200);
    CHECK(post("/state/organization", {{"strict", true}}).result_int() == 200);
    CHECK(post("/state/cleanup", {{"tokenId", token.at("id")}, {"action", "disable"}}).result_int() == 200);
    CHECK(post("/state/nothing", json::object{}).result_int() == 400);
    CHECK(s.all.access.config.org.strict_service_token_auth);
}

TEST_CASE("postern-cloud says on its first line where everything is, and goes when it is told to") {
    int out[2];
    REQUIRE(pipe(out) == 0);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, out[1], STDOUT_FILENO);
    posix_spawn_file_actions_addclose(&actions, out[0]);
    const std::string program = POSTERN_BINARY_DIR "/postern-cloud";
    std::string arguments[] = {program, "--port", "0", "--tls", "--seed", "3", "--edge-delays", "0,1,2"};
    std::vector<char*> argv;
    for (auto& a : arguments)
        argv.push_back(a.data());
    argv.push_back(nullptr);
    pid_t child = 0;
    REQUIRE(posix_spawn(&child, program.c_str(), &actions, nullptr, argv.data(), environ) == 0);
    posix_spawn_file_actions_destroy(&actions);
    close(out[1]);
    std::string first;
    for (char c = 0; read(out[0], &c, 1) == 1 && c != '\n';)
        first += c;
    const auto said = json::parse(first).as_object();
    for (const auto* key : {"cloudflare", "infisical", "heroku", "edge", "control", "accountId", "apiToken",
                            "infisicalClientId", "infisicalClientSecret", "projectId", "projectSlug", "environment",
                            "herokuApiKey", "herokuApp", "appId", "appHost", "caFile"})
        CHECK_MESSAGE(said.contains(key), key);
    CHECK(said.at("cloudflare").as_string().ends_with("/client/v4"));
    CHECK(said.at("appHost") == "console.raxx.app");
    const std::string ca_file{said.at("caFile").as_string()};
    CHECK(access(ca_file.c_str(), R_OK) == 0);
    kill(child, SIGTERM);
    int status = -1;
    waitpid(child, &status, 0);
    CHECK(WIFEXITED(status));
    CHECK(WEXITSTATUS(status) == 0);
    CHECK(access(ca_file.c_str(), R_OK) != 0);
    close(out[0]);
}

} // namespace server_test
