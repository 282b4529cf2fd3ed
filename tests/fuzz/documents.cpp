#include "spec/load.hpp"
#include "target.hpp"

// Spec documents: the same bytes are the same problems, and each can be printed.
void postern::fuzz::try_input(std::string_view input) {
    const std::vector<spec::spec_file> files{{"a.yaml", std::string{input}}};
    const auto first = spec::load(files, "fuzz", {});
    const auto second = spec::load(files, "fuzz", {});
    hold(first.problems == second.problems, "a document is judged the same twice");
    for (const auto& p : first.problems) {
        hold(!p.message.empty(), "a problem says what is wrong");
        hold(to_string(p).find('\n') == std::string::npos, "a problem is one line");
    }
}
