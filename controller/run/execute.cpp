#include "run/execute.hpp"

#include <algorithm>
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

// The nonce counts as sent before the request goes out, and as unsent again only where the remote surely did nothing.
executor::task executor::take(steps::mint s) {
    auto* client = around_.remotes.cloudflare(s.account);
    if (client == nullptr)
        co_return failed(lacks_client("CloudflareAccount/" + s.account));
    const auto& tokens = around_.wanted.tokens;
    auto spec = std::find_if(tokens.begin(), tokens.end(), [&](const auto& t) { return t.name == s.token; });
    if (spec == tokens.end() || world_.unsent.erase(s.nonce) == 0)
        co_return failed(moved("mint " + s.token, "its request may have been sent already"));
    auto minted = co_await client->create_token(s.name, s.duration);
    if (minted.has_error()) {
        const auto kind = minted.error().kind;
        if (kind == error_kind::unavailable || kind == error_kind::throttled || kind == error_kind::refused ||
            kind == error_kind::credential)
            world_.unsent.insert(s.nonce);
        co_return failed(minted.error());
    }
    outcome out;
    out.token = std::move(minted.value().token);
    auto text = credential_text(out.token->client_id, minted.value().client_secret);
    out.fingerprint = around_.ring.keep(spec->vault, std::move(text));
    co_return out;
}

executor::task executor::take(steps::update_token s) {
    auto* client = around_.remotes.cloudflare(s.account);
    if (client == nullptr)
        co_return failed(lacks_client("CloudflareAccount/" + s.account));
    provider::cloudflare::token_changes changes{s.name, s.duration, s.enabled};
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
