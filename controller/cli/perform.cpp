#include "cli/perform.hpp"

#include "cli/live.hpp"
#include "cli/outcome.hpp"
#include "cli/print.hpp"

#include <algorithm>
#include <csignal>
#include <iostream>
#include <optional>
#include <string>
#include <unistd.h>
#include <utility>

namespace postern::cli {

namespace {

void print_text(const options& asked, const run::pass_report& report, const live& watched) {
    if (report.interrupted) {
        std::cout << "\nStopped on request. No request is under way any more, nothing is lost. The next run goes on "
                  << (report.last.steps.empty() ? "from here.\n" : "with:\n")
                  << steps_text(report.last.steps, colours_wanted());
    }
    if (auto conditions = conditions_text(report.last.conditions, colours_wanted()); !conditions.empty())
        std::cout << (report.cut_short ? "\nThe world was not read to its end again. As it was judged last:\n" : "\n")
                  << conditions;
    const auto is = [&](domain::weight w) {
        return std::any_of(report.last.conditions.begin(), report.last.conditions.end(),
                           [&](const auto& c) { return c.heft == w; });
    };
    const bool at_rest = !is(domain::weight::failed) && !is(domain::weight::blocked) && !is(domain::weight::waiting);
    if (is(domain::weight::waiting) && !report.interrupted)
        std::cout << "\nNothing more can be done within --wait " << format_duration(asked.wait)
                  << ": apply again later, it goes on from here.\n";
    if (watched.changes().empty() && !report.interrupted)
        std::cout << (asked.observe ? "\nNothing was changed: --observe.\n"
                      : at_rest     ? "\nNothing had to be changed.\n"
                                    : "\nNothing was changed.\n");
    std::cout << '\n' << apply_summary(watched.changes().sum());
}

} // namespace

run::plan look(const options& asked, session& here) {
    live::look how;
    how.passing = true;
    if (asked.form == output::text && on_terminal(STDOUT_FILENO))
        how.columns = terminal_columns;
    live watched{std::cout, here.diagnostics(), here.clock(), std::move(how)};
    here.diagnostics().before_each([&] { watched.clear(); });
    auto made = here.make_plan(watched, [&] { watched.tick(); });
    watched.clear();
    here.diagnostics().before_each({});
    return made;
}

std::optional<int> approve(const options& asked, session& here, const domain::desired& wanted) {
    if (asked.auto_approve)
        return std::nullopt;
    if (asked.form == output::json || !on_terminal(STDIN_FILENO) || !on_terminal(STDOUT_FILENO)) {
        std::cerr << asked.verb
                  << " shows its plan and asks before it changes anything, which takes a terminal. Without one, or "
                     "with -o json, say --auto-approve; `postern plan` shows what it would do.\n";
        return code::error;
    }
    auto made = look(asked, here);
    if (made.failure || made.interrupted) {
        std::cerr << (made.failure ? made.failure->message() : "Stopped.") << '\n';
        return code::error;
    }
    std::cout << plan_text(made.steps, made.conditions, wanted, colours_wanted());
    if (made.steps.empty())
        return std::nullopt;
    std::cout << "\nDo you want this to be done? Only \"yes\" is a yes: " << std::flush;
    std::string answer;
    std::getline(std::cin, answer);
    if (answer == "yes")
        return std::nullopt;
    std::cout << "Nothing was done.\n";
    return code::error;
}

performed perform(const options& asked, session& here, const domain::desired& wanted) {
    if (auto refused = approve(asked, here, wanted))
        return {*refused, {}};
    // Whoever reads along may go; what was begun is still finished.
    std::signal(SIGPIPE, SIG_IGN);
    const bool text = asked.form == output::text;
    live::look look{{}, colours_wanted(), !text};
    if (text && on_terminal(STDOUT_FILENO))
        look.columns = terminal_columns;
    live watched{std::cout, here.diagnostics(), here.clock(), std::move(look)};
    here.diagnostics().before_each([&] { watched.clear(); });
    auto report = here.make_pass(watched, [&] { watched.tick(); });
    watched.clear();
    here.diagnostics().before_each({});

    if (report.unsettled)
        here.diagnostics().error(asked.verb, {{"what", report.unsettled->message()}});
    if (text)
        print_text(asked, report, watched);
    else
        std::cout << document(watched.done(), report.last.conditions, wanted);
    return {exit_code(report), std::move(report.last.conditions)};
}

} // namespace postern::cli
