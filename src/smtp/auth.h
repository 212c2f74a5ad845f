/* Logins as a session has them: who may be asked for credentials, what EHLO lists. */
#pragma once

#include "base/buf.h"

enum { SMTP_AUTH_LINE_MAX_BYTES = 12288 + 64 /* RFC 4954 section 4, and the command itself */ };

struct sasl_backend;
struct smtp_session;

/* By whom logins are checked; the worker's. */
struct smtp_auth {
    const struct sasl_backend *backend; /* NULL: nobody logs in */
    void *ctx;
    unsigned enabled; /* SASL_SET bits */
};

/* Appends the names of the mechanisms that may be used now, blanks between them; nothing when there
 * are none. */
void smtp_auth_put_mechanisms(const struct smtp_session *s, struct buf *out);
