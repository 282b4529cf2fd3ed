#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

#include <exception>
#include <optional>
#include <stdexcept>
#include <utility>

// Runs one coroutine of a test to its end.
namespace postern::testing {

// Runs `io` until `job` has ended, and gives what it returned; whatever else runs there (servers) stays for the next
// job. An exception comes out here.
template<class T>
T run(boost::asio::io_context& io, boost::asio::awaitable<T> job) {
    std::optional<T> out;
    std::exception_ptr thrown;
    auto ended = [&](std::exception_ptr e, T value) {
        thrown = e;
        out.emplace(std::move(value));
        io.stop();
    };
    boost::asio::co_spawn(io, std::move(job), ended);
    io.restart();
    io.run();
    if (thrown)
        std::rethrow_exception(thrown);
    if (!out)
        throw std::logic_error("the job waits for something that never comes");
    return std::move(*out);
}

inline void run(boost::asio::io_context& io, boost::asio::awaitable<void> job) {
    bool ended = false;
    std::exception_ptr thrown;
    auto end = [&](std::exception_ptr e) {
        ended = true;
        thrown = e;
        io.stop();
    };
    boost::asio::co_spawn(io, std::move(job), end);
    io.restart();
    io.run();
    if (thrown)
        std::rethrow_exception(thrown);
    if (!ended)
        throw std::logic_error("the job waits for something that never comes");
}

} // namespace postern::testing
