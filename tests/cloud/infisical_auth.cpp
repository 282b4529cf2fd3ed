// Logins and access tokens: the part of infisical that says who somebody is and what they may do.
#include "base/text.hpp"
#include "cloud/infisical.hpp"

#include <algorithm>

namespace postern::testcloud {

namespace {

constexpr auto lock_after = 3;
constexpr auto lock_for = std::chrono::seconds{300};
constexpr auto forget_bad_logins_after = std::chrono::seconds{30};

// A JWT in shape: three base64url parts.
bool looks_like_jwt(std::string_view token) {
    return token.starts_with("eyJ") && std::count(token.begin(), token.end(), '.') == 2;
}

} // namespace

reply infisical::login(const json::object& body) {
    for (const auto* key : {"clientId", "clientSecret"})
        if (!text_at(body, key))
            return validation(key, "string", "undefined");
    const std::string client_id{trim(*text_at(body, "clientId"))};
    const std::string secret_text{trim(*text_at(body, "clientSecret"))};
    const auto found =
        std::find_if(identities.begin(), identities.end(), [&](const auto& i) { return i.client_id == client_id; });
    if (found == identities.end())
        return switches.old_server ? failure(404, "NotFound", "No identity with specified client ID was found")
                                   : failure(401, "UnauthorizedError", "Invalid credentials");
    auto& identity = *found;
    const auto now = time_.now();
    const bool can_lock = switches.lockout && !switches.old_server;
    if (can_lock && now < identity.locked_until)
        return failure(401, "UnauthorizedError",
                       "This identity auth method is temporarily locked, please try again later");
    const auto& secrets = identity.client_secrets;
    if (std::find(secrets.begin(), secrets.end(), secret_text) == secrets.end()) {
        if (now > identity.last_bad_login + forget_bad_logins_after)
            identity.bad_logins = 0;
        identity.last_bad_login = now;
        if (++identity.bad_logins >= lock_after)
            identity.locked_until = now + lock_for;
        if (switches.login_contention)
            return failure(429, "RateLimitExceeded", "Failed to acquire lock: rate limit exceeded");
        return failure(401, "UnauthorizedError", "Invalid credentials");
    }
    identity.bad_logins = 0;
    return token_reply(new_token(identity), identity);
}

std::string infisical::new_token(const machine_identity& identity) {
    const auto now = time_.now();
    json::object payload{{"identityId", identity.id},
                         {"identityAccessTokenId", ids_.uuid()},
                         {"authTokenType", "identityAccessToken"},
                         {"iat", now.time_since_epoch().count() / 1000}};
    const std::string value =
        "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9." + base64(json::serialize(payload)) + "." + dice::secret("", 43);
    access_token row;
    row.identity_id = identity.id;
    row.forever = identity.ttl == 0;
    row.expires_at = now + std::chrono::seconds{identity.ttl};
    row.max_expires_at = now + std::chrono::seconds{identity.max_ttl};
    access_tokens[value] = row;
    ledger_.give(now, "vault access token", identity.client_id, value);
    return value;
}

reply infisical::token_reply(const std::string& value, const machine_identity& identity) const {
    return json_reply(200, json::object{{"accessToken", value},
                                        {"expiresIn", identity.ttl},
                                        {"accessTokenMaxTTL", identity.max_ttl},
                                        {"tokenType", "Bearer"}});
}

std::optional<reply> infisical::authenticate(const std::string& token, caller& who, bool counts) {
    auto identity_of = [&](const std::string& id) -> const machine_identity* {
        for (const auto& i : identities)
            if (i.id == id)
                return &i;
        return nullptr;
    };
    if (const auto found = static_tokens.find(token); found != static_tokens.end()) {
        who.identity = identity_of(found->second);
        return std::nullopt;
    }
    const auto found = access_tokens.find(token);
    if (found == access_tokens.end())
        return failure(403, "TokenError",
                       looks_like_jwt(token) ? "invalid signature"
                                             : "The provided access token is malformed. Please use a valid token or "
                                               "generate a new one and try again.");
    auto& row = found->second;
    const auto now = time_.now();
    if (row.revoked)
        return failure(401, "UnauthorizedError", "No identity access token found");
    if (!row.forever && now >= row.expires_at) {
        // The old server's JWT lives to the maximum, and its TTL is enforced from the database.
        if (switches.old_server && now < row.max_expires_at) {
            row.revoked = true;
            return failure(401, "UnauthorizedError", "Failed to renew MI access token due to TTL expiration");
        }
        return failure(403, "TokenError", "Your token has expired. Please re-authenticate.");
    }
    who.identity = identity_of(row.identity_id);
    if (who.identity == nullptr)
        return failure(401, "UnauthorizedError", "No identity access token found");
    const auto uses = who.identity->uses_limit;
    if (counts && uses > 0 && ++row.uses > uses) {
        row.revoked = true;
        return failure(401, "UnauthorizedError", "Unable to renew because access token number of uses limit reached");
    }
    return std::nullopt;
}

std::optional<reply> infisical::forbid(const caller& who, std::string_view action) {
    if (who.is_operator)
        return std::nullopt;
    const auto& role = who.identity->role;
    if (role == "admin" || role == "member" || (role == "viewer" && action == "read"))
        return std::nullopt;
    return failure(403, "PermissionDenied", "You are not allowed to " + std::string{action} + " on secrets");
}

reply infisical::renew(const json::object& body) {
    const auto value = text_at(body, "accessToken");
    if (!value)
        return validation("accessToken", "string", "undefined");
    caller who;
    if (auto refused = authenticate(*value, who, false))
        return *refused;
    const auto found = access_tokens.find(*value);
    if (found == access_tokens.end())
        return failure(401, "UnauthorizedError", "No identity access token found");
    auto& row = found->second;
    const auto next = time_.now() + std::chrono::seconds{who.identity->ttl};
    if (next > row.max_expires_at && who.identity->max_ttl > 0) {
        row.revoked = switches.old_server;
        return failure(401, "UnauthorizedError", "Failed to renew MI access token past its Max TTL expiration");
    }
    row.expires_at = next;
    return token_reply(*value, *who.identity);
}

reply infisical::revoke(const json::object& body) {
    const auto value = text_at(body, "accessToken");
    if (!value)
        return validation("accessToken", "string", "undefined");
    caller who;
    if (auto refused = authenticate(*value, who, false))
        return *refused;
    if (const auto found = access_tokens.find(*value); found != access_tokens.end())
        found->second.revoked = true;
    return json_reply(200, json::object{{"message", "Successfully revoked access token"}});
}

} // namespace postern::testcloud
