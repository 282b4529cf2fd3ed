#pragma once

#include "domain/desired.hpp"
#include "provider/cloudflare.hpp"
#include "provider/heroku.hpp"
#include "provider/infisical.hpp"
#include "run/request_trail.hpp"
#include "run/sources.hpp"
#include "run/wiring.hpp"

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>

// The provider objects of the documents' connections, each behind its own retries and budget, made when its sources can
// first be read and kept for as long as its document says the same place: pools, logins and budgets outlive a pass,
// keys do not.
namespace postern::run {

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

    // Drops every connection whose document is gone or says another place, and returns the vaults among them. Not while
    // anything is asked through them.
    std::set<std::string> keep(const domain::desired& wanted);

    // As opened last; nullptr where that never came off.
    provider::infisical* vault(const std::string& name);
    provider::cloudflare* cloudflare(const std::string& account);
    provider::heroku* heroku(const std::string& account);
    // Cloudflare's own id of the account, as opened last.
    std::string account_id(const std::string& account) const;

    // For knocking at protected hosts: nothing is ever retried there.
    net::transport& edge();
    const std::optional<std::string>& connect_to() const;

    // The ids of what is asked through any of these.
    request_trail& trail() { return trail_; }

    // How many requests each account has left ("CloudflareAccount/raxx"), where its remote told.
    std::map<std::string, std::int64_t> budgets() const;

private:
    struct vault_connection;
    struct cloudflare_connection;
    struct heroku_connection;

    wiring shared_;
    request_trail trail_;
    std::unique_ptr<net::transport> edge_;
    std::map<std::string, std::unique_ptr<vault_connection>> vaults_;
    std::map<std::string, std::unique_ptr<cloudflare_connection>> cloudflare_;
    std::map<std::string, std::unique_ptr<heroku_connection>> heroku_;
};

} // namespace postern::run
