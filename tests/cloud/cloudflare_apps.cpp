// Applications and the policies inlined in them.
#include "cloud/cloudflare.hpp"

#include <algorithm>
#include <array>
#include <span>
#include <tuple>

namespace postern::testcloud {

namespace {

constexpr std::array read_only_fields{"id",       "uid",  "aud",  "created_at", "updated_at",
                                      "policies", "name", "type", "domain"};

reply unknown_app() {
    return cloudflare_failure(404, 11021, "access.api.error.unknown_application");
}

bool matches(const request& r, std::string_view parameter, const std::vector<std::string>& values) {
    const auto wanted = r.query_value(parameter);
    if (!wanted || wanted->empty())
        return true;
    const bool exact = r.query_value("exact") == "true";
    return std::any_of(values.begin(), values.end(), [&](const auto& value) {
        return exact ? value == *wanted : value.find(*wanted) != std::string::npos;
    });
}

std::optional<std::string> first_destination(const json::object& settings) {
    application probe;
    probe.settings = settings;
    const auto places = probe.places();
    if (places.empty())
        return std::nullopt;
    return places.front();
}

} // namespace

application& cloudflare::add_application(std::string name, std::string domain, std::string id) {
    application app;
    app.id = id.empty() ? ids_.uuid() : std::move(id);
    app.name = std::move(name);
    app.aud = ids_.hex(64);
    app.settings = {{"destinations", json::array{{{"type", "public"}, {"uri", domain}}}},
                    {"self_hosted_domains", json::array{domain}},
                    {"session_duration", "24h"},
                    {"app_launcher_visible", true}};
    app.domain = std::move(domain);
    app.created_at = app.updated_at = whole_seconds(time_.now());
    ++config.places_generation;
    return config.apps[app.id] = app;
}

policy& cloudflare::attach_policy(application& app, std::string name, std::string decision, json::array include) {
    policy p;
    p.id = ids_.uuid();
    p.name = std::move(name);
    p.decision = std::move(decision);
    p.include = std::move(include);
    p.extra["session_duration"] = "24h";
    p.created_at = p.updated_at = whole_seconds(time_.now());
    std::int64_t highest = 0;
    for (const auto& link : app.policies)
        highest = std::max(highest, link.precedence);
    app.policies.push_back({p.id, highest + 1});
    const auto key = p.id;
    return config.policies[key] = std::move(p);
}

reply cloudflare::apps(const request& r, std::span<const std::string> rest) {
    const auto body = r.object();
    if (!body)
        return cloudflare_invalid("malformed JSON");
    if (rest.empty()) {
        if (r.method == "POST")
            return put_app(nullptr, *body);
        return r.reads() ? list_apps(r) : cloudflare_failure(405, 10000, "Method not allowed");
    }
    const auto found = config.apps.find(rest[0]);
    if (found == config.apps.end())
        return unknown_app();
    auto& app = found->second;
    if (rest.size() > 1 && rest[1] == "policies")
        return app_policies(r, app, rest.subspan(2));
    if (rest.size() == 2 && rest[1] == "revoke_tokens" && r.method == "POST")
        return cloudflare_success(202, json::object{});
    if (rest.size() != 1)
        return cloudflare_failure(404, 7000, "No route for that URI");
    if (r.reads())
        return cloudflare_success(200, app_json(app));
    if (r.method == "PUT")
        return put_app(&app, *body);
    if (r.method == "DELETE")
        return delete_app(app);
    return cloudflare_failure(405, 10000, "Method not allowed");
}

reply cloudflare::list_apps(const request& r) {
    std::vector<const application*> found;
    for (const auto& [id, app] : config.apps)
        if (matches(r, "name", {app.name}) && matches(r, "domain", app.places()) && matches(r, "aud", {app.aud}) &&
            matches(r, "search", {app.name, app.domain.value_or("")}))
            found.push_back(&app);
    std::sort(found.begin(), found.end(), [](const auto* a, const auto* b) {
        return std::tie(a->created_at, a->id) < std::tie(b->created_at, b->id);
    });
    return page(r, found.size(), [&](std::size_t i) { return app_json(*found[i]); });
}

// Whole-object replace: what the body leaves out falls back to nothing, but an absent `policies` touches none.
reply cloudflare::put_app(application* existing, const json::object& body) {
    const auto type = text_at(body, "type");
    if (!type || type->empty())
        return cloudflare_invalid("app type is missing or invalid");
    application app = existing != nullptr ? *existing : application{};
    app.type = *type;
    app.name = text_at(body, "name").value_or("");
    if (app.name.empty())
        return cloudflare_invalid("app name is missing or invalid");
    app.settings = body;
    for (const auto* key : read_only_fields)
        app.settings.erase(key);
    app.domain = text_at(body, "domain");
    if (!app.domain && switches.domain_from_destinations)
        app.domain = first_destination(app.settings);
    if (existing == nullptr) {
        app.id = ids_.uuid();
        app.aud = ids_.hex(64);
        app.created_at = whole_seconds(time_.now());
    }
    if (auto refused = check_settings(app))
        return *refused;
    const auto policies_before = config.policies;
    if (const auto* wanted = body.if_contains("policies"))
        if (auto refused = link_policies(app, *wanted)) {
            config.policies = policies_before;
            return *refused;
        }
    if (auto refused = check_401_flag(app)) {
        config.policies = policies_before;
        return *refused;
    }
    app.updated_at = whole_seconds(time_.now());
    ++config.places_generation;
    const auto& kept = config.apps[app.id] = app;
    return cloudflare_success(existing == nullptr ? 201 : 200, app_json(kept));
}

std::optional<reply> cloudflare::check_settings(const application& app) {
    const auto places = app.places();
    if (app.type == "self_hosted" && places.empty())
        return cloudflare_invalid("domain is missing or invalid");
    for (const auto& [id, other] : config.apps) {
        if (id == app.id)
            continue;
        for (const auto& theirs : other.places())
            if (std::find(places.begin(), places.end(), theirs) != places.end())
                return cloudflare_failure(409, 12132,
                                          "access.api.error.conflict: destination belongs to another application");
    }
    return std::nullopt;
}

std::optional<reply> cloudflare::check_401_flag(const application& app) const {
    if (!app.flag("service_auth_401_redirect"))
        return std::nullopt;
    const bool has_service_auth = std::any_of(app.policies.begin(), app.policies.end(), [&](const auto& link) {
        const auto found = config.policies.find(link.policy_id);
        return found != config.policies.end() && found->second.decision == "non_identity";
    });
    if (has_service_auth)
        return std::nullopt;
    return cloudflare_invalid("service_auth_401_redirect requires a Service Auth policy");
}

// `wanted` is the application's whole list: null and [] detach all. An app-scoped policy that is no longer in it is
// gone.
std::optional<reply> cloudflare::link_policies(application& app, const json::value& wanted) {
    if (!wanted.is_array() && !wanted.is_null())
        return cloudflare_invalid("policies is invalid");
    std::vector<policy_link> links;
    bool reusable_linked = false;
    bool scoped_linked = false;
    std::int64_t next = 1;
    for (const auto& item : wanted.is_array() ? wanted.get_array() : json::array{}) {
        policy_link link{"", next};
        const auto* o = item.if_object();
        if (item.is_string())
            link.policy_id = std::string{item.get_string()};
        else if (o == nullptr)
            return cloudflare_invalid("policies is invalid");
        else if (const auto id = text_at(*o, "id"))
            link.policy_id = *id;
        if (o != nullptr)
            link.precedence = number_at(*o, "precedence").value_or(next);
        if (link.policy_id.empty()) {
            policy p;
            if (auto refused = read_policy(*o, p))
                return refused;
            p.id = link.policy_id = ids_.uuid();
            p.created_at = p.updated_at = whole_seconds(time_.now());
            config.policies[p.id] = p;
            scoped_linked = true;
        } else {
            const auto found = config.policies.find(link.policy_id);
            if (found == config.policies.end())
                return cloudflare_failure(500, 10001, "access.api.error.internal_server_error");
            const bool ours = std::any_of(app.policies.begin(), app.policies.end(),
                                          [&](const auto& l) { return l.policy_id == link.policy_id; });
            if (!found->second.reusable && !ours)
                return cloudflare_failure(404, 12135, "access.api.error.not_found");
            (found->second.reusable ? reusable_linked : scoped_linked) = true;
        }
        next = link.precedence + 1;
        links.push_back(std::move(link));
    }
    if (switches.refuse_policy_mix && reusable_linked && scoped_linked)
        return cloudflare_invalid("reusable and inline policies are mutually exclusive");
    std::set<std::int64_t> seen;
    for (const auto& link : links)
        if (!seen.insert(link.precedence).second)
            return cloudflare_invalid("policy precedences must be unique");
    for (const auto& old : app.policies) {
        const auto found = config.policies.find(old.policy_id);
        const bool kept =
            std::any_of(links.begin(), links.end(), [&](const auto& l) { return l.policy_id == old.policy_id; });
        if (found != config.policies.end() && !found->second.reusable && !kept)
            config.policies.erase(found);
    }
    app.policies = std::move(links);
    return std::nullopt;
}

reply cloudflare::delete_app(application& app) {
    for (const auto& link : app.policies) {
        const auto found = config.policies.find(link.policy_id);
        if (found != config.policies.end() && !found->second.reusable)
            config.policies.erase(found);
    }
    const auto id = app.id;
    config.apps.erase(id);
    ++config.places_generation;
    return cloudflare_success(202, json::object{{"id", id}});
}

json::object cloudflare::app_json(const application& app) const {
    json::object out{{"id", app.id}, {"uid", app.id}, {"type", app.type}, {"name", app.name}};
    if (app.domain)
        out["domain"] = *app.domain;
    else
        out["domain"] = nullptr;
    out["aud"] = app.aud;
    for (const auto& setting : app.settings)
        out[setting.key()] = setting.value();
    auto links = app.policies;
    std::sort(links.begin(), links.end(), [](const auto& a, const auto& b) { return a.precedence < b.precedence; });
    json::array policies;
    for (const auto& link : links)
        if (const auto found = config.policies.find(link.policy_id); found != config.policies.end())
            policies.push_back(policy_json(found->second, link.precedence, true));
    out["policies"] = std::move(policies);
    out["created_at"] = format_instant(app.created_at);
    out["updated_at"] = format_instant(app.updated_at);
    return out;
}

} // namespace postern::testcloud
