/* Requests between workers and the store: see wire.h. */
#include "store/wire.h"

#include <errno.h>

#include "base/clock.h"
#include "base/id.h"

bool wire_is_plausible_id(uint64_t id)
{
    int64_t skew_ms = id_time_ms(id) - clock_real_ms();

    return id != 0 && id >> 63 == 0 && skew_ms > -(int64_t)WIRE_ID_SKEW_MS &&
           skew_ms < (int64_t)WIRE_ID_SKEW_MS;
}

static void put_recipient(struct buf *out, const struct deliver_recipient *r)
{
    buf_put_lp(out, r->local);
    buf_put_lp(out, r->domain);
    buf_put_lp(out, r->orcpt);
    buf_put_u8(out, r->notify);
    buf_put_u8(out, r->is_relay);
}

static void get_recipient(struct cursor *c, struct deliver_recipient *out)
{
    out->local = cursor_lp(c);
    out->domain = cursor_lp(c);
    out->orcpt = cursor_lp(c);
    out->notify = cursor_u8(c);
    out->is_relay = cursor_u8(c) != 0;
}

void wire_put_deliver_head(struct buf *out, const struct deliver_request *request)
{
    buf_put_u64(out, request->message_id);
    buf_put_u64(out, request->session_id);
    buf_put_u64(out, (uint64_t)request->received_ms);
    buf_put_lp(out, request->peer);
    buf_put_lp(out, request->helo);
    buf_put_u64(out, request->account);
    buf_put_lp(out, request->login);
    buf_put_lp(out, request->sender);
    buf_put_lp(out, request->envid);
    buf_put_u8(out, request->ret);
    buf_put_u8(out, request->flags);
    buf_put_u8(out, (uint8_t)request->priority);
    buf_put_u64(out, (uint64_t)request->release_ms);
    buf_put_lp(out, request->release_request);
    buf_put_u64(out, (uint64_t)request->deliver_by_ms);
    buf_put_u8(out, request->by);
    buf_put_u32(out, request->prefix_bytes);
    buf_put_lp(out, request->summary);
    buf_put_u64(out, request->spool);
    buf_put_u32(out, (uint32_t)request->recipient_count);
    for (size_t i = 0; i < request->recipient_count; i++)
        put_recipient(out, &request->recipients[i]);
}

void wire_put_deliver(struct buf *out, const struct deliver_request *request)
{
    wire_put_deliver_head(out, request);
    buf_put_str(out, request->text);
}

/* Times that no sum with a duration overflows; a mode of BY that is one. */
static bool is_timing_plausible(const struct deliver_request *q)
{
    unsigned mode = q->by & (DELIVER_BY_NOTIFY | DELIVER_BY_RETURN);
    bool has_one_mode = mode == DELIVER_BY_NOTIFY || mode == DELIVER_BY_RETURN;

    return q->release_ms >= 0 && q->release_ms <= WIRE_TIME_MAX_MS && q->deliver_by_ms >= 0 &&
           q->deliver_by_ms <= WIRE_TIME_MAX_MS && (q->by & ~DELIVER_BY_ALL) == 0 &&
           (q->by != 0) == has_one_mode && (q->by != 0) == (q->deliver_by_ms != 0) &&
           q->release_request.len <= WIRE_RELEASE_REQUEST_MAX_BYTES;
}

int wire_get_deliver(struct cursor *c, struct arena *arena, struct deliver_request *out)
{
    out->message_id = cursor_u64(c);
    out->session_id = cursor_u64(c);
    out->received_ms = (int64_t)cursor_u64(c);
    out->peer = cursor_lp(c);
    out->helo = cursor_lp(c);
    out->account = cursor_u64(c);
    out->login = cursor_lp(c);
    out->sender = cursor_lp(c);
    out->envid = cursor_lp(c);
    out->ret = cursor_u8(c);
    out->flags = cursor_u8(c);
    out->priority = (int8_t)cursor_u8(c);
    out->release_ms = (int64_t)cursor_u64(c);
    out->release_request = cursor_lp(c);
    out->deliver_by_ms = (int64_t)cursor_u64(c);
    out->by = cursor_u8(c);
    out->prefix_bytes = cursor_u32(c);
    out->summary = cursor_lp(c);
    out->spool = cursor_u64(c);
    uint32_t count = cursor_u32(c);
    if (cursor_status(c) < 0 || count == 0 || count > WIRE_RECIPIENTS_MAX ||
        !wire_is_plausible_id(out->message_id) || out->session_id >> 63 != 0)
        return -EBADMSG;
    if (out->priority < -DELIVER_PRIORITY_MAX || out->priority > DELIVER_PRIORITY_MAX ||
        !is_timing_plausible(out))
        return -EBADMSG;
    struct deliver_recipient *recipients = arena_alloc(arena, count * sizeof(*recipients));
    for (uint32_t i = 0; i < count; i++)
        get_recipient(c, &recipients[i]);
    out->recipients = recipients;
    out->recipient_count = count;
    out->text = cursor_take(c, cursor_left(c));
    if (out->spool == 0 && out->prefix_bytes > out->text.len)
        return -EBADMSG;
    return cursor_finish(c);
}

void wire_put_append(struct buf *out, const struct append_request *request)
{
    buf_put_u64(out, request->message_id);
    buf_put_lp(out, request->account);
    buf_put_lp(out, request->mailbox);
    buf_put_u32(out, request->flags);
    buf_put_lp(out, request->keywords);
    buf_put_u64(out, (uint64_t)request->received_ms);
    buf_put_lp(out, request->summary);
    buf_put_u64(out, request->spool);
    buf_put_lp(out, request->text);
}

int wire_get_append(struct cursor *c, struct append_request *out)
{
    out->message_id = cursor_u64(c);
    out->account = cursor_lp(c);
    out->mailbox = cursor_lp(c);
    out->flags = cursor_u32(c) & MESSAGE_FLAGS_ALL;
    out->keywords = cursor_lp(c);
    out->received_ms = (int64_t)cursor_u64(c);
    out->summary = cursor_lp(c);
    out->spool = cursor_u64(c);
    out->text = cursor_lp(c);
    return wire_is_plausible_id(out->message_id) ? cursor_finish(c) : -EBADMSG;
}
