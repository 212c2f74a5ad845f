/* Bans as bytes: see ban_wire.h. */
#include "store/ban_wire.h"

#include <errno.h>

#include "base/ip.h"

void ban_put_row(struct buf *out, const struct ban_row *row)
{
    buf_put_lp(out, row->network);
    buf_put_u64(out, (uint64_t)row->since_ms);
    buf_put_u64(out, (uint64_t)row->until_ms);
    buf_put_u32(out, row->strikes);
    buf_put_u8(out, row->is_for_all);
    buf_put_lp(out, str_sub(row->reason, 0, BAN_REASON_MAX_BYTES));
}

int ban_get_row(struct cursor *c, struct ban_row *out)
{
    struct ip_net net;

    out->network = cursor_lp(c);
    out->since_ms = (int64_t)cursor_u64(c);
    out->until_ms = (int64_t)cursor_u64(c);
    out->strikes = cursor_u32(c);
    out->is_for_all = cursor_u8(c) != 0;
    out->reason = cursor_lp(c);
    if (cursor_status(c) < 0 || ip_net_parse(out->network, &net) < 0)
        return -EBADMSG;
    return 0;
}
