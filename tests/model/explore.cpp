#include "model/explore.hpp"

#include "model/rules.hpp"

#include <chrono>
#include <stdexcept>

namespace postern::model {

namespace {

constexpr std::size_t greatest_depth = 600;
constexpr std::size_t longest_calm = 1000;
constexpr int most_passes = 60;

struct frame {
    state at;
    choices open;
    digest name{};
    std::size_t next = 0;
};

struct broken {
    std::string rule;
    std::vector<std::string> trace;
    std::string end;
};

// Runs a calm world until it is whole. `trace` grows by the moves in words where it is asked for.
std::optional<broken> calm_down(const setting& in, state& s, std::unordered_set<digest, digest_hash>* known,
                                bool telling) {
    std::vector<std::string> trace;
    std::vector<digest> passed;
    int passes = 0;
    for (std::size_t i = 0; i < longest_calm; ++i) {
        if (at_rest(s)) {
            auto name = name_of(s, false);
            if (known != nullptr && known->contains(name))
                return {};
            passed.push_back(name);
            if (s.settled && (!lacks(in, s) || is_excused(in, s))) {
                if (known != nullptr)
                    known->insert(passed.begin(), passed.end());
                return {};
            }
        }
        if (at_rest(s) && s.settled && passes > 0 && !is_excused(in, s)) {
            if (auto why = refuses(in, s))
                return broken{"a whole pass went by, and " + *why, trace, words_of(s)};
        }
        auto open = choices_in(in, s, true);
        if (open.moves.empty())
            return broken{"nothing is left to be done, but: " + lacks(in, s).value_or("?"), trace, words_of(s)};
        const auto& m = open.moves.front();
        if (m.what == deed::start && ++passes > most_passes)
            break;
        if (telling)
            trace.push_back(words_of(in, s, open, m));
        auto n = after(in, s, open, m);
        auto why = broken_by(in, s, n, m);
        if (!why)
            why = broken_in(in, n);
        s = std::move(n);
        if (why)
            return broken{*why, trace, words_of(s)};
    }
    return broken{"no fixed point without a person: " + lacks(in, s).value_or("never quiet"), trace, words_of(s)};
}

class explorer {
public:
    explorer(const setting& in, std::uint64_t most) : in_(in), most_(most) {}

    findings run(const state& first) {
        const auto started = std::chrono::steady_clock::now();
        push(first);
        while (!path_.empty() && !out_.violation && out_.states < most_)
            go_on();
        out_.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count();
        return std::move(out_);
    }

private:
    void push(state s) {
        auto name = name_of(s);
        if (on_path_.contains(name)) {
            report({"the same state again: the loop goes in circles", {}, words_of(s)});
            return;
        }
        if (!seen_.insert(name).second)
            return;
        ++out_.states;
        frame f{std::move(s), {}, name, 0};
        f.open = choices_in(in_, f.at);
        on_path_.insert(name);
        path_.push_back(std::move(f));
        out_.deepest = std::max(out_.deepest, path_.size());
        if (path_.size() > greatest_depth) {
            report({"no end after " + std::to_string(greatest_depth) + " moves", {}, words_of(path_.back().at)});
            return;
        }
        if (must_be_whole(path_.back()))
            try_calm(path_.back().at);
    }

    // Where nobody goes on by himself within what is explored.
    static bool must_be_whole(const frame& f) {
        if (!at_rest(f.at))
            return false;
        for (const auto& m : f.open.moves) {
            if (m.what == deed::start && m.missing == blindness::none)
                return false;
        }
        return true;
    }

    void try_calm(state s) {
        ++out_.ends;
        auto from = s;
        if (!calm_down(in_, s, &whole_, false))
            return;
        // Once more, with words.
        if (auto why = calm_down(in_, from, nullptr, true))
            report(std::move(*why));
    }

    void go_on() {
        auto& f = path_.back();
        if (f.next == f.open.moves.size()) {
            on_path_.erase(f.name);
            path_.pop_back();
            return;
        }
        const auto m = f.open.moves[f.next++];
        ++out_.moves;
        auto n = after(in_, f.at, f.open, m);
        auto why = broken_by(in_, f.at, n, m);
        if (!why)
            why = broken_in(in_, n);
        if (why) {
            report({*why, {}, words_of(n)});
            return;
        }
        push(std::move(n));
    }

    void report(broken b) {
        std::string text = b.rule + "\n";
        for (const auto& f : path_) {
            if (f.next > 0)
                text += "  " + words_of(in_, f.at, f.open, f.open.moves[f.next - 1]) + "\n";
        }
        if (!b.trace.empty())
            text += "  -- from here on nothing goes wrong any more --\n";
        for (const auto& line : b.trace)
            text += "  " + line + "\n";
        out_.violation = text + "  in the end:\n" + b.end;
    }

    const setting& in_;
    std::uint64_t most_;
    findings out_;
    std::vector<frame> path_;
    std::unordered_set<digest, digest_hash> seen_;
    std::unordered_set<digest, digest_hash> on_path_;
    std::unordered_set<digest, digest_hash> whole_;
};

} // namespace

digest name_of(const state& s, bool with_budgets) {
    writer w{s.now};
    w.put(s.world, s.last, s.started, s.settled, s.pause, s.wake);
    for (const auto& p : s.processes) {
        w.put(p.has_value());
        if (p)
            w.put(*p);
    }
    for (const auto& p : s.parcels)
        w.put(p.sent, p.what.locks, p.waiter, p.latest);
    if (with_budgets)
        w.put(s.left.faults, s.left.edits, s.left.jumps, s.left.rivals, s.left.switches, s.left.starts, s.left.detours);
    return digest_of(w.text());
}

findings explore(const setting& in, const state& first, std::uint64_t most_states) {
    return explorer{in, most_states}.run(first);
}

state settled(const setting& in, state from) {
    if (auto why = calm_down(in, from, nullptr, true)) {
        std::string text = why->rule + "\n";
        for (const auto& line : why->trace)
            text += "  " + line + "\n";
        throw std::runtime_error{text + why->end};
    }
    return from;
}

} // namespace postern::model
