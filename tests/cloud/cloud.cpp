#include "cloud/cloud.hpp"

#include <algorithm>
#include <cstdlib>
#include <iostream>

namespace postern::testcloud {

namespace {

std::string kind_of(const request& r) {
    if (r.to == service::infisical && r.path.find("/auth/") != std::string::npos)
        return "login";
    return r.reads() ? "read" : "write";
}

void earliest(std::optional<instant>& so_far, std::optional<instant> candidate) {
    if (candidate && (!so_far || *candidate < *so_far))
        so_far = candidate;
}

} // namespace

instant cloud::default_start() {
    return *parse_instant("2026-11-23T10:00:00Z");
}

cloud::cloud(std::uint64_t seed, instant start)
    : time(start), ids(seed), access(time, ids, ledger), vault(time, ids, ledger), platform(time, ids),
      network(time, ids, access), checks(time, ledger, access, vault, platform, network) {}

constinit cloud::taker cloud::when_refused = [](const std::string& complaint) {
    std::cerr << "consumers were refused:\n" << complaint;
    std::abort();
};

cloud::~cloud() {
    const auto complaint = checks.complaint();
    if (!complaint.empty())
        when_refused(complaint);
}

void cloud::broken_by_hand(const std::string& reason, const std::function<void()>& change) {
    auto and_seen = [&] {
        change();
        changed("by hand: " + reason);
    };
    checks.on_purpose(reason, and_seen);
}

void cloud::seed_example() {
    example.api_token = dice::secret("cfut_", 40);
    access.api_tokens.push_back({ids.hex(32), example.api_token, false, "active", std::nullopt, {"*"}});
    ledger.give(time.now(), "api token", "cloudflare", example.api_token);
    const json::array people{{{"email_domain", {{"domain", "raxx.app"}}}}};
    auto& console = access.add_application("Console", "console.raxx.app", "0b55d01b-592b-4da4-b170-02d48a9f550d");
    access.attach_policy(console, "people", "allow", people);
    auto& staging =
        access.add_application("Console Staging", "console-staging.raxx.app", "fbacf797-9708-40eb-8c70-0ab558e96988");
    access.attach_policy(staging, "people", "allow", people);
    auto& status = access.add_application("Status", "status.raxx.app");
    access.attach_policy(status, "people", "allow", people);
    const auto probe = access.mint("status-probe");
    const json::array probe_only{{{"service_token", {{"token_id", probe.id}}}}};
    access.attach_policy(status, "status-probe", "allow", probe_only);
    example.app_id = console.id;
    example.app_host = *console.domain;

    const auto& identity = vault.add_identity();
    example.client_id = identity.client_id;
    example.client_secret = identity.client_secrets.front();
    auto& folder = vault.folder(*vault.environment(example.environment), "/MooseQuest/cloudflare");
    vault.put(folder, "CLOUDFLARE_ACCESS_MGMT_TOKEN", example.api_token);
    vault.put(folder, "CF_ACCESS_SVC_STATUS", probe.client_id + ":" + probe.secret);

    example.heroku_key = dice::secret("HRKU-", 36);
    platform.keys.push_back({example.heroku_key, {"global"}, true});
    ledger.give(time.now(), "api key", "heroku", example.heroku_key);
    for (const auto* name : {"raxx-console-prod", "raxx-console-staging"}) {
        auto& app = platform.add_app(name);
        platform.set(app, "LOG_LEVEL", "info");
    }
    example.heroku_app = platform.apps.front().name;
    changed("seeding");
}

outcome cloud::serve(const request& r) {
    catch_up();
    entry line{time.now(), r.to, r.method, r.target, 0, fate::answer, kind_of(r), "", false, ""};
    outcome out;
    const auto met = trouble.meet(r);
    bool acts = true;
    for (const auto& f : met) {
        line.fault += line.fault.empty() ? f.name : " " + f.name;
        acts = acts && !stops_before_acting(f);
        if (f.what == fault_action::hook && !f.after && f.act)
            f.act();
    }
    if (acts) {
        const auto by = touched_by(r);
        out.answer = dispatch(r, false, line);
        if (!r.reads() && out.answer.status < 400 && r.to != service::edge)
            changed(std::string{to_string(r.to)} + " " + r.method + " " + r.target, by);
    }
    for (const auto& f : met) {
        apply_to(f, out);
        if (f.what == fault_action::hook && f.after && f.act)
            f.act();
    }
    if (!out.answer.header("Date"))
        out.answer.with("Date", http_date(time.now() + date_skew[r.to]));
    if (out.how == fate::hold)
        return out;
    line.status = acts || out.how == fate::answer ? out.answer.status : 0;
    line.how = out.how;
    ledger.enter(std::move(line));
    return out;
}

reply cloud::as_operator(service to, std::string method, std::string target, const json::value& body) {
    auto r = make_request(to, std::move(method), std::move(target), {}, body.is_null() ? "" : json::serialize(body));
    entry line{time.now(), to, r.method, r.target, 0, fate::answer, kind_of(r), "", true, ""};
    const auto by = touched_by(r);
    auto answer = dispatch(r, true, line);
    line.status = answer.status;
    ledger.enter(std::move(line));
    if (!r.reads() && answer.status < 400)
        changed("operator: " + std::string{to_string(to)} + " " + r.method + " " + r.target, by);
    return answer;
}

reply cloud::dispatch(const request& r, bool by_operator, entry& line) {
    switch (r.to) {
    case service::cloudflare:
        return access.serve(r, by_operator);
    case service::infisical:
        return vault.serve(r, by_operator);
    case service::heroku:
        return platform.serve(r, by_operator);
    case service::edge: {
        auto seen = network.serve(r);
        line.kind = seen.knock ? "knock" : "visit";
        line.note = "location " + std::to_string(seen.edge) + ": " + std::string{to_string(seen.judged.what)} +
                    ", token " + std::string{to_string(seen.judged.token)};
        return seen.answer;
    }
    case service::control:
        break;
    }
    return text_reply(404, "text/plain", "no such service");
}

void cloud::changed(const std::string& cause, const touched& by) {
    next_ending_.reset();
    if (by.how_far != touched::reach::nothing)
        network.record();
    checks.check(cause, by);
}

// A vault or Heroku request touches no token, one about a service token touches that token alone.
touched cloud::touched_by(const request& r) const {
    touched by;
    const auto& s = r.segments;
    if (r.to != service::cloudflare)
        by.how_far = touched::reach::nothing;
    else if (s.size() > 5 && s[5] == "service_tokens")
        by.how_far = touched::reach::tokens;
    if (by.how_far == touched::reach::tokens && s.size() > 6)
        if (const auto found = access.config.tokens.find(s[6]); found != access.config.tokens.end())
            by.client_ids.insert(found->second.client_id);
    return by;
}

// The tokens that end, or whose previous secret ends, at this instant; everything where some location learns of a
// change.
touched cloud::ended_now() const {
    const auto now = time.now();
    const auto arrival = network.next_arrival(now - duration{1});
    touched by;
    if (arrival == now)
        return by;
    by.how_far = touched::reach::tokens;
    for (const auto& [id, token] : access.config.tokens)
        if (token.expires_at == now || (token.previous_secret && token.previous_until == now))
            by.client_ids.insert(token.client_id);
    return by;
}

void cloud::advance(duration by) {
    if (time.flowing()) {
        time.shift(by);
        catch_up();
        return;
    }
    move_through(time.now() + by);
}

void cloud::advance_to(instant at) {
    advance(std::max(duration{}, at - time.now()));
}

void cloud::catch_up() {
    if (time.flowing())
        move_through(time.due());
}

void cloud::move_through(instant until) {
    for (auto next = next_event(); next && *next <= until; next = next_event()) {
        time.move_to(*next);
        time.run_timers();
        next_ending_.reset();
        checks.check("time passing", ended_now());
    }
    time.move_to(until);
}

std::optional<instant> cloud::next_event() const {
    const auto now = time.now();
    if (!next_ending_) {
        std::optional<instant> ending;
        for (const auto& [id, token] : access.config.tokens) {
            if (token.expires_at && *token.expires_at > now)
                earliest(ending, token.expires_at);
            if (token.previous_secret && token.previous_until > now)
                earliest(ending, token.previous_until);
        }
        next_ending_ = ending;
    }
    std::optional<instant> next = *next_ending_;
    earliest(next, time.next_timer());
    earliest(next, network.next_arrival(now));
    earliest(next, platform.next_restart_end(now));
    return next;
}

} // namespace postern::testcloud
