/*
 * The cached summary of a message: what IMAP's ENVELOPE and BODYSTRUCTURE need, with byte offsets
 * of every part, so that mailboxes are listed and parts are fetched without reading the message
 * again.
 *
 * Made while the message streams in (mime.h), by the worker that received it; kept as bytes beside
 * the body; printed by IMAP (RFC 3501 section 7.4.2, RFC 9051). Header values are kept as they
 * stand in the message, unfolded, without decoding.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/str.h"

enum { SUMMARY_MAX_BYTES = 64 * 1024, SUMMARY_MAX_PARTS = 1000, SUMMARY_MAX_DEPTH = 50 };

struct summary_mailbox { /* RFC 3501: (name adl mailbox host); group start and end as IMAP says */
    struct str name, adl, mailbox, host;
    bool has_name, has_adl, has_mailbox, has_host; /* absent prints as NIL */
    bool is_broken; /* there was a domain that cannot be read; not kept */
    struct summary_mailbox *next;
};

enum summary_list { /* address lists of the envelope, in IMAP's order */
                    SUMMARY_FROM,
                    SUMMARY_SENDER,
                    SUMMARY_REPLY_TO,
                    SUMMARY_TO,
                    SUMMARY_CC,
                    SUMMARY_BCC,
                    SUMMARY_LIST_COUNT,
};

struct summary_envelope {
    struct str date, subject, in_reply_to, message_id; /* ptr NULL: absent, prints as NIL */
    struct summary_mailbox *lists[SUMMARY_LIST_COUNT]; /* NULL: absent */
};

struct summary_param {
    struct str name, value;
    struct summary_param *next;
};

struct summary_part {
    struct str type, subtype;
    struct summary_param *params;
    struct str id, description, encoding, md5, location, disposition; /* ptr NULL: absent */
    struct summary_param *disposition_params;
    struct summary_param *languages;      /* names only */
    uint64_t header_offset, header_bytes; /* of the MIME header (of the message for the root) */
    uint64_t body_offset, body_bytes;     /* after the header's empty line */
    uint64_t body_lines;
    struct summary_envelope *envelope; /* root and the message inside message/rfc822 */
    struct summary_part *children; /* of multipart; of message/rfc822: one, the message's root */
    struct summary_part *next;
};

/* Appends the encoded form. When it would pass SUMMARY_MAX_BYTES, parameters and deep parts are
 * left out rather than the whole; the root part and the envelope always stay. */
void summary_encode(const struct summary_part *root, struct buf *out);
/* Reads what summary_encode wrote, into `arena`. 0 or -EBADMSG. Never trusts the bytes: what does
 * not fit into the arena is refused as well; 4 MiB hold all that fits into SUMMARY_MAX_BYTES. */
MUST_CHECK int summary_decode(struct str bytes, struct arena *arena,
                              struct summary_part **out_root);

/* IMAP texts: the parenthesised ENVELOPE; BODY (is_extended false) or BODYSTRUCTURE. Strings that
 * cannot be quoted go out as literals. */
void summary_print_envelope(const struct summary_envelope *envelope, struct buf *out);
void summary_print_body(const struct summary_part *root, bool is_extended, struct buf *out);

/* The part that a section number like "2.1" names (RFC 3501 section 6.4.5), or NULL. */
const struct summary_part *summary_find(const struct summary_part *root, struct str section);
