#pragma once

#include "net/http.hpp"

#include <boost/asio/awaitable.hpp>

// How a request becomes a response. Everything that talks to the outside does it through this interface; tests script
// it. An answer with any HTTP status is a success here: what a status means is the provider's to say. Failures:
// `unavailable` (refused, unreachable, DNS, TLS: `what` names which), `timeout`, `cancelled`; `throttled` where the
// request was held back, unsent; `refused` where the peer's certificate is not trusted; `ambiguous` where the request
// was not safe to repeat and may have been acted on. So of such a one `unavailable` says that nothing was sent, and it
// never ends as `timeout`.
namespace postern::net {

class transport {
public:
    virtual ~transport() = default;
    virtual boost::asio::awaitable<result<response>> send(request r) = 0;
};

} // namespace postern::net
