#pragma once

#include "domain/observed.hpp"
#include "net/clock.hpp"
#include "net/stop.hpp"
#include "net/transport.hpp"
#include "provider/key_trust.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/json/fwd.hpp>

#include <optional>
#include <string>
#include <vector>

// Cloudflare Access of one account, over its v4 API. Lists are read to their end; every error names the call, the
// object, the HTTP status, Cloudflare's own code and message and the cf-ray; unknown fields are kept verbatim in what
// is written back. No decisions: an edit says exactly what to change. Where there is a clock, a refusal of the key
// is believed only after several in a row, and a key that is dead is left alone for a while.
namespace postern::provider {

class cloudflare {
public:
    // `api_url` without a trailing slash. The transport, the clock that skew() is measured against (the system's where
    // none is given), and the wish to stop, which ends a wait to ask again, outlive this object.
    cloudflare(net::transport& transport, const std::string& api_url, const std::string& account_id, secret api_token,
               net::clock* clock = nullptr, net::stop* halt = nullptr);

    // A key that was read again: used from the next call on.
    void use(secret api_token);

    struct token_status {
        std::string status; // active, disabled, expired
        std::optional<instant> expires_on;
    };
    // Asks the account's verify route, then the user's: an account-owned token is unknown to the latter.
    boost::asio::awaitable<result<token_status>> verify();

    boost::asio::awaitable<result<std::vector<domain::live_token>>> list_tokens();
    // All applications, of every type, with their policies inlined. A policy whose kind the answer does not tell is
    // marked reusable where it stands in the list of reusable ones.
    boost::asio::awaitable<result<std::vector<domain::live_application>>> list_applications();
    boost::asio::awaitable<result<std::vector<domain::live_group>>> list_groups();
    // Whether strict_service_token_auth is on; an account that may not read this says no without an error.
    boost::asio::awaitable<result<bool>> strict();

    // Nothing: the token's own GET answered 404.
    boost::asio::awaitable<result<std::optional<domain::live_token>>> get_token(std::string id);

    struct minted {
        domain::live_token token;
        secret client_secret;
    };
    // Not safe to repeat: a lost reply is `ambiguous`.
    boost::asio::awaitable<result<minted>> create_token(std::string name, std::string duration);

    // A new secret of the token. The one before works until `previous_ends`, by Cloudflare's clock. Not safe to repeat:
    // a lost reply is `ambiguous`.
    boost::asio::awaitable<result<minted>> rotate_token(std::string id, instant previous_ends);

    struct token_changes {
        std::optional<std::string> name;
        std::optional<std::string> duration;
        std::optional<bool> enabled;
        std::optional<instant> previous_secret_ends; // may be past: it ends now
    };
    // `refused` where the answer shows another value than was asked for.
    boost::asio::awaitable<result<domain::live_token>> update_token(std::string id, token_changes changes);
    // A token that is gone already counts as deleted. Code 12139 in the error: something still references it.
    boost::asio::awaitable<result<void>> delete_token(std::string id);

    // App-scoped, non_identity, including these tokens, at this precedence.
    boost::asio::awaitable<result<domain::live_policy>> create_policy(std::string application, std::string name,
                                                                      std::vector<std::string> tokens, int precedence);

    struct policy_edit {
        std::string application;
        std::string policy;
        bool reusable = false; // decides the endpoint
        std::string version;   // as judged; a policy that moved since is a `conflict`, and nothing is written
        bool make_non_identity = false;
        std::vector<std::string> add;    // token ids, appended to include
        std::vector<std::string> remove; // token ids, every occurrence, taken out before `add` is appended
    };
    // GET, compare, PUT with every other field echoed as it was read. The precedence of a reusable policy belongs to
    // the application's link to it: it is 0 in what this returns.
    boost::asio::awaitable<result<domain::live_policy>> edit_policy(policy_edit edit);
    // GET, compare, DELETE of an app-scoped policy; gone already counts as deleted.
    boost::asio::awaitable<result<void>> delete_policy(std::string application, std::string policy,
                                                       std::string version);

    // Cloudflare's clock minus ours, from the newest Date header; nothing before the first answer.
    std::optional<duration> skew() const;

private:
    struct call;

    // The answer's envelope, once it says success.
    boost::asio::awaitable<result<boost::json::value>> exchange(call c);
    // The same, asked once.
    boost::asio::awaitable<result<boost::json::value>> ask(const call* c, instant start_by);
    instant now() const;
    // All items of a list.
    boost::asio::awaitable<result<boost::json::array>> pages(call first);
    // The object behind a GET; nothing where that answered 404.
    boost::asio::awaitable<result<std::optional<boost::json::value>>> look(call c);
    std::string policy_path(const std::string& application, const std::string& policy, bool reusable) const;

    net::transport& transport_;
    net::clock* clock_;
    net::stop* halt_;
    key_trust trust_;
    std::string origin_;
    std::string api_path_;
    std::string prefix_; // path of the API and the account
    secret api_token_;
    std::optional<duration> skew_;
};

} // namespace postern::provider
