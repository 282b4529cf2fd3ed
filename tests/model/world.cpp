#include "model/world.hpp"

#include "domain/reason.hpp"

#include <algorithm>
#include <utility>

namespace postern::model {

namespace {

constexpr std::size_t releases_kept = 4;
constexpr duration longest_lag = std::chrono::minutes{2};

void policies_changed(guarded& g, instant now, manner how) {
    if (how == manner::edge_lags)
        g.lags_until = now + longest_lag;
    else if (!g.lags_until)
        catch_up(g);
}

guarded* find_application(remotes& r, const std::string& id) {
    auto at =
        std::find_if(r.applications.begin(), r.applications.end(), [&](const auto& g) { return g.seen.id == id; });
    return at == r.applications.end() ? nullptr : &*at;
}

bool is_referenced(const remotes& r, const std::string& id) {
    return std::any_of(r.applications.begin(), r.applications.end(), [&](const guarded& g) {
        return std::any_of(g.seen.policies.begin(), g.seen.policies.end(),
                           [&](const auto& p) { return includes(p, id); });
    });
}

void extend(token& t, const std::string& lasts, instant now) {
    t.seen.duration = lasts;
    auto length = parse_duration(lasts);
    t.seen.expires_at = length.has_value() ? std::optional{now + length.value()} : std::nullopt;
}

struct lander {
    remotes& r;
    const request& q;
    instant now;
    manner how;

    outcome operator()(const steps::initialise&) const {
        if (r.initialised)
            return failing(trouble_of(error_kind::conflict, "another process has written it"));
        r.initialised = true;
        r.installation = q.installation;
        return {};
    }

    outcome operator()(const steps::write_record& s) const {
        bool there = r.records.contains(s.token) || r.clobbered.contains(s.token);
        if (there != s.exists)
            return failing(trouble_of(error_kind::conflict, there ? "it exists" : "it does not exist"));
        r.clobbered.erase(s.token);
        r.records[s.token] = s.value;
        const auto& before = s.value.previous;
        if (before && !before->fingerprint.empty() && s.value.reason != reason::compromised)
            r.promises[before->fingerprint] = s.value.previous_until.value_or(instant::max());
        return {};
    }

    outcome operator()(const steps::mint& s) const {
        token t;
        auto number = "t" + std::to_string(r.next_token++);
        t.seen.id = number;
        t.seen.client_id = number + ".access";
        t.seen.name = s.name;
        t.seen.created_at = now;
        t.spec = s.token;
        extend(t, s.duration, now);
        r.tokens.push_back(t);
        outcome out;
        out.token = t.seen;
        out.fingerprint = credential_of(t, t.version);
        return out;
    }

    outcome operator()(const steps::rotate& s) const {
        auto* t = find_token(r, s.token_id);
        if (t == nullptr)
            return failing(trouble_of(error_kind::refused, "there is no such token"));
        t->before = t->version++;
        t->before_until = s.cut_off;
        outcome out;
        out.token = t->seen;
        out.fingerprint = credential_of(*t, t->version);
        return out;
    }

    outcome operator()(const steps::hold& s) const {
        r.held.emplace(s.token + "." + s.nonce, s.fingerprint);
        return {};
    }

    outcome operator()(const steps::create_policy& s) const {
        auto* g = find_application(r, s.application);
        live_policy p;
        p.id = "policy-" + std::to_string(r.next_policy++);
        p.name = s.name;
        p.decides = decision::non_identity;
        p.precedence = s.precedence;
        p.created_at = now;
        for (const auto& id : s.tokens) {
            if (find_token(r, id) == nullptr)
                return failing(trouble_of(error_kind::refused, "there is no token " + id));
            p.include.push_back({rule::kind::service_token, id, {}});
        }
        set_version(p);
        g->seen.policies.push_back(p);
        policies_changed(*g, now, how);
        outcome out;
        out.policy = p;
        return out;
    }

    outcome operator()(const steps::edit_policy& s) const {
        auto* g = find_application(r, s.application);
        auto* p = find_policy(*g, s.policy);
        if (p == nullptr)
            return failing(trouble_of(error_kind::refused, "there is no such policy"));
        for (const auto& m : q.put->include) {
            if (m.is == rule::kind::service_token && find_token(r, m.id) == nullptr)
                return failing(trouble_of(error_kind::refused, "there is no token " + m.id));
        }
        *p = *q.put;
        policies_changed(*g, now, how);
        outcome out;
        out.policy = *p;
        return out;
    }

    outcome operator()(const steps::delete_policy& s) const {
        auto* g = find_application(r, s.application);
        std::erase_if(g->seen.policies, [&](const auto& p) { return p.id == s.policy; });
        policies_changed(*g, now, how);
        return {};
    }

    outcome operator()(const steps::write_credential& s) const {
        (s.path == state_path ? r.held : r.creds)[s.key] = s.fingerprint;
        return {};
    }

    outcome operator()(const steps::update_token& s) const {
        auto* t = find_token(r, s.token_id);
        if (t == nullptr)
            return failing(trouble_of(error_kind::refused, "there is no such token"));
        if (s.name)
            t->seen.name = *s.name;
        if (s.enabled) {
            t->seen.enabled = *s.enabled;
            t->maimed = false;
        }
        if (s.duration)
            extend(*t, *s.duration, now);
        if (s.previous_expires_at && t->before != 0)
            t->before_until = *s.previous_expires_at;
        outcome out;
        out.token = t->seen;
        return out;
    }

    outcome operator()(const steps::delete_token& s) const {
        if (is_referenced(r, s.token_id)) {
            auto why = trouble_of(error_kind::refused, "the service token is in use");
            why.code = "12139";
            return failing(why);
        }
        std::erase_if(r.tokens, [&](const auto& t) { return t.seen.id == s.token_id; });
        return {};
    }

    outcome operator()(const steps::deliver& s) const {
        auto& app = r.apps.at(s.app);
        if (s.fingerprint.empty())
            app.vars.erase(s.config_var);
        else
            app.vars[s.config_var] = s.fingerprint;
        int version = app.releases.empty() ? 1 : app.releases.front().version + 1;
        bool pends = how == manner::release_pends;
        app.releases.insert(app.releases.begin(),
                            {version, pends ? "pending" : "succeeded", "Set " + s.config_var + " config vars"});
        if (app.releases.size() > releases_kept)
            app.releases.pop_back();
        if (!pends)
            end_release(app);
        outcome out;
        out.released = !pends;
        auto seen = view_of(s.fingerprint);
        out.value = app_value{s.fingerprint.empty(), seen.fingerprint, seen.client_id};
        return out;
    }

    outcome operator()(const steps::delete_key& s) const {
        if (s.path == creds_path) {
            r.creds.erase(s.key);
        } else if (s.key.find('.') != std::string::npos) {
            r.held.erase(s.key);
        } else {
            r.records.erase(s.key);
        }
        return {};
    }

    // Steps that only look never come here.
    template<class Look>
    outcome operator()(const Look&) const {
        return failing(trouble_of(error_kind::bug, "a look does not land"));
    }
};

} // namespace

outcome land(remotes& r, const request& q, instant now, manner how) {
    return std::visit(lander{r, q, now, how}, q.what);
}

std::string client_id_of(const std::string& credential) {
    auto colon = credential.find(':');
    return colon == std::string::npos ? std::string{} : credential.substr(0, colon);
}

std::string credential_of(const token& t, int version) {
    return t.seen.client_id + ":" + std::to_string(version);
}

vault_value view_of(const std::string& credential) {
    return {credential, client_id_of(credential), false, false};
}

const token* find_token(const remotes& r, const std::string& id) {
    auto at = std::find_if(r.tokens.begin(), r.tokens.end(), [&](const auto& t) { return t.seen.id == id; });
    return at == r.tokens.end() ? nullptr : &*at;
}

token* find_token(remotes& r, const std::string& id) {
    return const_cast<token*>(find_token(std::as_const(r), id));
}

const token* token_of(const remotes& r, const std::string& credential) {
    auto client = client_id_of(credential);
    auto at = std::find_if(r.tokens.begin(), r.tokens.end(),
                           [&](const auto& t) { return !client.empty() && t.seen.client_id == client; });
    return at == r.tokens.end() ? nullptr : &*at;
}

live_policy* find_policy(guarded& g, const std::string& id) {
    auto at = std::find_if(g.seen.policies.begin(), g.seen.policies.end(), [&](const auto& p) { return p.id == id; });
    return at == g.seen.policies.end() ? nullptr : &*at;
}

bool includes(const live_policy& p, const std::string& token_id) {
    return std::any_of(p.include.begin(), p.include.end(),
                       [&](const rule& r) { return r.is == rule::kind::service_token && r.id == token_id; });
}

bool admits(const std::vector<live_policy>& policies, const std::string& token_id) {
    return std::any_of(policies.begin(), policies.end(),
                       [&](const auto& p) { return p.decides == decision::non_identity && includes(p, token_id); });
}

void set_version(live_policy& p) {
    p.version = std::to_string(static_cast<int>(p.decides)) + "[";
    for (const auto& r : p.include)
        p.version += r.id + r.raw + ",";
    p.version += "]";
}

bool lives(const remotes& r, const std::string& credential, instant now) {
    const auto* t = token_of(r, credential);
    if (t == nullptr || !t->seen.enabled || (t->seen.expires_at && *t->seen.expires_at <= now))
        return false;
    return credential == credential_of(*t, t->version) ||
           (t->before != 0 && credential == credential_of(*t, t->before) && now < t->before_until);
}

bool passes(const remotes& r, const guarded& at, const std::string& credential, instant now) {
    if (!lives(r, credential, now))
        return false;
    return admits(at.edge, token_of(r, credential)->seen.id);
}

void use_everything(remotes& r, instant now) {
    auto use = [&](const std::string& credential) {
        if (auto* t = const_cast<token*>(token_of(r, credential)); t != nullptr && lives(r, credential, now))
            t->seen.last_seen_at = now;
    };
    for (const auto& [key, credential] : r.creds)
        use(credential);
    for (const auto& [name, app] : r.apps) {
        for (const auto& [var, credential] : app.runs)
            use(credential);
    }
}

void catch_up(guarded& g) {
    g.edge = g.seen.policies;
    g.lags_until.reset();
    // Whoever is admitted again is no longer robbed.
    std::erase_if(g.robbed, [&](const std::string& id) { return admits(g.edge, id); });
}

void end_release(running_app& a) {
    if (!a.releases.empty())
        a.releases.front().status = "succeeded";
    a.runs = a.vars;
}

error trouble_of(error_kind kind, std::string what) {
    return {kind, "the model", std::move(what), 0, {}, {}};
}

outcome failing(error why) {
    outcome out;
    out.failure = std::move(why);
    return out;
}

} // namespace postern::model
