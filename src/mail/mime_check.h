/* For the tests and fuzz targets of the scanner and the summary: invariants that hold for all
 * input. */
#pragma once

#include <stdlib.h>

#include "base/arena.h"
#include "base/buf.h"
#include "mail/mime.h"
#include "mail/summary.h"

enum { CHECK_MAX_BYTES = 256 * 1024 * 1024 };

/* Parts lie inside the message and what encloses them, in order. */
static inline void check_places(const struct summary_part *part, uint64_t start, uint64_t end,
                                size_t depth)
{
    ASSERT(depth <= SUMMARY_MAX_DEPTH);
    ASSERT(part->type.ptr != NULL && part->subtype.ptr != NULL);
    for (; part != NULL; part = part->next) {
        ASSERT(part->header_offset >= start);
        ASSERT(part->body_offset == part->header_offset + part->header_bytes);
        ASSERT(part->body_offset + part->body_bytes <= end);
        start = part->body_offset + part->body_bytes;
        if (part->children != NULL)
            check_places(part->children, part->body_offset, start, depth + 1);
    }
}

/* Feeds the message in pieces of pseudo-random sizes up to `max_piece`; 0: whole. */
static inline struct summary_part *check_scan(struct mime_scanner *s, struct str message,
                                              size_t max_piece)
{
    uint32_t random = (uint32_t)message.len * 2654435761u + (uint32_t)max_piece;

    while (message.len > 0) {
        random = random * 1664525u + 1013904223u;
        size_t len = max_piece == 0 ? message.len : 1 + (random >> 8) % max_piece;
        /* A copy of its own, so that the sanitizer sees reads past the piece. */
        struct str piece = str_sub(message, 0, len);
        char *copy = str_dup(piece);
        mime_scanner_feed(s, str_from_mem(copy, piece.len));
        free(copy);
        message = str_sub(message, piece.len, message.len);
    }
    return mime_scanner_finish(s);
}

static inline void check_dump_places(const struct summary_part *part, struct buf *out)
{
    for (; part != NULL; part = part->next) {
        buf_printf(out, "[%ju %ju %ju %ju %ju", (uintmax_t)part->header_offset,
                   (uintmax_t)part->header_bytes, (uintmax_t)part->body_offset,
                   (uintmax_t)part->body_bytes, (uintmax_t)part->body_lines);
        if (part->envelope != NULL)
            summary_print_envelope(part->envelope, out);
        check_dump_places(part->children, out);
        buf_put_char(out, ']');
    }
}

/* All that is known of a message as text. */
static inline void check_dump(const struct summary_part *root, struct buf *out)
{
    check_dump_places(root, out);
    summary_print_body(root, true, out);
    summary_print_body(root, false, out);
    ASSERT(buf_status(out) == 0);
}

/* Scans in pieces and appends what is found, facts included. */
static inline void check_dump_message(struct str message, size_t max_piece, struct buf *out)
{
    struct mime_scanner *s = mime_scanner_new();
    struct summary_part *root = check_scan(s, message, max_piece);
    const struct mime_facts *f = mime_scanner_facts(s);

    check_places(root, 0, message.len, 1);
    check_dump(root, out);
    buf_printf(out, " %u %ju %d%d%d%d%d", f->received_count, (uintmax_t)f->header_bytes,
               f->has_header_8bit, f->has_from, f->has_date, f->has_message_id,
               f->has_bad_header_line);
    mime_scanner_free(s);
}

/* What is encoded is decoded, prints the same, and the same bytes come out again. */
static inline void check_round_trip(const struct summary_part *root)
{
    struct buf first, second;
    struct arena arena;
    struct summary_part *decoded;

    arena_init(&arena, CHECK_MAX_BYTES);
    buf_init(&first, SUMMARY_MAX_BYTES);
    buf_init(&second, SUMMARY_MAX_BYTES);
    summary_encode(root, &first);
    ASSERT(buf_status(&first) == 0);
    ASSERT(summary_decode(buf_str(&first), &arena, &decoded) == 0);
    summary_encode(decoded, &second);
    ASSERT(str_eq(buf_str(&first), buf_str(&second)));
    struct buf dump, again;
    buf_init(&dump, CHECK_MAX_BYTES);
    buf_init(&again, CHECK_MAX_BYTES);
    check_dump(root, &dump);
    check_dump(decoded, &again);
    /* Near the maximum something may have been left out. */
    ASSERT(str_eq(buf_str(&dump), buf_str(&again)) || dump.len > SUMMARY_MAX_BYTES / 4);
    buf_done(&again);
    buf_done(&dump);
    buf_done(&second);
    buf_done(&first);
    arena_done(&arena);
}
