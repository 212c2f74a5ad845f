/*
 * Streaming MIME scanner: a message goes in as pieces of any size, its structure comes out.
 *
 * Memory is bounded and independent of the message's length: only header fields that the summary
 * needs are kept, up to limits; past a limit the rest is counted but not described, never refused.
 * Works on bytes with CRLF line ends, as they are stored; a bare LF is taken as a line end as well.
 * Never fails: what is broken is described the way IMAP servers do (text/plain).
 */
#pragma once

#include <stdint.h>

#include "base/arena.h"
#include "base/str.h"
#include "mail/summary.h"

/* RFC 5321 section 4.5.3.1.6: with CRLF and without. */
enum { MIME_LINE_MAX_BYTES = 1000, MIME_LINE_TEXT_MAX_BYTES = 998 };

struct mime_scanner;

/* What SMTP wants to know of the outermost header. */
struct mime_facts {
    uint32_t received_count;     /* Received fields (RFC 5321 section 6.3) */
    uint64_t header_bytes;       /* up to and with the empty line; all when there is none */
    bool has_header_8bit;        /* a byte >= 0x80 in the outermost header (needs SMTPUTF8) */
    uint64_t longest_line_bytes; /* of all lines, with the line end; known after finish */
    bool has_from, has_date, has_message_id;
    bool has_bad_header_line; /* a header line that is neither field, continuation nor "From " */
};

struct mime_scanner *mime_scanner_new(void);
void mime_scanner_free(struct mime_scanner *s);
void mime_scanner_feed(struct mime_scanner *s, struct str piece);
/* Ends the message. The tree lives in the scanner until it is freed. */
struct summary_part *mime_scanner_finish(struct mime_scanner *s);
/* Valid for the outermost header once it has ended, and after finish. */
const struct mime_facts *mime_scanner_facts(const struct mime_scanner *s);
