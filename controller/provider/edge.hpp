#pragma once

#include "base/error.hpp"
#include "base/secret.hpp"
#include "domain/observed.hpp"
#include "net/transport.hpp"

#include <boost/asio/awaitable.hpp>

#include <optional>
#include <string>

// One GET at a protected host, with or without a service token, and what its answer means. No cookies, no redirects: a
// cookie jar would let a dead secret pass.
namespace postern::provider {

struct knock {
    std::string host;
    std::string path = "/";
    int expect_status = 200;
    std::optional<std::string> connect_to; // --connect-to
    std::string aud;                       // of the application that should answer, where known
};

struct answer {
    domain::verdict is = domain::verdict::unreachable;
    int status = 0;
    std::string detail; // status, cf-ray, what the login redirect's meta says, the likely cure; never a secret
    std::string aud;    // of the application that answered by a login redirect
};

// As a stranger. `is` is login_redirect, unauthorized or forbidden where Access refused, public_path where the origin
// answered, not_access where something else refused, another Access application too; firewall, origin_error,
// unreachable as they are.
boost::asio::awaitable<answer> knock_as_stranger(net::transport& transport, knock at);

// With a credential of the form "client_id:client_secret". An origin's own 302, 401 or 403 counts as an answer of
// the origin: passed where it is the expected status, else unexpected.
boost::asio::awaitable<answer> knock_with(net::transport& transport, knock at, secret credential);

} // namespace postern::provider
