/* Header values. Whatever comes in, what goes out is clean UTF-8 within the buffer's maximum, and a
 * smaller buffer gets the beginning of what a larger one gets. */
#include <stdint.h>
#include <string.h>

#include "base/utf8.h"
#include "mail/encoded_word.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

enum { FUZZ_SMALL_BYTES = 20, FUZZ_LARGE_BYTES = 4096 };

static void check(const struct buf *out)
{
    struct str text = buf_str(out);

    ASSERT(buf_status(out) == 0 && out->len <= out->max);
    ASSERT(utf8_is_valid(text));
    for (size_t i = 0; i < text.len; i++)
        ASSERT((unsigned char)text.ptr[i] >= ' ' && text.ptr[i] != 0x7f);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    CLEANUP(buf_done) struct buf small;
    CLEANUP(buf_done) struct buf large;
    struct str value = str_from_mem(bytes, len);

    buf_init(&small, FUZZ_SMALL_BYTES);
    buf_init(&large, FUZZ_LARGE_BYTES);
    encoded_word_decode(value, &small);
    encoded_word_decode(value, &large);
    check(&small);
    check(&large);
    ASSERT(small.max == FUZZ_SMALL_BYTES && large.max == FUZZ_LARGE_BYTES);
    ASSERT(str_has_prefix(buf_str(&large), buf_str(&small)));
    return 0;
}
