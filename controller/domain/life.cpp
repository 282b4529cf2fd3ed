#include "base/text.hpp"
#include "domain/judge.hpp"

#include <algorithm>
#include <cstdint>
#include <tuple>

// A token's credential: which one is in force, whether a new one is needed, and the chain
// intend → mint → hold → bind → prove → promote → deliver → confirm that makes it.
namespace postern::domain {

namespace {

constexpr duration greatest_skew = std::chrono::seconds{60};
// A credential that has not passed by then is thrown away.
constexpr duration greatest_pending_age = std::chrono::hours{24};

std::string pending_name(const service_token& t, const std::string& nonce) {
    return t.display_name + " (pending " + nonce + ")";
}

bool waits_for_a_person(verdict v) {
    return v == verdict::public_path || v == verdict::not_access || v == verdict::firewall || v == verdict::unexpected;
}

bool speaks_of_the_credential(verdict v) {
    return v == verdict::login_redirect || v == verdict::unauthorized || v == verdict::forbidden;
}

const vault_value* value_of(const folder_view& folder, const std::string& key) {
    auto at = folder.values.find(key);
    return at == folder.values.end() ? nullptr : &at->second;
}

} // namespace

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

const live_token* judge::token_by_id(const account_view& a, const std::string& id) const {
    const auto& index = index_.at(&a).by_id;
    auto at = index.find(id);
    return at == index.end() ? nullptr : at->second;
}

const live_token* judge::token_by_client(const account_view& a, const std::string& client_id) const {
    const auto& index = index_.at(&a).by_client;
    auto at = index.find(client_id);
    return client_id.empty() || at == index.end() ? nullptr : at->second;
}

// The installation, this process, the token and its epoch: unlike any other nonce of any token, ever.
std::string judge::new_nonce(const life& l) const {
    std::uint32_t digest = 2166136261U; // FNV-1a
    for (char c : l.spec->name)
        digest = (digest ^ static_cast<unsigned char>(c)) * 16777619U;
    std::string bytes;
    for (unsigned shift : {24U, 16U, 8U, 0U})
        bytes += static_cast<char>(digest >> shift);
    auto epoch = std::to_string((l.rec != nullptr ? l.rec->epoch : 0) + 1);
    return l.state->installation.substr(0, 8) + world_.salt + hex(bytes) + epoch;
}

// ---- what there is

life judge::find(const service_token& spec) {
    static const std::map<std::string, vault_value> nothing;
    life l;
    l.spec = &spec;
    l.held = &nothing;
    l.observing = spec.enforcement == mode::observe;
    auto account = world_.accounts.find(spec.account);
    if (account == world_.accounts.end() || !account->second) {
        l.unready = problem{reason::unreadable, "CloudflareAccount " + spec.account + " could not be read"};
        return l;
    }
    l.account = &*account->second;
    auto vault = world_.vaults.find(spec.vault);
    if (vault == world_.vaults.end() || !vault->second || !vault->second->state) {
        l.unready = problem{reason::unreadable, "InfisicalVault " + spec.vault + " could not be read"};
        return l;
    }
    l.vault = &*vault->second;
    l.state = &*l.vault->state;
    auto folder = l.vault->folders.find(spec.path);
    if (folder == l.vault->folders.end() || !folder->second) {
        bool known = folder != l.vault->folders.end() && folder->second.failure;
        l.unready = problem{reason::unreadable, "folder " + spec.path + " could not be read" +
                                                    (known ? ": " + folder->second.failure->message() : "")};
        l.heft = weight::failed;
        return l;
    }
    l.folder = &*folder->second;
    if (auto at = l.state->unreadable.find(spec.name); at != l.state->unreadable.end()) {
        l.unready = problem{reason::record_unreadable, "its record in the vault is left alone: " + at->second};
        l.heft = weight::blocked;
        return l;
    }
    l.shown = value_of(*l.folder, spec.key);
    if (auto at = l.state->records.find(spec.name); at != l.state->records.end())
        l.rec = &at->second;
    if (auto at = l.state->held.find(spec.name); at != l.state->held.end())
        l.held = &at->second;
    if (l.account->tokens.empty()) {
        // One token on record: its own GET decides. More: a list that is suddenly empty decides nothing.
        auto known = std::count_if(l.state->records.begin(), l.state->records.end(), [&](const auto& entry) {
            const auto& current = entry.second.current;
            return current && !l.account->proved_absent.contains(current->token_id);
        });
        if (known > 1) {
            l.unready =
                problem{reason::empty_list,
                        "Cloudflare listed no service token at all, though the records know " + std::to_string(known) +
                            ": nothing is decided on that; does the API token still have \"Access: Service "
                            "Tokens\"?"};
            l.heft = weight::failed;
        }
    }
    return l;
}

void judge::find_current(life& l) {
    // What the consumers hold outranks the record.
    if (l.shown != nullptr && !l.shown->hidden && !l.shown->duplicated) {
        for (const auto& [nonce, value] : *l.held) {
            const auto* token = token_by_client(*l.account, value.client_id);
            if (value.fingerprint == l.shown->fingerprint && token != nullptr) {
                l.current = credential{nonce, token->id, value.client_id, value.fingerprint};
                return;
            }
        }
    }
    if (l.rec != nullptr && l.rec->current) {
        const auto& known = *l.rec->current;
        if (token_by_id(*l.account, known.token_id) != nullptr) {
            l.current = known;
            return;
        }
        auto asked = l.account->proved_absent.find(known.token_id);
        if (asked == l.account->proved_absent.end()) {
            l.waiting = true;
            offer({l.resource(),
                   "service token " + known.token_id,
                   std::string{reason::token_missing},
                   "the list does not show it; only its own GET can prove that it is gone",
                   {"look:" + known.token_id},
                   steps::look_token{l.spec->account, known.token_id}});
            return;
        }
        l.gone = true;
        return;
    }
    if (l.rec != nullptr && l.rec->pending)
        return;
    if (l.shown != nullptr && !l.shown->hidden && !l.shown->duplicated) {
        if (const auto* token = token_by_client(*l.account, l.shown->client_id)) {
            l.current = credential{{}, token->id, token->client_id, l.shown->fingerprint};
            return;
        }
    }
    for (const auto* b : l.consumers) {
        for (const auto& app : b->apps) {
            const auto* value = value_at(*b, app);
            const auto* token = value == nullptr ? nullptr : token_by_client(*l.account, value->client_id);
            if (token != nullptr) {
                l.current = credential{{}, token->id, token->client_id, value->fingerprint};
                return;
            }
        }
    }
    if (!l.spec->adopt.empty()) {
        if (const auto* token = token_by_id(*l.account, l.spec->adopt))
            l.current = credential{{}, token->id, token->client_id, {}};
    }
}

void judge::find_pending(life& l) {
    if (l.waiting)
        return;
    auto take = [&](const std::string& nonce, const vault_value& value) {
        const auto* token = token_by_client(*l.account, value.client_id);
        bool other = !l.current || l.current->fingerprint != value.fingerprint;
        if (token != nullptr && other)
            l.pending = credential{nonce, token->id, value.client_id, value.fingerprint};
    };
    if (l.rec != nullptr && l.rec->pending) {
        if (auto at = l.held->find(l.rec->pending->nonce); at != l.held->end())
            take(at->first, at->second);
        l.discard = l.pending && now_ > l.rec->pending->started + greatest_pending_age;
        return;
    }
    // A record that was lost: what is held under a write-once key is taken up again.
    if (l.rec == nullptr && (!l.current || l.current->nonce.empty())) {
        for (const auto& [nonce, value] : *l.held)
            take(nonce, value);
        if (l.pending && l.current && l.current->nonce.empty() && l.current->token_id == l.pending->token_id &&
            l.current->fingerprint != l.pending->fingerprint)
            return;
        if (l.pending && l.current && l.current->nonce.empty())
            l.pending.reset();
    }
}

bool judge::available(const life& l, const std::string& fingerprint) const {
    if (fingerprint.empty())
        return false;
    for (const auto& [nonce, value] : *l.held) {
        if (value.fingerprint == fingerprint)
            return true;
    }
    if (l.shown != nullptr && l.shown->fingerprint == fingerprint)
        return true;
    for (const auto* b : l.consumers) {
        for (const auto& app : b->apps) {
            const auto* value = value_at(*b, app);
            if (value != nullptr && value->fingerprint == fingerprint)
                return true;
        }
    }
    return false;
}

// ---- what to do

void judge::advance(life& l) {
    if (l.unready) {
        tell(l.resource(), "Ready", status::unknown, l.unready->reason, l.unready->message, l.heft);
        return;
    }
    if (l.waiting)
        return;
    if (l.vault->awaiting_approval.contains(l.spec->path)) {
        tell(l.resource(), "Provisioned", status::false_, reason::awaiting_approval,
             "the vault answered a write to " + l.spec->path +
                 " with an approval request: nothing was stored. Let Postern's identity bypass the change policy of "
                 "this folder, or merge the request",
             weight::blocked);
        return;
    }
    if (l.account != nullptr && index_.at(l.account).names[l.spec->display_name] > 1 && l.current)
        tell(l.resource(), "Provisioned", status::true_, reason::duplicate_name,
             "Cloudflare has more than one token named \"" + printable(l.spec->display_name) +
                 "\"; ours is known by its id, the others are left alone",
             weight::told);
    if (l.rec != nullptr && l.rec->current && l.current && l.rec->current->fingerprint == l.current->fingerprint &&
        available(l, l.current->fingerprint)) {
        if (l.rec->pending && l.rec->pending->nonce != l.rec->current->nonce) {
            bool fixing = l.rec->pending->reason == reason::emergency_fix;
            auto from = fixing ? emergency_fix(l) : std::nullopt;
            if (!fixing || from || l.pending)
                issue(l, l.rec->pending->reason, "what was begun is finished", from.value_or(""));
            return;
        }
        if (auto fix = emergency_fix(l)) {
            issue(l, reason::emergency_fix,
                  "another credential passes the hosts where ours does not: somebody's emergency fix", *fix);
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

// A credential that the world holds and the record does not name: promoted before a crash, or found and adopted.
void judge::adopt(life& l) {
    const auto& c = *l.current;
    for (const auto& [name, vault] : world_.vaults) {
        if (!vault || !vault->state)
            continue;
        for (const auto& [other, r] : vault->state->records) {
            if (other != l.spec->name && r.current && r.current->token_id == c.token_id) {
                tell(l.resource(), "Provisioned", status::false_, reason::claimed_elsewhere,
                     "token " + c.token_id + " is already kept for ServiceToken " + printable(other), weight::blocked);
                return;
            }
        }
    }
    bool was_ours = !c.nonce.empty();
    if (!was_ours) {
        if (prove(l, c.fingerprint, reason::adopted) != answer::yes)
            return;
        credential kept = c;
        kept.nonce = new_nonce(l);
        hold(l, kept, reason::adopted, "the credential that is in use passes its hosts and is taken over as it is");
        return;
    }
    auto r = settled_record(l);
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
        auto same = index_.at(l.account).names[l.spec->display_name];
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
    if (l.grants.empty())
        return block(reason::no_binding, "no AccessBinding names this token: nothing could be proved with it");
    for (auto i : l.grants) {
        if (grants_[i].stuck)
            return block(reason::unproven,
                         "AccessBinding " + grants_[i].binding->name +
                             " is blocked: nothing is minted that could not be proved",
                         weight::told);
    }
    if (l.shown != nullptr && (l.rec == nullptr || !l.rec->current)) {
        // A key that Postern never wrote. A credential of a token that no longer exists may be replaced; nothing else.
        if (l.shown->client_id.empty())
            return block(reason::key_taken, l.spec->key + " in " + l.spec->path +
                                                " holds something that is no credential: it is not overwritten");
        switch (prove(l, l.shown->fingerprint, reason::key_taken)) {
        case answer::yes:
            return block(reason::key_taken, l.spec->key + " in " + l.spec->path +
                                                " holds a working credential of a token that this account does not "
                                                "list: it is not overwritten");
        case answer::not_yet:
            if (!is_dead(l, l.shown->fingerprint))
                return false;
            break;
        case answer::no:
            if (!is_dead(l, l.shown->fingerprint))
                return false;
            break;
        }
    }
    if (!apps_readable(l))
        return false;
    if (l.account->skew > greatest_skew || l.account->skew < -greatest_skew)
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
void judge::issue(life& l, std::string_view why, std::string words, const std::string& from_fingerprint) {
    if (l.pending) {
        carry_pending(l);
        return;
    }
    const auto intent_now = [&] {
        auto r = base_record(l);
        bool again = l.rec != nullptr && l.rec->pending;
        bool spent = again && l.held->contains(l.rec->pending->nonce); // what it made was thrown away
        bool successor = l.rec != nullptr && l.rec->current && !l.gone;
        r.epoch += 1;
        r.holder = world_.holder;
        intent i;
        i.nonce = again && !spent ? l.rec->pending->nonce : new_nonce(l);
        i.reason = again ? l.rec->pending->reason : std::string{why};
        i.holder = world_.holder;
        i.started = again && !spent ? l.rec->pending->started : now_;
        i.deadline = now_ + how_.request_timeout;
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
            write_record(l, intent_now(), "intend", why, std::move(words));
        return;
    }
    const auto& intended = *l.rec->pending;
    if (auto made = world_.minted.find(intended.nonce); made != world_.minted.end()) {
        hold(l, made->second, intended.reason, "from here on a crash loses nothing");
        return;
    }
    if (!from_fingerprint.empty()) {
        for (const auto& [id, token] : index_.at(l.account).by_id) {
            // The secret's owner is found by what the consumers' key or an app says of it.
            bool shown = l.shown != nullptr && l.shown->fingerprint == from_fingerprint &&
                         l.shown->client_id == token->client_id;
            bool at_app = std::any_of(l.consumers.begin(), l.consumers.end(), [&](const heroku_binding* b) {
                return std::any_of(b->apps.begin(), b->apps.end(), [&](const auto& app) {
                    const auto* value = value_at(*b, app);
                    return value != nullptr && value->fingerprint == from_fingerprint &&
                           value->client_id == token->client_id;
                });
            });
            if (shown || at_app) {
                hold(l, {intended.nonce, id, token->client_id, from_fingerprint}, why, std::move(words));
                return;
            }
        }
        return;
    }
    bool mine = intended.holder == world_.holder;
    if (mine && world_.unsent.contains(intended.nonce)) {
        offer({l.resource(),
               "service token \"" + l.spec->display_name + "\"",
               intended.reason,
               std::move(words),
               {"token:" + l.spec->name},
               steps::mint{l.spec->account, l.spec->name, intended.nonce, pending_name(*l.spec, intended.nonce),
                           l.spec->duration_text}},
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
    for (const auto& token : l.account->tokens) {
        if (token.name != pending_name(*l.spec, intended.nonce))
            continue;
        offer({l.resource(),
               "service token " + token.id + " \"" + printable(token.name) + "\"",
               std::string{reason::lost_reply},
               "its reply was lost and nobody holds its secret",
               {"token:" + l.spec->name},
               steps::delete_token{l.spec->account, token.id}},
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
    write_record(l, intent_now(), "intend", intended.reason, "the request of the intent before came to nothing");
}

// A credential that has not passed its hosts for a day is of no use to anybody: out of the policies, deleted,
// forgotten. The intent stays, so that the next one needs no new authorization.
void judge::discard_pending(life& l) {
    const auto& c = *l.pending;
    for (auto i : l.grants) {
        const auto& g = grants_[i];
        if (g.app == nullptr)
            continue;
        for (const auto& p : g.app->policies) {
            bool member = std::any_of(p.include.begin(), p.include.end(), [&](const rule& r) {
                return r.is == rule::kind::service_token && r.id == c.token_id;
            });
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
                                             {c.token_id},
                                             used_by(g.binding->account, p.id)};
            if (p.include.size() == 1)
                what = steps::delete_policy{g.binding->account, g.app->id, p.id, p.version};
            offer({l.resource(), "policy \"" + printable(p.name) + "\" on " + printable(g.app->name),
                   std::string{reason::proof_failed}, "its credential has not passed for a day and is thrown away",
                   std::move(locks), std::move(what)},
                  l.observing);
            return;
        }
    }
    offer({l.resource(),
           "service token " + c.token_id,
           std::string{reason::proof_failed},
           "its credential has not passed for a day and is thrown away",
           {"token:" + l.spec->name},
           steps::delete_token{l.spec->account, c.token_id}},
          l.observing);
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
    for (const auto& token : l.account->tokens) {
        if (token.id == c.token_id || token.name != pending_name(*l.spec, c.nonce))
            continue;
        offer({l.resource(),
               "service token " + token.id,
               std::string{reason::lost_reply},
               "a late request made it; nobody holds its secret",
               {"token:" + l.spec->name},
               steps::delete_token{l.spec->account, token.id}},
              l.observing);
    }
    if (prove(l, c.fingerprint, why) != answer::yes)
        return;
    if (l.shown != nullptr && (l.shown->hidden || l.shown->duplicated)) {
        may_issue(l, why);
        return;
    }
    if (!apps_readable(l))
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
    if (!token.enabled) {
        update({{}, {}, {}, {}, true}, reason::disabled,
               "it was disabled by somebody, or by the account's inactivity cleanup");
        return;
    }
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
            again.nonce = new_nonce(l);
        hold(l, again, reason::rebuilt, "its write-once key is missing");
        return;
    }
    if (!keep_vault(l))
        return;
    bool proved = prove(l, c.fingerprint, reason::unproven, true) == answer::yes;
    bool delivered = deliver(l) == answer::yes;
    if (!claimed_.contains("record:" + l.spec->name)) {
        auto r = settled_record(l);
        if (proved && delivered) {
            bool news = r.confirmed != c.fingerprint;
            r.confirmed = c.fingerprint;
            r.reason.clear();
            if (r.previous && !r.previous_until)
                r.previous_until = now_ + l.spec->overlap;
            if (r != *l.rec)
                write_record(l, r, news ? "confirm" : "record", reason::recorded,
                             news ? "vault, apps and hosts agree" : "what changed is noted");
        } else if (r != *l.rec && out_.steps.empty() && busy_.empty()) {
            write_record(l, r, "record", reason::recorded, "what was done so far is noted");
        }
    }
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
    if (!l.folder->exists)
        return block(reason::folder_missing, "the vault has no folder " + l.spec->path + " any more; create it again");
    if (l.shown != nullptr) {
        l.overwrites = true;
        overwriting_.insert(l.resource());
    }
    if (prove(l, c.fingerprint, reason::vault_drift) != answer::yes)
        return false;
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
        for (const auto& s : grants_[i].where) {
            auto at = world_.proofs.find({s.host, s.path, fingerprint});
            // One round may be propagation.
            if (at != world_.proofs.end() && at->second.rounds > 1 && speaks_of_the_credential(at->second.last))
                return true;
        }
    }
    return false;
}

// The fingerprint of a value that a consumer holds and that passes while ours does not.
std::optional<std::string> judge::emergency_fix(life& l) {
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
    if (foreign.empty())
        return {};
    if (prove(l, c.fingerprint, reason::vault_drift) == answer::yes || !is_dead(l, c.fingerprint))
        return {};
    for (const auto& fingerprint : foreign) {
        if (prove(l, fingerprint, reason::emergency_fix) == answer::yes)
            return fingerprint;
    }
    return {};
}

judge::answer judge::prove(life& l, const std::string& fingerprint, std::string_view why, bool only_owed) {
    bool passed = true;
    bool hopeless = false;
    bool any = false;
    std::optional<std::string> token_id;
    if (l.current && l.current->fingerprint == fingerprint)
        token_id = l.current->token_id;
    if (l.pending && l.pending->fingerprint == fingerprint)
        token_id = l.pending->token_id;
    for (auto i : l.grants) {
        const auto& g = grants_[i];
        if (g.app == nullptr || g.trouble) {
            // No proof over an application that cannot be resolved; its binding says why.
            passed = false;
            hopeless = true;
            continue;
        }
        any = true;
        if (only_owed && l.rec != nullptr) {
            auto note = std::find_if(l.rec->policies.begin(), l.rec->policies.end(), [&](const auto& n) {
                return n.binding == g.binding->name && n.application == g.app->id;
            });
            bool touched = token_id && world_.touched.contains({g.app->id, *token_id});
            if (note != l.rec->policies.end() && note->proved == fingerprint && !touched &&
                (g.own == nullptr || g.own->id == note->policy))
                continue;
        }
        // Somebody else's value is tried as it is; one of ours only where its token is admitted.
        bool admitted = !token_id || (g.own != nullptr &&
                                      std::any_of(g.own->include.begin(), g.own->include.end(), [&](const rule& r) {
                                          return r.is == rule::kind::service_token && r.id == *token_id;
                                      }));
        for (const auto& s : g.where) {
            auto at = world_.proofs.find({s.host, s.path, fingerprint});
            if (at != world_.proofs.end() && at->second.last == verdict::passed)
                continue;
            passed = false;
            if (!admitted)
                continue;
            if (at != world_.proofs.end()) {
                const auto& p = at->second;
                if (waits_for_a_person(p.last)) {
                    hopeless = true;
                    tell(l.resource(), "Verified", status::false_, reason::proof_failed,
                         "https://" + s.host + s.path + ": " + p.detail, weight::failed);
                    continue;
                }
                tell(l.resource(), "Verified", status::false_, reason::propagating,
                     "https://" + s.host + s.path + " does not let the credential pass yet: " + p.detail +
                         "; tried again at " + format_instant(p.again),
                     weight::waiting);
                if (now_ < p.again) {
                    wake_at(p.again);
                    continue;
                }
            }
            offer({l.resource(),
                   "https://" + s.host + s.path,
                   std::string{why},
                   "a credential is proved before anybody relies on it",
                   {"prove:" + l.spec->name + "/" + s.host + s.path + "/" + fingerprint},
                   steps::prove{l.spec->name, g.app->id, s.host, s.path, fingerprint, g.binding->smoke.expect_status,
                                g.binding->smoke.attempts, g.binding->smoke.interval}},
                  l.observing);
        }
    }
    if (!any && !hopeless) {
        if (only_owed)
            tell(l.resource(), "Verified", status::false_, reason::no_binding,
                 "no AccessBinding names this token: nothing could be proved with it", weight::blocked);
        return answer::no;
    }
    return passed ? answer::yes : hopeless ? answer::no : answer::not_yet;
}

// ---- what is written down

record judge::base_record(const life& l) const {
    record r = l.rec != nullptr ? *l.rec : record{};
    r.installation = l.state->installation;
    if (r.holder.empty())
        r.holder = world_.holder;
    r.source = wanted_.source;
    r.deletion = l.spec->deletion;
    r.account = l.spec->account;
    r.path = l.spec->path;
    r.key = l.spec->key;
    return r;
}

// The record as it should be, given what is in force and what was proved and delivered.
record judge::settled_record(const life& l) const {
    auto r = base_record(l);
    const auto& c = *l.current;
    if (!r.current || r.current->fingerprint != c.fingerprint || r.current->token_id != c.token_id) {
        if (r.current && r.current->token_id != c.token_id) {
            r.previous = r.current;
            r.previous_until.reset();
        }
        if (r.pending)
            r.reason = r.pending->reason;
        r.current = c;
    }
    r.current->nonce = c.nonce;
    if (r.pending && r.pending->nonce == c.nonce)
        r.pending.reset();
    for (auto i : l.grants) {
        const auto& g = grants_[i];
        if (g.app == nullptr || g.own == nullptr)
            continue;
        auto at = std::find_if(r.policies.begin(), r.policies.end(), [&](const auto& n) {
            return n.binding == g.binding->name && n.application == g.app->id;
        });
        if (at == r.policies.end())
            at = r.policies.insert(r.policies.end(), policy_note{g.binding->name, g.app->id, {}, {}, {}});
        if (at->policy != g.own->id)
            at->put.clear();
        at->policy = g.own->id;
        for (const auto& member : g.own->include) {
            bool ours = member.is == rule::kind::service_token &&
                        (member.id == c.token_id || (l.pending && member.id == l.pending->token_id) ||
                         (r.previous && member.id == r.previous->token_id));
            if (ours && std::find(at->put.begin(), at->put.end(), member.id) == at->put.end())
                at->put.push_back(member.id);
        }
        std::sort(at->put.begin(), at->put.end());
        bool all = !g.where.empty() && std::all_of(g.where.begin(), g.where.end(), [&](const site& s) {
            auto proof = world_.proofs.find({s.host, s.path, c.fingerprint});
            return proof != world_.proofs.end() && proof->second.last == verdict::passed;
        });
        if (all)
            at->proved = c.fingerprint;
    }
    std::sort(r.policies.begin(), r.policies.end(), [](const auto& a, const auto& b) {
        return std::tie(a.binding, a.application) < std::tie(b.binding, b.application);
    });
    for (const auto* b : l.consumers) {
        for (const auto& app : b->apps) {
            const auto* value = value_at(*b, app);
            if (value == nullptr || value->fingerprint != c.fingerprint)
                continue;
            auto at = std::find_if(r.deliveries.begin(), r.deliveries.end(),
                                   [&](const auto& n) { return n.account == b->account && n.app == app; });
            if (at == r.deliveries.end())
                at = r.deliveries.insert(r.deliveries.end(), delivery_note{b->account, app, {}, 0, {}, {}});
            at->vars = b->combined() ? std::vector<std::string>{b->config_var}
                                     : std::vector<std::string>{b->client_id_var, b->client_secret_var};
            at->delivered = c.fingerprint;
            at->intended.clear();
        }
    }
    std::sort(r.deliveries.begin(), r.deliveries.end(),
              [](const auto& a, const auto& b) { return std::tie(a.account, a.app) < std::tie(b.account, b.app); });
    return r;
}

void judge::write_record(life& l, record value, std::string stage, std::string_view why, std::string words) {
    const auto& vault = *std::find_if(wanted_.vaults.begin(), wanted_.vaults.end(),
                                      [&](const auto& v) { return v.name == l.spec->vault; });
    if (!l.state->initialised) {
        offer({"InfisicalVault/" + vault.name,
               "folder " + vault.state_path,
               std::string{reason::not_initialised},
               "Postern's own folder and its installation id",
               {"vault:" + vault.name},
               steps::initialise{vault.name, vault.state_path}},
              l.observing);
        // A plan goes on as if that had been done; for real it is awaited.
        return;
    }
    bool exists = l.rec != nullptr || l.state->clobbered.contains(l.spec->name);
    offer({l.resource(),
           "record in " + vault.state_path,
           std::string{why},
           std::move(words),
           {"record:" + l.spec->name},
           steps::write_record{vault.name, vault.state_path, l.spec->name, std::move(value), exists, std::move(stage)}},
          l.observing);
}

void judge::hold(life& l, const credential& c, std::string_view why, std::string words) {
    const auto& vault = *std::find_if(wanted_.vaults.begin(), wanted_.vaults.end(),
                                      [&](const auto& v) { return v.name == l.spec->vault; });
    if (!l.state->initialised) {
        write_record(l, base_record(l), "record", why, std::move(words)); // offers to initialise
        return;
    }
    offer({l.resource(),
           l.spec->name + "." + c.nonce + " in " + vault.state_path,
           std::string{why},
           std::move(words),
           {"hold:" + l.spec->name},
           steps::hold{vault.name, vault.state_path, l.spec->name, c.nonce, c.fingerprint, c.client_id}},
          l.observing);
}

void judge::schedule(const life& l) {
    const auto& token = *token_by_id(*l.account, l.current->token_id);
    if (!token.expires_at) {
        tell(l.resource(), "RotationDue", status::false_, reason::never_expires, "the token has no expiry",
             weight::fine);
        return;
    }
    auto due = *token.expires_at - l.spec->renew_before;
    bool is_due = due <= now_;
    tell(l.resource(), "RotationDue", is_due ? status::true_ : status::false_,
         is_due ? reason::expiring : reason::scheduled,
         "expires " + format_instant(*token.expires_at) + ", to be rotated from " + format_instant(due),
         is_due ? weight::told : weight::fine);
}

} // namespace postern::domain
