#pragma once

#include "cloud/exchange.hpp"

#include <map>
#include <set>
#include <string>
#include <vector>

// The ledger: every request that came in and what became of it, and every secret that was ever given out, so that a
// test can search whatever it finds (logs, plans, records, disks) for leaks. Nothing is ever taken out of it except by
// forget_requests(). Requests made as the operator (seeding, foreign edits) are entered with `by_operator`.
namespace postern::testcloud {

struct entry {
    instant at{};
    service to = service::control;
    std::string method;
    std::string target;
    int status = 0; // what the service answered; 0 where it was never asked
    fate how = fate::answer;
    std::string kind;  // read, write, login, knock (a visit without credentials), visit
    std::string fault; // the name of the fault that met it
    bool by_operator = false;
    std::string note; // the edge's verdict
};

struct given_secret {
    instant at{};
    std::string kind; // client secret, api token, vault token, ...
    std::string owner;
    std::string value;
};

class books {
public:
    void enter(entry e) { requests_.push_back(std::move(e)); }
    void give(instant at, std::string kind, std::string owner, std::string value);
    // Notes that `secret` is or was a secret of that client id.
    void give_client_secret(instant at, std::string client_id, std::string secret);

    const std::vector<entry>& requests() const { return requests_; }
    const std::vector<given_secret>& secrets() const { return secrets_; }
    bool ever_client_id(const std::string& client_id) const { return pairs_.contains(client_id); }
    bool ever_a_credential(const std::string& client_id, const std::string& secret) const;

    // The names of the secrets (kind and owner) whose value occurs in `text`.
    std::vector<std::string> leaks_in(std::string_view text) const;
    // Requests by "service METHOD", "service kind" and "service status N".
    std::map<std::string, std::size_t> counts() const;
    void forget_requests() { requests_.clear(); }

private:
    std::vector<entry> requests_;
    std::vector<given_secret> secrets_;
    std::map<std::string, std::set<std::string>> pairs_;
};

json::object to_json(const entry& e);

} // namespace postern::testcloud
