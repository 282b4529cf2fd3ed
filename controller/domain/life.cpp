#include "base/text.hpp"
#include "domain/judge.hpp"

#include <algorithm>

// What there is: which credential of a token is in force, which one is on its way.
namespace postern::domain {

namespace {

// A credential that has not passed by then is thrown away.
constexpr duration greatest_pending_age = std::chrono::hours{24};

const vault_value* value_of(const folder_view& folder, const std::string& key) {
    auto at = folder.values.find(key);
    return at == folder.values.end() ? nullptr : &at->second;
}

} // namespace

const application_index& judge::applications_of(const account_view& a) const {
    return index_.at(&a).applications;
}

const std::vector<const live_token*>& judge::tokens_by_name(const account_view& a, const std::string& name) const {
    static const std::vector<const live_token*> none;
    const auto& index = index_.at(&a).by_name;
    auto at = index.find(name);
    return at == index.end() ? none : at->second;
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
    if (l.account->tokens.empty() || l.account->empty_list)
        doubt_empty_list(l);
    return l;
}

// A list that shows no token at all, though records know some: each one's own GET has to prove that it is gone, and
// until then nothing is decided.
void judge::doubt_empty_list(life& l) {
    const auto [counted, fresh] = doubted_.try_emplace({l.state, l.spec->account});
    auto& known = counted->second;
    if (fresh) {
        for (const auto& [token, r] : l.state->records) {
            bool counts = r.current && r.account == l.spec->account && life_of_.contains(token) &&
                          !l.account->proved_absent.contains(r.current->token_id);
            known += counts ? 1 : 0;
        }
    }
    // A credential on its way may be one of those that the list hides.
    bool hidden = false;
    if (l.rec != nullptr && l.rec->pending) {
        auto made = l.held->find(l.rec->pending->nonce);
        hidden = made != l.held->end() && token_by_client(*l.account, made->second.client_id) == nullptr;
    }
    if (known <= 1 && !hidden)
        return;
    l.unready = problem{reason::empty_list,
                        "Cloudflare listed no service token at all, though the records and the write-once keys know "
                        "some: nothing is decided on that; does the API token still have \"Access: Service Tokens\"?"};
    l.heft = weight::failed;
    if (l.rec != nullptr && l.rec->previous && token_by_id(*l.account, l.rec->previous->token_id) == nullptr)
        prove_absence(l, l.rec->previous->token_id, reason::empty_list);
    if (l.rec != nullptr && l.rec->current && token_by_id(*l.account, l.rec->current->token_id) == nullptr)
        prove_absence(l, l.rec->current->token_id, reason::empty_list);
}

// True once the token's own GET said 404 in this pass; else that GET is offered.
bool judge::prove_absence(const life& l, const std::string& token_id, std::string_view why) {
    if (auto asked = l.account->proved_absent.find(token_id); asked != l.account->proved_absent.end())
        return asked->second;
    offer({l.resource(),
           "service token " + token_id,
           std::string{why},
           "the list does not show it; only its own GET can prove that it is gone",
           {"look:" + token_id},
           steps::look_token{l.spec->account, token_id}});
    return false;
}

void judge::find_current(life& l) {
    // What the consumers hold outranks the record.
    if (l.shown != nullptr && !l.shown->hidden && !l.shown->duplicated) {
        for (const auto& [nonce, value] : *l.held) {
            const auto* token = token_by_client(*l.account, value.client_id);
            bool before = l.rec != nullptr && l.rec->previous && l.rec->previous->fingerprint == value.fingerprint;
            if (value.fingerprint == l.shown->fingerprint && token != nullptr && !before) {
                l.current = credential{nonce, token->id, value.client_id, value.fingerprint};
                return;
            }
        }
    }
    if (l.rec != nullptr && l.rec->current) {
        const auto& known = *l.rec->current;
        if (token_by_id(*l.account, known.token_id) != nullptr) {
            l.current = known;
            auto kept = l.held->find(known.nonce);
            if (kept != l.held->end() && kept->second.fingerprint == known.fingerprint)
                return;
            for (const auto& [nonce, value] : *l.held) {
                if (!known.fingerprint.empty() && value.fingerprint == known.fingerprint)
                    l.current->nonce = nonce;
            }
            return;
        }
        if (!prove_absence(l, known.token_id, reason::token_missing)) {
            l.waiting = true;
            return;
        }
        l.gone = true;
    } else if (l.rec != nullptr && l.rec->pending) {
        return;
    }
    if (l.shown != nullptr && !l.shown->hidden && !l.shown->duplicated) {
        if (const auto* token = token_by_client(*l.account, l.shown->client_id)) {
            l.current = credential{{}, token->id, token->client_id, l.shown->fingerprint};
            l.gone = false;
            return;
        }
    }
    for (const auto* b : l.consumers) {
        for (const auto& app : b->apps) {
            const auto* value = value_at(*b, app);
            const auto* token = value == nullptr ? nullptr : token_by_client(*l.account, value->client_id);
            if (token != nullptr) {
                auto kept = std::find_if(l.held->begin(), l.held->end(),
                                         [&](const auto& h) { return h.second.fingerprint == value->fingerprint; });
                l.current = credential{kept == l.held->end() ? std::string{} : kept->first, token->id, token->client_id,
                                       value->fingerprint};
                l.gone = false;
                return;
            }
        }
    }
    if (!l.gone && !l.spec->adopt.empty()) {
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
        const auto* best = l.pending ? token_by_id(*l.account, l.pending->token_id) : nullptr;
        bool older = token != nullptr && best != nullptr && token->created_at < best->created_at;
        if (token != nullptr && other && !older)
            l.pending = credential{nonce, token->id, value.client_id, value.fingerprint};
    };
    if (l.rec != nullptr && l.rec->pending) {
        if (auto at = l.held->find(l.rec->pending->nonce); at != l.held->end())
            take(at->first, at->second);
        l.discard = l.pending && is_hopeless(l);
        if (l.discard && l.current && l.pending->token_id == l.current->token_id)
            l.pending.reset(); // a second secret of the token in force: a token beside it is tried instead
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

// A credential that we made, that nobody holds, and that was refused for a day, in this process too.
bool judge::is_hopeless(const life& l) const {
    const auto& c = *l.pending;
    const auto& intended = *l.rec->pending;
    if (now_ <= intended.started + greatest_pending_age || intended.reason == reason::emergency_fix)
        return false;
    // Whoever holds the secret before holds one of the same client id, and not this one. There is no third for it: it
    // is given up for what Access said of it, not for a host that is down.
    const bool second = l.current && c.token_id == l.current->token_id;
    const auto* token = token_by_id(*l.account, c.token_id);
    if (second ? is_consumed(l, c.fingerprint)
               : is_relied_on(*l.account, c.token_id) || token->name != pending_name(*l.spec, c.nonce))
        return false;
    return std::any_of(world_.proofs.begin(), world_.proofs.end(), [&](const auto& entry) {
        const auto said = entry.second.last;
        const bool refused =
            said == verdict::login_redirect || said == verdict::unauthorized || said == verdict::forbidden;
        return entry.first.fingerprint == c.fingerprint && entry.second.rounds > 0 &&
               (second ? refused : said != verdict::passed);
    });
}

bool judge::available(const life& l, const std::string& fingerprint) const {
    return !fingerprint.empty() && (is_held(l, fingerprint) || is_consumed(l, fingerprint));
}

// Whether a write-once key keeps this very credential.
bool judge::is_held(const life& l, const std::string& fingerprint) const {
    return std::any_of(l.held->begin(), l.held->end(),
                       [&](const auto& entry) { return entry.second.fingerprint == fingerprint; });
}

// Whether the token's own key or one of its apps holds this very credential.
bool judge::is_consumed(const life& l, const std::string& fingerprint) const {
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

} // namespace postern::domain
