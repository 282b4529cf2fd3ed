#include "model/state.hpp"

#include <algorithm>

// What others do to the world while nobody asks Postern.
namespace postern::model {

namespace {

constexpr const char* junk = "somebody's note";
constexpr const char* gone = "gone.access:1";
constexpr const char* helps = "f2.access:1";

void rob(remotes& r, guarded& g, const std::string& id) {
    const auto* t = find_token(r, id);
    if (t != nullptr && !t->spec.empty())
        g.robbed.insert(id);
}

using values = std::map<std::string, std::string>;

// A value that consumers read is set to something else.
template<class Find>
void edit_value(std::vector<edit>& out, const std::string& where, const record* known, const std::string& is,
                const std::string& key, instant now, Find find) {
    auto set = [&](const std::string& to, const std::string& words) {
        if (to != is)
            out.push_back({where + words, [find, key, to](remotes& r) { find(r)[key] = to; }});
    };
    set(junk, " is overwritten with a note");
    set(gone, " is overwritten with a credential of a token that is gone");
    set(helps, " is overwritten with a living credential of somebody else's token");
    // Beyond its overlap nobody can save a credential that comes back.
    bool lives = known != nullptr && known->previous && (!known->previous_until || *known->previous_until > now);
    if (lives && !known->previous->fingerprint.empty())
        set(known->previous->fingerprint, " is rolled back to the credential before");
    out.push_back({where + " is removed", [find, key](remotes& r) { find(r).erase(key); }});
}

void edit_consumers(std::vector<edit>& out, const setting& in, const state& s) {
    for (const auto& t : in.wanted.tokens) {
        auto known = s.world.records.find(t.name);
        const record* r = known == s.world.records.end() ? nullptr : &known->second;
        if (auto at = s.world.creds.find(t.key); at != s.world.creds.end())
            edit_value(out, "the vault's " + t.key, r, at->second, t.key, s.now,
                       [](remotes& w) -> values& { return w.creds; });
        for (const auto& b : in.wanted.heroku_bindings) {
            for (const auto& app : b.apps) {
                const auto& vars = s.world.apps.at(app).vars;
                auto at = vars.find(b.config_var);
                if (b.token != t.name || at == vars.end())
                    continue;
                edit_value(out, b.config_var + " on app " + app, r, at->second, b.config_var, s.now,
                           [app](remotes& w) -> values& { return w.apps.at(app).vars; });
            }
        }
    }
}

void edit_policies(std::vector<edit>& out, const state& s) {
    for (std::size_t i = 0; i < s.world.applications.size(); ++i) {
        const auto& g = s.world.applications[i];
        bool busy = std::any_of(s.parcels.begin(), s.parcels.end(), [](const parcel& p) {
            return std::holds_alternative<steps::edit_policy>(p.sent.what);
        });
        if (busy || g.lags_until)
            continue;
        for (const auto& p : g.seen.policies) {
            auto ours = std::find_if(p.include.begin(), p.include.end(), [&](const rule& m) {
                const auto* t = find_token(s.world, m.id);
                return t != nullptr && !t->spec.empty();
            });
            if (ours == p.include.end())
                continue;
            auto id = p.id;
            auto member = ours->id;
            out.push_back({"token " + member + " is taken out of policy " + id, [i, id, member](remotes& r) {
                               auto& at = r.applications[i];
                               rob(r, at, member);
                               auto& found = *find_policy(at, id);
                               std::erase_if(found.include, [&](const rule& m) { return m.id == member; });
                               set_version(found);
                               at.edge = at.seen.policies;
                           }});
            out.push_back({"policy " + id + " is deleted", [i, id](remotes& r) {
                               auto& at = r.applications[i];
                               for (const auto& m : find_policy(at, id)->include)
                                   rob(r, at, m.id);
                               std::erase_if(at.seen.policies, [&](const auto& q) { return q.id == id; });
                               at.edge = at.seen.policies;
                           }});
        }
    }
}

void edit_memory(std::vector<edit>& out, const state& s) {
    for (const auto& [name, r] : s.world.records) {
        out.push_back({"the record of " + name + " is overwritten with a note", [name](remotes& w) {
                           w.records.erase(name);
                           w.clobbered.insert(name);
                       }});
        if (!r.current)
            continue;
        auto key = name + "." + r.current->nonce;
        auto shown = s.world.creds.find(r.key);
        // Nobody else writes there; what was deleted is noticed by the next who reads, not in the middle of a pass.
        bool elsewhere = !s.processes[0] && !s.processes[1] && shown != s.world.creds.end() &&
                         shown->second == r.current->fingerprint && !r.previous && !r.pending;
        if (elsewhere && s.world.held.contains(key))
            out.push_back({"the write-once key " + key + " is deleted", [key](remotes& w) { w.held.erase(key); }});
        const auto id = r.current->token_id;
        if (const auto* t = find_token(s.world, id); t != nullptr && t->seen.enabled)
            out.push_back({"token " + id + " is disabled", [id](remotes& w) {
                               auto& maimed = *find_token(w, id);
                               maimed.seen.enabled = false;
                               maimed.maimed = true;
                           }});
    }
}

} // namespace

std::vector<edit> edits_in(const setting& in, const state& s) {
    std::vector<edit> out;
    edit_consumers(out, in, s);
    edit_policies(out, s);
    edit_memory(out, s);
    if (in.edits_of_interest)
        std::erase_if(out, [&](const edit& e) { return !in.edits_of_interest(e.words); });
    // A new value of a config var is a release like any other.
    for (auto& e : out) {
        e.how = [act = std::move(e.how)](remotes& r) {
            auto before = r.apps;
            act(r);
            for (auto& [name, app] : r.apps) {
                if (app.vars == before.at(name).vars)
                    continue;
                int version = app.releases.empty() ? 1 : app.releases.front().version + 1;
                app.releases.insert(app.releases.begin(), {version, "succeeded", "Set something"});
                if (app.releases.size() > 4)
                    app.releases.pop_back();
                app.runs = app.vars;
            }
        };
    }
    return out;
}

} // namespace postern::model
