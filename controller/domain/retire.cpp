#include "base/text.hpp"
#include "domain/judge.hpp"

#include <algorithm>

// The end of a credential: it goes on working through the overlap, and longer where somebody still uses it; then it is
// taken out of the policies, deleted, tried once more, and forgotten.
namespace postern::domain {

namespace {

constexpr duration shortest_stretch = std::chrono::hours{1};
constexpr duration seldom = std::chrono::hours{24};
constexpr duration clock_slack = std::chrono::minutes{2};

bool near(instant a, instant b) {
    return a - b < clock_slack && b - a < clock_slack;
}

bool refused(verdict v) {
    return v == verdict::login_redirect || v == verdict::unauthorized || v == verdict::forbidden;
}

} // namespace

bool is_hurried(const record& r) {
    return r.reason == reason::compromised ||
           (r.request && !r.request->done && r.request->reason == reason::compromised);
}

// Who still has the previous credential, in words. `left`: whether that is a variable that no binding names any more,
// for which a person is needed. Nobody waits for those where a credential is compromised.
std::vector<std::string> judge::laggards(const life& l, bool& left) const {
    const auto& p = *l.rec->previous;
    bool in_place = p.token_id == l.current->token_id;
    std::vector<std::string> out;
    if (auto at = holders_.find(p.client_id); at != holders_.end()) {
        for (const auto& h : at->second) {
            if ((in_place && *h.fingerprint != p.fingerprint) || (h.in_app != nullptr && h.in_app->absent))
                continue;
            if (h.in_app == nullptr) {
                out.push_back("vault key " + *h.name + " in " + *h.place);
            } else if (token_of_left_name(*h.name).empty()) {
                out.push_back("app " + *h.place);
            } else if (!is_hurried(*l.rec)) {
                left = true;
                out.push_back(h.name->substr(h.name->rfind('/') + 1) + " on app " + *h.place +
                              ", which no HerokuBinding names any more");
            }
        }
    }
    for (const auto& note : l.rec->deliveries) {
        if (!is_hurried(*l.rec) && may_be_left_with(l, note))
            out.push_back("perhaps " + join(note.vars, ", ") + " on app " + note.app + ", which could not be read");
    }
    const auto* token = token_by_id(*l.account, p.token_id);
    if (in_place || token == nullptr || !token->enabled || !token->last_seen_at || !l.rec->previous_until ||
        is_hurried(*l.rec))
        return out; // once it is disabled nobody uses it: what is seen of it is our own try
    // Quiet for the second half of the overlap is quiet; our own knocks are no use of it.
    auto quiet_since = *l.rec->previous_until - l.spec->overlap / 2;
    auto is_by_us = [&](const auto& entry) {
        return entry.first.fingerprint == p.fingerprint && near(entry.second.at, *token->last_seen_at);
    };
    if (*token->last_seen_at > quiet_since && std::none_of(world_.proofs.begin(), world_.proofs.end(), is_by_us))
        out.push_back("somebody who used it at " + format_instant(*token->last_seen_at));
    return out;
}

void judge::find_retirement(life& l) {
    const auto* r = l.rec;
    if (r == nullptr || !r->current || !r->previous || !r->previous_until || !l.current || r->pending ||
        r->current->fingerprint != l.current->fingerprint || r->confirmed != l.current->fingerprint)
        return;
    l.lagging = laggards(l, l.left_lagging);
    bool delivered = std::all_of(l.consumers.begin(), l.consumers.end(), [&](const heroku_binding* b) {
        return std::all_of(b->apps.begin(), b->apps.end(), [&](const auto& app) {
            const auto* value = value_at(*b, app);
            return value != nullptr && value->fingerprint == l.current->fingerprint;
        });
    });
    l.retiring = *r->previous_until <= now_ && l.lagging.empty() && delivered;
}

void judge::stretch(life& l) {
    auto r = settled_record(l);
    r.previous_until = now_ + std::max(l.spec->overlap, shortest_stretch);
    write_record(l, std::move(r), "stretch", reason::consumer_lags,
                 "the previous credential is still held: " + join(l.lagging, ", "));
}

// While an app cannot be brought up to date for weeks, Cloudflare's clock must not end the secret that it uses.
void judge::keep_previous_secret(life& l) {
    const auto& before = l.rec->previous;
    const auto& made = l.rec->current->made;
    if (!before || l.rec->previous_until || before->token_id != l.current->token_id || !made)
        return;
    const auto longest = std::min(longest_cut_off, l.spec->lifetime.value_or(longest_cut_off));
    const auto ends = l.rec->cut_off.value_or(*made + longest);
    auto until = now_ + longest;
    if (const auto* token = token_by_id(*l.account, l.current->token_id); token != nullptr && token->expires_at)
        until = std::min(until, *token->expires_at);
    if (ends <= now_ + longest / 2 && until > ends + seldom)
        cut_off_told(l, until, reason::consumer_lags);
}

// In place Cloudflare's clock ends the previous secret: it is told when, each time that this moves. True: it was told.
bool judge::cut_off_told(life& l, instant until, std::string_view why) {
    if (l.rec->cut_off == until)
        return true;
    const auto at = until + l.account->skew;
    const auto& id = l.current->token_id;
    if (auto told = world_.cut_offs.find(id); told == world_.cut_offs.end() || !near(told->second, at)) {
        steps::update_token what;
        what.account = l.spec->account;
        what.token_id = id;
        what.previous_expires_at = at;
        offer({l.resource(),
               "previous secret of service token " + id,
               std::string{why},
               "it ends " + format_instant(until),
               {"token:" + l.spec->name},
               std::move(what)},
              l.observing);
        return false;
    }
    auto r = settled_record(l);
    r.cut_off = until;
    write_record(l, std::move(r), "record", why, "when the previous secret ends is noted");
    return false;
}

void judge::retire(life& l) {
    const auto& p = *l.rec->previous;
    if (!l.rec->previous_until)
        return;
    const auto until = *l.rec->previous_until;
    bool in_place = p.token_id == l.current->token_id;
    // In place Cloudflare ends the secret by its clock: it is not told while somebody has that secret.
    if (in_place && (l.lagging.empty() || is_hurried(*l.rec)) && !cut_off_told(l, until, reason::retired))
        return;
    const auto look_again = until - l.spec->overlap / 4;
    if (!l.lagging.empty()) {
        const bool hurried = is_hurried(*l.rec);
        tell(l.resource(), "RotationDue", status::false_, reason::consumer_lags,
             "the credential before goes on working, because it is still held: " + join(l.lagging, ", "),
             now_ < look_again && !hurried && !(l.due && l.left_lagging) ? weight::told : weight::blocked);
        if (hurried)
            return; // no overlap to stretch: looked at again in the next pass
        if (now_ >= look_again)
            stretch(l);
        else
            wake_at(look_again);
        return;
    }
    if (now_ < until) {
        wake_at(now_ < look_again ? look_again : until);
        tell(l.resource(), "RotationDue", status::false_, reason::overlapping,
             "the credential before goes on working until " + format_instant(until), weight::fine);
        return;
    }
    if (!l.retiring)
        return;
    if ((!in_place && !token_ended(l)) || !refused_everywhere(l))
        return;
    if (auto kept = l.held->find(p.nonce); kept != l.held->end() && kept->second.fingerprint == p.fingerprint) {
        forget_key(l, p.nonce, kept->second.fingerprint, reason::retired, "its credential is retired");
        return;
    }
    auto r = settled_record(l);
    if (!in_place && token_by_id(*l.account, p.token_id) != nullptr)
        r.lingering.push_back(p);
    for (auto& note : r.policies)
        std::erase_if(note.put, [&](const auto& id) { return !in_place && id == p.token_id; });
    r.previous.reset();
    r.previous_until.reset();
    r.cut_off.reset();
    r.reason.clear();
    write_record(l, std::move(r), "retire", reason::retired, "the credential before is gone");
}

// Out of our policies (which is a grant's work), then deleted; where something else still names it, disabled and
// marked.
bool judge::token_ended(life& l) {
    const auto& p = *l.rec->previous;
    const auto* token = token_by_id(*l.account, p.token_id);
    if (token == nullptr)
        return prove_absence(l, p.token_id, reason::retired);
    bool admitted = std::any_of(l.grants.begin(), l.grants.end(), [&](auto i) {
        const auto* own = grants_[i].own;
        return own != nullptr && std::any_of(own->include.begin(), own->include.end(), [&](const rule& r) {
                   return r.is == rule::kind::service_token && r.id == p.token_id;
               });
    });
    if (admitted)
        return false;
    const auto lock = "retire:" + l.spec->name;
    auto refusal = world_.troubles.find(lock);
    bool referenced = refusal != world_.troubles.end() && refusal->second.why.code == "12139";
    const auto mark = l.spec->display_name + " (retired " + (p.nonce.empty() ? p.token_id : p.nonce) + ")";
    if (!referenced && token->name != mark) {
        delete_token(l, p.token_id, lock, reason::retired, "its overlap is over and nobody holds it");
        return false;
    }
    if (token->enabled || token->name != mark) {
        auto who = referrers(*l.account, p.token_id);
        steps::update_token what;
        what.account = l.spec->account;
        what.token_id = p.token_id;
        what.name = mark;
        what.enabled = false;
        offer({l.resource(),
               "service token " + p.token_id,
               std::string{reason::still_referenced},
               "it cannot be deleted while " + (who.empty() ? std::string{"something"} : join(who, ", ")) + " names it",
               {"token:" + l.spec->name},
               std::move(what)},
              l.observing);
        return false;
    }
    return true;
}

void judge::delete_token(const life& l, const std::string& id, std::string lock, std::string_view why,
                         std::string words) {
    offer({l.resource(),
           "service token " + id,
           std::string{why},
           std::move(words),
           {std::move(lock)},
           steps::delete_token{l.spec->account, id}},
          l.observing);
}

void judge::forget_key(const life& l, const std::string& nonce, const std::string& fingerprint, std::string_view why,
                       std::string words) {
    const auto& vault = *std::find_if(wanted_.vaults.begin(), wanted_.vaults.end(),
                                      [&](const auto& v) { return v.name == l.spec->vault; });
    const auto key = l.spec->name + "." + nonce;
    offer({l.resource(),
           key + " in " + vault.state_path,
           std::string{why},
           std::move(words),
           {"hold:" + l.spec->name},
           steps::delete_key{vault.name, vault.state_path, key, fingerprint}},
          l.observing);
}

// A retired credential that still passes somewhere is no retired one. Where nobody can show it any more, or no host is
// bound, there is nothing to try.
bool judge::refused_everywhere(life& l) {
    const auto& p = *l.rec->previous;
    if (!available(l, p.fingerprint))
        return true;
    bool all = true;
    for (auto i : l.grants) {
        const auto& g = grants_[i];
        if (g.app == nullptr || g.trouble)
            continue;
        for (const auto& s : g.where) {
            auto tried = world_.refusals.find({s.host, s.path, p.fingerprint});
            if (tried != world_.refusals.end() && refused(tried->second.last))
                continue;
            all = false;
            if (tried != world_.refusals.end()) {
                auto last = tried->second;
                bool passes = last.last == verdict::passed;
                bool slow = p.token_id == l.current->token_id && last.rounds > 3; // when it ends is Cloudflare's to say
                if (slow)
                    last.again = std::max(last.again, last.at + seldom);
                tell(l.resource(), "Verified", status::false_, passes ? reason::still_admitted : reason::unavailable,
                     "https://" + s.host + s.path +
                         (passes ? " still lets the retired credential in" : " could not be asked: " + last.detail) +
                         "; tried again at " + format_instant(last.again),
                     slow                        ? weight::told
                     : passes && last.rounds > 3 ? weight::failed
                                                 : weight::waiting);
                if (now_ < last.again) {
                    wake_at(last.again);
                    continue;
                }
            }
            offer({l.resource(),
                   "https://" + s.host + s.path,
                   std::string{reason::retired},
                   "a retired credential must be refused",
                   {"prove:" + l.spec->name + "/" + s.host + s.path + "/" + p.fingerprint},
                   steps::try_retired{l.spec->name, g.app->id, s.host, s.path, p.fingerprint, g.binding->smoke.attempts,
                                      g.binding->smoke.interval}},
                  l.observing);
        }
    }
    return all;
}

// Retired tokens that something else named: deleted once nothing does any more.
void judge::delete_lingering(life& l) {
    for (const auto& c : l.rec->lingering) {
        if (token_by_id(*l.account, c.token_id) == nullptr) {
            if (!prove_absence(l, c.token_id, reason::retired))
                continue;
            auto r = settled_record(l);
            std::erase_if(r.lingering, [&](const auto& other) { return other.token_id == c.token_id; });
            write_record(l, std::move(r), "record", reason::retired, "a retired token is gone at last");
            return;
        }
        if (auto who = referrers(*l.account, c.token_id); !who.empty()) {
            tell(l.resource(), "Bound", status::true_, reason::still_referenced,
                 "retired token " + c.token_id + " is disabled and cannot be deleted while " + join(who, ", ") +
                     " names it: take it out there",
                 weight::blocked);
            continue;
        }
        delete_token(l, c.token_id, "retire:" + l.spec->name, reason::retired, "nothing names it any more");
    }
}

} // namespace postern::domain
