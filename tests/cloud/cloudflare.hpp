#pragma once

#include "cloud/access.hpp"
#include "cloud/books.hpp"
#include "cloud/dice.hpp"
#include "cloud/exchange.hpp"
#include "cloud/virtual_time.hpp"

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

// The Access part of Cloudflare's API v4 under /client/v4: service tokens, applications with inlined policies,
// app-scoped and reusable policies, groups, the organization, token verification, the access log. Envelope, paging,
// codes and messages are the vendor's; where its documents leave the behaviour open there is a switch. serve() acts at
// once and returns the reply; requests are entered, faulted and checked by cloud, not here.
namespace postern::testcloud {

struct api_token {
    std::string id;
    std::string value;
    bool account_owned = false;
    std::string status = "active"; // active, disabled, expired
    std::optional<instant> expires_on;
    // tokens:read tokens:write apps:read apps:write org:read logs:read; "*" is all of them
    std::set<std::string> scopes{"*"};
};

struct cloudflare_switches {
    std::size_t default_per_page = 25;
    std::size_t per_page_cap = 1000;
    bool name_filter_exact = false;
    std::optional<std::size_t> token_limit;  // 50 on small accounts
    bool secret_replies_have_expiry = true;  // expires_at in replies of create and rotate
    std::string forever_expires_at = "null"; // null, absent or far (the year 9999)
    bool rotate_extends_expiry = false;
    bool refresh_uses_own_duration = false; // else refresh gives a year
    duration longest_overlap = std::chrono::hours{30 * 24};
    bool show_reusable = true;              // whether inlined policies say which kind they are
    bool refuse_policy_mix = false;         // reusable links and app-scoped policies in one application PUT
    bool domain_from_destinations = true;   // else `domain` stays null when only destinations were given
    bool missing_scope_lists_empty = false; // a list without the scope: [] instead of 403
    bool enforce_limits = false;            // 1200 requests in 5 minutes, then 5 minutes of 429
    std::size_t limit = 1200;
};

struct access_log_entry {
    instant at{};
    std::string ray_id;
    std::string app_uid;
    std::string client_id;
    bool allowed = false;
};

class cloudflare {
public:
    cloudflare(virtual_time& time, dice& ids, books& ledger);

    reply serve(const request& r, bool by_operator = false);

    std::string account_id;
    std::vector<api_token> api_tokens;
    access_config config;
    cloudflare_switches switches;
    std::vector<access_log_entry> access_log;

    // What an operator's dashboard does, for tests: a token whose secret is entered in the ledger.
    service_token& mint(std::string name, const std::string& duration_text = "8760h");
    // Attaches an app-scoped policy at the highest precedence + 1 and returns it.
    policy& attach_policy(application& app, std::string name, std::string decision, json::array include);
    application& add_application(std::string name, std::string domain, std::string id = {});

private:
    struct account_usage {
        std::vector<instant> requests;
        instant blocked_until{};
    };

    reply route(const request& r);
    std::optional<reply> refuse_caller(const request& r, bool by_operator);
    std::optional<reply> throttle(const std::string& token, reply& headers_into);
    bool allowed(std::string_view scope) const;
    reply verify_token(const request& r, bool account_endpoint);

    reply tokens(const request& r, std::span<const std::string> rest);
    reply create_token(const json::object& body);
    reply update_token(service_token& token, const json::object& body);
    reply rotate_token(service_token& token, const json::object& body);
    reply refresh_token(service_token& token);
    reply delete_token(const service_token& token);
    void give_new_secret(service_token& token, std::optional<instant> previous_until);
    json::object token_json(const service_token& token, bool with_secret) const;

    reply apps(const request& r, std::span<const std::string> rest);
    reply list_apps(const request& r);
    reply put_app(application* existing, const json::object& body);
    reply delete_app(application& app);
    std::optional<reply> link_policies(application& app, const json::value& wanted);
    std::optional<reply> check_settings(const application& app);
    std::optional<reply> check_401_flag(const application& app) const;
    json::object app_json(const application& app) const;

    reply app_policies(const request& r, application& app, std::span<const std::string> rest);
    reply reusable_policies(const request& r, std::span<const std::string> rest);
    std::optional<reply> read_policy(const json::object& body, policy& into) const;
    std::optional<reply> check_rules(const json::array& rules) const;
    std::size_t app_count(const policy& p) const;
    json::object policy_json(const policy& p, std::optional<std::int64_t> precedence, bool inlined) const;

    reply groups(const request& r, std::span<const std::string> rest);
    reply organizations() const;
    reply access_requests(const request& r) const;

    reply page(const request& r, const json::array& items) const;
    // The same of `total` items, of which only those on the page are made.
    reply page(const request& r, std::size_t total, const std::function<json::value(std::size_t)>& item) const;

    virtual_time& time_;
    dice& ids_;
    books& ledger_;
    const api_token* caller_ = nullptr; // of the request being served; nothing for the operator
    std::map<std::string, account_usage> usage_;
};

// {"success":false,"errors":[{code,message}],...}
reply cloudflare_failure(int status, int code, std::string_view message);
// The catch-all: 400, code 12130.
reply cloudflare_invalid(std::string_view detail);
reply cloudflare_success(int status, json::value result);

} // namespace postern::testcloud
