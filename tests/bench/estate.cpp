#include "bench/estate.hpp"

#include "domain/reason.hpp"
#include "model/rules.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

namespace postern::bench {

using namespace std::chrono_literals;
using namespace domain;

namespace {

const instant first_day = parse_instant("2026-11-23T10:00:00Z").value();
constexpr duration interval = 5min;
constexpr duration regular = 7 * 24h; // a visit although nothing is due
constexpr duration wait = 20min;
constexpr duration calm_days = 14 * 24h;
constexpr int most_idle_readings = 5;
constexpr std::size_t most_troubled_visits = 2000;

// One in so many requests.
constexpr std::size_t faults = 40;
constexpr std::size_t crashes_before = 400;
constexpr std::size_t stand_stills = 800;

bool changes_policies(const step& s) {
    return std::holds_alternative<steps::create_policy>(s.what) || std::holds_alternative<steps::edit_policy>(s.what) ||
           std::holds_alternative<steps::delete_policy>(s.what);
}

bool begins_something(const step& s) {
    const auto* r = std::get_if<steps::write_record>(&s.what);
    return r != nullptr && r->stage == "intend";
}

std::string words_of(const std::vector<condition>& conditions) {
    std::string out;
    for (const auto& c : conditions) {
        if (c.heft > weight::told)
            out += "\n    " + c.resource + " " + c.type + " " + c.reason + ": " + c.message;
    }
    return out;
}

} // namespace

estate::estate(const form& f, int number, std::ostream* log)
    : form_(f), log_(log), chance_(f.seed * 1000003U + static_cast<std::uint64_t>(number)),
      docs_("e" + std::to_string(number), f.tokens / f.estates + (number < f.tokens % f.estates ? 1 : 0), chance_),
      world_(docs_.empty_world()),
      eyes_(world_, done_, chance_, [this](instant when, std::function<void()> act) { at(when, std::move(act)); }),
      now_(first_day), end_(first_day + f.years * 8760h), calm_(end_ - calm_days), next_visit_(first_day),
      stalled_until_(first_day) {
    how_.prune = true;
    how_.max_rotations = 1 + static_cast<int>(chance_.below(8));
    if (f.broken == defect::no_overlap)
        docs_.drop_overlaps();
    wanted_ = std::make_shared<const desired>(docs_.wanted());
    eyes_.follow(*wanted_, now_);
}

// ---- time

void estate::at(instant when, std::function<void()> act) {
    events_.emplace(when, std::move(act));
}

void estate::advance(instant to) {
    while (!events_.empty() && events_.begin()->first <= to && !found()) {
        auto event = events_.extract(events_.begin());
        now_ = std::max(now_, event.key());
        event.mapped()();
    }
    now_ = std::max(now_, to);
}

void estate::expect_operator() {
    const auto per_year = static_cast<int>(docs_.wanted().tokens.size());
    at(now_ + chance_.between(0h, 2 * 8760h / std::max(1, per_year)), [this] {
        if (now_ >= calm_)
            return;
        operate();
        expect_operator();
    });
}

// An edit of the documents, or a word that a token is to be rotated now.
void estate::operate() {
    sampling_ = false;
    if (chance_.one_in(6)) {
        const auto token = docs_.any_token();
        how_.requests[token] = {now_, std::string{reason::requested}, {}, "an operator", false};
        at(now_ + 24h, [this, token] { how_.requests.erase(token); });
        ++done_.edits["asked to rotate"];
        tell("operator", token, "asks for a rotation");
    } else {
        const auto words = docs_.edit(world_);
        wanted_ = std::make_shared<const desired>(docs_.wanted());
        eyes_.follow(*wanted_, now_);
        ++done_.edits[words.substr(0, words.find(" of "))];
        tell("operator", "the documents", words);
    }
    next_visit_ = std::min(next_visit_, now_ + chance_.between(0s, interval));
}

void estate::expect_stall() {
    at(now_ + chance_.between(10 * 24h, 200 * 24h), [this] {
        if (now_ >= calm_)
            return;
        stalled_until_ = now_ + chance_.between(12h, 7 * 24h);
        daemon_.reset();
        ++done_.stalls;
        tell("stall", "nobody visits until", format_instant(stalled_until_));
        expect_stall();
    });
}

outcome_of_run estate::live() {
    expect_operator();
    expect_stall();
    while (!found()) {
        const auto next = std::max(next_visit_, stalled_until_);
        if (!events_.empty() && events_.begin()->first <= next) {
            advance(events_.begin()->first);
            continue;
        }
        if (next >= end_)
            break;
        advance(next);
        visit();
    }
    if (!found()) {
        advance(end_);
        eyes_.ask_all(now_);
        check_rest();
    }
    outcome_of_run out;
    if (eyes_.refusal()) {
        out.refusals = 1;
        tell("REFUSED", eyes_.refused_token(), *eyes_.refusal());
        first_ = trouble_found{*eyes_.refusal(), {}};
    }
    out.first = std::move(first_);
    out.done = std::move(done_);
    out.digest = digest_.value();
    return out;
}

// ---- passes

model::process estate::start_process() {
    ++done_.processes;
    return model::new_process(static_cast<int>(done_.processes));
}

// The daemon looks after the estate once, and says when it will do so again.
void estate::visit() {
    if (!daemon_ || chance_.one_in(4))
        daemon_ = start_process(); // deployed anew
    const bool sample = std::exchange(sampling_, false);
    const auto began = now_;
    auto end = pass(*daemon_, !sample);
    if (sample) {
        ++done_.samples;
        if (end.changes > 0) {
            ++done_.surprises;
            tell("surprise", "a visit at which nothing was due", "did something");
        }
    }
    if (end.died) {
        daemon_.reset();
        ++done_.crashes;
        next_visit_ = now_ + chance_.between(10s, 10min);
        return;
    }
    last_words_ = end.words;
    troubled_visits_ = end.troubled ? troubled_visits_ + 1 : 0;
    if (troubled_visits_ > most_troubled_visits && !first_)
        first_ = trouble_found{format_instant(now_) + "  it does not come to rest:" + end.words, {}};
    if (end.troubled) {
        next_visit_ = now_ + (troubled_visits_ < 24 ? interval : duration{1h});
        return;
    }
    const auto due = std::min(end.wake.value_or(instant::max()), began + regular);
    next_visit_ = std::max(due, now_) + chance_.between(0s, interval);
    if (due - now_ > 2h && chance_.one_in(10)) {
        sampling_ = true;
        next_visit_ = now_ + chance_.between(interval, due - now_ - 1h);
    }
}

// As controller/run/pass does it. `alone`: requests may fail, and another process may come in between.
estate::pass_end estate::pass(model::process& p, bool alone) {
    ++done_.passes;
    const auto documents = wanted_;
    p.world.proofs.clear();
    p.world.refusals.clear();
    p.world.troubles.clear(); // each visit tries anew
    p.idle_readings = 0;
    p.give_up = now_ + wait;
    const auto writes_before = done_.writes;
    std::size_t taken = 0;
    const std::size_t most_steps = 200 + 60 * 4 * documents->tokens.size();
    pass_end end;
    read_world(p);
    while (!found()) {
        if (p.world.stale) {
            if (++p.idle_readings > most_idle_readings) {
                end.troubled = true;
                break;
            }
            read_world(p);
            continue;
        }
        ++done_.judgements;
        auto j = judge(*documents, p);
        end.wake = j.wake;
        end.words = words_of(j.conditions);
        end.troubled =
            std::any_of(j.conditions.begin(), j.conditions.end(), [](const auto& c) { return c.heft > weight::told; });
        if (j.steps.empty()) {
            if (j.refresh) {
                p.world.stale = true;
                continue;
            }
            if (!j.wake || *j.wake > p.give_up)
                break;
            advance(*j.wake);
            continue;
        }
        for (std::size_t i = j.steps.size(); i > 1; --i)
            std::swap(j.steps[i - 1], j.steps[chance_.below(i)]);
        std::partition(j.steps.begin(), j.steps.end(), [](const auto& s) { return !begins_something(s); });
        for (const auto& s : j.steps) {
            if (p.world.stale || found())
                break;
            if (++taken > most_steps && !first_)
                first_ = trouble_found{
                    format_instant(now_) + "  no fixed point; the last step was " + word(s) + " " + s.target, {}};
            if (!take(p, s, alone)) {
                end.died = true;
                return end;
            }
        }
    }
    end.changes = done_.writes - writes_before;
    return end;
}

void estate::read_world(model::process& p) {
    ++done_.readings;
    done_.reads += world_.tokens.size() / 50 + 1 + world_.applications.size() / 50 + 1 + 2 + world_.apps.size();
    eyes_.use_tokens(world_, now_);
    if (form_.broken == defect::no_overlap) {
        for (auto& t : world_.tokens)
            t.seen.last_seen_at.reset();
    }
    auto missing = model::blindness::none;
    if (now_ < calm_ && !sampling_ && chance_.one_in(faults)) {
        missing =
            static_cast<model::blindness>(1 + chance_.below(static_cast<std::size_t>(model::blindness::end_) - 1));
        ++done_.faults["reading that misses something"];
    }
    model::gather(p, *wanted_, world_, now_, missing);
    add_what_left(p);
    tell("read", p.world.holder, model::words_of(missing));
}

// What the real one reads for the sake of records whose document left git.
void estate::add_what_left(model::process& p) const {
    auto& vault = p.world.vaults.at("infisical");
    if (!vault || !p.world.heroku.at("heroku"))
        return;
    for (const auto& [name, r] : world_.records) {
        const bool declared = std::any_of(wanted_->tokens.begin(), wanted_->tokens.end(),
                                          [&, n = std::string_view{name}](const auto& t) { return t.name == n; });
        if (declared)
            continue;
        if (auto at = world_.creds.find(r.key); at != world_.creds.end())
            vault->folders.at(model::creds_path)->values[r.key] = model::view_of(at->second);
        for (const auto& d : r.deliveries) {
            auto& view = p.world.heroku.at("heroku")->apps[d.app];
            if (view.failure)
                continue;
            if (!view)
                view.seen.emplace();
            const auto& vars = world_.apps.at(d.app).vars;
            auto at = vars.find(d.vars.front());
            view->values["left/" + name] =
                at == vars.end() ? app_value{} : app_value{false, at->second, model::client_id_of(at->second)};
        }
    }
}

judgement estate::judge(const desired& wanted, const model::process& p) const {
    if (form_.broken != defect::blind_promote)
        return next(wanted, p.world, how_, now_);
    auto world = p.world;
    if (const auto& vault = world.vaults.at("infisical"); vault && world.accounts.at("raxx")) {
        for (const auto& [token, by_nonce] : vault->state->held) {
            for (const auto& [nonce, value] : by_nonce) {
                for (const auto& app : world.accounts.at("raxx")->applications)
                    world.proofs[{app.destinations.front(), "/health", value.fingerprint}].last = verdict::passed;
            }
        }
    }
    return next(wanted, world, how_, now_);
}

estate::fate estate::throw_fate() {
    if (now_ >= calm_ || !chance_.one_in(faults))
        return fate::replied;
    return static_cast<fate>(1 + chance_.below(7));
}

model::manner estate::throw_manner(const step& s) {
    if (now_ >= calm_)
        return model::manner::plain;
    if (changes_policies(s) && chance_.one_in(3)) {
        ++done_.faults["edge that learns late"];
        return model::manner::edge_lags;
    }
    if (std::holds_alternative<steps::deliver>(s.what) && chance_.one_in(10)) {
        ++done_.faults["release that takes its time"];
        return model::manner::release_pends;
    }
    return model::manner::plain;
}

// Another process looks after the estate while this one stands still.
void estate::stand_still() {
    ++done_.faults["process that stands still while another one works"];
    tell("stop", "the process stands still");
    advance(now_ + chance_.between(1s, 2h));
    auto other = start_process();
    auto end = pass(other, false);
    done_.crashes += end.died ? 1 : 0;
    tell("continue", "the process goes on");
}

bool estate::take(model::process& p, const step& s, bool alone) {
    advance(now_ + chance_.between(20ms, 400ms));
    const bool calm = now_ >= calm_;
    if (alone && !calm && chance_.one_in(stand_stills))
        stand_still();
    if (!calm && chance_.one_in(crashes_before)) {
        ++done_.faults["crash before a request"];
        tell("crash", "before", word(s));
        return false;
    }
    count_step(s);
    if (!writes(s)) {
        outcome came;
        if (!calm && chance_.one_in(faults)) {
            ++done_.faults["look that fails"];
            came = model::failing(model::trouble_of(error_kind::unavailable, "503"));
        } else {
            auto looked = model::send(p, s, world_, now_);
            came = std::get<outcome>(std::move(looked));
        }
        if (const auto* release = std::get_if<steps::await_release>(&s.what))
            eyes_.app_changed(release->app, now_);
        tell(word(s), s.target, came.failure ? "fails" : "");
        model::take_in(p, s, came, now_);
        return true;
    }
    auto came = model::send(p, s, world_, now_);
    if (auto* unsent = std::get_if<outcome>(&came)) {
        tell(word(s), s.target, unsent->failure ? unsent->failure->what : "nothing to do");
        model::take_in(p, s, *unsent, now_);
        return true;
    }
    return send(p, s, std::get<model::request>(came));
}

bool estate::send(model::process& p, const step& s, model::request& q) {
    ++done_.writes;
    const auto how = throw_fate();
    const auto lost = model::failing(model::trouble_of(error_kind::ambiguous, "the reply was lost"));
    auto end = [&](const char* words, const outcome& came) {
        tell(word(s), s.target, words);
        if (how != fate::replied)
            ++done_.faults[words];
        model::take_in(p, s, came, now_);
        return true;
    };
    auto die = [&](const char* words) {
        tell(word(s), s.target, words);
        ++done_.faults[words];
        return false;
    };
    auto arrive_later = [&] {
        at(now_ + chance_.between(1s, 10min), [this, q, words = word(s)] {
            sampling_ = false;
            tell(words, "arrives late");
            land(q, model::manner::plain);
        });
    };
    switch (how) {
    case fate::replied: {
        const auto manner = throw_manner(s);
        auto came = land(q, manner);
        if (manner == model::manner::release_pends)
            return end("done, the reply is lost, the release is pending", lost);
        count_rotation(s);
        return end("", model::finish(s, std::move(came), world_));
    }
    case fate::unavailable:
        return end("500, not done", model::failing(model::trouble_of(error_kind::unavailable, "500")));
    case fate::throttled: {
        auto why = model::trouble_of(error_kind::throttled, "429");
        why.retry_after = chance_.between(1s, 5min);
        return end("429, not done", model::failing(std::move(why)));
    }
    case fate::lost:
        land(q, throw_manner(s));
        count_rotation(s);
        return end("done, the reply is lost", lost);
    case fate::reset:
        return end("connection reset, not done", lost);
    case fate::late:
        arrive_later();
        return end("timed out, done later", lost);
    case fate::late_and_crash:
        arrive_later();
        return die("crash, done later");
    case fate::crash_after:
        land(q, model::manner::plain);
        count_rotation(s);
        return die("crash after a request");
    }
    return true;
}

outcome estate::land(const model::request& q, model::manner how) {
    auto came = model::land(world_, q, now_, how);
    changed(q);
    return came;
}

// Whom it can concern is asked at once, and again at each date that it sets.
void estate::changed(const model::request& q) {
    auto token = [&](const std::string& id) {
        const auto* t = model::find_token(world_, id);
        if (t == nullptr)
            return eyes_.ask_all(now_);
        const auto client = t->seen.client_id;
        eyes_.token_changed(client, now_);
        for (auto when : {t->seen.expires_at, t->before != 0 ? std::optional{t->before_until} : std::nullopt}) {
            if (when && *when > now_ && *when < end_)
                at(*when, [this, client] { eyes_.token_changed(client, now_); });
        }
    };
    auto site = [&](const std::string& id) {
        eyes_.site_changed(id, now_);
        auto learns = [this, id] {
            auto g = std::find_if(world_.applications.begin(), world_.applications.end(),
                                  [&](const auto& each) { return each.seen.id == id; });
            if (g->lags_until && *g->lags_until <= now_) {
                model::catch_up(*g);
                eyes_.site_changed(id, now_);
            }
        };
        for (const auto& g : world_.applications) {
            if (g.seen.id == id && g.lags_until)
                at(*g.lags_until, learns);
        }
    };
    auto app = [&](const std::string& name) {
        eyes_.app_changed(name, now_);
        if (world_.apps.at(name).releases.front().status != "pending")
            return;
        at(now_ + chance_.between(10s, 1h), [this, name] {
            model::end_release(world_.apps.at(name));
            eyes_.app_changed(name, now_);
        });
    };
    if (const auto* s = std::get_if<steps::mint>(&q.what)) {
        (void)s;
        token(world_.tokens.back().seen.id);
    } else if (const auto* rotate = std::get_if<steps::rotate>(&q.what)) {
        token(rotate->token_id);
    } else if (const auto* update = std::get_if<steps::update_token>(&q.what)) {
        token(update->token_id);
    } else if (std::holds_alternative<steps::delete_token>(q.what)) {
        eyes_.ask_all(now_);
    } else if (const auto* made = std::get_if<steps::create_policy>(&q.what)) {
        site(made->application);
    } else if (const auto* edit = std::get_if<steps::edit_policy>(&q.what)) {
        site(edit->application);
    } else if (const auto* gone = std::get_if<steps::delete_policy>(&q.what)) {
        site(gone->application);
    } else if (const auto* value = std::get_if<steps::write_credential>(&q.what)) {
        eyes_.key_changed(value->key, now_);
    } else if (const auto* key = std::get_if<steps::delete_key>(&q.what)) {
        eyes_.key_changed(key->key, now_);
    } else if (const auto* deliver = std::get_if<steps::deliver>(&q.what)) {
        app(deliver->app);
    }
}

// ---- telling

void estate::tell(std::string_view what, std::string_view about, std::string_view more) {
    ++done_.events;
    digest_.put(static_cast<std::uint64_t>(now_.time_since_epoch().count()));
    digest_.put(what);
    digest_.put(about);
    digest_.put(more);
    if (log_ != nullptr)
        *log_ << format_instant(now_) << "  " << what << "  " << about << (more.empty() ? "" : "  -- ") << more << "\n";
}

void estate::count_step(const step& s) {
    if (std::holds_alternative<steps::prove>(s.what) || std::holds_alternative<steps::try_retired>(s.what))
        done_.knocks += 3; // a stranger's, and two in a row
    else if (std::holds_alternative<steps::write_record>(s.what) || std::holds_alternative<steps::mint>(s.what) ||
             std::holds_alternative<steps::rotate>(s.what))
        return;
    else if (std::holds_alternative<steps::deliver>(s.what))
        done_.reads += 3; // its variables, its releases, and what came of it
    else
        done_.reads += 1;
}

void estate::count_rotation(const step& s) {
    if (const auto* r = std::get_if<steps::write_record>(&s.what); r != nullptr && r->stage == "promote") {
        const auto& v = r->value;
        if (v.previous && v.current)
            ++done_.rotations[v.previous->token_id == v.current->token_id ? "InPlace" : "Replace"];
    }
    const auto* u = std::get_if<steps::update_token>(&s.what);
    if (u == nullptr || !u->duration || s.reason == reason::duration_changed)
        return;
    const auto& tokens = wanted_->tokens;
    auto spec =
        std::find_if(tokens.begin(), tokens.end(), [&](const auto& t) { return s.resource.ends_with("/" + t.name); });
    if (spec != tokens.end() && spec->how == strategy::renew)
        ++done_.rotations["Renew"];
}

// After two weeks without a fault all is as declared; what is in its overlap is left out.
void estate::check_rest() {
    model::setting in;
    in.wanted = *wanted_;
    auto& wanted = in.wanted;
    auto overlaps = [&](const std::string& name) {
        auto r = world_.records.find(name);
        return r != world_.records.end() && r->second.previous && r->second.previous_until;
    };
    std::erase_if(wanted.tokens, [&](const auto& t) { return overlaps(t.name); });
    std::erase_if(wanted.heroku_bindings, [&](const auto& b) { return overlaps(b.token); });
    for (auto& b : wanted.bindings)
        std::erase_if(b.tokens, overlaps);
    model::state s;
    s.now = now_;
    s.world = world_;
    if (auto why = model::lacks(in, s))
        first_ = trouble_found{format_instant(now_) + "  at the end " + *why + last_words_, {}};
    for (const auto& t : world_.tokens) {
        const bool declared = std::any_of(wanted_->tokens.begin(), wanted_->tokens.end(),
                                          [&](const auto& spec) { return spec.name == t.spec; });
        if (!declared && !first_)
            first_ = trouble_found{format_instant(now_) + "  at the end token " + t.seen.id + " of " + t.spec +
                                       " is left, which no document declares" + last_words_,
                                   {}};
    }
}

} // namespace postern::bench
