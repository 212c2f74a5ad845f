/*
 * What a token says, held against what is asked of it: who gave it, for whom, until when, for what,
 * and whose it is (RFC 7519 section 4.1, RFC 7662 section 2.2, RFC 9068). Pure.
 */
#pragma once

#include <stdint.h>

#include "base/str.h"
#include "conf/settings.h"

enum { CLAIMS_NAME_MAX_BYTES = 320 };

enum claims_source {
    CLAIMS_OF_JWT,           /* signed by the issuer: has to say who, for whom and until when */
    CLAIMS_OF_INTROSPECTION, /* told by a server that we asked: has to say "active" */
};

struct claims {
    char name[CLAIMS_NAME_MAX_BYTES + 1]; /* of the account, as the issuer calls it */
    int64_t until_ms;                     /* since 1970; INT64_MAX when it is not told */
};

/* Judges a JSON object of claims by the settings auth.oauth_*. 0; -EINVAL: the token is not good,
 * and *out_why says in a few words why, without a word of the token's. */
MUST_CHECK int claims_judge(struct str json, enum claims_source source,
                            const struct settings *settings, int64_t now_ms, struct claims *out,
                            const char **out_why);
