// Service tokens: the part of cloudflare that mints, renews, rotates and deletes them.
#include "cloud/cloudflare.hpp"

#include <algorithm>
#include <span>
#include <tuple>

namespace postern::testcloud {

namespace {

const duration a_year = std::chrono::hours{8760};

bool valid_duration(const std::string& text) {
    const auto span = parse_duration(text);
    return text == "forever" || (span.has_value() && span.value() > duration{});
}

std::optional<instant> expiry_of(const std::string& text, instant now) {
    if (text == "forever")
        return std::nullopt;
    return whole_seconds(now + parse_duration(text).value());
}

bool contains(const std::string& whole, const std::string& part) {
    return whole.find(part) != std::string::npos;
}

} // namespace

service_token& cloudflare::mint(std::string name, const std::string& duration_text) {
    service_token token;
    token.id = ids_.uuid();
    token.client_id = ids_.hex(32) + ".access";
    token.name = std::move(name);
    token.secret = dice::client_secret();
    token.duration = duration_text;
    token.created_at = token.updated_at = whole_seconds(time_.now());
    token.expires_at = expiry_of(duration_text, time_.now());
    ledger_.give_client_secret(time_.now(), token.client_id, token.secret);
    const auto id = token.id;
    return config.tokens[id] = std::move(token);
}

reply cloudflare::tokens(const request& r, std::span<const std::string> rest) {
    const auto body = r.object();
    if (!body)
        return cloudflare_invalid("malformed JSON");
    const auto& fields = *body;
    if (rest.empty()) {
        if (r.method == "POST")
            return create_token(fields);
        if (!r.reads())
            return cloudflare_failure(405, 10000, "Method not allowed");
        const auto name = r.query_value("name");
        const auto search = r.query_value("search");
        std::vector<const service_token*> found;
        for (const auto& [id, token] : config.tokens) {
            if (name && (switches.name_filter_exact ? token.name != *name : !contains(token.name, *name)))
                continue;
            if (search && !contains(token.name, *search) && !contains(token.client_id, *search))
                continue;
            found.push_back(&token);
        }
        std::sort(found.begin(), found.end(), [](const auto* a, const auto* b) {
            return std::tie(a->created_at, a->id) < std::tie(b->created_at, b->id);
        });
        return page(r, found.size(), [&](std::size_t i) { return token_json(*found[i], false); });
    }
    const auto found = config.tokens.find(rest[0]);
    if (found == config.tokens.end())
        return cloudflare_failure(404, 12135, "access.api.error.service_token_not_found");
    auto& token = found->second;
    if (rest.size() == 2 && r.method == "POST" && rest[1] == "rotate")
        return rotate_token(token, fields);
    if (rest.size() == 2 && r.method == "POST" && rest[1] == "refresh")
        return refresh_token(token);
    if (rest.size() != 1)
        return cloudflare_failure(404, 7000, "No route for that URI");
    if (r.reads())
        return cloudflare_success(200, token_json(token, false));
    if (r.method == "PUT")
        return update_token(token, fields);
    if (r.method == "DELETE")
        return delete_token(token);
    return cloudflare_failure(405, 10000, "Method not allowed");
}

reply cloudflare::create_token(const json::object& body) {
    const auto name = text_at(body, "name");
    if (!name || name->empty() || name->size() > 350)
        return cloudflare_invalid("name is missing or invalid");
    const auto duration_text = text_at(body, "duration").value_or("8760h");
    if (!valid_duration(duration_text))
        return cloudflare_invalid("invalid duration");
    if (switches.token_limit && config.tokens.size() >= *switches.token_limit)
        return cloudflare_invalid("maximum number of service tokens reached");
    auto& token = mint(*name, duration_text);
    token.enabled = flag_at(body, "enabled").value_or(true);
    token.secret_version = number_at(body, "client_secret_version").value_or(1);
    return cloudflare_success(201, token_json(token, true));
}

reply cloudflare::update_token(service_token& token, const json::object& body) {
    const auto name = text_at(body, "name");
    if (name && (name->empty() || name->size() > 350))
        return cloudflare_invalid("name is missing or invalid");
    const auto now = time_.now();
    const auto new_duration = text_at(body, "duration");
    if (new_duration && !valid_duration(*new_duration))
        return cloudflare_invalid("invalid duration");
    std::optional<instant> cut_off;
    if (const auto text = text_at(body, "previous_client_secret_expires_at")) {
        cut_off = parse_instant(*text);
        if (!cut_off)
            return cloudflare_invalid("previous_client_secret_expires_at is invalid");
        if (*cut_off > now + switches.longest_overlap)
            return cloudflare_invalid("previous_client_secret_expires_at is too far in the future");
    }
    const auto version = number_at(body, "client_secret_version");
    if (version && *version < token.secret_version)
        return cloudflare_invalid("client_secret_version must not decrease");

    if (name)
        token.name = *name;
    if (new_duration) {
        token.duration = *new_duration;
        token.expires_at = expiry_of(*new_duration, now);
    }
    token.enabled = flag_at(body, "enabled").value_or(token.enabled);
    token.updated_at = whole_seconds(now);
    const bool rotated = version && *version > token.secret_version;
    if (rotated) {
        token.secret_version = *version;
        give_new_secret(token, cut_off);
    } else if (cut_off && token.previous_secret) {
        token.previous_until = *cut_off;
    }
    return cloudflare_success(200, token_json(token, rotated));
}

reply cloudflare::rotate_token(service_token& token, const json::object& body) {
    std::optional<instant> cut_off;
    if (const auto* value = body.if_contains("previous_client_secret_expires_at"); value && !value->is_null()) {
        cut_off = value->is_string() ? parse_instant(std::string_view{value->get_string()}) : std::nullopt;
        if (!cut_off)
            return cloudflare_invalid("previous_client_secret_expires_at is invalid");
        if (*cut_off > time_.now() + switches.longest_overlap)
            return cloudflare_invalid("previous_client_secret_expires_at is too far in the future");
    }
    ++token.secret_version;
    give_new_secret(token, cut_off);
    if (switches.rotate_extends_expiry)
        token.expires_at = expiry_of(token.duration, time_.now());
    token.updated_at = whole_seconds(time_.now());
    return cloudflare_success(200, token_json(token, true));
}

// Only the current and one previous secret live: rotating inside an overlap ends the older one.
void cloudflare::give_new_secret(service_token& token, std::optional<instant> previous_until) {
    token.previous_secret.reset();
    if (previous_until && *previous_until > time_.now()) {
        token.previous_secret = token.secret;
        token.previous_until = *previous_until;
    }
    token.secret = dice::client_secret();
    ledger_.give_client_secret(time_.now(), token.client_id, token.secret);
}

reply cloudflare::refresh_token(service_token& token) {
    if (token.expires_at) {
        const auto own = parse_duration(token.duration);
        const bool by_own = switches.refresh_uses_own_duration && own.has_value();
        token.expires_at = whole_seconds(time_.now() + (by_own ? own.value() : a_year));
    }
    token.updated_at = whole_seconds(time_.now());
    return cloudflare_success(200, token_json(token, false));
}

reply cloudflare::delete_token(const service_token& token) {
    if (token_in_use(config, token.id))
        return cloudflare_failure(400, 12139,
                                  "access.api.error.service_token_in_use: cannot delete service token because it is "
                                  "used by a policy, group, or app SCIM configuration");
    auto gone = token_json(token, false);
    config.tokens.erase(std::string{token.id});
    return cloudflare_success(200, gone);
}

json::object cloudflare::token_json(const service_token& token, bool with_secret) const {
    json::object out{{"id", token.id},
                     {"client_id", token.client_id},
                     {"name", token.name},
                     {"duration", token.duration},
                     {"enabled", token.enabled},
                     {"created_at", format_instant(token.created_at)},
                     {"updated_at", format_instant(token.updated_at)}};
    if (!with_secret || switches.secret_replies_have_expiry) {
        if (token.expires_at)
            out["expires_at"] = format_instant(*token.expires_at);
        else if (switches.forever_expires_at == "null")
            out["expires_at"] = nullptr;
        else if (switches.forever_expires_at == "far")
            out["expires_at"] = "9999-12-31T23:59:59Z";
    }
    if (with_secret)
        out["client_secret"] = token.secret;
    else if (token.last_seen_at)
        out["last_seen_at"] = format_instant(whole_seconds(*token.last_seen_at));
    return out;
}

} // namespace postern::testcloud
