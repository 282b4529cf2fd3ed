#include "base/text.hpp"
#include "domain/judge.hpp"

#include <algorithm>
#include <string_view>

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

bool points_at(const record& r, const std::string& token_id) {
    auto is_it = [&](const auto& c) { return c.token_id == token_id; };
    return (r.current && is_it(*r.current)) || (r.previous && is_it(*r.previous)) ||
           std::any_of(r.lingering.begin(), r.lingering.end(), is_it);
}

} // namespace

// Whether somebody's record, write-once key, intent, vault key or app accounts for the token.
bool judge::is_covered(const state_view& state, const live_token& token, std::string_view nonce) const {
    for (const auto& [name, r] : state.records) {
        if (points_at(r, token.id) || (r.pending && r.pending->nonce == nonce))
            return true;
    }
    for (const auto& [name, nonces] : state.held) {
        for (const auto& [key, value] : nonces) {
            if (value.client_id == token.client_id)
                return true;
        }
    }
    return relied_on_.contains(token.client_id);
}

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
        for (const auto& [name, account] : world_.accounts) {
            for (const auto& token : account ? account->tokens : std::vector<live_token>{}) {
                auto nonce = nonce_in(token.name);
                if (!nonce.starts_with(prefix) || is_covered(state, token, nonce))
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
        bool ours =
            token != nullptr && (token->name == l.spec->display_name || token->name == pending_name(*l.spec, nonce));
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
