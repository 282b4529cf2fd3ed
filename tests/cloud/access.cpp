#include "cloud/access.hpp"

#include "base/text.hpp"

#include <boost/asio/ip/address.hpp>
#include <boost/asio/ip/network_v4.hpp>
#include <openssl/crypto.h>

#include <algorithm>
#include <array>
#include <tuple>

namespace postern::testcloud {

namespace {

constexpr int deepest_group = 8;

struct place {
    std::string_view host;
    std::string_view path; // "" or "/admin"
};

place place_of(std::string_view text) {
    for (std::string_view scheme : {"https://", "http://"})
        if (text.starts_with(scheme))
            text.remove_prefix(scheme.size());
    const auto slash = text.find('/');
    if (slash == std::string_view::npos)
        return {text, {}};
    auto path = text.substr(slash);
    while (path.ends_with('/'))
        path.remove_suffix(1);
    return {text.substr(0, slash), path};
}

bool guards(const place& p, std::string_view host, std::string_view path) {
    if (!matches_glob(p.host, host))
        return false;
    if (p.path.empty())
        return true;
    if (p.path.find('*') != std::string_view::npos)
        return matches_glob(p.path, path) || matches_glob(std::string{p.path} + "/*", path);
    return path == p.path || (path.starts_with(p.path) && path[p.path.size()] == '/');
}

bool behind_access(const application& app) {
    return app.type == "self_hosted" || app.type == "ssh" || app.type == "vnc" || app.type == "mcp";
}

bool on_public_path(const application& app, std::string_view path) {
    const auto* destinations = array_at(app.settings, "destinations");
    if (destinations == nullptr)
        return false;
    for (const auto& d : *destinations) {
        const auto* overrides = d.is_object() ? array_at(d.get_object(), "overrides") : nullptr;
        if (overrides == nullptr)
            continue;
        for (const auto& o : *overrides) {
            if (!o.is_object() || text_at(o.get_object(), "behavior") != "public")
                continue;
            if (matches_glob(text_at(o.get_object(), "path_pattern").value_or(""), path))
                return true;
        }
    }
    return false;
}

bool same_text(std::string_view a, std::string_view b) {
    return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

bool in_network(std::string_view network, const std::string& ip) {
    boost::system::error_code ec;
    const auto address = boost::asio::ip::make_address_v4(ip, ec);
    if (ec)
        return false;
    const std::string text =
        network.find('/') == std::string_view::npos ? std::string{network} + "/32" : std::string{network};
    const auto range = boost::asio::ip::make_network_v4(text, ec);
    return !ec && range.canonical() == boost::asio::ip::network_v4(address, range.prefix_length()).canonical();
}

// What a rule can be held against: the machine that calls. Whatever needs an identity is not satisfied by it.
struct caller {
    const access_config& config;
    const service_token* token; // only where its credential is valid
    const std::string& ip;
    bool everyone; // whether the selector `everyone` holds without an identity
};

bool holds(const caller& who, const json::value& rule, int depth);

bool any_holds(const caller& who, const json::array& rules, int depth) {
    return std::any_of(rules.begin(), rules.end(), [&](const auto& r) { return holds(who, r, depth); });
}

bool all_hold(const caller& who, const json::array& rules, int depth) {
    return std::all_of(rules.begin(), rules.end(), [&](const auto& r) { return holds(who, r, depth); });
}

template<class Ruled>
bool satisfied(const caller& who, const Ruled& ruled, int depth) {
    caller excluded = who;
    excluded.everyone = true;
    return any_holds(who, ruled.include, depth) && all_hold(who, ruled.require, depth) &&
           !any_holds(excluded, ruled.exclude, depth);
}

bool holds(const caller& who, const json::value& rule, int depth) {
    const auto* o = rule.if_object();
    if (o == nullptr || depth > deepest_group)
        return false;
    if (const auto* named = object_at(*o, "service_token"))
        return who.token != nullptr && text_at(*named, "token_id") == who.token->id;
    if (o->contains("any_valid_service_token"))
        return who.token != nullptr;
    if (o->contains("everyone"))
        return who.everyone;
    if (const auto* range = object_at(*o, "ip"))
        return in_network(text_at(*range, "ip").value_or(""), who.ip);
    if (const auto* named = object_at(*o, "group")) {
        const auto found = who.config.groups.find(text_at(*named, "id").value_or(""));
        return found != who.config.groups.end() && satisfied(who, found->second, depth + 1);
    }
    return false;
}

std::vector<std::pair<const policy*, std::int64_t>> ordered_policies(const access_config& config,
                                                                     const application& app) {
    std::vector<std::pair<const policy*, std::int64_t>> out;
    for (const auto& link : app.policies)
        if (const auto found = config.policies.find(link.policy_id); found != config.policies.end())
            out.emplace_back(&found->second, link.precedence);
    std::sort(out.begin(), out.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
    return out;
}

void name_tokens(const access_config& config, const json::array& rules, std::set<std::string>& out, int depth) {
    for (const auto& rule : rules) {
        const auto* o = rule.if_object();
        if (o == nullptr || depth > deepest_group)
            continue;
        if (const auto* named = object_at(*o, "service_token"))
            out.insert(text_at(*named, "token_id").value_or(""));
        if (o->contains("any_valid_service_token"))
            out.insert("*");
        if (const auto* named = object_at(*o, "group")) {
            const auto found = config.groups.find(text_at(*named, "id").value_or(""));
            if (found != config.groups.end())
                name_tokens(config, found->second.include, out, depth + 1);
        }
    }
}

bool names_token(const json::array& rules, std::string_view id) {
    return std::any_of(rules.begin(), rules.end(), [&](const json::value& rule) {
        const auto* named = rule.is_object() ? object_at(rule.get_object(), "service_token") : nullptr;
        return named != nullptr && text_at(*named, "token_id") == std::string{id};
    });
}

ruling refusal_of(const access_config& config, const application& app, const verdict& v, bool service_auth, bool people,
                  const edge_switches& switches) {
    const bool flagged = app.flag("service_auth_401_redirect");
    const bool only_service_auth = service_auth && !people;
    if (v.token == token_state::absent) {
        if (flagged && only_service_auth && switches.flag_401_without_token)
            return ruling::unauthorized;
    } else if (config.org.strict_service_token_auth) {
        if (v.token == token_state::muddled)
            return switches.half_credential_is_forbidden ? ruling::forbidden : ruling::unauthorized;
        return v.token == token_state::valid ? ruling::forbidden : ruling::unauthorized;
    } else if (flagged) {
        return ruling::unauthorized;
    }
    return only_service_auth && switches.service_auth_only_is_forbidden ? ruling::forbidden : ruling::login;
}

} // namespace

std::string_view to_string(token_state s) {
    constexpr std::array<std::string_view, 7> names{"absent",  "muddled",  "unknown", "wrong secret",
                                                    "expired", "disabled", "valid"};
    return names[static_cast<std::size_t>(s)];
}

std::string_view to_string(ruling r) {
    constexpr std::array<std::string_view, 8> names{"unguarded", "public path", "bypassed",     "session",
                                                    "admitted",  "login",       "unauthorized", "forbidden"};
    return names[static_cast<std::size_t>(r)];
}

std::vector<std::string> application::places() const {
    std::vector<std::string> out;
    auto add = [&](std::string_view text) {
        if (!text.empty() && std::find(out.begin(), out.end(), text) == out.end())
            out.emplace_back(text);
    };
    if (domain)
        add(*domain);
    if (const auto* domains = array_at(settings, "self_hosted_domains"))
        for (const auto& d : *domains)
            if (d.is_string())
                add(std::string_view{d.get_string()});
    if (const auto* destinations = array_at(settings, "destinations"))
        for (const auto& d : *destinations)
            if (d.is_object() && text_at(d.get_object(), "type").value_or("public") == "public")
                add(text_at(d.get_object(), "uri").value_or(""));
    return out;
}

const application* guard_of(const access_config& config, std::string_view host, std::string_view path) {
    const application* best = nullptr;
    std::tuple<bool, std::size_t, std::size_t> best_rank{};
    for (const auto& [id, app] : config.apps) {
        if (!behind_access(app))
            continue;
        for (const auto& text : app.places()) {
            const auto p = place_of(text);
            if (!guards(p, host, path))
                continue;
            const bool exact = p.host.find('*') == std::string_view::npos;
            const std::tuple rank{exact, p.path.size(), p.host.size()};
            if (best == nullptr || rank > best_rank) {
                best = &app;
                best_rank = rank;
            }
        }
    }
    return best;
}

const service_token* access_config::token_by_client_id(const std::string& client_id) const {
    if (const auto hint = ids_by_client_id_.find(client_id); hint != ids_by_client_id_.end())
        if (const auto found = tokens.find(hint->second); found != tokens.end() && found->second.client_id == client_id)
            return &found->second;
    for (const auto& [id, token] : tokens) {
        if (token.client_id != client_id)
            continue;
        ids_by_client_id_[client_id] = id;
        return &token;
    }
    return nullptr;
}

namespace {

token_state state_of(const service_token& token, const std::string& secret, instant now) {
    const bool current = same_text(secret, token.secret);
    const bool previous =
        token.previous_secret && now < token.previous_until && same_text(secret, *token.previous_secret);
    if (!current && !previous)
        return token_state::wrong_secret;
    if (!token.enabled)
        return token_state::disabled;
    return token.expired(now) ? token_state::expired : token_state::valid;
}

} // namespace

token_state state_of(const access_config& config, const credential& shown, instant now) {
    const auto* token = config.token_by_client_id(shown.client_id);
    return token == nullptr ? token_state::unknown : state_of(*token, shown.secret, now);
}

verdict judge(const access_config& config, const visit& v, instant now, const edge_switches& switches) {
    return judge_by(config, guard_of(config, v.host, v.path), v, now, switches);
}

verdict judge_by(const access_config& config, const application* app, const visit& v, instant now,
                 const edge_switches& switches) {
    verdict out;
    const service_token* token = v.shown ? config.token_by_client_id(v.shown->client_id) : nullptr;
    if (v.muddled)
        out.token = token_state::muddled;
    else if (v.shown)
        out.token = token == nullptr ? token_state::unknown : state_of(*token, v.shown->secret, now);
    if (token != nullptr)
        out.token_id = token->id;
    if (app == nullptr)
        return out;
    out.app_id = app->id;
    if (on_public_path(*app, v.path)) {
        out.what = ruling::public_path;
        return out;
    }
    const auto* valid = out.token == token_state::valid ? token : nullptr;
    const auto policies = ordered_policies(config, *app);
    bool service_auth = false;
    bool people = false;
    for (const auto& [p, precedence] : policies) {
        service_auth |= p->decision == "non_identity";
        people |= p->decision == "allow";
        const bool bypass = p->decision == "bypass";
        if (!bypass && p->decision != "non_identity")
            continue;
        if (satisfied(caller{config, valid, v.ip, bypass}, *p, 0)) {
            out.what = bypass ? ruling::bypassed : ruling::admitted;
            out.policy_id = p->id;
            out.recognised = valid != nullptr;
            return out;
        }
    }
    if (people && v.session_of_auds.contains(app->aud)) {
        out.what = ruling::session;
        return out;
    }
    // Only a Service Auth policy makes the edge look at the token: beside allow policies alone it goes unrecognised.
    out.recognised = valid != nullptr && service_auth;
    for (const auto& [p, precedence] : policies) {
        if (p->decision != "deny" || !satisfied(caller{config, nullptr, v.ip, true}, *p, 0))
            continue;
        out.what = ruling::forbidden;
        out.policy_id = p->id;
        return out;
    }
    out.what = refusal_of(config, *app, out, service_auth, people, switches);
    return out;
}

std::set<std::string> tokens_named_by(const access_config& config, const application& app) {
    std::set<std::string> out;
    for (const auto& link : app.policies)
        if (const auto found = config.policies.find(link.policy_id);
            found != config.policies.end() && found->second.decision == "non_identity")
            name_tokens(config, found->second.include, out, 0);
    return out;
}

bool token_in_use(const access_config& config, std::string_view token_id) {
    auto named = [&](const auto& ruled) {
        return names_token(ruled.include, token_id) || names_token(ruled.exclude, token_id) ||
               names_token(ruled.require, token_id);
    };
    return std::any_of(config.policies.begin(), config.policies.end(),
                       [&](const auto& p) { return named(p.second); }) ||
           std::any_of(config.groups.begin(), config.groups.end(), [&](const auto& g) { return named(g.second); });
}

} // namespace postern::testcloud
