/* Growable bytes with a mandatory maximum: see buf.h. */
#include "base/buf.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { BUF_FIRST_BYTES = 256 };

void buf_init(struct buf *b, size_t max_bytes)
{
    *b = (struct buf){.max = max_bytes};
}

void buf_done(struct buf *b)
{
    if (b == NULL)
        return;
    free(b->ptr);
    buf_init(b, b->max);
}

void buf_reset(struct buf *b)
{
    b->len = 0;
    b->has_overflowed = false;
}

int buf_status(const struct buf *b)
{
    return b->has_overflowed ? -EMSGSIZE : 0;
}

static bool has_room(struct buf *b, size_t bytes)
{
    if (b->has_overflowed || bytes > b->max - b->len) {
        b->has_overflowed = true;
        return false;
    }
    size_t need = b->len + bytes;
    if (need <= b->cap)
        return true;
    size_t cap = b->cap > 0 ? b->cap : BUF_FIRST_BYTES;
    while (cap < need)
        cap *= 2;
    cap = MIN(cap, b->max);
    /* One byte beyond the capacity is kept for buf_c_str's NUL. */
    b->ptr = xrealloc(b->ptr, cap + 1);
    b->cap = cap;
    return true;
}

void buf_put(struct buf *b, const void *ptr, size_t len)
{
    if (len == 0 || !has_room(b, len))
        return;
    memcpy(b->ptr + b->len, ptr, len);
    b->len += len;
}

void buf_put_str(struct buf *b, struct str s)
{
    buf_put(b, s.ptr, s.len);
}

void buf_put_c(struct buf *b, const char *text)
{
    buf_put(b, text, strlen(text));
}

void buf_put_char(struct buf *b, char c)
{
    buf_put(b, &c, 1);
}

void buf_vprintf(struct buf *b, const char *fmt, va_list args)
{
    va_list again;

    va_copy(again, args);
    /* Most texts fit into the room there is: then one pass does. */
    size_t room = b->has_overflowed || b->cap == 0 ? 0 : b->cap - b->len + 1;
    int len = vsnprintf(room > 0 ? b->ptr + b->len : NULL, room, fmt, args);
    ASSERT(len >= 0);
    bool is_done = (size_t)len < room;
    if (!is_done && has_room(b, (size_t)len) && len > 0)
        (void)vsnprintf(b->ptr + b->len, (size_t)len + 1, fmt, again);
    if (!b->has_overflowed)
        b->len += (size_t)len;
    va_end(again);
}

void buf_printf(struct buf *b, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    buf_vprintf(b, fmt, args);
    va_end(args);
}

static void put_le(struct buf *b, uint64_t v, size_t bytes)
{
    uint64_t le = htole64(v);

    buf_put(b, &le, bytes);
}

void buf_put_u8(struct buf *b, uint8_t v)
{
    put_le(b, v, 1);
}

void buf_put_u16(struct buf *b, uint16_t v)
{
    put_le(b, v, 2);
}

void buf_put_u32(struct buf *b, uint32_t v)
{
    put_le(b, v, 4);
}

void buf_put_u64(struct buf *b, uint64_t v)
{
    put_le(b, v, 8);
}

void buf_put_lp(struct buf *b, struct str s)
{
    ASSERT(s.len <= UINT32_MAX);
    buf_put_u32(b, (uint32_t)s.len);
    buf_put_str(b, s);
}

void buf_patch_u32(struct buf *b, size_t at, uint32_t v)
{
    if (b->has_overflowed)
        return;
    ASSERT(at + 4 <= b->len);
    for (size_t i = 0; i < 4; i++)
        b->ptr[at + i] = (char)(v >> (8 * i));
}

void buf_patch_u8(struct buf *b, size_t at, uint8_t v)
{
    if (b->has_overflowed)
        return;
    ASSERT(at < b->len);
    b->ptr[at] = (char)v;
}

char *buf_reserve(struct buf *b, size_t bytes)
{
    return has_room(b, bytes) ? b->ptr + b->len : NULL;
}

void buf_commit(struct buf *b, size_t bytes)
{
    ASSERT(bytes <= b->cap - b->len);
    b->len += bytes;
}

void buf_remove(struct buf *b, size_t at, size_t bytes)
{
    ASSERT(at <= b->len && bytes <= b->len - at);
    if (bytes > 0 && at + bytes < b->len)
        memmove(b->ptr + at, b->ptr + at + bytes, b->len - at - bytes);
    b->len -= bytes;
}

void buf_consume(struct buf *b, size_t bytes)
{
    buf_remove(b, 0, bytes);
}

void buf_cut(struct buf *b, size_t len)
{
    ASSERT(len <= b->len);
    b->len = len;
    b->has_overflowed = false;
}

struct str buf_str(const struct buf *b)
{
    return (struct str){.ptr = b->ptr, .len = b->len};
}

const char *buf_c_str(struct buf *b)
{
    if (b->ptr == NULL)
        return "";
    b->ptr[b->len] = '\0';
    return b->ptr;
}
