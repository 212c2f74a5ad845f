/*
 * Finds, in one pass over many bytes at once, how much of a text is what nearly all mail is: whole
 * lines that end in CR LF, with no CR, LF or NUL by itself. What is found can be taken as it is;
 * the rest is for the caller's own, slower, careful way. Pure.
 */
#pragma once

#include <stdbool.h>

#include "base/str.h"

enum { LINES_BLOCK_BYTES = 256 }; /* texts up to here are not worth it: nothing is found in them */

/* `text` begins at the beginning of a line. Returns the length of some leading part, 0 or more,
 * that consists of whole lines and has no bare CR or LF and no NUL; and, with `stops_at_dots`, no
 * line that begins with a dot. It need not be the longest such part. Sets *out_has_8bit when the
 * part has bytes of 0x80 and above, else leaves it. */
size_t lines_clean_prefix(struct str text, bool stops_at_dots, bool *out_has_8bit);
