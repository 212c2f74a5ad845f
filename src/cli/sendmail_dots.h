/*
 * The old end of a message on sendmail's standard input: a line of a dot alone, unless -i says that
 * it is text. Pure; pieces of any size give the same result.
 */
#pragma once

#include <stdbool.h>

#include "base/buf.h"
#include "base/str.h"

struct sendmail_dots {
    bool is_text; /* dots are text */
    bool has_ended;
    enum { DOTS_LINE_START, DOTS_DOT, DOTS_DOT_CR, DOTS_TEXT } state;
};

/* Appends what is text: at most input.len + 2 bytes. After the end nothing is. */
void sendmail_dots_feed(struct sendmail_dots *d, struct str input, struct buf *out);
/* The input has ended: a last line of a dot alone that had no end ends the message as well. */
void sendmail_dots_finish(struct sendmail_dots *d, struct buf *out);
