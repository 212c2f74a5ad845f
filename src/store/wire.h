/*
 * What goes over the channel between workers and the store: verbs, requests, answers.
 *
 * Requests are structs of views; encoding copies, decoding points into the frame. Every decoder
 * takes bytes of strangers: bounds are checked, counts are limited, nothing is trusted.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/cursor.h"
#include "base/str.h"

enum store_verb {
    STORE_PING = 1,
    /* workers */
    STORE_SESSION_OPEN,
    STORE_SESSION_CLOSE,
    STORE_SESSION_LOGIN,  /* see auth_wire.h */
    STORE_SESSION_LOGOUT, /* the same */
    STORE_RECIPIENT_CHECK,
    STORE_SPOOL_OPEN,
    STORE_SPOOL_WRITE,
    STORE_SPOOL_DROP,
    STORE_DELIVER,
    STORE_TRACE_ADD,

    STORE_QUEUE_BEGIN, /* the outbound worker: see verb_queue.c and queue_wire.h */
    STORE_QUEUE_OPEN,
    STORE_QUEUE_WAIT,
    STORE_QUEUE_TAKE,
    STORE_QUEUE_READ,
    STORE_QUEUE_RESULT,
    STORE_QUEUE_CLOSE,
    STORE_QUEUE_ALARMS,
    STORE_QUEUE_REPORTS,
    STORE_QUEUE_REPORT,

    STORE_QUEUE_LIST, /* administrators: see verb_queue_admin.c */
    STORE_QUEUE_ACT,
    STORE_QUEUE_WHY,
    STORE_QUEUE_STATS,
    STORE_SUPPRESSION_LIST,
    STORE_SUPPRESSION_REMOVE,
    STORE_ACCOUNT_LANGUAGE,
    STORE_BAN_LIST, /* see verb_ban.c */
    STORE_BAN_ADD,
    STORE_BAN_REMOVE,
    /* the command line */
    STORE_STATUS,
    STORE_RELOAD,
    STORE_KEY_REPORTS, /* svc/key_report.h, as the master has sent them */
    STORE_DOMAIN_ADD,
    STORE_DOMAIN_LIST,
    STORE_DOMAIN_SET,
    STORE_DOMAIN_REMOVE,
    STORE_ACCOUNT_ADD,
    STORE_ACCOUNT_LIST,
    STORE_ACCOUNT_PASSWORD,
    STORE_ACCOUNT_REMOVE,
    STORE_ALIAS_ADD,
    STORE_ALIAS_LIST,
    STORE_ALIAS_REMOVE,
    STORE_MAILBOX_LIST,
    STORE_MESSAGE_LIST,
    STORE_MESSAGE_READ,
    STORE_MESSAGE_APPEND,
    STORE_MESSAGE_EXPUNGE,
    STORE_MESSAGE_UNDELETE,
    STORE_TRACE_QUERY,
    STORE_BACKUP_BEGIN,
    STORE_BACKUP_SEGMENTS,
    STORE_BACKUP_END,
    STORE_MAINTAIN,

    STORE_AUTH_PASSWORD, /* logins: see auth_wire.h and verb_auth.c */
    STORE_AUTH_SCRAM,
    STORE_AUTH_CRAM,
    STORE_AUTH_NOTE,
    STORE_AUTH_DELAY,
    STORE_AUTH_CODE,
    STORE_AUTH_OUTSIDE,
    STORE_SENDER_CHECK,
    STORE_ACCOUNT_SHOW, /* administrators: see verb_account.c, verb_second_factor.c */
    STORE_ACCOUNT_ENABLE,
    STORE_TOTP_SET,
    STORE_TOTP_CONFIRM,
    STORE_TOTP_REMOVE,
    STORE_TOTP_CHECK,
    STORE_RECOVERY_CODES,
    STORE_APP_PASSWORD_ADD,
    STORE_APP_PASSWORD_LIST,
    STORE_APP_PASSWORD_REMOVE,
    STORE_DELEGATE_ADD,
    STORE_DELEGATE_LIST,
    STORE_DELEGATE_REMOVE,
    STORE_ACCOUNT_LIMITS, /* see verb_limits.c */
    STORE_ACCOUNT_LIMIT_SET,
    STORE_ACCOUNT_SESSIONS, /* see verb_sessions.c */
    STORE_SESSION_LIST,     /* see auth_wire.h */
    STORE_AUTH_RENEW,       /* the store's own: no role may call it */
    STORE_AUTH_USED,        /* the same */
    STORE_DOMAIN_PRIMARY,   /* the same */
    STORE_AUTH_WHOSE,       /* the same: see verb_alarm.c */
    STORE_ALARM,            /* the same */
    STORE_LOGIN_NOTE,       /* the same: see verb_sessions.c */
    STORE_LOGIN_KNOWN,      /* the same */
    STORE_DROP_FILES,       /* the store's own: no role may call it */
    STORE_QUEUE_REROUTE,    /* the same */
    STORE_VERB_END,
};

enum {
    WIRE_RECIPIENTS_MAX = 1000,
    WIRE_INLINE_BODY_MAX_BYTES = 128 * 1024, /* larger bodies go through a spool file */
    WIRE_SPOOL_PIECE_BYTES = 128 * 1024,
    WIRE_DELIVER_MAX_BYTES = 1024 * 1024,
    WIRE_RELEASE_REQUEST_MAX_BYTES = 64,
    WIRE_ID_SKEW_MS = 7 * 24 * 3600 * 1000, /* how far an id's time may be from the store's */
};

/* The end of the year 9999: the last moment that RFC 3339 can write. */
#define WIRE_TIME_MAX_MS INT64_C(253402300799999)

/* Whether a worker may have made this id about now: ids order the rows and tell when they expire.
 */
bool wire_is_plausible_id(uint64_t id);

/* Why a session may not start; also the verdict of the store on its address. */
enum session_verdict {
    SESSION_WELCOME = 0,
    SESSION_TOO_MANY,
    SESSION_TOO_MANY_FROM_ADDRESS,
    SESSION_TOO_OFTEN, /* connections of late */
    SESSION_BANNED,
};

enum recipient_kind {
    RECIPIENT_LOCAL = 1,
    RECIPIENT_REMOTE,       /* not one of our domains */
    RECIPIENT_UNKNOWN_USER, /* our domain, nobody there */
    RECIPIENT_ALIAS_LOOP,
    RECIPIENT_SUPPRESSED, /* elsewhere, and refused there for good, again and again */
    RECIPIENT_TOO_OFTEN,  /* nothing was looked up: too many messages from the peer lately */
    RECIPIENT_BANNED,     /* the same: the peer was banned while it was connected */
};

enum message_flags { /* of message.flags; RFC 3501 section 2.3.2 */
                     MESSAGE_SEEN = 1,
                     MESSAGE_ANSWERED = 2,
                     MESSAGE_FLAGGED = 4,
                     MESSAGE_DELETED = 8,
                     MESSAGE_DRAFT = 16,
                     MESSAGE_FLAGS_ALL = 31,
};

enum deliver_flags {
    DELIVER_SMTPUTF8 = 1, /* RFC 6531: the next hop must support it too */
    DELIVER_8BIT = 2,
    DELIVER_BINARY = 4,
    /* The id is remembered while it is plausible, also when the message has left: -EEXIST if it
     * comes again. For who offers a message again after a crash. */
    DELIVER_ONCE = 16,
    DELIVER_NOTICE = 8,        /* one of our own notices: when it fails, postmaster hears of it */
    DELIVER_REQUIRETLS = 32,   /* RFC 8689: only over connections that are encrypted and verified */
    DELIVER_LONG_LINES = 128,  /* longer than MIME_LINE_MAX_BYTES */
    DELIVER_HAS_PRIORITY = 64, /* the sender asked for the priority (RFC 6710): it goes along */
};

enum deliver_by { /* bits of BY (RFC 2852 section 4): one of the first two, or 0: not given */
                  DELIVER_BY_NOTIFY = 1, /* not there in time: its sender is told */
                  DELIVER_BY_RETURN = 2, /* not there in time: it is returned, and not delivered */
                  DELIVER_BY_TRACE = 4,  /* its sender is told of every server that it reaches */
                  DELIVER_BY_ALL = 7,
};

enum deliver_notify { /* bits of NOTIFY, as smtp/params.h has them; 0: not given */
                      DELIVER_NOTIFY_NEVER = 1,
                      DELIVER_NOTIFY_SUCCESS = 2,
                      DELIVER_NOTIFY_FAILURE = 4,
                      DELIVER_NOTIFY_DELAY = 8,
};

enum {
    DELIVER_PRIORITY_MAX = 9,     /* from -9, last, to 9, first */
    DELIVER_BULK_RECIPIENTS = 50, /* more, and the message waits for others */
    DELIVER_BULK_PRIORITY = -2,
};

struct deliver_recipient {
    struct str local;  /* unquoted local part */
    struct str domain; /* A-labels */
    struct str orcpt;  /* "type;address" as given, or empty (RFC 3461 section 4.2) */
    uint8_t notify;    /* SMTP_NOTIFY_* bits, 0: not given */
    bool is_relay;     /* the worker allows it to leave */
};

/* A message and its envelope, handed over for good. */
struct deliver_request {
    uint64_t message_id;
    uint64_t session_id;
    int64_t received_ms;
    struct str peer;  /* address of the client, for the trace */
    struct str helo;  /* what it called itself */
    uint64_t account; /* who has logged in to send it, and his address; 0 and empty: nobody */
    struct str login;
    struct str sender; /* printed mailbox; empty: the null sender */
    struct str envid;
    uint8_t ret;
    uint8_t flags;
    int8_t priority;
    int64_t release_ms;         /* real time before which nobody gets it; 0: at once (RFC 4865) */
    struct str release_request; /* "for;3600" or "until;2026-11-21T09:30:00Z", as it was asked for;
                                   or empty */
    int64_t deliver_by_ms;      /* real time; 0 without `by` */
    uint8_t by;                 /* enum deliver_by bits */
    uint32_t prefix_bytes;      /* header lines for mailboxes only, at the start of the text */
    struct str summary;
    uint64_t spool;  /* 0: the text is inline */
    struct str text; /* empty when it is in a spool file */
    const struct deliver_recipient *recipients;
    size_t recipient_count;
};

/* A message for one mailbox, as it was elsewhere: import, later APPEND. */
struct append_request {
    uint64_t message_id;
    struct str account; /* address */
    struct str mailbox;
    uint32_t flags;
    struct str keywords; /* separated by spaces */
    int64_t received_ms;
    struct str summary;
    uint64_t spool;
    struct str text;
};

void wire_put_append(struct buf *out, const struct append_request *request);
MUST_CHECK int wire_get_append(struct cursor *c, struct append_request *out);

void wire_put_deliver(struct buf *out, const struct deliver_request *request);
/* All but the text, which follows it. */
void wire_put_deliver_head(struct buf *out, const struct deliver_request *request);
/* Recipients are allocated in the arena. 0 or -EBADMSG. */
MUST_CHECK int wire_get_deliver(struct cursor *c, struct arena *arena, struct deliver_request *out);
