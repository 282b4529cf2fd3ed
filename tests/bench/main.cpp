// decades: 1,000 service tokens over 10 virtual years, and nobody is refused.
//
//   decades [--seed N] [--short] [--tokens N] [--estates N] [--years N] [--threads N]
//           [--break no-overlap|blind-promote] [--no-late] [--log ESTATE]
//
// It drives the pure core (next, effect) against the symbolic cloud of tests/model, not JSON over the wire: the same
// decisions, step by step and request by request, without the codecs. (tests/reconcile and tests/rotation have the
// wire.) The tokens are split into estates of 8, each with documents, an account, a vault and processes of its own.
//
// What happens, all of it drawn from the seed: replies are lost, requests answer 429 and 500, connections are reset
// before or after the deed, requests arrive minutes late, readings miss something, the edge learns of policies late,
// releases hang; processes die before and after requests, stand still for up to two hours while another one works, are
// started anew and stall for up to a week; an operator edits the documents (strategy, durations, every, overlap,
// displayName, applications, apps, new tokens, tokens that leave) and asks for rotations. Strategies are mixed; one in
// six has `every`. Consumers read the vault at each use, or keep what they read for up to 24 hours; apps' next dynos,
// their dynos, and dynos that outlive a restart by up to 24 hours. The shortest overlap is 24 hours.
//
// A consumer's answer changes only at events: when a value, a policy at the edge or a token changes, when a secret or a
// token ends, when a cache does. It is asked there, and the answer stands for all knocks until the next event: one a
// minute in the hour after and before an event, one an hour else.
//
// A visit of the daemon comes when the last one said that something will be due, after an edit, five minutes after one
// that met trouble, and once in two weeks. That a visit in between does nothing is sampled; the line "idle visits"
// counts.
//
// --short is 50 tokens in 5 estates over 3 years. --break breaks the core on purpose. --no-late leaves out requests
// that arrive after their sender has given up. --log writes an estate's events to stdout; what is given after --short
// changes it. The lines "calls" count requests as the wire form would send them; here they are function calls.
// Exits 1, with the first thing found and what happened before it, if anybody is refused, an estate does not come to
// rest, or an idle visit did something; 2 if it is called wrongly.
#include "bench/decades.hpp"

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <string>
#include <string_view>

namespace {

using namespace postern::bench;

[[noreturn]] void usage() {
    std::cerr << "usage: decades [--seed N] [--short] [--tokens N] [--estates N] [--years N] [--threads N]\n"
                 "               [--break no-overlap|blind-promote] [--no-late] [--log ESTATE]\n";
    std::exit(2);
}

void print(const char* name, std::uint64_t count, const std::string& more = {}) {
    std::printf("%-18s %llu%s\n", name, static_cast<unsigned long long>(count), more.c_str());
}

void print(const char* name, const std::map<std::string, std::uint64_t>& counts) {
    std::uint64_t sum = 0;
    for (const auto& [kind, count] : counts)
        sum += count;
    print(name, sum);
    for (const auto& [kind, count] : counts)
        std::printf("    %12llu  %s\n", static_cast<unsigned long long>(count), kind.c_str());
}

void print(const form& f, const outcome_of_run& out, double seconds) {
    const auto& d = out.done;
    print("seed", f.seed);
    std::printf("%-18s %d tokens in %d estates, %d virtual years; pure core, symbolic cloud\n", "form", f.tokens,
                f.estates, f.years);
    print("rotations", d.rotations);
    print("faults survived", d.faults);
    print("edits", d.edits);
    print("processes", d.processes, ", " + std::to_string(d.crashes) + " of them killed in the middle");
    print("stalls", d.stalls, " of half a day to a week");
    print("passes", d.passes, ", " + std::to_string(d.judgements) + " judgements");
    print("idle visits", d.samples, " sampled, " + std::to_string(d.surprises) + " of them did something");
    print("calls", d.reads + d.writes + d.knocks,
          ": " + std::to_string(d.writes) + " writes, " + std::to_string(d.knocks) + " knocks of our own, " +
              std::to_string(d.reads) + " reads (" + std::to_string(d.readings) +
              " readings of the world), as the wire would have them");
    print("knocks", d.stood_for, " stood for by " + std::to_string(d.asked) + " asked at events");
    print("refusals", out.refusals);
    print("events", d.events);
    std::printf("%-18s %016llx\n", "digest", static_cast<unsigned long long>(out.digest));
    std::printf("%-18s %.1f s on %d threads\n", "wall time", seconds, f.threads);
}

} // namespace

int main(int argc, char** argv) {
    form f;
    int logged = -1;
    for (int i = 1; i < argc; ++i) {
        const std::string_view flag = argv[i];
        if (flag == "--short") {
            f = short_form(f.seed);
            continue;
        }
        if (flag == "--no-late") {
            f.late = false;
            continue;
        }
        if (++i == argc)
            usage();
        const std::string_view value = argv[i];
        const auto number = std::strtoull(argv[i], nullptr, 10);
        if (flag == "--seed")
            f.seed = number;
        else if (flag == "--tokens")
            f.tokens = static_cast<int>(number);
        else if (flag == "--estates")
            f.estates = static_cast<int>(number);
        else if (flag == "--years")
            f.years = static_cast<int>(number);
        else if (flag == "--threads")
            f.threads = static_cast<int>(number);
        else if (flag == "--log")
            logged = static_cast<int>(number);
        else if (flag == "--break" && (value == "no-overlap" || value == "blind-promote"))
            f.broken = value == "no-overlap" ? defect::no_overlap : defect::blind_promote;
        else
            usage();
    }
    if (f.estates < 1 || f.tokens < f.estates || f.years < 1 || f.threads < 1)
        usage();
    if (logged >= 0) {
        auto out = live(f, logged, &std::cout);
        return out.first ? 1 : 0;
    }
    const auto began = std::chrono::steady_clock::now();
    const auto out = live_all(f);
    print(f, out, std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count());
    if (out.first) {
        std::printf("\nFOUND: %s\n\nwhat happened before it:\n", out.first->what.c_str());
        for (const auto& line : out.first->history)
            std::printf("  %s\n", line.c_str());
        for (const auto& what : out.more)
            std::printf("\nFOUND TOO: %s\n", what.c_str());
    }
    return out.first || out.done.surprises > 0 ? 1 : 0;
}
