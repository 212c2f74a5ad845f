/* SASLprep of any bytes: what comes out is UTF-8 within the promised size, and what may be kept is
 * the same when it is asked for. */
#include <stdint.h>

#include "base/utf8.h"
#include "crypt/saslprep.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    CLEANUP(buf_done) struct buf stored;
    CLEANUP(buf_done) struct buf query;
    struct str text = str_from_mem(bytes, len);

    buf_init(&stored, SASLPREP_OUT_MAX_BYTES);
    buf_init(&query, SASLPREP_OUT_MAX_BYTES);
    int kept = saslprep(text, SASLPREP_STORED, &stored);
    int asked = saslprep(text, SASLPREP_QUERY, &query);
    ASSERT(kept < 0 || (asked == 0 && str_eq(buf_str(&stored), buf_str(&query))));
    ASSERT(utf8_is_valid(buf_str(&query)) && str_find(buf_str(&query), '\0') < 0);
    ASSERT((asked == 0) == (query.len > 0));
    return 0;
}
