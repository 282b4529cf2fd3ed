#pragma once

#include "base/error.hpp"
#include "base/secret.hpp"
#include "domain/observed.hpp"
#include "net/clock.hpp"
#include "net/transport.hpp"
#include "provider/key_trust.hpp"

#include <boost/asio/awaitable.hpp>

#include <map>
#include <optional>
#include <string>
#include <vector>

// Heroku's Platform API v3, as far as config vars go. Every accepted PATCH is a release and restarts the app, equal
// values or not: callers compare first.
namespace postern::provider {

class heroku {
public:
    // With a clock, a key that is dead is left alone for a while. Transport and clock outlive this object.
    heroku(net::transport& transport, const std::string& api_url, secret api_key, net::clock* clock = nullptr);

    void use(secret api_key);

    // All config vars of the app; one that holds null is left out.
    boost::asio::awaitable<result<std::map<std::string, secret>>> config_vars(std::string app);
    // Sets these, unsets where there is no value, touches no other. Not safe to repeat, and sent within seconds or not
    // at all (`throttled`): compare right before. Returns all vars as the app then says; with a release phase these are
    // still the old ones, and `warning` has the remote's words.
    struct patched {
        std::map<std::string, secret> vars;
        std::string warning;
    };
    boost::asio::awaitable<result<patched>> patch_config_vars(std::string app,
                                                              std::map<std::string, std::optional<secret>> vars);
    // Newest first, at most `most`. `compared`: as the PATCH that follows, it is sent within seconds or not at all.
    boost::asio::awaitable<result<std::vector<domain::release_view>>> releases(std::string app, int most,
                                                                               bool compared = false);

private:
    struct call;
    struct answer;
    boost::asio::awaitable<result<answer>> exchange(call c);

    net::transport& transport_;
    std::string origin_;
    std::string prefix_;
    secret api_key_;
    net::clock* clock_;
    key_trust trust_;
};

} // namespace postern::provider
