/*
 * Header blocks as RFC 5322 writes them: walking the fields, unfolding a body, and the lexical
 * elements that structured fields share (CFWS, comments, quoted strings).
 *
 * Views only, no allocation but in the arena given; broken lines are shown, never refused. A line
 * ends with LF or CRLF. Bytes from 0x80 on are text (RFC 6532).
 */
#pragma once

#include <stdbool.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/cursor.h"
#include "base/str.h"

struct header_field {
    struct str name; /* without the white space that obsolete syntax allows before the colon */
    struct str body; /* after the colon, folds as they stand, without the last line end */
    struct str raw;  /* all of it with the last line end */
    bool is_field;   /* false: no colon, or no name before it; then name is empty */
};

/* Takes the next field from the front of *block. False at the end or at the empty line, which stays
 * in *block. */
bool header_next(struct str *block, struct header_field *out_field);
/* Whether the line head has a field name before a colon; the name without trailing white space. */
bool header_cut_name(struct str line, struct str *out_name, struct str *out_rest);

/* One line in `arena`, for machines: white space before the text and all line ends dropped (RFC
 * 5322 section 2.2.3), nothing else changed. */
struct str header_unfold(struct str body, struct arena *arena);
/* One line in `arena`, for people: each run of white space and line ends is one space, none at the
 * start and end. */
struct str header_unfold_text(struct str body, struct arena *arena);

/* Skips white space and comments (nested ones too). False when a comment does not end. Each comment
 * replaces the text in `comment`, unescaped, if that is not NULL. */
bool header_skip_cfws(struct cursor *c, struct buf *comment);
/* At '"': appends the unescaped text. False when the closing quote is missing. */
bool header_take_quoted(struct cursor *c, struct buf *text);
