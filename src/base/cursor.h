/*
 * Reading position in bytes that came from somewhere else, with a sticky error.
 *
 * Every parser of the project walks its input with a cursor. A read past the end, or a byte that
 * was not expected, sets the error and from then on every read gives zero or an empty view; the
 * parser asks cursor_status() once. Views that come out point into the input.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

struct cursor {
    const char *start;
    const char *pos;
    const char *end;
    bool has_failed;
};

typedef bool cursor_char_test(char c);

struct cursor cursor_from(struct str s);

/* 0, or -EBADMSG once anything went wrong. */
MUST_CHECK int cursor_status(const struct cursor *c);
/* 0 only if nothing went wrong and all was read; else -EBADMSG. */
MUST_CHECK int cursor_finish(const struct cursor *c);
void cursor_fail(struct cursor *c);

size_t cursor_left(const struct cursor *c);
size_t cursor_offset(const struct cursor *c);
/* What is left, without taking it. */
struct str cursor_rest(const struct cursor *c);

/* The next byte as 0..255 without taking it; -1 at the end or after an error. */
int cursor_peek(const struct cursor *c);
/* Takes the next byte, or fails and gives -1. */
int cursor_next(struct cursor *c);
/* Takes the byte if it is `ch`. */
bool cursor_take_if(struct cursor *c, char ch);
/* Takes `text` if it comes next, ASCII case folded. */
bool cursor_take_if_nocase(struct cursor *c, struct str text);
/* Takes the byte `ch` or fails. */
void cursor_expect(struct cursor *c, char ch);
/* Takes exactly `len` bytes or fails. */
struct str cursor_take(struct cursor *c, size_t len);
/* Takes the longest run of bytes that pass the test; it may be empty. */
struct str cursor_take_while(struct cursor *c, cursor_char_test *test);
/* Takes what comes before `ch`, or all that is left; `ch` stays. */
struct str cursor_take_until(struct cursor *c, char ch);

/* Little-endian numbers, and bytes behind a 32-bit length, as buf.h writes them. */
uint8_t cursor_u8(struct cursor *c);
uint16_t cursor_u16(struct cursor *c);
uint32_t cursor_u32(struct cursor *c);
uint64_t cursor_u64(struct cursor *c);
struct str cursor_lp(struct cursor *c);
