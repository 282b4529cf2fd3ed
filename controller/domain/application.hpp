#pragma once

#include "domain/desired.hpp"
#include "domain/observed.hpp"

#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
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

// An address at which to knock.
struct site {
    std::string host;
    std::string path;
    auto operator<=>(const site&) const = default;
};

// The hosts that a list of globs allows; a list without any allows all. Asked often, built once.
class allowed_hosts {
public:
    explicit allowed_hosts(const std::vector<std::string>& globs);
    bool contains(std::string_view host) const;

private:
    std::unordered_set<std::string> exact_; // lower case
    std::vector<std::string> globs_;        // those with a wildcard
};

// The applications of one account by what a document may call them and by what they guard: built once for the hundreds
// of bindings that name them. Refers to the account, which outlives it.
class application_index {
public:
    explicit application_index(const account_view& account);

    // Exact match on our side; an application that no service token can pass is a problem, unless another one matches.
    // Two matches are a problem, not a choice. An application that guards a host beyond either list is one, too.
    std::variant<const live_application*, problem> resolve(const application_ref& ref,
                                                           const allowed_hosts& account_allows,
                                                           const allowed_hosts& operator_allows) const;

    // The application's own public hosts, narrowed or filled in by the smoke test's, with the smoke test's path below
    // the application's own. Each address is answered by this application and by no other, and is not open to
    // everybody. Never empty on success.
    std::variant<std::vector<site>, problem> sites(const smoke_test& smoke, const live_application& app) const;

    // Those with this id: one, unless the list is at odds with itself.
    const std::vector<const live_application*>& with_id(const std::string& id) const;

    // The application that answers for this address: longest path first, then the most exact host. Null: none.
    const live_application* answering(std::string_view host, std::string_view path) const;

private:
    using matches = std::vector<const live_application*>; // in the order of the account's list

    struct guarded {
        const live_application* app;
        std::string_view host; // or a glob
        std::string_view path; // "" or "/…"
    };

    const matches& matching(const application_ref& ref) const;

    bool empty_;
    std::unordered_map<std::string_view, matches> by_id_;
    std::unordered_map<std::string_view, matches> by_name_;
    std::unordered_map<std::string, matches> by_destination_;       // lower case
    std::unordered_map<std::string, std::vector<guarded>> by_host_; // lower case
    std::vector<guarded> wildcards_;
};

} // namespace postern::domain
