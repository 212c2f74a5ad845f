/* Unit tests of SCRAM's keys: the exchanges of RFC 5802 section 5 and RFC 7677 section 3, HMAC and
 * limits. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>
#include <openssl/evp.h>

#include "base/buf.h"
#include "crypt/scram_keys.h"

struct vector {
    enum scram_hash hash;
    const char *salt, *stored_key, *server_key; /* base64 */
    uint32_t iterations;
};

static const struct vector VECTORS[] = {
    {SCRAM_SHA_1, "QSXCR+Q6sek8bf92",
     "6dlGYMOdZcOPutkcNY8U2g7vK9Y=", "D+CSWLOshSulAsxiupA+qs2/fTE=", 4096},
    {SCRAM_SHA_256, "W22ZaJ0SNY7soEsUEjb6gQ==", "WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=",
     "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=", 4096},
};

/* The bytes of base64 text; `room` is at least 48. */
static struct str decode(const char *text, uint8_t *room)
{
    size_t len = strlen(text);
    int bytes = EVP_DecodeBlock(room, (const unsigned char *)text, (int)len);

    assert_true(bytes > 0);
    while (len > 0 && text[len - 1] == '=') {
        len--;
        bytes--;
    }
    return str_from_mem(room, (size_t)bytes);
}

static void check(const struct vector *v, struct str password)
{
    uint8_t room[48], salt_room[48];
    struct scram_keys keys;
    struct scram_client_keys client;
    struct str salt = decode(v->salt, salt_room);

    assert_int_equal(scram_keys_derive(v->hash, password, salt, v->iterations, &keys), 0);
    assert_int_equal(keys.hash, v->hash);
    assert_int_equal(keys.iterations, v->iterations);
    assert_int_equal(keys.key_bytes, scram_hash_bytes(v->hash));
    assert_true(str_eq(str_from_mem(keys.salt, keys.salt_bytes), salt));
    assert_true(str_eq(str_from_mem(keys.stored_key, keys.key_bytes), decode(v->stored_key, room)));
    assert_true(str_eq(str_from_mem(keys.server_key, keys.key_bytes), decode(v->server_key, room)));
    assert_int_equal(scram_client_keys_derive(v->hash, password, salt, v->iterations, &client), 0);
    assert_memory_equal(client.stored_key, keys.stored_key, keys.key_bytes);
    assert_memory_equal(client.server_key, keys.server_key, keys.key_bytes);
    uint8_t stored[SCRAM_KEY_MAX_BYTES];
    scram_digest(v->hash, str_from_mem(client.client_key, client.key_bytes), stored);
    assert_memory_equal(stored, keys.stored_key, keys.key_bytes);
}

static void rfc_keys_are_derived(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(VECTORS); i++)
        check(&VECTORS[i], STR("pencil"));
}

/* RFC 2202 section 3 and RFC 4231 section 4.3, both "what do ya want for nothing?". */
static void hmac_is_right(void **state)
{
    static const uint8_t sha1[] = {0xef, 0xfc, 0xdf, 0x6a, 0xe5, 0xeb, 0x2f, 0xa2, 0xd2, 0x74,
                                   0x16, 0xd5, 0xf1, 0x84, 0xdf, 0x9c, 0x25, 0x9a, 0x7c, 0x79};
    static const uint8_t sha256[] = {0x5b, 0xdc, 0xc1, 0x46, 0xbf, 0x60, 0x75, 0x4e,
                                     0x6a, 0x04, 0x24, 0x26, 0x08, 0x95, 0x75, 0xc7,
                                     0x5a, 0x00, 0x3f, 0x08, 0x9d, 0x27, 0x39, 0x83,
                                     0x9d, 0xec, 0x58, 0xb9, 0x64, 0xec, 0x38, 0x43};
    uint8_t mac[SCRAM_KEY_MAX_BYTES];

    (void)state;
    scram_hmac(SCRAM_SHA_1, STR("Jefe"), STR("what do ya want for nothing?"), mac);
    assert_memory_equal(mac, sha1, sizeof(sha1));
    scram_hmac(SCRAM_SHA_256, STR("Jefe"), STR("what do ya want for nothing?"), mac);
    assert_memory_equal(mac, sha256, sizeof(sha256));
}

static void limits_hold(void **state)
{
    static char long_text[SCRAM_PASSWORD_MAX_BYTES + 1];
    static const struct {
        size_t password_bytes, salt_bytes;
        uint32_t iterations;
        int rc, client_rc;
    } table[] = {
        {1, 1, SCRAM_ITERATIONS_MIN, 0, 0},
        {0, 1, SCRAM_ITERATIONS_MIN, -EINVAL, -EINVAL},
        {1, 0, SCRAM_ITERATIONS_MIN, -EINVAL, -EINVAL},
        {1, 1, SCRAM_ITERATIONS_MIN - 1, -EINVAL, -EINVAL},
        {1, 1, 0, -EINVAL, -EINVAL},
        {1, 1, SCRAM_ITERATIONS_MAX + 1, -EINVAL, -EINVAL},
        {1, 1, UINT32_MAX, -EINVAL, -EINVAL},
        {SCRAM_PASSWORD_MAX_BYTES, SCRAM_SALT_BYTES, SCRAM_ITERATIONS_MIN, 0, 0},
        {SCRAM_PASSWORD_MAX_BYTES + 1, 1, SCRAM_ITERATIONS_MIN, -EINVAL, -EINVAL},
        {1, SCRAM_SALT_BYTES + 1, SCRAM_ITERATIONS_MIN, -EINVAL, 0},
        {1, SCRAM_SALT_MAX_BYTES, SCRAM_ITERATIONS_MIN, -EINVAL, 0},
        {1, SCRAM_SALT_MAX_BYTES + 1, SCRAM_ITERATIONS_MIN, -EINVAL, -EINVAL},
    };

    (void)state;
    memset(long_text, 'x', sizeof(long_text));
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        struct str password = str_from_mem(long_text, table[i].password_bytes);
        struct str salt = str_from_mem(long_text, table[i].salt_bytes);
        struct scram_keys keys;
        struct scram_client_keys client;
        assert_int_equal(
            scram_keys_derive(SCRAM_SHA_256, password, salt, table[i].iterations, &keys),
            table[i].rc);
        assert_int_equal(
            scram_client_keys_derive(SCRAM_SHA_256, password, salt, table[i].iterations, &client),
            table[i].client_rc);
    }
}

static void suite_agrees(void **state)
{
    char path[4096];
    const char *suites = getenv("SUITES");
    size_t i;
    json_t *row;

    (void)state;
    snprintf(path, sizeof(path), "%s/sasl/sasl-rfc-vectors.json", suites != NULL ? suites : "");
    json_t *root = json_load_file(path, 0, NULL);
    if (root == NULL) {
        print_message("no %s: skipped\n", path);
        skip();
    }
    json_t *rows = json_object_get(root, "scram");
    assert_true(json_array_size(rows) > 0);
    json_array_foreach(rows, i, row)
    {
        const char *mech = json_string_value(json_object_get(row, "mech"));
        struct str first = str_from_c(json_string_value(json_object_get(row, "server_first")));
        struct str nonce, salt, count;
        char salt_text[64];
        assert_true(str_cut(first, ',', &nonce, &salt) && str_cut(salt, ',', &salt, &count));
        assert_true(str_copy(str_sub(salt, 2, salt.len), salt_text, sizeof(salt_text)));
        struct vector v = {
            .hash = strcmp(mech, "SCRAM-SHA-1") == 0 ? SCRAM_SHA_1 : SCRAM_SHA_256,
            .salt = salt_text,
            .stored_key = json_string_value(json_object_get(row, "stored_key")),
            .server_key = json_string_value(json_object_get(row, "server_key")),
        };
        uint64_t iterations = 0;
        assert_int_equal(str_to_u64(str_sub(count, 2, count.len), UINT32_MAX, &iterations), 0);
        v.iterations = (uint32_t)iterations;
        check(&v, str_from_c(json_string_value(json_object_get(row, "password"))));
    }
    json_decref(root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rfc_keys_are_derived),
        cmocka_unit_test(hmac_is_right),
        cmocka_unit_test(limits_hold),
        cmocka_unit_test(suite_agrees),
    };
    return cmocka_run_group_tests_name("scram_keys", tests, NULL, NULL);
}
