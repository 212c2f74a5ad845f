/*
 * Questions to the auth process as bytes: is this password right, whose is this token. Encoded as
 * base/buf.h does; decoding never trusts the bytes. Whoever encodes or decodes one wipes it.
 *
 * What the answer means for an account is the store's to say (store/auth_wire.h, auth.outside):
 * here is only what somebody outside says of a name.
 */
#pragma once

#include <stdint.h>

#include "base/buf.h"
#include "base/str.h"

enum outside_verb {
    OUTSIDE_PASSWORD = 1, /* of the name, by LDAP or PAM: as auth.backend says */
    OUTSIDE_TOKEN,        /* of OAuth (RFC 6750): whose is it */
};

enum {
    OUTSIDE_NAME_MAX_BYTES = 512,
    OUTSIDE_SECRET_MAX_BYTES = 8192,
    OUTSIDE_PEER_MAX_BYTES = 64,
    OUTSIDE_REQUEST_MAX_BYTES =
        OUTSIDE_NAME_MAX_BYTES + OUTSIDE_SECRET_MAX_BYTES + OUTSIDE_PEER_MAX_BYTES + 12,
    OUTSIDE_ANSWER_MAX_BYTES = OUTSIDE_NAME_MAX_BYTES + 8,
};

/* Of both verbs. */
struct outside_request {
    struct str name;   /* the account's, as the store looks it up; of a token: claimed, may be "" */
    struct str secret; /* the password, prepared by SASLprep; the token */
    struct str peer;   /* the client's address, for logs and for PAM */
};
void outside_put_request(struct buf *out, const struct outside_request *r);
/* 0, with views into the bytes; or -EBADMSG. */
MUST_CHECK int outside_get_request(struct str bytes, struct outside_request *out);

enum outside_verdict {
    OUTSIDE_RIGHT = 0,
    OUTSIDE_WRONG = 1,     /* or nobody has that name: one answer for both */
    OUTSIDE_TEMPORARY = 2, /* could not be found out now; the log of the auth process says why */
    OUTSIDE_VERDICT_END,
};

struct outside_answer {
    uint8_t verdict;
    struct str name; /* of a right token: the account's address; else "" */
};
void outside_put_answer(struct buf *out, const struct outside_answer *a);
MUST_CHECK int outside_get_answer(struct str bytes, struct outside_answer *out);
