#include "domain/rotation.hpp"

#include "base/text.hpp"
#include "domain/judge.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <tuple>

// Rotation of a credential in force: the rules that ask for it, what must hold before it starts, and what keeps the
// token alive where it cannot start.
namespace postern::domain {

namespace {

constexpr int spread_share = 4; // the spread takes this part of the time ahead at most

std::optional<rotation> asked(const rotation_facts& f, bool compromised) {
    const auto& r = f.rec.request;
    if (!r || r->done || (r->reason == reason::compromised) != compromised)
        return {};
    auto how = r->how.value_or(f.spec.how);
    if (how == strategy::renew && compromised)
        how = strategy::replace;
    return rotation{r->reason, "asked for by " + printable(r->by) + " at " + format_instant(r->at), how, r->at};
}

std::optional<rotation> is_compromised(const rotation_facts& f) {
    return asked(f, true);
}

std::optional<rotation> is_requested(const rotation_facts& f) {
    return asked(f, false);
}

std::optional<rotation> expires(const rotation_facts& f) {
    if (!f.token.expires_at)
        return {};
    auto window = f.spec.renew_before / spread_share;
    if (f.spec.lifetime)
        window = std::min(window, (*f.spec.lifetime - f.spec.renew_before - f.spec.overlap) / 2);
    auto due = *f.token.expires_at - f.spec.renew_before - spread(f.spec.name, window);
    return rotation{std::string{reason::expiring}, "expires " + format_instant(*f.token.expires_at), f.spec.how, due};
}

std::optional<rotation> ages(const rotation_facts& f) {
    auto made = f.rec.current->made ? f.rec.current->made : f.token.created_at;
    if (!f.spec.every || !made)
        return {};
    auto due = *made + *f.spec.every - spread(f.spec.name, *f.spec.every / (2 * spread_share));
    return rotation{std::string{reason::too_old},
                    "made " + format_instant(*made) + ", and no secret may be older than " +
                        format_duration(*f.spec.every),
                    f.spec.how, due};
}

// In this order: the first whose time has come decides.
constexpr std::array triggers{is_compromised, is_requested, expires, ages};

} // namespace

duration spread(std::string_view name, duration window) {
    if (window <= duration{})
        return {};
    std::uint64_t digest = 14695981039346656037U; // FNV-1a
    for (char c : name)
        digest = (digest ^ static_cast<unsigned char>(c)) * 1099511628211U;
    return duration{static_cast<std::int64_t>(digest % static_cast<std::uint64_t>(window.count()))};
}

std::optional<rotation> rotation_due(const rotation_facts& facts) {
    for (auto trigger : triggers) {
        if (auto due = trigger(facts); due && due->since <= facts.now)
            return due;
    }
    return {};
}

std::optional<rotation> rotation_ahead(const rotation_facts& facts) {
    std::optional<rotation> soonest;
    for (auto trigger : triggers) {
        if (auto due = trigger(facts); due && (!soonest || due->since < soonest->since))
            soonest = std::move(due);
    }
    return soonest;
}

namespace {

bool names(const rules& by, rule::kind kind, const std::string& id) {
    return std::any_of(by.include.begin(), by.include.end(), [&](const rule& r) { return r.is == kind && r.id == id; });
}

// The group admits it, or a group in it does.
bool admits(const account_view& account, const rules& by, const std::string& token_id, std::size_t depth = 0) {
    if (names(by, rule::kind::service_token, token_id))
        return true;
    if (depth > account.groups.size())
        return false;
    return std::any_of(account.groups.begin(), account.groups.end(), [&](const live_group& g) {
        return names(by, rule::kind::group, g.id) && admits(account, g, token_id, depth + 1);
    });
}

} // namespace

// Where the token is let in by something that no binding of its own stands for: a successor would not be.
std::vector<std::string> judge::admitted_elsewhere(const life& l, const std::string& token_id) const {
    std::vector<std::string> out;
    for (const auto& app : l.account->applications) {
        bool bound = std::any_of(l.grants.begin(), l.grants.end(), [&](auto i) { return grants_[i].app == &app; });
        if (bound)
            continue;
        for (const auto& p : app.policies) {
            if (p.decides == decision::non_identity && admits(*l.account, p, token_id))
                out.push_back("policy \"" + printable(p.name) + "\" on " + printable(app.name));
        }
    }
    return out;
}

// Everything that names the token: what keeps Cloudflare from deleting it.
std::vector<std::string> judge::referrers(const account_view& account, const std::string& token_id) const {
    std::vector<std::string> out;
    auto mentions = [&](const rules& by) {
        auto is_it = [&](const rule& r) { return r.is == rule::kind::service_token && r.id == token_id; };
        return std::any_of(by.include.begin(), by.include.end(), is_it) ||
               std::any_of(by.exclude.begin(), by.exclude.end(), is_it) ||
               std::any_of(by.require.begin(), by.require.end(), is_it);
    };
    for (const auto& app : account.applications) {
        for (const auto& p : app.policies) {
            if (mentions(p))
                out.push_back("policy \"" + printable(p.name) + "\" on " + printable(app.name));
        }
    }
    for (const auto& group : account.groups) {
        if (mentions(group))
            out.push_back("group \"" + printable(group.name) + "\"");
    }
    return out;
}

void judge::extend(const life& l, const live_token& token, std::string_view why, std::string words) {
    steps::update_token what;
    what.account = l.spec->account;
    what.token_id = token.id;
    what.duration = l.spec->duration_text;
    offer({l.resource(),
           "service token " + token.id,
           std::string{why},
           std::move(words),
           {"token:" + l.spec->name},
           std::move(what)},
          l.observing);
}

// Whatever keeps a rotation from starting, or an overlap from ending, must not become an outage: the expiry of a token
// that is relied on is moved before it is reached. True where that comes first.
bool judge::keep_alive(life& l) {
    if (!l.spec->lifetime)
        return false;
    auto nears = [&](const live_token* token) {
        return token != nullptr && token->expires_at && *token->expires_at <= now_ + l.spec->renew_before / 2 &&
               !world_.renewed.contains(token->id);
    };
    const auto* token = token_by_id(*l.account, l.current->token_id);
    if (nears(token)) {
        bool known = l.rec->pending || (l.rec->request && !l.rec->request->done);
        if (known || l.spec->how == strategy::renew) {
            extend(l, *token, reason::expiring, "it expires " + format_instant(*token->expires_at));
        } else {
            auto r = base_record(l);
            r.request =
                rotation_request{dated(*l.account, now_), std::string{reason::expiring}, {}, world_.holder, false};
            write_record(l, std::move(r), "record", reason::expiring,
                         "its expiry is moved at once; that it is to be replaced is noted first");
        }
        return true;
    }
    const auto* before = l.rec->previous ? token_by_id(*l.account, l.rec->previous->token_id) : nullptr;
    if (before != token && nears(before) && before->enabled && !l.retiring) {
        extend(l, *before, reason::overlapping,
               "the overlap has not ended, and it expires " + format_instant(*before->expires_at));
        return true;
    }
    return false;
}

bool notes(const rotation_request& noted, const rotation_request& asked, const account_view& account) {
    const bool urgent = noted.reason == reason::compromised;
    if (urgent && !noted.done)
        return true;
    if (asked.reason == reason::compromised && !urgent)
        return false;
    const auto at = dated(account, asked.at);
    const bool about = clock_differs(account) && noted.reason == asked.reason;
    return noted.at >= at || (about && noted.at + std::chrono::seconds{5} >= at);
}

// What somebody asks of this process goes into the record first: from there on a crash does not lose it.
bool judge::note_request(life& l) {
    auto at = how_.requests.find(l.spec->name);
    if (at == how_.requests.end())
        return false;
    auto asked = at->second;
    asked.at = dated(*l.account, asked.at);
    const auto& noted = l.rec->request;
    bool made = l.rec->current->made && *l.rec->current->made >= asked.at;
    if (made || (noted && notes(*noted, at->second, *l.account)))
        return false;
    auto r = base_record(l);
    r.request = asked;
    write_record(l, std::move(r), "request", asked.reason, "asked for by " + printable(asked.by));
    return true;
}

// What a credential in force has ahead of it; a rotation that is due is put on the list.
void judge::schedule(life& l) {
    const auto& token = *token_by_id(*l.account, l.current->token_id);
    const auto now = dated(*l.account, now_);
    const rotation_facts facts{*l.spec, *l.rec, token, now};
    auto due = rotation_due(facts);
    if (!due) {
        auto ahead = rotation_ahead(facts);
        if (ahead)
            wake_at(now_ + (ahead->since - now));
        tell(l.resource(), "RotationDue", status::false_, ahead ? reason::scheduled : reason::never_expires,
             ahead ? ahead->words + "; to be rotated from " + format_instant(ahead->since)
                   : std::string{"the token has no expiry"},
             weight::fine);
        return;
    }
    bool overlapping = l.rec->previous.has_value();
    bool hurried = due->reason == reason::compromised;
    tell(l.resource(), "RotationDue", status::true_, due->reason,
         due->words + "; due since " + format_instant(due->since) +
             (!overlapping ? ""
              : hurried    ? "; begins once the one before is retired, which gets no overlap any more"
                           : "; begins once the overlap of the one before is over"),
         overlapping && hurried ? weight::waiting : weight::told);
    l.due = std::move(due);
}

bool judge::is_under_way(const life& l) const {
    return l.rec != nullptr && l.rec->current && (l.rec->pending || (l.rec->previous && !l.rec->previous_until));
}

// The most urgent first, and only so many at once: what was begun is finished before more is begun. What is compromised
// waits for nobody.
void judge::start_rotations() {
    std::vector<life*> queue;
    int room = how_.max_rotations;
    for (auto& l : lives_) {
        if (is_under_way(l))
            --room;
        else if (l.may_rotate && l.due)
            queue.push_back(&l);
    }
    auto urgency = [](const life* l) {
        const auto& why = l->due->reason;
        return std::tuple{why == reason::compromised ? 0
                          : why == reason::requested ? 1
                                                     : 2,
                          l->due->since, std::string_view{l->spec->name}};
    };
    std::sort(queue.begin(), queue.end(), [&](const auto* a, const auto* b) { return urgency(a) < urgency(b); });
    for (auto* l : queue) {
        if (room > 0 || l->due->reason == reason::compromised)
            room -= start_rotation(*l) ? 1 : 0;
        else
            tell(l->resource(), "RotationDue", status::true_, reason::queued,
                 l->due->words + "; waits until fewer than " + std::to_string(how_.max_rotations) +
                     " others are on their way",
                 weight::waiting);
    }
}

// True where it takes one of the places.
bool judge::start_rotation(life& l) {
    const auto& due = *l.due;
    const auto& token = *token_by_id(*l.account, l.current->token_id);
    if (due.how == strategy::renew) {
        if (!world_.renewed.contains(token.id))
            extend(l, token, due.reason, due.words);
        else if (l.rec->request && !l.rec->request->done)
            settle_request(l);
        return false;
    }
    auto cannot = [&](std::string_view why, std::string message, weight heft) {
        tell(l.resource(), "RotationDue", status::true_, why, due.words + "; not started: " + std::move(message), heft);
        return false;
    };
    if (due.how == strategy::replace) {
        if (auto where = admitted_elsewhere(l, token.id); !where.empty())
            return cannot(reason::referenced_elsewhere,
                          "a second token would not be let in by " + join(where, ", ") +
                              "; bind those applications, take the token out there, or say strategy: InPlace",
                          weight::blocked);
    }
    const auto& c = *l.current;
    if (due.reason != reason::compromised && prove(l, c.fingerprint, due.reason) != answer::yes &&
        !is_dead(l, c.fingerprint))
        return cannot(reason::cannot_rotate,
                      "the present credential has not passed its hosts in this pass, and nothing is rotated in "
                      "somebody's outage",
                      weight::told);
    issue(l, due.reason, due.words, {}, due.how);
    return true;
}

void judge::settle_request(life& l) {
    auto r = settled_record(l);
    r.request->done = true;
    write_record(l, std::move(r), "record", reason::recorded, "what was asked for is done");
}

} // namespace postern::domain
