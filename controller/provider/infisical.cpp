#include "provider/infisical.hpp"

#include "base/text.hpp"
#include "net/gate.hpp"
#include "net/json.hpp"
#include "net/rate_limit.hpp"
#include "net/wiping.hpp"
#include "provider/call.hpp"
#include "provider/words.hpp"

#include <boost/json.hpp>

#include <algorithm>
#include <array>
#include <utility>

namespace postern::provider {

namespace json = boost::json;
namespace wire = net::json;
using boost::asio::awaitable;

namespace {

// Three bad logins within 30 s lock the client id for everybody who uses it.
constexpr duration after_bad_login = std::chrono::seconds{60};
constexpr duration after_429 = std::chrono::seconds{60};
constexpr std::chrono::seconds patience{60}; // with somebody else's login
constexpr std::string_view placeholder = "<hidden-by-infisical>";

// A group of routes that newer servers have under another path and with another name for the project.
struct route_family {
    std::string_view older;
    std::string_view newer;
};
constexpr route_family secrets_routes{"/api/v3/secrets/raw", "/api/v4/secrets"};
constexpr route_family folder_routes{"/api/v1/folders", "/api/v2/folders"};

struct call {
    net::method verb = net::method::get;
    const route_family* family = nullptr;
    std::string below = {}; // "/KEY"
    std::string object;     // "secret KEY in /MooseQuest/cloudflare"
    net::repeat repeatable = net::repeat::safe;
    std::vector<std::pair<std::string, std::string>> query = {};
    json::object body = json::object(wire::memory());
    secret value = {}; // what the body holds that no error may repeat

    std::string name() const { return "infisical " + std::string{net::to_string(verb)} + " " + object; }
};

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

bool contains(std::string_view text, std::string_view part) {
    return text.find(part) != std::string_view::npos;
}

// `code` is what the server calls `error`: a class ("TokenError"), an operation ("CreateSecret") or a sentence.
bool is_token_error(const error& e) {
    return (e.status == 401 && e.code != "ValidationFailure") || (e.status == 403 && e.code == "TokenError");
}

bool is_route_missing(const error& e) {
    return e.status == 404 && e.code == "Not Found";
}

bool is_folder_missing(const error& e) {
    return e.status == 404 && !is_route_missing(e) && contains(e.what, "Folder with path");
}

bool is_secret_missing(const error& e) {
    return e.status == 404 && !is_route_missing(e) &&
           (contains(e.what, "Secret with name") || contains(e.what, "Secret not found"));
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

// "/MooseQuest/cloudflare": the server repairs a slash too many, not one too few.
std::string folder_path(std::string_view path) {
    path = trim(path);
    while (path.ends_with('/'))
        path.remove_suffix(1);
    std::string out{path};
    return out.starts_with('/') ? out : "/" + out;
}

struct folder_name {
    std::string parent;
    std::string name;
};

folder_name split_folder(const std::string& path) {
    auto slash = path.rfind('/');
    return {slash == 0 ? "/" : path.substr(0, slash), path.substr(slash + 1)};
}

infisical::entry read_entry(const json::value& from) {
    infisical::entry out;
    out.key = wire::text(from, "secretKey");
    out.version = static_cast<int>(wire::number(from, "version").value_or(0));
    auto value = wire::secret_text(from, "secretValue");
    out.hidden = wire::flag(from, "secretValueHidden").value_or(false) || !value || value->reveal() == placeholder;
    if (!out.hidden)
        out.value = std::move(*value);
    return out;
}

bool same_login(const infisical::login& a, const infisical::login& b) {
    const auto* left = std::get_if<infisical::universal_login>(&a);
    const auto* right = std::get_if<infisical::universal_login>(&b);
    return left != nullptr && right != nullptr && same(left->client_id, right->client_id) &&
           same(left->client_secret, right->client_secret);
}

} // namespace

struct infisical::session {
    session(net::transport& t, net::clock& c, place p, login l)
        : transport(t), clock(c), where(std::move(p)), with(std::move(l)), url(split_url(where.url)),
          project(where.project_id) {}

    // The answer to a call of this project, logged in, in the dialect that the server speaks.
    awaitable<result<json::value>> exchange(call c);
    // The same for a write: what was written, or waits for approval.
    awaitable<result<written>> write(call c);
    std::vector<std::pair<std::string, std::string>> in_folder(const std::string& path) const;
    call change(net::method verb, const std::string& path, const std::string& key) const;
    std::string folder_words(const std::string& path) const;

    awaitable<result<void>> prepare();
    awaitable<result<void>> log_in();
    awaitable<result<void>> find_project();
    awaitable<result<json::value>> send(net::request r, std::vector<secret> known);
    net::request build(const call& c, bool newer) const;
    net::request plain(net::method verb, std::string target, std::string what) const;
    bool needs_login() const;
    std::vector<secret> own_secrets() const;

    net::transport& transport;
    net::clock& clock;
    place where;
    login with;
    url_parts url;
    std::string project; // its id, once known
    std::optional<duration> skew;

    secret token; // empty: log in first
    std::optional<instant> token_until;
    std::uint64_t token_number = 0;
    // One at a time logs in; who waited takes the outcome of the one before.
    net::gate door{1};
    std::uint64_t attempts = 0;
    std::optional<error> last_failure;
    instant locked_until{};

    std::vector<const route_family*> newer_routes; // of which the server lacks the older ones
};

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

net::request infisical::session::plain(net::method verb, std::string target, std::string what) const {
    net::request r;
    r.verb = verb;
    r.origin = url.origin;
    r.target = url.path + target;
    r.repeatable = net::repeat::safe;
    r.what = std::move(what);
    r.with("Accept", "application/json");
    return r;
}

net::request infisical::session::build(const call& c, bool newer) const {
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
    auto r = plain(c.verb, std::move(target), c.name());
    r.repeatable = c.repeatable;
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
            e.retry_after = after_bad_login;
            locked_until = clock.now() + after_bad_login;
        }
        co_return e;
    }
    auto fresh = wire::secret_text(*got, "accessToken");
    if (!fresh || fresh->empty())
        co_return failure(error_kind::unavailable, "infisical POST login", "the answer has no access token");
    token = std::move(*fresh);
    ++token_number;
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

awaitable<result<json::value>> infisical::session::exchange(call c) {
    auto knows_newer = std::find(newer_routes.begin(), newer_routes.end(), c.family) != newer_routes.end();
    bool newer = knows_newer;
    bool logged_in_again = false;
    for (;;) {
        auto ready = co_await prepare();
        if (!ready)
            co_return ready.error();
        auto used = token_number;
        auto r = build(c, newer);
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
        if (e.status == 404 && contains(e.what, "Project with") && where.project_id.empty())
            project.clear();
        co_return e;
    }
}

std::string infisical::session::folder_words(const std::string& path) const {
    return "folder " + path + " does not exist in environment " + where.environment +
           ", or there is no such environment";
}

std::vector<std::pair<std::string, std::string>> infisical::session::in_folder(const std::string& path) const {
    // One name of the imports' switch is v3's, the other v4's; a server drops the one it does not know.
    return {{"environment", where.environment},
            {"secretPath", path},
            {"expandSecretReferences", "false"},
            {"include_imports", "false"},
            {"includeImports", "false"}};
}

call infisical::session::change(net::method verb, const std::string& path, const std::string& key) const {
    call c{.verb = verb,
           .family = &secrets_routes,
           .below = "/" + net::percent_encode(key),
           .object = "secret " + key + " in " + path,
           .repeatable = net::repeat::once};
    c.body.emplace("environment", where.environment);
    c.body.emplace("secretPath", path);
    c.body.emplace("type", "shared");
    return c;
}

awaitable<result<infisical::written>> infisical::session::write(call c) {
    auto what = c.name();
    auto path = wire::text(c.body, "secretPath");
    auto got = co_await exchange(std::move(c));
    if (!got) {
        auto e = got.error();
        if (is_folder_missing(e))
            e.what = folder_words(path) + "; " + e.what;
        co_return e;
    }
    if (wire::find(*got, "approval") != nullptr)
        co_return written::awaiting_approval;
    if (wire::find(*got, "secret") != nullptr)
        co_return written::stored;
    co_return failure(error_kind::ambiguous, what, "the answer says neither that it is stored nor that it waits");
}

infisical::infisical(net::transport& transport, net::clock& clock, place where, login with)
    : session_(std::make_unique<session>(transport, clock, std::move(where), std::move(with))) {}

infisical::~infisical() = default;
infisical::infisical(infisical&&) noexcept = default;

void infisical::use(login with) {
    bool other_keys = !same_login(session_->with, with);
    bool other_kind = session_->with.index() != with.index();
    session_->with = std::move(with);
    if (other_keys)
        session_->locked_until = instant{};
    if (other_kind)
        session_->token = secret{};
}

std::optional<duration> infisical::skew() const {
    return session_->skew;
}

awaitable<result<std::vector<infisical::entry>>> infisical::list(std::string path) {
    path = folder_path(path);
    call c{.family = &secrets_routes, .object = "secrets in " + path, .query = session_->in_folder(path)};
    auto what = c.name();
    auto got = co_await session_->exchange(std::move(c));
    std::vector<entry> out;
    if (!got && is_folder_missing(got.error()))
        co_return std::move(out);
    if (!got)
        co_return got.error();
    const auto* items = wire::find(*got, "secrets");
    if (items == nullptr || !items->is_array())
        co_return failure(error_kind::unavailable, what, "the answer has no list of secrets");
    for (const auto& item : items->get_array()) {
        // A person's own override of a name is nobody else's value.
        if (wire::text(item, "type") != "personal")
            out.push_back(read_entry(item));
    }
    co_return std::move(out);
}

awaitable<result<bool>> infisical::folder_exists(std::string path) {
    path = folder_path(path);
    if (path == "/")
        co_return true;
    auto folder = split_folder(path);
    call c{.family = &folder_routes,
           .object = "folders in " + folder.parent,
           .query = {{"environment", session_->where.environment}, {"path", folder.parent}}};
    auto what = c.name();
    auto got = co_await session_->exchange(std::move(c));
    if (!got && is_folder_missing(got.error()))
        co_return false;
    if (!got)
        co_return got.error();
    const auto* items = wire::find(*got, "folders");
    if (items == nullptr || !items->is_array())
        co_return failure(error_kind::unavailable, what, "the answer has no list of folders");
    const auto& all = items->get_array();
    co_return std::any_of(all.begin(), all.end(),
                          [&](const json::value& item) { return wire::text(item, "name") == folder.name; });
}

awaitable<result<void>> infisical::create_folder(std::string path) {
    path = folder_path(path);
    if (path == "/")
        co_return result<void>{};
    auto folder = split_folder(path);
    call c{.verb = net::method::post, .family = &folder_routes, .object = "folder " + path};
    c.body.emplace("environment", session_->where.environment);
    c.body.emplace("name", folder.name);
    c.body.emplace("path", folder.parent);
    auto what = c.name();
    auto got = co_await session_->exchange(std::move(c));
    if (!got)
        co_return got.error();
    if (wire::find(*got, "folder") == nullptr)
        co_return failure(error_kind::refused, what,
                          wire::find(*got, "approval") != nullptr
                              ? "a change policy holds the new folder back until somebody approves it"
                              : "the answer does not say that the folder exists");
    co_return result<void>{};
}

awaitable<result<std::optional<infisical::entry>>> infisical::read(std::string path, std::string key) {
    path = folder_path(path);
    call c{.family = &secrets_routes,
           .below = "/" + net::percent_encode(key),
           .object = "secret " + key + " in " + path,
           .query = session_->in_folder(path)};
    auto what = c.name();
    auto got = co_await session_->exchange(std::move(c));
    if (!got && is_secret_missing(got.error()))
        co_return std::optional<entry>{};
    if (!got) {
        auto e = got.error();
        if (is_folder_missing(e))
            e.what = session_->folder_words(path) + "; " + e.what;
        co_return e;
    }
    const auto* found = wire::find(*got, "secret");
    if (found == nullptr || wire::text(*found, "secretKey") != key)
        co_return failure(error_kind::unavailable, what, "the answer is not that secret");
    co_return std::optional{read_entry(*found)};
}

awaitable<result<infisical::written>> infisical::create(std::string path, std::string key, secret value,
                                                        std::string comment) {
    auto c = session_->change(net::method::post, folder_path(path), key);
    c.body.emplace("secretValue", value.reveal());
    if (!comment.empty())
        c.body.emplace("secretComment", comment);
    c.value = std::move(value);
    co_return co_await session_->write(std::move(c));
}

awaitable<result<infisical::written>> infisical::update(std::string path, std::string key, secret value) {
    auto c = session_->change(net::method::patch, folder_path(path), key);
    c.body.emplace("secretValue", value.reveal());
    c.value = std::move(value);
    auto done = co_await session_->write(std::move(c));
    if (!done && is_secret_missing(done.error())) {
        auto e = done.error();
        e.kind = error_kind::conflict;
        co_return e;
    }
    co_return done;
}

awaitable<result<infisical::written>> infisical::remove(std::string path, std::string key) {
    auto c = session_->change(net::method::delete_, folder_path(path), key);
    auto done = co_await session_->write(std::move(c));
    if (!done && (is_secret_missing(done.error()) || is_folder_missing(done.error())))
        co_return written::stored;
    co_return done;
}

secret as_stored(std::string_view value) {
    // What JavaScript's trim() takes off: ASCII blanks and these code points, here in UTF-8.
    constexpr std::array<std::string_view, 25> blanks{" ",
                                                      "\t",
                                                      "\n",
                                                      "\v",
                                                      "\f",
                                                      "\r",
                                                      "\xc2\xa0",
                                                      "\xe1\x9a\x80",
                                                      "\xe2\x80\x80",
                                                      "\xe2\x80\x81",
                                                      "\xe2\x80\x82",
                                                      "\xe2\x80\x83",
                                                      "\xe2\x80\x84",
                                                      "\xe2\x80\x85",
                                                      "\xe2\x80\x86",
                                                      "\xe2\x80\x87",
                                                      "\xe2\x80\x88",
                                                      "\xe2\x80\x89",
                                                      "\xe2\x80\x8a",
                                                      "\xe2\x80\xa8",
                                                      "\xe2\x80\xa9",
                                                      "\xe2\x80\xaf",
                                                      "\xe2\x81\x9f",
                                                      "\xe3\x80\x80",
                                                      "\xef\xbb\xbf"};
    bool newline = value.ends_with('\n');
    auto front = [&](std::string_view blank) { return !blank.empty() && value.starts_with(blank); };
    auto back = [&](std::string_view blank) { return !blank.empty() && value.ends_with(blank); };
    for (auto at = blanks.begin(); (at = std::find_if(blanks.begin(), blanks.end(), front)) != blanks.end();)
        value.remove_prefix(at->size());
    for (auto at = blanks.begin(); (at = std::find_if(blanks.begin(), blanks.end(), back)) != blanks.end();)
        value.remove_suffix(at->size());
    net::wiping_buffer out(value.begin(), value.end());
    if (newline)
        out.push_back('\n');
    return secret{{out.data(), out.size()}};
}

} // namespace postern::provider
