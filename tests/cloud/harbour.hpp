#pragma once

#include "cloud/cloud.hpp"
#include "cloud/control.hpp"
#include "cloud/server.hpp"
#include "cloud/tls.hpp"

#include <boost/asio/io_context.hpp>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

// A cloud on loopback: one listener per service, each an origin of its own, and the control origin, which is plain HTTP
// always. Destroying it closes every connection once the io_context runs on.
namespace postern::testcloud {

struct harbour_options {
    bool tls = false;
    std::uint16_t first_port = 0; // 0: free ones; else cloudflare, infisical, heroku, edge, control in that order
};

class harbour {
public:
    harbour(boost::asio::io_context& io, cloud& what, harbour_options options = {});

    // "http://127.0.0.1:8080", or https; the base URL of Cloudflare ends in /client/v4.
    std::string origin(service of) const;
    std::string cloudflare_url() const { return origin(service::cloudflare) + "/client/v4"; }
    // The root certificate that clients must trust; empty without TLS.
    std::string root_pem() const { return authority_ ? authority_->root_pem() : std::string{}; }
    // What the program prints first: origins, ids and credentials of the example. Secret.
    json::object first_line() const;
    void stop();

private:
    cloud& cloud_;
    control control_;
    std::unique_ptr<authority> authority_;
    std::vector<std::unique_ptr<server>> servers_;
};

} // namespace postern::testcloud
