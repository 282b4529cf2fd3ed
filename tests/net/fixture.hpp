#pragma once

#include "net/https_transport.hpp"
#include "support/certificates.hpp"
#include "support/harness.hpp"
#include "support/loopback_server.hpp"

#include <boost/asio/io_context.hpp>

#include <cstdlib>
#include <filesystem>
#include <iterator>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

// What the tests over real sockets share: one thread with a test authority that the transport believes.
namespace postern::testing {

inline net::request get(const std::string& origin, std::string target = "/") {
    net::request r;
    r.origin = origin;
    r.target = std::move(target);
    r.repeatable = net::repeat::safe;
    r.what = "test GET";
    return r;
}

inline net::request post(const std::string& origin, std::string_view body = "{}") {
    net::request r;
    r.verb = net::method::post;
    r.origin = origin;
    r.target = "/";
    r.body = secret{body};
    r.what = "test POST";
    return r;
}

inline bool says(const error& e, std::string_view words) {
    return e.message().find(words) != std::string::npos;
}

// What this process has open.
inline std::size_t open_descriptors() {
    const std::filesystem::directory_iterator all{"/proc/self/fd"};
    return static_cast<std::size_t>(std::distance(all, std::filesystem::directory_iterator{}));
}

inline const test_authority& authority() {
    static const test_authority the;
    return the;
}

inline const temporary_file& anchors() {
    static const temporary_file the{authority().certificate()};
    return the;
}

inline const identity& loopback_identity() {
    static const identity the = authority().issue({{"127.0.0.1", "localhost"}});
    return the;
}

// The system's own anchors take long to read and are nobody's business here.
inline const int without_system_anchors = setenv("SSL_CERT_FILE", "/dev/null", 1);

struct outside {
    boost::asio::io_context io{1};
    net::https_settings settings;
    std::unique_ptr<net::transport> out;

    outside() { settings.ca_file = anchors().path(); }

    net::transport& transport() {
        if (!out)
            out = net::make_https_transport(io.get_executor(), settings);
        return *out;
    }

    result<net::response> send(net::request r) { return run(io, transport().send(std::move(r))); }
};

} // namespace postern::testing
