/*
 * The client's side of a SASL authentication, line by line: how a server logs in to another one, a
 * smarthost, with a name and a password. PLAIN, LOGIN, SCRAM with and without channel binding.
 *
 * Nothing here sends or waits. A password never goes out readable without TLS, unless that was
 * allowed; with SCRAM a server that does not prove itself is an error, whatever it says.
 */
#pragma once

#include <stdbool.h>

#include "base/buf.h"
#include "base/str.h"
#include "sasl/bindings.h"
#include "sasl/mechanism.h"

enum { SASL_CLIENT_LINE_MAX_BYTES = 12288 };

/* The views have to stay as long as the client. */
struct sasl_client_login {
    struct str authcid;  /* at most SASL_NAME_MAX_BYTES */
    struct str authzid;  /* empty: the same */
    struct str password; /* at most SASL_PASSWORD_MAX_BYTES */
    bool is_encrypted;
    bool may_plaintext_unencrypted;
    /* Of the TLS connection, only those that may be used with its version (bindings.h). */
    struct sasl_bindings bindings;
};

enum sasl_client_outcome {
    SASL_CLIENT_SEND,   /* the line; it may be empty */
    SASL_CLIENT_WAIT,   /* at the start only: nothing to send along, the server begins */
    SASL_CLIENT_CANCEL, /* send "*", or close; sasl_client_problem says why */
};

struct sasl_client;

/* The best mechanism of those a server offers (sasl_mechanisms_read) that the rules allow; false
 * when there is none. Whoever was refused may ask again without the one that was tried. */
MUST_CHECK bool sasl_client_choose(const struct sasl_client_login *login, unsigned offered,
                                   enum sasl_mechanism *out_mechanism);

struct sasl_client *sasl_client_new(const struct sasl_client_login *login)
    __attribute__((returns_nonnull));
/* Wipes what it knows. NULL is taken. */
void sasl_client_free(struct sasl_client *c);

/*
 * Begins with a mechanism that was chosen; `offered` is all that the server offers. The initial
 * response replaces what is in `out_line` (SASL_CLIENT_LINE_MAX_BYTES; wipe it): it goes behind the
 * name of the mechanism, or, where the command would be too long (RFC 4954 section 4), out as the
 * answer to an empty challenge. After an end another one may be begun.
 */
MUST_CHECK enum sasl_client_outcome sasl_client_start(struct sasl_client *c,
                                                      enum sasl_mechanism mechanism,
                                                      unsigned offered, struct buf *out_line);
/* Answers a challenge, given as the line behind "334 ". SCRAM derives keys: up to half a second, at
 * SCRAM_ITERATIONS_MAX. */
MUST_CHECK enum sasl_client_outcome sasl_client_step(struct sasl_client *c, struct str challenge,
                                                     struct buf *out_line);
/* When the server says that it is done: whether we are, too. If not, the connection is not to be
 * trusted, and sasl_client_problem says why. */
MUST_CHECK bool sasl_client_is_done(struct sasl_client *c);

/* Why it was cancelled or is not done: words for log and trace. */
const char *sasl_client_problem(const struct sasl_client *c);
