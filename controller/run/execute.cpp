#include "run/execute.hpp"

#include "run/fenced_transport.hpp"

#include <algorithm>
#include <functional>
#include <set>
#include <string_view>
#include <utility>
#include <variant>

namespace postern::run {

namespace asio = boost::asio;
using domain::outcome;
namespace steps = domain::steps;

outcome failed(error why) {
    outcome out;
    out.failure = std::move(why);
    return out;
}

error lacks_client(const std::string& resource) {
    return {error_kind::unavailable, resource, "it was not reached in this pass", 0, {}, {}};
}

error lacks_secret(const std::string& where, const std::string& fingerprint) {
    return {error_kind::bug, where, "this process does not know the secret with fingerprint " + fingerprint, 0, {}, {}};
}

error moved(const std::string& where, std::string what) {
    return {error_kind::conflict, where, std::move(what), 0, {}, {}};
}

net::urgency lane_of(const domain::step& s) {
    static const std::set<std::string, std::less<>> later{"repair",       "correct",    "unbind", "withdraw",
                                                          "disable",      "delete-key", "look",   "delete-policy",
                                                          "delete-token", "try-retired"};
    return later.contains(domain::word(s)) ? net::urgency::repair : net::urgency::rotation;
}

asio::awaitable<outcome> executor::execute(domain::step s) {
    auto came = std::visit([this](auto& what) { return take(std::move(what)); }, s.what);
    co_return co_await std::move(came);
}

executor::task executor::take(steps::create_policy s) {
    auto* client = around_.remotes.cloudflare(s.account);
    if (client == nullptr)
        co_return failed(lacks_client("CloudflareAccount/" + s.account));
    auto made = co_await client->create_policy(s.application, s.name, s.tokens, s.precedence);
    if (made.has_error())
        co_return failed(made.error());
    outcome out;
    out.policy = std::move(made.value());
    co_return out;
}

executor::task executor::take(steps::edit_policy s) {
    auto* client = around_.remotes.cloudflare(s.account);
    if (client == nullptr)
        co_return failed(lacks_client("CloudflareAccount/" + s.account));
    provider::cloudflare::policy_edit edit{s.application,       s.policy, s.reusable, s.version,
                                           s.make_non_identity, s.add,    s.remove};
    auto edited = co_await client->edit_policy(std::move(edit));
    if (edited.has_error())
        co_return failed(edited.error());
    outcome out;
    out.policy = std::move(edited.value());
    co_return out;
}

executor::task executor::take(steps::delete_policy s) {
    auto* client = around_.remotes.cloudflare(s.account);
    if (client == nullptr)
        co_return failed(lacks_client("CloudflareAccount/" + s.account));
    auto deleted = co_await client->delete_policy(s.application, s.policy, s.version);
    co_return deleted.has_error() ? failed(deleted.error()) : outcome{};
}

namespace {

// Whether the remote surely did nothing.
bool was_not_acted_on(const error& why) {
    const auto kind = why.kind;
    return why.code == fenced_code || kind == error_kind::unavailable || kind == error_kind::throttled ||
           kind == error_kind::refused || kind == error_kind::credential;
}

} // namespace

// Sends what makes a credential of `token` under this nonce. The nonce counts as sent before the request goes out, and
// as unsent again only where the remote surely did nothing.
template<class Send>
executor::task executor::make_credential(std::string token, std::string nonce, instant deadline, Send send) {
    const auto& tokens = around_.wanted.tokens;
    auto spec = std::find_if(tokens.begin(), tokens.end(), [&](const auto& t) { return t.name == token; });
    if (around_.clock.now() >= deadline)
        co_return failed(moved("mint " + token, "its deadline has passed: another process may have taken over"));
    if (spec == tokens.end() || world_.unsent.erase(nonce) == 0)
        co_return failed(moved("mint " + token, "its request may have been sent already"));
    auto sent = send();
    auto made = co_await std::move(sent);
    if (made.has_error()) {
        if (was_not_acted_on(made.error()))
            world_.unsent.insert(nonce);
        co_return failed(made.error());
    }
    outcome out;
    out.token = std::move(made.value().token);
    auto text = credential_text(out.token->client_id, made.value().client_secret);
    out.fingerprint = around_.ring.keep(spec->vault, std::move(text));
    co_return out;
}

executor::task executor::take(steps::mint s) {
    auto* client = around_.remotes.cloudflare(s.account);
    if (client == nullptr)
        co_return failed(lacks_client("CloudflareAccount/" + s.account));
    auto send = [client, &s] { return client->create_token(s.name, s.duration); };
    auto made = make_credential(s.token, s.nonce, s.deadline, send);
    co_return co_await std::move(made);
}

executor::task executor::take(steps::rotate s) {
    auto* client = around_.remotes.cloudflare(s.account);
    if (client == nullptr)
        co_return failed(lacks_client("CloudflareAccount/" + s.account));
    auto send = [client, &s] { return client->rotate_token(s.token_id, s.cut_off); };
    auto made = make_credential(s.token, s.nonce, s.deadline, send);
    co_return co_await std::move(made);
}

executor::task executor::take(steps::update_token s) {
    auto* client = around_.remotes.cloudflare(s.account);
    if (client == nullptr)
        co_return failed(lacks_client("CloudflareAccount/" + s.account));
    provider::cloudflare::token_changes changes{s.name, s.duration, s.enabled, s.previous_expires_at};
    auto updated = co_await client->update_token(s.token_id, std::move(changes));
    if (updated.has_error())
        co_return failed(updated.error());
    outcome out;
    out.token = std::move(updated.value());
    co_return out;
}

executor::task executor::take(steps::delete_token s) {
    auto* client = around_.remotes.cloudflare(s.account);
    if (client == nullptr)
        co_return failed(lacks_client("CloudflareAccount/" + s.account));
    auto deleted = co_await client->delete_token(s.token_id);
    co_return deleted.has_error() ? failed(deleted.error()) : outcome{};
}

executor::task executor::take(steps::look_token s) {
    auto* client = around_.remotes.cloudflare(s.account);
    if (client == nullptr)
        co_return failed(lacks_client("CloudflareAccount/" + s.account));
    auto found = co_await client->get_token(s.token_id);
    if (found.has_error())
        co_return failed(found.error());
    outcome out;
    out.absent = !found.value().has_value();
    out.token = std::move(found.value());
    co_return out;
}

} // namespace postern::run
