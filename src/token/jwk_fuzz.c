/* Fuzz target: arbitrary text as a set of keys. What is taken has keys, and none of them has signed
 * an empty signature. */
#include <stdint.h>

#include "token/jwk.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    static const char zeros[JWS_SIGNATURE_MAX_BYTES];
    struct jwk_set *set;
    const char *why;

    int r = jwk_set_parse(str_from_mem(bytes, len), &set, &why);
    ASSERT((r == 0) == (set != NULL) && (r == 0) == (why[0] == '\0'));
    if (r == 0)
        ASSERT(jwk_set_count(set) > 0 && jwk_set_count(set) <= JWK_KEYS_MAX);
    for (unsigned i = 0; r == 0 && i < JWS_ALGORITHM_COUNT; i++) {
        ASSERT(jwk_set_verify(set, STR(""), (enum jws_algorithm)i, STR("text"), STR("")) !=
               JWK_GOOD);
        (void)jwk_set_verify(set, STR("a"), (enum jws_algorithm)i, STR("text"),
                             str_from_mem(zeros, i == JWS_ES384 ? 96 : 64));
    }
    jwk_set_free(set);
    return 0;
}
