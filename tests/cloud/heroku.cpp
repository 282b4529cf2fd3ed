#include "cloud/heroku.hpp"

#include "base/secret.hpp"
#include "base/text.hpp"

#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <cmath>

namespace postern::testcloud {

namespace {

constexpr std::size_t vars_limit = 64U * 1024U;
constexpr std::string_view release_warning =
    "Release command executing: this config change will not be available until the command succeeds. Use "
    "`heroku releases:output` to view the log.";

bool good_key(std::string_view key) {
    return !key.empty() && std::all_of(key.begin(), key.end(), [](char c) {
        return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
    });
}

std::string bearer_of(const request& r) {
    const auto header = r.header("Authorization").value_or("");
    if (lower(header).starts_with("bearer "))
        return header.substr(7);
    if (!lower(header).starts_with("basic "))
        return {};
    // Basic: the user is ignored, the password is the key.
    const auto coded = header.substr(6);
    std::string out(coded.size(), '\0');
    const int length =
        EVP_DecodeBlock(reinterpret_cast<unsigned char*>(out.data()),
                        reinterpret_cast<const unsigned char*>(coded.data()), static_cast<int>(coded.size()));
    if (length < 0)
        return {};
    out.resize(static_cast<std::size_t>(length));
    while (out.ends_with('\0'))
        out.pop_back();
    return out.substr(out.find(':') == std::string::npos ? 0 : out.find(':') + 1);
}

std::string describe(const std::map<std::string, std::optional<std::string>>& changes) {
    std::vector<std::string> set;
    std::vector<std::string> removed;
    for (const auto& [key, value] : changes)
        (value ? set : removed).push_back(key);
    if (removed.empty())
        return "Set " + join(set, ", ") + " config vars";
    if (set.empty())
        return "Remove " + join(removed, ", ") + " config vars";
    return "Set " + join(set, ", ") + " and remove " + join(removed, ", ") + " config vars";
}

} // namespace

config_map merged(config_map into, const std::map<std::string, std::optional<std::string>>& changes) {
    for (const auto& [key, value] : changes) {
        if (value)
            into[key] = *value;
        else
            into.erase(key);
    }
    return into;
}

std::string heroku_stamp(instant at) {
    return format_instant(whole_seconds(at));
}

reply heroku_failure(int status, std::string_view id, std::string_view message) {
    return json_reply(status, json::object{{"id", id}, {"message", message}});
}

heroku::heroku(virtual_time& time, dice& ids)
    : account_id(ids.uuid()), time_(time), ids_(ids), refilled_at_(time.now()) {}

heroku_app& heroku::add_app(std::string name) {
    heroku_app app;
    app.id = ids_.uuid();
    app.name = std::move(name);
    app.created_at = app.updated_at = app.released_at = time_.now();
    apps.push_back(std::move(app));
    auto& made = apps.back();
    add_release(made, "Initial release", {});
    return made;
}

heroku_app* heroku::find(std::string_view id_or_name) {
    for (auto& app : apps)
        if (!app.gone && (app.id == id_or_name || app.name == id_or_name))
            return &app;
    return nullptr;
}

void heroku::set(heroku_app& app, const std::string& key, std::optional<std::string> value) {
    std::map<std::string, std::optional<std::string>> changes{{key, std::move(value)}};
    auto description = describe(changes);
    add_release(app, std::move(description), std::move(changes)).user_email = "somebody@raxx.app";
}

reply heroku::serve(const request& r, bool by_operator) {
    reply limits;
    auto answer = [&]() -> reply {
        const bool costs = !by_operator && r.path != "/account/rate-limits";
        if (costs)
            if (auto throttled = throttle(limits))
                return *throttled;
        return route(r, by_operator);
    }();
    if (limits.headers.empty())
        limits.with("RateLimit-Remaining", std::to_string(static_cast<long>(tokens_)));
    answer.headers.insert(answer.headers.end(), limits.headers.begin(), limits.headers.end());
    answer.with("Request-Id", ids_.uuid());
    if (r.reads() && answer.status == 200) {
        const auto tag = "\"" + fingerprint(secret{"etag"}, secret{answer.body}) + "\"";
        answer.with("ETag", tag);
        if (r.header("If-None-Match") == tag) {
            answer.status = 304;
            answer.body.clear();
        }
    }
    return answer;
}

std::optional<reply> heroku::throttle(reply& headers_into) {
    if (switches.enforce_limits) {
        const auto minutes = std::chrono::duration<double, std::ratio<60>>(time_.now() - refilled_at_).count();
        tokens_ = std::min(switches.bucket, tokens_ + minutes * switches.refill_per_minute);
        refilled_at_ = time_.now();
        if (tokens_ < 1) {
            headers_into.with("RateLimit-Remaining", "0");
            json::object body{{"id", "rate_limit"},
                              {"message", "Your account reached the API rate limit\nPlease wait a few minutes before "
                                          "making new requests"},
                              {"url", "https://devcenter.heroku.com/articles/platform-api-reference#rate-limits"}};
            return json_reply(429, body);
        }
        tokens_ -= 1;
    }
    headers_into.with("RateLimit-Remaining", std::to_string(static_cast<long>(tokens_)));
    return std::nullopt;
}

std::optional<reply> heroku::refuse_caller(const request& r, bool& reads_vars, bool& writes_vars) {
    const auto value = bearer_of(r);
    const auto key = std::find_if(keys.begin(), keys.end(), [&](const auto& k) { return k.valid && k.value == value; });
    if (value.empty() || key == keys.end())
        return heroku_failure(401, "unauthorized", "Invalid credentials provided.");
    const auto accept = r.header("Accept").value_or("");
    if (accept.find("application/vnd.heroku+json") == std::string::npos ||
        accept.find("version=3") == std::string::npos)
        return heroku_failure(406, "not_acceptable",
                              "The resource requested is not available in the requested format.");
    const auto& scopes = key->scopes;
    const bool global = scopes.contains("global");
    writes_vars = global || scopes.contains("write-protected");
    reads_vars = writes_vars || scopes.contains("read-protected");
    const bool writes = writes_vars || scopes.contains("write");
    if (!r.reads() && !writes)
        return heroku_failure(403, "forbidden", "You do not have access to this resource.");
    return std::nullopt;
}

reply heroku::route(const request& r, bool by_operator) {
    bool reads_vars = true;
    bool writes_vars = true;
    if (!by_operator)
        if (auto refused = refuse_caller(r, reads_vars, writes_vars))
            return *refused;
    const std::span<const std::string> s{r.segments};
    const bool sdk = r.header("Accept").value_or("").find("version=3.sdk") != std::string::npos;
    if (r.path == "/account/rate-limits" && r.reads())
        return json_reply(200, json::object{{"remaining", static_cast<std::int64_t>(tokens_)}});
    if (r.path == "/account" && r.reads())
        return json_reply(200, account_json());
    const bool listing = r.path == "/apps" || r.path == "/users/~/apps" || r.path == "/filters/apps";
    if (listing && (r.reads() || (r.path == "/filters/apps" && r.method == "POST"))) {
        std::vector<json::object> items;
        for (const auto& app : apps)
            if (!app.gone && r.body.find(r.path == "/filters/apps" ? app.id : "") != std::string::npos)
                items.push_back(app_json(app, sdk));
        return ranged(r, std::move(items), "id");
    }
    const bool as_team = s.size() >= 3 && s[0] == "teams" && s[1] == "apps";
    if (!as_team && (s.size() < 2 || s[0] != "apps"))
        return heroku_failure(404, "not_found", "The requested API endpoint was not found.");
    auto rest = s.subspan(as_team ? 2 : 1);
    auto* app = find(rest[0]);
    if (app == nullptr)
        return heroku_failure(404, "not_found", "Couldn't find that app.");
    if (!by_operator && app->locked)
        return heroku_failure(403, "forbidden", "You do not have access to the app " + app->name + ".");
    if (!by_operator && app->two_factor) {
        json::object body{{"id", "two_factor"},
                          {"message", "A second authentication factor or pre-authorization is required for this "
                                      "request. Your account has either two-factor or a Yubikey registered."}};
        body["app"] = json::object{{"id", app->id}, {"name", app->name}};
        return json_reply(403, body);
    }
    rest = rest.subspan(1);
    const bool about_vars = !rest.empty() && rest[rest.size() - 1] == "config-vars";
    if (about_vars && !(r.reads() ? reads_vars : writes_vars))
        return heroku_failure(403, "forbidden", "You do not have access to the app " + app->name + ".");
    if (rest.empty() && r.reads()) {
        auto body = app_json(*app, sdk);
        if (as_team) {
            body["locked"] = app->locked;
            body["joined"] = true;
        }
        return json_reply(200, body);
    }
    return app_routes(r, *app, rest, writes_vars);
}

reply heroku::app_routes(const request& r, heroku_app& app, std::span<const std::string> rest, bool writes_vars) {
    if (rest.size() == 1 && rest[0] == "config-vars") {
        if (r.reads())
            return json_reply(200, vars_json(app, app.config));
        if (r.method == "PATCH" && writes_vars)
            return patch_vars(r, app);
    }
    if (!rest.empty() && rest[0] == "releases")
        return release_routes(r, app, rest.subspan(1));
    if (rest.size() == 1 && rest[0] == "dynos" && r.method == "DELETE") {
        ++app.restarts;
        return json_reply(202, json::object{});
    }
    if (rest.size() == 1 && r.reads() && (rest[0] == "pipeline-couplings" || rest[0] == "buildpack-installations"))
        return rest[0] == "pipeline-couplings"
                   ? heroku_failure(404, "not_found", "Couldn't find that pipeline coupling.")
                   : json_reply(200, json::array{});
    return heroku_failure(404, "not_found", "The requested API endpoint was not found.");
}

reply heroku::patch_vars(const request& r, heroku_app& app) {
    const auto body = r.object();
    if (!body)
        return heroku_failure(400, "bad_request", "Unable to parse the JSON request body.");
    if (switches.if_match)
        if (const auto wanted = r.header("If-Match")) {
            const auto current = json::serialize(vars_json(app, app.config));
            if (*wanted != "\"" + fingerprint(secret{"etag"}, secret{current}) + "\"")
                return heroku_failure(412, "precondition_failed", "The config vars have changed.");
        }
    std::map<std::string, std::optional<std::string>> changes;
    std::vector<std::string> owned;
    for (const auto& item : *body) {
        const std::string key{item.key()};
        if (!good_key(key))
            return heroku_failure(422, "invalid_params",
                                  "Config var keys may only contain letters, digits and underscores.");
        if (!item.value().is_string() && !item.value().is_null())
            return heroku_failure(422, "invalid_params", "Config var values must be strings.");
        if (app.attachment_keys.contains(key))
            owned.push_back(key);
        changes[key] = item.value().is_string() ? std::optional<std::string>{item.value().get_string()} : std::nullopt;
    }
    if (!owned.empty())
        return heroku_failure(422, "invalid_params", "Cannot overwrite attachment values " + join(owned, ", ") + ".");
    std::size_t size = 0;
    for (const auto& [key, value] : merged(app.config, changes))
        size += key.size() + value.size();
    if (size > vars_limit)
        return heroku_failure(422, "invalid_params", "Config vars may not be larger than 64kb.");
    const bool changed = merged(app.config, changes) != app.config;
    if (changes.empty() || (!changed && !switches.noop_creates_release))
        return json_reply(200, vars_json(app, app.config));
    auto description = describe(changes);
    const bool pending = add_release(app, std::move(description), std::move(changes)).status == "pending";
    auto answer = json_reply(200, vars_json(app, app.config));
    if (pending)
        answer.with("Warning-Message", std::string{release_warning});
    return answer;
}

json::object heroku::account_json() const {
    return {{"id", account_id},
            {"email", account_email},
            {"name", "Postern"},
            {"verified", true},
            {"allow_tracking", false},
            {"beta", false},
            {"two_factor_authentication", true},
            {"created_at", "2026-01-02T03:04:05Z"},
            {"updated_at", "2026-01-02T03:04:05Z"}};
}

json::object heroku::app_json(const heroku_app& app, bool sdk) const {
    json::object stack{{"id", account_id}, {"name", "heroku-26"}};
    json::object out{{"id", app.id}, {"name", app.name}};
    if (sdk)
        out["generation"] = "cedar";
    else
        out["generation"] = json::object{{"id", account_id}, {"name", "cedar"}};
    out["owner"] = json::object{{"id", account_id}, {"email", account_email}};
    out["team"] = nullptr;
    out["organization"] = nullptr;
    out["region"] = json::object{{"id", account_id}, {"name", "us"}};
    out["stack"] = stack;
    out["build_stack"] = stack;
    out["maintenance"] = app.maintenance;
    out["acm"] = false;
    out["archived_at"] = nullptr;
    out["internal_routing"] = nullptr;
    out["space"] = nullptr;
    out["created_at"] = heroku_stamp(app.created_at);
    out["updated_at"] = heroku_stamp(app.updated_at);
    out["released_at"] = heroku_stamp(app.released_at);
    out["git_url"] = "https://git.heroku.com/" + app.name + ".git";
    out["web_url"] = nullptr;
    out["repo_size"] = nullptr;
    out["slug_size"] = 1048576;
    out["buildpack_provided_description"] = nullptr;
    return out;
}

json::object heroku::vars_json(const heroku_app& app, const config_map& config) const {
    json::object out;
    for (const auto& [key, value] : config) {
        if (!app.masked_keys.contains(key))
            out[key] = value;
        else if (!switches.mask_by_omission)
            out[key] = nullptr;
    }
    return out;
}

} // namespace postern::testcloud
