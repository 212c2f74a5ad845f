/*
 * Fuzz target: the same bytes in one piece and in pieces give the same message; the end is exactly
 * CR LF . CR LF; nothing that comes out has a bare CR or LF.
 */
#include <stdint.h>
#include <string.h>

#include "smtp/data_scan.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static size_t scan(struct str input, const uint8_t *cuts, size_t cut_count, struct data_scan *d,
                   struct buf *out)
{
    size_t at = 0, i = 0;

    while (at < input.len && !d->is_complete) {
        size_t piece = cut_count > 0 ? (size_t)cuts[i++ % cut_count] % 7 + 1 : input.len;
        at += data_scan_feed(d, str_sub(input, at, piece), out);
    }
    data_scan_finish(d, out);
    return at;
}

/* Where a plain reading of RFC 5321 finds the end, or -1. */
static ptrdiff_t find_end(struct str s)
{
    if (str_has_prefix(s, STR(".\r\n")))
        return 3;
    const char *hit = s.len > 0 ? memmem(s.ptr, s.len, "\r\n.\r\n", 5) : NULL;
    return hit != NULL ? hit - s.ptr + 5 : -1;
}

static void check_lines(struct str out)
{
    for (size_t i = 0; i < out.len; i++) {
        if (out.ptr[i] == '\n')
            ASSERT(i > 0 && out.ptr[i - 1] == '\r');
        if (out.ptr[i] == '\r' && i + 1 < out.len)
            ASSERT(out.ptr[i + 1] == '\n');
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct data_scan whole, cut;
    struct buf a, b;

    if (len < 4)
        return 0;
    enum data_mode mode = bytes[0] % 2 ? DATA_CHUNKED : DATA_DOTTED;
    bool may_normalise = bytes[1] % 2;
    struct str input = str_from_mem(bytes + 4, len - 4);
    buf_init(&a, 3 * len + 64);
    buf_init(&b, 3 * len + 64);
    data_scan_init(&whole, mode, may_normalise);
    data_scan_init(&cut, mode, may_normalise);
    size_t taken = scan(input, NULL, 0, &whole, &a);
    ASSERT(scan(input, bytes, 4, &cut, &b) == taken);
    ASSERT(str_eq(buf_str(&a), buf_str(&b)));
    ASSERT(whole.has_bare == cut.has_bare && whole.is_complete == cut.is_complete);
    ASSERT(whole.has_false_end == cut.has_false_end);
    ptrdiff_t end = find_end(input);
    if (mode == DATA_DOTTED)
        ASSERT(whole.is_complete == (end >= 0) && (end < 0 || taken == (size_t)end));
    if (may_normalise || !whole.has_bare)
        check_lines(buf_str(&a));
    buf_done(&a);
    buf_done(&b);
    return 0;
}
