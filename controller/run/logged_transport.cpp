#include "run/logged_transport.hpp"

#include <boost/asio/this_coro.hpp>

#include <string_view>
#include <utility>

namespace postern::run {

namespace {

struct exchange {
    std::string verb;
    std::string origin;
    std::string path;
};

void tell(log& to, const exchange& what, const result<net::response>& answer, duration took) {
    if (answer.has_value())
        to.debug("http", {{"method", what.verb},
                          {"origin", what.origin},
                          {"path", what.path},
                          {"status", answer.value().status},
                          {"ms", took.count()}});
    else
        to.debug("http", {{"method", what.verb},
                          {"origin", what.origin},
                          {"path", what.path},
                          {"failed", to_string(answer.error().kind)},
                          {"what", answer.error().what},
                          {"ms", took.count()}});
}

// Cloudflare's, Heroku's, and what Infisical's proxies add.
std::string_view id_of(const net::response& r) {
    for (std::string_view name : {"cf-ray", "request-id", "x-request-id"}) {
        if (auto id = r.header(name); !id.empty())
            return id;
    }
    return {};
}

} // namespace

boost::asio::awaitable<result<net::response>> logged_transport::send(net::request r) {
    const bool shown = shared_.diagnostics.shows(level::debug);
    exchange what;
    if (shown)
        what = {std::string{net::to_string(r.verb)}, r.origin, r.target.substr(0, r.target.find('?'))};
    const auto work = co_await boost::asio::this_coro::executor;
    const auto started = shared_.clock.now();
    auto sent = shared_.wire.send(std::move(r));
    auto answer = co_await std::move(sent);
    if (shown)
        tell(shared_.diagnostics, what, answer, shared_.clock.now() - started);
    if (shared_.on_response)
        shared_.on_response(provider_, answer.has_value() ? answer.value().status : 0);
    if (answer.has_value())
        trail_.note(work, id_of(answer.value()));
    co_return answer;
}

} // namespace postern::run
