#pragma once

#include "base/error.hpp"
#include "base/secret.hpp"
#include "net/clock.hpp"
#include "net/transport.hpp"

#include <boost/asio/awaitable.hpp>

#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

// One environment of one Infisical project. Logs in by itself and again on token errors only; speaks raw v3 and falls
// back to v4 where a route is missing; never asks for references to be expanded. A write that the server answers with
// `approval` has stored nothing and says so.
namespace postern::provider {

class infisical {
public:
    struct universal_login {
        secret client_id;
        secret client_secret;
    };
    struct token_login {
        secret token;
    };
    using login = std::variant<universal_login, token_login>;

    struct place {
        std::string url; // no trailing slash; may carry a base path
        std::string project_id;
        std::string project_slug; // used where project_id is empty
        std::string environment;
    };

    infisical(net::transport& transport, net::clock& clock, place where, login with);
    ~infisical();
    infisical(infisical&&) noexcept;

    // Keys that were read again: used at the next login; a token, from the next call on.
    void use(login with);

    struct entry {
        std::string key;
        secret value;
        int version = 0;
        bool hidden = false; // the value is a placeholder, and is left empty here
    };
    // Every row of the folder: a key that stands twice comes twice. A folder that is missing is an empty list.
    boost::asio::awaitable<result<std::vector<entry>>> list(std::string path);
    // Whether the folder exists, by listing its parent.
    boost::asio::awaitable<result<bool>> folder_exists(std::string path);
    // Creates it with its parents; an existing one is fine.
    boost::asio::awaitable<result<void>> create_folder(std::string path);

    // Nothing: no such key.
    boost::asio::awaitable<result<std::optional<entry>>> read(std::string path, std::string key);

    enum class written { stored, awaiting_approval };
    // `conflict` where the key exists.
    boost::asio::awaitable<result<written>> create(std::string path, std::string key, secret value,
                                                   std::string comment);
    // A new version each time: compare right before, for this is sent within seconds or not at all (`throttled`).
    // `conflict` where the key is missing.
    boost::asio::awaitable<result<written>> update(std::string path, std::string key, secret value);
    // Sent like an update. A key that is gone already counts as deleted.
    boost::asio::awaitable<result<written>> remove(std::string path, std::string key);

    // The server's clock minus ours, from the newest Date header.
    std::optional<duration> skew() const;

private:
    struct session;
    std::unique_ptr<session> session_;
};

// The value as the server will store it: white space is trimmed at both ends, and where the last character was a
// newline, one newline is kept.
secret as_stored(std::string_view value);

} // namespace postern::provider
