#include "base/text.hpp"
#include "domain/judge.hpp"

#include <algorithm>
#include <optional>
#include <string_view>
#include <unordered_set>

// What nothing accounts for: tokens that bear our installation's id and that no record, no write-once key and no live
// intent covers, and write-once keys whose token is gone. A late request, a lost reply or a process that was stopped
// for too long leaves such things; nobody holds them.
namespace postern::domain {

namespace {

constexpr std::size_t id_in_nonce = 8;

// The nonce in "<display name> (pending <nonce>)"; empty where the name has another form.
std::string_view nonce_in(std::string_view name) {
    constexpr std::string_view mark = " (pending ";
    auto at = name.rfind(mark);
    if (at == std::string_view::npos || !name.ends_with(')'))
        return {};
    auto from = at + mark.size();
    return name.substr(from, name.size() - from - 1);
}

// What records, write-once keys and intents account for.
struct accounted_for {
    std::unordered_set<std::string_view> token_ids;
    std::unordered_set<std::string_view> client_ids;
    std::unordered_set<std::string_view> nonces;

    explicit accounted_for(const state_view& state) {
        for (const auto& [name, r] : state.records) {
            for (const auto* c : {&r.current, &r.previous}) {
                if (*c)
                    token_ids.insert((*c)->token_id);
            }
            for (const auto& c : r.lingering)
                token_ids.insert(c.token_id);
            if (r.pending)
                nonces.insert(r.pending->nonce);
        }
        for (const auto& [name, held] : state.held) {
            for (const auto& [nonce, value] : held)
                client_ids.insert(value.client_id);
        }
    }

    bool covers(const live_token& token, std::string_view nonce) const {
        return token_ids.contains(token.id) || nonces.contains(nonce) || client_ids.contains(token.client_id);
    }
};

} // namespace

void judge::find_sweepable() {
    for (const auto& vault : wanted_.vaults) {
        auto at = world_.vaults.find(vault.name);
        // What cannot be read may be what accounts for it.
        if (at == world_.vaults.end() || !at->second || !at->second->state ||
            at->second->state->installation.size() < id_in_nonce || !at->second->state->unreadable.empty() ||
            !at->second->state->clobbered.empty())
            continue;
        const auto& state = *at->second->state;
        const auto prefix = state.installation.substr(0, id_in_nonce);
        std::optional<accounted_for> known; // most often no token has a nonce in its name
        for (const auto& [name, account] : world_.accounts) {
            if (!account)
                continue;
            for (const auto& token : account->tokens) {
                auto nonce = nonce_in(token.name);
                if (!nonce.starts_with(prefix))
                    continue;
                if (!known)
                    known.emplace(state);
                if (known->covers(token, nonce) || is_relied_on(token.client_id))
                    continue;
                const auto old = token.created_at.value_or(instant{}) - account->skew + 2 * how_.request_timeout;
                if (now_ < old)
                    wake_at(old); // its intent may not be visible yet
                else
                    sweepable_[token.id] = name;
            }
        }
    }
}

// Out of our policies first, which is a grant's work.
void judge::sweep() {
    for (const auto& [id, account] : sweepable_) {
        const auto& view = *world_.accounts.at(account);
        if (!referrers(view, id).empty())
            continue;
        const auto& token = *token_by_id(view, id);
        offer({"CloudflareAccount/" + account,
               "service token " + id + " \"" + printable(token.name) + "\"",
               std::string{reason::orphaned},
               "a late request made it; nothing accounts for it and nobody holds its secret",
               {"sweep:" + id},
               steps::delete_token{account, id}});
    }
}

// Write-once keys beside those that the record points at. One whose token is gone is deleted; one whose token lives is
// a credential that the record has lost: it gets its overlap and its end like any other. True where that comes first.
bool judge::tidy_held(life& l) {
    for (const auto& [nonce, value] : *l.held) {
        auto is_it = [&, &key = nonce](const auto& c) { return c.nonce == key; };
        if (is_it(*l.rec->current) || (l.rec->previous && is_it(*l.rec->previous)) ||
            (l.rec->pending && l.rec->pending->nonce == nonce) || value.client_id.empty() ||
            value.fingerprint == l.current->fingerprint)
            continue;
        const auto* token = token_by_client(*l.account, value.client_id);
        if (token != nullptr && token->id == l.current->token_id) {
            // A second secret of the token in force: it ends by Cloudflare's clock, sooner or later, and is forgotten
            // once it is refused.
            if (l.rec->previous || l.rec->pending)
                continue;
            auto r = settled_record(l);
            r.previous = credential{nonce, token->id, value.client_id, value.fingerprint, {}};
            r.previous_until = r.cut_off = now_;
            write_record(l, std::move(r), "record", reason::rebuilt, "a second secret of it that the record has lost");
            return true;
        }
        if (token == nullptr) {
            forget_key(l, nonce, value.fingerprint, reason::orphaned, "its credential is of no use any more");
            return true;
        }
        bool ours = token->name == l.spec->display_name || token->name == pending_name(*l.spec, nonce);
        if (l.rec->previous || !ours)
            continue;
        auto r = settled_record(l);
        r.previous = credential{nonce, token->id, value.client_id, value.fingerprint};
        r.previous_until = now_ + l.spec->overlap;
        write_record(l, std::move(r), "record", reason::rebuilt, "a credential of before that the record has lost");
        return true;
    }
    return false;
}

} // namespace postern::domain
