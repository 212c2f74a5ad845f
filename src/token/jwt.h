/*
 * A token that proves itself: a JWT in compact form (RFC 7519, 7515). The parser; whose signature
 * it is says jwk.h, what its claims are worth claims.h. Pure.
 */
#pragma once

#include "base/buf.h"
#include "base/str.h"
#include "token/jws.h"

enum {
    JWT_MAX_BYTES = 8192, /* SASL_TOKEN_MAX_BYTES */
    JWT_HEADER_MAX_BYTES = 2048,
};

struct jwt {
    enum jws_algorithm algorithm;
    struct str key_id;      /* empty: it names none */
    struct str signed_text; /* a view into the token */
    struct str claims;      /* JSON, not looked at yet */
    struct str signature;
    struct buf store; /* what the views but signed_text lie in */
};

/*
 * Reads a token, which must be one of a kind that may be used as it is: signed by an algorithm of
 * jws.h, no critical extensions (RFC 7515 section 4.1.11), not declared to be something else than
 * an access or identity token (RFC 8725 section 3.11). Nothing in it is believed yet; "jku", "x5u",
 * "jwk" and "x5c", by which a token would bring its own key, are never looked at.
 *
 * 0; -EINVAL: *out_why says why in a few words. Pair in both cases: jwt_done.
 */
MUST_CHECK int jwt_parse(struct str token, struct jwt *out, const char **out_why);
void jwt_done(struct jwt *jwt);
