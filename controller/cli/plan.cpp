#include "cli/documents.hpp"
#include "cli/outcome.hpp"
#include "cli/perform.hpp"
#include "cli/print.hpp"
#include "cli/session.hpp"
#include "cli/verbs.hpp"

#include <iostream>

namespace postern::cli {

int plan(const options& asked) {
    auto wanted = load_documents(asked);
    if (!wanted)
        return code::error;
    session here{asked, *wanted};
    if (auto why = here.unusable()) {
        std::cerr << why->message() << '\n';
        return code::error;
    }
    auto made = look(asked, here);
    if (made.failure)
        here.diagnostics().error("plan", {{"what", made.failure->message()}});
    if (made.interrupted) {
        std::cerr << "Stopped before the plan was complete.\n";
        return code::error;
    }
    if (asked.form == output::json)
        std::cout << document(made.steps, made.conditions, *wanted);
    else
        std::cout << plan_text(made.steps, made.conditions, *wanted, colours_wanted());
    return exit_code(made);
}

} // namespace postern::cli
