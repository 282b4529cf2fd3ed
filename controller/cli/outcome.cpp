#include "cli/outcome.hpp"

#include "cli/options.hpp"

#include <algorithm>

namespace postern::cli {

namespace {

bool any(const std::vector<domain::condition>& conditions, domain::weight of) {
    return std::any_of(conditions.begin(), conditions.end(), [&](const auto& c) { return c.heft == of; });
}

} // namespace

int exit_code(const run::plan& made) {
    if (made.failure || made.interrupted || any(made.conditions, domain::weight::failed))
        return code::error;
    return made.steps.empty() ? code::fine : code::changes_pending;
}

int exit_code(const run::pass_report& report) {
    return report.unsettled || report.interrupted ? static_cast<int>(code::error) : exit_code(report.last.conditions);
}

int exit_code(const std::vector<domain::condition>& conditions) {
    if (any(conditions, domain::weight::failed) || any(conditions, domain::weight::waiting))
        return code::error;
    return any(conditions, domain::weight::blocked) ? code::needs_a_person : code::fine;
}

} // namespace postern::cli
