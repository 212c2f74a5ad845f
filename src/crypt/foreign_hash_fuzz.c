/* Fuzz target: arbitrary text as a hash. What is taken can be verified; an empty password is right
 * only where the hash says so twice. Dear hashes are left out, for speed. */
#include <errno.h>
#include <stdint.h>

#include "crypt/foreign_hash.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct str text = str_from_mem(bytes, len);
    const char *why;

    if (len > 0 && bytes[0] == '$')
        return 0;
    int r = foreign_hash_check(text, &why);
    ASSERT((r == 0) == (why == NULL));
    bool is_quick = str_has_prefix_nocase(text, STR("{SSHA"));
    if (r == 0 && is_quick) {
        int first = foreign_hash_verify(text, STR("password"));
        ASSERT(first >= 0 && foreign_hash_verify(text, STR("password")) == first);
    }
    return 0;
}
