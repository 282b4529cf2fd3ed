#include "base/text.hpp"
#include "domain/judge.hpp"

#include <algorithm>

// Documents that left git. Only the source that the record names may act on them, only when it is asked to, and only in
// this order: what consumers hold, what admits the token, the token, what is kept of it.
namespace postern::domain {

namespace {

bool is_ours_id(const std::vector<const credential*>& credentials, const std::string& id) {
    return std::any_of(credentials.begin(), credentials.end(), [&](const auto* c) { return c->token_id == id; });
}

// Of two that stand in one list, either of which may be null.
template<class T>
const T* earlier(const T* one, const T* other) {
    if (one == nullptr || other == nullptr)
        return one == nullptr ? other : one;
    return std::min(one, other);
}

// The step that unsets the variables which hold `fingerprint`.
steps::deliver withdrawal(const std::string& token, const delivery_note& note, const std::string& fingerprint) {
    const auto& vars = note.vars;
    const bool combined = vars.size() == 1;
    return {note.account,
            left_name(token, vars),
            note.app,
            combined ? vars.at(0) : std::string{},
            combined ? std::string{} : vars.at(0),
            combined ? std::string{} : vars.at(1),
            {},
            {},
            fingerprint};
}

} // namespace

void judge::left_git() {
    for (const auto& vault : wanted_.vaults) {
        auto at = world_.vaults.find(vault.name);
        if (at == world_.vaults.end() || !at->second || !at->second->state)
            continue;
        for (const auto& [token, r] : at->second->state->records) {
            if (!life_of_.contains(token) && r.source == wanted_.source)
                leave(vault.name, *at->second->state, token, r);
        }
    }
}

// The first whose record has the token in force, and says that it was confirmed; null: none.
const life* judge::heir_of(const std::string& token_id) {
    const life* first = nullptr;
    for (const auto* kept : records_with(token_id)) {
        const auto& [name, r] = *kept;
        auto at = life_of_.find(name);
        if (at != life_of_.end() && lives_[at->second].rec == &r && r.confirmed == r.current->fingerprint)
            first = earlier<life>(first, &lives_[at->second]);
    }
    return first;
}

void judge::leave(const std::string& vault, const state_view& state, const std::string& token, const record& r) {
    const auto resource = "ServiceToken/" + token;
    auto block = [&](std::string_view why, std::string message, weight heft = weight::blocked) {
        tell(resource, "Ready", status::unknown, why, std::move(message), heft);
    };
    if (const auto* heir = r.current ? heir_of(r.current->token_id) : nullptr) {
        const auto words = "its token is kept for ServiceToken " + heir->spec->name + " now";
        return how_.prune ? forget_left(vault, state, token, words) : block(reason::left_git, words, weight::told);
    }
    if (r.deletion == deletion_policy::retain)
        return block(
            reason::left_git,
            "its document left git; by its deletionPolicy everything stays as it is, and is not renewed any more",
            weight::told);
    if (!how_.prune)
        return block(reason::left_git, "its document left git; apply --prune deletes it", weight::told);
    for (const auto& other : wanted_.tokens) {
        if (other.vault == vault && other.path == r.path && other.key == r.key)
            return block(reason::claimed_elsewhere,
                         "ServiceToken " + other.name + " now claims " + r.key + " in " + r.path);
    }
    auto account = world_.accounts.find(r.account);
    const auto& view = *world_.vaults.at(vault);
    auto folder = view.folders.find(r.path);
    if (account == world_.accounts.end() || !account->second || folder == view.folders.end() || !folder->second)
        return block(reason::unreadable, "its account or its folder could not be read", weight::failed);
    if (r.pending && now_ < r.pending->deadline && r.pending->holder != world_.holder) {
        wake_at(r.pending->deadline);
        return block(reason::foreign_intent,
                     "another process is minting a credential for it; looked at again at " +
                         format_instant(r.pending->deadline),
                     weight::waiting);
    }
    // All that was ever made for it and is still there.
    std::vector<credential> all{r.lingering};
    for (const auto* c : {&r.current, &r.previous}) {
        if (*c)
            all.push_back(**c);
    }
    if (auto held = state.held.find(token); held != state.held.end()) {
        for (const auto& [nonce, value] : held->second) {
            if (const auto* live = token_by_client(*account->second, value.client_id))
                all.push_back({nonce, live->id, value.client_id, value.fingerprint});
        }
    }
    std::vector<const credential*> credentials;
    for (const auto& c : all)
        credentials.push_back(&c);
    const life* user = nullptr;
    for (const auto* c : credentials)
        user = earlier(user, life_with(c->token_id));
    if (user != nullptr)
        return block(reason::claimed_elsewhere, "ServiceToken " + user->spec->name + " now uses its token");
    auto is_ours = [&](const std::string& fingerprint) {
        return !fingerprint.empty() && std::any_of(credentials.begin(), credentials.end(),
                                                   [&](const auto* c) { return c->fingerprint == fingerprint; });
    };
    overwriting_.insert(resource);
    auto go = [&](std::string target, std::string words, std::vector<std::string> locks, action what) {
        offer({resource, std::move(target), std::string{reason::left_git}, std::move(words), std::move(locks),
               std::move(what)});
    };

    // 1. What consumers hold. An app that another document serves with this value keeps it.
    std::vector<delivery_note> deliveries;
    for (const bool own : {false, true}) {
        for (const auto& d : r.deliveries) {
            if (is_own_app(d.app) == own)
                deliveries.push_back(d);
        }
    }
    for (const auto& d : deliveries) {
        const auto* app = view_of(d.account, d.app);
        if (app == nullptr || !*app) {
            bool gone = app != nullptr && app->failure && app->failure->status == 404;
            if (gone)
                continue;
            if (find_or_null(world_.heroku, d.account) == nullptr)
                return block(reason::app_unreadable,
                             "app " + d.app + " got its credential, and HerokuAccount " + d.account +
                                 " left git: nothing is deleted that the app may hold. Put that document back until "
                                 "the token is deleted");
            return block(reason::app_unreadable, "app " + d.app + " could not be read", weight::failed);
        }
        for (const auto& [name, value] : (*app)->values) {
            const auto owner = token_of_left_name(name);
            if (owner != token && is_ours(value.fingerprint))
                return block(reason::still_held,
                             (owner.empty() ? "HerokuBinding " + name + " still serves its credential to "
                                            : "what ServiceToken " + owner + " left behind is its credential, on ") +
                                 d.app);
        }
        const auto name = left_name(token, d.vars);
        const auto* value = find_or_null((*app)->values, name);
        if (value == nullptr)
            continue;
        bool same_token = std::any_of(credentials.begin(), credentials.end(),
                                      [&](const auto* c) { return c->client_id == value->client_id; });
        if (is_ours(value->fingerprint))
            return go(join(d.vars, ", ") + " on app " + d.app, "what was delivered is taken back",
                      {"deliver:" + name + "/" + d.app, "heroku:" + d.account + "/" + d.app},
                      withdrawal(token, d, value->fingerprint));
        if (same_token)
            return block(reason::still_held, "app " + d.app + " holds another secret of its token");
    }
    if (auto at = folder->second->values.find(r.key);
        at != folder->second->values.end() && is_ours(at->second.fingerprint))
        return go(r.key + " in " + r.path, "the credential goes", {"key:" + vault + r.path + "/" + r.key},
                  steps::delete_key{vault, r.path, r.key, at->second.fingerprint});

    for (const auto& c : all) {
        if (is_relied_on(c.client_id))
            return block(reason::still_held, "a vault key or an app of another document holds its credential");
    }

    // 2. What admits the token.
    std::vector<std::string> all_ids;
    for (const auto& c : all)
        all_ids.push_back(c.token_id);
    for (const auto& note : r.policies) {
        for (const auto* listed : applications_of(*account->second).with_id(note.application)) {
            const auto& app = *listed;
            for (const auto& p : app.policies) {
                if (p.id != note.policy)
                    continue;
                std::vector<std::string> members;
                for (const auto& rule : p.include) {
                    if (rule.is == rule::kind::service_token && is_ours_id(credentials, rule.id))
                        members.push_back(rule.id);
                }
                if (members.empty())
                    continue;
                std::vector<std::string> locks{policy_lock("left/" + token, app.id), "app:" + r.account + "/" + app.id};
                // A create whose reply was lost, and that came late, may have left a twin that no record knows.
                for (const auto& twin : app.policies) {
                    if (twin.id != p.id && twin.name == p.name && !twin.reusable && twin.decides == p.decides &&
                        names_nobody_else(twin, all_ids))
                        return go("policy \"" + printable(twin.name) + "\" on " + printable(app.name),
                                  "a twin of ours, which admits nobody else", std::move(locks),
                                  steps::delete_policy{r.account, app.id, twin.id, twin.version});
                }
                if (names_nobody_else(p, members) && !p.reusable)
                    return go("policy \"" + printable(p.name) + "\" on " + printable(app.name), "it admits nobody else",
                              std::move(locks), steps::delete_policy{r.account, app.id, p.id, p.version});
                if (!names_nobody_else(p, members))
                    return go(
                        "policy \"" + printable(p.name) + "\" on " + printable(app.name),
                        "the token is taken out of it", std::move(locks),
                        steps::edit_policy{r.account, app.id, p.id, p.reusable, p.version, false, {}, members, 1});
                return block(reason::still_held, "reusable policy \"" + printable(p.name) +
                                                     "\" admits nobody but this token: detach and delete it");
            }
        }
    }

    // 3. The token, 4. what is kept of it.
    const live_token* live = nullptr;
    for (const auto& c : all)
        live = earlier(live, token_by_id(*account->second, c.token_id));
    if (live != nullptr) {
        if (auto who = referrers(*account->second, live->id); !who.empty())
            return block(reason::still_referenced, "token " + live->id + " cannot be deleted while " + join(who, ", ") +
                                                       " names it: take it out there");
        return go("service token " + live->id + " \"" + printable(live->name) + "\"", "the token goes",
                  {"token:" + token}, steps::delete_token{r.account, live->id});
    }
    for (const auto& c : all) {
        auto asked = account->second->proved_absent.find(c.token_id);
        if (asked == account->second->proved_absent.end())
            return go("service token " + c.token_id, "the list does not show it; only its own GET proves that",
                      {"look:" + c.token_id}, steps::look_token{r.account, c.token_id});
    }
    forget_left(vault, state, token, "nothing is left of it");
}

// The write-once keys and the record of a document that left git.
void judge::forget_left(const std::string& vault, const state_view& state, const std::string& token,
                        std::string words) {
    auto declared =
        std::find_if(wanted_.vaults.begin(), wanted_.vaults.end(), [&](const auto& v) { return v.name == vault; });
    auto forget = [&](const std::string& key, const std::string& lock, const std::string& fingerprint) {
        offer({"ServiceToken/" + token,
               key + " in " + declared->state_path,
               std::string{reason::left_git},
               words,
               {lock},
               steps::delete_key{vault, declared->state_path, key, fingerprint}});
    };
    if (auto held = state.held.find(token); held != state.held.end() && !held->second.empty()) {
        const auto& [nonce, value] = *held->second.begin();
        forget(token + "." + nonce, "hold:" + token, value.fingerprint);
        return;
    }
    forget(token, "record:" + token, {});
}

} // namespace postern::domain
