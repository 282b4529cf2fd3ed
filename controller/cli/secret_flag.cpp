#include "cli/secret_flag.hpp"

#include "run/sources.hpp"

#include <utility>

namespace postern::cli {

result<std::optional<secret>> read_secret_flag(const std::optional<domain::value_source>& flag,
                                               const std::string& usually) {
    const auto process = run::reach_of_process("/");
    if (!flag) {
        const auto found = process.env(usually);
        if (!found || found->empty())
            return std::optional<secret>{};
    }
    const run::folder_lists no_vaults;
    const run::sources from{process, no_vaults};
    auto value = from.read(flag.value_or(domain::from_env{usually}));
    if (value.has_error())
        return value.error();
    return std::optional<secret>{std::move(value.value())};
}

} // namespace postern::cli
