#include "provider/access_wire.hpp"

#include "base/text.hpp"
#include "domain/application.hpp"
#include "net/json.hpp"

#include <boost/json.hpp>
#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <set>
#include <stdexcept>

namespace postern::provider::access {

namespace json = boost::json;
namespace wire = net::json;

namespace {

// The one member of a rule, where there is just one.
const json::key_value_pair* only_member(const json::value& rule) {
    const auto* object = rule.if_object();
    return object != nullptr && object->size() == 1 ? &*object->begin() : nullptr;
}

// With sorted keys and whole numbers: equal values give equal text.
json::value canonical(const json::value& v) {
    if (const auto* d = v.if_double(); d != nullptr && *d == std::floor(*d) && std::abs(*d) < 9e15)
        return static_cast<std::int64_t>(*d);
    if (const auto* u = v.if_uint64(); u != nullptr && *u < 9'000'000'000'000'000U)
        return static_cast<std::int64_t>(*u);
    if (const auto* array = v.if_array(); array != nullptr) {
        json::array out;
        for (const auto& item : *array)
            out.push_back(canonical(item));
        return out;
    }
    const auto* object = v.if_object();
    if (object == nullptr)
        return v;
    std::map<std::string_view, const json::value*> sorted;
    for (const auto& member : *object)
        sorted.emplace(std::string_view{member.key().data(), member.key().size()}, &member.value());
    json::object out;
    for (const auto& [key, value] : sorted)
        out.emplace(key, canonical(*value));
    return out;
}

std::string canonical_text(const json::value& v) {
    return json::serialize(canonical(v));
}

bool says_nothing(const json::value& v) {
    if (v.is_null())
        return true;
    if (const auto* b = v.if_bool(); b != nullptr)
        return !*b;
    if (const auto* s = v.if_string(); s != nullptr)
        return s->empty();
    if (const auto* a = v.if_array(); a != nullptr)
        return a->empty();
    const auto* o = v.if_object();
    return o != nullptr && o->empty();
}

// Without the members that say nothing, at any depth.
json::value pruned(const json::value& v) {
    if (const auto* array = v.if_array(); array != nullptr) {
        json::array out;
        for (const auto& item : *array)
            out.push_back(pruned(item));
        return out;
    }
    const auto* object = v.if_object();
    if (object == nullptr)
        return v;
    json::object out;
    for (const auto& member : *object) {
        auto value = pruned(member.value());
        if (!says_nothing(value))
            out.emplace(member.key(), std::move(value));
    }
    return out;
}

domain::rule rule(const json::value& from) {
    using kind = domain::rule::kind;
    const auto* member = only_member(from);
    std::string_view key;
    if (member != nullptr)
        key = {member->key().data(), member->key().size()};
    if (key == "service_token")
        return {kind::service_token, wire::text(member->value(), "token_id"), {}};
    if (key == "any_valid_service_token")
        return {kind::any_valid_service_token, {}, {}};
    if (key == "everyone")
        return {kind::everyone, {}, {}};
    if (key == "group")
        return {kind::group, wire::text(member->value(), "id"), {}};
    return {kind::other, {}, canonical_text(from)};
}

std::vector<domain::rule> rule_list(const json::value& from, std::string_view key) {
    std::vector<domain::rule> out;
    for (const auto& item : wire::items(from, key))
        out.push_back(rule(item));
    return out;
}

void read_rules(const json::value& from, domain::rules& out) {
    out.include = rule_list(from, "include");
    out.exclude = rule_list(from, "exclude");
    out.require = rule_list(from, "require");
}

json::array canonical_rules(const std::vector<domain::rule>& rules) {
    std::set<std::string> sorted;
    for (const auto& r : rules)
        sorted.insert(std::to_string(static_cast<int>(r.is)) + " " + r.id + " " + r.raw);
    json::array out;
    for (const auto& text : sorted)
        out.emplace_back(text);
    return out;
}

std::string sha256(std::string_view text) {
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    unsigned int length = 0;
    if (EVP_Digest(text.data(), text.size(), digest.data(), &length, EVP_sha256(), nullptr) != 1)
        throw std::runtime_error("SHA-256 is not available in this OpenSSL");
    return hex({reinterpret_cast<const char*>(digest.data()), length});
}

std::string version(const json::value& from, const domain::live_policy& policy) {
    constexpr std::array echoed{"name",
                                "decision",
                                "session_duration",
                                "approval_required",
                                "approval_groups",
                                "purpose_justification_required",
                                "purpose_justification_prompt",
                                "isolation_required",
                                "connection_rules",
                                "mfa_config"};
    json::object meaning;
    for (const auto* field : echoed) {
        if (const auto* value = wire::find(from, field); value != nullptr)
            meaning.emplace(field, *value);
    }
    meaning.emplace("include", canonical_rules(policy.include));
    meaning.emplace("exclude", canonical_rules(policy.exclude));
    meaning.emplace("require", canonical_rules(policy.require));
    meaning.emplace("reusable", policy.reusable);
    if (!policy.reusable)
        meaning.emplace("precedence", policy.precedence);
    return sha256(canonical_text(pruned(meaning)));
}

domain::decision decision(std::string_view text) {
    if (text == "allow")
        return domain::decision::allow;
    if (text == "deny")
        return domain::decision::deny;
    if (text == "non_identity")
        return domain::decision::non_identity;
    if (text == "bypass")
        return domain::decision::bypass;
    return domain::decision::other;
}

// "App.Example.com/Admin" → "app.example.com/Admin".
void add_destination(std::vector<std::string>& to, std::string_view uri) {
    auto slash = std::min(uri.find('/'), uri.size());
    auto destination = lower(uri.substr(0, slash));
    destination += uri.substr(slash);
    if (!destination.empty() && std::find(to.begin(), to.end(), destination) == to.end())
        to.push_back(std::move(destination));
}

void read_destinations(const json::value& from, domain::live_application& out) {
    add_destination(out.destinations, wire::text(from, "domain"));
    for (const auto& host : wire::items(from, "self_hosted_domains")) {
        if (const auto* s = host.if_string(); s != nullptr)
            add_destination(out.destinations, {s->data(), s->size()});
    }
    for (const auto& destination : wire::items(from, "destinations")) {
        if (wire::text(destination, "type") != "public")
            continue;
        add_destination(out.destinations, wire::text(destination, "uri"));
        for (const auto& exception : wire::items(destination, "overrides")) {
            if (wire::text(exception, "behavior") == "public")
                out.open_paths.push_back(wire::text(exception, "path_pattern"));
        }
    }
}

// A policy as an application's list has it: inlined, or a link (an id, perhaps with a precedence) to a reusable one.
std::optional<domain::live_policy> attached(const json::value& item, const reusable_policies& reusable) {
    auto id = item.is_string() ? std::string{item.as_string().data(), item.as_string().size()} : wire::text(item, "id");
    auto shared = reusable.find(id);
    if (wire::find(item, "decision") != nullptr)
        return policy(item, shared != reusable.end());
    if (shared == reusable.end())
        return {};
    auto out = policy(*shared->second, true);
    if (out)
        out->precedence = static_cast<int>(wire::number(item, "precedence").value_or(0));
    return out;
}

std::ptrdiff_t times_included(const std::vector<domain::rule>& rules, const std::string& token) {
    return std::count_if(rules.begin(), rules.end(), [&](const domain::rule& r) {
        return r.is == domain::rule::kind::service_token && r.id == token;
    });
}

bool names_one_of(const json::value& item, const std::vector<std::string>& tokens) {
    auto r = rule(item);
    return r.is == domain::rule::kind::service_token && std::find(tokens.begin(), tokens.end(), r.id) != tokens.end();
}

} // namespace

std::optional<domain::live_token> token(const json::value& from) {
    domain::live_token out;
    out.id = wire::text(from, "id");
    out.client_id = wire::text(from, "client_id");
    if (out.id.empty() || out.client_id.empty())
        return {};
    out.name = wire::text(from, "name");
    out.duration = wire::text(from, "duration");
    out.enabled = wire::flag(from, "enabled").value_or(true);
    if (out.duration != "forever")
        out.expires_at = wire::time(from, "expires_at");
    out.created_at = wire::time(from, "created_at");
    out.last_seen_at = wire::time(from, "last_seen_at");
    return out;
}

domain::live_group group(const json::value& from) {
    domain::live_group out;
    out.id = wire::text(from, "id");
    out.name = wire::text(from, "name");
    read_rules(from, out);
    return out;
}

std::optional<domain::live_policy> policy(const json::value& from, bool reusable) {
    domain::live_policy out;
    out.id = wire::text(from, "id");
    if (out.id.empty())
        return {};
    out.name = wire::text(from, "name");
    out.decides = decision(wire::text(from, "decision"));
    out.precedence = static_cast<int>(wire::number(from, "precedence").value_or(0));
    out.reusable = wire::flag(from, "reusable").value_or(reusable);
    out.created_at = wire::time(from, "created_at");
    read_rules(from, out);
    out.version = version(from, out);
    return out;
}

std::optional<domain::live_application> application(const json::value& from, const reusable_policies& reusable) {
    domain::live_application out;
    out.id = wire::text(from, "id");
    if (out.id.empty())
        return {};
    out.name = wire::text(from, "name");
    out.type = wire::text(from, "type");
    out.aud = wire::text(from, "aud");
    read_destinations(from, out);
    for (const auto& item : wire::items(from, "policies")) {
        auto p = attached(item, reusable);
        if (!p && domain::admits_machines(out))
            return {};
        if (p)
            out.policies.push_back(std::move(*p));
    }
    return out;
}

void count_users_elsewhere(std::vector<domain::live_application>& applications, const reusable_policies& reusable) {
    std::map<std::string, std::int64_t> listed;
    for (const auto& application : applications) {
        for (const auto& policy : application.policies)
            ++listed[policy.id];
    }
    for (auto& application : applications) {
        for (auto& policy : application.policies) {
            auto shared = reusable.find(policy.id);
            auto counted = shared == reusable.end() ? std::nullopt : wire::number(*shared->second, "app_count");
            if (counted && *counted > listed[policy.id])
                policy.users_elsewhere = static_cast<int>(*counted - listed[policy.id]);
        }
    }
}

json::object admits(const std::string& token) {
    json::object id;
    id["token_id"] = token;
    json::object out;
    out["service_token"] = std::move(id);
    return out;
}

bool carries(const domain::live_policy& policy, const policy_change& change) {
    auto stands_in = [](const std::vector<std::string>& ids, const std::string& id) {
        return std::find(ids.begin(), ids.end(), id) != ids.end();
    };
    auto added = [&](const std::string& id) {
        auto times = times_included(policy.include, id);
        return stands_in(change.remove, id) ? times == 1 : times > 0;
    };
    auto removed = [&](const std::string& id) {
        return stands_in(change.add, id) || times_included(policy.include, id) == 0;
    };
    return (!change.make_non_identity || policy.decides == domain::decision::non_identity) &&
           std::all_of(change.add.begin(), change.add.end(), added) &&
           std::all_of(change.remove.begin(), change.remove.end(), removed);
}

json::value edited(const json::value& policy, const policy_change& change) {
    json::object out = policy.as_object();
    for (const auto* field : {"id", "uid", "created_at", "updated_at", "reusable", "app_count", "account_id"})
        out.erase(field);
    if (change.make_non_identity)
        out["decision"] = "non_identity";
    json::array include;
    for (const auto& item : wire::items(policy, "include")) {
        if (!names_one_of(item, change.remove))
            include.push_back(item);
    }
    out["include"] = std::move(include);
    json::value left = std::move(out);
    auto& members = left.as_object()["include"].as_array();
    for (const auto& id : change.add) {
        if (times_included(rule_list(left, "include"), id) == 0)
            members.push_back(admits(id));
    }
    return left;
}

} // namespace postern::provider::access
