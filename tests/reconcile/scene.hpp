#pragma once

#include "domain/reason.hpp"
#include "reconcile/miniature.hpp"

#include <doctest/doctest.h>

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

// The stage for tests of what goes wrong: three service tokens that have nothing to do with each other. Two share every
// connection ("console-self-probe", on which a test plays its trick, and "billing-probe"), the third ("apart-probe")
// has connections of its own. Every credential that goes out to a host is noted.
namespace postern::testing {

// What one token is made of, as documents and in the world.
struct cast {
    std::string name;
    std::string key;
    std::string folder;
    std::vector<std::string> hosts; // of the Access applications it is bound to
    std::vector<std::string> apps;  // at Heroku
    std::string vault_state;        // folder of Postern's own
};

const cast& console();
const cast& billing();
const cast& apart();

struct scene {
    scene();

    miniature m;
    std::string yaml; // of all three

    // The documents with every `from` replaced. A `from` that is not there is a mistake of the test.
    void rewrite(std::string_view from, std::string_view to);
    domain::desired wanted() const { return documents(yaml); }
    run::pass_report apply() { return m.apply(wanted()); }

    testcloud::application& application(std::string_view host);
    // Non-identity policies that name this token, on the application of that host.
    std::vector<const testcloud::policy*> policies(std::string_view host, const std::string& token_id);
    testcloud::vault_folder& folder(const std::string& path);
    testcloud::heroku_app& app(const std::string& name); // gone ones too
    std::string app_value(const std::string& name, const std::string& var);
    // The one token of that name.
    testcloud::service_token& token(const cast& of);
    std::string credential(const cast& of);

    // "host client_id" of every credential that was sent to a host.
    std::set<std::string> shown_to;
    bool shown_to_host(std::string_view host) const;
    // What a test puts in the way of single requests, behind the noting of credentials.
    std::function<std::optional<error>(const net::request&)> in_the_way;

    // The token is provisioned completely: one token, kept, in the vault and at every app, one policy per application.
    void check_whole(const cast& of);
    void check_all_whole();
    // The token was not begun: nothing at Cloudflare, in the vault's key or at Heroku.
    void check_untouched(const cast& of);
    // Nobody was refused and nothing leaked.
    void check_quiet(const run::pass_report& report);
};

bool fine(const run::pass_report& report);
const domain::condition* condition_of(const run::pass_report& report, std::string_view resource, std::string_view type);

struct expected {
    std::string resource;
    std::string type;
    std::string_view reason;
    domain::weight heft = domain::weight::blocked;
    std::vector<std::string> words; // all in the message
};
void check_condition(const run::pass_report& report, const expected& e);

// {"success":false,...} as Cloudflare says it.
testcloud::fault cloudflare_refuses(std::string method, std::string path, int status, int code, std::string message);

std::string replaced(std::string text, std::string_view from, std::string_view to);

} // namespace postern::testing
