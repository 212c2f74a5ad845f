/*
 * Replies of a server, read line by line (RFC 5321 section 4.2). Pure.
 *
 * Takes what RFC 5321 tells clients to take: replies of many lines, codes without text, any code
 * whose first digit is 2 to 5. Refuses everything else. The words are strangers' data: they are cut
 * and made printable here, so that they may go into logs, rows and notices.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"
#include "smtp/client.h"

struct smtp_reply_reader {
    uint16_t code; /* of the first line; 0 before it */
    unsigned line_count;
    struct str words; /* of the line taken last: what follows code and separator; points into it */
    char enhanced[SMTP_CLIENT_ENHANCED_BYTES];
    size_t text_len;
    char text[SMTP_CLIENT_TEXT_MAX_BYTES]; /* of all lines, clean; not NUL-terminated */
};

void smtp_reply_begin(struct smtp_reply_reader *r);
/* Takes one line, with or without its line end. 1: the reply is complete; 0: more lines follow;
 * -EPROTO: not a reply; -EMSGSIZE: more than SMTP_CLIENT_LINES_MAX lines. */
MUST_CHECK int smtp_reply_take_line(struct smtp_reply_reader *r, struct str line);

/* Copies words of a stranger, at most `max_bytes` and whole characters: control characters (also
 * those of Unicode's second set) and what is not UTF-8 become '?', a tab a blank. Returns the bytes
 * written. */
size_t smtp_reply_clean(struct str words, char *out, size_t max_bytes);
