#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

#include <exception>
#include <optional>
#include <utility>

namespace postern::cli {

// Runs one job to its end on a loop of its own, for verbs that do a single thing.
template<class T>
T wait_for(boost::asio::awaitable<T> job) {
    boost::asio::io_context io{1};
    std::optional<T> out;
    std::exception_ptr thrown;
    boost::asio::co_spawn(io, std::move(job), [&](std::exception_ptr e, T value) {
        thrown = std::move(e);
        out.emplace(std::move(value));
    });
    io.run();
    if (thrown)
        std::rethrow_exception(thrown);
    return std::move(out.value());
}

} // namespace postern::cli
