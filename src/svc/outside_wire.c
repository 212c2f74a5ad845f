/* Questions to the auth process as bytes: see outside_wire.h. */
#include "svc/outside_wire.h"

#include <errno.h>

#include "base/cursor.h"

static struct str get_lp(struct cursor *c, size_t max_bytes)
{
    struct str s = cursor_lp(c);

    if (s.len > max_bytes)
        cursor_fail(c);
    return s;
}

void outside_put_request(struct buf *out, const struct outside_request *r)
{
    buf_put_lp(out, r->name);
    buf_put_lp(out, r->secret);
    buf_put_lp(out, r->peer);
}

int outside_get_request(struct str bytes, struct outside_request *out)
{
    struct cursor c = cursor_from(bytes);

    *out = (struct outside_request){.name = get_lp(&c, OUTSIDE_NAME_MAX_BYTES)};
    out->secret = get_lp(&c, OUTSIDE_SECRET_MAX_BYTES);
    out->peer = get_lp(&c, OUTSIDE_PEER_MAX_BYTES);
    return cursor_finish(&c);
}

void outside_put_answer(struct buf *out, const struct outside_answer *a)
{
    buf_put_u8(out, a->verdict);
    buf_put_lp(out, a->name);
}

int outside_get_answer(struct str bytes, struct outside_answer *out)
{
    struct cursor c = cursor_from(bytes);

    *out = (struct outside_answer){.verdict = cursor_u8(&c)};
    out->name = get_lp(&c, OUTSIDE_NAME_MAX_BYTES);
    if (out->verdict >= OUTSIDE_VERDICT_END)
        cursor_fail(&c);
    return cursor_finish(&c);
}
