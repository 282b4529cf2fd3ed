#include "support/certificates.hpp"

#include "base/secret.hpp"

#include <boost/asio/ip/address.hpp>
#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <fstream>
#include <stdexcept>

namespace postern::testing {

namespace {

struct freed {
    void operator()(EVP_PKEY* p) const { EVP_PKEY_free(p); }
    void operator()(X509* p) const { X509_free(p); }
    void operator()(BIO* p) const { BIO_free_all(p); }
    void operator()(X509_EXTENSION* p) const { X509_EXTENSION_free(p); }
};
using key_pointer = std::unique_ptr<EVP_PKEY, freed>;
using certificate_pointer = std::unique_ptr<X509, freed>;
using bio_pointer = std::unique_ptr<BIO, freed>;

void require(bool ok) {
    if (!ok)
        throw std::runtime_error("OpenSSL would not make a test certificate");
}

std::string text_of(BIO* memory) {
    char* data = nullptr;
    auto size = BIO_get_mem_data(memory, &data);
    return {data, static_cast<std::size_t>(size)};
}

std::string pem(X509* certificate) {
    bio_pointer memory{BIO_new(BIO_s_mem())};
    require(PEM_write_bio_X509(memory.get(), certificate) == 1);
    return text_of(memory.get());
}

std::string pem(EVP_PKEY* key) {
    bio_pointer memory{BIO_new(BIO_s_mem())};
    require(PEM_write_bio_PrivateKey(memory.get(), key, nullptr, nullptr, 0, nullptr, nullptr) == 1);
    return text_of(memory.get());
}

void add_extension(X509* to, X509* issuer, int nid, const std::string& value) {
    X509V3_CTX context;
    X509V3_set_ctx(&context, issuer, to, nullptr, nullptr, 0);
    std::unique_ptr<X509_EXTENSION, freed> extension{X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str())};
    require(extension != nullptr && X509_add_ext(to, extension.get(), -1) == 1);
}

std::string alternative_names(const std::vector<std::string>& names) {
    std::string out;
    for (const auto& name : names) {
        boost::system::error_code not_an_address;
        boost::asio::ip::make_address(name, not_an_address);
        out += (out.empty() ? "" : ",") + std::string{not_an_address ? "DNS:" : "IP:"} + name;
    }
    return out;
}

key_pointer new_key() {
    key_pointer key{EVP_EC_gen("P-256")};
    require(key != nullptr);
    return key;
}

// A certificate signed with the issuer's key; signed by itself where there is no issuer.
certificate_pointer sign(const std::string& common_name, const certificate_wish& wish, bool authority, EVP_PKEY* key,
                         X509* issuer, EVP_PKEY* issuer_key) {
    certificate_pointer out{X509_new()};
    auto* cert = out.get();
    require(cert != nullptr && X509_set_version(cert, 2) == 1);
    auto serial = random_hex(8);
    ASN1_INTEGER_set_uint64(X509_get_serialNumber(cert), std::stoull(serial, nullptr, 16) >> 1U);
    X509_gmtime_adj(X509_getm_notBefore(cert), std::chrono::seconds{wish.valid_from}.count());
    X509_gmtime_adj(X509_getm_notAfter(cert), std::chrono::seconds{wish.valid_until}.count());
    X509_set_pubkey(cert, key);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(cert), "CN", MBSTRING_UTF8,
                               reinterpret_cast<const unsigned char*>(common_name.c_str()), -1, -1, 0);
    X509_set_issuer_name(cert, X509_get_subject_name(issuer != nullptr ? issuer : cert));
    auto* signer = issuer != nullptr ? issuer : cert;
    add_extension(cert, signer, NID_basic_constraints, authority ? "critical,CA:TRUE" : "critical,CA:FALSE");
    add_extension(cert, signer, NID_subject_key_identifier, "hash");
    if (!wish.names.empty())
        add_extension(cert, signer, NID_subject_alt_name, alternative_names(wish.names));
    require(X509_sign(cert, issuer_key != nullptr ? issuer_key : key, EVP_sha256()) > 0);
    return out;
}

} // namespace

struct test_authority::state {
    key_pointer key;
    certificate_pointer certificate;
    std::string text;
};

test_authority::test_authority(std::string name) : state_(std::make_unique<state>()) {
    state_->key = new_key();
    state_->certificate = sign(name, {}, true, state_->key.get(), nullptr, nullptr);
    state_->text = pem(state_->certificate.get());
}

test_authority::~test_authority() = default;

const std::string& test_authority::certificate() const {
    return state_->text;
}

identity test_authority::issue(const certificate_wish& wish) const {
    auto key = new_key();
    auto name = wish.names.empty() ? "nobody" : wish.names.front();
    auto cert = sign(name, wish, false, key.get(), state_->certificate.get(), state_->key.get());
    return {pem(cert.get()), pem(key.get())};
}

identity self_signed(const certificate_wish& wish) {
    auto key = new_key();
    auto name = wish.names.empty() ? "nobody" : wish.names.front();
    auto cert = sign(name, wish, false, key.get(), nullptr, nullptr);
    return {pem(cert.get()), pem(key.get())};
}

temporary_file::temporary_file(std::string_view content)
    : path_(std::filesystem::temp_directory_path() / ("postern-test-" + random_hex(8))) {
    std::ofstream{path_, std::ios::binary} << content;
}

temporary_file::~temporary_file() {
    std::error_code not_important;
    std::filesystem::remove(path_, not_important);
}

} // namespace postern::testing
