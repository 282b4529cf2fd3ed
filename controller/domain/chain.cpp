#include "base/text.hpp"
#include "domain/judge.hpp"

#include <algorithm>
#include <cstdint>

// How a credential comes to be: intend → mint → hold → bind → prove → promote. What follows, deliver and confirm, is
// upkeep: a credential that is in force is brought to everybody who should have it.
namespace postern::domain {

namespace {

// A renewed token expires that much sooner than its lifetime after the intent, at most.
constexpr duration renewal_slack = std::chrono::minutes{5};

std::string digest(std::string_view text) {
    std::uint32_t sum = 2166136261U; // FNV-1a
    for (char c : text)
        sum = (sum ^ static_cast<unsigned char>(c)) * 16777619U;
    std::string bytes;
    for (unsigned shift : {24U, 16U, 8U, 0U})
        bytes += static_cast<char>(sum >> shift);
    return hex(bytes);
}

} // namespace

std::string pending_name(const service_token& t, const std::string& nonce) {
    return t.display_name + " (pending " + nonce + ")";
}

bool authorizes(const std::string& text, const std::string& key) {
    auto start = "I authorize " + key;
    if (!text.starts_with(start))
        return false;
    auto rest = std::string_view{text}.substr(start.size());
    if (rest.empty())
        return true;
    constexpr std::string_view again = " again ";
    if (!rest.starts_with(again))
        return false;
    return parse_instant(std::string{rest.substr(again.size())} + "T00:00:00Z").has_value();
}

void judge::advance(life& l) {
    if (l.unready) {
        tell(l.resource(), "Ready", status::unknown, l.unready->reason, l.unready->message, l.heft);
        return;
    }
    if (l.waiting)
        return;
    if (l.rec != nullptr && l.state->doubled.contains(l.spec->name)) {
        make_single(l);
        return;
    }
    if (world_.awaiting_approval.contains({l.spec->vault, l.spec->path})) {
        tell(l.resource(), "Provisioned", status::false_, reason::awaiting_approval,
             "the vault answered a write to " + l.spec->path +
                 " with an approval request: nothing was stored. Let Postern's identity bypass the change policy of "
                 "this folder, or merge the request",
             weight::blocked);
        return;
    }
    auto namesakes = tokens_by_name(*l.account, l.spec->display_name);
    std::erase_if(namesakes, [&](const live_token* token) {
        return l.rec != nullptr && l.rec->previous && l.rec->previous->token_id == token->id;
    });
    if (namesakes.size() > 1 && l.current)
        tell(l.resource(), "Provisioned", status::true_, reason::duplicate_name,
             "Cloudflare has more than one token named \"" + printable(l.spec->display_name) +
                 "\"; ours is known by its id, the others are left alone",
             weight::told);
    if (l.rec != nullptr && l.rec->current && l.current && l.rec->current->fingerprint == l.current->fingerprint &&
        available(l, l.current->fingerprint)) {
        if (keep_alive(l) || enabled_again(l))
            return;
        if (l.rec->pending && l.rec->pending->nonce != l.rec->current->nonce) {
            // That of another process is not disturbed.
            bool begun_here = l.rec->pending->holder == world_.holder || now_ >= l.rec->pending->deadline;
            if (begun_here && note_request(l))
                return;
            bool fixing = l.rec->pending->reason == reason::emergency_fix;
            auto fix = fixing && !l.pending ? emergency_fix(l) : rescue{};
            bool over = fixing && (l.pending ? !is_consumed(l, l.pending->fingerprint) : fix.over);
            if (is_stale(l) || over) {
                auto r = settled_record(l);
                r.pending.reset();
                write_record(l, std::move(r), "record", reason::recorded, "what was intended is not needed any more");
                return;
            }
            if (!fixing || fix.fingerprint || l.pending)
                issue(l, l.rec->pending->reason,
                      fixing ? "what was begun is finished" : "another one, beside the credential in force",
                      fix.fingerprint.value_or(""));
            return;
        }
        if (auto fix = emergency_fix(l); fix.fingerprint) {
            issue(l, reason::emergency_fix,
                  "another credential passes the hosts where ours does not: somebody's emergency fix",
                  *fix.fingerprint);
            return;
        }
        bool foreign = l.shown != nullptr && l.shown->fingerprint != l.current->fingerprint;
        if (foreign && is_dead(l, l.current->fingerprint) &&
            (l.shown->client_id.empty() || is_dead(l, l.shown->fingerprint))) {
            issue(l, reason::secret_mismatch, "the vault's value is another than ours, and neither passes");
            return;
        }
        maintain(l);
        return;
    }
    if (l.current && available(l, l.current->fingerprint)) {
        adopt(l);
        return;
    }
    if (l.pending) {
        carry_pending(l);
        return;
    }
    if (l.gone || !l.current)
        issue(l, reason::token_missing, l.gone ? "the token is gone from Cloudflare" : "there is no token yet");
    else
        issue(l, reason::secret_missing, "nobody can show the token's secret");
}

// Two processes created the record at the same instant. The one whose row counts makes it the only one; who comes later
// waits for it, and does it where nobody does. Nothing else is done before.
void judge::make_single(life& l) {
    const auto& pending = l.rec->pending;
    if (pending && pending->holder != world_.holder && now_ < pending->deadline) {
        wake_at(pending->deadline);
        tell(l.resource(), "Provisioned", status::false_, reason::foreign_intent,
             "another process (" + printable(pending->holder) + ") began at the same instant; looked at again at " +
                 format_instant(pending->deadline),
             weight::waiting);
        return;
    }
    if (pending && pending->holder != world_.holder && world_.seen_at < pending->deadline) {
        out_.refresh = true;
        return;
    }
    write_record(l, *l.rec, "record", reason::duplicate_key, "two processes wrote it at the same instant");
}

// An intent from before the credential in force was made: a late write of a process that is gone.
bool judge::is_stale(const life& l) const {
    const auto* token = token_by_id(*l.account, l.current->token_id);
    auto made = l.rec->current->made;
    if (!made && token != nullptr)
        made = token->created_at;
    return !l.pending && made && *made > l.rec->pending->started;
}

// The same credential under a document of another name, from the same source: the record of the old name is what is
// left of it.
bool judge::was_renamed(const life& l, const std::string& old_name, const record& r) const {
    return !life_of_.contains(old_name) && r.source == wanted_.source && r.path == l.spec->path &&
           r.key == l.spec->key && r.account == l.spec->account;
}

// A credential that the world holds and the record does not name: promoted before a crash, or found and adopted.
void judge::adopt(life& l) {
    const auto& c = *l.current;
    std::vector<const record*> of_old_names;
    for (const auto* kept : records_with(c.token_id)) {
        const auto& [other, r] = *kept;
        if (other == l.spec->name)
            continue;
        if (was_renamed(l, other, r)) {
            of_old_names.push_back(&r);
            continue;
        }
        tell(l.resource(), "Provisioned", status::false_, reason::claimed_elsewhere,
             "token " + c.token_id + " is already kept for ServiceToken " + printable(other) +
                 (life_of_.contains(other) ? ": one token has one document"
                                           : ", of source " + printable(r.source) +
                                                 ", whose document is not here. Where that one was renamed to this, "
                                                 "keep its account, path and key, and apply from its source"),
             weight::blocked);
        return;
    }
    if (const auto* other = life_with(c.token_id); other != &l) {
        tell(l.resource(), "Provisioned", status::false_, reason::claimed_elsewhere,
             "token " + c.token_id + " is taken over by ServiceToken " + other->spec->name +
                 ", which comes before: one token has one document",
             weight::blocked);
        return;
    }
    const auto* token = token_by_id(*l.account, c.token_id);
    if (c.nonce.empty() && token != nullptr && !token->enabled) {
        tell(l.resource(), "Provisioned", status::false_, reason::disabled,
             "token " + c.token_id +
                 ", which the consumers hold, is disabled at Cloudflare: enable it there to have "
                 "it taken over",
             weight::blocked);
        return;
    }
    bool was_ours = !c.nonce.empty();
    if (!was_ours) {
        if (prove(l, c.fingerprint, reason::adopted) != answer::yes)
            return;
        credential kept = c;
        kept.nonce = nonce_to_keep(l, c);
        hold(l, kept, reason::adopted, "the credential that is in use passes its hosts and is taken over as it is");
        return;
    }
    if (enabled_again(l))
        return;
    auto r = settled_record(l);
    // Under another name: what the old record knows of variables that no binding names any more is kept.
    if (l.rec == nullptr) {
        for (const auto* old : of_old_names)
            take_notes(r, *old);
    }
    // The record was lost. What was minted under this key went to the consumers that are bound: theirs is our own.
    bool adopted = c.nonce.starts_with(l.state->installation.substr(0, 8) + c.fingerprint);
    if (l.rec == nullptr && !adopted) {
        r.promoted = l.spec->path + "/" + l.spec->key;
        claim_apps(l, r);
    }
    if (!look_before_promote(l, r, c.fingerprint))
        return;
    bool minted = l.rec != nullptr && l.rec->pending && l.rec->pending->nonce == c.nonce;
    auto why = minted ? reason::promoted : l.rec == nullptr ? reason::adopted : reason::rebuilt;
    write_record(l, std::move(r), "promote", why, "the consumers' key holds this credential");
}

bool judge::authorized(const life& l) const {
    return authorizes(l.spec->authorization, l.spec->key) &&
           (l.rec == nullptr || !l.rec->authorizations.contains(l.spec->authorization));
}

// What Postern wrote once is its own, and so is what it keeps. Anything else in the key is somebody's: only a
// credential that no host lets in any more may be replaced.
bool judge::may_overwrite(life& l, std::string_view why) {
    if (l.shown == nullptr || (l.rec != nullptr && l.rec->promoted == l.spec->path + "/" + l.spec->key))
        return true;
    if (is_held(l, l.shown->fingerprint) || (l.current && l.current->fingerprint == l.shown->fingerprint))
        return true;
    auto taken = [&](std::string_view what) {
        tell(l.resource(), "Provisioned", status::false_, reason::key_taken,
             l.spec->key + " in " + l.spec->path + " holds " + std::string{what} + ": it is not overwritten",
             weight::blocked);
        return false;
    };
    if (l.shown->client_id.empty())
        return taken("something that is no credential");
    if (l.grants.empty() || prove(l, l.shown->fingerprint, why) == answer::yes)
        return taken("a working credential that Postern did not put there");
    return is_dead(l, l.shown->fingerprint);
}

bool judge::may_issue(life& l, std::string_view why) {
    auto block = [&](std::string_view reason, std::string message, weight heft = weight::blocked) {
        tell(l.resource(), "Provisioned", status::false_, reason, std::move(message), heft);
        return false;
    };
    if (!l.folder->exists)
        return block(reason::folder_missing,
                     "the vault has no folder " + l.spec->path + "; create it, or correct the path");
    if (l.shown != nullptr && l.shown->hidden)
        return block(reason::value_hidden, "the vault hides the value of " + l.spec->key +
                                               " from Postern's identity: give it the right to read values");
    if (l.shown != nullptr && l.shown->duplicated)
        return block(reason::duplicate_key, "the vault holds " + l.spec->key + " more than once in " + l.spec->path +
                                                ": delete the wrong one");
    if (!l.current && !l.gone) {
        auto same = tokens_by_name(*l.account, l.spec->display_name).size();
        if (same == 1)
            return block(reason::secret_unknown,
                         "Cloudflare already has a token named \"" + printable(l.spec->display_name) +
                             "\" whose secret nobody can show; it is left alone. To have it replaced, say adopt: "
                             "{tokenId: …} with its id and authorization: \"I authorize " +
                             l.spec->key + "\"");
        if (same > 1)
            return block(reason::duplicate_name,
                         "Cloudflare has " + std::to_string(same) + " tokens named \"" +
                             printable(l.spec->display_name) +
                             "\" and nothing says which is meant; name one under adopt: {tokenId: …}");
    }
    for (const auto& [nonce, value] : *l.held) {
        if (l.rec == nullptr && !value.client_id.empty() && token_by_client(*l.account, value.client_id) == nullptr)
            return block(reason::record_unreadable,
                         "its record is lost, a credential is kept as " + l.spec->name + "." + nonce +
                             ", and Cloudflare's list does not show its token: if that is gone, delete this key");
    }
    if (l.grants.empty())
        return block(reason::no_binding, "no AccessBinding names this token: nothing could be proved with it");
    for (auto i : l.grants) {
        if (grants_[i].observing && !l.observing)
            return block(reason::observed_drift,
                         "AccessBinding " + grants_[i].binding->name +
                             " also names a token in mode Observe, so its policies are not written: give that one a "
                             "binding of its own");
        if (grants_[i].stuck)
            return block(reason::unproven,
                         "AccessBinding " + grants_[i].binding->name +
                             " is blocked: nothing is minted that could not be proved",
                         weight::told);
    }
    if (!may_overwrite(l, reason::key_taken))
        return false;
    if (!apps_readable(l))
        return false;
    if (clock_differs(*l.account))
        return block(reason::clock_skew,
                     "this machine's clock and Cloudflare's differ by " +
                         format_duration(l.account->skew < duration{} ? -l.account->skew : l.account->skew) +
                         ": set the clock; nothing is minted until then",
                     weight::failed);
    bool successor = l.rec != nullptr && l.rec->current && !l.gone;
    if (!successor && !authorized(l)) {
        bool used = l.rec != nullptr && !l.rec->authorizations.empty();
        auto date = format_instant(now_).substr(0, 10);
        return block(used ? reason::authorization_used : reason::authorization_missing,
                     "a credential has to be minted from scratch (" + std::string{why} +
                         "); if that is meant, say authorization: \"I authorize " + l.spec->key +
                         (used ? " again " + date : std::string{}) + "\"");
    }
    return true;
}

// intend → mint → hold, or intend → hold where the credential exists already.
void judge::issue(life& l, std::string_view why, std::string words, const std::string& from_fingerprint, strategy how) {
    if (l.pending) {
        carry_pending(l);
        return;
    }
    bool again = l.rec != nullptr && l.rec->pending;
    // A new nonce each time: whatever a request of the one before still does, it does not meet this one.
    const auto intend = [&](const std::string& nonce) {
        auto r = base_record(l);
        bool successor = l.rec != nullptr && l.rec->current && !l.gone;
        r.epoch += 1;
        r.holder = world_.holder;
        intent i;
        i.nonce = nonce;
        i.reason = again ? l.rec->pending->reason : std::string{why};
        i.holder = world_.holder;
        bool longer = again && l.rec->pending->nonce == nonce;
        bool found = again && l.held->contains(nonce);
        i.started = longer ? l.rec->pending->started : now_;
        i.deadline = now_ + how_.request_timeout;
        if (how == strategy::in_place && !again)
            i.deadline += how_.request_timeout; // the first half is waited: see may_rotate_in_place()
        // Whatever was sent before, a second token does no harm.
        i.how = longer || found ? l.rec->pending->how : again ? strategy::replace : how;
        r.pending = i;
        if (!again && !successor && from_fingerprint.empty())
            r.authorizations.insert(l.spec->authorization);
        if (l.gone)
            r.current.reset();
        else if (!r.current && l.current && l.current->fingerprint.empty())
            r.current = l.current; // adopt: {tokenId}: a token whose secret nobody knows, to be replaced
        return r;
    };
    if (l.rec == nullptr || !l.rec->pending) {
        if (!from_fingerprint.empty() || may_issue(l, why))
            write_record(l, intend(new_nonce(l)), "intend", why, std::move(words));
        return;
    }
    const auto& intended = *l.rec->pending;
    if (auto made = world_.minted.find(intended.nonce); made != world_.minted.end()) {
        if (now_ < intended.deadline)
            hold(l, made->second, intended.reason, "from here on a crash loses nothing");
        else if (world_.seen_at < intended.deadline)
            out_.refresh = true; // somebody else may have taken over
        else
            write_record(l, intend(intended.nonce), "intend", intended.reason, "it took longer than its deadline");
        return;
    }
    if (!from_fingerprint.empty()) {
        // The secret's owner is found by what the consumers' key or an app says of it.
        const live_token* owner = nullptr;
        auto consider = [&](const std::string& fingerprint, const std::string& client_id) {
            if (owner == nullptr && fingerprint == from_fingerprint)
                owner = token_by_client(*l.account, client_id);
        };
        if (l.shown != nullptr)
            consider(l.shown->fingerprint, l.shown->client_id);
        for (const auto* b : l.consumers) {
            for (const auto& app : b->apps) {
                if (const auto* value = value_at(*b, app))
                    consider(value->fingerprint, value->client_id);
            }
        }
        if (owner != nullptr)
            hold(l, {intended.nonce, owner->id, owner->client_id, from_fingerprint}, why, std::move(words));
        return;
    }
    bool mine = intended.holder == world_.holder;
    if (mine && world_.unsent.contains(intended.nonce) && now_ < intended.deadline) {
        if (renew_first(l, intended))
            return;
        if (intended.how == strategy::in_place && l.current) {
            if (!may_rotate_in_place(l, intended))
                return;
            if (auto newer = second_secret(l)) {
                write_record(l, intend(*newer), "intend", intended.reason,
                             "another process has rotated it already, and its secret is kept");
                return;
            }
            const auto* token = token_by_id(*l.account, l.current->token_id);
            auto cut_off = now_ + l.account->skew + longest_cut_off;
            if (token != nullptr && token->expires_at)
                cut_off = std::min(cut_off, *token->expires_at);
            offer({l.resource(),
                   "secret of service token " + l.current->token_id,
                   intended.reason,
                   std::move(words),
                   {"token:" + l.spec->name},
                   steps::rotate{l.spec->account, l.spec->name, l.current->token_id, intended.nonce, cut_off,
                                 intended.deadline}},
                  l.observing);
            return;
        }
        offer({l.resource(),
               "service token \"" + l.spec->display_name + "\"",
               intended.reason,
               std::move(words),
               {"token:" + l.spec->name},
               steps::mint{l.spec->account, l.spec->name, intended.nonce, pending_name(*l.spec, intended.nonce),
                           l.spec->duration_text, intended.deadline}},
              l.observing);
        return;
    }
    if (!mine && now_ < intended.deadline) {
        wake_at(intended.deadline);
        tell(l.resource(), "Provisioned", status::false_, reason::foreign_intent,
             "another process (" + printable(intended.holder) + ") is minting this credential; looked at again at " +
                 format_instant(intended.deadline),
             weight::waiting);
        return;
    }
    // The request was sent, by us or by somebody who is late, and nobody holds its secret.
    if (l.held->contains(intended.nonce) && !l.pending) {
        const auto& kept = l.held->at(intended.nonce);
        if (kept.hidden || kept.duplicated || kept.client_id.empty()) {
            tell(l.resource(), "Provisioned", status::false_, reason::value_hidden,
                 "its write-once key " + l.spec->name + "." + intended.nonce +
                     " is there and cannot be read: give Postern's identity the right to read values, or delete it",
                 weight::blocked);
            return;
        }
    }
    const auto& made = tokens_by_name(*l.account, pending_name(*l.spec, intended.nonce));
    // Somebody else who got the reply in time keeps the secret with the next request; what was seen before that one's
    // end says nothing.
    const auto kept_by = mine ? instant{} : intended.deadline + how_.request_timeout;
    if (!made.empty() && world_.seen_at < kept_by) {
        if (now_ < kept_by) {
            wake_at(kept_by);
            tell(l.resource(), "Provisioned", status::false_, reason::foreign_intent,
                 "another process (" + printable(intended.holder) +
                     ") has made this credential and may be about to keep it; looked at again at " +
                     format_instant(kept_by),
                 weight::waiting);
        } else {
            out_.refresh = true;
        }
        return;
    }
    for (const auto* token : made) {
        if (leaves_policies(l, token->id, reason::lost_reply, "nobody holds its secret"))
            return;
        offer({l.resource(),
               "service token " + token->id + " \"" + printable(token->name) + "\"",
               std::string{reason::lost_reply},
               "nobody holds its secret",
               {"token:" + l.spec->name},
               steps::delete_token{l.spec->account, token->id}},
              l.observing);
        return;
    }
    if (world_.seen_at < intended.deadline) {
        if (now_ < intended.deadline) {
            wake_at(intended.deadline);
            tell(l.resource(), "Provisioned", status::false_, reason::lost_reply,
                 "the reply to a request was lost; Cloudflare is looked at again at " +
                     format_instant(intended.deadline),
                 weight::waiting);
        } else {
            out_.refresh = true;
        }
        return;
    }
    write_record(l, intend(new_nonce(l)), "intend", intended.reason,
                 "the request of the intent before came to nothing");
}

// The nonce of a secret of the token in force that no pointer of the record knows.
std::optional<std::string> judge::second_secret(const life& l) const {
    for (const auto& [nonce, value] : *l.held) {
        bool before = l.rec->previous && l.rec->previous->fingerprint == value.fingerprint;
        if (value.client_id == l.current->client_id && value.fingerprint != l.current->fingerprint && !before)
            return nonce;
    }
    return {};
}

// A second rotation inside an overlap may end the secret that consumers hold, and no lease fences Cloudflare. So
// whoever intends to rotate in place lets as much time pass as a request of somebody else's may take, and looks again.
bool judge::may_rotate_in_place(life& l, const intent& intended) {
    const auto from = intended.deadline - how_.request_timeout;
    if (how_.imagined || world_.seen_at >= from)
        return true;
    if (now_ >= from) {
        out_.refresh = true;
        return false;
    }
    wake_at(from);
    tell(l.resource(), "RotationDue", status::true_, reason::in_progress,
         "looked at once more at " + format_instant(from) + ", before its secret is rotated in place", weight::waiting);
    return false;
}

// The present token's expiry is moved before its successor is made, so that no stall from here on can expire it. True
// where that comes first.
bool judge::renew_first(life& l, const intent& intended) {
    const auto* token = l.current ? token_by_id(*l.account, l.current->token_id) : nullptr;
    if (token == nullptr || !token->expires_at || !l.spec->lifetime || world_.renewed.contains(token->id) ||
        *token->expires_at >= intended.started + *l.spec->lifetime - renewal_slack)
        return false;
    extend(l, *token, intended.reason, "no stall from here on can expire the present one");
    return true;
}

// True where the token still stands in a policy of its bindings, which it leaves first: Cloudflare deletes none that is
// named. One that somebody holds stays where it is.
bool judge::leaves_policies(const life& l, const std::string& token_id, std::string_view why, std::string words) {
    if (is_relied_on(*l.account, token_id))
        return false;
    for (auto i : l.grants) {
        const auto& g = grants_[i];
        if (g.app == nullptr || g.own == nullptr)
            continue;
        const auto& p = *g.own;
        bool member = std::any_of(p.include.begin(), p.include.end(),
                                  [&](const rule& r) { return r.is == rule::kind::service_token && r.id == token_id; });
        if (!member)
            continue;
        std::vector<std::string> locks{policy_lock(g.binding->name, g.app->id),
                                       "app:" + g.binding->account + "/" + g.app->id};
        action what = steps::edit_policy{g.binding->account,
                                         g.app->id,
                                         p.id,
                                         p.reusable,
                                         p.version,
                                         false,
                                         {},
                                         {token_id},
                                         used_by(g.binding->account, p.id)};
        auto target = "policy \"" + printable(p.name) + "\" on " + printable(g.app->name);
        if (names_nobody_else(p, {token_id})) {
            if (p.reusable) {
                tell(l.resource(), "Bound", status::true_, reason::still_held,
                     "reusable " + target + " admits nobody but a token that is thrown away: detach and delete it",
                     weight::blocked);
                return true;
            }
            what = steps::delete_policy{g.binding->account, g.app->id, p.id, p.version};
        }
        offer({l.resource(), std::move(target), std::string{why}, std::move(words), std::move(locks), std::move(what)},
              l.observing || g.observing);
        return true;
    }
    return false;
}

// A credential that has not passed its hosts for a day is of no use to anybody: out of the policies, deleted,
// forgotten. The intent stays, so that the next one needs no new authorization.
void judge::discard_pending(life& l) {
    const auto& c = *l.pending;
    const std::string words = "its credential has not passed for a day and is thrown away";
    // Without its key nobody holds it, and it is deleted like one whose reply was lost.
    if (!leaves_policies(l, c.token_id, reason::proof_failed, words))
        forget_key(l, c.nonce, c.fingerprint, reason::proof_failed, words);
}

// bind → prove → promote of a credential that is held.
void judge::carry_pending(life& l) {
    if (l.discard) {
        discard_pending(l);
        return;
    }
    const auto& c = *l.pending;
    auto why = l.rec != nullptr && l.rec->pending ? std::string_view{l.rec->pending->reason} : reason::rebuilt;
    // Late requests of the same intent made tokens whose secrets nobody holds.
    for (const auto* token : tokens_by_name(*l.account, pending_name(*l.spec, c.nonce))) {
        if (token->id == c.token_id)
            continue;
        offer({l.resource(),
               "service token " + token->id,
               std::string{reason::lost_reply},
               "a late request made it; nobody holds its secret",
               {"token:" + l.spec->name},
               steps::delete_token{l.spec->account, token->id}},
              l.observing);
    }
    if (prove(l, c.fingerprint, why) != answer::yes)
        return;
    if (l.shown != nullptr && (l.shown->hidden || l.shown->duplicated)) {
        may_issue(l, why);
        return;
    }
    if (!may_overwrite(l, why) || !apps_readable(l))
        return;
    auto notes = base_record(l);
    if (!look_before_promote(l, notes, c.fingerprint))
        return;
    offer({l.resource(),
           l.spec->key + " in " + l.spec->path,
           std::string{why},
           "proved on every host: consumers read it from now on",
           {"key:" + l.spec->vault + l.spec->path + "/" + l.spec->key},
           steps::write_credential{l.spec->vault, l.spec->path, l.spec->key, c.fingerprint,
                                   l.shown != nullptr ? l.shown->fingerprint : std::string{}, c.client_id}},
          l.observing);
}

// The installation, this process, the token and its epoch: unlike any other nonce of any token, ever.
std::string judge::new_nonce(const life& l) const {
    const auto start = l.state->installation.substr(0, 8) + world_.salt + digest(l.spec->name);
    auto epoch = (l.rec != nullptr ? l.rec->epoch : 0) + 1;
    while (l.held->contains(start + std::to_string(epoch))) // the record was rolled back
        ++epoch;
    return start + std::to_string(epoch);
}

// Every process that keeps a credential which exists already keeps it under the same nonce, hence once.
std::string judge::nonce_to_keep(const life& l, const credential& c) const {
    return l.state->installation.substr(0, 8) + c.fingerprint + digest(c.nonce);
}

} // namespace postern::domain
