/*
 * The text of a message on its way out: line ends repaired, dots stuffed (RFC 5321 sections 2.3.8
 * and 4.5.2). Pure; pieces of any size give the same bytes.
 *
 * A CR or LF by itself becomes CR LF: a peer must never see one, since it might take it for the end
 * of a line and so of the message. The last line is ended. Nothing else is changed; lines may be of
 * any length.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/str.h"

struct smtp_client_text {
    bool is_dotted;  /* for DATA; not for BDAT (RFC 3030) */
    bool is_in_line; /* the line at hand has bytes */
    bool has_cr;     /* a CR at the end of the last piece waits for its LF */
    uint64_t bytes;  /* put out so far */
};

void smtp_client_text_init(struct smtp_client_text *t, bool is_dotted);
/* Appends the piece to `out`, at most 2 * piece.len + 2 bytes. `out` may be NULL: only counts. */
void smtp_client_text_feed(struct smtp_client_text *t, struct str piece, struct buf *out);
/* Takes a leading part of the piece that can be sent as it is, without a copy: its length, or 0;
 * the rest is to be fed. */
size_t smtp_client_text_take_clean(struct smtp_client_text *t, struct str piece);
/* Ends the last line; at most 2 bytes. */
void smtp_client_text_finish(struct smtp_client_text *t, struct buf *out);
/* The bytes that a whole text will have. */
uint64_t smtp_client_text_count(bool is_dotted, struct str text);
