/*
 * Content transfer encodings in the writing direction (RFC 2045 sections 6.7 and 6.8), and encoded
 * words of header fields (RFC 2047).
 *
 * The encoders take pieces of any size and keep no more than three bytes between them; what comes
 * out does not depend on how the bytes were cut. CR LF is a line end to quoted-printable; a lone CR
 * or LF is a byte like others, so that decoding gives back what was there. No line begins with
 * "--", so that none can be taken for a boundary. Decoding of header text is encoded_word.h.
 */
#pragma once

#include <stdbool.h>

#include "base/buf.h"
#include "base/str.h"

enum transfer_encoding {
    TRANSFER_QUOTED_PRINTABLE,
    TRANSFER_BASE64,
};

enum {
    TRANSFER_LINE_MAX_BYTES = 76, /* of what is written, without CR LF */
    TRANSFER_EXPANSION_MAX = 4,   /* bytes out for each byte in, soft line ends included */
};

struct transfer_encoder {
    enum transfer_encoding encoding;
    size_t column;
    bool begins_with_dash; /* the line that is being written */
    size_t held_count;
    unsigned char held[3];
};

void transfer_init(struct transfer_encoder *e, enum transfer_encoding encoding);
/* Appends what is certain by now: at most TRANSFER_EXPANSION_MAX * (piece.len + 3) bytes. */
void transfer_put(struct transfer_encoder *e, struct str piece, struct buf *out);
/* Appends what was held back. No line end is added: the one before a boundary is the boundary's. */
void transfer_finish(struct transfer_encoder *e, struct buf *out);
/* "quoted-printable" or "base64". */
const char *transfer_name(enum transfer_encoding encoding);

/* Appends valid UTF-8 text as encoded words, none above 62 bytes, folded between them: fits behind
 * a field name of at most 12 bytes. ASCII text goes out as it stands; it must be short. */
void transfer_put_words(struct str text, struct buf *out);
