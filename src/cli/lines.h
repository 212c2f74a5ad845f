/*
 * Line ends, piece by piece: mail is kept with CRLF, files of Unix have LF.
 */
#pragma once

#include <stdbool.h>

#include "base/buf.h"
#include "base/str.h"

/* Zero it before each message. */
struct lines {
    bool has_cr; /* the last byte was a CR whose fate is not known yet */
};

/* Appends the piece with every CRLF as LF. A CR at its end waits for the next piece. */
void lines_put_lf(struct lines *l, struct str piece, struct buf *out);
/* The CR that waited, when nothing follows it. */
void lines_end_lf(struct lines *l, struct buf *out);
/* Appends the piece with every LF as CRLF; CRLF stays what it is. */
void lines_put_crlf(struct lines *l, struct str piece, struct buf *out);
