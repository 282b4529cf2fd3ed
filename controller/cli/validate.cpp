#include "cli/documents.hpp"
#include "cli/verbs.hpp"

#include <iostream>

namespace postern::cli {

namespace {

void count(std::size_t n, std::string_view one, bool& first) {
    if (n == 0)
        return;
    std::cout << (first ? "" : ", ") << n << ' ' << one << (n == 1 ? "" : "s");
    first = false;
}

} // namespace

int validate(const options& asked) {
    auto wanted = load_documents(asked);
    if (!wanted)
        return code::error;
    bool first = true;
    std::cout << "The documents are fine: ";
    count(wanted->cloudflare.size(), "CloudflareAccount", first);
    count(wanted->vaults.size(), "InfisicalVault", first);
    count(wanted->heroku.size(), "HerokuAccount", first);
    count(wanted->tokens.size(), "ServiceToken", first);
    count(wanted->bindings.size(), "AccessBinding", first);
    count(wanted->heroku_bindings.size(), "HerokuBinding", first);
    std::cout << ".\n";
    return code::fine;
}

} // namespace postern::cli
