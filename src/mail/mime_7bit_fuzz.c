/*
 * Making fit: what is converted has no byte >= 0x80 and no long lines, as was wanted, the same
 * parts of the same types as the scanner sees them, and decodes to the same; it does not depend on
 * how the bytes were cut.
 */
#include "mail/mime_7bit_check.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    for (unsigned wants = 0; wants <= (MIME_7BIT_BYTES | MIME_7BIT_LINES); wants++) {
        CLEANUP(buf_done) struct buf out;
        buf_init(&out, CHECK_MAX_BYTES);
        (void)check_conversion(str_from_mem(bytes, len), wants, &out);
    }
    return 0;
}
