/*
 * Outgoing text. The first byte cuts it; every cut gives the same bytes, and the server's own
 * scanner reads from them exactly the repaired text: complete at the last byte and not before,
 * without a wrong line end that somebody might take for the end of the message.
 */
#include <stdint.h>
#include <string.h>

#include "smtp/client_text.h"
#include "smtp/data_scan.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void print(struct str text, size_t step, bool is_dotted, struct buf *out)
{
    struct smtp_client_text t;

    buf_init(out, 2 * text.len + 5);
    smtp_client_text_init(&t, is_dotted);
    while (text.len > 0) {
        struct str piece = str_sub(text, 0, step);
        size_t before = out->len;
        smtp_client_text_feed(&t, piece, out);
        ASSERT(out->len - before <= 2 * piece.len + 2);
        text = str_sub(text, piece.len, text.len);
    }
    smtp_client_text_finish(&t, out);
    ASSERT(buf_status(out) == 0 && t.bytes == out->len);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    CLEANUP(buf_done) struct buf dotted = {.max = 0};
    CLEANUP(buf_done) struct buf chunked = {.max = 0};
    CLEANUP(buf_done) struct buf whole = {.max = 0};
    CLEANUP(buf_done) struct buf content = {.max = 0};
    struct data_scan scan;

    if (len == 0)
        return 0;
    struct str text = str_from_mem(bytes + 1, len - 1);
    print(text, bytes[0] + 1U, true, &dotted);
    print(text, bytes[0] + 1U, false, &chunked);
    print(text, len, true, &whole);
    ASSERT(str_eq(buf_str(&dotted), buf_str(&whole)));
    ASSERT(smtp_client_text_count(true, text) == dotted.len);
    ASSERT(smtp_client_text_count(false, text) == chunked.len);
    buf_put_str(&dotted, STR(".\r\n"));
    ASSERT(buf_status(&dotted) == 0);
    buf_init(&content, 2 * dotted.len + 2);
    data_scan_init(&scan, DATA_DOTTED, false);
    ASSERT(data_scan_feed(&scan, buf_str(&dotted), &content) == dotted.len);
    ASSERT(scan.is_complete && !scan.has_bare && !scan.has_false_end);
    ASSERT(str_eq(buf_str(&content), buf_str(&chunked)));
    return 0;
}
