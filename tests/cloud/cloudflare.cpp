#include "cloud/cloudflare.hpp"

#include "base/text.hpp"

#include <algorithm>
#include <span>

namespace postern::testcloud {

namespace {

bool well_formed(std::string_view bearer) {
    return !bearer.empty() && std::all_of(bearer.begin(), bearer.end(), [](char c) {
        return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '-' ||
               c == '.';
    });
}

std::size_t number_in(const request& r, std::string_view name, std::size_t otherwise) {
    const auto text = r.query_value(name);
    if (!text || text->empty() || text->size() > 9 ||
        !std::all_of(text->begin(), text->end(), [](char c) { return c >= '0' && c <= '9'; }))
        return otherwise;
    return std::stoul(*text);
}

json::value messages() {
    return json::array{};
}

} // namespace

reply cloudflare_failure(int status, int code, std::string_view message) {
    json::object error{{"code", code}, {"message", message}};
    json::object body{
        {"success", false}, {"errors", json::array{error}}, {"messages", messages()}, {"result", nullptr}};
    return json_reply(status, body);
}

reply cloudflare_invalid(std::string_view detail) {
    return cloudflare_failure(400, 12130, "access.api.error.invalid_request: " + std::string{detail});
}

reply cloudflare_success(int status, json::value result) {
    json::object body{{"success", true}, {"errors", json::array{}}, {"messages", messages()}};
    body["result"] = std::move(result);
    return json_reply(status, body);
}

cloudflare::cloudflare(virtual_time& time, dice& ids, books& ledger)
    : account_id(ids.hex(32)), time_(time), ids_(ids), ledger_(ledger) {}

reply cloudflare::serve(const request& r, bool by_operator) {
    caller_ = nullptr;
    reply limits;
    auto answer = [&]() -> reply {
        if (auto refused = refuse_caller(r, by_operator))
            return *refused;
        if (caller_ != nullptr)
            if (auto throttled = throttle(caller_->value, limits))
                return *throttled;
        return route(r);
    }();
    answer.headers.insert(answer.headers.end(), limits.headers.begin(), limits.headers.end());
    answer.with("CF-Ray", ids_.hex(16) + "-LIS").with("Server", "cloudflare");
    return answer;
}

std::optional<reply> cloudflare::refuse_caller(const request& r, bool by_operator) {
    if (by_operator)
        return std::nullopt;
    const auto header = r.header("Authorization");
    if (!header)
        return cloudflare_failure(400, 9106, "Missing X-Auth-Key, X-Auth-Email or Authorization headers");
    const bool bearer = lower(*header).starts_with("bearer ");
    const std::string value = bearer ? header->substr(7) : std::string{};
    if (!well_formed(value)) {
        json::object chained{{"code", 6111}, {"message", "Invalid format for Authorization header"}};
        json::object error{
            {"code", 6003}, {"message", "Invalid request headers"}, {"error_chain", json::array{chained}}};
        json::object body{
            {"success", false}, {"errors", json::array{error}}, {"messages", json::array{}}, {"result", nullptr}};
        return json_reply(400, body);
    }
    for (const auto& token : api_tokens)
        if (token.value == value)
            caller_ = &token;
    const bool verifying = r.path.ends_with("/tokens/verify");
    if (caller_ == nullptr)
        return verifying ? cloudflare_failure(401, 1000, "Invalid API Token")
                         : cloudflare_failure(403, 10000, "Authentication error");
    const bool expired = caller_->expires_on && time_.now() >= *caller_->expires_on;
    if (!verifying && (caller_->status != "active" || expired))
        return cloudflare_failure(403, 10000, "Authentication error");
    return std::nullopt;
}

std::optional<reply> cloudflare::throttle(const std::string& token, reply& headers_into) {
    constexpr auto window = std::chrono::minutes{5};
    const auto now = time_.now();
    auto& used = usage_[token];
    std::erase_if(used.requests, [&](instant at) { return at + window <= now; });
    std::size_t remaining = switches.limit;
    if (switches.enforce_limits) {
        if (now < used.blocked_until || used.requests.size() >= switches.limit) {
            if (now >= used.blocked_until)
                used.blocked_until = now + window;
            const auto wait = std::chrono::ceil<std::chrono::seconds>(used.blocked_until - now);
            auto refused = cloudflare_failure(429, 971, "Please wait and consider throttling your request speed");
            refused.with("Retry-After", std::to_string(wait.count()));
            headers_into.with("Ratelimit", "\"default\";r=0;t=" + std::to_string(wait.count()));
            return refused;
        }
        used.requests.push_back(now);
        remaining = switches.limit - used.requests.size();
    }
    headers_into.with("Ratelimit", "\"default\";r=" + std::to_string(remaining) + ";t=300")
        .with("Ratelimit-Policy", "\"default\";q=" + std::to_string(switches.limit) + ";w=300");
    return std::nullopt;
}

bool cloudflare::allowed(std::string_view scope) const {
    if (caller_ == nullptr || caller_->scopes.contains("*") || caller_->scopes.contains(std::string{scope}))
        return true;
    // Whoever may write may read.
    const auto colon = scope.find(':');
    return scope.substr(colon + 1) == "read" &&
           caller_->scopes.contains(std::string{scope.substr(0, colon)} + ":write");
}

reply cloudflare::route(const request& r) {
    std::span<const std::string> rest{r.segments};
    if (rest.size() < 3 || rest[0] != "client" || rest[1] != "v4")
        return cloudflare_failure(404, 7000, "No route for that URI");
    rest = rest.subspan(2);
    if (r.path == "/client/v4/user/tokens/verify")
        return verify_token(r, false);
    if (rest[0] == "accounts" && rest.size() == 1) {
        json::object account{{"id", account_id}, {"name", config.org.name}, {"type", "standard"}};
        return page(r, json::array{account});
    }
    if (rest[0] != "accounts" || rest.size() < 3)
        return cloudflare_failure(404, 7003,
                                  "Could not route to " + r.path + ", perhaps your object identifier is invalid?");
    if (rest[1] != account_id)
        return cloudflare_failure(404, 7003,
                                  "Could not route to " + r.path + ", perhaps your object identifier is invalid?");
    if (rest[2] == "tokens" && rest.size() == 4 && rest[3] == "verify")
        return verify_token(r, true);
    if (rest[2] != "access" || rest.size() < 4)
        return cloudflare_failure(404, 7000, "No route for that URI");
    const auto resource = rest[3];
    rest = rest.subspan(4);

    const bool token_area = resource == "service_tokens";
    const bool org_area = resource == "organizations" || resource == "groups";
    const std::string area = token_area ? "tokens" : org_area ? "org" : resource == "logs" ? "logs" : "apps";
    if (!allowed(area + (r.reads() ? ":read" : ":write"))) {
        if (r.reads() && rest.empty() && switches.missing_scope_lists_empty)
            return page(r, json::array{});
        return cloudflare_failure(403, 10000, "Authentication error");
    }
    if (token_area)
        return tokens(r, rest);
    if (resource == "apps")
        return apps(r, rest);
    if (resource == "policies")
        return reusable_policies(r, rest);
    if (resource == "groups")
        return groups(r, rest);
    if (resource == "organizations" && rest.empty() && r.reads())
        return organizations();
    if (resource == "logs" && rest.size() == 1 && rest[0] == "access_requests" && r.reads())
        return access_requests(r);
    return cloudflare_failure(404, 7000, "No route for that URI");
}

reply cloudflare::verify_token(const request& r, bool account_endpoint) {
    if (!r.reads())
        return cloudflare_failure(405, 10000, "Method not allowed");
    if (caller_ == nullptr || caller_->account_owned != account_endpoint)
        return cloudflare_failure(401, 1000, "Invalid API Token");
    json::object result{{"id", caller_->id}, {"status", caller_->status}};
    if (caller_->expires_on) {
        result["expires_on"] = format_instant(*caller_->expires_on);
        if (time_.now() >= *caller_->expires_on)
            result["status"] = "expired";
    }
    return cloudflare_success(200, result);
}

reply cloudflare::page(const request& r, const json::array& items) const {
    return page(r, items.size(), [&](std::size_t i) { return items[i]; });
}

reply cloudflare::page(const request& r, std::size_t total, const std::function<json::value(std::size_t)>& item) const {
    const auto per_page =
        std::clamp<std::size_t>(number_in(r, "per_page", switches.default_per_page), 1, switches.per_page_cap);
    const auto number = std::max<std::size_t>(number_in(r, "page", 1), 1);
    const auto from = std::min(total, (number - 1) * per_page);
    const auto to = std::min(total, from + per_page);
    json::array shown;
    for (auto i = from; i < to; ++i)
        shown.push_back(item(i));
    json::object info{{"page", number},
                      {"per_page", per_page},
                      {"count", shown.size()},
                      {"total_count", total},
                      {"total_pages", (total + per_page - 1) / per_page}};
    json::object body{{"success", true}, {"errors", json::array{}}, {"messages", json::array{}}};
    body["result"] = std::move(shown);
    body["result_info"] = std::move(info);
    return json_reply(200, body);
}

reply cloudflare::organizations() const {
    json::object result{{"name", config.org.name},
                        {"auth_domain", config.org.auth_domain},
                        {"strict_service_token_auth", config.org.strict_service_token_auth},
                        {"is_ui_read_only", false}};
    if (config.org.service_token_inactivity)
        result["service_token_inactivity"] = *config.org.service_token_inactivity;
    return cloudflare_success(200, result);
}

reply cloudflare::access_requests(const request& r) const {
    json::array out;
    for (auto at = access_log.rbegin(); at != access_log.rend(); ++at) {
        if (const auto app = r.query_value("app_uid"); app && *app != at->app_uid)
            continue;
        out.push_back({{"created_at", format_instant(whole_seconds(at->at))},
                       {"action", "login"},
                       {"allowed", at->allowed},
                       {"app_uid", at->app_uid},
                       {"ray_id", at->ray_id},
                       {"user_email", ""},
                       {"connection", "service_token"}});
    }
    return page(r, out);
}

} // namespace postern::testcloud
