/* Certificates of every kind, good and bad, for the tests of TLS: not part of the program. */
#pragma once

#include <openssl/evp.h>
#include <openssl/x509.h>
#include <stdbool.h>

#include "base/str.h"
#include "rt/tls_identity.h"

struct pki {
    X509 *certificate;
    EVP_PKEY *key;
    char *certificate_pem;
    char *key_pem;
};

struct pki_spec {
    const char *name;         /* common name */
    const char *email;        /* in the subject, or NULL */
    const char *san;          /* "DNS:a.example,email:b@example", or NULL */
    const char *key;          /* "P-256" (also when NULL), "P-224", "RSA-2048", "ED25519", ... */
    const struct pki *issuer; /* NULL: itself */
    int from_days, to_days;   /* counted from today; both 0: yesterday until tomorrow */
    bool is_ca;
};

struct pki *pki_make(const struct pki_spec *spec);
void pki_free(struct pki *pki);
/* A list (PEM) of what the authority has called back, at most one, or NULL; good from yesterday
 * until to_days from today. The caller frees. */
char *pki_crl(const struct pki *authority, const struct pki *revoked, int to_days);
/* The identity of the certificate, sent with that of `issuer` unless it is NULL. */
struct tls_identity *pki_identity(const struct pki *pki, const struct pki *issuer);
