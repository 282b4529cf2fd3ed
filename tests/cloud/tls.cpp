#include "cloud/tls.hpp"

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include <cstdint>
#include <stdexcept>

namespace postern::testcloud {

namespace {

template<auto Free>
struct freeing {
    template<class T>
    void operator()(T* p) const {
        Free(p);
    }
};
using key_ptr = std::unique_ptr<EVP_PKEY, freeing<EVP_PKEY_free>>;
using certificate_ptr = std::unique_ptr<X509, freeing<X509_free>>;

key_ptr new_key() {
    key_ptr key{EVP_EC_gen("P-256")};
    if (!key)
        throw std::runtime_error("no key");
    return key;
}

void name_it(X509_NAME* name, const std::string& common_name) {
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, reinterpret_cast<const unsigned char*>(common_name.c_str()),
                               -1, -1, 0);
}

void extend(X509* certificate, X509* issuer, int nid, const std::string& value) {
    X509V3_CTX context;
    X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
    X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str());
    if (extension == nullptr)
        throw std::runtime_error("bad certificate extension " + value);
    X509_add_ext(certificate, extension, -1);
    X509_EXTENSION_free(extension);
}

certificate_ptr new_certificate(EVP_PKEY* key, const std::string& common_name, X509* issuer, EVP_PKEY* issuer_key) {
    certificate_ptr made{X509_new()};
    X509_set_version(made.get(), 2);
    std::uint32_t serial = 0;
    RAND_bytes(reinterpret_cast<unsigned char*>(&serial), sizeof serial);
    ASN1_INTEGER_set_uint64(X509_get_serialNumber(made.get()), serial + std::uint64_t{1});
    X509_gmtime_adj(X509_getm_notBefore(made.get()), -86400);
    X509_gmtime_adj(X509_getm_notAfter(made.get()), 30L * 86400);
    X509_set_pubkey(made.get(), key);
    name_it(X509_get_subject_name(made.get()), common_name);
    X509_set_issuer_name(made.get(), X509_get_subject_name(issuer == nullptr ? made.get() : issuer));
    if (issuer == nullptr) {
        extend(made.get(), made.get(), NID_basic_constraints, "critical,CA:TRUE");
        extend(made.get(), made.get(), NID_key_usage, "critical,keyCertSign,cRLSign");
        extend(made.get(), made.get(), NID_subject_key_identifier, "hash");
    } else {
        const std::string names =
            common_name == "localhost" ? "DNS:localhost,IP:127.0.0.1,DNS:*.raxx.app" : "DNS:" + common_name;
        extend(made.get(), issuer, NID_basic_constraints, "critical,CA:FALSE");
        extend(made.get(), issuer, NID_subject_alt_name, names);
        extend(made.get(), issuer, NID_ext_key_usage, "serverAuth");
        extend(made.get(), issuer, NID_authority_key_identifier, "keyid");
    }
    X509_sign(made.get(), issuer_key, EVP_sha256());
    return made;
}

std::string pem_of(X509* certificate) {
    const std::unique_ptr<BIO, freeing<BIO_free_all>> out{BIO_new(BIO_s_mem())};
    PEM_write_bio_X509(out.get(), certificate);
    char* data = nullptr;
    const auto size = BIO_get_mem_data(out.get(), &data);
    return {data, static_cast<std::size_t>(size)};
}

bool plain_host(const std::string& host) {
    return !host.empty() && host.size() < 64 &&
           host.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_") ==
               std::string::npos;
}

} // namespace

struct authority::keys {
    key_ptr root_key = new_key();
    key_ptr leaf_key = new_key();
    certificate_ptr root = new_certificate(root_key.get(), "Miniature cloud test CA", nullptr, root_key.get());
};

authority::authority() : keys_(std::make_unique<keys>()), root_pem_(pem_of(keys_->root.get())) {
    fallback_ = issue("localhost");
    SSL_CTX_set_tlsext_servername_callback(fallback_->native_handle(), &authority::choose);
    SSL_CTX_set_tlsext_servername_arg(fallback_->native_handle(), this);
}

authority::~authority() = default;

std::shared_ptr<boost::asio::ssl::context> authority::issue(const std::string& host) {
    const auto leaf = new_certificate(keys_->leaf_key.get(), host, keys_->root.get(), keys_->root_key.get());
    auto context = std::make_shared<boost::asio::ssl::context>(boost::asio::ssl::context::tls_server);
    SSL_CTX_use_certificate(context->native_handle(), leaf.get());
    SSL_CTX_use_PrivateKey(context->native_handle(), keys_->leaf_key.get());
    return context;
}

int authority::choose(SSL* ssl, int*, void* self) {
    auto& us = *static_cast<authority*>(self);
    const char* asked = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    const std::string host = asked == nullptr ? "" : asked;
    if (!plain_host(host) || host == "localhost")
        return SSL_TLSEXT_ERR_OK;
    auto& context = us.issued_[host];
    if (!context)
        context = us.issue(host);
    SSL_set_SSL_CTX(ssl, context->native_handle());
    return SSL_TLSEXT_ERR_OK;
}

} // namespace postern::testcloud
