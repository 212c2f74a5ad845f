/*
 * What the server's side of an authentication needs from the rest of the world: who an account is
 * and whether a proof is right. The worker connects it to the store.
 *
 * Every function may yield, and gets the views only for the time of the call. Each is asked with
 * the login that is tried; names come prepared (RFC 4013) and bounded. A function that is missing
 * is never called, if the offer does not say that it can be (server.h).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/str.h"
#include "crypt/scram_keys.h"
#include "sasl/mechanism.h"

enum {
    SASL_NAME_MAX_BYTES = 320,      /* 64 and 255 bytes, and the @ (RFC 5321 section 4.5.3.1) */
    SASL_PASSWORD_MAX_BYTES = 1000, /* SASLPREP_MAX_BYTES */
    SASL_TOKEN_MAX_BYTES = 8192,
};

enum sasl_verdict {
    SASL_VERDICT_OK,
    SASL_VERDICT_BAD,                /* wrong or unknown: one answer for both */
    SASL_VERDICT_NEEDS_APP_PASSWORD, /* right, but not enough here: second factor, other scope */
    SASL_VERDICT_TOO_MANY,           /* not even looked at: too many failures, or banned */
    SASL_VERDICT_TEMPORARY,          /* could not be found out now */
};

/* What the client says, not yet who it is. */
struct sasl_login {
    enum sasl_mechanism mechanism;
    struct str authcid; /* whose credentials; empty with OAuth; the certificate's with EXTERNAL */
    struct str authzid; /* whom to act as; empty: the same. With OAuth the name that was claimed */
};

/* Who it is, when the verdict is OK. */
struct sasl_identity {
    uint64_t account_id;
    int64_t app_password;                  /* by which; 0: otherwise */
    int64_t epoch;                         /* the backend's: of its password */
    char address[SASL_NAME_MAX_BYTES + 1]; /* the account's canonical address */
};

struct sasl_backend {
    /* PLAIN, LOGIN. Counts the failure itself. */
    enum sasl_verdict (*check_password)(void *ctx, const struct sasl_login *login,
                                        struct str password, struct sasl_identity *out_identity);
    /*
     * SCRAM. OK for every name: for one that does not exist, or has no keys, always the same salt
     * and random keys, or the reply would tell. What stands against the account is said by
     * note_success.
     */
    enum sasl_verdict (*get_scram_keys)(void *ctx, const struct sasl_login *login,
                                        enum scram_hash hash, struct scram_keys *out_keys);
    /* After a proof that does not fit: the keys of another password of the same account (an app
     * password), with the same salt and iterations, in place of the last; false when there is none.
     * What note_success says is about the keys that were given last. NULL: accounts have one. */
    bool (*next_scram_keys)(void *ctx, const struct sasl_login *login,
                            struct scram_keys *in_out_keys);
    /* CRAM-MD5: the password itself, appended to out_secret, which has the room; likewise OK for
     * every name. */
    enum sasl_verdict (*get_cram_secret)(void *ctx, const struct sasl_login *login,
                                         struct buf *out_secret);
    /* OAUTHBEARER, XOAUTH2. Counts the failure itself. The account is the token's. */
    enum sasl_verdict (*check_token)(void *ctx, const struct sasl_login *login, struct str token,
                                     struct sasl_identity *out_identity);
    /* EXTERNAL: the account that the certificate's name stands for. */
    enum sasl_verdict (*check_certificate)(void *ctx, const struct sasl_login *login,
                                           struct sasl_identity *out_identity);
    /* After a right proof of SCRAM or CRAM-MD5: whether the account may log in by it. */
    enum sasl_verdict (*note_success)(void *ctx, const struct sasl_login *login,
                                      struct sasl_identity *out_identity);
    /* After a wrong one. TOO_MANY or TEMPORARY, if that is what the client shall hear; else BAD. */
    enum sasl_verdict (*note_failure)(void *ctx, const struct sasl_login *login);
    /*
     * Whether the account may act as another one, login->authzid; if so, the identity becomes the
     * other one's. NULL: never. Not asked when authzid is empty, the name that logged in or the
     * account's address.
     */
    enum sasl_verdict (*check_authzid)(void *ctx, const struct sasl_login *login,
                                       struct sasl_identity *in_out_identity);
};
