#pragma once

#include <boost/asio/awaitable.hpp>

#include <cstddef>
#include <vector>

// Structured concurrency in one line: all of these jobs, so many at a time, and back when the last is done. A job that
// throws ends the others' turn to start, and its exception comes out here once those under way are done.
namespace postern::run {

boost::asio::awaitable<void> together(std::vector<boost::asio::awaitable<void>> jobs, std::size_t at_once);

} // namespace postern::run
