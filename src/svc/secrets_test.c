/* Secrets on their way: all arrives, nobody gets what is not for him, damage is found. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "svc/secrets.h"

enum { WIRE_MAX_BYTES = 1 << 20 };

static const char ticket_keys[2][SECRETS_TICKET_KEY_BYTES] = {"current ticket key",
                                                              "previous ticket key"};
static const struct secrets_identity identities[] = {
    {STR("own"), STR("chain of own"), STR("key of own")},
    {STR("second"), STR("chain of second"), STR("key of second")},
};
static const struct secrets_credential credentials[] = {
    {STR("smarthost"), STR("password of smarthost")},
};

static struct secrets all(void)
{
    return (struct secrets){
        .identities = identities,
        .identity_count = ARRAY_LEN(identities),
        .ticket_keys = {str_from_mem(ticket_keys[0], SECRETS_TICKET_KEY_BYTES),
                        str_from_mem(ticket_keys[1], SECRETS_TICKET_KEY_BYTES)},
        .ticket_key_count = 2,
        .client_ca = STR("authorities of clients"),
        .client_crl = STR("called back"),
        .ca = STR("authorities of servers"),
        .token_keys = STR("keys of the issuer"),
        .token_secret = STR("secret for the issuer"),
        .ldap_password = STR("password for the directory"),
        .credentials = credentials,
        .credential_count = ARRAY_LEN(credentials),
    };
}

static bool contains(struct str bytes, const char *text)
{
    return memmem(bytes.ptr, bytes.len, text, strlen(text)) != NULL;
}

static void all_parts_arrive(void **state)
{
    struct secrets sent = all(), got;
    struct arena arena;
    struct buf wire;

    (void)state;
    buf_init(&wire, WIRE_MAX_BYTES);
    arena_init(&arena, SECRETS_ARENA_BYTES);
    secrets_encode(&sent, SECRETS_ALL, &wire);
    assert_int_equal(secrets_decode(buf_str(&wire), &arena, &got), 0);
    assert_int_equal(got.identity_count, 2);
    assert_true(str_eq_c(got.identities[0].name, "own"));
    assert_true(str_eq_c(got.identities[1].chain, "chain of second"));
    assert_true(str_eq_c(got.identities[1].key, "key of second"));
    assert_int_equal(got.ticket_key_count, 2);
    assert_true(str_eq(got.ticket_keys[1], sent.ticket_keys[1]));
    assert_true(str_eq_c(got.client_ca, "authorities of clients"));
    assert_true(str_eq_c(got.client_crl, "called back"));
    assert_true(str_eq_c(got.ca, "authorities of servers"));
    assert_true(str_eq_c(got.token_keys, "keys of the issuer"));
    assert_true(str_eq_c(got.token_secret, "secret for the issuer"));
    assert_true(str_eq_c(got.ldap_password, "password for the directory"));
    assert_int_equal(got.credential_count, 1);
    assert_true(str_eq_c(got.credentials[0].route, "smarthost"));
    assert_true(str_eq_c(got.credentials[0].password, "password of smarthost"));
    arena_done(&arena);
    buf_done(&wire);
}

static void everybody_gets_his_parts_only(void **state)
{
    static const struct {
        unsigned part;
        const char *text;
    } rows[] = {
        {SECRETS_IDENTITIES, "key of second"},          {SECRETS_IDENTITIES, "current ticket key"},
        {SECRETS_CLIENT_CA, "authorities of clients"},  {SECRETS_CA, "authorities of servers"},
        {SECRETS_CREDENTIALS, "password of smarthost"}, {SECRETS_CLIENT_CA, "called back"},
        {SECRETS_TOKENS, "keys of the issuer"},         {SECRETS_TOKENS, "secret for the issuer"},
    };
    struct secrets sent = all(), got;
    struct arena arena;
    struct buf wire;

    (void)state;
    buf_init(&wire, WIRE_MAX_BYTES);
    for (unsigned parts = 0; parts <= SECRETS_ALL; parts++) {
        buf_reset(&wire);
        secrets_encode(&sent, parts, &wire);
        assert_int_equal(wire.len, secrets_length(&sent, parts));
        for (size_t i = 0; i < ARRAY_LEN(rows); i++)
            assert_int_equal(contains(buf_str(&wire), rows[i].text), (parts & rows[i].part) != 0);
        arena_init(&arena, SECRETS_ARENA_BYTES);
        assert_int_equal(secrets_decode(buf_str(&wire), &arena, &got), 0);
        assert_int_equal(got.identity_count, (parts & SECRETS_IDENTITIES) != 0 ? 2 : 0);
        arena_done(&arena);
    }
    buf_done(&wire);
}

static void damage_is_found(void **state)
{
    struct secrets sent = all(), got;
    struct arena arena;
    struct buf wire;

    (void)state;
    buf_init(&wire, WIRE_MAX_BYTES);
    secrets_encode(&sent, SECRETS_IDENTITIES | SECRETS_CREDENTIALS, &wire);
    for (size_t len = 0; len < wire.len; len++) {
        arena_init(&arena, SECRETS_ARENA_BYTES);
        assert_int_equal(secrets_decode(str_sub(buf_str(&wire), 0, len), &arena, &got), -EBADMSG);
        arena_done(&arena);
    }
    buf_put_u8(&wire, 0);
    arena_init(&arena, SECRETS_ARENA_BYTES);
    assert_int_equal(secrets_decode(buf_str(&wire), &arena, &got), -EBADMSG);
    buf_reset(&wire);
    secrets_encode(&sent, SECRETS_ALL + 1, &wire);
    assert_int_equal(secrets_decode(buf_str(&wire), &arena, &got), -EBADMSG);
    arena_done(&arena);
    buf_done(&wire);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_parts_arrive),
        cmocka_unit_test(everybody_gets_his_parts_only),
        cmocka_unit_test(damage_is_found),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
