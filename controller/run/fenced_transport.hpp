#pragma once

#include "net/transport.hpp"

#include <functional>
#include <string_view>
#include <utility>

// The fence around what may change something. It stands where no request waits any more, so that one which was held
// back by a budget or sent a second time is judged as it goes out, not as it was wished for. GETs and logins pass.
namespace postern::run {

// The code of the error (`cancelled`) that a request comes back with: it was surely not sent.
inline constexpr std::string_view fenced_code = "fenced";

class fenced_transport final : public net::transport {
public:
    // `inner` outlives this object. Without `may_write` everything passes.
    fenced_transport(net::transport& inner, std::function<bool()> may_write)
        : inner_(inner), may_write_(std::move(may_write)) {}

    boost::asio::awaitable<result<net::response>> send(net::request r) override;

private:
    net::transport& inner_;
    std::function<bool()> may_write_;
};

} // namespace postern::run
