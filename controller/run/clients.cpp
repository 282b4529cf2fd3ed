#include "run/clients.hpp"

#include "net/budget.hpp"
#include "net/retry.hpp"
#include "run/fenced_transport.hpp"
#include "run/logged_transport.hpp"

#include <boost/asio/this_coro.hpp>

#include <algorithm>
#include <utility>
#include <vector>

namespace postern::run {

namespace {

// Says of each request how urgent the work is that it is sent for, and whether that has written already. A step that is
// under way comes to its end; what only looks at the world does not go on once somebody asks to stop.
class ranking_transport final : public net::transport {
public:
    ranking_transport(net::transport& inner, request_trail& trail, const net::stop* halt)
        : inner_(inner), trail_(trail), halt_(halt) {}

    boost::asio::awaitable<result<net::response>> send(net::request r) override {
        auto executor = co_await boost::asio::this_coro::executor;
        const auto lane = trail_.lane_of(executor);
        if (!lane && halt_ != nullptr && halt_->asked())
            co_return error{error_kind::cancelled, r.what, "nothing was sent: somebody asked to stop", 0, {}, {}};
        r.lane = lane.value_or(trail_.looking());
        r.finishes = trail_.has_written(executor);
        const bool writes = r.verb != net::method::get && !r.login;
        auto exchange = inner_.send(std::move(r));
        auto came = co_await std::move(exchange);
        if (writes && may_have_been_acted_on(came))
            trail_.wrote(executor);
        co_return came;
    }

private:
    static bool may_have_been_acted_on(const result<net::response>& came) {
        if (came.has_value())
            return came->status / 100 != 4;
        const auto kind = came.error().kind;
        return kind == error_kind::ambiguous || kind == error_kind::timeout;
    }

    net::transport& inner_;
    request_trail& trail_;
    const net::stop* halt_;
};

// The transports of one connection, innermost first.
struct chain {
    logged_transport logged;
    fenced_transport fenced;
    net::budget paced;
    net::retrying_transport retried;
    ranking_transport ranked;

    // `resource` is whose connection it is: "CloudflareAccount/raxx".
    chain(const wiring& shared, request_trail& trail, std::string provider, std::string resource,
          std::size_t concurrency, std::vector<net::quota> quotas = {})
        : logged(shared, trail, std::move(provider)), fenced(logged, shared.may_write),
          paced(fenced, shared.clock, budget_of(shared, std::move(resource), concurrency, std::move(quotas))),
          retried(paced, shared.clock, shared.random, retries_of(shared)), ranked(retried, trail, shared.halt) {}
    net::transport& top() { return ranked; }

private:
    static net::budget_settings budget_of(const wiring& shared, std::string resource, std::size_t concurrency,
                                          std::vector<net::quota> quotas) {
        net::budget_settings settings;
        settings.concurrency = concurrency;
        settings.quotas = std::move(quotas);
        settings.request_timeout = shared.request_timeout;
        settings.halt = shared.halt;
        settings.on_unbelievable = [&log = shared.diagnostics, resource = std::move(resource)](duration asked) {
            log.warn("budget", {{"resource", resource},
                                {"asked", format_duration(asked)},
                                {"note", "the remote names a wait of that length, which is not believed: it is asked "
                                         "again within the hour"}});
        };
        return settings;
    }
    static net::retry_settings retries_of(const wiring& shared) {
        net::retry_settings settings;
        settings.request_timeout = shared.request_timeout;
        settings.halt = shared.halt;
        return settings;
    }
};

bool is_account_id(std::string_view text) {
    return text.size() == 32 && text.find_first_not_of("0123456789abcdefABCDEF") == std::string_view::npos;
}

// A vault shares one small server; the others take more at a time.
constexpr std::size_t vault_concurrency = 4;
constexpr std::size_t api_concurrency = 8;

// What Cloudflare documents: for each API token, and for each address. What else answers in its place says its own.
std::vector<net::quota> quotas_of(const domain::cloudflare_account& account) {
    if (!account.api_url.starts_with("https://api.cloudflare.com/"))
        return {};
    return {{1200, std::chrono::minutes{5}}, {200, std::chrono::seconds{1}}};
}

// What a connection leads to: where that changes, it is another connection.
std::vector<std::string> place_of(const domain::infisical_vault& v) {
    return {v.url, v.project_id, v.project_slug, v.environment};
}
std::vector<std::string> place_of(const domain::cloudflare_account& a) {
    return {a.api_url};
}
std::vector<std::string> place_of(const domain::heroku_account& a) {
    return {a.api_url};
}

// Drops the connections that no document stands for any more, and those whose document says another place. Returns
// their names.
template<class Connections, class Documents>
std::set<std::string> drop_others(Connections& connections, const Documents& wanted) {
    std::set<std::string> dropped;
    for (const auto& [name, connection] : connections) {
        const bool stays = std::any_of(wanted.begin(), wanted.end(), [&, &n = name, &c = connection](const auto& d) {
            return d.name == n && place_of(d) == c->where;
        });
        if (!stays)
            dropped.insert(name);
    }
    for (const auto& name : dropped)
        connections.erase(name);
    return dropped;
}

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
    std::vector<std::string> where;
    provider::infisical client;

    vault_connection(const wiring& shared, request_trail& trail, const domain::infisical_vault& vault,
                     provider::infisical::login with)
        : way(shared, trail, "infisical", "InfisicalVault/" + vault.name, vault_concurrency), where(place_of(vault)),
          client(way.top(), shared.clock, {vault.url, vault.project_id, vault.project_slug, vault.environment},
                 std::move(with)) {}
};

struct clients::cloudflare_connection {
    chain way;
    std::vector<std::string> where;
    std::string account_id;
    provider::cloudflare client;

    cloudflare_connection(const wiring& shared, request_trail& trail, const domain::cloudflare_account& account,
                          std::string id, secret key)
        : way(shared, trail, "cloudflare", "CloudflareAccount/" + account.name, api_concurrency, quotas_of(account)),
          where(place_of(account)), account_id(std::move(id)),
          client(way.top(), account.api_url, account_id, std::move(key), &shared.clock, shared.halt) {}
};

struct clients::heroku_connection {
    chain way;
    std::vector<std::string> where;
    provider::heroku client;

    heroku_connection(const wiring& shared, request_trail& trail, const domain::heroku_account& account, secret key)
        : way(shared, trail, "heroku", "HerokuAccount/" + account.name, api_concurrency), where(place_of(account)),
          client(way.top(), account.api_url, std::move(key), &shared.clock) {}
};

clients::clients(wiring shared)
    : shared_(std::move(shared)), edge_(std::make_unique<logged_transport>(shared_, trail_, "edge")) {}

clients::~clients() = default;

result<provider::infisical*> clients::open(const domain::infisical_vault& vault, const sources& from) {
    auto login = read_login(vault, from);
    if (login.has_error())
        return login.error();
    auto& at = vaults_[vault.name];
    if (at && at->where == place_of(vault))
        at->client.use(std::move(login.value()));
    else
        at = std::make_unique<vault_connection>(shared_, trail_, vault, std::move(login.value()));
    return &at->client;
}

result<provider::cloudflare*> clients::open(const domain::cloudflare_account& account, const sources& from) {
    auto id = from.read(account.account_id);
    if (id.has_error())
        return id.error();
    // It goes into every path, and paths are logged: what a source holds may be something else.
    if (std::holds_alternative<domain::value_source>(account.account_id) && !is_account_id(id.value()))
        return error{error_kind::credential,
                     describe(std::get<domain::value_source>(account.account_id)),
                     "it holds no Cloudflare account id, which has 32 hexadecimal digits; what it holds is not shown",
                     0,
                     {},
                     {}};
    auto key = from.read(account.api_token);
    if (key.has_error())
        return key.error();
    auto& at = cloudflare_[account.name];
    if (at && at->where == place_of(account) && at->account_id == id.value())
        at->client.use(std::move(key.value()));
    else
        at = std::make_unique<cloudflare_connection>(shared_, trail_, account, id.value(), std::move(key.value()));
    return &at->client;
}

result<provider::heroku*> clients::open(const domain::heroku_account& account, const sources& from) {
    auto key = from.read(account.api_key);
    if (key.has_error())
        return key.error();
    auto& at = heroku_[account.name];
    if (at && at->where == place_of(account))
        at->client.use(std::move(key.value()));
    else
        at = std::make_unique<heroku_connection>(shared_, trail_, account, std::move(key.value()));
    return &at->client;
}

std::set<std::string> clients::keep(const domain::desired& wanted) {
    drop_others(cloudflare_, wanted.cloudflare);
    drop_others(heroku_, wanted.heroku);
    return drop_others(vaults_, wanted.vaults);
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

std::map<std::string, std::int64_t> clients::budgets() const {
    std::map<std::string, std::int64_t> out;
    auto add = [&](std::string_view kind, const auto& connections) {
        for (const auto& [name, connection] : connections) {
            if (const auto left = connection->way.paced.remaining())
                out.emplace(std::string{kind} + "/" + name, *left);
        }
    };
    add("CloudflareAccount", cloudflare_);
    add("InfisicalVault", vaults_);
    add("HerokuAccount", heroku_);
    return out;
}

} // namespace postern::run
