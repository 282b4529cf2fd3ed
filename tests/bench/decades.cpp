#include "bench/decades.hpp"

#include "bench/dice.hpp"
#include "bench/estate.hpp"

#include <atomic>
#include <deque>
#include <sstream>
#include <thread>

namespace postern::bench {

namespace {

constexpr std::size_t longest_history = 120;

void add_all(std::map<std::string, std::uint64_t>& to, const std::map<std::string, std::uint64_t>& from) {
    for (const auto& [name, count] : from)
        to[name] += count;
}

// Whether a line of the log can have to do with this token: it names it, or it names none.
bool concerns(const std::string& line, const std::string& token) {
    if (line.find("/e") == std::string::npos || token.empty())
        return true;
    for (auto at = line.find(token); at != std::string::npos; at = line.find(token, at + 1)) {
        const auto next = at + token.size();
        if (next == line.size() || line[next] < '0' || line[next] > '9')
            return true;
    }
    return false;
}

std::vector<std::string> last_lines(const std::string& text, const std::string& token) {
    std::istringstream in{text};
    std::deque<std::string> lines;
    for (std::string line; std::getline(in, line);) {
        if (!concerns(line, token))
            continue;
        lines.push_back(std::move(line));
        if (lines.size() > longest_history)
            lines.pop_front();
    }
    return {lines.begin(), lines.end()};
}

} // namespace

form short_form(std::uint64_t seed) {
    form f;
    f.seed = seed;
    f.tokens = 50;
    f.estates = 5;
    f.years = 3;
    return f;
}

void tally::add(const tally& other) {
    add_all(rotations, other.rotations);
    add_all(faults, other.faults);
    add_all(edits, other.edits);
    events += other.events;
    passes += other.passes;
    judgements += other.judgements;
    processes += other.processes;
    crashes += other.crashes;
    stalls += other.stalls;
    readings += other.readings;
    reads += other.reads;
    writes += other.writes;
    knocks += other.knocks;
    asked += other.asked;
    stood_for += other.stood_for;
    samples += other.samples;
    surprises += other.surprises;
}

outcome_of_run live(const form& f, int number, std::ostream* log) {
    return estate{f, number, log}.live();
}

outcome_of_run live_all(const form& f) {
    std::vector<outcome_of_run> all(static_cast<std::size_t>(f.estates));
    std::atomic<int> next = 0;
    auto work = [&] {
        for (int number = next++; number < f.estates; number = next++)
            all[static_cast<std::size_t>(number)] = live(f, number);
    };
    std::vector<std::thread> others;
    for (int i = 1; i < f.threads; ++i)
        others.emplace_back(work);
    work();
    for (auto& t : others)
        t.join();

    outcome_of_run out;
    digester digest;
    for (std::size_t i = 0; i < all.size(); ++i) {
        out.done.add(all[i].done);
        out.refusals += all[i].refusals;
        digest.put(all[i].digest);
        if (!all[i].first)
            continue;
        if (out.first) {
            out.more.push_back(all[i].first->what);
            continue;
        }
        out.first = all[i].first;
        std::ostringstream log;
        live(f, static_cast<int>(i), &log);
        out.first->history = last_lines(log.str(), out.first->token);
    }
    out.digest = digest.value();
    return out;
}

} // namespace postern::bench
