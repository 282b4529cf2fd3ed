#include "base/text.hpp"
#include "domain/access.hpp"
#include "domain/judge.hpp"

#include <algorithm>
#include <tuple>

// Policies: which one is a binding's own, what is missing in it, and what must be left alone.
namespace postern::domain {

namespace {

bool has(const std::vector<std::string_view>& sorted_ids, std::string_view id) {
    return std::binary_search(sorted_ids.begin(), sorted_ids.end(), id);
}

bool only_tokens_of(const live_policy& p, const std::vector<std::string_view>& sorted_ids) {
    return !p.include.empty() && std::all_of(p.include.begin(), p.include.end(), [&](const rule& r) {
        return r.is == rule::kind::service_token && has(sorted_ids, r.id);
    });
}

std::ptrdiff_t occurrences(const live_policy& p, std::string_view id) {
    return std::count_if(p.include.begin(), p.include.end(),
                         [&](const rule& r) { return r.is == rule::kind::service_token && r.id == id; });
}

std::string shown(const live_policy& p, const live_application& app) {
    return "policy \"" + printable(p.name) + "\" (" + p.id + ") on " + printable(app.name);
}

// Which hosts an account's applications may guard, by its document and by the operator's flag.
struct host_limits {
    allowed_hosts account;
    allowed_hosts only;
};

} // namespace

std::vector<const live_policy*> policy_index::naming(const std::vector<std::string_view>& ids) const {
    std::vector<const live_policy*> out;
    for (const auto& id : ids) {
        if (auto at = by_token.find(id); at != by_token.end())
            out.insert(out.end(), at->second.begin(), at->second.end());
    }
    if (ids.size() > 1) {
        std::sort(out.begin(), out.end());
        out.erase(std::unique(out.begin(), out.end()), out.end());
    }
    return out;
}

void judge::find_grants() {
    std::map<std::string_view, host_limits> limits;
    for (const auto& a : wanted_.cloudflare)
        limits.try_emplace(a.name, host_limits{allowed_hosts{a.applications}, allowed_hosts{a.only_hosts}});
    static const host_limits unlimited{allowed_hosts{{}}, allowed_hosts{{}}};
    bound_.reserve(wanted_.bindings.size());
    for (const auto& b : wanted_.bindings) {
        auto at = world_.accounts.find(b.account);
        if (at == world_.accounts.end() || !at->second)
            continue;
        const auto& index = index_.at(&*at->second);
        auto declared = limits.find(b.account);
        const auto& allowed = declared == limits.end() ? unlimited : declared->second;
        std::set<const live_application*> seen;
        std::vector<grant> found;
        for (const auto& ref : b.applications) {
            grant g;
            g.binding = &b;
            const auto resolved = index.applications.resolve(ref, allowed.account, allowed.only);
            if (const auto* bad = std::get_if<problem>(&resolved)) {
                g.trouble = *bad;
            } else {
                g.app = std::get<const live_application*>(resolved);
                if (!seen.insert(g.app).second)
                    continue;
                g.policies = &index.policies.at(g.app);
                // Hundreds of bindings knock at the same few places.
                auto [known, fresh] = places_[g.app].try_emplace({b.smoke.path, b.smoke.hosts});
                if (fresh)
                    known->second = index.applications.sites(b.smoke, *g.app);
                if (const auto* nowhere = std::get_if<problem>(&known->second))
                    g.trouble = *nowhere;
                else
                    g.where = std::get<std::vector<site>>(known->second);
            }
            found.push_back(std::move(g));
        }
        // A host that none of the applications guards: the credential will not be shown to it.
        for (const auto& host : b.smoke.hosts) {
            bool ours = std::any_of(found.begin(), found.end(), [&](const grant& g) {
                return std::any_of(g.where.begin(), g.where.end(),
                                   [&](const site& s) { return s.host == lower(host); });
            });
            bool unresolved = std::any_of(found.begin(), found.end(), [](const grant& g) { return !!g.trouble; });
            if (!ours && !unresolved && !found.empty())
                found.front().trouble =
                    problem{reason::host_foreign, "smokeTest.hosts names " + printable(host) +
                                                      ", which no application of this binding guards: a credential is "
                                                      "never shown to another host"};
        }
        for (auto& g : found) {
            if (g.app != nullptr)
                bound_[b.name].push_back(g.app->id);
            else
                unresolved_.insert(b.name);
            grants_.push_back(std::move(g));
        }
    }
}

// Ids that must be admitted: current, pending and previous of every token of the binding.
std::vector<std::string_view> judge::wanted_ids(const access_binding& b) const {
    std::vector<std::string_view> ids;
    for (const auto& name : b.tokens) {
        auto at = life_of_.find(name);
        if (at == life_of_.end())
            continue;
        const auto& l = lives_[at->second];
        if (l.unready)
            continue;
        if (l.current)
            ids.push_back(l.current->token_id);
        // Between the consumers' key and the record, what was in force so far.
        if (l.rec != nullptr && l.rec->current && token_by_id(*l.account, l.rec->current->token_id) != nullptr)
            ids.push_back(l.rec->current->token_id);
        if (l.pending && !l.discard)
            ids.push_back(l.pending->token_id);
        if (l.rec != nullptr && l.rec->previous && !l.retiring &&
            token_by_id(*l.account, l.rec->previous->token_id) != nullptr)
            ids.push_back(l.rec->previous->token_id);
    }
    std::sort(ids.begin(), ids.end());
    ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
    return ids;
}

// Tokens that the binding had before, and whose time is over.
std::set<std::string_view> judge::retired_ids(const access_binding& b) const {
    std::set<std::string_view> ids;
    for (const auto& name : b.tokens) {
        auto at = life_of_.find(name);
        if (at == life_of_.end() || lives_[at->second].rec == nullptr)
            continue;
        const auto& l = lives_[at->second];
        for (const auto& c : l.rec->lingering)
            ids.insert(c.token_id);
        if (l.retiring && l.rec->previous->token_id != l.current->token_id)
            ids.insert(l.rec->previous->token_id);
    }
    return ids;
}

// Whether the token's own GET said 404. Cloudflare refuses a policy that names a token which does not exist.
bool judge::is_gone(const grant& g, const std::string& id) {
    const auto& account = *world_.accounts.at(g.binding->account);
    if (token_by_id(account, id) != nullptr)
        return false;
    if (auto asked = account.proved_absent.find(id); asked != account.proved_absent.end())
        return asked->second;
    offer({"AccessBinding/" + g.binding->name,
           "service token " + id,
           std::string{reason::member_orphaned},
           "its policy names it and the list does not show it; only its own GET can prove that it is gone",
           {"look:" + id},
           steps::look_token{g.binding->account, id}});
    return false;
}

// Whether a token that we put into the policy may be taken out again: nobody who may need it there is unread in this
// pass, no record of a bound token and no document that left git names it (those have their own way out), no other
// binding wants it in this policy, and either the documents took the binding from it or nobody holds its credential.
bool judge::is_orphan(const grant& g, const std::string& id) {
    const auto& account = *world_.accounts.at(g.binding->account);
    for (const auto& name : g.binding->tokens) {
        auto at = life_of_.find(name);
        if (at == life_of_.end() || lives_[at->second].unready || lives_[at->second].waiting)
            return false;
    }
    for (const auto& other : grants_) {
        if (other.app != g.app || &other == &g)
            continue;
        if (has(other.wanted, id) && find_own(other) == g.own)
            return false;
    }
    auto names = [&](const record& r) {
        auto is_it = [&](const auto& c) { return c && c->token_id == id; };
        return is_it(r.current) || is_it(r.previous);
    };
    for (const auto& [vault, view] : world_.vaults) {
        if (!view || !view->state)
            continue;
        for (const auto& [token, r] : view->state->records) {
            if (!names(r))
                continue;
            const auto& bound = g.binding->tokens;
            bool unbound = life_of_.contains(token) && std::find(bound.begin(), bound.end(), token) == bound.end();
            return unbound;
        }
    }
    return !is_relied_on(account, id);
}

int judge::used_by(const std::string& account, const std::string& policy) const {
    const auto& index = index_.at(&*world_.accounts.at(account));
    auto at = index.users.find(policy);
    return at == index.users.end() ? 1 : static_cast<int>(at->second.size());
}

bool judge::bound_everywhere(const grant& g, const live_policy& p) const {
    if (!p.reusable)
        return true;
    if (p.users_elsewhere > 0)
        return false;
    const auto& index = index_.at(&*world_.accounts.at(g.binding->account));
    auto users = index.users.find(p.id);
    if (users == index.users.end())
        return true;
    return std::all_of(users->second.begin(), users->second.end(), [&](const live_application* app) {
        auto bound = index.bound.find(app->id);
        return bound != index.bound.end() &&
               std::all_of(g.wanted.begin(), g.wanted.end(), [&](auto id) { return has(bound->second, id); });
    });
}

bool judge::is_put_by_us(const grant& g, const std::string& id) {
    if (!put_) {
        put_.emplace();
        for (const auto& [name, vault] : world_.vaults) {
            if (!vault || !vault->state)
                continue;
            for (const auto& [token, r] : vault->state->records) {
                for (const auto& note : r.policies)
                    (*put_)[{note.binding, note.application}].insert(note.put.begin(), note.put.end());
            }
        }
    }
    auto at = put_->find({g.binding->name, g.app->id});
    return at != put_->end() && at->second.contains(id);
}

const live_policy* judge::find_own(const grant& g) const {
    const auto& policies = *g.policies;
    for (const auto& name : g.binding->tokens) {
        auto life_at = life_of_.find(name);
        if (life_at == life_of_.end() || lives_[life_at->second].rec == nullptr)
            continue;
        for (const auto& note : lives_[life_at->second].rec->policies) {
            if (note.binding != g.binding->name || note.application != g.app->id)
                continue;
            const auto at = policies.by_id.find(note.policy);
            // Somebody may have opened it to people since: then it is not ours to work with any more.
            if (at != policies.by_id.end() && at->second->decides != decision::allow &&
                bound_everywhere(g, *at->second))
                return at->second;
        }
    }
    // Not recorded: the one of its name, or one that admits nobody but these tokens. The oldest, where there are two.
    auto candidates = policies.naming(g.wanted);
    if (auto named = policies.by_name.find(g.binding->policy_name); named != policies.by_name.end())
        candidates.insert(candidates.end(), named->second.begin(), named->second.end());
    const live_policy* found = nullptr;
    for (const auto* p : candidates) {
        if (p->decides != decision::non_identity || !bound_everywhere(g, *p))
            continue;
        bool named = p->name == g.binding->policy_name;
        if (!named && !only_tokens_of(*p, g.wanted))
            continue;
        auto rank = [&](const live_policy* q) {
            return std::tuple{q->name != g.binding->policy_name, q->created_at.value_or(instant::max()), q->precedence,
                              q};
        };
        if (found == nullptr || rank(p) < rank(found))
            found = p;
    }
    return found;
}

// Token in an `allow` policy, which never admits it: corrected in place where nobody else is concerned. True where a
// step was offered or is under way, so that the rest of the grant waits for it.
bool judge::correct_allow(grant& g) {
    const auto& account = *world_.accounts.at(g.binding->account);
    auto& index = index_.at(&account);
    for (const auto* named : g.policies->naming(g.wanted)) {
        const auto& p = *named;
        if (p.decides == decision::deny) {
            tell("AccessBinding/" + g.binding->name, "Bound", status::true_, reason::denied,
                 shown(p, *g.app) + " denies a token that this binding admits; reported, never changed", weight::told);
            continue;
        }
        if (p.decides != decision::allow)
            continue;
        std::vector<const live_application*> users{g.app};
        if (p.reusable && index.users.contains(p.id))
            users = index.users.at(p.id);
        bool pure = p.users_elsewhere == 0 && std::all_of(users.begin(), users.end(), [&](const live_application* app) {
                        return only_tokens_of(p, index.bound[app->id]);
                    });
        if (!pure) {
            tell("AccessBinding/" + g.binding->name, "Bound", status::true_, reason::mixed_policy,
                 shown(p, *g.app) +
                     " is an allow policy that also concerns others; it is left exactly as it is and the "
                     "binding's own policy does the work beside it",
                 weight::told);
            continue;
        }
        steps::edit_policy edit{.account = g.binding->account,
                                .application = g.app->id,
                                .policy = p.id,
                                .reusable = p.reusable,
                                .version = p.version,
                                .make_non_identity = true,
                                .add = {},
                                .remove = {},
                                .shared_by = static_cast<int>(users.size())};
        std::vector<std::string> locks{policy_lock(g.binding->name, g.app->id)};
        for (const auto* app : users)
            locks.push_back("app:" + g.binding->account + "/" + app->id);
        offer({"AccessBinding/" + g.binding->name,
               shown(p, *g.app) +
                   (users.size() > 1 ? ", shared by " + std::to_string(users.size()) + " applications" : std::string{}),
               std::string{reason::wrong_decision},
               "a service token never satisfies an allow policy: its caller gets the login page", std::move(locks),
               std::move(edit)},
              g.observing);
        return true;
    }
    return false;
}

void judge::judge_grant(grant& g) {
    const auto resource = "AccessBinding/" + g.binding->name;
    if (g.trouble) {
        tell(resource, "Bound", status::false_, g.trouble->reason, g.trouble->message, weight::blocked);
        g.stuck = true;
        return;
    }
    const auto& wanted = g.wanted;
    if (wanted.empty()) {
        // A credential that is thrown away may be all that its policy admits.
        if (const auto* own = find_own(g); own != nullptr && own->decides == decision::non_identity)
            g.own = own;
        return;
    }
    if (correct_allow(g))
        return;
    for (const auto* p : g.policies->bypasses)
        tell(resource, "Bound", status::true_, reason::bypassed,
             shown(*p, *g.app) + " lets people in without Access; reported, never changed", weight::told);
    g.own = find_own(g);
    std::vector<std::string> locks{policy_lock(g.binding->name, g.app->id),
                                   "app:" + g.binding->account + "/" + g.app->id};
    if (g.own == nullptr) {
        const int highest = g.policies->highest;
        offer({resource, "policy \"" + g.binding->policy_name + "\" on " + printable(g.app->name),
               std::string{reason::policy_missing}, "nothing there admits the token", std::move(locks),
               steps::create_policy{
                   g.binding->account, g.app->id, g.binding->policy_name, {wanted.begin(), wanted.end()}, highest + 1}},
              g.observing);
        return;
    }
    const auto& own = *g.own;
    if (own.decides != decision::non_identity) {
        tell(resource, "Bound", status::false_, reason::policy_changed,
             shown(own, *g.app) + " was ours and now has another decision; a block may be somebody's answer to an "
                                  "incident, so it is left alone: set it back to Service Auth, or delete it",
             weight::blocked);
        g.stuck = true;
        g.own = nullptr;
        return;
    }
    steps::edit_policy edit{g.binding->account,
                            g.app->id,
                            own.id,
                            own.reusable,
                            own.version,
                            false,
                            {},
                            {},
                            used_by(g.binding->account, own.id)};
    for (const auto& id : wanted) {
        auto n = occurrences(own, id);
        if (n > 1)
            edit.remove.emplace_back(id);
        if (n != 1)
            edit.add.emplace_back(id);
    }
    auto why = edit.remove.empty() ? reason::member_missing : reason::member_doubled;
    std::optional<std::set<std::string_view>> retired; // most often nothing else is in it
    auto is_over = [&](const std::string& id) {
        if (!retired)
            retired = retired_ids(*g.binding);
        return retired->contains(id) || sweepable_.contains(id); // what nothing accounts for, too
    };
    std::vector<std::string> foreign;
    bool orphans = false;
    bool retires = false;
    for (const auto& r : own.include) {
        if (r.is != rule::kind::service_token) {
            foreign.push_back(printable(r.raw));
            continue;
        }
        if (has(wanted, r.id))
            continue;
        const bool put = is_put_by_us(g, r.id);
        if ((put && is_gone(g, r.id)) || is_over(r.id)) {
            retires = true;
            edit.remove.push_back(r.id);
        } else if (put) {
            if (!is_orphan(g, r.id))
                continue;
            orphans = true;
            if (how_.prune) {
                edit.remove.push_back(r.id);
                overwriting_.insert(resource);
            }
        } else {
            foreign.push_back("token " + r.id);
        }
    }
    if (!edit.add.empty() || !edit.remove.empty()) {
        if (edit.add.empty())
            why = retires ? reason::retired : reason::member_orphaned;
        if (own.reusable)
            locks.push_back("policy:" + own.id);
        offer({resource, shown(own, *g.app), std::string{why},
               why == reason::member_missing    ? "a token of the binding is not in its policy"
               : why == reason::retired         ? "a token is gone, or the overlap of its credential is over"
               : why == reason::member_orphaned ? "a token that we put there is not bound any more"
                                                : "a token stands in it twice",
               std::move(locks), std::move(edit)},
              g.observing);
        return;
    }
    for (const auto* other : g.policies->by_name.at(own.name)) {
        const auto& p = *other;
        // A lost reply, or two processes at once: it admits nobody whom ours does not, but for those whose time is
        // over.
        bool twin = &p != &own && !p.reusable && p.decides == own.decides && p.exclude == own.exclude &&
                    p.require == own.require && std::all_of(p.include.begin(), p.include.end(), [&](const rule& r) {
                        return r.is == rule::kind::service_token && (has(wanted, r.id) || is_over(r.id));
                    });
        if (!twin)
            continue;
        offer({resource, shown(p, *g.app), std::string{reason::duplicate_policy},
               "the younger of two policies of our own for the same tokens", locks,
               steps::delete_policy{g.binding->account, g.app->id, p.id, p.version}},
              g.observing);
        return;
    }
    const auto& account = *world_.accounts.at(g.binding->account);
    for (const auto& id : wanted) {
        if (satisfied(own, account.groups, {std::string{id}, {}}))
            continue;
        g.narrowed = true;
        tell(resource, "Bound", status::unknown, reason::policy_changed,
             shown(own, *g.app) + " has a require or exclude rule that may keep token " + std::string{id} +
                 " out; it is left as it is",
             weight::told);
    }
    if (!foreign.empty())
        tell(resource, "Bound", status::true_, reason::foreign_members,
             shown(own, *g.app) + " also admits what the specs do not name: " + join(foreign, ", "), weight::told);
    else if (orphans)
        tell(resource, "Bound", status::true_, reason::member_orphaned,
             shown(own, *g.app) + " still admits a token that is not bound any more; apply --prune removes it",
             weight::told);
    if (!g.stuck)
        tell(resource, "Bound", status::true_, reason::all_fine, "every application admits the tokens", weight::fine);
}

void judge::judge_grants() {
    for (auto& g : grants_) {
        g.observing = std::any_of(g.binding->tokens.begin(), g.binding->tokens.end(), [&](const auto& name) {
            auto at = life_of_.find(name);
            return at != life_of_.end() && lives_[at->second].observing;
        });
        if (g.app == nullptr)
            continue;
        g.wanted = wanted_ids(*g.binding);
        auto& bound = index_.at(&*world_.accounts.at(g.binding->account)).bound[g.app->id];
        bound.insert(bound.end(), g.wanted.begin(), g.wanted.end());
    }
    for (auto& [account, index] : index_) {
        for (auto& [app, ids] : index.bound)
            std::sort(ids.begin(), ids.end());
    }
    for (auto& g : grants_)
        judge_grant(g);
}

} // namespace postern::domain
