#include "cli/documents.hpp"

#include "spec/load.hpp"

#include <iostream>
#include <utility>

namespace postern::cli {

std::optional<domain::desired> load_documents(const options& asked) {
    auto loaded = spec::load(asked.specs, asked.trust);
    if (loaded.ok())
        return std::move(loaded.desired);
    for (const auto& problem : loaded.problems)
        std::cerr << spec::to_string(problem) << '\n';
    const auto count = loaded.problems.size();
    std::cerr << count << (count == 1 ? " problem" : " problems") << ". Nothing was done.\n";
    return std::nullopt;
}

} // namespace postern::cli
