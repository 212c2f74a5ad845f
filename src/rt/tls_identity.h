/*
 * Who a server says it is: a certificate with its chain and private key, parsed and checked.
 *
 * Pure: no files, no clock, nothing that waits. What is wrong is said in one line that names the
 * cure, because it ends up before the eyes of the person who installed the certificate. Refuses
 * keys under a passphrase, chains out of order, keys too weak for today's clients.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/str.h"
#include "rt/tls_text.h"

enum {
    TLS_PEM_MAX_BYTES = 256 * 1024,
    TLS_CHAIN_MAX = 10,
    TLS_NAMES_MAX = 256,
    TLS_SHA256_BYTES = 32,
    TLS_SELF_SIGNED_DAYS = 3652,
};

struct tls_identity;

struct tls_identity_facts {
    const char *const *names; /* host names, lower case, "*.example.jp" among them */
    size_t name_count;
    int64_t not_before_ms; /* since 1970 */
    int64_t not_after_ms;
    const char *key;    /* "ECDSA P-256", "RSA 2048 bits" */
    const char *issuer; /* "CN=R11,O=Let's Encrypt,C=US" */
    bool is_self_signed;
    uint8_t sha256[TLS_SHA256_BYTES]; /* of the certificate */
};

/* Parses the certificate with what issued it, in this order, and its key; both may be in the same
 * text. 0: *out is the caller's until tls_identity_unref. -EINVAL: *out_error says why. */
MUST_CHECK int tls_identity_parse(struct str chain_pem, struct str key_pem,
                                  struct tls_identity **out, struct tls_text *out_error);
/* Whether it is in use at this moment. 0; -EKEYEXPIRED: expired or not yet valid; *out says what.
 */
MUST_CHECK int tls_identity_check_time(const struct tls_identity *id, int64_t now_ms,
                                       struct tls_text *out_error);
/* For status and logs; valid as long as the identity. */
const struct tls_identity_facts *tls_identity_facts(const struct tls_identity *id);
/* Whether it speaks for the host: by name or by a wildcard for the leftmost label (RFC 6125 section
 * 6.4.3). */
bool tls_identity_is_for(const struct tls_identity *id, struct str host);

/* Identities are counted; these take NULL. */
struct tls_identity *tls_identity_ref(struct tls_identity *id);
void tls_identity_unref(struct tls_identity *id);

/* Makes a key (ECDSA P-256) and a certificate signed by itself for the host, valid from an hour ago
 * for TLS_SELF_SIGNED_DAYS. Appends PEM to the buffers. 0; -EINVAL: that is no host name. */
MUST_CHECK int tls_identity_make(struct str host, int64_t now_ms, struct buf *out_chain_pem,
                                 struct buf *out_key_pem);
