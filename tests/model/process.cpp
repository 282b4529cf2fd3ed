#include "model/process.hpp"

#include <algorithm>

namespace postern::model {

namespace {

constexpr duration wait = std::chrono::minutes{20};

template<class T>
reading<T> seen(T value) {
    reading<T> out;
    out.seen = std::move(value);
    return out;
}

template<class T>
reading<T> not_seen() {
    reading<T> out;
    out.failure = trouble_of(error_kind::unavailable, "not answered");
    return out;
}

account_view account_of(const remotes& r, blindness missing) {
    account_view view;
    view.id = "a";
    for (const auto& t : r.tokens)
        view.tokens.push_back(t.seen);
    if (missing == blindness::no_tokens)
        view.tokens.clear();
    if (missing == blindness::lacks_a_token && !view.tokens.empty())
        view.tokens.pop_back();
    for (const auto& g : r.applications)
        view.applications.push_back(g.seen);
    return view;
}

// The id under which this process would initialise the folder.
std::string installation_by(const process& p) {
    return "install-" + p.world.holder;
}

state_view state_of(const remotes& r, const process& p) {
    state_view view;
    view.initialised = r.initialised;
    view.installation = r.initialised ? r.installation : installation_by(p);
    view.records = r.records;
    view.clobbered = r.clobbered;
    for (const auto& [key, credential] : r.held) {
        auto dot = key.find('.');
        view.held[key.substr(0, dot)][key.substr(dot + 1)] = view_of(credential);
    }
    return view;
}

app_value value_of(const running_app& app, const std::string& var) {
    auto at = app.vars.find(var);
    if (at == app.vars.end())
        return {};
    return {false, at->second, client_id_of(at->second)};
}

void remember(process& p, const std::string& credential) {
    if (!client_id_of(credential).empty())
        p.ring.insert(credential);
}

struct sender {
    process& p;
    remotes& r;
    instant now;

    using sent = std::variant<outcome, request>;

    bool knows(const std::string& credential) const { return p.ring.contains(credential); }
    static sent failed(error_kind kind, std::string what) { return failing(trouble_of(kind, std::move(what))); }

    sent operator()(const steps::initialise& s) const {
        if (r.initialised)
            return failed(error_kind::conflict, "another process has written it");
        return request{s, {}, installation_by(p)};
    }

    sent operator()(const steps::write_record& s) const {
        auto found = r.records.find(s.token);
        if (s.exists && found != r.records.end() &&
            found->second.epoch != s.value.epoch - (s.stage == "intend" ? 1 : 0))
            return failed(error_kind::conflict, "another process has written it since");
        return request{s, {}, {}};
    }

    // Which of these was sent is known before it goes out.
    template<class Once>
    sent once(const Once& s) const {
        if (now >= s.deadline)
            return failed(error_kind::conflict, "its deadline has passed");
        if (p.world.unsent.erase(s.nonce) == 0)
            return failed(error_kind::conflict, "its request may have been sent already");
        return request{s, {}, {}};
    }
    sent operator()(const steps::mint& s) const { return once(s); }
    sent operator()(const steps::rotate& s) const { return once(s); }

    sent operator()(const steps::hold& s) const {
        if (!knows(s.fingerprint))
            return failed(error_kind::bug, "this process does not know the secret " + s.fingerprint);
        return request{s, {}, {}};
    }

    sent operator()(const steps::edit_policy& s) const {
        auto at = std::find_if(r.applications.begin(), r.applications.end(),
                               [&](const auto& g) { return g.seen.id == s.application; });
        const auto* found = find_policy(*at, s.policy);
        if (found == nullptr || found->version != s.version)
            return failed(error_kind::conflict, "it moved since it was judged");
        auto put = *found;
        std::erase_if(put.include, [&](const rule& m) {
            return m.is == rule::kind::service_token &&
                   std::find(s.remove.begin(), s.remove.end(), m.id) != s.remove.end();
        });
        for (const auto& id : s.add)
            put.include.push_back({rule::kind::service_token, id, {}});
        if (s.make_non_identity)
            put.decides = decision::non_identity;
        set_version(put);
        return request{s, put, {}};
    }

    sent operator()(const steps::delete_policy& s) const {
        auto at = std::find_if(r.applications.begin(), r.applications.end(),
                               [&](const auto& g) { return g.seen.id == s.application; });
        const auto* found = find_policy(*at, s.policy);
        if (found != nullptr && found->version != s.version)
            return failed(error_kind::conflict, "it moved since it was judged");
        return request{s, {}, {}};
    }

    sent operator()(const steps::write_credential& s) const {
        if (!knows(s.fingerprint))
            return failed(error_kind::bug, "this process does not know the secret " + s.fingerprint);
        const auto& folder = s.path == state_path ? r.held : r.creds;
        auto at = folder.find(s.key);
        auto is = at == folder.end() ? std::string{} : at->second;
        if (is == s.fingerprint)
            return outcome{};
        if (is != s.before)
            return failed(error_kind::conflict, "it changed since it was judged");
        return request{s, {}, {}};
    }

    sent operator()(const steps::delete_key& s) const {
        if (s.fingerprint.empty())
            return request{s, {}, {}};
        const auto& folder = s.path == creds_path ? r.creds : r.held;
        auto at = folder.find(s.key);
        if (at == folder.end())
            return outcome{};
        if (at->second != s.fingerprint)
            return failed(error_kind::conflict, "it holds another value");
        return request{s, {}, {}};
    }

    sent operator()(const steps::deliver& s) const {
        if (!s.fingerprint.empty() && !knows(s.fingerprint))
            return failed(error_kind::bug, "this process does not know the secret " + s.fingerprint);
        const auto& app = r.apps.at(s.app);
        auto is = value_of(app, s.config_var);
        if (is.fingerprint == s.fingerprint) {
            outcome out;
            out.value = is;
            return out;
        }
        if (is.fingerprint != s.before)
            return failed(error_kind::conflict, "its variables changed since they were judged");
        if (!app.releases.empty() && app.releases.front().status == "pending")
            return failed(error_kind::conflict, "a release that sets these variables is still pending");
        return request{s, {}, {}};
    }

    sent operator()(const steps::prove& s) const {
        if (!knows(s.fingerprint))
            return failed(error_kind::bug, "this process does not know the secret " + s.fingerprint);
        auto found = knock(s, p.world.proofs);
        found.rounds += found.last == verdict::passed ? 0 : 1;
        return showing(std::move(found));
    }

    sent operator()(const steps::try_retired& s) const {
        if (!knows(s.fingerprint))
            return failed(error_kind::bug, "this process does not know the secret " + s.fingerprint);
        auto found = knock(s, p.world.refusals);
        ++found.rounds;
        return showing(std::move(found));
    }

    template<class Knock>
    proof knock(const Knock& s, const std::map<proof_key, proof>& so_far) const {
        auto before = so_far.find({s.host, s.path, s.fingerprint});
        proof found;
        found.rounds = before == so_far.end() ? 0 : before->second.rounds;
        found.at = now;
        auto at = std::find_if(r.applications.begin(), r.applications.end(),
                               [&](const auto& g) { return g.seen.id == s.application; });
        found.last = passes(r, *at, s.fingerprint, now) ? verdict::passed : verdict::login_redirect;
        if (found.last == verdict::passed)
            find_token(r, token_of(r, s.fingerprint)->seen.id)->seen.last_seen_at = now;
        return found;
    }

    sent showing(proof found) const {
        auto pause = std::chrono::seconds{found.rounds > 3 ? 60 : 5 * (1 << found.rounds)};
        if (found.rounds > 0)
            found.again = now + std::min<duration>(pause, std::chrono::seconds{60});
        outcome out;
        out.proved = std::move(found);
        return out;
    }

    sent operator()(const steps::look_token& s) const {
        outcome out;
        const auto* t = find_token(r, s.token_id);
        out.absent = t == nullptr;
        if (t != nullptr)
            out.token = t->seen;
        return out;
    }

    sent operator()(const steps::look_releases& s) const {
        outcome out;
        out.releases = r.apps.at(s.app).releases;
        return out;
    }

    // Waits for the release: that it ends is up to Heroku, and it does.
    sent operator()(const steps::await_release& s) const {
        auto& app = r.apps.at(s.app);
        end_release(app);
        outcome out;
        out.releases = app.releases;
        for (const auto& [var, credential] : app.vars) {
            if (!app.releases.empty() && app.releases.front().description == "Set " + var + " config vars")
                out.value = app_value{false, credential, client_id_of(credential)};
        }
        return out;
    }

    template<class Write>
    sent operator()(const Write& s) const {
        return request{s, {}, {}};
    }
};

} // namespace

const char* words_of(blindness b) {
    switch (b) {
    case blindness::none:
        return "and sees all";
    case blindness::no_tokens:
        return "but the list of tokens comes back empty";
    case blindness::lacks_a_token:
        return "but the list lacks the newest token";
    case blindness::vault_fails:
        return "but the vault does not answer";
    case blindness::app_fails:
        return "but a Heroku app does not answer";
    case blindness::account_fails:
        return "but Cloudflare does not answer";
    case blindness::end_:
        break;
    }
    return "";
}

process new_process(int number) {
    process p;
    p.world.holder = "p" + std::to_string(number);
    p.world.salt = "s" + std::to_string(number) + "-";
    return p;
}

void gather(process& p, const desired& wanted, const remotes& r, instant now, blindness missing) {
    auto& w = p.world;
    w.accounts.clear();
    w.vaults.clear();
    w.heroku.clear();
    w.renewed.clear();
    w.stale = false;
    w.seen_at = now;
    p.outdated = missing != blindness::none;

    w.accounts["raxx"] = missing == blindness::account_fails ? not_seen<account_view>() : seen(account_of(r, missing));
    if (missing == blindness::vault_fails) {
        w.vaults["infisical"] = not_seen<vault_view>();
    } else {
        vault_view vault;
        vault.state = seen(state_of(r, p));
        folder_view folder;
        folder.exists = true;
        for (const auto& t : wanted.tokens) {
            if (auto at = r.creds.find(t.key); at != r.creds.end()) {
                folder.values[t.key] = view_of(at->second);
                remember(p, at->second);
            }
        }
        for (const auto& [key, credential] : r.held)
            remember(p, credential);
        vault.folders[creds_path] = seen(folder);
        vault.folders[state_path] = seen(folder_view{true, {}}); // so that a broken core may write there
        w.vaults["infisical"] = seen(vault);
    }
    heroku_view heroku;
    for (const auto& b : wanted.heroku_bindings) {
        for (const auto& name : b.apps) {
            auto& into = heroku.apps[name];
            if (missing == blindness::app_fails && &b == &wanted.heroku_bindings.front() && name == b.apps.front()) {
                into = not_seen<app_view>();
                continue;
            }
            if (!into)
                into = seen(app_view{});
            auto value = value_of(r.apps.at(name), b.config_var);
            into->values[b.name] = value;
            remember(p, value.fingerprint);
        }
    }
    w.heroku["heroku"] = seen(heroku);
}

std::variant<outcome, request> send(process& p, const step& s, remotes& r, instant now) {
    return std::visit(sender{p, r, now}, s.what);
}

outcome finish(const step& s, outcome came, const remotes& r) {
    if (came.failure)
        return came;
    auto holds = [&](const std::map<std::string, std::string>& folder, const std::string& key,
                     const std::string& credential) {
        auto at = folder.find(key);
        return at != folder.end() && at->second == credential;
    };
    bool same = true;
    if (const auto* h = std::get_if<steps::hold>(&s.what))
        same = holds(r.held, h->token + "." + h->nonce, h->fingerprint);
    if (const auto* c = std::get_if<steps::write_credential>(&s.what))
        same = holds(c->path == state_path ? r.held : r.creds, c->key, c->fingerprint);
    return same ? came : failing(trouble_of(error_kind::conflict, "it was written, but holds something else now"));
}

void take_in(process& p, const step& s, const outcome& came, instant now) {
    if (!came.failure && (writes(s) || (came.proved && came.proved->last == verdict::passed))) {
        p.idle_readings = 0;
        p.give_up = now + wait;
    }
    if (!came.failure && !came.fingerprint.empty())
        p.ring.insert(came.fingerprint);
    effect(p.world, s, came, now);
}

} // namespace postern::model
