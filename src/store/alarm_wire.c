/* What postmaster is told of an account, as bytes: see alarm_wire.h. */
#include "store/alarm_wire.h"

#include <errno.h>

void alarm_put(struct buf *out, const struct alarm *a)
{
    buf_put_u8(out, (uint8_t)a->cause);
    buf_put_u64(out, a->notice_id);
    buf_put_u64(out, a->account);
    buf_put_lp(out, a->address);
    buf_put_u64(out, (uint64_t)a->limit);
    buf_put_u64(out, a->count);
    buf_put_lp(out, a->peers);
}

int alarm_get(struct cursor *c, struct alarm *out)
{
    *out = (struct alarm){.cause = (enum alarm_cause)cursor_u8(c)};
    out->notice_id = cursor_u64(c);
    out->account = cursor_u64(c);
    out->address = cursor_lp(c);
    out->limit = (int64_t)cursor_u64(c);
    out->count = cursor_u64(c);
    out->peers = cursor_lp(c);
    bool is_known = out->cause >= ALARM_TOO_MANY_RECIPIENTS && out->cause <= ALARM_GUESSING;
    return is_known && cursor_finish(c) == 0 ? 0 : -EBADMSG;
}
