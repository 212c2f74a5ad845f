/*
 * Fuzz target of address lists: any bytes give a list within its maximum, with group marks in
 * pairs, no text longer than the input, and what is unfolded has no line ends.
 */
#include "base/buf.h"
#include "mail/addrlist.h"
#include "mail/header.h"

enum { FUZZ_ARENA_BYTES = 64 * 1024 * 1024, FUZZ_MAX_MAILBOXES = 20, FUZZ_LONGEST_FILLING = 15 };

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void check_list(const struct summary_mailbox *m, size_t max, size_t len)
{
    size_t count = 0, open_groups = 0;

    for (; m != NULL; m = m->next) {
        bool is_mark = !m->has_host;
        count++;
        ASSERT(m->mailbox.len <= len + FUZZ_LONGEST_FILLING);
        ASSERT(m->host.len <= len + FUZZ_LONGEST_FILLING);
        ASSERT(m->adl.len <= 2 * len + FUZZ_LONGEST_FILLING && m->name.len <= len + 1);
        ASSERT(is_mark || m->has_mailbox);
        ASSERT(!is_mark || !(m->has_name || m->has_adl));
        if (is_mark)
            open_groups += m->has_mailbox ? 1 : (size_t)-1;
        ASSERT(open_groups <= 1);
    }
    ASSERT(count <= max && open_groups == 0);
}

static void check_header(struct str block, struct arena *arena)
{
    struct header_field field;
    size_t total = 0, len = block.len;

    while (header_next(&block, &field)) {
        ASSERT(field.raw.len > 0);
        total += field.raw.len;
        ASSERT(str_find(header_unfold(field.body, arena), '\n') < 0);
        ASSERT(str_find(header_unfold_text(field.body, arena), '\n') < 0);
    }
    ASSERT(total + block.len == len);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct str text = str_from_mem(bytes, len);
    struct arena arena;

    arena_init(&arena, FUZZ_ARENA_BYTES);
    check_list(addrlist_parse(text, SIZE_MAX, &arena), SIZE_MAX, len);
    for (size_t max = 0; max <= FUZZ_MAX_MAILBOXES; max += 5)
        check_list(addrlist_parse(text, max, &arena), max, len);
    check_header(text, &arena);
    arena_done(&arena);
    return 0;
}
