/* Reading position with a sticky error: see cursor.h. */
#include "base/cursor.h"

#include <errno.h>
#include <string.h>

struct cursor cursor_from(struct str s)
{
    const char *start = s.ptr != NULL ? s.ptr : "";

    return (struct cursor){.start = start, .pos = start, .end = start + s.len};
}

int cursor_status(const struct cursor *c)
{
    return c->has_failed ? -EBADMSG : 0;
}

int cursor_finish(const struct cursor *c)
{
    return c->has_failed || c->pos != c->end ? -EBADMSG : 0;
}

void cursor_fail(struct cursor *c)
{
    c->has_failed = true;
    c->pos = c->end;
}

size_t cursor_left(const struct cursor *c)
{
    return (size_t)(c->end - c->pos);
}

size_t cursor_offset(const struct cursor *c)
{
    return (size_t)(c->pos - c->start);
}

struct str cursor_rest(const struct cursor *c)
{
    return str_from_mem(c->pos, cursor_left(c));
}

int cursor_peek(const struct cursor *c)
{
    return c->pos < c->end ? (unsigned char)*c->pos : -1;
}

int cursor_next(struct cursor *c)
{
    if (c->pos == c->end) {
        cursor_fail(c);
        return -1;
    }
    return (unsigned char)*c->pos++;
}

bool cursor_take_if(struct cursor *c, char ch)
{
    if (c->pos == c->end || *c->pos != ch)
        return false;
    c->pos++;
    return true;
}

bool cursor_take_if_nocase(struct cursor *c, struct str text)
{
    if (!str_has_prefix_nocase(cursor_rest(c), text))
        return false;
    c->pos += text.len;
    return true;
}

void cursor_expect(struct cursor *c, char ch)
{
    if (!cursor_take_if(c, ch))
        cursor_fail(c);
}

struct str cursor_take(struct cursor *c, size_t len)
{
    if (cursor_left(c) < len) {
        cursor_fail(c);
        return STR("");
    }
    struct str taken = str_from_mem(c->pos, len);
    c->pos += len;
    return taken;
}

struct str cursor_take_while(struct cursor *c, cursor_char_test *test)
{
    const char *from = c->pos;

    while (c->pos < c->end && test(*c->pos))
        c->pos++;
    return str_from_mem(from, (size_t)(c->pos - from));
}

struct str cursor_take_until(struct cursor *c, char ch)
{
    ptrdiff_t at = str_find(cursor_rest(c), ch);

    return cursor_take(c, at < 0 ? cursor_left(c) : (size_t)at);
}

static uint64_t take_le(struct cursor *c, size_t bytes)
{
    struct str raw = cursor_take(c, bytes);
    uint64_t v = 0;

    for (size_t i = 0; i < raw.len; i++)
        v |= (uint64_t)(unsigned char)raw.ptr[i] << (8 * i);
    return v;
}

uint8_t cursor_u8(struct cursor *c)
{
    return (uint8_t)take_le(c, 1);
}

uint16_t cursor_u16(struct cursor *c)
{
    return (uint16_t)take_le(c, 2);
}

uint32_t cursor_u32(struct cursor *c)
{
    return (uint32_t)take_le(c, 4);
}

uint64_t cursor_u64(struct cursor *c)
{
    return take_le(c, 8);
}

struct str cursor_lp(struct cursor *c)
{
    return cursor_take(c, cursor_u32(c));
}
