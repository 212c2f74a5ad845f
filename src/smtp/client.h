/*
 * The sending side of SMTP (RFC 5321): one connection to one server, one transaction after another,
 * in one fiber.
 *
 * Knows neither queue nor DNS: it gets a connected socket, an envelope and a source of bytes, and
 * says what the peer answered to each recipient. PIPELINING (2920), SIZE (1870), 8BITMIME (6152),
 * SMTPUTF8 (6531), DSN (3461), CHUNKING (3030), ENHANCEDSTATUSCODES (2034), LIMITS (9422),
 * DELIVERBY (2852), MT-PRIORITY (6710), REQUIRETLS (8689) are used when the peer offers them,
 * STARTTLS (3207) and AUTH (4954) as the caller wishes.
 * Replies are bounded in line length, lines and bytes; a peer that breaks the protocol costs its
 * connection and no more.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/str.h"
#include "rt/stream.h"

enum {
    SMTP_CLIENT_LINE_MAX_BYTES = 4096, /* of a reply; RFC 5321 says 512, its extensions more */
    SMTP_CLIENT_LINES_MAX = 200,       /* of a reply */
    SMTP_CLIENT_TEXT_MAX_BYTES = 1000, /* of a reply's text that are kept */
    SMTP_CLIENT_ENHANCED_BYTES = 12,   /* "5.123.123" and a NUL */
    SMTP_CLIENT_PIECE_MAX_BYTES = 128 * 1024,
    SMTP_CLIENT_ADDRESS_MAX_BYTES = 1024, /* longer ones are not sent: no address has so many */
    SMTP_CLIENT_NAME_BYTES = 256,         /* of what a peer calls itself, and a NUL */
    SMTP_CLIENT_TLS_BYTES = 128,          /* of what describes the encryption, and a NUL */
};

enum smtp_client_extension { /* bits */
                             SMTP_EXT_PIPELINING = 1,
                             SMTP_EXT_SIZE = 2,
                             SMTP_EXT_8BITMIME = 4,
                             SMTP_EXT_SMTPUTF8 = 8,
                             SMTP_EXT_DSN = 16,
                             SMTP_EXT_CHUNKING = 32,
                             SMTP_EXT_ENHANCED = 64,
                             SMTP_EXT_STARTTLS = 128,
                             SMTP_EXT_AUTH = 256,
                             SMTP_EXT_BINARYMIME = 512,
                             SMTP_EXT_DELIVERBY = 1024,
                             SMTP_EXT_MT_PRIORITY = 2048,
                             SMTP_EXT_REQUIRETLS = 4096,
};

enum smtp_client_stage { /* where a reply, or the lack of one, belongs */
                         SMTP_CLIENT_CONNECT,
                         SMTP_CLIENT_GREETING,
                         SMTP_CLIENT_EHLO,
                         SMTP_CLIENT_TLS, /* STARTTLS and the handshake */
                         SMTP_CLIENT_AUTH,
                         SMTP_CLIENT_MAIL,
                         SMTP_CLIENT_RCPT,
                         SMTP_CLIENT_DATA, /* the DATA command */
                         SMTP_CLIENT_BODY, /* while the text is sent, and its final reply; BDAT */
                         SMTP_CLIENT_RSET,
                         SMTP_CLIENT_QUIT,
};
/* "connect", "greeting", "EHLO", ..., "end of data". */
const char *smtp_client_stage_name(enum smtp_client_stage stage);

/* What the peer said, or how it failed to say anything. */
struct smtp_client_reply {
    enum smtp_client_stage stage;
    uint16_t code;                             /* 200 to 599; 0: there was no reply, see error */
    char enhanced[SMTP_CLIENT_ENHANCED_BYTES]; /* as the peer said it, "" if it did not, or if its
                                                  class is not that of the code */
    struct str text;    /* without codes, lines separated by \n, printable: control characters and
                           broken UTF-8 are replaced; in the arena */
    bool is_local;      /* the words are our own: the peer was not asked */
    bool is_about_host; /* with is_local: another host of the destination may do better */
    /* -ETIMEDOUT; -ECONNRESET (also a plain close); -EPROTO: not SMTP, or an answer that makes no
     * sense here, such as 354 to RCPT; -EMSGSIZE: a reply without bounds; -ECANCELED; other errno
     * of the socket or of the source of the text; 0 when there was a reply. */
    /* With stage SMTP_CLIENT_TLS, -ENOTSUP: not offered. At that stage and SMTP_CLIENT_AUTH text
     * may say what went wrong; with -EPROTO it is what the peer said instead of a reply. */
    int error;
};

struct smtp_client_timeouts { /* ms; RFC 5321 section 4.5.3.2 */
    int64_t greeting, command, data, block, final;
};

struct tls_client;

/* Each demands what those before it do. */
enum smtp_client_tls {
    SMTP_CLIENT_TLS_NEVER,
    SMTP_CLIENT_TLS_IF_OFFERED, /* whoever the peer is; if the handshake fails, has_failed_tls */
    SMTP_CLIENT_TLS_REQUIRE,
    SMTP_CLIENT_TLS_VERIFY, /* and the certificate is for tls_name, from an authority we trust */
};

struct smtp_client_config {
    const char *ehlo_name; /* a host name or a literal */
    enum smtp_client_tls tls_policy;
    struct tls_client *tls;        /* unless it is NEVER; must outlive the client */
    const char *tls_name;          /* the peer's host name */
    struct str username, password; /* to log in with; empty: not. They must outlive the open */
    bool is_tls_at_once; /* without STARTTLS, from the first byte (RFC 8314 section 3.3) */
    struct smtp_client_timeouts timeouts;
    /* Offers that are not to be used, for peers known to break them. */
    unsigned distrusted; /* enum smtp_client_extension bits */
    /* Say HELO at once: for the second try with a peer that closed its connection on EHLO. */
    bool only_helo;
};

struct smtp_client {
    struct stream stream;
    const struct smtp_client_config *config;
    unsigned extensions;      /* enum smtp_client_extension, of the peer, without distrusted ones */
    unsigned auth_mechanisms; /* SASL_SET bits of those it offers that we know */
    uint64_t max_size;        /* 0: unknown (RFC 1870) */
    uint32_t max_recipients;  /* RFC 9422 RCPTMAX; 0: unknown */
    uint32_t max_messages;    /* RFC 9422 MAILMAX; 0: unknown */
    uint32_t min_by_s;        /* RFC 2852: less is refused in mode R; 0: unknown or none */
    uint32_t messages;        /* transactions that were begun */
    bool is_esmtp;            /* EHLO was accepted */
    bool is_usable;          /* false: the connection has failed or was closed; do not send again */
    bool may_quit;           /* commands and replies are in step: QUIT makes sense */
    bool has_dropped_output; /* commands or text that never went out */
    bool is_secure;          /* TLS */
    bool is_verified;        /* and the peer's certificate is for its name */
    bool has_failed_tls;     /* the handshake failed: without it, this peer may be reached */
    char peer_name[SMTP_CLIENT_NAME_BYTES]; /* as its greeting or EHLO reply says, cleaned */
};

/* Takes over a connected non-blocking socket; reads the greeting, says EHLO (HELO when that is
 * refused with 5xx, on the same connection, RFC 5321 sections 3.2 and 4.1.1.1). Yields.
 * `config` must outlive the client. 0: ready for transactions; -1: *out says why not, its text in
 * the arena; smtp_client_close is needed in both cases. A greeting of 554 or 421, or 4xx/5xx in
 * general, is an answer of the peer and comes back as such. The arena needs
 * smtp_client_arena_bytes(0). */
MUST_CHECK int smtp_client_open(struct smtp_client *c, int fd,
                                const struct smtp_client_config *config, struct arena *arena,
                                struct smtp_client_reply *out);

/* How the connection is encrypted, for the trace: "none", "TLSv1.3, TLS_AES_256_GCM_SHA384,
 * verified". */
void smtp_client_describe_tls(const struct smtp_client *c, char out[SMTP_CLIENT_TLS_BYTES]);

struct smtp_client_recipient {
    struct str address; /* printed mailbox (address_print), without brackets */
    struct str orcpt;   /* "type;xtext" as received, or empty */
    uint8_t notify;     /* SMTP_NOTIFY_* bits, 0: not given */
};

struct smtp_client_message {
    struct str sender; /* printed mailbox; empty: null */
    uint64_t size;     /* bytes of the text, for SIZE=; an estimate is good enough; 0: unknown */
    bool has_8bit;     /* declare BODY=8BITMIME if the peer offers it. The caller has looked at
                          `extensions` and gives a source that is fit for the peer. */
    bool is_utf8;      /* SMTPUTF8 on MAIL; the caller has checked that the peer offers it */
    uint8_t ret;       /* SMTP_RET_* (smtp/params.h), 0: not given */
    struct str envid;  /* as received in xtext, or empty */
    uint8_t by;        /* SMTP_BY_* (smtp/params.h), 0: not given */
    bool by_has_trace;
    int64_t by_s; /* what is left of the time; at most SMTP_SECONDS_MAX either way */
    bool has_priority;
    int8_t priority;    /* -9 to 9 */
    bool is_requiretls; /* the caller has seen to it that the peer is worth it */
    const struct smtp_client_recipient *recipients; /* at least one */
    size_t recipient_count;
    /* The next piece of the text, in any line format: bare CR and LF become CR LF, the last line is
     * ended. SMTP_CLIENT_PIECE (1) and a view valid until the next call, at most
     * SMTP_CLIENT_PIECE_MAX_BYTES; SMTP_CLIENT_LAST_PIECE (2), the same, and there are no more: it
     * spares a copy and a call where CHUNKING is used; 0 at the end; negative errno: the
     * transaction cannot go on and the connection is given up without ending the text. Not called
     * again after 0, 2 or an error. May be called before MAIL is sent. May yield. */
    int (*next_piece)(void *arg, struct str *out_piece);
    /* Called once, directly before the bytes are sent after which the peer may take responsibility:
     * the final dot, or BDAT LAST, which may go out in one flight with the envelope. Not called
     * when it does not come to that. Negative errno: as above. May yield. */
    int (*before_end)(void *arg);
    void *arg;
};

enum { SMTP_CLIENT_PIECE = 1, SMTP_CLIENT_LAST_PIECE = 2 };

/* What became of one transaction. */
struct smtp_client_outcome {
    /* One per recipient, in order: the reply that decides about it. code 200 to 299 only when the
     * peer has taken responsibility for this recipient. When MAIL was refused, or DATA, or the
     * final reply, that reply; when the connection failed, its error and stage; a recipient refused
     * at RCPT keeps that refusal. Too large for the peer's SIZE: 552 5.3.4 of our own, at MAIL. */
    struct smtp_client_reply *recipients;
    size_t accepted; /* recipients with 2xx at the end */
    /* The connection ended, timed out or spoke nonsense after the end of the text had been sent and
     * before the final reply: nobody knows whether the peer has it. */
    bool is_unknown;
};

/* What a call needs of its arena at most, for so many recipients. */
size_t smtp_client_arena_bytes(size_t recipient_count);

/* Sends one message. Yields. Texts and the outcome's array are in the arena, which needs
 * smtp_client_arena_bytes(recipient_count). 0 whenever there is an outcome, also one of failure;
 * then is_usable says whether the connection can go on (after 421, an error of the protocol or of
 * the source it cannot); -ECANCELED when the fiber is to end: there is an outcome then too. */
MUST_CHECK int smtp_client_send(struct smtp_client *c, const struct smtp_client_message *message,
                                struct arena *arena, struct smtp_client_outcome *out);

/* Whether an idle connection is still good: the peer has neither closed it nor said anything (such
 * as 421). Does not yield. */
bool smtp_client_is_alive(const struct smtp_client *c);
/* Says QUIT if the connection is usable, waits a little for the answer, closes. Yields. Safe after
 * a failed open. */
void smtp_client_close(struct smtp_client *c);
/* The same without waiting for the answer: for an idle connection whose place is needed now. Does
 * not yield. */
void smtp_client_leave(struct smtp_client *c);
