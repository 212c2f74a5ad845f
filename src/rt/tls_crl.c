/* Lists of certificates that their authorities have called back (RFC 5280 section 5): see tls.h. */
#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509_vfy.h>

#include "rt/tls_internal.h"

enum { CRLS_MAX = 1000 };

static int say(struct tls_text *out_error, const char *text)
{
    (void)snprintf(out_error->text, sizeof(out_error->text), "%s", text);
    return -EINVAL;
}

int tls_crl_add(X509_STORE *store, struct str pem, int64_t *out_until_ms,
                struct tls_text *out_error)
{
    int count = 0;

    *out_until_ms = INT64_MAX;
    if (pem.len > TLS_PEM_MAX_BYTES * 16)
        return say(out_error, "the file is too large");
    BIO *bio = BIO_new_mem_buf(pem.ptr != NULL ? pem.ptr : "", (int)pem.len);
    ASSERT(bio != NULL);
    ERR_clear_error();
    X509_CRL *crl;
    while (count < CRLS_MAX && (crl = PEM_read_bio_X509_CRL(bio, NULL, NULL, NULL)) != NULL) {
        const ASN1_TIME *next = X509_CRL_get0_nextUpdate(crl);
        if (next != NULL) /* it may be left out, and then has no end */
            *out_until_ms = MIN(*out_until_ms, tls_time_ms(next));
        (void)X509_STORE_add_crl(store, crl);
        X509_CRL_free(crl);
        count++;
    }
    bool is_end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
    BIO_free(bio);
    if (!is_end)
        return say(out_error, count == CRLS_MAX ? "there are too many lists in it"
                                                : "a list in it cannot be read");
    ERR_clear_error();
    return count > 0 ? count
                     : say(out_error, "there is no list in PEM form (-----BEGIN X509 CRL-----)");
}

int tls_crl_check(struct str pem, int64_t *out_until_ms, struct tls_text *out_error)
{
    X509_STORE *store = X509_STORE_new();

    ASSERT(store != NULL);
    int r = tls_crl_add(store, pem, out_until_ms, out_error);
    X509_STORE_free(store);
    return MIN(r, 0);
}
