// Asio and Beast, compiled once. The miniature cloud depends on no floor above base, so it cannot share net's copy;
// both hold the same symbols in one object file each, and a program that links both takes whichever comes first.
#include <boost/asio/impl/src.hpp>
#include <boost/asio/ssl/impl/src.hpp>
#include <boost/beast/src.hpp>
