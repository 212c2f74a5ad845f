/*
 * Fuzz target: reports of certificates from arbitrary bytes. What decodes is within its bounds, and
 * encodes to the bytes that it came from.
 */
#include <stdint.h>

#include "svc/key_report.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

enum { ARENA_BYTES = 64 << 20, AGAIN_MAX_BYTES = 1 << 24 };

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct cursor c = cursor_from(str_from_mem(bytes, len));
    struct key_report report;
    struct arena arena;
    struct buf again;

    arena_init(&arena, ARENA_BYTES);
    buf_init(&again, AGAIN_MAX_BYTES);
    while (cursor_left(&c) > 0) {
        size_t at = cursor_offset(&c);
        if (key_report_get(&c, &arena, &report) < 0)
            break;
        ASSERT(report.name_count <= KEY_REPORT_NAMES_MAX);
        buf_reset(&again);
        key_report_put(&again, &report);
        ASSERT(
            str_eq(buf_str(&again), str_sub(str_from_mem(bytes, len), at, cursor_offset(&c) - at)));
    }
    buf_done(&again);
    arena_done(&arena);
    return 0;
}
