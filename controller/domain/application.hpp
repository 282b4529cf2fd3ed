#pragma once

#include "domain/desired.hpp"
#include "domain/observed.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

// Which live application a document means, and at which addresses a credential for it is proved. A credential is only
// ever shown to hosts that belong to the bound application.
namespace postern::domain {

// Why something that a document asks for cannot be done as it stands.
struct problem {
    std::string_view reason;
    std::string message;
};

// Whether an application is of a type that a service token can pass.
bool admits_machines(const live_application& app);

// Exact match on our side; an application that no service token can pass is a problem, unless another one matches.
// Two matches are a problem, not a choice. An application that guards a host beyond either list of globs is one, too.
std::variant<const live_application*, problem> resolve(const application_ref& ref, const account_view& account,
                                                       const std::vector<std::string>& account_allows,
                                                       const std::vector<std::string>& operator_allows = {});

// An address at which to knock.
struct site {
    std::string host;
    std::string path;
    auto operator<=>(const site&) const = default;
};

// The application's own public hosts, narrowed or filled in by the smoke test's, with the smoke test's path below the
// application's own. Each address is answered by this application and by no other, and is not open to everybody.
// Never empty on success.
std::variant<std::vector<site>, problem> sites(const smoke_test& smoke, const live_application& app,
                                               const account_view& account);

// The application that answers for this address: longest path first, then the most exact host. Null: none.
const live_application* answering(const account_view& account, std::string_view host, std::string_view path);

} // namespace postern::domain
