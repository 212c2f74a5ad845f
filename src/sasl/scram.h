/*
 * SCRAM (RFC 5802, 7677), both ends, for SHA-1 and SHA-256, with and without channel binding: what
 * the messages have to say to each other. Pure: nonces come in, nothing is asked, nothing is kept
 * beyond one exchange.
 *
 * Own code, because GNU SASL 2.2 knows no tls-server-end-point. It sends no server-error: who fails
 * is told so by the protocol around (RFC 5802 section 5.1, attribute e).
 */
#pragma once

#include "base/buf.h"
#include "base/str.h"
#include "crypt/scram_keys.h"
#include "sasl/scram_message.h"

enum scram_check {
    SCRAM_OK,
    SCRAM_MALFORMED,     /* not a message of the grammar */
    SCRAM_WRONG_NONCE,   /* of another exchange: a replay */
    SCRAM_WRONG_BINDING, /* another channel, or another header than in the first message */
    SCRAM_WRONG_PROOF,   /* the other end does not know the password */
    SCRAM_BAD_COST,      /* the server asks for too few iterations, or for too many */
    SCRAM_REFUSED,       /* the server says so */
};

/* One exchange, at either end. */
struct scram_exchange {
    enum scram_hash hash;
    struct buf binding;                    /* base64, the value of c= */
    struct buf nonce;                      /* the client's part, then both */
    struct buf first_bare;                 /* client-first-message-bare */
    struct buf server_first;               /* server-first-message */
    uint8_t verifier[SCRAM_KEY_MAX_BYTES]; /* client: what the server has to answer */
};

/* Pair: scram_exchange_done, which takes one that is all zeros, too. */
void scram_exchange_init(struct scram_exchange *x, enum scram_hash hash);
void scram_exchange_done(struct scram_exchange *x);

/* --- the server --- */

/* Takes a client's first message as it was read; `binding_data` of the channel if the client binds.
 * The answer is x->server_first; `own_nonce` are printable characters that nobody can guess. */
void scram_server_answer(struct scram_exchange *x, const struct scram_client_first *message,
                         const struct scram_keys *keys, struct str binding_data,
                         struct str own_nonce);
/* Checks the final message. Appends the server's proof to `out` when all is right. */
MUST_CHECK enum scram_check scram_server_check(const struct scram_exchange *x,
                                               const struct scram_keys *keys, struct str message,
                                               struct buf *out);

/* --- the client --- */

struct scram_client_start {
    enum gs2_flag flag;
    struct str binding_name; /* of GS2_BINDING_USED */
    struct str binding_data; /* likewise */
    struct str authzid;      /* empty: none */
    struct str name;         /* prepared by SASLprep, as the authzid */
    struct str nonce;        /* printable characters that nobody can guess */
};

/* Appends the first message. */
void scram_client_begin(struct scram_exchange *x, const struct scram_client_start *start,
                        struct buf *out);
/* Takes the server's first message and appends the final one to `out`. Derives the keys of the
 * prepared password: this takes as long as the server asks for, up to SCRAM_ITERATIONS_MAX. */
MUST_CHECK enum scram_check scram_client_answer(struct scram_exchange *x, struct str message,
                                                struct str password, struct buf *out);
/* Checks that the server has proved itself. */
MUST_CHECK enum scram_check scram_client_check(const struct scram_exchange *x, struct str message);
