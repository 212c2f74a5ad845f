/*
 * Fuzz target: the queue's requests and replies from arbitrary bytes. The first byte chooses the
 * form; what decodes is within its bounds, and encodes to bytes that decode to the same.
 */
#include <stdint.h>

#include "store/queue_wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

enum { ARENA_BYTES = 64 << 20, AGAIN_MAX_BYTES = 1 << 22 };

static void check_opened(struct cursor *c, struct arena *arena, struct buf *again)
{
    struct queue_opened first, second;

    if (queue_get_opened(c, arena, &first) < 0)
        return;
    ASSERT(first.count <= QUEUE_DESTINATIONS_MAX);
    queue_put_opened(again, &first);
    struct cursor repeated = cursor_from(buf_str(again));
    ASSERT(queue_get_opened(&repeated, arena, &second) == 0 && second.count == first.count);
}

static void check_batch(struct cursor *c, struct arena *arena, struct buf *again)
{
    struct queue_batch first, second;

    if (queue_get_batch(c, arena, &first) < 0)
        return;
    ASSERT(first.count <= QUEUE_BATCH_MESSAGES_MAX);
    size_t batch = queue_begin_batch(again);
    for (size_t i = 0; i < first.count; i++)
        queue_put_message(again, &first.messages[i]);
    queue_end_messages(again, batch, (uint32_t)first.count, first.has_more);
    for (size_t i = 0; i < first.count; i++) {
        if (first.messages[i].text.len == 0)
            continue;
        size_t text = queue_begin_text(again, first.messages[i].id);
        buf_put_str(again, first.messages[i].text);
        queue_end_text(again, text);
    }
    struct cursor repeated = cursor_from(buf_str(again));
    ASSERT(queue_get_batch(&repeated, arena, &second) == 0 && second.count == first.count);
    for (size_t i = 0; i < first.count; i++)
        ASSERT(str_eq(second.messages[i].text, first.messages[i].text));
}

static void check_result(struct cursor *c, struct arena *arena, struct buf *again)
{
    struct queue_result first, second;

    if (queue_get_result(c, arena, &first) < 0)
        return;
    queue_put_result(again, &first);
    struct cursor repeated = cursor_from(buf_str(again));
    ASSERT(queue_get_result(&repeated, arena, &second) == 0 && second.count == first.count);
    for (size_t i = 0; i < first.count; i++)
        ASSERT(second.recipients[i].verdict == first.recipients[i].verdict &&
               second.recipients[i].text.len <= QUEUE_REPLY_MAX_BYTES);
}

static void check_closed(struct cursor *c, struct buf *again)
{
    struct queue_closed first, second;

    if (queue_get_closed(c, &first) < 0)
        return;
    queue_put_closed(again, &first);
    struct cursor repeated = cursor_from(buf_str(again));
    ASSERT(queue_get_closed(&repeated, &second) == 0 && str_eq(second.name, first.name));
}

static void check_reports(struct cursor *c, struct arena *arena, struct buf *again)
{
    struct queue_report_message m;

    while (queue_next_report(c, arena, &m) > 0) {
        ASSERT(m.count <= QUEUE_REPORT_RECIPIENTS_MAX);
        queue_put_report(again, &m);
        arena_done(arena);
    }
}

static void check_rows(struct cursor *c, struct buf *again)
{
    struct queue_filter filter;
    struct queue_row row;

    queue_get_filter(c, &filter);
    queue_put_filter(again, &filter);
    while (queue_next_row(c, &row) > 0)
        queue_put_row(again, &row);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct cursor c = cursor_from(str_from_mem(bytes, len));
    struct arena arena;
    struct buf again;

    arena_init(&arena, ARENA_BYTES);
    buf_init(&again, AGAIN_MAX_BYTES);
    switch (cursor_u8(&c) % 6) {
    case 0:
        check_opened(&c, &arena, &again);
        break;
    case 1:
        check_batch(&c, &arena, &again);
        break;
    case 2:
        check_result(&c, &arena, &again);
        break;
    case 3:
        check_closed(&c, &again);
        break;
    case 4:
        check_reports(&c, &arena, &again);
        break;
    default:
        check_rows(&c, &again);
        break;
    }
    buf_done(&again);
    arena_done(&arena);
    return 0;
}
