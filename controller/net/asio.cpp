// Asio and Beast, compiled once: everything else only declares them (see the definitions in cmake/floor.cmake).
#include <boost/asio/impl/src.hpp>
#include <boost/asio/ssl/impl/src.hpp>
#include <boost/beast/src.hpp>
