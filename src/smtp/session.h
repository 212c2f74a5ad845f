/*
 * An SMTP server session (RFC 5321), from greeting to close, in one fiber.
 *
 * State is grouped by lifetime and reset as one: connection, session (from EHLO), transaction (from
 * MAIL), command. Every command is a function that gets the session and its arguments and returns a
 * struct reply; the table in commands.c says which may come when.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/ip.h"
#include "mail/address.h"
#include "mail/mime.h"
#include "rt/stream.h"
#include "smtp/auth.h"
#include "smtp/backend.h"
#include "smtp/data_scan.h"
#include "smtp/header_filter.h"
#include "smtp/policy.h"
#include "smtp/reply.h"
#include "smtp/submission.h"

enum {
    /* A command line and what is made of it: its parsed address, a reply that quotes it. */
    SMTP_COMMAND_MAX_BYTES = 16 * 1024, /* what smtp.max_command_length can be at most */
    SMTP_COMMAND_ARENA_BYTES = 4 * SMTP_COMMAND_MAX_BYTES,
    /* What a transaction keeps of an address and its parameters: raw, local and domain, ORCPT in
     * two parts or ENVID twice. */
    SMTP_KEPT_ROUNDING_BYTES = 32, /* of one allocation: alignment and a NUL */
    SMTP_KEPT_ADDRESS_BYTES = ADDRESS_PATH_MAX_BYTES + ADDRESS_LOCAL_MAX_BYTES +
                              ADDRESS_DOMAIN_MAX_BYTES + 3 * SMTP_KEPT_ROUNDING_BYTES,
    SMTP_KEPT_RECIPIENT_BYTES = SMTP_KEPT_ADDRESS_BYTES + SMTP_ORCPT_MAX_BYTES +
                                sizeof(struct smtp_recipient) + 3 * SMTP_KEPT_ROUNDING_BYTES,
    SMTP_TRANSACTION_ARENA_BYTES = SMTP_KEPT_ADDRESS_BYTES + 2 * SMTP_ENVID_MAX_BYTES +
                                   SMTP_DATE_TIME_MAX_BYTES + 3 * SMTP_KEPT_ROUNDING_BYTES +
                                   SMTP_RECIPIENTS_MAX * SMTP_KEPT_RECIPIENT_BYTES,
    SMTP_TRACED_REFUSALS_MAX = 50,     /* of one session */
    SMTP_EXCESS_RECIPIENTS_MAX = 1000, /* refusals of one session beyond smtp.max_recipients */
};

/* The text of the transaction at hand: in memory, or in a spool once it has grown. */
struct smtp_intake {
    bool is_open;
    bool is_chunked; /* BDAT was used: DATA may not follow */
    uint64_t message_id;
    int64_t received_ms;
    uint32_t prefix_bytes;
    struct buf text;
    uint64_t spool;
    uint64_t bytes; /* as the client sent them; what counts for SIZE is scan.content_bytes */
    int error;      /* the first failure of the backend; the rest is read and dropped */
    bool is_too_big;
    struct data_scan scan;
    struct header_filter filter;
    struct smtp_submission submission;
    struct mime_scanner *mime;
    int64_t deadline_ms;
};

struct smtp_transaction {
    bool has_mail;
    bool is_over;    /* to be reset once its reply has been sent */
    bool is_counted; /* a recipient has been asked for, and with it the message's count */
    bool is_put_off; /* the peer has begun too many messages lately: no recipient is taken */
    struct arena arena;
    struct address sender;
    struct smtp_mail_params params;
    struct smtp_recipient *recipients;
    struct smtp_recipient **recipients_end;
    size_t recipient_count;
    struct smtp_intake intake;
};

struct tls_server;

struct smtp_session {
    /* connection */
    const struct smtp_backend *backend;
    const struct smtp_policy *policy;
    struct stream *stream;
    const bool *is_draining; /* the worker is about to stop */
    struct ip_addr peer;
    char peer_text[IP_TEXT_BYTES];
    char local_text[IP_TEXT_BYTES];
    uint64_t id;
    bool is_submission; /* mail from users, not from strangers */
    bool is_secure;     /* TLS */
    bool is_implicit;   /* from the first byte */
    struct smtp_auth auth;
    struct tls_server *tls; /* for STARTTLS; NULL: not offered */
    bool may_relay;
    bool has_ended;
    bool is_lost; /* it ended by the peer's silence or disappearance */
    unsigned command_count, error_count, transaction_count;
    unsigned traced_refusal_count, excess_recipient_count;
    /* session */
    bool has_hello, is_extended;
    char *helo; /* NULL before HELO */
    struct smtp_login login;
    /* transaction and command */
    struct smtp_transaction transaction;
    struct arena command_arena;
};

struct smtp_session_config {
    const struct smtp_backend *backend;
    const struct smtp_policy *policy;
    struct stream *stream; /* connected; the caller closes it */
    struct ip_addr peer;
    struct ip_addr local;
    bool is_submission;
    struct tls_server *tls; /* for STARTTLS; NULL: not offered. It must outlive the session */
    bool is_secure;         /* the stream is encrypted already */
    struct smtp_auth auth;
    const bool *is_draining;
};

/* Serves the connection to its end; the last reply may still be in the stream, which the caller
 * closes gently. Yields. */
void smtp_session_run(const struct smtp_session_config *config);

/* What the files of the session share. A line of at most `max_bytes`, without its end, valid until
 * the stream is read again. Yields. 0, or negative errno for smtp_explain_read. */
MUST_CHECK int smtp_read_line(struct smtp_session *s, size_t max_bytes, struct str *out_line);
/* What to say when no line came; code 0 when the peer is gone. */
struct reply smtp_explain_read(struct smtp_session *s, int error);
/* Sends a reply in the middle of a command, which is no refusal. Yields. 0 or negative errno. */
MUST_CHECK int smtp_send_now(struct smtp_session *s, const struct reply *reply);

/* Whether this is where users must encrypt before all else (RFC 3207 section 4), and this one has
 * not. */
bool smtp_lacks_tls(const struct smtp_session *s);
/* How many recipients a message may have. */
size_t smtp_max_recipients(const struct smtp_session *s);
/* Ends the transaction and forgets it (RSET, a new EHLO, after each message). */
void smtp_transaction_reset(struct smtp_session *s);
/* Nobody has logged in any more. */
void smtp_login_reset(struct smtp_session *s);
