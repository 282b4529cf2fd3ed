#include "run/endpoint.hpp"

#include "base/text.hpp"
#include "net/http_listener.hpp"

#include <boost/json.hpp>
#include <boost/url/parse.hpp>
#include <boost/url/url_view.hpp>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <algorithm>
#include <array>
#include <stdexcept>
#include <utility>

namespace postern::run {

namespace asio = boost::asio;
namespace json = boost::json;
namespace urls = boost::urls;

namespace {

constexpr std::string_view scheme = "bearer ";
constexpr std::string_view signature_start = "sha256=";

error wrong(std::string what) {
    return {error_kind::spec, "--listen", std::move(what), 0, {}, {}};
}

net::reply plain(int status, std::string line) {
    net::reply out;
    out.status = status;
    out.body = std::move(line) + "\n";
    return out;
}

net::reply as_json(int status, std::string document) {
    net::reply out;
    out.status = status;
    out.content_type = "application/json";
    out.body = std::move(document) + "\n";
    return out;
}

// A header can carry it, and one space ends nothing early.
bool can_be_sent(const secret& token) {
    const auto bytes = token.reveal();
    return !bytes.empty() && std::all_of(bytes.begin(), bytes.end(), [](char c) { return c > ' ' && c < 0x7f; });
}

// "sha256=…" of the body, as GitHub signs it.
std::string signature_of(const secret& key, std::string_view body) {
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    unsigned int length = 0;
    // NOLINTNEXTLINE(cppcoreguidelines-pro-type-reinterpret-cast): OpenSSL's byte type.
    const auto* data = reinterpret_cast<const unsigned char*>(body.data());
    if (HMAC(EVP_sha256(), key.reveal().data(), static_cast<int>(key.size()), data, body.size(), digest.data(),
             &length) == nullptr)
        throw std::runtime_error("HMAC-SHA256 is not available in this OpenSSL");
    // NOLINTNEXTLINE(cppcoreguidelines-pro-type-reinterpret-cast)
    return std::string{signature_start} + hex({reinterpret_cast<const char*>(digest.data()), length});
}

std::string text_of(const secret* header) {
    return header == nullptr ? std::string{} : std::string{header->reveal()};
}

// The host of "localhost:9090", "[::1]:9090", "127.0.0.1".
bool names_loopback(std::string_view host_header) {
    const auto parsed = urls::parse_authority(host_header);
    if (!parsed)
        return false;
    const auto host = lower(std::string_view{parsed->host_address()});
    const auto bound =
        net::parse_bind_address((parsed->host_type() == urls::host_type::ipv6 ? "[" + host + "]" : host) + ":0");
    return bound.has_value() && bound->loopback;
}

// A push says what it moved; whatever else was signed is taken for news.
bool is_other_branch(const std::string& body, const std::string& branch) {
    boost::system::error_code failed;
    const auto said = json::parse(body, failed);
    if (failed || !said.is_object() || branch.empty())
        return false;
    const auto* ref = said.get_object().if_contains("ref");
    const auto* name = ref != nullptr ? ref->if_string() : nullptr;
    return name != nullptr && std::string_view{*name} != "refs/heads/" + branch;
}

} // namespace

struct endpoint::state {
    endpoint_settings settings;
    std::function<status()> now;
    metrics& counted;
    std::function<void()> wake;
    std::unique_ptr<net::http_listener> door;

    net::reply answer(const net::incoming& asked);
    static asio::awaitable<net::reply> answer_while(std::weak_ptr<state> known, net::incoming asked);
    net::reply route(const net::incoming& asked, const urls::url_view& target);
    std::optional<net::reply> turned_away(const net::incoming& asked) const;
    net::reply ready() const;
    net::reply show_status(const urls::url_view& target) const;
    net::reply hook(const net::incoming& asked);
};

// Without a token only who really means this machine is let in: a page in a browser here that rebinds its own name to
// loopback says that name in Host.
std::optional<net::reply> endpoint::state::turned_away(const net::incoming& asked) const {
    if (!settings.token) {
        if (const auto* host = asked.header("Host"); host != nullptr && !names_loopback(host->reveal()))
            return plain(403,
                         "Without a bearer token this is told only under the name localhost or a loopback address.");
        return std::nullopt;
    }
    auto no = plain(401, "This needs the bearer token: Authorization: Bearer ...");
    const auto* said = asked.header("Authorization");
    if (said == nullptr) {
        no.headers.emplace_back("WWW-Authenticate", "Bearer realm=\"postern\"");
        return no;
    }
    const auto words = said->reveal();
    const bool bearer = lower(words.substr(0, scheme.size())) == scheme;
    if (bearer && same(secret{trim(words.substr(scheme.size()))}, *settings.token))
        return std::nullopt;
    no.headers.emplace_back("WWW-Authenticate", "Bearer realm=\"postern\", error=\"invalid_token\"");
    return no;
}

// Anybody may ask this, so it gives no more than the sort of the reason.
net::reply endpoint::state::ready() const {
    const auto s = now();
    if (!s.leading && !s.store_problem.empty())
        return plain(503, "not ready: the store does not answer, so this process neither leads nor stands by");
    if (s.last_whole_pass)
        return plain(200, s.leading ? "ready: leads" : "ready: stands by");
    if (s.revision.empty())
        return plain(503, s.specs_problem.empty() ? "not ready: the documents were not read yet"
                                                  : "not ready: there were no good documents yet");
    return plain(503, "not ready: no pass has seen the whole world yet");
}

net::reply endpoint::state::show_status(const urls::url_view& target) const {
    auto s = now();
    const auto params = target.params();
    const auto wanted = params.find("token");
    if (wanted == params.end())
        return as_json(200, to_json(s));
    auto one = only_token(std::move(s), std::string{(*wanted).value});
    if (one.has_error())
        return as_json(404, json::serialize(json::object{{"error", one.error().what}}));
    return as_json(200, to_json(one.value()));
}

net::reply endpoint::state::hook(const net::incoming& asked) {
    if (!settings.hook_secret)
        return plain(404, "There is no hook here: no secret is set for it.");
    const auto expected = signature_of(*settings.hook_secret, asked.body);
    const auto signature = text_of(asked.header("X-Hub-Signature-256"));
    if (signature.size() != expected.size() || CRYPTO_memcmp(signature.data(), expected.data(), expected.size()) != 0)
        return plain(403, "X-Hub-Signature-256 does not fit the body and the secret.");
    const auto event = text_of(asked.header("X-GitHub-Event"));
    if (event == "ping")
        return plain(200, "pong");
    if (is_other_branch(asked.body, settings.branch))
        return plain(202, "Another branch is followed here.");
    wake();
    return plain(202, "The documents are looked at again.");
}

net::reply endpoint::state::route(const net::incoming& asked, const urls::url_view& target) {
    const std::string path{target.path()};
    const bool posts = path == "/hooks/git";
    const bool guarded = path == "/metrics" || path == "/api/v1/status";
    if (!posts && !guarded && path != "/healthz" && path != "/readyz")
        return plain(404, "There are /healthz, /readyz, /metrics, /api/v1/status and POST /hooks/git here.");
    const bool fits = posts ? asked.method == "POST" : asked.method == "GET" || asked.method == "HEAD";
    if (!fits) {
        auto no = plain(405, "This method is not answered here.");
        no.headers.emplace_back("Allow", posts ? "POST" : "GET, HEAD");
        return no;
    }
    if (posts)
        return hook(asked);
    if (path == "/healthz")
        return plain(200, "alive");
    if (path == "/readyz")
        return ready();
    if (auto no = turned_away(asked))
        return std::move(*no);
    if (path == "/api/v1/status")
        return show_status(target);
    counted.show(now());
    net::reply out;
    out.content_type = "text/plain; version=0.0.4; charset=utf-8";
    out.body = counted.text();
    return out;
}

net::reply endpoint::state::answer(const net::incoming& asked) {
    const auto target =
        asked.target.starts_with('/') ? urls::parse_origin_form(asked.target) : urls::parse_absolute_uri(asked.target);
    if (!target)
        return plain(400, "The request's target is neither a path nor a URL.");
    return route(asked, *target);
}

endpoint::endpoint(std::shared_ptr<state> of) : state_(std::move(of)) {}

endpoint::~endpoint() {
    close();
}

std::uint16_t endpoint::port() const {
    return state_->door->port();
}

std::string endpoint::address() const {
    return state_->door->address();
}

void endpoint::close() {
    state_->door->close();
}

asio::awaitable<net::reply> endpoint::state::answer_while(std::weak_ptr<state> known, net::incoming asked) {
    const auto here = known.lock();
    if (!here)
        co_return plain(503, "closing");
    co_return here->answer(asked);
}

result<std::unique_ptr<endpoint>> open_endpoint(asio::any_io_executor executor, endpoint_settings settings,
                                                std::function<status()> now, metrics& counted,
                                                std::function<void()> wake) {
    auto at = net::parse_bind_address(settings.listen);
    if (at.has_error())
        return at.error();
    if (settings.token && !can_be_sent(*settings.token))
        return wrong("the bearer token is empty, or holds a blank or a character that no header can carry");
    if (settings.hook_secret && settings.hook_secret->empty())
        return wrong("the secret of /hooks/git is empty");
    if (!at->loopback && !settings.token)
        return wrong(printable(settings.listen) + " can be reached from elsewhere: name where a bearer token is read "
                                                  "(--listen-token-from), or listen on 127.0.0.1");
    const auto made = std::make_shared<endpoint::state>(
        endpoint::state{std::move(settings), std::move(now), counted, std::move(wake), nullptr});
    // The listener is in the state: a handler that held the state would keep both for ever.
    const std::weak_ptr<endpoint::state> known = made;
    net::handler handle = [known](net::incoming asked) {
        return endpoint::state::answer_while(known, std::move(asked));
    };
    auto door = net::listen(std::move(executor), at.value(), std::move(handle));
    if (door.has_error())
        return door.error();
    made->door = std::move(door.value());
    return std::unique_ptr<endpoint>{new endpoint{made}};
}

} // namespace postern::run
