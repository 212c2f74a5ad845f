/* The end of a message by a dot: see sendmail_dots.h. */
#include "cli/sendmail_dots.h"

static void put_held(struct sendmail_dots *d, struct buf *out)
{
    if (d->state == DOTS_DOT)
        buf_put_c(out, ".");
    else if (d->state == DOTS_DOT_CR)
        buf_put_c(out, ".\r");
}

static void feed_char(struct sendmail_dots *d, char c, struct buf *out)
{
    if (d->state == DOTS_LINE_START && c == '.') {
        d->state = DOTS_DOT;
        return;
    }
    if (d->state == DOTS_DOT && c == '\r') {
        d->state = DOTS_DOT_CR;
        return;
    }
    if ((d->state == DOTS_DOT || d->state == DOTS_DOT_CR) && c == '\n') {
        d->has_ended = true;
        return;
    }
    put_held(d, out);
    buf_put_char(out, c);
    d->state = c == '\n' ? DOTS_LINE_START : DOTS_TEXT;
}

/* The rest of a line, or all. */
static struct str take_text(struct sendmail_dots *d, struct str input, struct buf *out)
{
    ptrdiff_t lf = str_find(input, '\n');
    struct str line = lf < 0 ? input : str_sub(input, 0, (size_t)lf + 1);

    buf_put_str(out, line);
    if (lf >= 0)
        d->state = DOTS_LINE_START;
    return str_sub(input, line.len, input.len);
}

void sendmail_dots_feed(struct sendmail_dots *d, struct str input, struct buf *out)
{
    if (d->is_text) {
        buf_put_str(out, input);
        return;
    }
    while (input.len > 0 && !d->has_ended) {
        if (d->state == DOTS_TEXT) {
            input = take_text(d, input, out);
            continue;
        }
        feed_char(d, input.ptr[0], out);
        input = str_sub(input, 1, input.len);
    }
}

void sendmail_dots_finish(struct sendmail_dots *d, struct buf *out)
{
    if (d->state == DOTS_DOT_CR && !d->has_ended)
        put_held(d, out);
    d->has_ended = true;
}
