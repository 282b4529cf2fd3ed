#include "cloud/checker.hpp"

#include <algorithm>
#include <stdexcept>

namespace postern::testcloud {

namespace {

std::optional<credential> parse_pair(const std::string& value) {
    const auto colon = value.find(':');
    if (colon == std::string::npos || colon == 0 || colon + 1 == value.size())
        return std::nullopt;
    return credential{value.substr(0, colon), value.substr(colon + 1)};
}

std::string value_of(const config_map& config, const std::string& key) {
    const auto found = config.find(key);
    return found == config.end() ? std::string{} : found->second;
}

} // namespace

checker::checker(virtual_time& time, books& ledger, cloudflare& access, infisical& vault, heroku& apps, edge& locations)
    : time_(time), ledger_(ledger), access_(access), vault_(vault), apps_(apps), edge_(locations) {}

void checker::expect(const std::string& consumer_name, const std::string& place) {
    auto& who = consumers_[consumer_name];
    who.name = consumer_name;
    who.hosts.insert(place);
}

void checker::excuse_from_now_on(excuse e) {
    if (e.reason.empty())
        throw std::logic_error("an excuse for a refusal needs a reason");
    if (e.consumer.empty() && e.place.empty() && e.client_id.empty())
        throw std::logic_error("an excuse names a consumer, a place or a client id; what one change by hand breaks is "
                               "excused by on_purpose()");
    excuses_.push_back(std::move(e));
}

void checker::on_purpose(const std::string& reason, const std::function<void()>& change) {
    if (reason.empty())
        throw std::logic_error("an excuse for a refusal needs a reason");
    on_purpose_ = true;
    try {
        change();
    } catch (...) {
        on_purpose_ = false;
        throw;
    }
    on_purpose_ = false;
}

void checker::meant(std::size_t count, const std::string& reason) {
    const auto there = refusals().size();
    if (reason.empty() || there != count)
        throw std::logic_error("the test meant " + std::to_string(count) + " refusals (" + reason + "), not these " +
                               std::to_string(there) + ":\n" + complaint());
    for (auto& r : refusals_)
        r.excused = true;
}

void checker::check(const std::string& cause, const touched& by) {
    if (!enabled)
        return;
    const bool everything = by.how_far == touched::reach::everything;
    if (everything)
        learn_places();
    auto held = look();
    auto concerned = [&](const consumer& who, const std::vector<std::optional<credential>>& values) {
        return everything || who.held != values || std::any_of(values.begin(), values.end(), [&](const auto& v) {
                   return v && by.client_ids.contains(v->client_id);
               });
    };
    for (auto& [name, values] : held) {
        auto& who = consumers_[name];
        if (!concerned(who, values))
            continue;
        who.name = name;
        who.held = std::move(values);
        for (const auto& value : who.held)
            if (value)
                admit(*value, who);
        ask(who, cause);
    }
    for (auto& [name, who] : consumers_) {
        if (held.contains(name))
            continue;
        who.held.clear();
        for (const auto& [place, index] : who.broken)
            refusals_[index].until = time_.now();
        who.broken.clear();
    }
}

checker::holdings checker::look() {
    holdings out;
    for (const auto& app : apps_.apps) {
        if (app.gone)
            continue;
        register_pairs(app, app.config);
        look_at_heroku(app, app.config, out);
        if (time_.now() < app.before_restart_until)
            look_at_heroku(app, app.before_restart, out);
    }
    look_at_vault(out);
    return out;
}

void checker::register_pairs(const heroku_app& app, const config_map& config) {
    for (const auto& [id_var, client_id] : config) {
        if (!ledger_.ever_client_id(client_id))
            continue;
        for (const auto& [secret_var, value] : config)
            if (ledger_.ever_a_credential(client_id, value))
                pairs_[app.id].insert({id_var, secret_var});
    }
}

void checker::look_at_heroku(const heroku_app& app, const config_map& config, holdings& out) {
    const std::string prefix = "heroku:" + app.name + "/";
    for (const auto& [key, value] : config) {
        const auto pair = parse_pair(value);
        const bool known = pair && ledger_.ever_a_credential(pair->client_id, pair->secret);
        if (!value.empty() && (known || consumers_.contains(prefix + key)))
            out[prefix + key].push_back(pair);
    }
    const auto found = pairs_.find(app.id);
    if (found == pairs_.end())
        return;
    for (const auto& [id_var, secret_var] : found->second) {
        const auto client_id = value_of(config, id_var);
        const auto secret_text = value_of(config, secret_var);
        if (client_id.empty() || secret_text.empty())
            continue;
        out[prefix + id_var + "+" + secret_var].push_back(credential{client_id, secret_text});
    }
}

bool checker::own_folder(const std::string& path, const vault_folder& f) const {
    if (f.secrets.contains("postern"))
        return true;
    return std::any_of(own_folders.begin(), own_folders.end(),
                       [&](const auto& own) { return path == own || path.starts_with(own + "/"); });
}

void checker::look_at_vault(holdings& out) {
    for (const auto& env : vault_.environments)
        for (const auto& [path, f] : env.folders) {
            if (own_folder(path, f))
                continue;
            const std::string prefix = "vault:" + env.slug + ":" + (path == "/" ? "" : path) + "/";
            for (auto row = f.secrets.begin(); row != f.secrets.end(); row = f.secrets.upper_bound(row->first)) {
                const auto& value = row->second.value;
                const auto pair = parse_pair(value);
                const bool known = pair && ledger_.ever_a_credential(pair->client_id, pair->secret);
                if (!value.empty() && (known || consumers_.contains(prefix + row->first)))
                    out[prefix + row->first].push_back(pair);
            }
        }
}

void checker::learn_places() {
    places_by_token_.clear();
    for (const auto& [id, app] : access_.config.apps) {
        const auto named = tokens_named_by(access_.config, app);
        if (named.empty())
            continue;
        for (const auto& place : app.places()) {
            if (place.find('*') != std::string::npos)
                continue;
            for (const auto& token_id : named)
                places_by_token_[token_id].insert(place);
        }
    }
}

const application* checker::guard(const access_config& config, const std::string& place) {
    const auto slash = place.find('/');
    const auto host = place.substr(0, slash);
    const auto path = slash == std::string::npos ? std::string{"/"} : place.substr(slash);
    if (&config != &access_.config)
        return guard_of(config, host, path);
    if (guards_generation_ != config.places_generation) {
        guards_.clear();
        guards_generation_ = config.places_generation;
    }
    auto known = guards_.find(place);
    if (known == guards_.end()) {
        const auto* app = guard_of(config, host, path);
        known = guards_.emplace(place, app == nullptr ? "" : app->id).first;
    }
    const auto found = config.apps.find(known->second);
    return found == config.apps.end() ? nullptr : &found->second;
}

verdict checker::judge_place(std::size_t location, const std::string& place, const std::optional<credential>& shown) {
    const auto slash = place.find('/');
    visit v;
    v.host = place.substr(0, slash);
    v.path = slash == std::string::npos ? "/" : place.substr(slash);
    v.shown = shown;
    const auto& config = edge_.known_at(location);
    return judge_by(config, guard(config, place), v, time_.now(), edge_.switches);
}

void checker::admit(const credential& held, consumer& who) {
    const auto* token = access_.config.token_by_client_id(held.client_id);
    if (token == nullptr)
        return;
    for (const auto& key : {token->id, std::string{"*"}}) {
        const auto found = places_by_token_.find(key);
        if (found == places_by_token_.end())
            continue;
        for (const auto& place : found->second) {
            bool everywhere = !who.hosts.contains(place);
            for (std::size_t location = 0; location < edge_.locations() && everywhere; ++location)
                everywhere = judge_place(location, place, held).what == ruling::admitted;
            if (everywhere)
                who.hosts.insert(place);
        }
    }
}

void checker::ask(consumer& who, const std::string& cause) {
    for (const auto& place : who.hosts) {
        auto found = refused(who.held, place);
        const auto open = who.broken.find(place);
        if (open != who.broken.end() && !found) {
            refusals_[open->second].until = time_.now();
            who.broken.erase(open);
        }
        if (!found || open != who.broken.end())
            continue;
        found->consumer = who.name;
        found->cause = cause;
        found->excused = excused(*found);
        who.broken[place] = refusals_.size();
        refusals_.push_back(std::move(*found));
    }
}

std::optional<refusal> checker::refused(const std::vector<std::optional<credential>>& held, const std::string& place) {
    // Where all locations know the same, one speaks for all.
    const std::size_t asked = edge_.settled() ? 1 : edge_.locations();
    for (const auto& value : held) {
        std::size_t refusing = 0;
        verdict worst;
        for (std::size_t location = 0; location < asked; ++location) {
            const auto judged = judge_place(location, place, value);
            if (judged.passes())
                continue;
            ++refusing;
            worst = judged;
        }
        if (refusing == 0 || (only_everywhere && refusing < asked))
            continue;
        refusal r;
        r.at = time_.now();
        r.place = place;
        r.client_id = value ? value->client_id : "";
        r.why = worst.token == token_state::valid ? "not admitted" : std::string{to_string(worst.token)};
        if (!value)
            r.why = "not a credential";
        r.locations = asked == 1 ? edge_.locations() : refusing;
        return r;
    }
    return std::nullopt;
}

bool checker::excused(const refusal& r) const {
    if (on_purpose_)
        return true;
    auto fits = [](const std::string& wanted, const std::string& is) { return wanted.empty() || wanted == is; };
    return std::any_of(excuses_.begin(), excuses_.end(), [&](const excuse& e) {
        return fits(e.consumer, r.consumer) && fits(e.place, r.place) && fits(e.client_id, r.client_id);
    });
}

std::vector<refusal> checker::refusals() const {
    std::vector<refusal> out;
    std::copy_if(refusals_.begin(), refusals_.end(), std::back_inserter(out),
                 [](const refusal& r) { return !r.excused; });
    return out;
}

std::string checker::complaint() const {
    std::string out;
    for (const auto& r : refusals())
        out += format_instant(r.at) + " " + r.consumer + " was refused at " + r.place + " with " +
               (r.client_id.empty() ? "what is no credential" : "client id " + r.client_id) + ": " + r.why + " by " +
               r.cause + (r.until ? ", until " + format_instant(*r.until) : ", to the end") + "\n";
    return out;
}

json::object to_json(const refusal& r) {
    json::object out{{"at", format_instant(r.at)}, {"consumer", r.consumer}, {"place", r.place},
                     {"clientId", r.client_id},    {"why", r.why},           {"cause", r.cause},
                     {"locations", r.locations},   {"excused", r.excused}};
    if (r.until)
        out["until"] = format_instant(*r.until);
    return out;
}

} // namespace postern::testcloud
