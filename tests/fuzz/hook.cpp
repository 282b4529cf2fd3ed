#include "base/secret.hpp"
#include "run/endpoint.hpp"
#include "support/client.hpp"
#include "target.hpp"

#include <openssl/hmac.h>

#include <array>

// What a stranger sends to the daemon's port, over a real socket. The first byte chooses: 'r' the rest is the request
// itself, byte for byte; 's' it is the body of a hook that is signed; 'u' of one with a signature that does not fit.
// Only a signed hook wakes the loop, and each well-formed request gets an answer.
namespace postern::fuzz {
namespace {

const std::string key = "a secret of the hook";

std::string signature(std::string_view body) {
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    unsigned int length = 0;
    HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), reinterpret_cast<const unsigned char*>(body.data()),
         body.size(), digest.data(), &length);
    std::string out = "sha256=";
    for (unsigned int i = 0; i < length; ++i) {
        out += "0123456789abcdef"[digest[i] >> 4U];
        out += "0123456789abcdef"[digest[i] & 15U];
    }
    return out;
}

struct house {
    boost::asio::io_context io{1};
    run::metrics counted;
    int woken = 0;
    std::unique_ptr<run::endpoint> door;

    house() {
        run::endpoint_settings settings;
        settings.listen = "127.0.0.1:0";
        settings.hook_secret = secret{key};
        settings.branch = "main";
        auto opened = run::open_endpoint(
            io.get_executor(), std::move(settings), [] { return run::status{}; }, counted, [this] { ++woken; });
        hold(opened.has_value(), "a port is to be had");
        door = std::move(opened.value());
    }
};

void hook(house& d, std::string_view body, bool fits) {
    auto signed_with = signature(body);
    if (!fits)
        signed_with.back() = signed_with.back() == '0' ? '1' : '0';
    testing::client caller{d.io, d.door->port()};
    const auto got = caller.ask(testing::post("/hooks/git", body, "X-Hub-Signature-256: " + signed_with + "\r\n"));
    hold(got.status == (fits ? 202 : 403), "a hook is taken where its signature fits, and only there");
    hold(d.woken == (fits && got.body.starts_with("The documents") ? 1 : 0),
         "a hook wakes the loop once, or not at all");
}

// Whoever does not know the secret wakes nobody.
void raw(house& d, std::string_view request) {
    testing::client caller{d.io, d.door->port()};
    caller.send(std::string{request});
    boost::system::error_code gone;
    caller.socket().shutdown(boost::asio::ip::tcp::socket::shutdown_send, gone);
    const auto answer = caller.rest();
    hold(answer.empty() || answer.starts_with("HTTP/1."), "what is answered is HTTP");
    hold(d.woken == 0, "a stranger wakes nobody");
}

} // namespace

void try_input(std::string_view input) {
    if (input.empty())
        return;
    static house d;
    d.woken = 0;
    const auto rest = input.substr(1);
    if (input.front() == 'r')
        raw(d, rest);
    else
        hook(d, rest, input.front() == 's');
}

} // namespace postern::fuzz
