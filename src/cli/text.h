/*
 * Texts for people at a terminal: safe to print, measured in columns, numbers with units.
 *
 * Everything that came from mail or from strangers goes through text_put_safe (or
 * encoded_word_decode), so that no byte of it can steer the terminal.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/str.h"

/* Appends as valid UTF-8; control characters, bad bytes and bidirectional marks become U+FFFD. */
void text_put_safe(struct buf *out, struct str s);
/* The same, but line ends (CRLF or LF) and tabs stay. */
void text_put_safe_lines(struct buf *out, struct str s);
/* The same in one line: runs of line ends and blanks become one space. */
void text_put_safe_line(struct buf *out, struct str s);
/* Columns on a terminal: wide characters are two, combining ones none. */
size_t text_columns(struct str s);
/* Appends at most `columns` columns of valid UTF-8, ending in an ellipsis where it was cut. */
void text_put_cut(struct buf *out, struct str s, size_t columns);

/* "312 B", "4.2 KiB", "1.0 GiB". */
void text_put_size(struct buf *out, uint64_t bytes);
/* "2026-11-21 18:30:02", local time. */
void text_put_time(struct buf *out, int64_t real_ms);
/* "3 d 4 h", "5 min 2 s", "0 s": the two largest units. */
void text_put_duration(struct buf *out, int64_t ms);
/* The same, or "3 日 4 時間", "5 分". */
void text_put_span(struct buf *out, int64_t ms, bool is_japanese);
/* "10:35", local time; with the date when it is not on the day of `now_ms`. */
void text_put_clock(struct buf *out, int64_t real_ms, int64_t now_ms);

/* Whether texts for people should be Japanese: by LC_ALL, LC_MESSAGES, LANG. */
bool text_is_japanese(void);
/* One of the two, by that. */
const char *text_in(const char *english, const char *japanese);
/* Prints "LABEL   TEXT" on standard output: the text begins behind `columns` columns and a space.
 */
void text_print_labelled(size_t columns, const char *label, const char *text);
