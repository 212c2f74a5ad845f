/* Fuzz target: arbitrary text as a token. What is taken is of an algorithm that there is, and its
 * signature is by nobody. */
#include <stdint.h>

#include "token/jwk.h"
#include "token/jwt.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static const char keys[] =
    "{\"keys\":[{\"kty\":\"OKP\",\"crv\":\"Ed25519\","
    "\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"},{\"kty\":\"EC\",\"crv\":\"P-256\","
    "\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
    "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"}]}";

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    static struct jwk_set *set;
    struct jwt jwt;
    const char *why;

    if (set == NULL)
        ASSERT(jwk_set_parse(str_from_c(keys), &set, &why) == 0);
    int r = jwt_parse(str_from_mem(bytes, len), &jwt, &why);
    ASSERT((r == 0) == (why[0] == '\0'));
    if (r == 0) {
        ASSERT(jwt.algorithm < JWS_ALGORITHM_COUNT && jwt.signature.len > 0);
        ASSERT(jwt.signed_text.len < len && jwt.key_id.len <= JWK_ID_MAX_BYTES);
        (void)jwk_set_verify(set, jwt.key_id, jwt.algorithm, jwt.signed_text, jwt.signature);
    }
    jwt_done(&jwt);
    return 0;
}
