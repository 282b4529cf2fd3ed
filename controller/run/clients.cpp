#include "run/clients.hpp"

#include "net/budget.hpp"
#include "net/retry.hpp"
#include "run/logged_transport.hpp"

#include <utility>

namespace postern::run {

namespace {

// The transports of one connection, innermost first.
struct chain {
    logged_transport logged;
    net::budget paced;
    net::retrying_transport retried;

    chain(const wiring& shared, std::size_t concurrency)
        : logged(shared.wire, shared.diagnostics, shared.clock),
          paced(logged, shared.clock, budget_of(shared, concurrency)),
          retried(paced, shared.clock, shared.random, retries_of(shared)) {}
    net::transport& top() { return retried; }

private:
    static net::budget_settings budget_of(const wiring& shared, std::size_t concurrency) {
        net::budget_settings settings;
        settings.concurrency = concurrency;
        settings.request_timeout = shared.request_timeout;
        return settings;
    }
    static net::retry_settings retries_of(const wiring& shared) {
        net::retry_settings settings;
        settings.request_timeout = shared.request_timeout;
        return settings;
    }
};

// A vault shares one small server; the others take more at a time.
constexpr std::size_t vault_concurrency = 4;
constexpr std::size_t api_concurrency = 8;

result<provider::infisical::login> read_login(const domain::infisical_vault& vault, const sources& from) {
    if (const auto* fixed = std::get_if<domain::token_auth>(&vault.auth)) {
        auto token = from.read(fixed->token);
        if (token.has_error())
            return token.error();
        return provider::infisical::login{provider::infisical::token_login{std::move(token.value())}};
    }
    const auto& universal = std::get<domain::universal_auth>(vault.auth);
    auto id = from.read(universal.client_id);
    if (id.has_error())
        return id.error();
    auto key = from.read(universal.client_secret);
    if (key.has_error())
        return key.error();
    return provider::infisical::login{provider::infisical::universal_login{secret{id.value()}, std::move(key.value())}};
}

} // namespace

struct clients::vault_connection {
    chain way;
    provider::infisical client;

    vault_connection(const wiring& shared, provider::infisical::place where, provider::infisical::login with)
        : way(shared, vault_concurrency), client(way.top(), shared.clock, std::move(where), std::move(with)) {}
};

struct clients::cloudflare_connection {
    chain way;
    std::string account_id;
    provider::cloudflare client;

    cloudflare_connection(const wiring& shared, const std::string& api_url, std::string id, secret key)
        : way(shared, api_concurrency), account_id(id),
          client(way.top(), api_url, std::move(id), std::move(key), &shared.clock) {}
};

struct clients::heroku_connection {
    chain way;
    provider::heroku client;

    heroku_connection(const wiring& shared, const std::string& api_url, secret key)
        : way(shared, api_concurrency), client(way.top(), api_url, std::move(key)) {}
};

clients::clients(wiring shared)
    : shared_(std::move(shared)),
      edge_(std::make_unique<logged_transport>(shared_.wire, shared_.diagnostics, shared_.clock)) {}

clients::~clients() = default;

result<provider::infisical*> clients::open(const domain::infisical_vault& vault, const sources& from) {
    auto login = read_login(vault, from);
    if (login.has_error())
        return login.error();
    auto& at = vaults_[vault.name];
    if (at) {
        at->client.use(std::move(login.value()));
    } else {
        provider::infisical::place where{vault.url, vault.project_id, vault.project_slug, vault.environment};
        at = std::make_unique<vault_connection>(shared_, std::move(where), std::move(login.value()));
    }
    return &at->client;
}

result<provider::cloudflare*> clients::open(const domain::cloudflare_account& account, const sources& from) {
    auto id = from.read(account.account_id);
    if (id.has_error())
        return id.error();
    auto key = from.read(account.api_token);
    if (key.has_error())
        return key.error();
    auto& at = cloudflare_[account.name];
    if (at && at->account_id == id.value())
        at->client.use(std::move(key.value()));
    else
        at = std::make_unique<cloudflare_connection>(shared_, account.api_url, id.value(), std::move(key.value()));
    return &at->client;
}

result<provider::heroku*> clients::open(const domain::heroku_account& account, const sources& from) {
    auto key = from.read(account.api_key);
    if (key.has_error())
        return key.error();
    auto& at = heroku_[account.name];
    if (at)
        at->client.use(std::move(key.value()));
    else
        at = std::make_unique<heroku_connection>(shared_, account.api_url, std::move(key.value()));
    return &at->client;
}

provider::infisical* clients::vault(const std::string& name) {
    auto at = vaults_.find(name);
    return at == vaults_.end() ? nullptr : &at->second->client;
}

provider::cloudflare* clients::cloudflare(const std::string& account) {
    auto at = cloudflare_.find(account);
    return at == cloudflare_.end() ? nullptr : &at->second->client;
}

provider::heroku* clients::heroku(const std::string& account) {
    auto at = heroku_.find(account);
    return at == heroku_.end() ? nullptr : &at->second->client;
}

std::string clients::account_id(const std::string& account) const {
    auto at = cloudflare_.find(account);
    return at == cloudflare_.end() ? std::string{} : at->second->account_id;
}

net::transport& clients::edge() {
    return *edge_;
}

const std::optional<std::string>& clients::connect_to() const {
    return shared_.connect_to;
}

} // namespace postern::run
