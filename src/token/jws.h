/*
 * Signatures of JOSE (RFC 7515, 7518, 8037) by public keys.
 *
 * There is no "none" and there are no MACs here: a server that checks tokens has public keys only,
 * and one that took a public key for the key of a MAC could be told anything (RFC 8725 section
 * 2.1). An algorithm is used only with the kind of key that it is for.
 */
#pragma once

#include <openssl/types.h>
#include <stdbool.h>

#include "base/str.h"

enum jws_algorithm {
    JWS_RS256,
    JWS_RS384,
    JWS_RS512,
    JWS_PS256,
    JWS_ES256,
    JWS_ES384,
    JWS_EDDSA, /* with Ed25519 */
    JWS_ALGORITHM_COUNT,
};

enum {
    JWS_RSA_MIN_BITS = 2048, /* RFC 7518 section 3.3 */
    JWS_RSA_MAX_BITS = 8192, /* what a key costs is its owner's choice, up to here */
    JWS_SIGNATURE_MAX_BYTES = JWS_RSA_MAX_BITS / 8,
};

/* By the name in "alg". False: unknown, or one that is not used here. */
MUST_CHECK bool jws_find(struct str name, enum jws_algorithm *out);
/* Whether the key is of the kind, and the size, that the algorithm is for. */
bool jws_fits(enum jws_algorithm algorithm, const EVP_PKEY *key);
/* Whether the signature of the text is by the key. False also when the algorithm does not fit. */
MUST_CHECK bool jws_verify(enum jws_algorithm algorithm, EVP_PKEY *key, struct str text,
                           struct str signature);
