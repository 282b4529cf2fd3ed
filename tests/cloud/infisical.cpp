#include "cloud/infisical.hpp"

#include "base/secret.hpp"
#include "base/text.hpp"

#include <openssl/evp.h>
#include <openssl/sha.h>

#include <algorithm>
#include <array>

namespace postern::testcloud {

namespace {

constexpr std::size_t body_limit = 1U << 20U;
constexpr std::size_t parameter_limit = 100;

std::string etag_of(std::string_view body) {
    std::array<unsigned char, SHA_DIGEST_LENGTH> digest{};
    EVP_Digest(body.data(), body.size(), digest.data(), nullptr, EVP_sha1(), nullptr);
    return "\"" + base64({reinterpret_cast<const char*>(digest.data()), digest.size()}) + "\"";
}

} // namespace

std::string vault_path(std::string path) {
    if (path.size() > 1 && path.ends_with('/'))
        path.pop_back();
    return path;
}

std::string vault_stamp(instant at) {
    auto text = format_instant(at);
    if (text.find('.') == std::string::npos)
        text.insert(text.size() - 1, ".000");
    return text;
}

std::optional<std::string> vault_parameter(const request& r, const json::object& body, std::string_view name) {
    return r.reads() ? r.query_value(name) : text_at(body, name);
}

std::string stored_value(std::string_view value) {
    const bool newline = value.ends_with('\n');
    std::string out{trim(value)};
    if (newline)
        out += '\n';
    return out;
}

infisical::infisical(virtual_time& time, dice& ids, books& ledger)
    : project_id(ids.uuid()), organization_id(ids.uuid()), time_(time), ids_(ids), ledger_(ledger) {
    for (const auto& [name, slug] : {std::pair{"Development", "dev"}, {"Staging", "staging"}, {"Production", "prod"}}) {
        environments.push_back({ids_.uuid(), name, slug, {}});
        folder(environments.back(), "/");
    }
}

machine_identity& infisical::add_identity(std::string role) {
    machine_identity identity;
    identity.id = ids_.uuid();
    identity.client_id = ids_.uuid();
    identity.client_secrets.push_back(dice::secret({}, 64));
    identity.role = std::move(role);
    ledger_.give(time_.now(), "vault client secret", identity.client_id, identity.client_secrets.back());
    identities.push_back(std::move(identity));
    return identities.back();
}

vault_environment* infisical::environment(std::string_view slug) {
    for (auto& env : environments)
        if (env.slug == slug)
            return &env;
    return nullptr;
}

vault_folder& infisical::folder(vault_environment& env, const std::string& path) {
    if (const auto found = env.folders.find(path); found != env.folders.end())
        return found->second;
    vault_folder made;
    made.id = ids_.uuid();
    made.created_at = made.updated_at = time_.now();
    made.name = "root";
    if (path != "/") {
        const auto slash = path.rfind('/');
        made.name = path.substr(slash + 1);
        made.parent_id = folder(env, slash == 0 ? "/" : path.substr(0, slash)).id;
    }
    return env.folders[path] = std::move(made);
}

secret_row& infisical::put(vault_folder& into, const std::string& key, const std::string& value, bool duplicate) {
    auto found = into.secrets.find(key);
    if (found == into.secrets.end() || duplicate) {
        secret_row row;
        row.id = ids_.uuid();
        row.key = key;
        row.version = 0;
        row.created_at = time_.now();
        found = into.secrets.emplace(key, std::move(row));
    }
    auto& row = found->second;
    row.value = stored_value(value);
    ++row.version;
    row.history[row.version] = row.value;
    row.updated_at = time_.now();
    return row;
}

reply infisical::failure(int status, std::string_view error, std::string_view message) {
    return failure_with(status, error, json::string{message});
}

reply infisical::failure_with(int status, std::string_view error, json::value message) {
    json::object body{{"statusCode", status}};
    body["message"] = std::move(message);
    body["error"] = error;
    if (!switches.old_server)
        body["reqId"] = "req-" + ids_.hex(14);
    return json_reply(status, body);
}

// One zod issue; 422 today, 401 on the old server.
reply infisical::validation(std::string_view field_name, std::string_view expected, std::string_view received) {
    json::array path;
    if (!field_name.empty())
        path.emplace_back(field_name);
    std::string message = "Expected " + std::string{expected} + ", received " + std::string{received};
    if (received == "undefined")
        message = "Required";
    json::object issue{
        {"code", "invalid_type"}, {"expected", expected}, {"received", received}, {"path", path}, {"message", message}};
    return failure_with(switches.old_server ? 401 : 422, "ValidationFailure", json::array{issue});
}

reply infisical::not_a_boolean(std::string_view parameter, const std::string& received) {
    json::object issue{{"received", received},
                       {"code", "invalid_enum_value"},
                       {"options", json::array{"true", "false"}},
                       {"path", json::array{parameter}},
                       {"message", "Invalid enum value. Expected 'true' | 'false', received '" + received + "'"}};
    return failure_with(switches.old_server ? 401 : 422, "ValidationFailure", json::array{issue});
}

reply infisical::no_route(const request& r) const {
    json::object body{
        {"message", "Route " + r.method + ":" + r.target + " not found"}, {"error", "Not Found"}, {"statusCode", 404}};
    return json_reply(404, body);
}

reply infisical::serve(const request& r, bool by_operator) {
    reply limits;
    auto answer = [&]() -> reply {
        if (!by_operator)
            if (auto throttled = throttle(r, limits))
                return *throttled;
        return route(r, by_operator);
    }();
    answer.headers.insert(answer.headers.end(), limits.headers.begin(), limits.headers.end());
    const auto tag = etag_of(answer.body);
    answer.with("ETag", tag).with("Vary", "Origin");
    if (r.reads() && answer.status == 200 && r.header("If-None-Match") == tag) {
        answer.status = 304;
        answer.body.clear();
    }
    return answer;
}

std::optional<reply> infisical::throttle(const request& r, reply& headers_into) {
    const bool secret_route =
        r.path.find("/secrets") != std::string::npos || (r.path.find("/folders") != std::string::npos && !r.reads());
    const auto limit = secret_route ? switches.secret_limit : r.reads() ? switches.read_limit : switches.write_limit;
    const auto now = time_.now();
    // One counter per route and method: a secret's name is a parameter of its route.
    std::string route_name = r.method;
    for (std::size_t i = 0; i < std::min<std::size_t>(r.segments.size(), 4); ++i)
        route_name += "/" + r.segments[i];
    route_name += r.segments.size() > 4 ? "/*" : "";
    auto& used = counters_[route_name];
    if (now >= used.since + std::chrono::minutes{1})
        used = {now, 0};
    if (switches.enforce_limits)
        ++used.used;
    const auto reset = std::chrono::ceil<std::chrono::seconds>(used.since + std::chrono::minutes{1} - now).count();
    if (switches.limit_headers && r.path != "/api/status")
        headers_into.with("x-ratelimit-limit", std::to_string(limit))
            .with("x-ratelimit-remaining", std::to_string(limit - std::min(limit, used.used)))
            .with("x-ratelimit-reset", std::to_string(reset));
    if (used.used <= limit)
        return std::nullopt;
    const std::string when = switches.old_server ? "1 minute" : std::to_string(reset) + " seconds";
    auto refused = failure(429, "RateLimitExceeded", "Rate limit exceeded. Please try again in " + when);
    if (switches.limit_headers)
        headers_into.with("retry-after", switches.old_server ? "60" : std::to_string(reset));
    return refused;
}

reply infisical::route(const request& r, bool by_operator) {
    const auto& s = r.segments;
    if (r.path == "/api/status" && r.reads()) {
        json::object status{{"date", format_instant(time_.now())},
                            {"message", "Ok"},
                            {"emailConfigured", false},
                            {"inviteOnlySignup", true},
                            {"redisConfigured", true},
                            {"secretScanningConfigured", false}};
        return json_reply(200, status);
    }
    if (s.size() < 3 || s[0] != "api")
        return no_route(r);
    for (const auto& segment : s)
        if (segment.size() > parameter_limit)
            return no_route(r);
    json::value body = json::object{};
    if (!r.body.empty()) {
        boost::system::error_code ec;
        body = json::parse(r.body, ec);
        const bool as_json = r.header("Content-Type").value_or("").starts_with("application/json");
        if (ec || r.body.size() > body_limit || (!as_json && !by_operator))
            return failure(500, "InternalServerError", "Something went wrong");
    }
    const std::span<const std::string> rest = std::span{s}.subspan(3);
    const std::string area = s[1] + "/" + s[2];
    if (area == "v1/auth" && r.method == "POST") {
        if (!body.is_object() || r.body.empty())
            return validation("", "object", "null");
        const auto& fields = body.get_object();
        if (rest.size() == 2 && rest[0] == "universal-auth" && rest[1] == "login")
            return login(fields);
        if (rest.size() == 2 && rest[0] == "token" && rest[1] == "renew")
            return renew(fields);
        if (rest.size() == 2 && rest[0] == "token" && rest[1] == "revoke")
            return revoke(fields);
    }
    if (!body.is_object())
        return validation("", "object", body.is_array() ? "array" : "string");
    const bool modern = !switches.old_server;
    const bool folder_route = area == "v1/folders" || (area == "v2/folders" && modern);
    const bool v3 = area == "v3/secrets" && !rest.empty() && (rest[0] == "raw" || rest[0] == "batch");
    const bool v4 = area == "v4/secrets" && modern && switches.v4;
    const bool slugs = area == "v1/projects" ? modern : area == "v1/workspace" || area == "v2/workspace";
    if (!folder_route && !v3 && !v4 && !slugs)
        return no_route(r);

    caller who{nullptr, by_operator};
    if (!by_operator) {
        if (modern && r.header("x-api-key"))
            return failure(400, "BadRequest", "API key authentication is no longer supported");
        const auto header = r.header("Authorization");
        if (!header)
            return failure(401, "UnauthorizedError", "Token missing");
        // The server drops seven characters, whatever they say.
        if (auto refused = authenticate(header->size() > 7 ? header->substr(7) : "", who, true))
            return *refused;
        if (who.identity != nullptr && who.identity->role.empty())
            return failure(403, "Identity is not a member of the specified project with ID '" + project_id + "'",
                           "You are not allowed to access this resource");
    }
    const auto& fields = body.get_object();
    if (folder_route)
        return folders(r, who, fields, rest);
    if (v3 || v4)
        return secrets(r, who, fields, v3 && rest[0] == "raw" ? rest.subspan(1) : rest, v4);
    if (!r.reads())
        return no_route(r);
    if (area == "v2/workspace")
        return project(r, rest, true, false);
    if (rest.size() == 2 && rest[0] == "slug")
        return project(r, rest.subspan(1), true, false);
    return project(r, rest, false, true);
}

reply infisical::project(const request& r, std::span<const std::string> rest, bool by_slug, bool wrapped) {
    if (rest.size() != 1)
        return no_route(r);
    if (rest[0] != (by_slug ? project_slug : project_id)) {
        if (switches.old_server)
            return failure(500, by_slug ? "Failed to find project by slug" : "InternalServerError",
                           "Something went wrong");
        return failure(404, "NotFound",
                       "Project with " + std::string{by_slug ? "slug" : "ID"} + " '" + rest[0] + "' not found");
    }
    if (!wrapped)
        return json_reply(200, project_json());
    json::object body;
    body[r.segments[2] == "projects" ? "project" : "workspace"] = project_json();
    return json_reply(200, body);
}

json::object infisical::project_json() const {
    json::array envs;
    for (const auto& env : environments)
        envs.push_back({{"name", env.name}, {"slug", env.slug}, {"id", env.id}});
    return {{"id", project_id},
            {"_id", project_id},
            {"name", project_name},
            {"slug", project_slug},
            {"orgId", organization_id},
            {"version", 3},
            {"autoCapitalization", true},
            {"pitVersionLimit", 10},
            {"createdAt", "2026-01-02T03:04:05.000Z"},
            {"upgradeStatus", nullptr},
            {"auditLogsRetentionDays", nullptr},
            {"updatedAt", "2026-01-02T03:04:05.000Z"},
            {"kmsCertificateKeyId", nullptr},
            {"environments", envs}};
}

} // namespace postern::testcloud
