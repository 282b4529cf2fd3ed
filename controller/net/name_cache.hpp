#pragma once

#include "base/instant.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

// Host names to addresses, within a deadline. A lookup that runs cannot be cancelled: whoever waits for it leaves at
// the deadline, and it finishes by itself for the next one who asks. Answers are kept for a minute, and used beyond
// that where asking again fails: a wrong address does no harm, since TLS says who is there. A lookup under way keeps
// its io_context running, for as long as the resolver takes to give up (RES_OPTIONS says how long).
namespace postern::net {

using addresses = std::vector<boost::asio::ip::address>;

// Calls `done` later, on the thread of the executor that it was made with.
using lookup = std::function<void(std::string host, std::function<void(boost::system::error_code, addresses)> done)>;

lookup system_lookup(boost::asio::any_io_executor executor);

class name_cache {
public:
    explicit name_cache(lookup ask, duration keep = std::chrono::minutes{1});

    struct answer {
        boost::system::error_code ec; // timed_out and operation_aborted are the waiter's own
        addresses found;
    };

    // An address written in digits is its own answer.
    boost::asio::awaitable<answer> find(std::string host, std::chrono::steady_clock::time_point deadline);

    // This one worked: it comes first from now on, so that one that swallows packets costs its time but once.
    void prefer(const std::string& host, const boost::asio::ip::address& address);

    // None of the addresses worked: ask again next time.
    void forget(const std::string& host);

private:
    struct state;
    std::shared_ptr<state> state_;
};

} // namespace postern::net
