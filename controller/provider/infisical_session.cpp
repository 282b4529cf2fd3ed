#include "provider/infisical_session.hpp"

#include "base/text.hpp"
#include "net/rate_limit.hpp"
#include "provider/words.hpp"

#include <algorithm>

namespace postern::provider {

namespace json = boost::json;
namespace wire = net::json;
using boost::asio::awaitable;

namespace {

// Three bad logins within 30 s lock the client id for everybody who uses it.
constexpr duration after_bad_login = std::chrono::seconds{60}; // doubled each time
constexpr duration after_bad_logins = std::chrono::minutes{15};
constexpr duration after_429 = std::chrono::seconds{60};
constexpr std::chrono::seconds patience{60}; // with somebody else's login

// The words of a refusal: an array of complaints where the request was not valid.
std::string message_of(const json::value& body) {
    auto words = wire::text(body, "message");
    for (const auto& issue : wire::items(body, "message")) {
        std::string path;
        for (const auto& part : wire::items(issue, "path")) {
            if (const auto* s = part.if_string(); s != nullptr)
                path += (path.empty() ? "" : ".") + std::string{s->data(), s->size()};
        }
        words += (words.empty() ? "" : "; ") + path + (path.empty() ? "" : ": ") + wire::text(issue, "message");
    }
    return words;
}

error_kind judge(int status, std::string_view code, std::string_view message, net::repeat repeatable) {
    if (status == 429)
        return error_kind::throttled;
    if (code == "Failed to find project by slug")
        return error_kind::refused;
    if (status >= 500 || status == 408 || status / 100 == 2)
        return repeatable == net::repeat::once ? error_kind::ambiguous : error_kind::unavailable;
    if ((status == 401 && code != "ValidationFailure") || (status == 403 && code == "TokenError"))
        return error_kind::credential;
    if (status == 409 || (status == 400 && message.starts_with("Secret already exist")))
        return error_kind::conflict;
    return error_kind::refused;
}

// An answer that is not a success, in words.
error failed(const net::response& r, const result<json::value>& body, net::repeat repeatable,
             const std::vector<secret>& known, instant now) {
    auto message = body ? message_of(*body) : std::string{};
    error e;
    e.code = body ? struck(wire::text(*body, "error"), known) : std::string{};
    e.kind = judge(r.status, e.code, message, repeatable);
    e.status = r.status;
    e.what = "HTTP " + std::to_string(r.status) + ": ";
    e.what += message.empty() ? excerpt(r, known) : e.code + ": " + struck(message, known);
    if (e.kind == error_kind::ambiguous)
        e.what += "; it may have been acted on";
    if (auto id = body ? wire::text(*body, "reqId") : std::string{}; !id.empty())
        e.what += " (reqId " + struck(id, known) + ")";
    auto retry_after = net::read_rate_limit(r, now).retry_after;
    if (e.kind == error_kind::throttled)
        e.retry_after = retry_after.value_or(after_429);
    else if (e.kind == error_kind::unavailable)
        e.retry_after = retry_after;
    return e;
}

bool says(const error& e, std::string_view part) {
    return e.what.find(part) != std::string::npos;
}

bool is_token_error(const error& e) {
    return (e.status == 401 && e.code != "ValidationFailure") || (e.status == 403 && e.code == "TokenError");
}

bool is_route_missing(const error& e) {
    return e.status == 404 && e.code == "Not Found";
}

bool same_login(const infisical::login& a, const infisical::login& b) {
    const auto* left = std::get_if<infisical::universal_login>(&a);
    const auto* right = std::get_if<infisical::universal_login>(&b);
    return left != nullptr && right != nullptr && same(left->client_id, right->client_id) &&
           same(left->client_secret, right->client_secret);
}

} // namespace

bool is_folder_missing(const error& e) {
    return e.status == 404 && !is_route_missing(e) && says(e, "Folder with path");
}

bool is_secret_missing(const error& e) {
    return e.status == 404 && !is_route_missing(e) && (says(e, "Secret with name") || says(e, "Secret not found"));
}

void infisical::session::use(login keys) {
    bool other_keys = !same_login(with, keys);
    bool other_kind = with.index() != keys.index();
    with = std::move(keys);
    if (other_keys) {
        locked_until = instant{};
        bad_logins = 0;
    }
    if (other_kind)
        token = secret{};
}

bool infisical::session::needs_login() const {
    if (std::holds_alternative<token_login>(with))
        return false;
    return token.empty() || (token_until && clock.now() >= *token_until);
}

std::vector<secret> infisical::session::own_secrets() const {
    std::vector<secret> out;
    out.push_back(token.copy());
    if (const auto* keys = std::get_if<universal_login>(&with); keys != nullptr)
        out.push_back(keys->client_secret.copy());
    if (const auto* key = std::get_if<token_login>(&with); key != nullptr)
        out.push_back(key->token.copy());
    return out;
}

net::request infisical::session::plain(net::method verb, const std::string& target, std::string what) const {
    net::request r;
    r.verb = verb;
    r.origin = url.origin;
    r.target = url.path + target;
    r.repeatable = net::repeat::safe;
    r.what = std::move(what);
    r.with("Accept", "application/json");
    return r;
}

net::request infisical::session::build(const infisical_call& c, bool newer, instant began) const {
    std::string target{newer ? c.family->newer : c.family->older};
    target += c.below;
    auto project_field = newer ? "projectId" : "workspaceId";
    char separator = '?';
    auto add = [&](std::string_view name, std::string_view value) {
        target += separator + std::string{name} + "=" + net::percent_encode(value);
        separator = '&';
    };
    if (c.body.empty()) {
        add(project_field, project);
        for (const auto& [name, value] : c.query)
            add(name, value);
    }
    auto r = plain(c.verb, target, c.name());
    // The server counts each route and method apart.
    r.quota = std::string{net::to_string(c.verb)} + " " + std::string{c.family->older} + (c.below.empty() ? "" : "/*");
    r.repeatable = c.repeatable;
    if (c.compared) {
        r.patience = net::compared_lately;
        r.start_by = began + net::compared_lately;
    }
    const auto* key = std::get_if<token_login>(&with);
    authorize(r, key != nullptr ? key->token : token);
    if (!c.body.empty()) {
        json::object body(c.body, wire::memory());
        body.emplace(project_field, project);
        send_json(r, std::move(body));
    }
    return r;
}

awaitable<result<json::value>> infisical::session::send(net::request r, std::vector<secret> known) {
    auto what = r.what;
    auto repeatable = r.repeatable;
    auto got = co_await transport.send(std::move(r));
    if (!got)
        co_return lost(got.error(), what, known);
    if (auto seen = skew_of(*got, clock.now()))
        skew = seen;
    auto body = wire::parse(got->body);
    if (got->status / 100 == 2 && body && body->is_object())
        co_return std::move(*body);
    auto e = failed(*got, body, repeatable, known, clock.now());
    e.where = what;
    co_return e;
}

awaitable<result<void>> infisical::session::log_in() {
    auto r = plain(net::method::post, "/api/v1/auth/universal-auth/login", "infisical POST login");
    r.login = true;
    r.quota = "login";
    const auto& keys = std::get<universal_login>(with);
    json::object body(wire::memory());
    body.emplace("clientId", trim(keys.client_id.reveal()));
    body.emplace("clientSecret", trim(keys.client_secret.reveal()));
    send_json(r, std::move(body));
    auto known = own_secrets();
    auto got = co_await send(std::move(r), std::move(known));
    if (!got) {
        auto e = got.error();
        bool unknown_id = e.status == 404 && !is_route_missing(e);
        if (is_token_error(e) || unknown_id || e.status == 403) {
            e.kind = error_kind::credential;
            e.what += "; the client id or client secret is wrong, expired, used up or locked for some minutes";
            e.retry_after = std::min(after_bad_logins, after_bad_login * (1 << std::min(bad_logins, 4)));
            locked_until = clock.now() + *e.retry_after;
            ++bad_logins;
        }
        co_return e;
    }
    auto fresh = wire::secret_text(*got, "accessToken");
    if (!fresh || fresh->empty())
        co_return failure(error_kind::unavailable, "infisical POST login", "the answer has no access token");
    token = std::move(*fresh);
    ++token_number;
    bad_logins = 0;
    auto lasts = wire::number(*got, "expiresIn").value_or(0);
    token_until.reset();
    if (lasts > 0)
        token_until = clock.now() + std::chrono::seconds{lasts} * 4 / 5;
    co_return result<void>{};
}

// Newer servers first; each older one lacks the routes of its successors.
awaitable<result<void>> infisical::session::find_project() {
    auto slug = net::percent_encode(where.project_slug);
    error last;
    for (std::string_view route : {"/api/v1/projects/slug/", "/api/v1/workspace/slug/", "/api/v2/workspace/"}) {
        auto r = plain(net::method::get, std::string{route} + slug, "infisical GET project " + where.project_slug);
        r.quota = "project";
        const auto* key = std::get_if<token_login>(&with);
        authorize(r, key != nullptr ? key->token : token);
        auto known = own_secrets();
        auto got = co_await send(std::move(r), std::move(known));
        if (!got && is_route_missing(got.error())) {
            last = got.error();
            continue;
        }
        if (!got)
            co_return got.error();
        project = wire::text(*got, "id");
        if (project.empty())
            co_return failure(error_kind::unavailable, "infisical GET project " + where.project_slug,
                              "the answer has no project id");
        co_return result<void>{};
    }
    co_return last;
}

awaitable<result<void>> infisical::session::prepare() {
    if (!needs_login() && !project.empty())
        co_return result<void>{};
    auto seen = attempts;
    auto pass = co_await door.enter(std::chrono::steady_clock::now() + patience);
    if (!pass)
        co_return failure(error_kind::unavailable, "infisical POST login", "another login is still under way");
    if (attempts != seen) {
        if (last_failure)
            co_return *last_failure;
        co_return result<void>{};
    }
    result<void> done;
    if (needs_login() && clock.now() < locked_until) {
        auto e = failure(error_kind::credential, "infisical POST login",
                         "the last login was refused; not tried again before " + format_instant(locked_until));
        e.retry_after = locked_until - clock.now();
        done = e;
    } else if (needs_login()) {
        done = co_await log_in();
    }
    if (done && project.empty())
        done = co_await find_project();
    ++attempts;
    last_failure = done ? std::nullopt : std::optional{done.error()};
    co_return done;
}

awaitable<result<json::value>> infisical::session::exchange(infisical_call c) {
    auto knows_newer = std::find(newer_routes.begin(), newer_routes.end(), c.family) != newer_routes.end();
    bool newer = knows_newer;
    bool logged_in_again = false;
    const auto began = clock.now();
    for (;;) {
        auto ready = co_await prepare();
        if (!ready)
            co_return ready.error();
        auto used = token_number;
        auto r = build(c, newer, began);
        auto known = own_secrets();
        known.push_back(c.value.copy());
        auto got = co_await send(std::move(r), std::move(known));
        bool missing = !got && is_route_missing(got.error());
        if (missing && !newer) {
            newer = true;
            continue;
        }
        // A key that is too long is a missing route on every server, and says nothing about the server.
        if (newer && !knows_newer && !missing)
            newer_routes.push_back(c.family);
        if (got)
            co_return got;
        if (is_token_error(got.error()) && !logged_in_again && std::holds_alternative<universal_login>(with)) {
            logged_in_again = true;
            if (used == token_number)
                token = secret{};
            continue;
        }
        auto e = got.error();
        if (is_token_error(e))
            e.what += "; the machine identity's access token is refused";
        if (e.status == 404 && says(e, "Project with") && where.project_id.empty())
            project.clear();
        co_return e;
    }
}

} // namespace postern::provider
