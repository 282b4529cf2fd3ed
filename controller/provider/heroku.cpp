#include "provider/heroku.hpp"

#include "net/clock.hpp"
#include "net/json.hpp"
#include "net/rate_limit.hpp"
#include "provider/call.hpp"
#include "provider/words.hpp"

#include <boost/json.hpp>

#include <algorithm>

namespace postern::provider {

namespace json = boost::json;
namespace wire = net::json;
using boost::asio::awaitable;

struct heroku::call {
    net::method verb = net::method::get;
    std::string app;
    std::string target; // below the app
    std::string object; // "config vars of raxx-console-prod"
    net::repeat repeatable = net::repeat::safe;
    bool compared = false; // it relies on what was read right before
    std::string range = {};
    // The config vars to send.
    std::map<std::string, std::optional<secret>> vars = {};

    std::string name() const { return "heroku " + std::string{net::to_string(verb)} + " " + object; }
};

struct heroku::answer {
    json::value body;
    std::string warning;
};

namespace {

// The bucket refills by about 75 requests a minute, and nothing says when.
constexpr duration refill = std::chrono::seconds{60};

error_kind judge(int status, net::repeat repeatable) {
    if (status == 401)
        return error_kind::credential;
    if (status == 429)
        return error_kind::throttled;
    // 409 is said while another change of the app is under way: nothing was done.
    if (status == 409)
        return error_kind::unavailable;
    if (status >= 500 || status == 408 || status / 100 == 2)
        return repeatable == net::repeat::once ? error_kind::ambiguous : error_kind::unavailable;
    return error_kind::refused;
}

std::string cure(int status, std::string_view id, const std::string& app) {
    if (status == 401)
        return "the API key is wrong, expired or revoked";
    if (id == "two_factor")
        return "the app asks for a second factor, which a daemon cannot give: use an account without it, or let "
               "somebody pre-authorize the app";
    if (id == "suspended")
        return "the account or the app is suspended";
    if (status == 402)
        return "the account's billing is delinquent";
    if (status == 403)
        return "the key's account may not do this: it must be a member of " + app +
               " with the permission \"deploy\" (a locked app has to be joined first), and the key's scope "
               "\"write-protected\"";
    if (status == 404)
        return "there is no app of this name: deleted, renamed, or not visible to the key's account";
    if (status == 422)
        return "Heroku will not take this until it is changed: a name that is not allowed, a var that an add-on owns, "
               "or more than 64 kB of config vars";
    return {};
}

error failed(const net::response& r, const result<json::value>& body, const std::string& app, net::repeat repeatable,
             const std::vector<secret>& known, instant now) {
    error e;
    e.kind = judge(r.status, repeatable);
    e.status = r.status;
    e.code = body ? wire::text(*body, "id") : std::string{};
    e.what = "HTTP " + std::to_string(r.status) + ": ";
    auto said = body ? wire::text(*body, "message") : std::string{};
    e.what += said.empty() ? excerpt(r, known) : e.code + ": " + struck(said, known);
    e.code = struck(e.code, known);
    if (auto words = cure(r.status, e.code, app); !words.empty())
        e.what += "; " + words;
    if (e.kind == error_kind::ambiguous)
        e.what += "; it may have been acted on";
    if (auto id = r.header("Request-Id"); !id.empty())
        e.what += " (Request-Id " + struck(id, known) + ")";
    auto retry_after = net::read_rate_limit(r, now).retry_after;
    if (e.kind == error_kind::throttled)
        e.retry_after = retry_after.value_or(refill);
    else if (e.kind == error_kind::unavailable)
        e.retry_after = retry_after;
    return e;
}

json::object body_of(const std::map<std::string, std::optional<secret>>& vars) {
    json::object out(wire::memory());
    for (const auto& [name, value] : vars) {
        // emplace() makes the string in the object's own, wiped memory; assignment would make it elsewhere first.
        if (value)
            out.emplace(name, value->reveal());
        else
            out.emplace(name, nullptr);
    }
    return out;
}

result<std::map<std::string, secret>> read_vars(const json::value& from) {
    const auto* object = from.if_object();
    if (object == nullptr)
        return failure(error_kind::unavailable, {}, "the answer is not a map of config vars");
    std::map<std::string, secret> out;
    for (const auto& member : *object) {
        if (auto value = wire::secret_text(from, member.key()))
            out.emplace(member.key(), std::move(*value));
    }
    return out;
}

} // namespace

heroku::heroku(net::transport& transport, const std::string& api_url, secret api_key, net::clock* clock)
    : transport_(transport), api_key_(std::move(api_key)), clock_(clock) {
    auto url = split_url(api_url);
    origin_ = std::move(url.origin);
    prefix_ = std::move(url.path);
}

void heroku::use(secret api_key) {
    if (!same(api_key_, api_key))
        trust_.replaced();
    api_key_ = std::move(api_key);
}

awaitable<result<heroku::answer>> heroku::exchange(call c) {
    const auto began = clock_ != nullptr ? clock_->now() : net::system_clock{}.now();
    auto bar = trust_.barred(began);
    if (bar) {
        bar->where = c.name();
        co_return *bar;
    }
    std::vector<secret> known;
    known.push_back(api_key_.copy());
    for (const auto& [name, value] : c.vars) {
        if (value)
            known.push_back(value->copy());
    }
    net::request r;
    r.verb = c.verb;
    r.origin = origin_;
    r.target = prefix_ + "/apps/" + net::percent_encode(c.app) + c.target;
    r.repeatable = c.repeatable;
    if (c.compared)
        r.patience = net::compared_lately;
    r.what = c.name();
    authorize(r, api_key_);
    r.with("Accept", "application/vnd.heroku+json; version=3");
    if (!c.range.empty())
        r.with("Range", c.range);
    if (!c.vars.empty())
        send_json(r, body_of(c.vars));
    auto got = co_await transport_.send(std::move(r));
    if (!got)
        co_return lost(got.error(), c.name(), known);
    auto body = wire::parse(got->body);
    if (got->status / 100 != 2 || !body) {
        const auto now = clock_ != nullptr ? clock_->now() : net::system_clock{}.now();
        auto e = failed(*got, body, c.app, c.repeatable, known, now);
        e.where = c.name();
        if (e.kind == error_kind::credential && clock_ != nullptr)
            trust_.refused(e, began, now);
        co_return e;
    }
    trust_.accepted(began);
    auto warning = got->header("Warning-Message");
    if (warning.empty())
        warning = got->header("X-Heroku-Warning");
    co_return answer{std::move(*body), struck(warning, known)};
}

awaitable<result<std::map<std::string, secret>>> heroku::config_vars(std::string app) {
    call c{.app = app, .target = "/config-vars", .object = "config vars of " + app};
    auto where = c.name();
    auto got = co_await exchange(std::move(c));
    if (!got)
        co_return got.error();
    auto vars = read_vars(got->body);
    if (!vars)
        co_return failure(error_kind::unavailable, where, vars.error().what);
    co_return std::move(*vars);
}

awaitable<result<heroku::patched>> heroku::patch_config_vars(std::string app,
                                                             std::map<std::string, std::optional<secret>> vars) {
    call c{.verb = net::method::patch,
           .app = app,
           .target = "/config-vars",
           .object = "config vars of " + app,
           .repeatable = net::repeat::once,
           .compared = true,
           .vars = std::move(vars)};
    auto where = c.name();
    if (c.vars.empty())
        co_return failure(error_kind::bug, where, "a change of no config var");
    auto got = co_await exchange(std::move(c));
    if (!got)
        co_return got.error();
    auto now_set = read_vars(got->body);
    if (!now_set)
        co_return failure(error_kind::ambiguous, where, now_set.error().what);
    co_return patched{std::move(*now_set), std::move(got->warning)};
}

awaitable<result<std::vector<domain::release_view>>> heroku::releases(std::string app, int most, bool compared) {
    call c{.app = app,
           .target = "/releases",
           .object = "releases of " + app,
           .compared = compared,
           .range = "version ..; order=desc,max=" + std::to_string(most)};
    auto where = c.name();
    auto got = co_await exchange(std::move(c));
    if (!got)
        co_return got.error();
    if (!got->body.is_array())
        co_return failure(error_kind::unavailable, where, "the answer is not a list of releases");
    std::vector<domain::release_view> out;
    for (const auto& item : got->body.as_array()) {
        auto version = wire::number(item, "version");
        if (!version)
            co_return failure(error_kind::unavailable, where, "a release in the list has no version");
        out.push_back({static_cast<int>(*version), wire::text(item, "status"), wire::text(item, "description")});
    }
    auto newer = [](const domain::release_view& a, const domain::release_view& b) { return a.version > b.version; };
    std::sort(out.begin(), out.end(), newer);
    if (out.size() > static_cast<std::size_t>(std::max(most, 0)))
        out.resize(static_cast<std::size_t>(std::max(most, 0)));
    co_return out;
}

} // namespace postern::provider
