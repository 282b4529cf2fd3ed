#include "domain/next.hpp"

#include <algorithm>

// What the world is after a step, and what a step is expected to come to.
namespace postern::domain {

namespace {

template<class... Cases>
struct cases : Cases... {
    using Cases::operator()...;
};
template<class... Cases>
cases(Cases...) -> cases<Cases...>;

duration back_off(int failures) {
    auto seconds = std::min(1 << std::min(failures, 6), 60);
    return std::chrono::seconds{seconds};
}

account_view& account(observed& world, const std::string& name) {
    return *world.accounts.at(name);
}
state_view& state(observed& world, const std::string& vault) {
    return *world.vaults.at(vault)->state;
}

live_application* application(observed& world, const std::string& in, const std::string& id) {
    auto& apps = account(world, in).applications;
    auto at = std::find_if(apps.begin(), apps.end(), [&](const auto& a) { return a.id == id; });
    return at == apps.end() ? nullptr : &*at;
}

// By id; null where there is none.
template<class Tokens>
auto* find_token(Tokens& among, const std::string& id) {
    auto at = std::find_if(among.begin(), among.end(), [&](const auto& t) { return t.id == id; });
    return at == among.end() ? nullptr : &*at;
}

// "forever", and what only the remote understands, has none.
std::optional<instant> expiry(const std::string& lifetime, instant from) {
    auto span = parse_duration(lifetime);
    return span.has_value() ? std::optional<instant>{from + *span} : std::nullopt;
}

std::string applied_version(const std::string& before) {
    return before + "+";
}

// The policy as the edit leaves it.
live_policy edited(live_policy p, const steps::edit_policy& e) {
    std::erase_if(p.include, [&](const rule& r) {
        return r.is == rule::kind::service_token && std::find(e.remove.begin(), e.remove.end(), r.id) != e.remove.end();
    });
    for (const auto& id : e.add)
        p.include.push_back({rule::kind::service_token, id, {}});
    if (e.make_non_identity)
        p.decides = decision::non_identity;
    p.version = applied_version(p.version);
    return p;
}

void fail(observed& world, const step& taken, const error& why, instant now) {
    auto& t = world.troubles[taken.locks.front()];
    // Where an account has no room nothing was tried: that wears no patience out.
    t.count += why.kind == error_kind::throttled ? 0 : 1;
    t.why = why;
    t.again = now + std::max<duration>(back_off(t.count), why.retry_after.value_or(duration{}));
    if (why.kind == error_kind::conflict || why.kind == error_kind::ambiguous) {
        t.again = now;
        world.stale = true;
    }
    // A request that was never acted on may still be sent by this process.
    if (why.kind != error_kind::unavailable && why.kind != error_kind::throttled && why.kind != error_kind::refused &&
        why.kind != error_kind::credential)
        return;
    if (const auto* m = std::get_if<steps::mint>(&taken.what))
        world.unsent.insert(m->nonce);
    if (const auto* r = std::get_if<steps::rotate>(&taken.what))
        world.unsent.insert(r->nonce);
}

struct applier {
    observed& world;
    const outcome& came;

    void operator()(const steps::initialise& s) const { state(world, s.vault).initialised = true; }

    void operator()(const steps::write_record& s) const {
        auto& view = state(world, s.vault);
        if (s.stage == "intend" && s.value.pending)
            world.unsent.insert(s.value.pending->nonce);
        view.records[s.token] = s.value;
        view.clobbered.erase(s.token);
        view.doubled.erase(s.token);
    }

    void operator()(const steps::mint& s) const {
        world.unsent.erase(s.nonce);
        if (!came.token)
            return;
        account(world, s.account).tokens.push_back(*came.token);
        world.minted[s.nonce] = credential{s.nonce, came.token->id, came.token->client_id, came.fingerprint};
    }

    void operator()(const steps::rotate& s) const {
        world.unsent.erase(s.nonce);
        world.cut_offs.erase(s.token_id); // what was told was told of another secret
        if (came.token)
            world.minted[s.nonce] = credential{s.nonce, came.token->id, came.token->client_id, came.fingerprint};
    }

    void operator()(const steps::hold& s) const {
        state(world, s.vault).held[s.token][s.nonce] = vault_value{s.fingerprint, s.client_id, false, false};
        world.minted.erase(s.nonce);
    }

    void operator()(const steps::create_policy& s) const {
        auto* app = application(world, s.account, s.application);
        if (app == nullptr || !came.policy)
            return;
        app->policies.push_back(*came.policy);
        for (const auto& id : s.tokens)
            world.touched.insert({app->id, id});
    }

    void operator()(const steps::edit_policy& s) const {
        if (!came.policy)
            return;
        for (auto& app : account(world, s.account).applications) {
            for (auto& p : app.policies) {
                if (p.id != s.policy || (!s.reusable && app.id != s.application))
                    continue;
                auto precedence = p.precedence; // a reusable policy has one in each application
                p = *came.policy;
                p.precedence = precedence;
                for (const auto& id : s.add)
                    world.touched.insert({app.id, id});
                for (const auto& r : p.include) {
                    if (s.make_non_identity && r.is == rule::kind::service_token)
                        world.touched.insert({app.id, r.id});
                }
            }
        }
    }

    void operator()(const steps::delete_policy& s) const {
        if (auto* app = application(world, s.account, s.application))
            std::erase_if(app->policies, [&](const auto& p) { return p.id == s.policy; });
    }

    void operator()(const steps::prove& s) const {
        if (came.proved)
            world.proofs[{s.host, s.path, s.fingerprint}] = *came.proved;
    }

    void operator()(const steps::try_retired& s) const {
        if (came.proved)
            world.refusals[{s.host, s.path, s.fingerprint}] = *came.proved;
    }

    void operator()(const steps::write_credential& s) const {
        auto& folder = *world.vaults.at(s.vault)->folders[s.path];
        folder.values[s.key] = vault_value{s.fingerprint, s.client_id, false, false};
    }

    void operator()(const steps::update_token& s) const {
        auto* token = find_token(account(world, s.account).tokens, s.token_id);
        if (token != nullptr && came.token)
            *token = *came.token;
        if (s.duration)
            world.renewed.insert(s.token_id);
        if (s.previous_expires_at)
            world.cut_offs[s.token_id] = *s.previous_expires_at;
    }

    void operator()(const steps::delete_token& s) const {
        auto& view = account(world, s.account);
        std::erase_if(view.tokens, [&](const auto& t) { return t.id == s.token_id; });
        view.proved_absent[s.token_id] = true;
    }

    void operator()(const steps::look_token& s) const {
        auto& view = account(world, s.account);
        view.empty_list = view.empty_list || (came.token && view.tokens.empty());
        if (came.token)
            view.tokens.push_back(*came.token);
        else
            view.proved_absent[s.token_id] = came.absent.value_or(false);
    }

    void operator()(const steps::look_releases& s) const { app(s.account, s.app).releases = came.releases; }

    void operator()(const steps::deliver& s) const {
        auto& view = app(s.account, s.app);
        if (came.value)
            view.values[s.binding] = *came.value;
        view.releases.reset();
        if (came.released)
            view.released[s.binding] = s.fingerprint;
    }

    void operator()(const steps::await_release& s) const {
        auto& view = app(s.account, s.app);
        if (came.value)
            view.values[s.binding] = *came.value;
        view.releases = came.releases;
    }

    void operator()(const steps::delete_key& s) const {
        auto& vault = *world.vaults.at(s.vault);
        if (auto folder = vault.folders.find(s.path); folder != vault.folders.end() && folder->second)
            folder->second->values.erase(s.key);
        auto& view = *vault.state;
        auto dot = s.key.find('.');
        if (dot == std::string::npos) {
            if (s.fingerprint.empty())
                view.records.erase(s.key);
        } else if (auto held = view.held.find(s.key.substr(0, dot)); held != view.held.end()) {
            held->second.erase(s.key.substr(dot + 1));
        }
    }

    app_view& app(const std::string& in, const std::string& name) const { return *world.heroku.at(in)->apps.at(name); }
};

} // namespace

void effect(observed& world, const step& taken, const outcome& came, instant now) {
    if (came.awaiting_approval) {
        if (const auto where = vault_folder_of(taken))
            world.awaiting_approval.insert(*where);
        return;
    }
    if (came.failure) {
        fail(world, taken, *came.failure, now);
        return;
    }
    world.troubles.erase(taken.locks.front());
    std::visit(applier{world, came}, taken.what);
}

outcome predicted(const observed& world, const step& s, instant now) {
    outcome o;
    std::visit(cases{
                   [&](const steps::mint& m) {
                       live_token token;
                       token.id = "(id of " + m.name + ")";
                       token.client_id = "(client id of " + m.name + ")";
                       token.name = m.name;
                       token.duration = m.duration;
                       token.created_at = now;
                       token.expires_at = expiry(m.duration, now);
                       o.token = token;
                       o.fingerprint = "(new " + m.nonce + ")";
                   },
                   [&](const steps::rotate& r) {
                       if (const auto* token = find_token(world.accounts.at(r.account)->tokens, r.token_id))
                           o.token = *token;
                       o.fingerprint = "(new " + r.nonce + ")";
                   },
                   [&](const steps::try_retired&) {
                       proof p;
                       p.last = verdict::login_redirect;
                       p.rounds = 1;
                       p.at = now;
                       o.proved = p;
                   },
                   [&](const steps::create_policy& c) {
                       live_policy p;
                       p.id = "(policy " + c.name + " on " + c.application + ")";
                       p.name = c.name;
                       p.decides = decision::non_identity;
                       p.precedence = c.precedence;
                       p.version = "(new)";
                       for (const auto& id : c.tokens)
                           p.include.push_back({rule::kind::service_token, id, {}});
                       o.policy = p;
                   },
                   [&](const steps::edit_policy& e) {
                       for (const auto& app : world.accounts.at(e.account)->applications) {
                           for (const auto& p : app.policies) {
                               if (p.id == e.policy && app.id == e.application)
                                   o.policy = edited(p, e);
                           }
                       }
                   },
                   [&](const steps::prove&) {
                       proof p;
                       p.last = verdict::passed;
                       p.rounds = 1;
                       p.at = now;
                       o.proved = p;
                   },
                   [&](const steps::update_token& u) {
                       const auto* token = find_token(world.accounts.at(u.account)->tokens, u.token_id);
                       if (token == nullptr)
                           return;
                       o.token = *token;
                       o.token->name = u.name.value_or(token->name);
                       o.token->duration = u.duration.value_or(token->duration);
                       o.token->enabled = u.enabled.value_or(token->enabled);
                       if (u.duration)
                           o.token->expires_at = expiry(*u.duration, now);
                   },
                   [&](const steps::look_token&) { o.absent = true; },
                   [&](const steps::look_releases&) { o.releases.emplace(); },
                   [&](const steps::deliver& d) {
                       o.value = app_value{d.fingerprint.empty(), d.fingerprint, d.client_id};
                       o.released = true;
                   },
                   [&](const steps::await_release&) { o.releases.emplace(); },
                   [&](const auto&) {},
               },
               s.what);
    return o;
}

} // namespace postern::domain
