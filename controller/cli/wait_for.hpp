#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

#include <exception>
#include <optional>
#include <utility>

namespace postern::cli {

// Runs one job to its end on this loop, for verbs that do a single thing.
template<class T>
T wait_for(boost::asio::io_context& io, boost::asio::awaitable<T> job) {
    std::optional<T> out;
    std::exception_ptr thrown;
    boost::asio::co_spawn(io, std::move(job), [&](std::exception_ptr e, T value) {
        thrown = std::move(e);
        out.emplace(std::move(value));
        io.stop(); // a look-up of a name may still be under way
    });
    io.run();
    if (thrown)
        std::rethrow_exception(thrown);
    return std::move(out.value());
}

// The same on a loop of its own.
template<class T>
T wait_for(boost::asio::awaitable<T> job) {
    boost::asio::io_context io{1};
    return wait_for(io, std::move(job));
}

} // namespace postern::cli
