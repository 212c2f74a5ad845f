/*
 * Sets of public keys (JWKS, RFC 7517): read, chosen from, verified with. Pure.
 *
 * Keys of kinds that are not used here, for encryption, too small or not on their curve are passed
 * over, as section 5 asks; a set without a key that can be used is refused.
 */
#pragma once

#include "base/str.h"
#include "token/jws.h"

enum { JWK_KEYS_MAX = 64, JWK_ID_MAX_BYTES = 256 };

struct jwk_set;

/* 0: *out is the caller's; -EINVAL: *out_why says in a few words why not. */
MUST_CHECK int jwk_set_parse(struct str json, struct jwk_set **out, const char **out_why);
/* NULL is taken. */
void jwk_set_free(struct jwk_set *set);
size_t jwk_set_count(const struct jwk_set *set);

enum jwk_result {
    JWK_GOOD,        /* signed by a key of the set */
    JWK_BAD,         /* not by the key that it names */
    JWK_UNKNOWN_KEY, /* the set may be too old: not by any key, or it names one that is not there */
};

/* Who has signed the text. `id` is the name of the key; empty: none is named, and each that fits is
 * tried. Keys without a name are tried in any case. */
enum jwk_result jwk_set_verify(const struct jwk_set *set, struct str id,
                               enum jws_algorithm algorithm, struct str text, struct str signature);
