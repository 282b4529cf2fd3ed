#pragma once

#include "base/error.hpp"

#include <boost/asio/ssl/context.hpp>

#include <memory>
#include <optional>
#include <string>

// Whom TLS believes, and what a certificate that it does not believe is blamed for.
namespace postern::net {

// The system's trust anchors, and those of `ca_file` (PEM) beside them. TLS 1.2 at least. An error of kind spec where
// that file cannot be used.
result<std::shared_ptr<boost::asio::ssl::context>> trust(const std::optional<std::string>& ca_file);

// Sends `host` as SNI and accepts only a certificate for it: by name, or by address where `host` is one.
void expect_host(SSL* session, const std::string& host);

// What is wrong with the certificate under the verifier's eyes, in words and with the likely cure.
std::string blame(X509_STORE_CTX* verifier, const std::string& host);

} // namespace postern::net
