/* The text of a message on its way out: see client_text.h. */
#include "smtp/client_text.h"

#include "base/lines.h"

void smtp_client_text_init(struct smtp_client_text *t, bool is_dotted)
{
    *t = (struct smtp_client_text){.is_dotted = is_dotted};
}

static void put(struct smtp_client_text *t, struct buf *out, struct str part)
{
    t->bytes += part.len;
    if (out != NULL)
        buf_put_str(out, part);
}

/* Ends a line whose CR or LF was missing or has to wait for the next piece. */
static void put_line_end(struct smtp_client_text *t, struct buf *out)
{
    put(t, out, STR("\r\n"));
    t->is_in_line = false;
    t->has_cr = false;
}

/* Where a line of `s` stops: at its first CR or LF, or at the end of `s`. Looks at a little at a
 * time, so that a text of nothing but CR costs no square. */
static size_t find_stop(struct str s)
{
    enum { WINDOW_BYTES = 256 };

    for (size_t at = 0; at < s.len; at += WINDOW_BYTES) {
        struct str window = str_sub(s, at, WINDOW_BYTES);
        ptrdiff_t lf = str_find(window, '\n');
        ptrdiff_t cr = str_find(lf < 0 ? window : str_sub(window, 0, (size_t)lf), '\r');
        if (cr >= 0 || lf >= 0)
            return at + (size_t)(cr >= 0 ? cr : lf);
    }
    return s.len;
}

size_t smtp_client_text_take_clean(struct smtp_client_text *t, struct str piece)
{
    bool has_8bit = true; /* nobody asks */

    if (t->is_in_line || t->has_cr)
        return 0;
    size_t len = lines_clean_prefix(piece, t->is_dotted, &has_8bit);
    t->bytes += len;
    return len;
}

/* Takes what is right as it is: whole lines with CR LF, and the start of one. Returns its length;
 * what stops it is a dot to be stuffed, a bare CR or LF, or a CR at the end. */
static size_t find_clean(struct smtp_client_text *t, struct str s)
{
    bool has_8bit = true; /* nobody asks */
    size_t at = 0;

    while (at < s.len) {
        if (!t->is_in_line)
            at += lines_clean_prefix(str_sub(s, at, s.len), t->is_dotted, &has_8bit);
        if (at == s.len || (t->is_dotted && !t->is_in_line && s.ptr[at] == '.'))
            return at;
        size_t stop = at + find_stop(str_sub(s, at, s.len));
        t->is_in_line |= stop > at;
        if (stop + 1 >= s.len || s.ptr[stop] != '\r' || s.ptr[stop + 1] != '\n')
            return stop;
        t->is_in_line = false;
        at = stop + 2;
    }
    return at;
}

void smtp_client_text_feed(struct smtp_client_text *t, struct str piece, struct buf *out)
{
    if (piece.len > 0 && t->has_cr) {
        put_line_end(t, out);
        if (piece.ptr[0] == '\n')
            piece = str_sub(piece, 1, piece.len);
    }
    while (piece.len > 0) {
        size_t len = find_clean(t, piece);
        put(t, out, str_sub(piece, 0, len));
        piece = str_sub(piece, len, piece.len);
        if (piece.len == 0)
            return;
        if (piece.ptr[0] == '.') {
            put(t, out, STR(".."));
            t->is_in_line = true;
        } else if (piece.ptr[0] == '\r' && piece.len == 1) {
            t->has_cr = true;
        } else {
            put_line_end(t, out);
        }
        piece = str_sub(piece, 1, piece.len);
    }
}

void smtp_client_text_finish(struct smtp_client_text *t, struct buf *out)
{
    if (t->has_cr || t->is_in_line)
        put_line_end(t, out);
}

uint64_t smtp_client_text_count(bool is_dotted, struct str text)
{
    struct smtp_client_text t;

    smtp_client_text_init(&t, is_dotted);
    smtp_client_text_feed(&t, text, NULL);
    smtp_client_text_finish(&t, NULL);
    return t.bytes;
}
