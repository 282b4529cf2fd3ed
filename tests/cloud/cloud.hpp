#pragma once

#include "cloud/books.hpp"
#include "cloud/checker.hpp"
#include "cloud/cloudflare.hpp"
#include "cloud/dice.hpp"
#include "cloud/edge.hpp"
#include "cloud/faults.hpp"
#include "cloud/heroku.hpp"
#include "cloud/infisical.hpp"
#include "cloud/virtual_time.hpp"

#include <cstdint>
#include <functional>
#include <map>
#include <string>

// The whole miniature cloud: the four services, their clock, the faults, the ledger and the checker, in one place and
// without a socket. Everything in it may be read and changed by a test at will; after a change by hand, call changed().
// serve() is what the servers call for each request; a test may call it too. One thread.
namespace postern::testcloud {

class cloud {
public:
    // `seed` fixes every id. Time stands still at `start` until it is moved, or flow() is called on `time`.
    explicit cloud(std::uint64_t seed = 1, instant start = default_start());
    static instant default_start();
    // Tells when_refused of the refusals that nobody excused.
    ~cloud();
    cloud(const cloud&) = delete;
    cloud& operator=(const cloud&) = delete;

    // What becomes of a program in which a cloud ends with refusals that nobody excused, told by the
    // checker's complaint. Without further ado it prints them and aborts; cloud/fail_on_refusal.cpp, linked with
    // doctest, fails the test case.
    using taker = void (*)(const std::string& complaint);
    static taker when_refused;

    virtual_time time;
    dice ids;
    books ledger;
    cloudflare access;
    infisical vault;
    heroku platform;
    edge network;
    faults trouble;
    checker checks;

    // How far each service's Date header is off.
    std::map<service, duration> date_skew;

    // What every example in the project's documents speaks of: two consoles and a status page, two Heroku apps, the
    // vault's folder, and a token "status-probe" that works nowhere because an `allow` policy admits it.
    void seed_example();

    // One request, through faults, service, checker and ledger.
    outcome serve(const request& r);
    // The same service asked by its operator: no authentication, no faults, no limits. Entered as such and checked.
    reply as_operator(service to, std::string method, std::string target, const json::value& body = nullptr);

    // To be called after a change by hand: edges learn of it, the checker looks.
    void changed(const std::string& cause = "a change by hand", const touched& by = {});
    // A person breaks something: changes it, and is the excuse for whoever is refused by that at once.
    void broken_by_hand(const std::string& reason, const std::function<void()>& change);
    // Moves time, stopping at every instant at which something falls due.
    void advance(duration by);
    void advance_to(instant at);
    // Where time flows: lets everything that has fallen due happen.
    void catch_up();

    // What seed_example() made, for tests and for the first line that the program prints.
    struct {
        std::string api_token;
        std::string client_id;
        std::string client_secret;
        std::string heroku_key;
        std::string app_id;
        std::string app_host;
        std::string heroku_app;
        std::string environment = "prod";
    } example;

private:
    reply dispatch(const request& r, bool by_operator, entry& line);
    touched touched_by(const request& r) const;
    touched ended_now() const;
    void move_through(instant until);
    std::optional<instant> next_event() const;

    // The next instant at which a token or a secret ends; worked out again after each change.
    mutable std::optional<std::optional<instant>> next_ending_;
};

} // namespace postern::testcloud
