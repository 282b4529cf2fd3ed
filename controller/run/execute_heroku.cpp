#include "base/text.hpp"
#include "run/execute.hpp"

#include <algorithm>
#include <utility>

namespace postern::run {

namespace asio = boost::asio;
using domain::outcome;
using domain::release_view;
namespace steps = domain::steps;

namespace {

constexpr int releases_looked_at = 10;
constexpr duration first_poll = std::chrono::seconds{1};
constexpr duration longest_poll = std::chrono::seconds{30};

// The release that our PATCH made: the newest above `after` whose description names our variables, or, where none does,
// the newest there is.
const release_view* ours_among(const std::vector<release_view>& releases, int after,
                               const std::vector<std::string>& vars) {
    const release_view* newest = nullptr;
    for (const auto& release : releases) {
        if (release.version <= after)
            continue;
        if (release.is_of_any(vars))
            return &release;
        if (newest == nullptr)
            newest = &release;
    }
    return newest;
}

int newest_of(const std::vector<release_view>& releases) {
    return releases.empty() ? 0 : releases.front().version;
}

release_finder pending_of(std::vector<std::string> vars) {
    return [vars = std::move(vars)](const auto& all) { return domain::pending_release(all, vars); };
}

error release_failed(const std::string& app, const release_view& release) {
    return {error_kind::refused,
            "heroku app " + app,
            "release v" + std::to_string(release.version) +
                " failed: the app still runs with the old value; its release phase has to be mended",
            0,
            "release_failed",
            {}};
}

// The PATCH was accepted: whatever is not known of it now is found by looking, never by sending it again.
error once_accepted(error why) {
    if (why.kind != error_kind::refused && why.kind != error_kind::cancelled)
        why.kind = error_kind::ambiguous;
    return why;
}

} // namespace

std::string executor::vault_of(const std::string& binding) const {
    for (const auto& b : around_.wanted.heroku_bindings) {
        if (b.name != binding)
            continue;
        for (const auto& token : around_.wanted.tokens) {
            if (token.name == b.token)
                return token.vault;
        }
    }
    const auto left = domain::token_of_left_name(binding);
    for (const auto& token : around_.wanted.tokens) {
        if (token.name == left)
            return token.vault;
    }
    for (const auto& [name, vault] : world_.vaults) {
        if (vault && vault->state && vault->state->records.contains(left))
            return name;
    }
    return {};
}

variables executor::variables_of(const std::string& binding) const {
    for (const auto& b : around_.wanted.heroku_bindings) {
        if (b.name == binding)
            return {b.config_var, b.client_id_var, b.client_secret_var};
    }
    return {};
}

asio::awaitable<result<std::vector<release_view>>> executor::await_releases(provider::heroku* client, std::string app,
                                                                            release_finder running) {
    const net::onward_clock clock{around_.clock};
    duration pause = first_poll;
    for (;;) {
        auto releases = co_await client->releases(app, releases_looked_at);
        if (releases.has_error())
            co_return releases.error();
        const auto* pending = running(releases.value());
        if (pending == nullptr)
            co_return releases;
        const auto now = clock.now();
        const std::string what = "release v" + std::to_string(pending->version) + " is still pending";
        if (halt_.asked())
            co_return error{error_kind::cancelled, "heroku app " + app, what, 0, {}, {}};
        if (now >= give_up_)
            co_return error{error_kind::timeout, "heroku app " + app, what, 0, {}, {}};
        auto sleep = halt_.sleep_for(around_.clock, std::min(pause, give_up_ - now));
        co_await std::move(sleep);
        pause = std::min(pause * 2, longest_poll);
    }
}

executor::task executor::value_now(provider::heroku* client, std::string app, variables which, std::string vault) {
    auto vars = co_await client->config_vars(app);
    if (vars.has_error())
        co_return failed(vars.error());
    outcome out;
    out.value = view_of_app(vars.value(), which, vault, around_.ring);
    co_return out;
}

executor::task executor::take(steps::look_releases s) {
    auto* client = around_.remotes.heroku(s.account);
    if (client == nullptr)
        co_return failed(lacks_client("HerokuAccount/" + s.account));
    auto releases = co_await client->releases(s.app, releases_looked_at);
    if (releases.has_error())
        co_return failed(releases.error());
    outcome out;
    out.releases = std::move(releases.value());
    co_return out;
}

executor::task executor::take(steps::await_release s) {
    auto* client = around_.remotes.heroku(s.account);
    if (client == nullptr)
        co_return failed(lacks_client("HerokuAccount/" + s.account));
    auto which = variables_of(s.binding);
    auto waiting = await_releases(client, s.app, pending_of(which.names()));
    auto releases = co_await std::move(waiting);
    if (releases.has_error())
        co_return failed(releases.error());
    auto out = co_await value_now(client, s.app, which, vault_of(s.binding));
    if (!out.failure)
        out.releases = std::move(releases.value());
    co_return out;
}

executor::task executor::take(steps::deliver s) {
    const std::string where = "heroku app " + s.app;
    auto* client = around_.remotes.heroku(s.account);
    if (client == nullptr)
        co_return failed(lacks_client("HerokuAccount/" + s.account));
    const secret* known = s.fingerprint.empty() ? nullptr : around_.ring.find(s.fingerprint);
    if (known == nullptr && !s.fingerprint.empty())
        co_return failed(lacks_secret(where, s.fingerprint));
    const variables which{s.config_var, s.client_id_var, s.client_secret_var};
    auto changes = which.set_to(known);

    const auto vault = vault_of(s.binding);
    auto releases = co_await client->releases(s.app, releases_looked_at);
    if (releases.has_error())
        co_return failed(releases.error());
    auto seen = co_await value_now(client, s.app, which, vault);
    if (seen.failure || seen.value->fingerprint == s.fingerprint)
        co_return seen;
    if (seen.value->fingerprint != s.before)
        co_return failed(moved(where, "its variables changed since they were judged"));
    if (domain::pending_release(releases.value(), which.names()) != nullptr) {
        auto waiting = await_releases(client, s.app, pending_of(which.names()));
        auto ended = co_await std::move(waiting);
        if (ended.has_error())
            co_return failed(ended.error());
        co_return failed(moved(where, "a release of these variables came to its end only now"));
    }
    auto newest = co_await client->releases(s.app, 1, true);
    if (newest.has_error())
        co_return failed(newest.error());
    const int before = newest_of(releases.value());
    if (newest_of(newest.value()) != before)
        co_return failed(moved(where, "it was released while its variables were compared"));
    auto patched = co_await client->patch_config_vars(s.app, std::move(changes));
    if (patched.has_error())
        co_return failed(patched.error());
    auto ours = [before, vars = which.names()](const auto& all) { return ours_among(all, before, vars); };
    release_finder running = [ours](const auto& all) {
        const auto* made = ours(all);
        return made != nullptr && made->status == "pending" ? made : nullptr;
    };
    auto waiting = await_releases(client, s.app, std::move(running));
    auto ended = co_await std::move(waiting);
    if (ended.has_error())
        co_return failed(once_accepted(ended.error()));
    if (const auto* made = ours(ended.value()); made != nullptr && made->status == "failed")
        co_return failed(release_failed(s.app, *made));
    auto out = co_await value_now(client, s.app, which, vault);
    if (out.failure)
        co_return failed(once_accepted(*out.failure));
    if (out.value->fingerprint != s.fingerprint)
        co_return failed(moved(where, "the release is through, but the app holds another value"));
    out.released = true;
    co_return out;
}

} // namespace postern::run
