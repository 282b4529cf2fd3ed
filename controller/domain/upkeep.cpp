#include "base/text.hpp"
#include "domain/judge.hpp"

#include <algorithm>

// A credential in force: whatever drifted is put right, in the order in which it hurts.
namespace postern::domain {

namespace {

bool speaks_of_the_credential(verdict v) {
    return v == verdict::login_redirect || v == verdict::unauthorized || v == verdict::forbidden;
}

} // namespace

// True where the token in force was disabled and is enabled first.
bool judge::enabled_again(life& l) {
    const auto* token = token_by_id(*l.account, l.current->token_id);
    if (token == nullptr || token->enabled)
        return false;
    steps::update_token what;
    what.account = l.spec->account;
    what.token_id = token->id;
    what.enabled = true;
    offer({l.resource(),
           "service token " + token->id,
           std::string{reason::disabled},
           "it was disabled by somebody, or by the account's inactivity cleanup",
           {"token:" + l.spec->name},
           std::move(what)},
          l.observing);
    return true;
}

// A credential in force and on record: whatever drifted is put right, in the order in which it hurts.
void judge::maintain(life& l) {
    const auto& c = *l.current;
    const auto& token = *token_by_id(*l.account, c.token_id);
    auto update = [&](steps::update_token what, std::string_view why, std::string words) {
        what.account = l.spec->account;
        what.token_id = token.id;
        offer({l.resource(),
               "service token " + token.id,
               std::string{why},
               std::move(words),
               {"token:" + l.spec->name},
               std::move(what)},
              l.observing);
    };
    schedule(l);
    if (note_request(l))
        return;
    if (token.name == pending_name(*l.spec, c.nonce))
        update({{}, {}, l.spec->display_name, {}, {}}, reason::promoted, "it is no longer pending");
    else if (!token.duration.empty() && token.duration != l.spec->duration_text) {
        auto live = parse_duration(token.duration);
        bool same = live.has_value() && l.spec->lifetime && *live == *l.spec->lifetime;
        if (!same)
            update({{}, {}, {}, l.spec->duration_text, {}}, reason::duration_changed,
                   "it lasts " + printable(token.duration) + ", the document says " + l.spec->duration_text);
    }
    auto kept = l.held->find(c.nonce);
    if (kept == l.held->end() || kept->second.fingerprint != c.fingerprint) {
        credential again = c;
        if (kept != l.held->end() || again.nonce.empty())
            again.nonce = nonce_to_keep(l, c);
        hold(l, again, reason::rebuilt, "its write-once key is missing");
        return;
    }
    if (l.rec->previous && !l.retiring && !l.rec->previous->fingerprint.empty() &&
        is_consumed(l, l.rec->previous->fingerprint) && !is_held(l, l.rec->previous->fingerprint)) {
        hold(l, {nonce_to_keep(l, *l.rec->previous), {}, l.rec->previous->client_id, l.rec->previous->fingerprint, {}},
             reason::rebuilt, "the write-once key of the credential before is missing, and somebody still holds it");
        return;
    }
    keep_previous_secret(l);
    left_policies(l);
    if (!keep_vault(l))
        return;
    bool proved = prove(l, c.fingerprint, reason::unproven, true) == answer::yes;
    bool delivered = deliver(l) == answer::yes;
    if (!claimed_.contains("record:" + l.spec->name)) {
        auto r = settled_record(l);
        if (proved && delivered) {
            bool news = r.confirmed != c.fingerprint;
            r.confirmed = c.fingerprint;
            if (!r.previous || l.rec->reason != reason::compromised)
                r.reason.clear();
            if (r.previous && is_hurried(*l.rec))
                r.previous_until = std::min(r.previous_until.value_or(now_), now_);
            else if (r.previous && !r.previous_until)
                r.previous_until = now_ + l.spec->overlap;
            if (r != *l.rec)
                write_record(l, r, news ? "confirm" : "record", reason::recorded,
                             news ? "vault, apps and hosts agree" : "what changed is noted");
        } else if (r != *l.rec && out_.steps.empty() && busy_.empty()) {
            write_record(l, r, "record", reason::recorded, "what was done so far is noted");
        }
    }
    bool settled =
        proved && delivered && l.rec->confirmed == c.fingerprint && !claimed_.contains("record:" + l.spec->name);
    left_variables(l);
    if (settled && !tidy_held(l)) {
        delete_lingering(l);
        if (l.rec->previous)
            retire(l);
    }
    bool hurry = l.due && l.due->reason == reason::compromised;
    l.may_rotate = !l.rec->previous && (settled || hurry);
    if (proved && delivered && l.rec->confirmed == c.fingerprint) {
        tell(l.resource(), "Provisioned", status::true_, reason::all_fine,
             "token " + c.token_id + " is in force, its credential is kept and in the vault", weight::fine);
        tell(l.resource(), "Verified", status::true_, reason::all_fine, "it passed every host", weight::fine);
        tell(l.resource(), "Ready", status::true_, reason::all_fine, "as declared", weight::fine);
    }
}

// The consumers' key holds the current credential. False: a step was offered, or something is in the way.
bool judge::keep_vault(life& l) {
    const auto& c = *l.current;
    auto block = [&](std::string_view why, std::string message) {
        tell(l.resource(), "Provisioned", status::false_, why, std::move(message), weight::blocked);
        return false;
    };
    if (l.shown != nullptr && l.shown->duplicated)
        return block(reason::duplicate_key, "the vault holds " + l.spec->key + " more than once in " + l.spec->path +
                                                ": delete the wrong one");
    if (l.shown != nullptr && l.shown->hidden)
        return block(reason::value_hidden, "the vault hides the value of " + l.spec->key +
                                               " from Postern's identity: give it the right to read values");
    if (l.shown != nullptr && l.shown->fingerprint == c.fingerprint)
        return true;
    if (!may_overwrite(l, reason::vault_drift))
        return false;
    if (!l.folder->exists)
        return block(reason::folder_missing, "the vault has no folder " + l.spec->path + " any more; create it again");
    if (l.shown != nullptr) {
        l.overwrites = true;
        overwriting_.insert(l.resource());
    }
    if (prove(l, c.fingerprint, reason::vault_drift) != answer::yes) {
        tell(l.resource(), "Provisioned", status::false_, reason::vault_drift,
             "vault key " + l.spec->key + " in " + l.spec->path +
                 (l.shown == nullptr ? " is missing" : " holds another value") +
                 "; the credential is written there once it has passed every host",
             weight::told);
        return false;
    }
    offer({l.resource(),
           l.spec->key + " in " + l.spec->path,
           std::string{reason::vault_drift},
           l.shown == nullptr ? "the key is missing" : "the key holds another value, and ours passes its hosts",
           {"key:" + l.spec->vault + l.spec->path + "/" + l.spec->key},
           steps::write_credential{l.spec->vault, l.spec->path, l.spec->key, c.fingerprint,
                                   l.shown != nullptr ? l.shown->fingerprint : std::string{}, c.client_id}},
          l.observing);
    return false;
}

bool judge::is_dead(const life& l, const std::string& fingerprint) const {
    for (auto i : l.grants) {
        if (grants_[i].narrowed)
            continue; // refused there, it may well be alive
        for (const auto& s : grants_[i].where) {
            auto at = world_.proofs.find({s.host, s.path, fingerprint});
            // One round may be propagation.
            if (at != world_.proofs.end() && at->second.rounds > 1 && speaks_of_the_credential(at->second.last))
                return true;
        }
    }
    return false;
}

judge::rescue judge::emergency_fix(life& l) {
    const auto& c = *l.current;
    std::vector<std::string> foreign;
    auto consider = [&](const std::string& fingerprint, const std::string& client_id) {
        bool ours = fingerprint == c.fingerprint || std::any_of(l.held->begin(), l.held->end(), [&](const auto& entry) {
                        return entry.second.fingerprint == fingerprint;
                    });
        if (!ours && token_by_client(*l.account, client_id) != nullptr &&
            std::find(foreign.begin(), foreign.end(), fingerprint) == foreign.end())
            foreign.push_back(fingerprint);
    };
    if (l.shown != nullptr && !l.shown->hidden && !l.shown->duplicated)
        consider(l.shown->fingerprint, l.shown->client_id);
    for (const auto* b : l.consumers) {
        for (const auto& app : b->apps) {
            if (const auto* value = value_at(*b, app); value != nullptr && !value->absent)
                consider(value->fingerprint, value->client_id);
        }
    }
    if (foreign.empty() || prove(l, c.fingerprint, reason::vault_drift) == answer::yes)
        return {{}, true};
    if (!is_dead(l, c.fingerprint))
        return {};
    for (const auto& fingerprint : foreign) {
        if (prove(l, fingerprint, reason::emergency_fix) == answer::yes)
            return {fingerprint, false};
    }
    return {{}, std::all_of(foreign.begin(), foreign.end(), [&](const auto& f) { return is_dead(l, f); })};
}

} // namespace postern::domain
