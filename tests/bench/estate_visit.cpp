#include "bench/estate.hpp"

#include <algorithm>
#include <utility>

// Visits and passes: what a process does between waking up and being done.
namespace postern::bench {

using namespace std::chrono_literals;
using namespace domain;

namespace {

constexpr duration regular = 14 * 24h; // a visit although nothing is due
constexpr duration wait = 20min;
constexpr int most_idle_readings = 5;
constexpr std::size_t most_troubled_visits = 2000;

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

model::process estate::start_process() {
    ++done_.processes;
    return model::new_process(static_cast<int>(done_.processes));
}

// The daemon looks after the estate once, and says when it will do so again.
void estate::visit() {
    if (!daemon_ || std::exchange(outdated_, false) || chance_.one_in(4))
        daemon_ = start_process(); // deployed anew
    const bool sample = std::exchange(sampling_, false);
    const auto began = now_;
    arrived_ = false;
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
        first_ = trouble_found{format_instant(now_) + "  it does not come to rest:" + end.words, {}, {}};
    if (end.troubled) {
        next_visit_ = now_ + (troubled_visits_ < 24 ? interval : duration{1h});
        return;
    }
    const auto due = std::min(end.wake.value_or(instant::max()), began + regular);
    next_visit_ = std::max(due, now_) + chance_.between(0s, interval);
    if (due - now_ > 2h && chance_.one_in(10)) {
        sampling_ = !arrived_;
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
                    format_instant(now_) + "  no fixed point; the last step was " + word(s) + " " + s.target, {}, {}};
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
    if (now_ < calm_ && !sampling_ && chance_.one_in(fault_in)) {
        missing =
            static_cast<model::blindness>(1 + chance_.below(static_cast<std::size_t>(model::blindness::end_) - 1));
        ++done_.faults["reading that misses something"];
    }
    model::gather(p, *wanted_, world_, now_, missing);
    add_what_left(p);
    tell("read", p.world.holder, model::words_of(missing));
}

// What the real one reads for the sake of what no document asks for any more.
void estate::add_what_left(model::process& p) const {
    auto& vault = p.world.vaults.at("infisical");
    if (!vault || !p.world.heroku.at("heroku"))
        return;
    std::set<std::string_view> declared;
    for (const auto& t : wanted_->tokens)
        declared.insert(t.name);
    std::set<std::pair<std::string_view, std::string_view>>
        bound; // (token, app): a binding here never changes its variable
    for (const auto& b : wanted_->heroku_bindings) {
        for (const auto& app : b.apps)
            bound.insert({b.token, app});
    }
    for (const auto& [name, r] : world_.records) {
        if (!declared.contains(name)) {
            if (auto at = world_.creds.find(r.key); at != world_.creds.end())
                vault->folders.at(model::creds_path)->values[r.key] = model::view_of(at->second);
        }
        for (const auto& d : r.deliveries) {
            if (bound.contains({name, d.app}))
                continue;
            auto& view = p.world.heroku.at("heroku")->apps[d.app];
            if (view.failure)
                continue;
            if (!view)
                view.seen.emplace();
            const auto& vars = world_.apps.at(d.app).vars;
            auto at = vars.find(d.vars.front());
            view->values[left_name(name, d.vars)] =
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

} // namespace postern::bench
