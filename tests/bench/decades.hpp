#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <ostream>
#include <string>
#include <vector>

// Decades of virtual time over the pure core and the symbolic cloud of tests/model: what a run is asked to be, and what
// came of it. All tokens together are split into estates: each has documents, an account, a vault and processes of its
// own, so that a judgement looks at that estate's tokens alone. Estates have nothing to do with each other and run on
// several threads; nothing that is counted depends on how many.
namespace postern::bench {

// The core broken on purpose, to see that it is noticed.
enum class defect {
    none,
    no_overlap,   // the credential before ends with the switch, and nobody looks who still uses it
    blind_promote // a credential is promoted as if it had passed its hosts
};

struct form {
    std::uint64_t seed = 1;
    int tokens = 1000;
    int estates = 125;
    int years = 10;
    int threads = 2;
    defect broken = defect::none;
    bool late = true; // some requests arrive only after their sender has given up on them
};

// Fifty tokens over three years: a few seconds.
form short_form(std::uint64_t seed);

struct tally {
    std::map<std::string, std::uint64_t> rotations; // by strategy
    std::map<std::string, std::uint64_t> faults;    // by kind
    std::map<std::string, std::uint64_t> edits;     // of documents, by kind
    std::uint64_t events = 0;                       // in the log that the digest is of
    std::uint64_t passes = 0;
    std::uint64_t judgements = 0;
    std::uint64_t processes = 0;
    std::uint64_t crashes = 0; // processes killed in the middle of a pass
    std::uint64_t stalls = 0;
    std::uint64_t readings = 0; // of the whole world
    std::uint64_t reads = 0;    // requests of those, of looks and of what is read again before and after a write
    std::uint64_t writes = 0;   // requests that change something
    std::uint64_t knocks = 0;   // of ours, at hosts
    std::uint64_t asked = 0;    // whether a consumer passes a host
    std::uint64_t stood_for = 0;
    std::uint64_t samples = 0;   // passes at which nothing was due
    std::uint64_t surprises = 0; // of those, passes that did something

    void add(const tally& other);
};

// Something that must not be, and the last that happened before to the token.
struct trouble_found {
    std::string what;
    std::string token; // that it is about; empty: any
    std::vector<std::string> history;
};

struct outcome_of_run {
    tally done;
    std::uint64_t digest = 0;
    std::optional<trouble_found> first; // a refusal, or an estate that does not come to rest
    std::vector<std::string> more;      // found in other estates
    std::uint64_t refusals = 0;
};

// One estate, from its first day to its last; ends at the first refusal. `log` gets each event in words.
outcome_of_run live(const form& f, int estate, std::ostream* log = nullptr);

// All of them; where something is found, that estate is lived once more to tell the history.
outcome_of_run live_all(const form& f);

} // namespace postern::bench
