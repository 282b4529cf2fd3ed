#pragma once

#include "domain/next.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <vector>

// A small world for tables of decisions: one account, one vault, one Heroku account, the case of two console
// applications. Tests bend it and ask what next() makes of it.
namespace postern::domain::testing {

inline const instant t0 = parse_instant("2026-11-23T10:00:00Z").value();

inline rule of_token(std::string id) {
    return {rule::kind::service_token, std::move(id), {}};
}
inline rule of_person(std::string raw) {
    return {rule::kind::other, {}, std::move(raw)};
}

inline live_policy policy(std::string id, std::string name, decision decides, std::vector<rule> include,
                          int precedence = 1, bool reusable = false) {
    live_policy p;
    p.include = std::move(include);
    p.id = std::move(id);
    p.name = std::move(name);
    p.decides = decides;
    p.precedence = precedence;
    p.reusable = reusable;
    p.version = "v1";
    return p;
}

inline live_application app(std::string id, std::string host) {
    live_application a;
    a.id = std::move(id);
    a.name = host;
    a.type = "self_hosted";
    a.destinations = {std::move(host)};
    a.policies = {policy("people-" + a.id, "people", decision::allow, {of_person("email_domain raxx.app")})};
    return a;
}

inline live_token token(std::string id, std::string name) {
    live_token t;
    t.id = id;
    t.client_id = id + ".access";
    t.name = std::move(name);
    t.duration = "8760h";
    t.expires_at = t0 + std::chrono::hours{8760};
    return t;
}

// Whether a policy or a group includes the token.
inline bool is_named(const account_view& account, const std::string& token_id) {
    auto names = [&](const rules& by) {
        return std::any_of(by.include.begin(), by.include.end(), [&](const rule& r) { return r.id == token_id; });
    };
    return std::any_of(account.applications.begin(), account.applications.end(),
                       [&](const auto& a) { return std::any_of(a.policies.begin(), a.policies.end(), names); }) ||
           std::any_of(account.groups.begin(), account.groups.end(), names);
}

struct scene {
    desired wanted;
    observed world;
    settings how;
    instant now = t0;

    scene() {
        wanted.source = "specs";
        wanted.cloudflare.push_back({.name = "raxx",
                                     .at = {},
                                     .api_url = "https://api.cloudflare.com/client/v4",
                                     .account_id = std::string{"a"},
                                     .api_token = from_env{"CLOUDFLARE_API_TOKEN"},
                                     .applications = {}});
        infisical_vault vault;
        vault.name = "infisical";
        vault.state_path = "/state";
        wanted.vaults.push_back(vault);
        wanted.heroku.push_back({"heroku", {}, "https://api.heroku.com", from_env{"HEROKU_API_KEY"}, {}});
        wanted.tokens.push_back(spec("probe", "CF_PROBE"));
        access_binding b;
        b.name = "probe";
        b.account = "raxx";
        b.tokens = {"probe"};
        b.policy_name = "probe (service token)";
        b.applications = {{application_ref::kind::id, "app-1"}, {application_ref::kind::domain, "two.raxx.app"}};
        wanted.bindings.push_back(b);
        heroku_binding h;
        h.name = "probe";
        h.account = "heroku";
        h.token = "probe";
        h.apps = {"staging", "prod"};
        h.config_var = "CF_PROBE";
        wanted.heroku_bindings.push_back(h);

        account_view account;
        account.id = "a";
        account.applications = {app("app-1", "one.raxx.app"), app("app-2", "two.raxx.app")};
        world.accounts["raxx"].seen = account;
        vault_view view;
        view.state.seen.emplace();
        view.state->initialised = true;
        view.state->installation = "0123456789ab";
        view.folders["/creds"].seen = folder_view{.exists = true, .values = {}};
        world.vaults["infisical"].seen = view;
        heroku_view heroku;
        heroku.apps["staging"].seen = app_view{{{"probe", {}}}, {}, {}};
        heroku.apps["prod"].seen = app_view{{{"probe", {}}}, {}, {}};
        world.heroku["heroku"].seen = heroku;
        world.holder = "me";
        world.salt = "5a17";
        world.seen_at = t0;
    }

    static service_token spec(std::string name, std::string key) {
        service_token t;
        t.name = name;
        t.account = "raxx";
        t.vault = "infisical";
        t.display_name = std::move(name);
        t.duration_text = "8760h";
        t.lifetime = std::chrono::hours{8760};
        t.authorization = "I authorize " + key;
        t.key = std::move(key);
        t.path = "/creds";
        t.renew_before = std::chrono::hours{720};
        t.overlap = std::chrono::hours{48};
        return t;
    }

    account_view& account() { return *world.accounts["raxx"]; }
    state_view& state() { return *world.vaults["infisical"]->state; }
    folder_view& folder() { return *world.vaults["infisical"]->folders["/creds"]; }
    app_value& heroku(const std::string& name) { return world.heroku["heroku"]->apps[name]->values["probe"]; }
    record& rec(const std::string& name = "probe") { return state().records.at(name); }
    live_application& application(std::size_t i) { return account().applications.at(i); }

    judgement ask() const { return next(wanted, world, how, now); }

    // As predicted, but for what Cloudflare refuses: to delete a token that something names.
    outcome answered(const step& s) const {
        const auto* deleted = std::get_if<steps::delete_token>(&s.what);
        if (deleted == nullptr || !is_named(*world.accounts.at(deleted->account), deleted->token_id))
            return predicted(world, s, now);
        outcome o;
        o.failure = error{error_kind::refused, "DELETE", "service_token_in_use", 400, "12139", {}};
        return o;
    }

    // What a new process sees of this world: everything but what only lived in memory.
    void restart() {
        world.proofs.clear();
        world.troubles.clear();
        world.unsent.clear();
        world.minted.clear();
        world.touched.clear();
        world.refusals.clear();
        world.renewed.clear();
        world.cut_offs.clear();
        world.stale = false;
        world.salt += "b";
        world.holder += "'";
        world.seen_at = now;
        for (auto& [name, a] : world.heroku["heroku"]->apps) {
            if (a)
                a->releases.reset();
        }
    }

    // Takes every step as it is predicted, until none is left. Returns their words, those for one resource only where
    // it is given; fails where no fixed point is found.
    std::vector<std::string> settle(std::size_t most = 200) {
        std::vector<std::string> words;
        how.imagined = true;
        for (std::size_t i = 0; i < most; ++i) {
            auto j = ask();
            if (j.steps.empty())
                return words;
            for (const auto& s : j.steps) {
                words.push_back(word(s));
                effect(world, s, predicted(world, s, now), now);
            }
        }
        FAIL("no fixed point");
        return words;
    }
};

// All that the documents say is done, and another process sees that.
inline scene provisioned() {
    scene s;
    s.settle();
    s.restart();
    REQUIRE(s.ask().steps.empty());
    return s;
}

inline std::size_t count(const std::vector<std::string>& words, const std::string& word) {
    return static_cast<std::size_t>(std::count(words.begin(), words.end(), word));
}

// Where it stands first; words.size() where it does not.
inline std::size_t place(const std::vector<std::string>& words, const std::string& word) {
    return static_cast<std::size_t>(std::find(words.begin(), words.end(), word) - words.begin());
}

inline bool says(const condition& c, const std::string& words) {
    return c.message.find(words) != std::string::npos;
}

inline const condition* find(const judgement& j, const std::string& resource, const std::string& type) {
    auto at = std::find_if(j.conditions.begin(), j.conditions.end(),
                           [&](const auto& c) { return c.resource == resource && c.type == type; });
    return at == j.conditions.end() ? nullptr : &*at;
}

inline std::string reason_at(const judgement& j, const std::string& resource, const std::string& type) {
    const auto* c = find(j, resource, type);
    return c == nullptr ? "(none)" : c->reason;
}

} // namespace postern::domain::testing
