/*
 * Fuzz target: secrets from arbitrary bytes. What decodes is within its bounds, and encodes to
 * bytes that decode to the same.
 */
#include <stdint.h>

#include "base/cursor.h"
#include "svc/secrets.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

enum { AGAIN_MAX_BYTES = 1 << 24, PARTS_AT = 4 };

static void assert_same(const struct secrets *a, const struct secrets *b)
{
    ASSERT(a->identity_count == b->identity_count && a->ticket_key_count == b->ticket_key_count &&
           a->credential_count == b->credential_count);
    for (size_t i = 0; i < a->identity_count; i++)
        ASSERT(str_eq(a->identities[i].name, b->identities[i].name) &&
               str_eq(a->identities[i].chain, b->identities[i].chain) &&
               str_eq(a->identities[i].key, b->identities[i].key));
    for (size_t i = 0; i < a->ticket_key_count; i++)
        ASSERT(str_eq(a->ticket_keys[i], b->ticket_keys[i]));
    for (size_t i = 0; i < a->credential_count; i++)
        ASSERT(str_eq(a->credentials[i].route, b->credentials[i].route) &&
               str_eq(a->credentials[i].password, b->credentials[i].password));
    ASSERT(str_eq(a->ca, b->ca) && str_eq(a->client_ca, b->client_ca));
    ASSERT(str_eq(a->client_crl, b->client_crl) && str_eq(a->token_keys, b->token_keys));
    ASSERT(str_eq(a->token_secret, b->token_secret));
    ASSERT(str_eq(a->ldap_password, b->ldap_password));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct secrets first, second;
    struct arena arena, arena_again;
    struct buf again;

    arena_init(&arena, SECRETS_ARENA_BYTES);
    if (secrets_decode(str_from_mem(bytes, len), &arena, &first) == 0) {
        ASSERT(first.identity_count <= SECRETS_IDENTITIES_MAX);
        ASSERT(first.credential_count <= SECRETS_CREDENTIALS_MAX);
        buf_init(&again, AGAIN_MAX_BYTES);
        arena_init(&arena_again, SECRETS_ARENA_BYTES);
        secrets_encode(&first, bytes[PARTS_AT], &again);
        ASSERT(str_eq(buf_str(&again), str_from_mem(bytes, len)));
        ASSERT(secrets_decode(buf_str(&again), &arena_again, &second) == 0);
        assert_same(&first, &second);
        arena_done(&arena_again);
        buf_done(&again);
    }
    arena_done(&arena);
    return 0;
}
