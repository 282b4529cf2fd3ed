#pragma once

#include "domain/desired.hpp"
#include "spec/document.hpp"
#include "spec/trust.hpp"

#include <string>
#include <string_view>
#include <vector>

// Documents as values of the domain, one at a time: defaults filled in, what a single document can get wrong beyond
// its schema reported. References to other documents are still as written, empty where they were left out.
namespace postern::spec {

template<class T>
struct draft {
    const document* doc = nullptr;
    T value;
};

struct drafts {
    std::vector<draft<domain::cloudflare_account>> cloudflare;
    std::vector<draft<domain::infisical_vault>> vaults;
    std::vector<draft<domain::heroku_account>> heroku;
    std::vector<draft<domain::service_token>> tokens;
    std::vector<draft<domain::access_binding>> bindings;
    std::vector<draft<domain::heroku_binding>> heroku_bindings;
};

// Reads the documents that are readable; they must outlive the result. What is broken in them reads as empty.
drafts read_documents(const std::vector<document>& documents, const load_options& options,
                      std::vector<problem>& problems);

// Where a document keeps a value source, and the source itself.
struct placed_source {
    json_path path;
    domain::value_source* source;
};
std::vector<placed_source> sources_of(domain::cloudflare_account& account);
std::vector<placed_source> sources_of(domain::infisical_vault& vault);
std::vector<placed_source> sources_of(domain::heroku_account& account);

} // namespace postern::spec
