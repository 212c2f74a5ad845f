/*
 * Fuzz target: requests as a hostile worker might send them. Whatever decodes, encodes to bytes
 * that decode to the same; trace events and their details are walked to the end.
 */
#include <stdint.h>

#include "base/id.h"
#include "store/trace_event.h"
#include "store/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

enum { ARENA_BYTES = 1 << 20, AGAIN_MAX_BYTES = 1 << 22 };

/* Ids of the corpus grow old; with_fresh_id() puts one of now in front, so that decoding gets
 * beyond it. */
static void check_deliver(struct str input)
{
    struct deliver_request first, second;
    struct arena arena;
    struct buf again;

    arena_init(&arena, ARENA_BYTES);
    buf_init(&again, AGAIN_MAX_BYTES);
    struct cursor c = cursor_from(input);
    if (wire_get_deliver(&c, &arena, &first) == 0) {
        wire_put_deliver(&again, &first);
        c = cursor_from(buf_str(&again));
        ASSERT(wire_get_deliver(&c, &arena, &second) == 0);
        ASSERT(second.recipient_count == first.recipient_count);
        ASSERT(str_eq(second.text, first.text) && str_eq(second.summary, first.summary));
        ASSERT(second.spool != 0 || second.prefix_bytes <= second.text.len);
    }
    buf_done(&again);
    arena_done(&arena);
}

static void check_append(struct str input)
{
    struct append_request first, second;
    struct buf again;

    buf_init(&again, AGAIN_MAX_BYTES);
    struct cursor c = cursor_from(input);
    if (wire_get_append(&c, &first) == 0) {
        wire_put_append(&again, &first);
        c = cursor_from(buf_str(&again));
        ASSERT(wire_get_append(&c, &second) == 0);
        ASSERT(str_eq(second.mailbox, first.mailbox) && second.flags == first.flags);
    }
    buf_done(&again);
}

static void check_trace(struct str input)
{
    struct cursor c = cursor_from(input);
    struct trace_event event;

    while (trace_next_event(&c, &event) > 0) {
        struct cursor details = cursor_from(event.details);
        struct str key, value;
        while (trace_next_detail(&details, &key, &value) > 0)
            ASSERT(key.len <= event.details.len && value.len <= event.details.len);
    }
}

/* Puts an id that is plausible now in front. */
static void with_fresh_id(struct str input, void (*check)(struct str input))
{
    struct id_maker ids;
    struct buf fresh;

    id_maker_init(&ids, 0, 1);
    buf_init(&fresh, input.len + 8);
    buf_put_u64(&fresh, id_make(&ids));
    buf_put_str(&fresh, input);
    check(buf_str(&fresh));
    buf_done(&fresh);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct str input = str_from_mem(bytes, len);

    check_deliver(input);
    check_append(input);
    check_trace(input);
    with_fresh_id(input, check_deliver);
    with_fresh_id(input, check_append);
    return 0;
}
