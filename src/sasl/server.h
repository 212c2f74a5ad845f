/*
 * The server's side of a SASL authentication (RFC 4422), line by line, for SMTP (RFC 4954), IMAP
 * (RFC 9051, 4959) and POP3 (RFC 5034): base64 in, base64 out.
 *
 * The session says what may be offered, hands on the client's lines, sends what comes back, and
 * speaks the outcome in its own protocol. Nothing here sends, logs or counts. Additional data with
 * success (RFC 4422 section 3.6) is not used: SCRAM's last message is a challenge of its own.
 */
#pragma once

#include <stdbool.h>

#include "base/buf.h"
#include "base/str.h"
#include "sasl/backend.h"
#include "sasl/bindings.h"
#include "sasl/mechanism.h"

enum {
    SASL_LINE_MAX_BYTES = 12288,     /* of base64, without line end (RFC 4954 section 4) */
    SASL_CHALLENGE_MAX_BYTES = 4096, /* of base64: what goes out is shorter */
};

/* What the connection and the settings allow. The views have to stay as long as the server. */
struct sasl_offer {
    unsigned enabled;  /* SASL_SET bits: what the settings allow and the backend can do */
    bool is_encrypted; /* TLS is on */
    bool may_plaintext_unencrypted;
    struct sasl_bindings bindings;
    struct str certificate_names; /* of a verified client certificate, blanks between them */
    struct str oauth_scope;       /* told after a bad token (RFC 7628 section 3.2.2); empty: not */
    struct str oauth_discovery;   /* likewise: the URL of the provider's configuration */
};

enum sasl_outcome {
    SASL_CONTINUE,  /* send the challenge, and hand on the next line */
    SASL_DONE,      /* sasl_server_identity says who */
    SASL_FAILED,    /* sasl_server_reason says why */
    SASL_TEMPORARY, /* the backend could not say */
};

/* Why it failed; what SMTP answers (RFC 4954 sections 4 and 6) stands behind. */
enum sasl_reason {
    SASL_REASON_NONE,
    SASL_REASON_CREDENTIALS,        /* 535 5.7.8 */
    SASL_REASON_AUTHZID,            /* 535 5.7.8: may not act as that */
    SASL_REASON_NEEDS_APP_PASSWORD, /* 535 5.7.9: make an app password */
    SASL_REASON_TOO_MANY,           /* 454 4.7.0: later */
    SASL_REASON_BINDING,            /* 535 5.7.8: another TLS connection than the client's */
    SASL_REASON_BINDING_TYPE,       /* 535 5.7.8: a binding by a name that is not known */
    SASL_REASON_MECHANISM,          /* 504 5.5.4: unknown, or not offered */
    SASL_REASON_ENCRYPTION,         /* 538 5.7.11: only after STARTTLS */
    SASL_REASON_INITIAL_RESPONSE,   /* 501 5.7.0: the server begins */
    SASL_REASON_ENCODING,           /* 501 5.5.2: no base64 */
    SASL_REASON_MALFORMED,          /* 501 5.5.2: not what the mechanism says */
    SASL_REASON_CERTIFICATE,        /* 535 5.7.8: none was shown, or it is not trusted */
    SASL_REASON_TOO_LONG,           /* 500 5.5.6 */
    SASL_REASON_CANCELLED,          /* 501 5.7.0: the client said "*" */
};

struct sasl_server;

/* The mechanisms that may be offered on this connection: SASL_SET bits, for sasl_mechanisms_put. */
unsigned sasl_offer_mechanisms(const struct sasl_offer *offer);

/* One for a session or an authentication; the offer is copied, what it views is not. */
struct sasl_server *sasl_server_new(const struct sasl_offer *offer,
                                    const struct sasl_backend *backend, void *ctx)
    __attribute__((returns_nonnull));
/* Wipes what it knows. NULL is taken. */
void sasl_server_free(struct sasl_server *s);

/*
 * Begins with a mechanism, in any case of letters. `initial` is the initial response as it came,
 * "=" for an empty one; a view without pointer (STR_NONE) when there was none. The challenge
 * replaces what is in `out_challenge` (at least SASL_CHALLENGE_MAX_BYTES) if the outcome is
 * SASL_CONTINUE; it may be empty. After an outcome other than that another authentication may be
 * begun.
 *
 * **Yields** if the backend does.
 */
MUST_CHECK enum sasl_outcome sasl_server_start(struct sasl_server *s, struct str mechanism,
                                               struct str initial, struct buf *out_challenge);

/* Goes on with the next line, without its line end. Only after SASL_CONTINUE. **Yields** likewise.
 */
MUST_CHECK enum sasl_outcome sasl_server_step(struct sasl_server *s, struct str line,
                                              struct buf *out_challenge);

/* Of the last outcome. */
enum sasl_reason sasl_server_reason(const struct sasl_server *s);
/* For log and trace: the reason in a word or two. */
const char *sasl_reason_text(enum sasl_reason reason);
/* Of the authentication that was begun last, whatever came of it; not before one was. */
enum sasl_mechanism sasl_server_mechanism(const struct sasl_server *s);
/* The name that was tried, for the log; empty while it is not known. Whatever a stranger sent. */
struct str sasl_server_authcid(const struct sasl_server *s);
/* Who has logged in, after SASL_DONE; until another authentication is begun. */
const struct sasl_identity *sasl_server_identity(const struct sasl_server *s);
