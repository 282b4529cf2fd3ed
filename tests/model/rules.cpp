#include "model/rules.hpp"

#include "domain/reason.hpp"

#include <algorithm>

namespace postern::model {

namespace {

constexpr int most_tokens = 2; // one, and within its overlap the one before

struct consumer {
    std::string name;
    std::string token; // the document whose credential it uses
    std::string holds; // empty: nothing
};

// Who reads the vault's key at each use, and what the apps' dynos and their next dynos run with.
std::vector<consumer> consumers(const setting& in, const remotes& r) {
    std::vector<consumer> out;
    for (const auto& t : in.wanted.tokens) {
        auto at = r.creds.find(t.key);
        out.push_back({"who reads " + t.key + " from the vault", t.name, at == r.creds.end() ? "" : at->second});
    }
    for (const auto& b : in.wanted.heroku_bindings) {
        for (const auto& name : b.apps) {
            const auto& app = r.apps.at(name);
            for (const auto* values : {&app.vars, &app.runs}) {
                auto at = values->find(b.config_var);
                out.push_back({(values == &app.vars ? "the config of app " : "the dynos of app ") + name, b.token,
                               at == values->end() ? "" : at->second});
            }
        }
    }
    return out;
}

bool uses(const setting& in, const consumer& c, const guarded& g) {
    return std::any_of(in.wanted.bindings.begin(), in.wanted.bindings.end(), [&](const access_binding& b) {
        return std::find(b.tokens.begin(), b.tokens.end(), c.token) != b.tokens.end() &&
               std::any_of(b.applications.begin(), b.applications.end(),
                           [&](const auto& ref) { return ref.text == g.seen.id; });
    });
}

// The application that refuses what the consumer holds. What others took away does not count.
const guarded* refusing(const setting& in, const remotes& r, instant now, const consumer& c) {
    for (const auto& g : r.applications) {
        if (!uses(in, c, g) || passes(r, g, c.holds, now))
            continue;
        const auto* t = token_of(r, c.holds);
        bool others = t != nullptr && (t->maimed || (lives(r, c.holds, now) && g.robbed.contains(t->seen.id)));
        if (!others)
            return &g;
    }
    return nullptr;
}

std::optional<std::string> refusals(const setting& in, const state& before, const state& after) {
    auto was = consumers(in, before.world);
    auto is = consumers(in, after.world);
    for (std::size_t i = 0; i < was.size(); ++i) {
        if (is[i].holds.empty())
            continue;
        const auto* refused = refusing(in, after.world, after.now, is[i]);
        if (refused == nullptr)
            continue;
        if (is[i].holds != was[i].holds)
            return is[i].name + " was given " + is[i].holds + ", which " + refused->seen.id + " refuses";
        if (refusing(in, before.world, before.now, was[i]) == nullptr)
            return is[i].name + " holds " + is[i].holds + ", which " + refused->seen.id + " let in and now refuses";
    }
    for (std::size_t i = 0; i < was.size(); ++i) {
        if (is[i].holds.empty() && !was[i].holds.empty())
            return is[i].name + " had its credential taken away";
    }
    return {};
}

std::set<std::string> copies(const remotes& r) {
    std::set<std::string> out;
    for (const auto* folder : {&r.held, &r.creds}) {
        for (const auto& [key, value] : *folder)
            out.insert(value);
    }
    for (const auto& [name, app] : r.apps) {
        for (const auto& [var, value] : app.vars)
            out.insert(value);
    }
    return out;
}

// One that somebody runs with, or that a record points at: in force, before it within its overlap, or on its way. What
// nothing points at and nobody holds is swept.
bool is_needed(const remotes& r, const std::string& credential) {
    for (const auto& [key, value] : r.creds) {
        if (value == credential)
            return true;
    }
    for (const auto& [name, app] : r.apps) {
        for (const auto& [var, value] : app.vars) {
            if (value == credential)
                return true;
        }
    }
    return std::any_of(r.records.begin(), r.records.end(), [&](const auto& entry) {
        const auto& [token, rec] = entry;
        auto is_it = [&](const auto& c) { return c && c->fingerprint == credential; };
        if (is_it(rec.current) || is_it(rec.previous))
            return true;
        auto made = rec.pending ? r.held.find(token + "." + rec.pending->nonce) : r.held.end();
        return made != r.held.end() && made->second == credential;
    });
}

std::optional<std::string> losses(const state& before, const state& after) {
    auto left = copies(after.world);
    for (const auto& credential : copies(before.world)) {
        const auto* t = token_of(after.world, credential);
        if (t != nullptr && !t->spec.empty() && lives(after.world, credential, after.now) &&
            !left.contains(credential) && is_needed(before.world, credential))
            return "the last copy of " + credential + " is gone, and it still works";
    }
    for (const auto& [key, value] : before.world.held) {
        auto at = after.world.held.find(key);
        if (at != after.world.held.end() && at->second != value)
            return "write-once key " + key + " held " + value + " and now holds " + at->second;
    }
    return {};
}

bool is_compromised(const remotes& r, const std::string& credential) {
    return std::any_of(r.records.begin(), r.records.end(), [&](const auto& entry) {
        const auto& [name, known] = entry;
        return known.request && known.request->reason == reason::compromised && known.previous &&
               known.previous->fingerprint == credential;
    });
}

std::optional<std::string> cut_overlaps(const state& before, const state& after) {
    for (const auto& [credential, until] : before.world.promises) {
        const auto* t = token_of(before.world, credential);
        bool others = t != nullptr && t->maimed;
        if (until > after.now && !others && lives(before.world, credential, before.now) &&
            !lives(after.world, credential, after.now) && !is_compromised(after.world, credential))
            return "the overlap was promised " +
                   (until == instant::max() ? "for longer" : "until " + format_instant(until)) + ", and " + credential +
                   " is dead";
    }
    return {};
}

// An overlap begins once everybody has the new credential: not while an app's dynos still run with the one before,
// although its config vars have the new one.
std::optional<std::string> early_overlaps(const setting& in, const state& before, const state& after) {
    for (const auto& [name, r] : after.world.records) {
        auto was = before.world.records.find(name);
        bool began = r.previous && r.previous_until && r.current &&
                     (was == before.world.records.end() || was->second.previous_until != r.previous_until);
        for (const auto& b : in.wanted.heroku_bindings) {
            for (const auto& app : b.apps) {
                const auto& [vars, runs, releases] = after.world.apps.at(app);
                auto is = vars.find(b.config_var);
                auto with = runs.find(b.config_var);
                if (began && b.token == name && is != vars.end() && is->second == r.current->fingerprint &&
                    with != runs.end() && with->second == r.previous->fingerprint)
                    return "the overlap of " + name + " begins while the dynos of " + app + " still run with " +
                           with->second;
            }
        }
    }
    return {};
}

std::string not_ours(const remotes& r) {
    std::string out;
    for (const auto& t : r.tokens) {
        if (t.seen.id == "f1")
            out += t.seen.id + t.seen.name + t.seen.duration + (t.seen.enabled ? "+" : "-") +
                   std::to_string(t.version) + "\n";
    }
    for (const auto& g : r.applications) {
        for (const auto& p : g.seen.policies) {
            if (p.name == "people" || p.name == "theirs")
                out += g.seen.id + p.id + p.version + std::to_string(p.precedence) + "\n";
        }
    }
    for (const auto& [key, value] : r.creds) {
        if (key == "SOMEBODY_ELSES")
            out += key + value + "\n";
    }
    for (const auto& [name, app] : r.apps) {
        if (auto at = app.vars.find("SOMEBODY_ELSES"); at != app.vars.end())
            out += name + at->second + "\n";
    }
    return out;
}

// What a foreign token is admitted by, among policies that are not its owner's.
std::optional<std::string> robberies(const state& before, const state& after) {
    for (std::size_t i = 0; i < before.world.applications.size(); ++i) {
        for (const auto& p : before.world.applications[i].seen.policies) {
            for (const auto& m : p.include) {
                const auto* t = find_token(before.world, m.id);
                if (m.is != rule::kind::service_token || t == nullptr || m.id != "f1")
                    continue;
                if (!admits(after.world.applications[i].seen.policies, m.id))
                    return "token " + m.id + ", which is not ours, is not admitted to " +
                           after.world.applications[i].seen.id + " any more";
            }
        }
    }
    return {};
}

bool is_marked(const token& t) {
    return t.seen.name.find(" (pending ") != std::string::npos || t.seen.name.find("(retired") != std::string::npos;
}

bool leads_to(const remotes& r, const token& t) {
    for (const auto& [key, credential] : r.held) {
        if (token_of(r, credential) == &t)
            return true;
    }
    for (const auto& [key, credential] : r.creds) {
        if (token_of(r, credential) == &t)
            return true;
    }
    return std::any_of(r.records.begin(), r.records.end(), [&](const auto& entry) {
        const auto& [name, known] = entry;
        return (known.current && known.current->token_id == t.seen.id) ||
               (known.previous && known.previous->token_id == t.seen.id);
    });
}

} // namespace

std::optional<std::string> broken_by(const setting& in, const state& before, const state& after, const move& m) {
    if (m.what == deed::edit)
        return {};
    if (auto why = refusals(in, before, after))
        return why;
    if (auto why = losses(before, after))
        return why;
    if (auto why = cut_overlaps(before, after))
        return why;
    if (auto why = early_overlaps(in, before, after))
        return why;
    if (auto why = robberies(before, after))
        return why;
    if (not_ours(before.world) != not_ours(after.world))
        return "something that is not ours was touched:\n" + not_ours(before.world) + "is now\n" +
               not_ours(after.world);
    for (const auto& p : after.processes) {
        if (!p)
            continue;
        for (const auto& [lock, trouble] : p->world.troubles) {
            if (trouble.why.kind == error_kind::bug)
                return "a step that cannot be taken was offered: " + trouble.why.what;
        }
    }
    return {};
}

std::optional<std::string> broken_in(const setting& in, const state& s) {
    for (const auto& spec : in.wanted.tokens) {
        int used = 0;
        for (const auto& t : s.world.tokens) {
            if (t.spec != spec.name || is_marked(t))
                continue;
            ++used;
            if (!leads_to(s.world, t))
                return "token " + t.seen.id + " is ours, has a clean name, and nothing leads back to it";
        }
        // Two processes and a request that came too late leave one more, for an overlap.
        const bool crowded = in.most.rivals > 0 && in.most.faults > 0;
        if (used > most_tokens + (crowded ? 1 : 0))
            return "ServiceToken " + spec.name + " has " + std::to_string(used) + " tokens in use";
    }
    return {};
}

std::optional<std::string> lacks(const setting& in, const state& s) {
    const auto& r = s.world;
    for (const auto& spec : in.wanted.tokens) {
        auto known = r.records.find(spec.name);
        if (known == r.records.end() || !known->second.current)
            return "there is no record of " + spec.name + " with a current credential";
        const auto& rec = known->second;
        const auto& credential = rec.current->fingerprint;
        if (rec.pending || rec.previous || !rec.lingering.empty())
            return "the record of " + spec.name + " still has a pending, previous or lingering credential";
        if (rec.request && !rec.request->done)
            return "what was asked of " + spec.name + " is not done";
        if (rec.confirmed != credential)
            return "the record of " + spec.name + " does not say that it is confirmed";
        std::vector<const token*> tokens;
        for (const auto& t : r.tokens) {
            if (t.spec == spec.name || t.seen.id == rec.current->token_id)
                tokens.push_back(&t);
        }
        if (tokens.size() != 1)
            return std::to_string(tokens.size()) + " tokens of " + spec.name + " are there";
        const auto& t = *tokens.front();
        if (is_marked(t) || !t.seen.enabled || t.seen.duration != spec.duration_text)
            return "token " + t.seen.id + " is not as declared";
        if (rec.current->token_id != t.seen.id || !lives(r, credential, s.now))
            return "the current credential of " + spec.name + " does not work";
        auto key = r.creds.find(spec.key);
        if (key == r.creds.end() || key->second != credential)
            return "the vault's " + spec.key + " does not hold the current credential";
        for (const auto& [name, value] : r.held) {
            if (name.starts_with(spec.name + ".") && name != spec.name + "." + rec.current->nonce)
                return "write-once key " + name + " is left over";
        }
        if (!r.held.contains(spec.name + "." + rec.current->nonce))
            return "the write-once key of the current credential is missing";
        for (const auto& b : in.wanted.heroku_bindings) {
            for (const auto& app : b.apps) {
                auto at = r.apps.at(app).runs.find(b.config_var);
                if (b.token == spec.name && (at == r.apps.at(app).runs.end() || at->second != credential))
                    return "app " + app + " does not run with the current credential";
            }
        }
    }
    for (const auto& c : consumers(in, r)) {
        if (const auto* g = refusing(in, r, s.now, c))
            return c.name + " is refused by " + g->seen.id;
    }
    for (const auto& g : r.applications) {
        for (const auto& p : g.seen.policies) {
            for (const auto& m : p.include) {
                if (m.is == rule::kind::service_token && find_token(r, m.id) == nullptr)
                    return "policy " + p.id + " admits token " + m.id + ", which is gone";
            }
        }
        auto named = [&](const access_binding& b) {
            return std::count_if(g.seen.policies.begin(), g.seen.policies.end(),
                                 [&](const auto& p) { return p.name == b.policy_name; });
        };
        for (const auto& b : in.wanted.bindings) {
            if (named(b) > 1)
                return "policy " + b.policy_name + " stands there twice";
        }
    }
    for (const auto& said : s.said) {
        if (said.heft == weight::blocked || said.heft == weight::failed)
            return said.resource + " " + said.type + ": " + said.reason + ": " + said.message;
    }
    return {};
}

std::optional<std::string> refuses(const setting& in, const state& s) {
    for (const auto& c : consumers(in, s.world)) {
        for (const auto& g : s.world.applications) {
            if (!c.holds.empty() && uses(in, c, g) && !passes(s.world, g, c.holds, s.now))
                return c.name + " holds " + c.holds + " and is refused by " + g.seen.id;
        }
    }
    return {};
}

// Who takes both a value and the memory of whose it was leaves something that only a person can tell.
bool is_excused(const setting& in, const state& s) {
    return in.most.edits > 1 && std::any_of(s.said.begin(), s.said.end(), [](const condition& c) {
               return c.reason == reason::config_var_taken || c.reason == reason::key_taken;
           });
}

} // namespace postern::model
