/* Keys and tokens of every kind, good and bad, for tests: not part of the program. */
#pragma once

#include <openssl/types.h>

#include "token/jws.h"

struct jw_key {
    EVP_PKEY *key;
    const char *id; /* NULL: none */
};

/* "RSA-2048", "P-256", "P-384", "ED25519", ... */
struct jw_key jw_key_make(const char *kind, const char *id);
void jw_key_done(struct jw_key *key);
/* The key as JSON, public part, with more members (`,"use":"sig"`) at its end. The caller frees, as
 * all below. */
char *jw_key_json(const struct jw_key *key, const char *more);
/* A set of one key. */
char *jw_set_json(const struct jw_key *key, const char *more);
/* The token of these two JSON texts, signed. */
char *jw_sign(const struct jw_key *key, enum jws_algorithm algorithm, const char *header,
              const char *claims);
/* The same with the usual header: alg, and kid if the key has one. */
char *jw_token(const struct jw_key *key, enum jws_algorithm algorithm, const char *claims);
/* Two parts and a third one as it is given. */
char *jw_assemble(const char *header, const char *claims, const char *signature);
