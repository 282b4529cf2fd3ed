#include "bench/witness.hpp"

#include <algorithm>
#include <utility>

namespace postern::bench {

namespace {

constexpr duration longest_kept = std::chrono::hours{24};
constexpr duration busy_time = std::chrono::hours{1}; // after a change, and before the next one

std::uint64_t knocks_in(duration span) {
    const auto busy = std::min<duration>(span, 2 * busy_time);
    return static_cast<std::uint64_t>(busy / std::chrono::minutes{1} + (span - busy) / std::chrono::hours{1});
}

} // namespace

witness::witness(const model::remotes& world, tally& done, dice& chance,
                 std::function<void(instant, std::function<void()>)> at)
    : world_(world), done_(done), chance_(chance), at_(std::move(at)) {}

void witness::add(consumer c) {
    auto [there, is_new] = consumers_.try_emplace(c.name, c);
    there->second.present = true;
    if (is_new)
        return;
    auto& known = there->second.sites;
    std::erase_if(known, [&](const auto& site) { return !c.sites.contains(site.first); });
    for (const auto& [site, armed] : c.sites)
        known.try_emplace(site, false);
}

void witness::follow(const domain::desired& wanted, instant now) {
    for (auto& [name, c] : consumers_)
        c.present = false;
    std::map<std::string, std::map<std::string, bool>> sites;
    for (const auto& b : wanted.bindings) {
        for (const auto& token : b.tokens) {
            for (const auto& ref : b.applications)
                sites[token][ref.text] = true;
        }
    }
    for (const auto& t : wanted.tokens) {
        const auto& at = sites[t.name];
        add({"who reads " + t.key + " at each use", t.name, habit::reads, {}, t.key, at, {}, {}, {}, {}});
        add({"who keeps " + t.key + " for a day", t.name, habit::keeps, {}, t.key, at, {}, {}, {}, {}});
    }
    for (const auto& b : wanted.heroku_bindings) {
        const auto& at = sites[b.token];
        for (const auto& app : b.apps) {
            const auto& var = b.config_var;
            add({"next dyno of " + app + " with " + var, b.token, habit::starts, app, var, at, {}, {}, {}, {}});
            add({"dyno of " + app + " with " + var, b.token, habit::runs, app, var, at, {}, {}, {}, {}});
            add({"lasting dyno of " + app + " with " + var, b.token, habit::lasts, app, var, at, {}, {}, {}, {}});
        }
    }
    std::erase_if(consumers_, [](const auto& entry) { return !entry.second.present; });
    ask_all(now);
}

const std::string* witness::source(const consumer& c) const {
    const std::map<std::string, std::string>* values = &world_.creds;
    if (!c.app.empty()) {
        auto app = world_.apps.find(c.app);
        if (app == world_.apps.end())
            return nullptr;
        values = c.has == habit::starts ? &app->second.vars : &app->second.runs;
    }
    auto at = values->find(c.slot);
    return at == values->end() ? nullptr : &at->second;
}

void witness::look(consumer& c, instant now) {
    const auto* value = source(c);
    const bool keeps = c.has == habit::keeps || c.has == habit::lasts;
    if (value != nullptr && *value == c.holds)
        return;
    if (!keeps || c.holds.empty() || (c.reads_again && *c.reads_again <= now)) {
        if (!c.holds.empty())
            last_uses_.emplace_back(model::client_id_of(c.holds), now);
        c.holds = value == nullptr ? std::string{} : *value;
        c.holds_since = now;
        c.reads_again.reset();
        return;
    }
    if (c.reads_again)
        return;
    c.reads_again = now + (chance_.one_in(4) ? longest_kept : chance_.between(duration{}, longest_kept));
    at_(*c.reads_again, [this, name = c.name, when = *c.reads_again] {
        auto found = consumers_.find(name);
        if (found == consumers_.end())
            return;
        look(found->second, when);
        ask(found->second, when);
    });
}

void witness::ask(consumer& c, instant now) {
    if (c.asked)
        done_.stood_for += c.sites.size() * knocks_in(now - *c.asked);
    c.asked.reset();
    if (c.holds.empty())
        return;
    c.asked = now;
    for (auto& [site, was_let_in] : c.sites) {
        auto at = std::find_if(world_.applications.begin(), world_.applications.end(),
                               [&](const auto& g) { return g.seen.id == site; });
        ++done_.asked;
        const bool passes = at != world_.applications.end() && model::passes(world_, *at, c.holds, now);
        if (!passes && was_let_in && !refusal_) {
            const bool lives = model::lives(world_, c.holds, now);
            refusal_ = format_instant(now) + "  " + c.name + " holds " + c.holds + " since " +
                       format_instant(c.holds_since) + ", and " + site +
                       " refuses it: " + (lives ? "no policy at the edge admits it" : "it is dead");
            refused_token_ = c.token;
        }
        was_let_in = was_let_in || passes;
    }
}

template<class Which>
void witness::ask_those(instant now, Which which) {
    for (auto& [name, c] : consumers_) {
        if (which(c)) {
            look(c, now);
            ask(c, now);
        }
    }
}

void witness::key_changed(const std::string& key, instant now) {
    ask_those(now, [&](const consumer& c) { return c.app.empty() && c.slot == key; });
}

void witness::app_changed(const std::string& app, instant now) {
    ask_those(now, [&](const consumer& c) { return c.app == app; });
}

void witness::site_changed(const std::string& application, instant now) {
    ask_those(now, [&](const consumer& c) { return c.sites.contains(application); });
}

void witness::token_changed(const std::string& client_id, instant now) {
    ask_those(now, [&](const consumer& c) {
        return c.holds.starts_with(client_id) && c.holds.size() > client_id.size() && c.holds[client_id.size()] == ':';
    });
}

void witness::ask_all(instant now) {
    ask_those(now, [](const consumer&) { return true; });
}

void witness::use_tokens(model::remotes& world, instant now) {
    std::map<std::string, instant> used;
    for (const auto& [client_id, when] : std::exchange(last_uses_, {}))
        used[client_id] = std::max(used[client_id], when);
    for (const auto& [name, c] : consumers_) {
        if (!c.holds.empty())
            used[model::client_id_of(c.holds)] = now;
    }
    for (auto& t : world.tokens) {
        auto at = used.find(t.seen.client_id);
        if (at != used.end() && (!t.seen.last_seen_at || *t.seen.last_seen_at < at->second))
            t.seen.last_seen_at = at->second;
    }
}

} // namespace postern::bench
