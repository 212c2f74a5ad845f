/*
 * Delivery status notifications: the message that tells a sender what became of a mail (RFC 3464 in
 * RFC 6522; RFC 6533 when addresses need it; RFC 3834 against loops), with a part for people in
 * Japanese, English or both.
 *
 * Pure: the caller gathers the facts and gives room; nothing is sent here. Words of remote servers,
 * addresses and the original are data from strangers: they are cleaned and bounded.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/str.h"

enum dsn_action { /* RFC 3464 section 2.3.3 */
                  DSN_FAILED = 1,
                  DSN_DELAYED,
                  DSN_DELIVERED,
                  DSN_RELAYED,
                  DSN_EXPANDED,
};

enum dsn_language { /* bits; both: one after the other, Japanese first */
                    DSN_ENGLISH = 1,
                    DSN_JAPANESE = 2,
};

enum {
    DSN_RECIPIENTS_MAX = 100,            /* of one notice */
    DSN_ORIGINAL_MAX_BYTES = 256 * 1024, /* of what is returned: longer originals as header only */
    DSN_HEADER_MAX_BYTES = 64 * 1024,    /* of a header that is returned alone */
    DSN_MAX_BYTES = 1024 * 1024,         /* of the whole */
};

struct dsn_recipient {
    enum dsn_action action;
    struct str address;      /* printed mailbox, may be UTF-8 */
    struct str orcpt;        /* "type;xtext" as received, or empty */
    struct str status;       /* "5.1.1"; what is none becomes the class of the action */
    struct str remote_mta;   /* host name or literal of who spoke, or empty */
    struct str diagnostic;   /* "550 5.1.1 No such user": the remote's words, or our own reason */
    bool is_remote_words;    /* diagnostic is what remote_mta said (Diagnostic-Code: smtp; ...) */
    int64_t last_attempt_ms; /* real time; 0: none */
    int64_t will_retry_until_ms; /* of DSN_DELAYED; 0: unknown */
};

struct dsn {
    unsigned languages;         /* enum dsn_language bits; none: English */
    struct str reporting_mta;   /* our host name */
    struct str from;            /* MAILER-DAEMON@..., printed */
    struct str to;              /* whom it is for, printed mailbox; non-ASCII: needs is_utf8 */
    struct str message_id;      /* of the original in our queue, for the sender to quote */
    struct str notice_id;       /* of this notice: makes Message-ID and boundary */
    struct str envid;           /* decoded, or empty */
    int64_t arrival_ms, now_ms; /* real time; arrival 0: unknown */
    struct str release_request; /* Future-Release-Request of RFC 4865: "for;3600"; or empty */
    int64_t deliver_by_ms;      /* Deliver-By-Date of RFC 2852; 0: not asked for */
    bool is_utf8;               /* the notice may need SMTPUTF8 (RFC 6533 types) */
    bool is_for_postmaster; /* a double bounce: `to` is postmaster, sender and envelope are told */
    /* iconv may open its modules, so subjects in ISO-2022-JP can be shown: not in a sandboxed
     * process, unless the modules were loaded before. Subjects in UTF-8 are always shown. */
    bool may_load_charsets;
    struct str sender;   /* of the original; for postmaster's eyes; empty: the null sender */
    struct str original; /* header of the original, or all of it, with CR LF line ends */
    bool is_original_whole;
    const struct dsn_recipient *recipients; /* at least one, at most DSN_RECIPIENTS_MAX */
    size_t recipient_count;
};

/* What the notice needs of the way on. */
struct dsn_needs {
    bool is_8bit;     /* it has bytes >= 0x80: 8BITMIME, or mime_7bit.h */
    bool is_smtputf8; /* its own header has such bytes (To) or it has parts of RFC 6533 types */
};

/*
 * Appends the whole message with CR LF line ends, no line above 998 bytes. The buffer needs room
 * for DSN_MAX_BYTES.
 *
 * All of the original is returned only when a recipient failed (RFC 3461 section 6.2), when it is
 * not too long and has no line above 998 bytes, no NUL and no lone CR or LF, and when its header is
 * ASCII or the notice may be UTF-8; otherwise its header, encoded where that is needed. Without
 * is_utf8 everything is ASCII but for the body of an original that is returned whole.
 */
void dsn_print(const struct dsn *d, struct buf *out, struct dsn_needs *out_needs);

/* What a status means, for people: one sentence what happened and one how to mend it. Found by the
 * enhanced code (that of `status`, or if it says nothing that in the diagnostic), the basic code
 * and the words (as "quota" or "spam"); never NULL. `language` is one bit. The texts are constants,
 * the same pointer for the same reason. Also used by `hikyaku queue why` and the trace. */
struct dsn_reason {
    const char *meaning;
    const char *remedy; /* "" when there is nothing to do */
};
struct dsn_reason dsn_explain(struct str status, struct str diagnostic, enum dsn_language language);
