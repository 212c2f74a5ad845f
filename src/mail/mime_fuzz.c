/*
 * Fuzz target of the MIME scanner: any bytes give a tree whose parts are nested and inside the
 * message, however the bytes were cut, and which survives encoding.
 */
#include "mail/mime_check.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    static const size_t max_pieces[] = {1, 3, 60, 1000};
    struct str message = str_from_mem(bytes, len);
    struct buf whole, pieces;

    buf_init(&whole, CHECK_MAX_BYTES);
    buf_init(&pieces, CHECK_MAX_BYTES);
    check_dump_message(message, 0, &whole);
    for (size_t i = 0; i < ARRAY_LEN(max_pieces); i++) {
        buf_reset(&pieces);
        check_dump_message(message, max_pieces[i], &pieces);
        ASSERT(str_eq(buf_str(&whole), buf_str(&pieces)));
    }
    struct mime_scanner *s = mime_scanner_new();
    check_round_trip(check_scan(s, message, 0));
    mime_scanner_free(s);
    buf_done(&pieces);
    buf_done(&whole);
    return 0;
}
