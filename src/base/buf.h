/*
 * Growable bytes with a mandatory maximum.
 *
 * Writing past the maximum sets a sticky overflow mark and leaves the contents as they were;
 * builders write without checking each step and ask buf_status() once at the end. Numbers go in
 * little endian, as cursor.h reads them.
 */
#pragma once

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/str.h"

struct buf {
    char *ptr;
    size_t len;
    size_t cap;
    size_t max;
    bool has_overflowed;
};

/* Embedded buffer of at most `max_bytes`; allocates nothing yet. Pair: buf_done. */
void buf_init(struct buf *b, size_t max_bytes);
/* Frees the memory; the buffer may be used again as after buf_init. NULL is taken. */
void buf_done(struct buf *b);
/* Empties, clears the overflow mark, keeps the memory. */
void buf_reset(struct buf *b);
/* 0, or -EMSGSIZE when something did not fit. */
MUST_CHECK int buf_status(const struct buf *b);

void buf_put(struct buf *b, const void *ptr, size_t len);
void buf_put_str(struct buf *b, struct str s);
void buf_put_c(struct buf *b, const char *text);
void buf_put_char(struct buf *b, char c);
void buf_printf(struct buf *b, const char *fmt, ...) ATTR_PRINTF(2, 3);
void buf_vprintf(struct buf *b, const char *fmt, va_list args) ATTR_PRINTF(2, 0);

void buf_put_u8(struct buf *b, uint8_t v);
void buf_put_u16(struct buf *b, uint16_t v);
void buf_put_u32(struct buf *b, uint32_t v);
void buf_put_u64(struct buf *b, uint64_t v);
/* 32-bit length, then the bytes. */
void buf_put_lp(struct buf *b, struct str s);
/* Overwrites the 32-bit number at `at`, which must lie inside. */
void buf_patch_u32(struct buf *b, size_t at, uint32_t v);
void buf_patch_u8(struct buf *b, size_t at, uint8_t v);

/* Room for `bytes` more at the end, for direct writing; NULL (and overflow) when they do not fit.
 */
char *buf_reserve(struct buf *b, size_t bytes);
/* Says that `bytes` of the reserved room are written. */
void buf_commit(struct buf *b, size_t bytes);
/* Drops `bytes` from the front. */
void buf_consume(struct buf *b, size_t bytes);
/* Drops `bytes` at `at`; both must lie inside. */
void buf_remove(struct buf *b, size_t at, size_t bytes);
/* Keeps the first `len` bytes only; what was too much for the buffer since then is forgotten, too.
 */
void buf_cut(struct buf *b, size_t len);

struct str buf_str(const struct buf *b);
/* NUL-terminates without counting the NUL and returns the text; "" when nothing was written. */
const char *buf_c_str(struct buf *b);
