/* RFC 5322 header fields and their lexical elements: see header.h. */
#include "mail/header.h"

#include <string.h>

static bool is_wsp(char c)
{
    return c == ' ' || c == '\t';
}

static bool is_space(char c)
{
    return is_wsp(c) || c == '\r' || c == '\n';
}

/* RFC 5322 ftext; bytes from 0x80 on are no part of a name, not even in RFC 6532. */
static bool is_name_char(char c)
{
    return c > ' ' && c < 0x7f && c != ':';
}

bool header_cut_name(struct str line, struct str *out_name, struct str *out_rest)
{
    struct cursor c = cursor_from(line);

    *out_name = cursor_take_while(&c, is_name_char);
    (void)cursor_take_while(&c, is_wsp);
    if (out_name->len == 0 || !cursor_take_if(&c, ':')) {
        *out_name = STR_NONE;
        *out_rest = line;
        return false;
    }
    *out_rest = cursor_rest(&c);
    return true;
}

static size_t line_bytes(struct str s)
{
    ptrdiff_t lf = str_find(s, '\n');

    return lf >= 0 ? (size_t)lf + 1 : s.len;
}

static struct str without_line_end(struct str s)
{
    if (s.len > 0 && s.ptr[s.len - 1] == '\n')
        s.len--;
    if (s.len > 0 && s.ptr[s.len - 1] == '\r')
        s.len--;
    return s;
}

bool header_next(struct str *block, struct header_field *out_field)
{
    size_t len = line_bytes(*block);

    if (without_line_end(str_sub(*block, 0, len)).len == 0)
        return false;
    while (len < block->len && is_wsp(block->ptr[len]))
        len += line_bytes(str_sub(*block, len, block->len));
    out_field->raw = str_sub(*block, 0, len);
    out_field->is_field =
        header_cut_name(without_line_end(out_field->raw), &out_field->name, &out_field->body);
    *block = str_sub(*block, len, block->len);
    return true;
}

struct str header_unfold(struct str body, struct arena *arena)
{
    char *text = arena_alloc(arena, body.len + 1);
    size_t len = 0;
    struct cursor c = cursor_from(body);

    (void)cursor_take_while(&c, is_wsp);
    body = cursor_rest(&c);
    for (size_t i = 0; i < body.len; i++) {
        bool is_in_line_end = i + 1 < body.len && body.ptr[i] == '\r' && body.ptr[i + 1] == '\n';
        if (body.ptr[i] != '\n' && !is_in_line_end)
            text[len++] = body.ptr[i];
    }
    return str_from_mem(text, len);
}

struct str header_unfold_text(struct str body, struct arena *arena)
{
    body = str_trim(body);
    char *text = arena_alloc(arena, body.len + 1);
    size_t len = 0;

    for (size_t i = 0; i < body.len; i++) {
        if (!is_space(body.ptr[i]))
            text[len++] = body.ptr[i];
        else if (!is_space(body.ptr[i - 1]))
            text[len++] = ' ';
    }
    return str_from_mem(text, len);
}

/* At '('. Depth is counted, not recursed into. */
static bool take_comment(struct cursor *c, struct buf *comment)
{
    size_t depth = 0;

    if (comment != NULL)
        buf_reset(comment);
    do {
        int ch = cursor_next(c);
        bool is_outer = depth == 0;
        if (ch == '\\')
            ch = cursor_next(c);
        else if (ch == '(')
            depth++;
        else if (ch == ')')
            depth--;
        if (c->has_failed)
            return false;
        if (comment != NULL && !is_outer && depth > 0 && ch != '\r' && ch != '\n')
            buf_put_char(comment, (char)ch);
    } while (depth > 0);
    return true;
}

bool header_skip_cfws(struct cursor *c, struct buf *comment)
{
    for (;;) {
        (void)cursor_take_while(c, is_space);
        if (cursor_peek(c) != '(')
            return true;
        if (!take_comment(c, comment))
            return false;
    }
}

bool header_take_quoted(struct cursor *c, struct buf *text)
{
    cursor_expect(c, '"');
    for (;;) {
        int ch = cursor_next(c);
        if (ch == '"')
            return true;
        if (ch == '\\')
            ch = cursor_next(c);
        if (c->has_failed)
            return false;
        if (ch != '\r' && ch != '\n')
            buf_put_char(text, (char)ch);
    }
}
