#include "base/text.hpp"
#include "domain/judge.hpp"

#include <algorithm>
#include <tuple>

// What is written into Postern's own folder: the record as it should be, and the write-once keys.
namespace postern::domain {

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
        bool made = r.pending && r.pending->nonce == c.nonce;
        bool second_secret = made && r.pending->how == strategy::in_place;
        // A record that a late write rolled back: what it has in force is older than what the consumers hold.
        bool older = r.current && !c.nonce.empty() && is_held(l, r.current->fingerprint);
        if (r.current && (r.current->token_id != c.token_id || second_secret || older)) {
            r.previous = r.current;
            r.previous_until.reset();
            r.cut_off.reset();
        }
        if (r.pending)
            r.reason = r.pending->reason;
        if (!made)
            r.pending.reset(); // it was about the one before
        r.current = c;
        const auto* token = token_by_id(*l.account, c.token_id);
        bool rotated = r.previous && r.previous->token_id == c.token_id;
        if (made)
            r.current->made = r.pending->started;
        else if (rotated)
            r.current->made = now_; // at the latest: it is younger than its token
        else if (token != nullptr)
            r.current->made = token->created_at;
    }
    if (r.request && r.current->made && *r.current->made >= r.request->at)
        r.request->done = true;
    r.current->nonce = c.nonce;
    if (l.shown != nullptr && l.shown->fingerprint == c.fingerprint)
        r.promoted = l.spec->path + "/" + l.spec->key;
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
    // A binding that left git is forgotten once nothing of ours is left in its policy.
    std::erase_if(r.policies, [&](const policy_note& note) {
        if (is_bound(note))
            return false;
        const auto& listed = applications_of(*l.account).with_id(note.application);
        for (const auto* app : listed) {
            for (const auto& p : app->policies) {
                if (p.id == note.policy && !left_members(note, p).empty())
                    return false;
            }
        }
        return !listed.empty();
    });
    std::sort(r.policies.begin(), r.policies.end(), [](const auto& a, const auto& b) {
        return std::tie(a.binding, a.application) < std::tie(b.binding, b.application);
    });
    for (const auto* b : l.consumers) {
        for (const auto& app : b->apps) {
            const auto* value = value_at(*b, app);
            if (value == nullptr || value->fingerprint != c.fingerprint ||
                (l.rec != nullptr && !is_released(l, *b, app)))
                continue;
            auto& noted = note_for(r, *b, app);
            noted.delivered = c.fingerprint;
            noted.intended.clear();
        }
    }
    // Variables that no binding names any more are forgotten once nothing of ours is in them.
    std::erase_if(r.deliveries, [&](const delivery_note& note) { return is_given_up(l, note); });
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
           steps::write_record{vault.name, vault.state_path, l.spec->name, std::move(value), exists, std::move(stage),
                               l.state->doubled.contains(l.spec->name)}},
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

} // namespace postern::domain
