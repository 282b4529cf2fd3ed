#pragma once

#include "domain/desired.hpp"
#include "net/clock.hpp"
#include "net/transport.hpp"
#include "provider/cloudflare.hpp"
#include "provider/heroku.hpp"
#include "provider/infisical.hpp"
#include "run/log.hpp"
#include "run/sources.hpp"

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

// The provider objects of the documents' connections, each behind its own retries and budget, made when its sources can
// first be read and kept for the life of the process: pools, logins and budgets outlive a pass, keys do not.
namespace postern::run {

// What all clients share. Everything outlives them.
struct wiring {
    net::transport& wire;
    net::clock& clock;
    log& diagnostics;
    duration request_timeout = std::chrono::seconds{30};
    std::function<double()> random;        // in [0, 1): for the jitter of retries
    std::optional<std::string> connect_to; // smoke tests go there
};

class clients {
public:
    explicit clients(wiring shared);
    ~clients();
    clients(const clients&) = delete;
    clients& operator=(const clients&) = delete;

    // The client, with the keys as the sources have them now; or why a source could not be read.
    result<provider::infisical*> open(const domain::infisical_vault& vault, const sources& from);
    result<provider::cloudflare*> open(const domain::cloudflare_account& account, const sources& from);
    result<provider::heroku*> open(const domain::heroku_account& account, const sources& from);

    // As opened last; nullptr where that never came off.
    provider::infisical* vault(const std::string& name);
    provider::cloudflare* cloudflare(const std::string& account);
    provider::heroku* heroku(const std::string& account);
    // Cloudflare's own id of the account, as opened last.
    std::string account_id(const std::string& account) const;

    // For knocking at protected hosts: nothing is ever retried there.
    net::transport& edge();
    const std::optional<std::string>& connect_to() const;

private:
    struct vault_connection;
    struct cloudflare_connection;
    struct heroku_connection;

    wiring shared_;
    std::unique_ptr<net::transport> edge_;
    std::map<std::string, std::unique_ptr<vault_connection>> vaults_;
    std::map<std::string, std::unique_ptr<cloudflare_connection>> cloudflare_;
    std::map<std::string, std::unique_ptr<heroku_connection>> heroku_;
};

} // namespace postern::run
