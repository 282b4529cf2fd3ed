#include "model/state.hpp"

#include <algorithm>

namespace postern::model {

namespace {

constexpr int most_idle_readings = 5;
constexpr duration lateness = std::chrono::minutes{10};
constexpr duration interval = std::chrono::minutes{5};
constexpr duration late_daemon = std::chrono::hours{1}; // so that long waits take few passes
constexpr duration longest_overlap = std::chrono::hours{35 * 24};
constexpr duration greatest_pending_age = std::chrono::hours{24};

bool awaits(const state& s, int who) {
    return std::any_of(s.parcels.begin(), s.parcels.end(), [&](const parcel& p) { return p.waiter == who; });
}

std::set<std::string> busy_of(const state& s, int who) {
    std::set<std::string> busy;
    for (const auto& p : s.parcels) {
        if (p.waiter == who)
            busy.insert(p.what.locks.begin(), p.what.locks.end());
    }
    return busy;
}

judgement judge(const setting& in, const state& s, int who) {
    const auto& p = *s.processes[static_cast<std::size_t>(who)];
    const auto busy = busy_of(s, who);
    return in.judge ? in.judge(in.wanted, p.world, in.how, s.now, busy) : next(in.wanted, p.world, in.how, s.now, busy);
}

// Time does not pass a write that has to have landed by then.
bool may_pass(const state& s, instant to) {
    return std::none_of(s.parcels.begin(), s.parcels.end(), [&](const parcel& p) { return p.latest < to; });
}

void advance(state& s, instant to) {
    s.now = std::max(s.now, to);
    use_everything(s.world, s.now);
    for (auto& g : s.world.applications) {
        if (g.lags_until && *g.lags_until <= s.now)
            catch_up(g);
    }
}

bool may_act(const state& s, int who) {
    return s.last < 0 || s.last == who || !s.processes[static_cast<std::size_t>(s.last)] || s.left.switches > 0;
}

void acted(state& s, int who) {
    if (s.last >= 0 && s.last != who && s.processes[static_cast<std::size_t>(s.last)])
        --s.left.switches;
    s.last = who;
}

bool changes_policies(const step& s) {
    return std::holds_alternative<steps::create_policy>(s.what) || std::holds_alternative<steps::edit_policy>(s.what) ||
           std::holds_alternative<steps::delete_policy>(s.what);
}

std::vector<fate> fates_of(const setting& in, const state& s, const step& what) {
    std::vector<fate> out{fate::replied};
    if (!writes(what) || s.left.faults == 0)
        return out;
    out.insert(out.end(), {fate::unavailable, fate::lost, fate::vanished, fate::late, fate::late_and_crash});
    if (in.overtaking)
        out.push_back(fate::overtaken);
    if (changes_policies(what))
        out.push_back(fate::edge_lags);
    if (std::holds_alternative<steps::deliver>(what.what))
        out.push_back(fate::release_pends);
    return out;
}

void add_readings(std::vector<move>& out, const state& s, move m) {
    out.push_back(m);
    if (s.left.faults == 0)
        return;
    for (int b = 1; b < static_cast<int>(blindness::end_); ++b) {
        m.missing = static_cast<blindness>(b);
        out.push_back(m);
    }
}

void add_process(const setting& in, const state& s, int who, choices& c) {
    const auto slot = static_cast<std::size_t>(who);
    const auto& p = *s.processes[slot];
    const bool waiting = awaits(s, who);
    auto read_again = [&] {
        if (p.idle_readings < most_idle_readings)
            add_readings(c.moves, s, {.what = deed::gather, .who = who});
        else
            c.moves.push_back({.what = deed::finish, .who = who});
    };
    if (p.world.stale) {
        if (!waiting)
            read_again();
    } else {
        auto& j = c.judged[slot] = judge(in, s, who);
        for (std::size_t i = 0; i < j.steps.size(); ++i) {
            if (i > 0 && !in.any_order && s.left.detours == 0)
                break;
            for (auto f : fates_of(in, s, j.steps[i]))
                c.moves.push_back({.what = deed::take, .who = who, .index = i, .how = f});
        }
        if (j.steps.empty() && !waiting) {
            if (j.refresh)
                read_again();
            else if (j.wake && *j.wake <= p.give_up) {
                if (may_pass(s, *j.wake))
                    c.moves.push_back({.what = deed::sleep, .who = who});
            } else {
                c.moves.push_back({.what = deed::finish, .who = who});
            }
        }
    }
    if (s.left.faults > 0)
        c.moves.push_back({.what = deed::crash, .who = who});
}

// What the remotes have begun comes to its end.
void add_remotes(const state& s, choices& c) {
    for (std::size_t i = 0; i < s.parcels.size(); ++i)
        c.moves.push_back({.what = deed::land, .index = i});
    for (std::size_t i = 0; i < s.world.applications.size(); ++i) {
        if (s.world.applications[i].lags_until)
            c.moves.push_back({.what = deed::catch_up, .index = i});
    }
    std::size_t i = 0;
    for (const auto& [name, app] : s.world.apps) {
        if (!app.releases.empty() && app.releases.front().status == "pending")
            c.moves.push_back({.what = deed::end_release, .index = i});
        ++i;
    }
}

void add_edits(const setting& in, const state& s, choices& c) {
    if (s.left.edits > 0) {
        auto all = edits_in(in, s).size();
        for (std::size_t e = 0; e < all; ++e)
            c.moves.push_back({.what = deed::edit, .index = e});
    }
}

void add_starts(const setting& in, const state& s, choices& c) {
    const bool nobody = !s.processes[0] && !s.processes[1];
    if (nobody && !s.settled && s.left.starts > 0 && (!s.pause || may_pass(s, s.now + interval)))
        add_readings(c.moves, s, {.what = deed::start});
    if (!nobody && s.left.rivals > 0 && s.left.switches > 0 && (!s.processes[0] || !s.processes[1]))
        c.moves.push_back({.what = deed::rival, .who = s.processes[0] ? 1 : 0});
    if (nobody && s.settled && s.left.jumps > 0 && s.parcels.empty()) {
        if (auto at = due(in, s))
            c.moves.push_back({.what = deed::jump});
    }
}

void calm_choice(const setting& in, const state& s, choices& c) {
    add_remotes(s, c);
    c.moves.resize(std::min<std::size_t>(c.moves.size(), 1));
    if (!c.moves.empty())
        return;
    for (int who : {0, 1}) {
        if (!s.processes[static_cast<std::size_t>(who)])
            continue;
        auto quiet = s;
        quiet.left = {};
        add_process(in, quiet, who, c);
        c.moves.resize(std::min<std::size_t>(c.moves.size(), 1));
        if (!c.moves.empty())
            return;
    }
    if (!s.settled)
        c.moves.push_back({.what = deed::start});
    else if (auto at = due(in, s); at && *at - s.now < longest_overlap)
        c.moves.push_back({.what = deed::jump, .index = 1});
    else
        c.moves.push_back({.what = deed::start}); // the daemon's next pass
}

void die(state& s, int who) {
    s.processes[static_cast<std::size_t>(who)].reset();
    for (auto& p : s.parcels) {
        if (p.waiter == who)
            p.waiter = -1;
    }
    s.settled = false;
    s.pause = false;
}

void take(state& s, const step& what, int who, fate how) {
    auto& p = *s.processes[static_cast<std::size_t>(who)];
    auto came = send(p, what, s.world, s.now);
    if (auto* done = std::get_if<outcome>(&came)) {
        take_in(p, what, *done, s.now);
        return;
    }
    auto& q = std::get<request>(came);
    auto lost = failing(trouble_of(error_kind::ambiguous, "the reply was lost"));
    auto park = [&](int waiter) { s.parcels.push_back({what, q, waiter, s.now + lateness}); };
    switch (how) {
    case fate::replied:
    case fate::edge_lags:
        take_in(
            p, what,
            finish(what, land(s.world, q, s.now, how == fate::edge_lags ? manner::edge_lags : manner::plain), s.world),
            s.now);
        return;
    case fate::unavailable:
        take_in(p, what, failing(trouble_of(error_kind::unavailable, "503")), s.now);
        return;
    case fate::lost:
        land(s.world, q, s.now);
        take_in(p, what, lost, s.now);
        return;
    case fate::release_pends:
        land(s.world, q, s.now, manner::release_pends);
        take_in(p, what, lost, s.now);
        return;
    case fate::vanished:
        take_in(p, what, lost, s.now);
        return;
    case fate::late:
        park(-1);
        take_in(p, what, lost, s.now);
        return;
    case fate::late_and_crash:
        park(-1);
        die(s, who);
        return;
    case fate::overtaken:
        park(who);
        return;
    }
}

// The world has changed in a way that nobody who is at work has seen, but for `who`.
void outdate(state& s, int who = -1) {
    s.settled = false;
    for (int other : {0, 1}) {
        if (auto& p = s.processes[static_cast<std::size_t>(other)]; p && other != who)
            p->outdated = true;
    }
}

void land_parcel(state& s, std::size_t index) {
    auto arrived = s.parcels[index];
    s.parcels.erase(s.parcels.begin() + static_cast<std::ptrdiff_t>(index));
    auto came = land(s.world, arrived.sent, s.now);
    if (arrived.waiter >= 0)
        take_in(*s.processes[static_cast<std::size_t>(arrived.waiter)], arrived.what,
                finish(arrived.what, std::move(came), s.world), s.now);
    outdate(s, arrived.waiter);
}

running_app& app_at(remotes& r, std::size_t index) {
    return std::next(r.apps.begin(), static_cast<std::ptrdiff_t>(index))->second;
}

const char* words_of(fate f) {
    switch (f) {
    case fate::replied:
        return "";
    case fate::unavailable:
        return "  -- refused with 503, not done";
    case fate::lost:
        return "  -- done, but the reply is lost";
    case fate::vanished:
        return "  -- never arrives, and the reply is lost";
    case fate::late:
        return "  -- the reply is lost, and the request arrives later";
    case fate::late_and_crash:
        return "  -- the process dies, and the request arrives later";
    case fate::overtaken:
        return "  -- takes its time";
    case fate::edge_lags:
        return "  -- done, but the edge has not heard of it";
    case fate::release_pends:
        return "  -- done, the release takes its time, the reply is lost";
    }
    return "";
}

} // namespace

bool at_rest(const state& s) {
    return !s.processes[0] && !s.processes[1] && s.parcels.empty();
}

std::optional<instant> due(const setting& in, const state& s) {
    std::optional<instant> first;
    auto consider = [&](std::optional<instant> at) {
        if (at && *at > s.now && (!first || *at < *first))
            first = at;
    };
    consider(s.wake);
    for (const auto& t : in.wanted.tokens) {
        auto at = s.world.records.find(t.name);
        if (at == s.world.records.end())
            continue;
        consider(at->second.previous_until);
        if (at->second.pending)
            consider(at->second.pending->started + greatest_pending_age + std::chrono::seconds{1});
    }
    return first;
}

choices choices_in(const setting& in, const state& s, bool calm) {
    choices c;
    if (calm) {
        calm_choice(in, s, c);
        return c;
    }
    for (int who : {0, 1}) {
        if (s.processes[static_cast<std::size_t>(who)] && may_act(s, who))
            add_process(in, s, who, c);
    }
    add_starts(in, s, c);
    add_remotes(s, c);
    add_edits(in, s, c);
    return c;
}

state after(const setting& in, const state& s, const choices& c, const move& m) {
    state n = s;
    const auto slot = static_cast<std::size_t>(m.who);
    if (m.missing != blindness::none || (m.what == deed::take && m.how != fate::replied) || m.what == deed::crash)
        --n.left.faults;
    if (m.what == deed::take && m.index > 0 && !in.any_order)
        --n.left.detours;
    switch (m.what) {
    case deed::start:
    case deed::rival: {
        if (m.what == deed::rival)
            --n.left.rivals;
        else if (n.pause || n.settled)
            advance(n, n.now + interval);
        --n.left.starts;
        n.pause = false;
        acted(n, m.who);
        n.settled = false;
        n.said.clear();
        auto& p = n.processes[slot].emplace(new_process(++n.started));
        p.give_up = n.now + std::chrono::minutes{20};
        use_everything(n.world, n.now);
        gather(p, in.wanted, n.world, n.now, m.missing);
        break;
    }
    case deed::gather:
        acted(n, m.who);
        ++n.processes[slot]->idle_readings;
        use_everything(n.world, n.now);
        gather(*n.processes[slot], in.wanted, n.world, n.now, m.missing);
        break;
    case deed::take:
        acted(n, m.who);
        take(n, c.judged[slot].steps[m.index], m.who, m.how);
        if (writes(c.judged[slot].steps[m.index]))
            outdate(n, m.who);
        break;
    case deed::sleep:
        acted(n, m.who);
        advance(n, *c.judged[slot].wake);
        break;
    case deed::finish: {
        acted(n, m.who);
        const auto& j = c.judged[slot];
        bool failed = std::any_of(j.conditions.begin(), j.conditions.end(),
                                  [](const auto& each) { return each.heft == weight::failed; });
        const auto& p = *n.processes[slot];
        n.settled = !p.world.stale && !p.outdated && !j.refresh && !failed;
        n.pause = !n.settled;
        n.wake = j.wake;
        n.said = j.conditions;
        n.processes[slot].reset();
        break;
    }
    case deed::crash:
        acted(n, m.who);
        die(n, m.who);
        break;
    case deed::land:
        land_parcel(n, m.index);
        break;
    case deed::catch_up:
        catch_up(n.world.applications[m.index]);
        break;
    case deed::end_release:
        end_release(app_at(n.world, m.index));
        break;
    case deed::edit:
        --n.left.edits;
        edits_in(in, s)[m.index].how(n.world);
        outdate(n);
        break;
    case deed::jump:
        --n.left.jumps;
        advance(n, std::max(*due(in, s), n.now + (m.index == 0 ? duration{} : late_daemon)));
        n.wake.reset();
        n.settled = false;
        break;
    }
    return n;
}

std::string words_of(const setting& in, const state& s, const choices& c, const move& m) {
    const auto slot = static_cast<std::size_t>(m.who);
    std::string text = format_instant(s.now) + "  ";
    auto name = [&] {
        return s.processes[slot] ? s.processes[slot]->world.holder : "p" + std::to_string(s.started + 1);
    };
    switch (m.what) {
    case deed::start:
    case deed::rival:
        return text + name() +
               (m.what == deed::rival ? " starts beside it, reads the world " : " starts, reads the world ") +
               words_of(m.missing);
    case deed::gather:
        return text + name() + " reads the world again " + words_of(m.missing);
    case deed::take: {
        const auto& st = c.judged[slot].steps[m.index];
        text += name() + " " + word(st) + ": " + st.target + " (" + st.reason + ", " + st.words + ")";
        if (const auto* p = std::get_if<steps::prove>(&st.what)) {
            auto copy = s;
            auto came = send(*copy.processes[slot], st, copy.world, s.now);
            const auto* o = std::get_if<outcome>(&came);
            text += " with " + p->fingerprint +
                    (o != nullptr && o->proved && o->proved->last == verdict::passed ? ": passes" : ": does not pass");
        }
        return text + words_of(m.how);
    }
    case deed::sleep:
        return text + name() + " waits until " + format_instant(*c.judged[slot].wake);
    case deed::finish:
        return text + name() + " ends its pass";
    case deed::crash:
        return text + name() + " dies";
    case deed::land: {
        const auto& p = s.parcels[m.index];
        return text + "the late request arrives: " + word(p.what) + " " + p.what.target;
    }
    case deed::catch_up:
        return text + "the edge of " + s.world.applications[m.index].seen.id + " catches up";
    case deed::end_release:
        return text + "the release of an app ends";
    case deed::edit:
        return text + "somebody else: " + edits_in(in, s)[m.index].words;
    case deed::jump:
        return text + "time passes until " + format_instant(*due(in, s));
    }
    return text;
}

std::string words_of(const state& s) {
    std::string text;
    for (const auto& t : s.world.tokens) {
        text += "    token " + t.seen.id + " \"" + t.seen.name + "\" secret " + std::to_string(t.version);
        if (t.before != 0)
            text += ", before it " + std::to_string(t.before) + " until " + format_instant(t.before_until);
        if (t.seen.expires_at)
            text += ", expires " + format_instant(*t.seen.expires_at);
        text += t.seen.enabled ? "\n" : ", disabled\n";
    }
    for (const auto& g : s.world.applications) {
        text += "    application " + g.seen.id + (g.lags_until ? " (the edge lags)" : "") + ":";
        for (const auto& p : g.seen.policies)
            text += " " + p.id + " " + p.version;
        text += "\n";
    }
    text += "    vault:";
    for (const auto& [key, value] : s.world.creds)
        text += " " + key + "=" + value;
    text += "; held:";
    for (const auto& [key, value] : s.world.held)
        text += " " + key + "=" + value;
    text += "\n";
    for (const auto& [name, app] : s.world.apps) {
        text += "    app " + name + ":";
        for (const auto& [var, value] : app.vars)
            text += " " + var + "=" + value;
        text += app.runs == app.vars ? "\n" : " (its dynos still run with the value before)\n";
    }
    for (const auto& [name, r] : s.world.records) {
        text += "    record " + name + " of " + r.holder + " epoch " + std::to_string(r.epoch) + ":";
        auto tell = [&](const char* what, const std::optional<credential>& c) {
            if (c)
                text += std::string{" "} + what + "=" + c->fingerprint + "(" + c->nonce + ")";
        };
        tell("current", r.current);
        tell("previous", r.previous);
        if (r.previous_until)
            text += " until " + format_instant(*r.previous_until);
        if (r.pending)
            text += " pending=" + r.pending->nonce + " (" + r.pending->reason + ", " + r.pending->holder + ", until " +
                    format_instant(r.pending->deadline) + ")";
        text += " confirmed=" + r.confirmed + "\n";
    }
    for (const auto& name : s.world.clobbered)
        text += "    record " + name + " is no record any more\n";
    return text;
}

} // namespace postern::model
