#include "provider/cloudflare.hpp"

#include "base/text.hpp"
#include "net/json.hpp"
#include "provider/access_wire.hpp"
#include "provider/call.hpp"
#include "provider/cloudflare_error.hpp"

#include <boost/asio/this_coro.hpp>
#include <boost/json.hpp>

#include <algorithm>
#include <set>

namespace postern::provider {

namespace json = boost::json;
namespace wire = net::json;
using boost::asio::awaitable;

// What is sent, how it is called in errors, and what the API token must be allowed to do for it.
struct cloudflare::call {
    net::method verb = net::method::get;
    std::string target;
    std::string object; // "service token console-self-probe"
    std::string permission;
    net::repeat repeatable = net::repeat::safe;
    bool compared = false; // it relies on what was read right before
    std::optional<json::object> body = {};
    // A refusal is an answer like another here: asked once, whatever is believed of the key.
    bool may_be_refused = false;

    std::string name() const { return "cloudflare " + std::string{net::to_string(verb)} + " " + object; }
};

namespace {

constexpr std::size_t per_page = 100;
constexpr std::size_t most_pages = 1000;
constexpr int most_readings = 3;

constexpr auto tokens_read = "Access: Service Tokens Read";
constexpr auto tokens_write = "Access: Service Tokens Write";
constexpr auto apps_read = "Access: Apps and Policies Read";
constexpr auto apps_write = "Access: Apps and Policies Write";
constexpr auto organization_read = "Access: Organizations, Identity Providers, and Groups Read";

// One reading of a list, from its first page on.
struct reading {
    json::array all = json::array(wire::memory());
    std::set<std::string> seen;
    std::vector<std::string> page; // ids of the newest one
    std::optional<std::int64_t> total;
    // Items came or went meanwhile: one may have slipped from a page that was not read yet to one that was.
    bool moved = false;

    // Says whether the next page is worth asking for.
    bool take(const json::value& envelope);
};

bool reading::take(const json::value& envelope) {
    const auto* info = wire::find(envelope, "result_info");
    auto counted = info != nullptr ? wire::number(*info, "total_count") : std::nullopt;
    moved = total && counted && *total != *counted;
    if (counted)
        total = counted;
    std::vector<std::string> ids;
    for (const auto& item : wire::items(envelope, "result"))
        ids.push_back(wire::text(item, "id"));
    // Empty, or the same again from a server that does not know the page: this was the end.
    if (moved || ids.empty() || ids == page)
        return false;
    moved = std::any_of(ids.begin(), ids.end(), [&](const auto& id) { return seen.contains(id); });
    page = std::move(ids);
    for (const auto& item : wire::items(envelope, "result")) {
        if (seen.insert(wire::text(item, "id")).second)
            all.push_back(item);
    }
    return !moved && (!total || static_cast<std::int64_t>(all.size()) < *total);
}

bool same_duration(const std::string& a, const std::string& b) {
    auto left = parse_duration(a);
    auto right = parse_duration(b);
    return a == b || (left && right && *left == *right);
}

// What was asked of a token and its answer shows otherwise; "" where all is as asked or is not shown.
std::string not_made(const cloudflare::token_changes& asked, const json::value& shown) {
    std::vector<std::string> out;
    auto tell = [&](const char* field, const std::string& wanted, const std::string& came) {
        out.push_back(std::string{field} + " " + printable(wanted) + " was asked for, " + printable(came) +
                      " came back");
    };
    auto name = wire::text(shown, "name");
    auto duration = wire::text(shown, "duration");
    auto enabled = wire::flag(shown, "enabled");
    if (asked.name && !name.empty() && name != *asked.name)
        tell("name", *asked.name, name);
    if (asked.duration && !duration.empty() && !same_duration(*asked.duration, duration))
        tell("duration", *asked.duration, duration);
    if (asked.enabled && enabled && *enabled != *asked.enabled)
        tell("enabled", *asked.enabled ? "true" : "false", *enabled ? "true" : "false");
    return join(out, "; ");
}

const json::value& result_of(const json::value& envelope) {
    static const json::value none;
    const auto* found = wire::find(envelope, "result");
    return found != nullptr ? *found : none;
}

} // namespace

cloudflare::cloudflare(net::transport& transport, const std::string& api_url, const std::string& account_id,
                       secret api_token, net::clock* clock, net::stop* halt)
    : transport_(transport), clock_(clock), halt_(halt), api_token_(std::move(api_token)) {
    auto url = split_url(api_url);
    origin_ = std::move(url.origin);
    api_path_ = std::move(url.path);
    prefix_ = api_path_ + "/accounts/" + net::percent_encode(account_id);
}

void cloudflare::use(secret api_token) {
    if (!same(api_token_, api_token))
        trust_.replaced();
    api_token_ = std::move(api_token);
}

std::optional<duration> cloudflare::skew() const {
    return skew_;
}

instant cloudflare::now() const {
    return clock_ != nullptr ? clock_->now() : net::system_clock{}.now();
}

awaitable<result<json::value>> cloudflare::ask(const call* c, instant start_by) {
    std::vector<secret> known;
    known.push_back(api_token_.copy());
    net::request r;
    r.verb = c->verb;
    r.origin = origin_;
    r.target = c->target;
    r.repeatable = c->repeatable;
    if (c->compared)
        r.patience = net::compared_lately;
    r.start_by = start_by;
    r.what = c->name();
    authorize(r, api_token_);
    r.with("Accept", "application/json");
    if (c->body)
        send_json(r, *c->body);
    auto answer = co_await transport_.send(std::move(r));
    if (!answer)
        co_return lost(answer.error(), c->name(), known);
    const auto at = now();
    if (auto skew = skew_of(*answer, at))
        skew_ = skew;
    auto body = wire::parse(answer->body);
    bool fine = answer->status / 100 == 2;
    if (fine && is_envelope(body) && wire::flag(*body, "success").value_or(false))
        co_return std::move(*body);
    if (fine && c->verb == net::method::delete_ && answer->body.empty())
        co_return json::value{};
    auto e = failed(*answer, body, c->repeatable, c->permission, known, at);
    e.where = c->name();
    co_return e;
}

// Under load Cloudflare refuses a good key at times. What is not safe to repeat is not asked again here, for whoever
// sends it counts on its deadline.
awaitable<result<json::value>> cloudflare::exchange(call c) {
    const auto began = now();
    const auto start_by = c.compared ? began + net::compared_lately : instant::max();
    for (int asked = 1;; ++asked) {
        auto bar = c.may_be_refused ? std::nullopt : trust_.barred(now());
        if (bar) {
            bar->where = c.name();
            co_return *bar;
        }
        auto got = co_await ask(&c, start_by);
        if (got)
            trust_.accepted(now());
        if (got || got.error().kind != error_kind::credential || c.may_be_refused || clock_ == nullptr ||
            c.repeatable == net::repeat::once)
            co_return got;
        const auto wait = key_trust::wait_after(asked);
        if (!wait) {
            // A write may lack a right of its own; a key that may not even read is dead.
            if (c.verb == net::method::get)
                trust_.refused(got.error(), began, now());
            co_return got;
        }
        if (now() + *wait > start_by)
            co_return got;
        auto sleep = net::sleep_through(halt_, clock_, *wait);
        const bool goes_on = co_await std::move(sleep);
        // The refusal is not believed yet.
        if (!goes_on)
            co_return failure(error_kind::cancelled, c.name(), "cancelled while waiting to be asked again");
    }
}

awaitable<result<json::array>> cloudflare::pages(call first) {
    for (int readings = 0; readings < most_readings; ++readings) {
        reading list;
        bool more = true;
        for (std::size_t page = 1; more; ++page) {
            if (page > most_pages)
                co_return failure(error_kind::unavailable, first.name(), "the list has no end");
            call c = first;
            c.target += "?per_page=" + std::to_string(per_page) + "&page=" + std::to_string(page);
            auto envelope = co_await exchange(std::move(c));
            if (!envelope)
                co_return envelope.error();
            more = list.take(*envelope);
        }
        if (!list.moved)
            co_return std::move(list.all);
    }
    co_return failure(error_kind::unavailable, first.name(),
                      "the list changed each of the " + std::to_string(most_readings) + " times that it was read");
}

awaitable<result<std::optional<json::value>>> cloudflare::look(call c) {
    auto envelope = co_await exchange(std::move(c));
    if (!envelope && is_gone(envelope.error()))
        co_return std::optional<json::value>{};
    if (!envelope)
        co_return envelope.error();
    co_return std::optional<json::value>{result_of(*envelope)};
}

awaitable<result<cloudflare::token_status>> cloudflare::verify() {
    call account{
        .target = prefix_ + "/tokens/verify", .object = "the API token", .permission = {}, .may_be_refused = true};
    call user{.target = api_path_ + "/user/tokens/verify",
              .object = "the API token",
              .permission = {},
              .may_be_refused = true};
    auto answer = co_await exchange(std::move(account));
    if (!answer && answer.error().status >= 400 && answer.error().status < 500 &&
        answer.error().kind != error_kind::throttled)
        answer = co_await exchange(std::move(user));
    if (!answer)
        co_return answer.error();
    const auto& status = result_of(*answer);
    co_return token_status{wire::text(status, "status"), wire::time(status, "expires_on")};
}

awaitable<result<std::vector<domain::live_token>>> cloudflare::list_tokens() {
    call c{.target = prefix_ + "/access/service_tokens", .object = "service tokens", .permission = tokens_read};
    auto where = c.name();
    auto items = co_await pages(std::move(c));
    if (!items)
        co_return items.error();
    std::vector<domain::live_token> out;
    for (const auto& item : *items) {
        auto token = access::token(item);
        if (!token)
            co_return failure(error_kind::unavailable, where, "a token in the list has no id or client id");
        out.push_back(std::move(*token));
    }
    co_return out;
}

awaitable<result<std::vector<domain::live_application>>> cloudflare::list_applications() {
    call shared{.target = prefix_ + "/access/policies", .object = "reusable policies", .permission = apps_read};
    auto policies = co_await pages(std::move(shared));
    if (!policies)
        co_return policies.error();
    access::reusable_policies reusable;
    for (const auto& policy : *policies)
        reusable.emplace(wire::text(policy, "id"), &policy);

    call c{.target = prefix_ + "/access/apps", .object = "applications", .permission = apps_read};
    auto where = c.name();
    auto items = co_await pages(std::move(c));
    if (!items)
        co_return items.error();
    std::vector<domain::live_application> out;
    for (const auto& item : *items) {
        auto application = access::application(item, reusable);
        if (!application)
            co_return failure(error_kind::unavailable, where,
                              "an application in the list, or a policy of it, has no id");
        out.push_back(std::move(*application));
    }
    access::count_users_elsewhere(out, reusable);
    co_return out;
}

awaitable<result<std::vector<domain::live_group>>> cloudflare::list_groups() {
    call c{.target = prefix_ + "/access/groups", .object = "groups", .permission = organization_read};
    auto items = co_await pages(std::move(c));
    if (!items)
        co_return items.error();
    std::vector<domain::live_group> out;
    for (const auto& item : *items)
        out.push_back(access::group(item));
    co_return out;
}

awaitable<result<bool>> cloudflare::strict() {
    call c{.target = prefix_ + "/access/organizations",
           .object = "the organization",
           .permission = organization_read,
           .may_be_refused = true};
    auto envelope = co_await exchange(std::move(c));
    if (envelope)
        co_return wire::flag(result_of(*envelope), "strict_service_token_auth").value_or(false);
    auto status = envelope.error().status;
    if (status == 401 || status == 403 || status == 404 || envelope.error().code == "9999")
        co_return false;
    co_return envelope.error();
}

awaitable<result<std::optional<domain::live_token>>> cloudflare::get_token(std::string id) {
    call c{.target = prefix_ + "/access/service_tokens/" + net::percent_encode(id),
           .object = "service token " + id,
           .permission = tokens_read};
    auto where = c.name();
    auto found = co_await look(std::move(c));
    if (!found)
        co_return found.error();
    if (!*found)
        co_return std::optional<domain::live_token>{};
    auto token = access::token(**found);
    if (!token || token->id != id)
        co_return failure(error_kind::unavailable, where, "the answer is not that token");
    co_return token;
}

awaitable<result<cloudflare::minted>> cloudflare::create_token(std::string name, std::string duration) {
    call c{.verb = net::method::post,
           .target = prefix_ + "/access/service_tokens",
           .object = "service token " + name,
           .permission = tokens_write,
           .repeatable = net::repeat::once,
           .body = json::object{{"name", name}, {"duration", duration}}};
    auto where = c.name();
    auto envelope = co_await exchange(std::move(c));
    if (!envelope)
        co_return envelope.error();
    auto token = access::token(result_of(*envelope));
    auto client_secret = wire::secret_text(result_of(*envelope), "client_secret");
    if (!token || !client_secret || client_secret->empty())
        co_return failure(error_kind::ambiguous, where, "the answer has no id, client id or client secret");
    if (token->duration.empty())
        token->duration = duration;
    // Its own GET and the lists say when it expires; the answer to a creation need not.
    auto lasts = parse_duration(token->duration);
    if (!token->expires_at && token->created_at && lasts)
        token->expires_at = *token->created_at + *lasts;
    co_return minted{std::move(*token), std::move(*client_secret)};
}

awaitable<result<cloudflare::minted>> cloudflare::rotate_token(std::string id, instant previous_ends) {
    call c{.verb = net::method::post,
           .target = prefix_ + "/access/service_tokens/" + net::percent_encode(id) + "/rotate",
           .object = "service token " + id,
           .permission = tokens_write,
           .repeatable = net::repeat::once,
           .body = json::object{{"previous_client_secret_expires_at", format_instant(previous_ends)}}};
    auto where = c.name();
    auto envelope = co_await exchange(std::move(c));
    if (!envelope)
        co_return envelope.error();
    auto token = access::token(result_of(*envelope));
    auto client_secret = wire::secret_text(result_of(*envelope), "client_secret");
    if (!token || token->id != id || !client_secret || client_secret->empty())
        co_return failure(error_kind::ambiguous, where, "the answer is not that token with a client secret");
    co_return minted{std::move(*token), std::move(*client_secret)};
}

awaitable<result<domain::live_token>> cloudflare::update_token(std::string id, token_changes changes) {
    json::object body;
    if (changes.name)
        body["name"] = *changes.name;
    if (changes.duration)
        body["duration"] = *changes.duration;
    if (changes.enabled)
        body["enabled"] = *changes.enabled;
    if (changes.previous_secret_ends)
        body["previous_client_secret_expires_at"] = format_instant(*changes.previous_secret_ends);
    call c{.verb = net::method::put,
           .target = prefix_ + "/access/service_tokens/" + net::percent_encode(id),
           .object = "service token " + id,
           .permission = tokens_write,
           .body = std::move(body)};
    auto where = c.name();
    auto envelope = co_await exchange(std::move(c));
    if (!envelope)
        co_return envelope.error();
    auto token = access::token(result_of(*envelope));
    if (!token || token->id != id)
        co_return failure(error_kind::unavailable, where, "the answer is not that token");
    if (auto otherwise = not_made(changes, result_of(*envelope)); !otherwise.empty())
        co_return failure(error_kind::refused, where, "it was accepted, but " + otherwise);
    co_return std::move(*token);
}

awaitable<result<void>> cloudflare::delete_token(std::string id) {
    call c{.verb = net::method::delete_,
           .target = prefix_ + "/access/service_tokens/" + net::percent_encode(id),
           .object = "service token " + id,
           .permission = tokens_write};
    auto done = co_await exchange(std::move(c));
    if (!done && !is_gone(done.error()))
        co_return done.error();
    co_return result<void>{};
}

std::string cloudflare::policy_path(const std::string& application, const std::string& policy, bool reusable) const {
    auto id = net::percent_encode(policy);
    return reusable ? prefix_ + "/access/policies/" + id
                    : prefix_ + "/access/apps/" + net::percent_encode(application) + "/policies/" + id;
}

awaitable<result<domain::live_policy>> cloudflare::create_policy(std::string application, std::string name,
                                                                 std::vector<std::string> tokens, int precedence) {
    json::array include;
    for (const auto& token : tokens)
        include.push_back(access::admits(token));
    call c{
        .verb = net::method::post,
        .target = prefix_ + "/access/apps/" + net::percent_encode(application) + "/policies",
        .object = "policy " + name + " of application " + application,
        .permission = apps_write,
        .repeatable = net::repeat::once,
        .body = json::object{
            {"name", name}, {"decision", "non_identity"}, {"precedence", precedence}, {"include", std::move(include)}}};
    auto where = c.name();
    auto envelope = co_await exchange(std::move(c));
    if (!envelope)
        co_return envelope.error();
    auto policy = access::policy(result_of(*envelope), false);
    if (!policy)
        co_return failure(error_kind::ambiguous, where, "the answer has no policy id");
    co_return std::move(*policy);
}

awaitable<result<domain::live_policy>> cloudflare::edit_policy(policy_edit edit) {
    call read{.target = policy_path(edit.application, edit.policy, edit.reusable),
              .object = "policy " + edit.policy + " of application " + edit.application,
              .permission = apps_read};
    call write = read;
    auto found = co_await look(std::move(read));
    if (!found)
        co_return found.error();
    write.verb = net::method::put;
    auto where = write.name();
    if (!*found)
        co_return failure(error_kind::conflict, where, "the policy is gone");
    auto before = access::policy(**found, edit.reusable);
    if (!before)
        co_return failure(error_kind::unavailable, where, "the answer is not a policy");
    if (before->version != edit.version)
        co_return failure(error_kind::conflict, where, "the policy was changed since it was judged");

    access::policy_change change{edit.make_non_identity, edit.add, edit.remove};
    if (access::carries(*before, change))
        co_return std::move(*before);
    auto body = access::edited(**found, change);
    if (wire::items(body, "include").empty())
        co_return failure(error_kind::refused, where,
                          "policy \"" + printable(before->name) + "\" (" + edit.policy +
                              ") would admit nobody without them: delete it by hand, or put whom it is for into it");
    write.permission = apps_write;
    write.repeatable = net::repeat::once;
    write.compared = true;
    write.body = body.as_object();
    auto envelope = co_await exchange(std::move(write));
    if (!envelope)
        co_return envelope.error();
    auto after = access::policy(result_of(*envelope), edit.reusable);
    if (!after || !access::carries(*after, change))
        co_return failure(error_kind::ambiguous, where, "the answer does not show the change");
    co_return std::move(*after);
}

awaitable<result<void>> cloudflare::delete_policy(std::string application, std::string policy, std::string version) {
    call read{.target = policy_path(application, policy, false),
              .object = "policy " + policy + " of application " + application,
              .permission = apps_read};
    call write = read;
    write.verb = net::method::delete_;
    write.compared = true;
    write.permission = apps_write;
    auto where = write.name();
    auto found = co_await look(std::move(read));
    if (!found)
        co_return found.error();
    if (!*found)
        co_return result<void>{};
    auto before = access::policy(**found, false);
    if (!before || before->reusable || before->version != version)
        co_return failure(error_kind::conflict, where, "the policy was changed since it was judged");
    auto done = co_await exchange(std::move(write));
    if (!done && !is_gone(done.error()))
        co_return done.error();
    co_return result<void>{};
}

} // namespace postern::provider
