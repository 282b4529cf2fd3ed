#include "base/text.hpp"
#include "domain/judge.hpp"

#include <algorithm>

// No credential is relied on before it passed every host of every bound application.
namespace postern::domain {

namespace {

bool waits_for_a_person(verdict v) {
    return v == verdict::public_path || v == verdict::not_access || v == verdict::firewall || v == verdict::unexpected;
}

// Access was never asked: there the wait is for somebody to mend the host.
bool speaks_of_the_host(verdict v) {
    return v == verdict::origin_error || v == verdict::unreachable;
}

std::string said_by(const proof& p) {
    if (p.last == verdict::origin_error)
        return p.detail + "; is the app behind the host up?";
    if (p.last == verdict::unreachable)
        return p.detail + "; does the host's name resolve from here, and is its certificate one that is trusted?";
    return p.detail;
}

} // namespace

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
            if (note != l.rec->policies.end() && note->proved == fingerprint && !touched && g.own != nullptr &&
                g.own->id == note->policy)
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
                tell(l.resource(), "Verified", status::false_,
                     speaks_of_the_host(p.last) ? reason::unavailable : reason::propagating,
                     "https://" + s.host + s.path + " does not let the credential pass yet: " + said_by(p) +
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

} // namespace postern::domain
