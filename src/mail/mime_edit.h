/*
 * Edits of a message: places in it, in ascending order, and what is done to the bytes there, while
 * it goes by in pieces. Knows encodings and lines, but nothing of the message's structure.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/str.h"
#include "mail/transfer.h"

enum mime_edit_action {
    EDIT_NONE,
    EDIT_DROP,
    EDIT_ENCODE,
    EDIT_MASK,   /* 8-bit bytes become '*', which no boundary has (RFC 2046 section 5.1.1) */
    EDIT_ESCAPE, /* 8-bit bytes of quoted-printable become =XX */
    EDIT_FILTER, /* base64: what is not of its alphabet means nothing (RFC 2045 section 6.8) */
    EDIT_REWRAP, /* the same, and its lines are made anew */
    EDIT_BREAK,  /* long lines are broken */
    EDIT_FOLD,   /* a line end before the space that is here */
};

struct mime_edit {
    uint64_t start, end;
    enum mime_edit_action action;
    enum transfer_encoding encoding;
    bool breaks_lines;     /* EDIT_MASK, EDIT_ESCAPE */
    bool is_encoding;      /* of a Content-Transfer-Encoding field */
    const char *field;     /* Content-Transfer-Encoding to write at the start, or NULL */
    bool has_mime_version; /* write MIME-Version too */
};

struct mime_editor {
    const struct mime_edit *edits;
    size_t count, next;
    uint64_t bytes, pushed; /* in all; so far */
    bool is_editing;
    size_t column; /* of a line that is mended */
    unsigned escape_left;
    bool begins_with_dash;
    struct transfer_encoder encoder;
};

/* The edits must outlive the editor, which owns nothing; `bytes` is the length of the message. */
void mime_editor_init(struct mime_editor *m, const struct mime_edit *edits, size_t count,
                      uint64_t bytes);
/* Appends to `out` what becomes of the piece, as far as it is certain by now. */
void mime_editor_push(struct mime_editor *m, struct str piece, struct buf *out);
/* Appends the rest; all bytes must have been pushed. */
void mime_editor_finish(struct mime_editor *m, struct buf *out);
