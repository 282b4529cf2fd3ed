#include "run/logged_transport.hpp"

#include <utility>

namespace postern::run {

boost::asio::awaitable<result<net::response>> logged_transport::send(net::request r) {
    if (!to_.shows(level::debug)) {
        auto plain = inner_.send(std::move(r));
        co_return co_await std::move(plain);
    }
    const std::string verb{net::to_string(r.verb)};
    const std::string origin = r.origin;
    const std::string path = r.target.substr(0, r.target.find('?'));
    const auto started = clock_.now();
    auto exchange = inner_.send(std::move(r));
    auto answer = co_await std::move(exchange);
    const auto took = (clock_.now() - started).count();
    if (answer.has_value())
        to_.debug(
            "http",
            {{"method", verb}, {"origin", origin}, {"path", path}, {"status", answer.value().status}, {"ms", took}});
    else
        to_.debug("http", {{"method", verb},
                           {"origin", origin},
                           {"path", path},
                           {"failed", to_string(answer.error().kind)},
                           {"what", answer.error().what},
                           {"ms", took}});
    co_return answer;
}

} // namespace postern::run
