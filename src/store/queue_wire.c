/* The queue's requests as bytes: see queue_wire.h. */
#include "store/queue_wire.h"

#include <errno.h>

static void put_i64(struct buf *out, int64_t v)
{
    buf_put_u64(out, (uint64_t)v);
}

static int64_t get_i64(struct cursor *c)
{
    return (int64_t)cursor_u64(c);
}

/* A count that is read from strangers, no larger than `max`. */
static uint32_t get_count(struct cursor *c, uint32_t max)
{
    uint32_t count = cursor_u32(c);

    if (count > max)
        cursor_fail(c);
    return cursor_status(c) == 0 ? count : 0;
}

void queue_put_opened(struct buf *out, const struct queue_opened *o)
{
    buf_put_u64(out, o->generation);
    put_i64(out, o->next_ms);
    buf_put_u8(out, o->has_reports);
    buf_put_u8(out, o->has_alarms);
    buf_put_u32(out, (uint32_t)o->count);
    for (size_t i = 0; i < o->count; i++) {
        buf_put_lp(out, o->destinations[i].name);
        buf_put_u32(out, o->destinations[i].failures);
        buf_put_u64(out, o->destinations[i].lease);
        put_i64(out, o->destinations[i].place);
        buf_put_u8(out, o->destinations[i].is_asked);
    }
}

int queue_get_opened(struct cursor *c, struct arena *arena, struct queue_opened *out)
{
    out->generation = cursor_u64(c);
    out->next_ms = get_i64(c);
    out->has_reports = cursor_u8(c) != 0;
    out->has_alarms = cursor_u8(c) != 0;
    out->count = get_count(c, QUEUE_DESTINATIONS_MAX);
    out->destinations = arena_alloc(arena, (out->count + 1) * sizeof(out->destinations[0]));
    for (size_t i = 0; i < out->count; i++) {
        out->destinations[i].name = cursor_lp(c);
        out->destinations[i].failures = cursor_u32(c);
        out->destinations[i].lease = cursor_u64(c);
        out->destinations[i].place = get_i64(c);
        out->destinations[i].is_asked = cursor_u8(c) != 0;
    }
    return cursor_finish(c);
}

void queue_put_message(struct buf *out, const struct queue_message *m)
{
    buf_put_u64(out, m->id);
    buf_put_lp(out, m->sender);
    buf_put_lp(out, m->envid);
    buf_put_u8(out, m->ret);
    buf_put_u8(out, m->flags);
    buf_put_u8(out, (uint8_t)m->priority);
    buf_put_u8(out, m->by);
    put_i64(out, m->deliver_by_ms);
    put_i64(out, m->created_ms);
    put_i64(out, m->expires_ms);
    buf_put_u64(out, m->bytes);
    buf_put_u32(out, (uint32_t)m->count);
    for (size_t i = 0; i < m->count; i++) {
        const struct queue_recipient *r = &m->recipients[i];
        buf_put_u32(out, r->n);
        buf_put_lp(out, r->address);
        buf_put_lp(out, r->orcpt);
        buf_put_u8(out, r->notify);
        buf_put_u32(out, r->attempts);
    }
}

static void get_message(struct cursor *c, struct arena *arena, struct queue_message *out)
{
    out->id = cursor_u64(c);
    out->sender = cursor_lp(c);
    out->envid = cursor_lp(c);
    out->ret = cursor_u8(c);
    out->flags = cursor_u8(c);
    out->priority = (int8_t)cursor_u8(c);
    out->by = cursor_u8(c);
    out->deliver_by_ms = get_i64(c);
    out->created_ms = get_i64(c);
    out->expires_ms = get_i64(c);
    out->bytes = cursor_u64(c);
    out->text = STR_NONE;
    out->count = get_count(c, QUEUE_BATCH_RECIPIENTS_MAX);
    out->recipients = arena_alloc(arena, (out->count + 1) * sizeof(out->recipients[0]));
    for (size_t i = 0; i < out->count; i++) {
        struct queue_recipient *r = &out->recipients[i];
        r->n = cursor_u32(c);
        r->address = cursor_lp(c);
        r->orcpt = cursor_lp(c);
        r->notify = cursor_u8(c);
        r->attempts = cursor_u32(c);
    }
}

size_t queue_begin_batch(struct buf *out)
{
    size_t batch = out->len;

    buf_put_u8(out, 0);
    buf_put_u32(out, 0);
    return batch;
}

void queue_end_messages(struct buf *out, size_t batch, uint32_t count, bool has_more)
{
    buf_patch_u8(out, batch, has_more);
    buf_patch_u32(out, batch + 1, count);
}

size_t queue_begin_text(struct buf *out, uint64_t id)
{
    buf_put_u64(out, id);
    buf_put_u32(out, 0);
    return out->len;
}

void queue_end_text(struct buf *out, size_t text)
{
    buf_patch_u32(out, text - 4, (uint32_t)(out->len - text));
}

/* Texts come in the order of their messages, but not for all of them. */
static int get_texts(struct cursor *c, struct queue_batch *batch)
{
    size_t at = 0;

    while (cursor_status(c) == 0 && cursor_left(c) > 0) {
        uint64_t id = cursor_u64(c);
        while (at < batch->count && batch->messages[at].id != id)
            at++;
        if (at == batch->count)
            return -EBADMSG;
        struct queue_message *m = &batch->messages[at++];
        m->text = cursor_lp(c);
        if (m->text.len != m->bytes)
            return -EBADMSG;
    }
    return cursor_finish(c);
}

int queue_get_batch(struct cursor *c, struct arena *arena, struct queue_batch *out)
{
    out->has_more = cursor_u8(c) != 0;
    out->count = get_count(c, QUEUE_BATCH_MESSAGES_MAX);
    out->messages = arena_alloc(arena, QUEUE_BATCH_MESSAGES_MAX * sizeof(out->messages[0]));
    for (size_t i = 0; i < out->count; i++)
        get_message(c, arena, &out->messages[i]);
    return get_texts(c, out);
}

void queue_put_result(struct buf *out, const struct queue_result *r)
{
    buf_put_u64(out, r->message);
    put_i64(out, r->at_ms);
    buf_put_lp(out, r->host);
    buf_put_lp(out, r->ip);
    buf_put_lp(out, r->tls);
    buf_put_lp(out, r->tried);
    buf_put_u8(out, r->knows_dsn);
    buf_put_u8(out, r->knows_deliver_by);
    buf_put_u32(out, (uint32_t)r->count);
    for (size_t i = 0; i < r->count; i++) {
        const struct queue_result_recipient *to = &r->recipients[i];
        buf_put_u32(out, to->n);
        buf_put_u8(out, to->verdict);
        buf_put_u16(out, to->code);
        buf_put_lp(out, to->status);
        buf_put_lp(out, str_sub(to->text, 0, QUEUE_REPLY_MAX_BYTES));
        buf_put_lp(out, to->stage);
    }
}

int queue_get_result(struct cursor *c, struct arena *arena, struct queue_result *out)
{
    out->message = cursor_u64(c);
    out->at_ms = get_i64(c);
    out->host = cursor_lp(c);
    out->ip = cursor_lp(c);
    out->tls = cursor_lp(c);
    out->tried = cursor_lp(c);
    out->knows_dsn = cursor_u8(c) != 0;
    out->knows_deliver_by = cursor_u8(c) != 0;
    out->count = get_count(c, QUEUE_BATCH_RECIPIENTS_MAX);
    out->recipients = arena_alloc(arena, (out->count + 1) * sizeof(out->recipients[0]));
    for (size_t i = 0; i < out->count; i++) {
        struct queue_result_recipient *to = &out->recipients[i];
        to->n = cursor_u32(c);
        to->verdict = cursor_u8(c);
        to->code = cursor_u16(c);
        to->status = cursor_lp(c);
        to->text = str_sub(cursor_lp(c), 0, QUEUE_REPLY_MAX_BYTES);
        to->stage = cursor_lp(c);
        if (to->verdict < QUEUE_DELIVERED || to->verdict > QUEUE_RETURN)
            cursor_fail(c);
    }
    return cursor_finish(c);
}

void queue_put_closed(struct buf *out, const struct queue_closed *d)
{
    buf_put_lp(out, d->name);
    buf_put_u64(out, d->lease);
    buf_put_u8(out, d->is_down);
    buf_put_u8(out, d->is_untried);
    buf_put_lp(out, d->status);
    buf_put_u16(out, d->code);
    buf_put_lp(out, str_sub(d->why, 0, QUEUE_REPLY_MAX_BYTES));
    buf_put_lp(out, d->host);
    put_i64(out, d->at_ms);
    put_i64(out, d->not_before_ms);
}

int queue_get_closed(struct cursor *c, struct queue_closed *out)
{
    out->name = cursor_lp(c);
    out->lease = cursor_u64(c);
    out->is_down = cursor_u8(c) != 0;
    out->is_untried = cursor_u8(c) != 0;
    out->status = cursor_lp(c);
    out->code = cursor_u16(c);
    out->why = str_sub(cursor_lp(c), 0, QUEUE_REPLY_MAX_BYTES);
    out->host = cursor_lp(c);
    out->at_ms = get_i64(c);
    out->not_before_ms = get_i64(c);
    return cursor_finish(c);
}

void queue_put_report(struct buf *out, const struct queue_report_message *m)
{
    buf_put_u64(out, m->id);
    buf_put_lp(out, m->sender);
    buf_put_lp(out, m->language);
    buf_put_lp(out, m->envid);
    buf_put_lp(out, m->release_request);
    buf_put_u8(out, m->ret);
    buf_put_u8(out, m->flags);
    buf_put_u8(out, (uint8_t)m->priority);
    buf_put_u8(out, m->by);
    put_i64(out, m->deliver_by_ms);
    put_i64(out, m->created_ms);
    put_i64(out, m->expires_ms);
    buf_put_u64(out, m->bytes);
    buf_put_u32(out, (uint32_t)m->count);
    for (size_t i = 0; i < m->count; i++) {
        const struct queue_report_recipient *r = &m->recipients[i];
        buf_put_u32(out, r->n);
        buf_put_u8(out, r->report);
        buf_put_lp(out, r->address);
        buf_put_lp(out, r->orcpt);
        buf_put_lp(out, r->status);
        buf_put_lp(out, r->remote);
        buf_put_lp(out, r->reply);
        buf_put_u8(out, r->is_remote_words);
        put_i64(out, r->last_attempt_ms);
    }
}

int queue_next_report(struct cursor *c, struct arena *arena, struct queue_report_message *out)
{
    if (cursor_status(c) < 0)
        return -EBADMSG;
    if (cursor_left(c) == 0)
        return 0;
    out->id = cursor_u64(c);
    out->sender = cursor_lp(c);
    out->language = cursor_lp(c);
    out->envid = cursor_lp(c);
    out->release_request = cursor_lp(c);
    out->ret = cursor_u8(c);
    out->flags = cursor_u8(c);
    out->priority = (int8_t)cursor_u8(c);
    out->by = cursor_u8(c);
    out->deliver_by_ms = get_i64(c);
    out->created_ms = get_i64(c);
    out->expires_ms = get_i64(c);
    out->bytes = cursor_u64(c);
    out->count = get_count(c, QUEUE_REPORT_RECIPIENTS_MAX);
    out->recipients = arena_alloc(arena, (out->count + 1) * sizeof(out->recipients[0]));
    for (size_t i = 0; i < out->count; i++) {
        struct queue_report_recipient *r = &out->recipients[i];
        r->n = cursor_u32(c);
        r->report = cursor_u8(c);
        r->address = cursor_lp(c);
        r->orcpt = cursor_lp(c);
        r->status = cursor_lp(c);
        r->remote = cursor_lp(c);
        r->reply = cursor_lp(c);
        r->is_remote_words = cursor_u8(c) != 0;
        r->last_attempt_ms = get_i64(c);
    }
    return cursor_status(c) < 0 ? -EBADMSG : 1;
}

void queue_put_filter(struct buf *out, const struct queue_filter *f)
{
    buf_put_u64(out, f->id);
    buf_put_lp(out, f->sender);
    buf_put_lp(out, f->recipient);
    buf_put_lp(out, f->domain);
    buf_put_u8(out, f->state_plus_1);
    buf_put_u64(out, f->after_id);
    buf_put_u32(out, f->after_n);
}

void queue_get_filter(struct cursor *c, struct queue_filter *out)
{
    out->id = cursor_u64(c);
    out->sender = cursor_lp(c);
    out->recipient = cursor_lp(c);
    out->domain = cursor_lp(c);
    out->state_plus_1 = cursor_u8(c);
    out->after_id = cursor_u64(c);
    out->after_n = cursor_u32(c);
}

static void put_row_text(struct buf *out, struct str text)
{
    buf_put_lp(out, str_sub(text, 0, QUEUE_ROW_TEXT_MAX_BYTES));
}

void queue_put_row(struct buf *out, const struct queue_row *row)
{
    buf_put_u64(out, row->id);
    buf_put_u32(out, row->n);
    put_row_text(out, row->sender);
    put_row_text(out, row->address);
    put_row_text(out, row->destination);
    put_i64(out, row->created_ms);
    put_i64(out, row->expires_ms);
    put_i64(out, row->due_ms);
    put_i64(out, row->last_attempt_ms);
    buf_put_u64(out, row->bytes);
    buf_put_u8(out, row->state);
    buf_put_u8(out, row->report);
    buf_put_u8(out, row->priority_plus_100);
    buf_put_u32(out, row->attempts);
    put_row_text(out, row->status);
    put_row_text(out, row->remote);
    put_row_text(out, row->reply);
    buf_put_u8(out, row->destination_state);
    put_i64(out, row->destination_due_ms);
    buf_put_u32(out, row->destination_failures);
    put_row_text(out, row->destination_why);
    put_i64(out, row->release_ms);
    put_i64(out, row->deliver_by_ms);
    buf_put_u8(out, row->by);
}

int queue_next_row(struct cursor *c, struct queue_row *out)
{
    if (cursor_status(c) < 0)
        return -EBADMSG;
    if (cursor_left(c) == 0)
        return 0;
    out->id = cursor_u64(c);
    out->n = cursor_u32(c);
    out->sender = cursor_lp(c);
    out->address = cursor_lp(c);
    out->destination = cursor_lp(c);
    out->created_ms = get_i64(c);
    out->expires_ms = get_i64(c);
    out->due_ms = get_i64(c);
    out->last_attempt_ms = get_i64(c);
    out->bytes = cursor_u64(c);
    out->state = cursor_u8(c);
    out->report = cursor_u8(c);
    out->priority_plus_100 = cursor_u8(c);
    out->attempts = cursor_u32(c);
    out->status = cursor_lp(c);
    out->remote = cursor_lp(c);
    out->reply = cursor_lp(c);
    out->destination_state = cursor_u8(c);
    out->destination_due_ms = get_i64(c);
    out->destination_failures = cursor_u32(c);
    out->destination_why = cursor_lp(c);
    out->release_ms = get_i64(c);
    out->deliver_by_ms = get_i64(c);
    out->by = cursor_u8(c);
    return cursor_status(c) < 0 ? -EBADMSG : 1;
}
