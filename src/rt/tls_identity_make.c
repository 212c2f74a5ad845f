/* Makes keys and certificates signed by themselves: see tls_identity.h. */
#include "rt/tls_identity.h"

#include <errno.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <stdlib.h>

#include "rt/tls_internal.h"

enum {
    COMMON_NAME_MAX_BYTES = 64, /* RFC 5280, upper bounds */
    SERIAL_BYTES = 16,
    VERSION_3 = 2,
    EARLIER_S = 3600, /* clients' clocks may be late */
    DAY_S = 86400,
};

static void add_extension(X509 *certificate, int nid, const char *value)
{
    X509V3_CTX context;

    X509V3_set_ctx(&context, certificate, certificate, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
    ASSERT(extension != NULL && X509_add_ext(certificate, extension, -1) == 1);
    X509_EXTENSION_free(extension);
}

static void set_serial(X509 *certificate)
{
    unsigned char bytes[SERIAL_BYTES];

    ASSERT(RAND_bytes(bytes, sizeof(bytes)) == 1);
    bytes[0] = (bytes[0] & 0x7F) | 0x40; /* positive, of full length */
    BIGNUM *number = BN_bin2bn(bytes, sizeof(bytes), NULL);
    ASSERT(number != NULL &&
           BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate)) != NULL);
    BN_free(number);
}

static void set_names(X509 *certificate, struct str host)
{
    CLEANUP(cleanup_free) char *san = xasprintf("DNS:%.*s", STR_ARG(host));
    X509_NAME *name = X509_get_subject_name(certificate);
    struct str common = host.len <= COMMON_NAME_MAX_BYTES ? host : STR("Hikyaku");

    ASSERT(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)common.ptr,
                                      (int)common.len, -1, 0) == 1);
    ASSERT(X509_set_issuer_name(certificate, name) == 1);
    add_extension(certificate, NID_subject_alt_name, san);
}

static X509 *make_certificate(EVP_PKEY *key, struct str host, int64_t now_ms)
{
    X509 *certificate = X509_new();
    time_t from = (time_t)(now_ms / 1000 - EARLIER_S);
    time_t to = from + (time_t)TLS_SELF_SIGNED_DAYS * DAY_S;

    ASSERT(certificate != NULL && X509_set_version(certificate, VERSION_3) == 1);
    set_serial(certificate);
    ASSERT(ASN1_TIME_set(X509_getm_notBefore(certificate), from) != NULL);
    ASSERT(ASN1_TIME_set(X509_getm_notAfter(certificate), to) != NULL);
    ASSERT(X509_set_pubkey(certificate, key) == 1);
    set_names(certificate, host);
    add_extension(certificate, NID_basic_constraints, "critical,CA:FALSE");
    add_extension(certificate, NID_key_usage, "critical,digitalSignature");
    add_extension(certificate, NID_ext_key_usage, "serverAuth,clientAuth");
    add_extension(certificate, NID_subject_key_identifier, "hash");
    ASSERT(X509_sign(certificate, key, EVP_sha256()) > 0);
    return certificate;
}

/* Empties what the library has written; it held a key. */
static void move_text(BIO *bio, struct buf *out)
{
    char *bytes;
    long len = BIO_get_mem_data(bio, &bytes);

    buf_put(out, bytes, (size_t)len);
    OPENSSL_cleanse(bytes, (size_t)len);
    BIO_free(bio);
}

int tls_identity_make(struct str host, int64_t now_ms, struct buf *out_chain_pem,
                      struct buf *out_key_pem)
{
    if (!tls_is_host(host))
        return -EINVAL;
    ERR_clear_error();
    EVP_PKEY *key = EVP_EC_gen("P-256");
    BIO *chain_text = BIO_new(BIO_s_mem()), *key_text = BIO_new(BIO_s_mem());
    ASSERT(key != NULL && chain_text != NULL && key_text != NULL);
    X509 *certificate = make_certificate(key, host, now_ms);
    ASSERT(PEM_write_bio_X509(chain_text, certificate) == 1);
    ASSERT(PEM_write_bio_PKCS8PrivateKey(key_text, key, NULL, NULL, 0, NULL, NULL) == 1);
    move_text(chain_text, out_chain_pem);
    move_text(key_text, out_key_pem);
    X509_free(certificate);
    EVP_PKEY_free(key);
    return 0;
}
