/*
 * How the mechanisms of the server are plugged in: what server.c and each mech_*.c share, and
 * nobody else includes. A mechanism gets decoded responses and gives raw challenges.
 */
#pragma once

#include "sasl/server.h"

struct sasl_server_mech {
    /* Prepares the state; may be NULL. */
    void (*begin)(struct sasl_server *s);
    /* One response; the challenge goes to s->challenge. The first response of a mechanism in which
     * the server begins is empty. **Yields** if the backend does. */
    enum sasl_outcome (*step)(struct sasl_server *s, struct str response);
    /* Wipes and frees the state; may be NULL. */
    void (*end)(struct sasl_server *s);
};

struct sasl_server {
    struct sasl_offer offer;
    const struct sasl_backend *backend;
    void *ctx;
    enum sasl_mechanism mechanism;
    const struct sasl_server_mech *mech; /* NULL: nothing is under way */
    void *state;                         /* the mechanism's */
    unsigned step_count;                 /* responses that the mechanism has had */
    enum sasl_reason reason;
    bool is_done; /* the last outcome was SASL_DONE */
    struct sasl_identity identity;
    struct buf authcid, authzid; /* prepared */
    struct buf response;         /* decoded */
    struct buf challenge;        /* not yet coded */
};

extern const struct sasl_server_mech sasl_mech_gsasl;
extern const struct sasl_server_mech sasl_mech_scram;
extern const struct sasl_server_mech sasl_mech_oauth;
extern const struct sasl_server_mech sasl_mech_external;

/* Notes why, and gives SASL_FAILED. */
enum sasl_outcome sasl_server_fail(struct sasl_server *s, enum sasl_reason reason);
/* Prepares and keeps the names: false when one cannot be (RFC 4422 section 3.4.1). An empty authcid
 * is taken only where the mechanism has none. */
MUST_CHECK bool sasl_server_keep_names(struct sasl_server *s, struct str authcid,
                                       struct str authzid);
/* The login that is tried, for the backend. */
struct sasl_login sasl_server_login(const struct sasl_server *s);
/* What a verdict of the backend comes to. OK: the authzid is looked at, too. **Yields** likewise.
 */
enum sasl_outcome sasl_server_settle(struct sasl_server *s, enum sasl_verdict verdict);
