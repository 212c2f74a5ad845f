/* Reports of certificates and files: see key_report.h. */
#include "svc/key_report.h"

#include <errno.h>

enum { IS_CERTIFICATE = 1, IS_SELF_SIGNED = 2, LACKS_HOSTNAME = 4, FLAGS_ALL = 7 };

static void put_certificate(struct buf *out, const struct key_report *report)
{
    ASSERT(report->name_count <= KEY_REPORT_NAMES_MAX);
    buf_put_u32(out, report->name_count);
    for (uint32_t i = 0; i < report->name_count; i++)
        buf_put_lp(out, report->names[i]);
    buf_put_u32(out, report->names_left_out);
    buf_put_lp(out, report->issuer);
    buf_put_lp(out, report->key);
    buf_put_u64(out, (uint64_t)report->not_before_ms);
    buf_put_u64(out, (uint64_t)report->not_after_ms);
}

void key_report_put(struct buf *out, const struct key_report *report)
{
    buf_put_u8(out, (uint8_t)((report->is_certificate ? IS_CERTIFICATE : 0) |
                              (report->is_self_signed ? IS_SELF_SIGNED : 0) |
                              (report->lacks_hostname ? LACKS_HOSTNAME : 0)));
    buf_put_lp(out, report->title);
    buf_put_lp(out, report->file);
    buf_put_lp(out, report->problem);
    if (report->is_certificate)
        put_certificate(out, report);
}

static void get_certificate(struct cursor *c, struct arena *arena, struct key_report *out)
{
    out->name_count = cursor_u32(c);
    if (out->name_count > KEY_REPORT_NAMES_MAX) {
        cursor_fail(c);
        return;
    }
    struct str *names = arena_alloc(arena, (out->name_count + 1) * sizeof(*names));
    for (uint32_t i = 0; i < out->name_count; i++)
        names[i] = cursor_lp(c);
    out->names = names;
    out->names_left_out = cursor_u32(c);
    out->issuer = cursor_lp(c);
    out->key = cursor_lp(c);
    out->not_before_ms = (int64_t)cursor_u64(c);
    out->not_after_ms = (int64_t)cursor_u64(c);
}

int key_report_get(struct cursor *c, struct arena *arena, struct key_report *out)
{
    unsigned flags = cursor_u8(c);

    *out = (struct key_report){.is_certificate = (flags & IS_CERTIFICATE) != 0,
                               .is_self_signed = (flags & IS_SELF_SIGNED) != 0,
                               .lacks_hostname = (flags & LACKS_HOSTNAME) != 0};
    out->title = cursor_lp(c);
    out->file = cursor_lp(c);
    out->problem = cursor_lp(c);
    if (out->is_certificate)
        get_certificate(c, arena, out);
    if (flags > FLAGS_ALL)
        cursor_fail(c);
    return cursor_status(c);
}
