#include "net/trust.hpp"

#include "base/instant.hpp"
#include "base/text.hpp"

#include <boost/asio/ip/address.hpp>
#include <openssl/asn1.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <array>
#include <ctime>
#include <vector>

namespace postern::net {

namespace ssl = boost::asio::ssl;

namespace {

std::string written(const ASN1_TIME* time) {
    std::tm parts{};
    if (time == nullptr || ASN1_TIME_to_tm(time, &parts) != 1)
        return "an unreadable date";
    return format_instant(instant{std::chrono::seconds{timegm(&parts)}});
}

std::string common_name(X509_NAME* name) {
    std::array<char, 128> text{};
    if (name == nullptr || X509_NAME_get_text_by_NID(name, NID_commonName, text.data(), text.size()) <= 0)
        return "an unnamed authority";
    return "\"" + printable(text.data()) + "\"";
}

// The DNS names of a certificate, the first few of them.
std::string names_of(X509* certificate) {
    constexpr int most = 5;
    std::vector<std::string> out;
    auto* all = static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr));
    for (int i = 0; i < sk_GENERAL_NAME_num(all) && i <= most; ++i) {
        int type = 0;
        const auto* value = static_cast<ASN1_STRING*>(GENERAL_NAME_get0_value(sk_GENERAL_NAME_value(all, i), &type));
        if (type != GEN_DNS)
            continue;
        auto size = static_cast<std::size_t>(ASN1_STRING_length(value));
        out.push_back(i == most ? "..."
                                : printable({reinterpret_cast<const char*>(ASN1_STRING_get0_data(value)), size}));
    }
    GENERAL_NAMES_free(all);
    return out.empty() ? "no host name" : join(out, ", ");
}

} // namespace

result<std::shared_ptr<ssl::context>> trust(const std::optional<std::string>& ca_file) {
    auto out = std::make_shared<ssl::context>(ssl::context::tls_client);
    boost::system::error_code ec;
    out->set_default_verify_paths(ec);
    out->set_verify_mode(ssl::verify_peer, ec);
    auto* native = out->native_handle();
    SSL_CTX_set_min_proto_version(native, TLS1_2_VERSION);
    // OpenSSL then wipes what it decrypted once it was read.
    SSL_CTX_set_options(native, SSL_OP_CLEANSE_PLAINTEXT | SSL_OP_NO_RENEGOTIATION);
    // A file of anchors may hold an authority that is itself signed by another, or a server's own certificate.
    X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(native), X509_V_FLAG_PARTIAL_CHAIN);
    if (!ca_file)
        return out;
    out->load_verify_file(*ca_file, ec);
    if (!ec)
        return out;
    return failure(error_kind::spec, "--ca-file " + *ca_file,
                   "no trust anchors could be read (" + ec.message() +
                       "): it must be a readable PEM file of certificates");
}

void expect_host(SSL* session, const std::string& host) {
    auto* expected = SSL_get0_param(session);
    boost::system::error_code not_an_address;
    boost::asio::ip::make_address(host, not_an_address);
    if (!not_an_address) {
        X509_VERIFY_PARAM_set1_ip_asc(expected, host.c_str());
        return;
    }
    SSL_set_tlsext_host_name(session, host.c_str());
    X509_VERIFY_PARAM_set_hostflags(expected,
                                    X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
    X509_VERIFY_PARAM_set1_host(expected, host.c_str(), host.size());
}

std::string blame(X509_STORE_CTX* verifier, const std::string& host) {
    auto* certificate = X509_STORE_CTX_get_current_cert(verifier);
    auto problem = X509_STORE_CTX_get_error(verifier);
    std::string words = X509_verify_cert_error_string(problem);
    if (certificate == nullptr)
        return "the TLS certificate of " + host + " is not trusted: " + words;
    constexpr std::string_view cure = "; a private authority is made known with --ca-file";
    switch (problem) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
        return "the TLS certificate of " + host + " expired at " + written(X509_get0_notAfter(certificate)) +
               ": it must be renewed there (or this machine's clock is wrong)";
    case X509_V_ERR_CERT_NOT_YET_VALID:
        return "the TLS certificate of " + host + " is not valid before " + written(X509_get0_notBefore(certificate)) +
               ": is this machine's clock right?";
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
        return "wrong host: the TLS certificate is for " + names_of(certificate) + ", not for " + host;
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
        return "the TLS certificate of " + host + " is self-signed" + std::string{cure};
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
        return "the TLS certificate of " + host + " was signed by " + common_name(X509_get_issuer_name(certificate)) +
               ", which this machine does not trust" + std::string{cure} +
               " (and the system's own come with the package ca-certificates)";
    default:
        return "the TLS certificate of " + host + " is not trusted: " + words;
    }
}

} // namespace postern::net
