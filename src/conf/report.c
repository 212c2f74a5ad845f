/* What is wrong with a configuration file: see report.h. */
#include "conf/report.h"

#include <stdarg.h>
#include <stdlib.h>

#include "base/utf8.h"

void report_init(struct report *r)
{
    r->count = 0;
}

void report_done(struct report *r)
{
    for (size_t i = 0; i < MIN(r->count, (size_t)REPORT_MAX_ERRORS); i++)
        free(r->errors[i].text);
    r->count = 0;
}

void report_add(struct report *r, struct report_place place, const char *fmt, ...)
{
    struct buf text;
    va_list args;

    r->count++;
    if (r->count > REPORT_MAX_ERRORS)
        return;
    buf_init(&text, REPORT_LINE_MAX_BYTES);
    va_start(args, fmt);
    buf_vprintf(&text, fmt, args);
    va_end(args);
    /* All that is put in is bounded, except paths of files. */
    bool is_whole = buf_status(&text) == 0;
    r->errors[r->count - 1] = (struct report_error){
        .place = place,
        .sequence = r->count,
        .text = is_whole ? str_dup(buf_str(&text)) : xstrdup("something too long to show is wrong"),
    };
    buf_done(&text);
}

static int compare(const void *a, const void *b)
{
    const struct report_error *left = a;
    const struct report_error *right = b;

    if (left->place.file_order != right->place.file_order)
        return left->place.file_order < right->place.file_order ? -1 : 1;
    if (left->place.line != right->place.line)
        return left->place.line < right->place.line ? -1 : 1;
    return left->sequence < right->sequence ? -1 : 1;
}

void report_print(struct report *r, struct buf *out)
{
    size_t kept = MIN(r->count, (size_t)REPORT_MAX_ERRORS);

    qsort(r->errors, kept, sizeof(r->errors[0]), compare);
    for (size_t i = 0; i < kept; i++) {
        const struct report_error *error = &r->errors[i];
        buf_put_c(out, error->place.file);
        if (error->place.line > 0)
            buf_printf(out, ":%d", error->place.line);
        buf_printf(out, ": %s\n", error->text);
    }
    if (r->count > kept)
        buf_printf(out, "%s: %zu more errors; mend the ones above first\n", r->errors[0].place.file,
                   r->count - kept);
}

void report_put_quoted(struct buf *out, struct str s)
{
    struct str shown = str_sub(s, 0, REPORT_QUOTE_MAX_CHARS);

    buf_put_char(out, '"');
    while (shown.len > 0) {
        size_t len = utf8_char_len(shown);
        bool is_control = (unsigned char)shown.ptr[0] < ' ' || shown.ptr[0] == 0x7F;
        if (len == 0 || is_control)
            buf_put_char(out, '?');
        else
            buf_put(out, shown.ptr, len);
        shown = str_sub(shown, MAX(len, (size_t)1), shown.len);
    }
    buf_put_c(out, s.len > REPORT_QUOTE_MAX_CHARS ? "...\"" : "\"");
}
