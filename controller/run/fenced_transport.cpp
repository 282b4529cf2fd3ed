#include "run/fenced_transport.hpp"

#include <string>
#include <utility>

namespace postern::run {

boost::asio::awaitable<result<net::response>> fenced_transport::send(net::request r) {
    const bool harmless = r.verb == net::method::get || r.login;
    if (!harmless && may_write_ && !may_write_())
        co_return error{error_kind::cancelled,    r.what, "nothing was sent: another controller may lead by now", 0,
                        std::string{fenced_code}, {}};
    auto exchange = inner_.send(std::move(r));
    co_return co_await std::move(exchange);
}

} // namespace postern::run
