/* Takes Return-Path fields out of a header: see header_filter.h. */
#include "smtp/header_filter.h"

static const char name[HEADER_FILTER_NAME_BYTES + 1] = "return-path:";

void header_filter_init(struct header_filter *f)
{
    *f = (struct header_filter){.state = FILTER_LINE_START};
}

bool header_filter_is_done(const struct header_filter *f)
{
    return f->state == FILTER_DONE;
}

static void release_head(struct header_filter *f, struct buf *out)
{
    buf_put(out, f->head, f->head_bytes);
    f->head_bytes = 0;
}

/* Decides about a line by its first bytes, as soon as they tell. */
static void look_at(struct header_filter *f, char c, struct buf *out)
{
    bool is_continuation = f->head_bytes == 0 && (c == ' ' || c == '\t');

    if (is_continuation && f->has_dropped_line) {
        f->state = FILTER_DROP;
        return;
    }
    f->head[f->head_bytes++] = c;
    if (ascii_lower(c) == name[f->head_bytes - 1]) {
        if (f->head_bytes == HEADER_FILTER_NAME_BYTES) {
            f->state = FILTER_DROP;
            f->has_dropped_line = true;
            f->head_bytes = 0;
        }
        return;
    }
    if (f->head_bytes == 1 && c == '\r')
        return;
    bool is_empty_line = f->head_bytes == 2 && f->head[0] == '\r' && c == '\n';
    f->has_dropped_line = false;
    f->state = is_empty_line ? FILTER_DONE : c == '\n' ? FILTER_LINE_START : FILTER_KEEP;
    release_head(f, out);
}

/* The bytes up to and with LF, or all. */
static struct str take_line(struct header_filter *f, struct str input)
{
    ptrdiff_t lf = str_find(input, '\n');

    if (lf < 0)
        return input;
    f->state = FILTER_LINE_START;
    return str_sub(input, 0, (size_t)lf + 1);
}

void header_filter_feed(struct header_filter *f, struct str input, struct buf *out)
{
    while (input.len > 0) {
        struct str part = str_sub(input, 0, 1);
        switch (f->state) {
        case FILTER_LINE_START:
            look_at(f, input.ptr[0], out);
            break;
        case FILTER_KEEP:
            part = take_line(f, input);
            buf_put_str(out, part);
            break;
        case FILTER_DROP:
            part = take_line(f, input);
            break;
        case FILTER_DONE:
            part = input;
            buf_put_str(out, part);
            break;
        }
        input = str_sub(input, part.len, input.len);
    }
}

void header_filter_finish(struct header_filter *f, struct buf *out)
{
    release_head(f, out);
    f->state = FILTER_DONE;
}
