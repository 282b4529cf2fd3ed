#pragma once

#include <boost/asio/ssl/context.hpp>

#include <map>
#include <memory>
#include <string>

// A certificate authority for one run. Its root goes into a file that clients are told to trust; certificates are made
// on the fly for whatever name a client asks for by SNI, and one for localhost and 127.0.0.1 serves those that ask for
// none. Keys never leave memory.
namespace postern::testcloud {

class authority {
public:
    authority();
    ~authority();
    authority(const authority&) = delete;
    authority& operator=(const authority&) = delete;

    // The root certificate, PEM.
    const std::string& root_pem() const { return root_pem_; }
    // What a server accepts TLS with. Lives as long as the authority.
    boost::asio::ssl::context& context() { return *fallback_; }

private:
    struct keys;
    std::shared_ptr<boost::asio::ssl::context> issue(const std::string& host);
    static int choose(SSL* ssl, int* alert, void* self);

    std::unique_ptr<keys> keys_;
    std::string root_pem_;
    std::shared_ptr<boost::asio::ssl::context> fallback_;
    std::map<std::string, std::shared_ptr<boost::asio::ssl::context>> issued_;
};

} // namespace postern::testcloud
