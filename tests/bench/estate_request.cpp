#include "bench/estate.hpp"

#include <algorithm>
#include <utility>

// One request: what may go wrong with it, and whom it can concern once it has landed.
namespace postern::bench {

using namespace std::chrono_literals;
using namespace domain;

namespace {

// One in so many requests.
constexpr std::size_t crashes_before = 400;
constexpr std::size_t stand_stills = 800;

bool changes_policies(const step& s) {
    return std::holds_alternative<steps::create_policy>(s.what) || std::holds_alternative<steps::edit_policy>(s.what) ||
           std::holds_alternative<steps::delete_policy>(s.what);
}

} // namespace

estate::fate estate::throw_fate() {
    if (now_ >= calm_ || !chance_.one_in(fault_in))
        return fate::replied;
    const auto how = static_cast<fate>(1 + chance_.below(7));
    const bool late = how == fate::late || how == fate::late_and_crash;
    return late && !form_.late ? fate::lost : how;
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
        tell_step(s, "the process is killed before it");
        return false;
    }
    count_step(s);
    if (!writes(s)) {
        outcome came;
        if (!calm && chance_.one_in(fault_in)) {
            ++done_.faults["look that fails"];
            came = model::failing(model::trouble_of(error_kind::unavailable, "503"));
        } else {
            auto looked = model::send(p, s, world_, now_);
            came = std::get<outcome>(std::move(looked));
        }
        if (const auto* release = std::get_if<steps::await_release>(&s.what))
            eyes_.app_changed(release->app, now_);
        tell_step(s, came.failure ? "fails" : "");
        model::take_in(p, s, came, now_);
        return true;
    }
    auto came = model::send(p, s, world_, now_);
    if (auto* unsent = std::get_if<outcome>(&came)) {
        tell_step(s, unsent->failure ? unsent->failure->what : "nothing to do");
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
        tell_step(s, words);
        if (how != fate::replied)
            ++done_.faults[words];
        model::take_in(p, s, came, now_);
        return true;
    };
    auto die = [&](const char* words) {
        tell_step(s, words);
        ++done_.faults[words];
        return false;
    };
    auto arrive_later = [&] {
        at(now_ + chance_.between(1s, 10min), [this, q, s] {
            sampling_ = false;
            arrived_ = true;
            tell_step(s, "arrives late");
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

} // namespace postern::bench
