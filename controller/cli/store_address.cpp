#include "cli/store_address.hpp"

#include <cstdlib>
#include <filesystem>
#include <string_view>
#include <system_error>

namespace postern::cli {

std::string store_address(const options& asked) {
    if (!asked.store.empty())
        return asked.store;
    const char* url = std::getenv("DATABASE_URL");
    return url != nullptr && *url != '\0' ? url : "sqlite:postern.db";
}

result<std::unique_ptr<run::store>> open_existing_store(const options& asked) {
    constexpr std::string_view sqlite = "sqlite:";
    const auto address = store_address(asked);
    std::error_code unreadable;
    if (address.starts_with(sqlite) && !std::filesystem::exists(address.substr(sqlite.size()), unreadable))
        return error{.kind = error_kind::spec,
                     .where = "store " + address,
                     .what = unreadable ? unreadable.message()
                                        : "there is no such file; --store or DATABASE_URL names the daemon's store",
                     .code = {},
                     .retry_after = {}};
    return run::make_store(address);
}

} // namespace postern::cli
