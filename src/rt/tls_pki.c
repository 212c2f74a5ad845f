/* Certificates for tests: see tls_pki.h. */
#include "rt/tls_pki.h"

#include <openssl/bio.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

enum { DAY_S = 86400, VERSION_3 = 2, VERSION_2 = 1 /* of lists */ };

static EVP_PKEY *make_key(const char *kind)
{
    unsigned bits = 0;

    if (kind == NULL)
        kind = "P-256";
    if (strcmp(kind, "ED25519") == 0)
        return EVP_PKEY_Q_keygen(NULL, NULL, kind);
    if (sscanf(kind, "RSA-%u", &bits) == 1)
        return EVP_RSA_gen(bits);
    return EVP_EC_gen(kind);
}

static void add(X509 *certificate, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX context;

    X509V3_set_ctx(&context, issuer, certificate, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
    ASSERT(extension != NULL && X509_add_ext(certificate, extension, -1) == 1);
    X509_EXTENSION_free(extension);
}

static char *take_text(BIO *bio)
{
    char *bytes;
    long len = BIO_get_mem_data(bio, &bytes);
    char *text = str_dup(str_from_mem(bytes, (size_t)len));

    BIO_free(bio);
    return text;
}

static void set_dates(X509 *certificate, const struct pki_spec *spec)
{
    bool is_default = spec->from_days == 0 && spec->to_days == 0;
    long from = is_default ? -1 : spec->from_days;
    long to = is_default ? 1 : spec->to_days;

    ASSERT(X509_gmtime_adj(X509_getm_notBefore(certificate), from * DAY_S) != NULL);
    ASSERT(X509_gmtime_adj(X509_getm_notAfter(certificate), to * DAY_S) != NULL);
}

struct pki *pki_make(const struct pki_spec *spec)
{
    static long serial = 1;
    struct pki *pki = xcalloc(1, sizeof(*pki));
    X509 *certificate = X509_new();

    pki->certificate = certificate;
    pki->key = make_key(spec->key);
    ASSERT(certificate != NULL && pki->key != NULL);
    X509 *issuer = spec->issuer != NULL ? spec->issuer->certificate : certificate;
    EVP_PKEY *signer = spec->issuer != NULL ? spec->issuer->key : pki->key;
    X509_NAME *name = X509_get_subject_name(certificate);
    ASSERT(X509_set_version(certificate, VERSION_3) == 1);
    ASSERT(ASN1_INTEGER_set(X509_get_serialNumber(certificate), serial++) == 1);
    set_dates(certificate, spec);
    ASSERT(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const unsigned char *)spec->name,
                                      -1, -1, 0) == 1);
    if (spec->email != NULL)
        ASSERT(X509_NAME_add_entry_by_txt(name, "emailAddress", MBSTRING_ASC,
                                          (const unsigned char *)spec->email, -1, -1, 0) == 1);
    ASSERT(X509_set_issuer_name(certificate, X509_get_subject_name(issuer)) == 1);
    ASSERT(X509_set_pubkey(certificate, pki->key) == 1);
    if (spec->is_ca)
        add(certificate, issuer, NID_basic_constraints, "critical,CA:TRUE");
    if (spec->san != NULL)
        add(certificate, issuer, NID_subject_alt_name, spec->san);
    const EVP_MD *hash = EVP_PKEY_is_a(signer, "ED25519") ? NULL : EVP_sha256();
    ASSERT(X509_sign(certificate, signer, hash) > 0);
    BIO *bio = BIO_new(BIO_s_mem());
    ASSERT(PEM_write_bio_X509(bio, certificate) == 1);
    pki->certificate_pem = take_text(bio);
    bio = BIO_new(BIO_s_mem());
    ASSERT(PEM_write_bio_PrivateKey(bio, pki->key, NULL, NULL, 0, NULL, NULL) == 1);
    pki->key_pem = take_text(bio);
    return pki;
}

static void call_back(X509_CRL *crl, const struct pki *revoked)
{
    X509_REVOKED *entry = X509_REVOKED_new();
    ASN1_TIME *at = X509_gmtime_adj(NULL, -DAY_S);

    ASSERT(entry != NULL && at != NULL);
    ASSERT(X509_REVOKED_set_serialNumber(entry, X509_get_serialNumber(revoked->certificate)) == 1);
    ASSERT(X509_REVOKED_set_revocationDate(entry, at) == 1 &&
           X509_CRL_add0_revoked(crl, entry) == 1);
    ASN1_TIME_free(at);
}

char *pki_crl(const struct pki *authority, const struct pki *revoked, int to_days)
{
    X509_CRL *crl = X509_CRL_new();
    ASN1_TIME *from = X509_gmtime_adj(NULL, -2 * DAY_S),
              *to = X509_gmtime_adj(NULL, (long)to_days * DAY_S);

    ASSERT(crl != NULL && X509_CRL_set_version(crl, VERSION_2) == 1);
    ASSERT(X509_CRL_set_issuer_name(crl, X509_get_subject_name(authority->certificate)) == 1);
    ASSERT(X509_CRL_set1_lastUpdate(crl, from) == 1 && X509_CRL_set1_nextUpdate(crl, to) == 1);
    if (revoked != NULL)
        call_back(crl, revoked);
    ASSERT(X509_CRL_sign(crl, authority->key, EVP_sha256()) > 0);
    ASN1_TIME_free(from);
    ASN1_TIME_free(to);
    BIO *bio = BIO_new(BIO_s_mem());
    ASSERT(PEM_write_bio_X509_CRL(bio, crl) == 1);
    X509_CRL_free(crl);
    return take_text(bio);
}

void pki_free(struct pki *pki)
{
    if (pki == NULL)
        return;
    X509_free(pki->certificate);
    EVP_PKEY_free(pki->key);
    free(pki->certificate_pem);
    free(pki->key_pem);
    free(pki);
}

struct tls_identity *pki_identity(const struct pki *pki, const struct pki *issuer)
{
    CLEANUP(cleanup_free)
    char *chain =
        xasprintf("%s%s", pki->certificate_pem, issuer != NULL ? issuer->certificate_pem : "");
    struct tls_identity *id;
    struct tls_text error;

    if (tls_identity_parse(str_from_c(chain), str_from_c(pki->key_pem), &id, &error) == 0)
        return id;
    fprintf(stderr, "pki_identity: %s\n", error.text);
    abort();
}
