// Policies of both kinds, and the groups that they name.
#include "cloud/cloudflare.hpp"

#include <algorithm>
#include <array>
#include <span>

namespace postern::testcloud {

namespace {

constexpr std::array known_fields{"id",         "uid",        "name",       "decision", "include",
                                  "exclude",    "require",    "precedence", "reusable", "app_count",
                                  "created_at", "updated_at", "account_id"};

reply not_found() {
    return cloudflare_failure(404, 12135, "access.api.error.not_found");
}

json::array rules_at(const json::object& o, std::string_view key) {
    const auto* rules = array_at(o, key);
    return rules == nullptr ? json::array{} : *rules;
}

} // namespace

// A full replace of everything that a policy's body can say. Name, decision and include are demanded.
std::optional<reply> cloudflare::read_policy(const json::object& body, policy& into) const {
    constexpr std::array decisions{"allow", "deny", "non_identity", "bypass"};
    const auto name = text_at(body, "name");
    if (!name || name->empty())
        return cloudflare_invalid("policy name is missing or invalid");
    const auto decision = text_at(body, "decision").value_or("");
    if (std::find(decisions.begin(), decisions.end(), decision) == decisions.end())
        return cloudflare_invalid("unrecognized policy decision");
    const auto include = rules_at(body, "include");
    if (include.empty())
        return cloudflare_invalid("policy include is missing or empty");
    for (const auto* key : {"include", "exclude", "require"})
        if (auto refused = check_rules(rules_at(body, key)))
            return refused;
    into.name = *name;
    into.decision = decision;
    into.include = include;
    into.exclude = rules_at(body, "exclude");
    into.require = rules_at(body, "require");
    into.extra = body;
    for (const auto* key : known_fields)
        into.extra.erase(key);
    if (!into.extra.contains("session_duration"))
        into.extra["session_duration"] = "24h";
    return std::nullopt;
}

std::optional<reply> cloudflare::check_rules(const json::array& rules) const {
    for (const auto& rule : rules) {
        const auto* o = rule.if_object();
        if (o == nullptr)
            return cloudflare_invalid("policy rule is invalid");
        if (const auto* named = object_at(*o, "service_token"))
            if (!config.tokens.contains(text_at(*named, "token_id").value_or("")))
                return cloudflare_failure(400, 12130, "access.api.error.service_token_not_found");
        if (const auto* named = object_at(*o, "group"))
            if (!config.groups.contains(text_at(*named, "id").value_or("")))
                return cloudflare_failure(400, 11020, "access.api.error.failed_to_load_group");
    }
    return std::nullopt;
}

std::size_t cloudflare::app_count(const policy& p) const {
    std::size_t count = 0;
    for (const auto& [id, app] : config.apps)
        for (const auto& link : app.policies)
            count += link.policy_id == p.id ? 1U : 0U;
    return count;
}

reply cloudflare::app_policies(const request& r, application& app, std::span<const std::string> rest) {
    const auto body = r.object();
    if (!body)
        return cloudflare_invalid("malformed JSON");
    if (rest.empty() && r.reads()) {
        const auto app_object = app_json(app);
        return page(r, app_object.at("policies").get_array());
    }
    auto taken = [&](std::int64_t precedence, const std::string& but) {
        return std::any_of(app.policies.begin(), app.policies.end(),
                           [&](const auto& link) { return link.precedence == precedence && link.policy_id != but; });
    };
    if (rest.empty() && r.method == "POST") {
        policy p;
        if (auto refused = read_policy(*body, p))
            return *refused;
        const auto precedence = number_at(*body, "precedence");
        if (precedence && taken(*precedence, ""))
            return cloudflare_invalid("policy precedences must be unique");
        auto& made = attach_policy(app, p.name, p.decision, p.include);
        made.exclude = p.exclude;
        made.require = p.require;
        made.extra = p.extra;
        if (precedence)
            app.policies.back().precedence = *precedence;
        return cloudflare_success(201, policy_json(made, app.policies.back().precedence, false));
    }
    if (rest.empty() || rest.size() > 2)
        return cloudflare_failure(404, 7000, "No route for that URI");
    const auto link =
        std::find_if(app.policies.begin(), app.policies.end(), [&](const auto& l) { return l.policy_id == rest[0]; });
    if (link == app.policies.end() || !config.policies.contains(rest[0]))
        return not_found();
    auto& p = config.policies[rest[0]];
    if (rest.size() == 2) {
        if (rest[1] != "make_reusable" || r.method != "PUT")
            return cloudflare_failure(404, 7000, "No route for that URI");
        p.reusable = true;
        p.updated_at = whole_seconds(time_.now());
        return cloudflare_success(200, policy_json(p, std::nullopt, false));
    }
    if (r.reads())
        return cloudflare_success(200, policy_json(p, link->precedence, false));
    if (p.reusable)
        return cloudflare_invalid("can not update reusable policies through this endpoint");
    auto undo = [&, app_before = app, policy_before = p] {
        app = app_before;
        config.policies[policy_before.id] = policy_before;
    };
    if (r.method == "DELETE") {
        const auto id = p.id;
        app.policies.erase(link);
        config.policies.erase(id);
        if (auto refused = check_401_flag(app)) {
            undo();
            return *refused;
        }
        return cloudflare_success(202, json::object{{"id", id}});
    }
    if (r.method != "PUT")
        return cloudflare_failure(405, 10000, "Method not allowed");
    policy next = p;
    if (auto refused = read_policy(*body, next))
        return *refused;
    const auto precedence = number_at(*body, "precedence").value_or(link->precedence);
    if (taken(precedence, p.id))
        return cloudflare_invalid("policy precedences must be unique");
    link->precedence = precedence;
    next.updated_at = whole_seconds(time_.now());
    p = next;
    if (auto refused = check_401_flag(app)) {
        undo();
        return *refused;
    }
    return cloudflare_success(200, policy_json(p, precedence, false));
}

reply cloudflare::reusable_policies(const request& r, std::span<const std::string> rest) {
    const auto body = r.object();
    if (!body)
        return cloudflare_invalid("malformed JSON");
    if (rest.empty() && r.reads()) {
        json::array items;
        for (const auto& [id, p] : config.policies)
            if (p.reusable)
                items.push_back(policy_json(p, std::nullopt, false));
        return page(r, items);
    }
    if (rest.empty() && r.method == "POST") {
        policy p;
        if (auto refused = read_policy(*body, p))
            return *refused;
        p.id = ids_.uuid();
        p.reusable = true;
        p.created_at = p.updated_at = whole_seconds(time_.now());
        config.policies[p.id] = p;
        return cloudflare_success(201, policy_json(p, std::nullopt, false));
    }
    if (rest.size() != 1)
        return cloudflare_failure(404, 7000, "No route for that URI");
    const auto found = config.policies.find(rest[0]);
    if (found == config.policies.end() || !found->second.reusable)
        return not_found();
    auto& p = found->second;
    if (r.reads())
        return cloudflare_success(200, policy_json(p, std::nullopt, false));
    if (r.method == "DELETE") {
        if (app_count(p) > 0)
            return cloudflare_failure(409, 12132, "access.api.error.conflict: policy is attached to an application");
        const auto id = p.id;
        config.policies.erase(found);
        return cloudflare_success(202, json::object{{"id", id}});
    }
    if (r.method != "PUT")
        return cloudflare_failure(405, 10000, "Method not allowed");
    policy next = p;
    if (auto refused = read_policy(*body, next))
        return *refused;
    next.updated_at = whole_seconds(time_.now());
    const auto before = p;
    p = next;
    for (const auto& [id, app] : config.apps)
        if (auto refused = check_401_flag(app)) {
            p = before;
            return *refused;
        }
    return cloudflare_success(200, policy_json(p, std::nullopt, false));
}

json::object cloudflare::policy_json(const policy& p, std::optional<std::int64_t> precedence, bool inlined) const {
    json::object out{{"id", p.id},           {"uid", p.id},          {"name", p.name},      {"decision", p.decision},
                     {"include", p.include}, {"exclude", p.exclude}, {"require", p.require}};
    for (const auto& field : p.extra)
        out[field.key()] = field.value();
    if (precedence)
        out["precedence"] = *precedence;
    if (!inlined || switches.show_reusable)
        out["reusable"] = p.reusable;
    if (p.reusable && !inlined)
        out["app_count"] = app_count(p);
    out["created_at"] = format_instant(p.created_at);
    out["updated_at"] = format_instant(p.updated_at);
    return out;
}

reply cloudflare::groups(const request& r, std::span<const std::string> rest) {
    auto to_object = [](const group& g) {
        return json::object{{"id", g.id},
                            {"uid", g.id},
                            {"name", g.name},
                            {"include", g.include},
                            {"exclude", g.exclude},
                            {"require", g.require},
                            {"created_at", format_instant(g.created_at)},
                            {"updated_at", format_instant(g.updated_at)}};
    };
    const auto body = r.object();
    if (!body)
        return cloudflare_invalid("malformed JSON");
    if (rest.empty() && r.reads()) {
        json::array items;
        for (const auto& [id, g] : config.groups)
            items.push_back(to_object(g));
        return page(r, items);
    }
    auto found = rest.size() == 1 ? config.groups.find(rest[0]) : config.groups.end();
    if (!rest.empty() && found == config.groups.end())
        return not_found();
    if (r.reads())
        return cloudflare_success(200, to_object(found->second));
    if (r.method == "DELETE" && !rest.empty()) {
        const auto id = found->first;
        config.groups.erase(found);
        return cloudflare_success(202, json::object{{"id", id}});
    }
    if (r.method != (rest.empty() ? "POST" : "PUT"))
        return cloudflare_failure(405, 10000, "Method not allowed");
    group g = rest.empty() ? group{} : found->second;
    g.name = text_at(*body, "name").value_or("");
    g.include = rules_at(*body, "include");
    g.exclude = rules_at(*body, "exclude");
    g.require = rules_at(*body, "require");
    if (g.name.empty() || g.include.empty())
        return cloudflare_invalid("group name or include is missing");
    for (const auto* rules : {&g.include, &g.exclude, &g.require})
        if (auto refused = check_rules(*rules))
            return *refused;
    g.updated_at = whole_seconds(time_.now());
    if (rest.empty()) {
        g.id = ids_.uuid();
        g.created_at = g.updated_at;
    }
    config.groups[g.id] = g;
    return cloudflare_success(rest.empty() ? 201 : 200, to_object(g));
}

} // namespace postern::testcloud
