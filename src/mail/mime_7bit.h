/*
 * Makes a message fit for the way: of 7 bits, for servers without 8BITMIME (RFC 6152 section 3),
 * and without lines of more than MIME_LINE_MAX_BYTES (RFC 5321 section 4.5.3.1.6), streaming and in
 * two passes over the same bytes: the first finds the parts and what must change, the second
 * changes it. Memory is bounded by the number of parts, not by the message's length.
 *
 * - Bodies with bytes >= 0x80 become quoted-printable (text that is mostly ASCII) or base64 (the
 *   rest); so do bodies declared as binary. What is declared as encoded already and has such bytes
 *   all the same is mended so that it decodes to the same.
 * - Multiparts and message/rfc822 that were declared 8bit or binary are declared 7bit. A
 *   message/global is encoded as a whole (RFC 6532 section 3.7).
 * - In the text around the parts of a multipart, which nobody is shown (RFC 2046 section 5.1.1),
 * such bytes become '*'.
 * - Bodies with too long lines are encoded, or those lines of what is encoded already made anew;
 *   header lines are folded at a space; loose text of a multipart is broken. That is not done at
 * the cost of a signature (multipart/signed, DKIM-Signature), nor to reports: such lines are left.
 * - All else is left as it is, byte for byte.
 *
 * Bytes >= 0x80 in a header are left, as other relays leave them: either it is SMTPUTF8's matter,
 * and the caller's, or an old program forgot to encode its words, and servers that would mind are
 * rarer still.
 *
 * Refuses: unknown encodings with bytes >= 0x80, more parts than the scanner knows. RFC 1847
 * section 2.1 wants signed parts left alone on their way and signers to send 7 bits only; the
 * conversion tells when it breaks a signature, so that the caller may refuse.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/str.h"

/* What one push, or finish with 0, may append at most: encoded bytes, and fields for many small
 * parts. A usual message grows to 1.4 times its size, the worst text to 3.2 times. */
#define MIME_7BIT_OUT_MAX(piece_bytes) (16 * (piece_bytes) + 512)

struct mime_7bit;

/* Known after mime_7bit_decide. */
struct mime_7bit_facts {
    uint64_t bytes_8bit;     /* bytes >= 0x80 */
    bool has_header_8bit;    /* some of them in a header, of any part */
    bool breaks_signature;   /* a converted part lies in a multipart/signed */
    bool has_dkim_signature; /* the outermost header has a DKIM-Signature, which will not verify */
    bool has_long_lines_left;
};

enum mime_7bit_wants {
    MIME_7BIT_BYTES = 1, /* no bytes >= 0x80 */
    MIME_7BIT_LINES = 2, /* no long lines, where it can be had */
};

/* `wants`: bits, 0 to look only. */
struct mime_7bit *mime_7bit_new(unsigned wants);
void mime_7bit_free(struct mime_7bit *m);

/* First pass: all of the message in pieces of any size, then decide once. */
void mime_7bit_look(struct mime_7bit *m, struct str piece);
/* 0: nothing needs to change; 1: can be converted; -EILSEQ: cannot, reply 5.6.3; -EMSGSIZE: cannot,
 * too many parts (5.6.3). */
MUST_CHECK int mime_7bit_decide(struct mime_7bit *m);
const struct mime_7bit_facts *mime_7bit_facts(const struct mime_7bit *m);

/* Second pass, after decide said 1 (after 0 the bytes are copied): the same bytes again, cut in any
 * way; appends to `out` what is ready. */
void mime_7bit_push(struct mime_7bit *m, struct str piece, struct buf *out);
void mime_7bit_finish(struct mime_7bit *m, struct buf *out);
