#include "run/own_keys.hpp"

#include "domain/reason.hpp"

#include <utility>

namespace postern::run {

namespace asio = boost::asio;

namespace {

constexpr duration told_before = std::chrono::hours{30 * 24};
constexpr duration blocked_before = std::chrono::hours{7 * 24};

asio::awaitable<key_expiry> look_at(std::string resource, provider::cloudflare* client) {
    key_expiry out{std::move(resource), {}, {}};
    if (client == nullptr)
        co_return out;
    auto status = co_await client->verify();
    if (status.has_error())
        out.failure = status.error();
    else
        out.expires_at = status.value().expires_on;
    co_return out;
}

} // namespace

asio::awaitable<std::vector<key_expiry>> look_at_own_keys(surroundings around) {
    std::vector<key_expiry> out;
    for (const auto& account : around.wanted.cloudflare) {
        auto looking = look_at("CloudflareAccount/" + account.name, around.remotes.cloudflare(account.name));
        auto seen = co_await std::move(looking);
        out.push_back(std::move(seen));
    }
    for (const auto& vault : around.wanted.vaults)
        out.push_back({"InfisicalVault/" + vault.name, {}, {}});
    for (const auto& account : around.wanted.heroku)
        out.push_back({"HerokuAccount/" + account.name, {}, {}});
    co_return out;
}

std::vector<domain::condition> own_key_conditions(const std::vector<key_expiry>& keys, instant now) {
    std::vector<domain::condition> out;
    for (const auto& key : keys) {
        if (!key.expires_at || now < *key.expires_at - told_before)
            continue;
        const bool over = now >= *key.expires_at;
        const bool urgent = now >= *key.expires_at - blocked_before;
        out.push_back({key.resource, "AccessExpiring", domain::status::true_,
                       std::string{domain::reason::access_expiring},
                       std::string{"the key that Postern itself uses here "} + (over ? "ended " : "ends ") +
                           format_instant(*key.expires_at) +
                           ": make another one with the same rights and put it where the document reads it",
                       urgent ? domain::weight::blocked : domain::weight::told});
    }
    return out;
}

} // namespace postern::run
