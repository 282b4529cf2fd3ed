#include "bench/estate.hpp"

#include "domain/reason.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

namespace postern::bench {

using namespace std::chrono_literals;
using namespace domain;

namespace {

const instant first_day = parse_instant("2026-11-23T10:00:00Z").value();
constexpr duration calm_days = 14 * 24h;

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
    const auto tokens = static_cast<int>(docs_.wanted().tokens.size());
    at(now_ + chance_.between(0h, 4 * 8760h / std::max(1, tokens)), [this] {
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
        sampling_ = false;
        outdated_ = true; // it may be in the middle of a pass
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
        first_ = trouble_found{*eyes_.refusal(), eyes_.refused_token(), {}};
    }
    out.first = std::move(first_);
    out.done = std::move(done_);
    out.digest = digest_.value();
    return out;
}

} // namespace postern::bench
