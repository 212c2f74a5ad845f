/*
 * What an SMTP server session asks of the rest of the server. The worker connects it to the store;
 * the session knows neither processes nor rows. All functions Yield unless they say otherwise.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/ip.h"
#include "base/str.h"
#include "mail/address.h"
#include "smtp/params.h"
#include "smtp/reply.h"

/* Who has logged in. */
struct smtp_login {
    uint64_t account;     /* 0: nobody */
    int64_t app_password; /* by which; 0: otherwise */
    int64_t epoch;        /* of the account's password; the backend's */
    int64_t since_ms;     /* when it began: real time */
    char *address;        /* of the account, printed; NULL: nobody */
    char *mechanism;
    const char *protocol; /* by which users send here: "submission", "submissions" */
};

/* Who is banned hears it, at the greeting or later. */
#define SMTP_BANNED_TEXT "Your address is banned here; ask the postmaster of this server"

enum smtp_destination {
    SMTP_DESTINATION_LOCAL = 1,
    SMTP_DESTINATION_REMOTE,
    SMTP_DESTINATION_UNKNOWN_USER,
    SMTP_DESTINATION_LOOP,       /* aliases that lead to each other */
    SMTP_DESTINATION_SUPPRESSED, /* elsewhere, and refused there for good, again and again */
    SMTP_DESTINATION_TOO_OFTEN,  /* not looked up: the peer has begun too many messages lately */
    SMTP_DESTINATION_BANNED,     /* the same: the peer was banned meanwhile */
};

struct smtp_recipient {
    struct address address;
    struct smtp_rcpt_params params;
    bool is_relay;
    struct smtp_recipient *next;
};

/* A complete message with its envelope. */
struct smtp_message {
    uint64_t id;
    uint64_t session_id;
    int64_t received_ms;
    struct str peer_text;
    struct str helo;
    uint64_t account; /* who logged in and his address; 0 and empty: nobody */
    struct str login;
    const struct address *sender;
    const struct smtp_mail_params *params;
    const struct smtp_recipient *recipients;
    size_t recipient_count;
    uint32_t prefix_bytes; /* header lines for mailboxes only, at the start of the text */
    struct str summary;
    uint64_t spool; /* 0: the text is here */
    struct str text;
    bool has_8bit;
    bool has_long_lines; /* longer than MIME_LINE_MAX_BYTES */
    bool is_once;        /* it may be given again under this id; then deliver says -EEXIST */
};

enum {
    SMTP_RECIPIENTS_MAX = 1000, /* of one message, whatever the settings say */
    SMTP_TRACE_TEXT_BYTES = 100,
};

/* How mail was not taken, for the trace: "refused", or "lost" when the connection ended in the
 * middle of a transaction. */
struct smtp_refusal {
    const char *event;
    uint64_t ref; /* message id if one was given, else the session's */
    uint64_t session_id;
    const struct reply *reply; /* of "refused" */
    const char *stage;         /* the command */
    uint64_t bytes;            /* of "lost": of the message so far */
    size_t recipient_count;    /* of "lost" */
    struct str peer_text;
    struct str helo;      /* at most SMTP_TRACE_TEXT_BYTES */
    struct str sender;    /* the same */
    struct str login;     /* the account's address, or empty */
    struct str recipient; /* of "lost": the first one, if there is any */
};

struct smtp_backend {
    void *arg;
    /* Messages get the ids by which they are known later on: neither replies nor Received fields
     * name those of make_id. */
    bool has_no_names;
    /* An id for a session or message. Does not yield. */
    uint64_t (*make_id)(void *arg);
    /* Where the address leads. It counts as a message that the peer begins; NULL: nothing is
     * counted. 0 or negative errno: -ENOSPC when new mail cannot be taken now. */
    int (*find_recipient)(void *arg, const struct address *address, const struct ip_addr *peer,
                          enum smtp_destination *out);
    /* A place for a text that is too long to hold in memory. 0 or negative errno. */
    int (*spool_open)(void *arg, uint64_t *out_spool);
    int (*spool_write)(void *arg, uint64_t spool, struct str piece);
    void (*spool_drop)(void *arg, uint64_t spool); /* does not yield */
    /* Takes responsibility for the message: 0 only when it is durable. The spool is used up either
     * way. -ENOSPC, -ENOENT (a recipient is gone), -E2BIG, other negative errno. */
    int (*deliver)(void *arg, const struct smtp_message *message);
    /* Whether who has logged in may send in the name of the address (NULL: at all): 1; 0, then
     * out_own names the addresses that he may use, with ", " between them, as far as there is room;
     * -EACCES: the login does not hold any more; other negative errno. */
    int (*may_send_as)(void *arg, const struct smtp_login *login, const struct address *address,
                       struct buf *out_own);
    /* Records that a session has logged in, and that this login has ended. Do not yield. */
    void (*logged_in)(void *arg, uint64_t session, const struct ip_addr *peer,
                      const struct smtp_login *login);
    void (*logged_out)(void *arg, uint64_t session);
    /* Records a refusal or a loss. Does not yield. */
    void (*refused)(void *arg, const struct smtp_refusal *refusal);
};

enum {
    SMTP_INLINE_MAX_BYTES = 128 * 1024, /* above it, the text goes to a spool */
    SMTP_SPOOL_PIECE_BYTES = 96 * 1024,
};
