#pragma once

#include "cli/print.hpp"
#include "net/clock.hpp"
#include "run/log.hpp"
#include "run/pass.hpp"

#include <cstddef>
#include <functional>
#include <iosfwd>
#include <list>
#include <map>
#include <string>
#include <utility>
#include <vector>

// What happens, while it happens: one lasting line per step that ended and, on a terminal, a line per step that is
// under way, redrawn in place below them.
namespace postern::cli {

class live final : public run::progress {
public:
    struct look {
        std::function<std::size_t()> columns; // of the terminal; none where it is not one, and nothing is redrawn
        bool colour = false;
        bool quiet = false;   // nothing lasting is written: another output is wanted
        bool passing = false; // nothing lasting is written, for what is looked at is told later
    };

    // All outlive this object. The diagnostics get each step too, for whoever asks for that level.
    live(std::ostream& to, run::log& diagnostics, net::clock& clock, look how)
        : to_(to), diagnostics_(diagnostics), clock_(clock), how_(std::move(how)) {}

    void gathering() override;
    void started(const domain::step& s) override;
    void finished(const domain::step& s, const domain::outcome& came) override;
    void waiting(instant until, const std::vector<domain::condition>& conditions) override;

    // Redraws the times; called about once a second.
    void tick();
    // Takes the redrawn lines away: something else is about to be written, or this is over.
    void clear();

    // What the steps that wrote came to.
    const change_count& changes() const { return changes_; }
    // Those steps in the order in which they ended; of thousands they are large, and kept only where a look is `quiet`.
    const std::vector<domain::step>& done() const { return done_; }

private:
    struct under_way {
        std::string name;
        std::string what;
        instant since;
    };

    void draw();
    void draw_line(const std::string& line);
    void say(const std::string& line);
    void tell(const domain::step& s, const std::string& result, bool bad);

    std::ostream& to_;
    run::log& diagnostics_;
    net::clock& clock_;
    look how_;
    std::map<std::string, under_way> running_; // by first lock
    std::string waiting_;
    std::size_t drawn_ = 0;
    change_count changes_;
    std::vector<domain::step> done_;
};

} // namespace postern::cli
