#pragma once

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>

// How an operation is awaited whose failure is an answer, not an exception: it gives the error code and the result.
namespace postern::net {

inline constexpr auto outcome = boost::asio::as_tuple(boost::asio::use_awaitable);

} // namespace postern::net
