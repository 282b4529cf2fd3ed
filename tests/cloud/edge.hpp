#pragma once

#include "cloud/access.hpp"
#include "cloud/cloudflare.hpp"
#include "cloud/dice.hpp"
#include "cloud/exchange.hpp"
#include "cloud/virtual_time.hpp"

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

// The network in front of the guarded hosts: a few edge locations, each of which learns of changes to tokens, policies
// and applications after a delay of its own and judges by what it knows; requests go to them in turn. The Host header
// says which host is meant. Behind it stands an origin that answers /health (and /) with 200, anything else with 404,
// unless a host was told to behave otherwise.
namespace postern::testcloud {

struct host_behaviour {
    bool outside_access = false; // served without Cloudflare: Access is never asked
    bool waf = false;            // 403 "error code: 1010" before Access is asked
    std::optional<int> failing;  // what the edge answers when its origin fails: 502, 521, 530, ...
    int status = 200;            // the origin's own answer to /health
    std::string body = "ok";
    std::vector<field> headers; // of the origin's own answer: Location, ...
};

struct edge_visit {
    reply answer;
    verdict judged;
    std::size_t edge = 0;
    bool knock = false; // no credentials were shown
};

class edge {
public:
    edge(virtual_time& time, dice& ids, cloudflare& api);

    edge_visit serve(const request& r);

    edge_switches switches;
    std::map<std::string, host_behaviour> hosts;  // by lower-case host name
    std::string refused_agents = "Python-urllib"; // User-Agents that begin so, and empty ones, meet the WAF

    // One location per delay; setting them keeps what every location knows now.
    void set_delays(std::vector<duration> delays);
    const std::vector<duration>& delays() const { return delays_; }
    std::size_t locations() const { return delays_.size(); }

    // What that location knows now.
    const access_config& known_at(std::size_t location) const;
    // Whether all locations know the present state.
    bool settled() const;
    // To be called after each change of the configuration.
    void record();
    // When, after `after`, some location next learns of a change.
    std::optional<instant> next_arrival(instant after) const;

private:
    struct snapshot {
        instant at{};
        std::shared_ptr<const access_config> config;
    };

    reply origin_answer(const std::string& host, const std::string& path) const;
    reply refuse(const request& r, const visit& v, const verdict& judged, const access_config& config);
    std::string session_cookie(const std::string& aud);
    visit read_visit(const request& r, const access_config& config) const;
    void note(const visit& v, const verdict& judged, const std::string& ray);

    virtual_time& time_;
    dice& ids_;
    cloudflare& api_;
    std::vector<duration> delays_{duration{}, duration{}, duration{}};
    std::deque<snapshot> history_; // empty while no location lags
    std::size_t next_location_ = 0;
    std::map<std::string, std::pair<std::string, instant>> sessions_; // cookie → aud, end
};

} // namespace postern::testcloud
