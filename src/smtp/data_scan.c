/* The bytes of a message on their way in: see data_scan.h. */
#include "smtp/data_scan.h"

#include <string.h>

#include "base/lines.h"
#include "base/utf8.h"

void data_scan_init(struct data_scan *d, enum data_mode mode, bool may_normalise)
{
    *d = (struct data_scan){.mode = mode, .may_normalise = may_normalise, .state = SCAN_LINE_START};
}

static void put(struct data_scan *d, struct buf *out, struct str content)
{
    d->content_bytes += content.len;
    if (!d->has_bare || d->may_normalise)
        buf_put_str(out, content);
}

/* Any kind of line end closes the line as far as false ends are concerned. */
static void end_line(struct data_scan *d, bool is_bare)
{
    if (is_bare) {
        d->has_bare = true;
        d->has_false_end |= d->is_line_dot && d->line_bytes == 1;
    }
    d->line_bytes = 0;
    d->is_line_dot = false;
}

static void bare_line_end(struct data_scan *d, struct buf *out)
{
    end_line(d, true);
    put(d, out, STR("\r\n"));
    /* Not a line start: a dot after a wrong line end is neither stuffing nor an end. */
    d->state = SCAN_TEXT;
}

static void note_run(struct data_scan *d, struct str run)
{
    if (run.len == 0)
        return;
    if (d->line_bytes == 0)
        d->is_line_dot = run.ptr[0] == '.';
    d->line_bytes = (unsigned)MIN((size_t)2, d->line_bytes + run.len);
    if (!d->has_nul)
        d->has_nul = memchr(run.ptr, '\0', run.len) != NULL;
    if (!d->has_8bit)
        d->has_8bit = utf8_has_non_ascii(run);
}

/* Content up to the next CR or LF; returns the bytes taken. */
static size_t scan_text(struct data_scan *d, struct str input, struct buf *out)
{
    ptrdiff_t lf = str_find(input, '\n');
    struct str run = str_sub(input, 0, lf < 0 ? input.len : (size_t)lf);
    ptrdiff_t cr = str_find(run, '\r');

    if (cr >= 0)
        run = str_sub(run, 0, (size_t)cr);
    note_run(d, run);
    put(d, out, run);
    if (cr >= 0) {
        d->state = SCAN_CR;
        return run.len + 1;
    }
    if (lf >= 0) {
        bare_line_end(d, out);
        return run.len + 1;
    }
    return run.len;
}

static size_t scan_after_cr(struct data_scan *d, char c, struct buf *out)
{
    if (c != '\n') {
        bare_line_end(d, out);
        return 0;
    }
    /* A proper end may still close a line that a wrong one began: ". CR LF" after a bare LF. */
    d->has_false_end |= d->has_bare && d->is_line_dot && d->line_bytes == 1;
    end_line(d, false);
    put(d, out, STR("\r\n"));
    d->state = SCAN_LINE_START;
    return 1;
}

/* Takes the lines that nothing is to be done about, which are nearly all. Once a wrong line end was
 * seen, false ends are looked for line by line. */
static size_t scan_clean_lines(struct data_scan *d, struct str input, struct buf *out)
{
    if (d->has_bare)
        return 0;
    size_t len = lines_clean_prefix(input, d->mode == DATA_DOTTED, &d->has_8bit);
    put(d, out, str_sub(input, 0, len));
    return len;
}

static size_t scan_line_start(struct data_scan *d, struct str input, struct buf *out)
{
    const char c = input.ptr[0];

    size_t clean = scan_clean_lines(d, input, out);
    if (clean > 0)
        return clean;
    if (d->mode == DATA_CHUNKED || c != '.') {
        d->state = SCAN_TEXT;
        return 0;
    }
    d->state = SCAN_DOT;
    return 1;
}

/* After a dot at a line's start: it was stuffing, unless CR LF follows. */
static size_t scan_after_dot(struct data_scan *d, char c)
{
    if (c == '\r') {
        d->state = SCAN_DOT_CR;
        return 1;
    }
    d->state = SCAN_TEXT;
    if (c == '\n') { /* "CR LF . LF": a dot alone, wrongly ended */
        d->line_bytes = 1;
        d->is_line_dot = true;
    }
    return 0;
}

static size_t scan_after_dot_cr(struct data_scan *d, char c, struct buf *out)
{
    if (c == '\n') {
        d->is_complete = true;
        return 1;
    }
    d->line_bytes = 1;
    d->is_line_dot = true;
    bare_line_end(d, out);
    return 0;
}

size_t data_scan_feed(struct data_scan *d, struct str input, struct buf *out)
{
    size_t at = 0;

    while (at < input.len && !d->is_complete) {
        struct str rest = str_sub(input, at, input.len);
        switch (d->state) {
        case SCAN_TEXT:
            at += scan_text(d, rest, out);
            break;
        case SCAN_LINE_START:
            at += scan_line_start(d, rest, out);
            break;
        case SCAN_CR:
            at += scan_after_cr(d, rest.ptr[0], out);
            break;
        case SCAN_DOT:
            at += scan_after_dot(d, rest.ptr[0]);
            break;
        case SCAN_DOT_CR:
            at += scan_after_dot_cr(d, rest.ptr[0], out);
            break;
        }
    }
    return at;
}

void data_scan_finish(struct data_scan *d, struct buf *out)
{
    if (d->state == SCAN_CR)
        bare_line_end(d, out);
}
