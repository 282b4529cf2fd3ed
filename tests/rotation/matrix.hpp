#pragma once

#include "rotation/scenario.hpp"

#include <cstddef>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

// Plays a story with something in the way of one request, lets new processes finish it, and says what is not as it
// would have been undisturbed.
namespace postern::testing {

// What happens at the nth request of the first process (from 1).
struct interference {
    std::string name;
    std::function<void(story_world&, std::size_t n)> arm;
    // A process that goes on late may set a config var once more to the value that it has, which makes a release, and
    // two at once may create a key twice with one value; nothing else.
    enum class leaves { nothing, echoes } may_leave = leaves::nothing;
};

const std::vector<interference>& interferences();

struct undisturbed {
    std::string end; // canonical
    std::size_t requests = 0;
    std::vector<std::string> calls; // what the nth request was, for messages
};

undisturbed play(const scenario& s);
// Empty where the end is the same, nobody was refused and nothing leaked.
std::string play(const scenario& s, const interference& at, std::size_t n, const undisturbed& expected);

// New processes until one finds nothing to do; why not, where that never comes.
std::string until_quiet(story_world& w);
// The same, then so much time, then the same again.
std::string until_over(story_world& w, duration afterwards);
// What is not right about a world that should be quiet and at its end.
std::string complaints(story_world& w, const std::string& expected_end,
                       interference::leaves allowed = interference::leaves::nothing);

// POSTERN_MATRIX=full: everything, not a sample. POSTERN_MATRIX=K/N: one play in N, those that leave K.
struct sample {
    std::size_t one_in = 13;
    std::size_t rest = 0;

    bool is_full() const { return one_in == 1; }
    bool has(std::size_t number) const { return number % one_in == rest; }
};
sample asked_sample();
std::string_view environment(const char* name);

// Counts by row and column, and prints them as a table with totals.
class tally {
public:
    void enter(const std::string& row, const std::string& column, bool held);
    std::string text() const;

private:
    struct count {
        std::size_t held = 0;
        std::size_t all = 0;
    };
    std::vector<std::string> rows_;
    std::vector<std::string> columns_;
    std::map<std::pair<std::string, std::string>, count> counts_;
};

} // namespace postern::testing
