/*
 * Fuzz target of the summary's decoder: any bytes are refused or give a tree that prints, is nested
 * properly, is found by section numbers, and encodes again.
 */
#include "mail/mime_check.h"

enum { SMALL_ARENA_BYTES = 2000 };

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void check_tree(const struct summary_part *root)
{
    static const char *const sections[] = {"", "1", "2", "1.1", "1.2.1", "3.1.1.1", "1.1.1.1.1.1"};
    struct buf text;

    buf_init(&text, CHECK_MAX_BYTES);
    check_places(root, 0, UINT64_MAX, 1);
    check_dump(root, &text);
    for (size_t i = 0; i < ARRAY_LEN(sections); i++) {
        const struct summary_part *part = summary_find(root, str_from_c(sections[i]));
        ASSERT(part == NULL || part->body_offset + part->body_bytes >= part->header_offset);
    }
    buf_done(&text);
    check_round_trip(root);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct summary_part *root;
    struct arena arena;

    arena_init(&arena, CHECK_MAX_BYTES);
    if (summary_decode(str_from_mem(bytes, len), &arena, &root) == 0)
        check_tree(root);
    arena_done(&arena);
    arena_init(&arena, SMALL_ARENA_BYTES);
    if (summary_decode(str_from_mem(bytes, len), &arena, &root) != 0)
        ASSERT(root == NULL);
    arena_done(&arena);
    return 0;
}
