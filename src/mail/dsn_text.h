/*
 * The part of a notice that people read: plain text in Japanese, English or both (dsn.h).
 *
 * Both languages stand in one text, Japanese first, and not in a multipart/alternative: its parts
 * are versions of one thing of which a reader shows one, by its type and not by its language, so
 * half of the readers would see the wrong one and some archives would keep neither.
 */
#pragma once

#include <stdbool.h>

#include "base/buf.h"
#include "base/str.h"
#include "mail/dsn.h"

enum {
    DSN_SUBJECT_MAX_BYTES = 240,     /* of the original's subject that is shown */
    DSN_QUOTE_MAX_BYTES = 400,       /* of a server's words that are shown */
    DSN_ADDRESS_MAX_BYTES = 320,     /* of an address; RFC 5321 allows 254 */
    DSN_TEXT_MAX_BYTES = 300 * 1024, /* of the whole text */
};

/* Appends the subject of the notice, UTF-8. */
void dsn_text_subject(const struct dsn *d, struct buf *out);
/* Appends the text, UTF-8 with CR LF line ends, lines of about 72 columns. At most
 * DSN_RECIPIENTS_MAX recipients. */
void dsn_text_print(const struct dsn *d, struct buf *out);

/* Appends at most `max_bytes` of a stranger's text on one line: line ends and tabs become spaces;
 * control characters, what is not UTF-8 and characters that turn the direction of writing become
 * U+FFFD. With is_ascii everything outside of ASCII becomes '?', a byte for each character. */
void dsn_text_clean(struct str text, size_t max_bytes, bool is_ascii, struct buf *out);
