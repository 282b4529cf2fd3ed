#pragma once

#include "cloud/dice.hpp"
#include "cloud/exchange.hpp"
#include "cloud/virtual_time.hpp"

#include <deque>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

// The part of Heroku's Platform API v3 that concerns config vars: account, apps, config vars, releases with their
// snapshots, rollback, ranges, the rate limit. A PATCH merges, makes a release and restarts the app; under a release
// phase it answers the old values with a warning and the new ones count only once the release has succeeded.
namespace postern::testcloud {

using config_map = std::map<std::string, std::string>;

struct release {
    std::string id;
    std::int64_t version = 1;
    std::string status = "succeeded"; // pending, succeeded, failed, expired
    std::string description;
    std::string user_email;
    std::map<std::string, std::optional<std::string>> changes; // what it sets, and what it removes
    config_map config;                                         // the snapshot, once it is known
    instant created_at{};
    instant updated_at{};
    instant finishes_at{}; // of its release phase, while pending
};

struct release_phase {
    bool present = false;
    duration takes = std::chrono::seconds{30};
    bool fails = false;
    bool stuck = false; // never ends
};

struct heroku_app {
    std::string id;
    std::string name;
    config_map config; // what the current release runs with
    std::deque<release> releases;
    release_phase phase;
    bool locked = false;                   // 403 to everybody
    bool gone = false;                     // 404, as if deleted
    bool two_factor = false;               // 403 two_factor
    std::set<std::string> attachment_keys; // owned by an add-on: cannot be written
    std::set<std::string> masked_keys;     // read as null
    bool maintenance = false;
    std::int64_t restarts = 0;
    instant created_at{};
    instant updated_at{};
    instant released_at{};
    // What dynos of the former release still run with, until that instant (see restart_lag).
    config_map before_restart;
    instant before_restart_until{};
};

struct heroku_key {
    std::string value;
    std::set<std::string> scopes{"global"}; // read and write exclude config vars; *-protected include them
    bool valid = true;
};

struct heroku_switches {
    bool noop_creates_release = true;
    bool if_match = false;       // honour If-Match on config vars
    bool enforce_limits = false; // 4500 calls, refilled at 75 a minute, one bucket for the account
    double bucket = 4500;
    double refill_per_minute = 75;
    std::size_t page = 200;        // of lists without max
    duration restart_lag{};        // how long old dynos go on after a release
    bool mask_by_omission = false; // a masked var is left out instead of null
};

class heroku {
public:
    heroku(virtual_time& time, dice& ids);

    reply serve(const request& r, bool by_operator = false);

    std::string account_id;
    std::string account_email = "postern@raxx.app";
    std::vector<heroku_key> keys;
    std::deque<heroku_app> apps; // references stay good while apps are added
    heroku_switches switches;

    heroku_app& add_app(std::string name);
    heroku_app* find(std::string_view id_or_name);
    // A config change by somebody else, with its release.
    void set(heroku_app& app, const std::string& key, std::optional<std::string> value);
    std::optional<instant> next_restart_end(instant after) const;

private:
    reply route(const request& r, bool by_operator);
    std::optional<reply> refuse_caller(const request& r, bool& reads_vars, bool& writes_vars);
    std::optional<reply> throttle(reply& headers_into);
    reply app_routes(const request& r, heroku_app& app, std::span<const std::string> rest, bool writes_vars);
    reply patch_vars(const request& r, heroku_app& app);
    reply release_routes(const request& r, heroku_app& app, std::span<const std::string> rest);
    reply roll_back(heroku_app& app, const json::object& body);
    release& add_release(heroku_app& app, std::string description,
                         std::map<std::string, std::optional<std::string>> changes);
    void finish_release(const std::string& app_id, std::int64_t version);
    void go_live(heroku_app& app, release& made);
    reply ranged(const request& r, std::vector<json::object> items, std::string_view property) const;
    json::object app_json(const heroku_app& app, bool sdk) const;
    json::object release_json(const heroku_app& app, const release& made) const;
    json::object vars_json(const heroku_app& app, const config_map& config) const;
    json::object account_json() const;

    virtual_time& time_;
    dice& ids_;
    double tokens_ = 4500;
    instant refilled_at_{};
};

// What the variables are after those changes: a value sets, nothing removes.
config_map merged(config_map into, const std::map<std::string, std::optional<std::string>>& changes);
// RFC 3339 in whole seconds.
std::string heroku_stamp(instant at);
// {"id","message"}
reply heroku_failure(int status, std::string_view id, std::string_view message);

} // namespace postern::testcloud
