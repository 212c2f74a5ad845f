/* Unit tests of JWT, JWS and JWK: each test is named as the sentence it proves. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "token/base64url.h"
#include "token/jw_make.h"
#include "token/jwk.h"
#include "token/jwt.h"

#define CLAIMS "{\"iss\":\"https://id.example.jp\",\"sub\":\"taro@example.jp\"}"

/* RFC 7515 appendix A, RFC 8037 appendix A. */
#define RFC_RSA                                                                                    \
    "{\"kty\":\"RSA\",\"n\":\"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-"   \
    "Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_"                                      \
    "YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-"                                                 \
    "bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9k" \
    "G4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_"                                                     \
    "h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ\",\"e\":\"AQAB\"}"
#define RFC_EC                                                                                     \
    "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","     \
    "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"}"
#define RFC_ED                                                                                     \
    "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}"
#define RFC_CLAIMS                                                                                 \
    "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVl" \
    "fQ"

static const struct {
    const char *keys, *token;
} RFC[] = {
    {"{\"keys\":[" RFC_RSA "]}",
     "eyJhbGciOiJSUzI1NiJ9." RFC_CLAIMS
     ".cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_"
     "lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_"
     "nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--"
     "xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIh"
     "WkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw"},
    {"{\"keys\":[" RFC_EC "]}",
     "eyJhbGciOiJFUzI1NiJ9." RFC_CLAIMS
     ".DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"},
    {"{\"keys\":[" RFC_ED "]}",
     "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-"
     "09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"},
};

static struct jwk_set *parse_set(const char *json)
{
    struct jwk_set *set;
    const char *why;

    assert_int_equal(jwk_set_parse(str_from_c(json), &set, &why), 0);
    assert_string_equal(why, "");
    return set;
}

static enum jwk_result verify(const struct jwk_set *set, const char *token)
{
    struct jwt jwt;
    const char *why;

    assert_int_equal(jwt_parse(str_from_c(token), &jwt, &why), 0);
    enum jwk_result result =
        jwk_set_verify(set, jwt.key_id, jwt.algorithm, jwt.signed_text, jwt.signature);
    jwt_done(&jwt);
    return result;
}

static void assert_refused(const char *token, const char *expected_why)
{
    struct jwt jwt;
    const char *why;

    assert_int_not_equal(jwt_parse(str_from_c(token), &jwt, &why), 0);
    assert_string_equal(why, expected_why);
    jwt_done(&jwt);
}

static void examples_of_the_standards_verify(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(RFC); i++) {
        struct jwk_set *set = parse_set(RFC[i].keys);
        assert_int_equal(verify(set, RFC[i].token), JWK_GOOD);
        jwk_set_free(set);
    }
}

static void each_algorithm_verifies_by_its_kind_of_key(void **state)
{
    static const struct {
        const char *kind;
        enum jws_algorithm algorithms[4];
        size_t count;
    } rows[] = {
        {"RSA-2048", {JWS_RS256, JWS_RS384, JWS_RS512, JWS_PS256}, 4},
        {"P-256", {JWS_ES256}, 1},
        {"P-384", {JWS_ES384}, 1},
        {"ED25519", {JWS_EDDSA}, 1},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct jw_key key = jw_key_make(rows[i].kind, "one");
        CLEANUP(cleanup_free) char *json = jw_set_json(&key, "");
        struct jwk_set *set = parse_set(json);
        for (size_t j = 0; j < rows[i].count; j++) {
            CLEANUP(cleanup_free) char *token = jw_token(&key, rows[i].algorithms[j], CLAIMS);
            assert_int_equal(verify(set, token), JWK_GOOD);
        }
        jwk_set_free(set);
        jw_key_done(&key);
    }
}

/* Each character of a token, changed to another: refused as it is read, or not verified. */
static void a_token_that_was_changed_anywhere_does_not_verify(void **state)
{
    static const char *const kinds[] = {"P-256", "ED25519", "RSA-2048"};
    static const enum jws_algorithm algorithms[] = {JWS_ES256, JWS_EDDSA, JWS_PS256};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        struct jw_key key = jw_key_make(kinds[i], NULL);
        CLEANUP(cleanup_free) char *json = jw_set_json(&key, "");
        CLEANUP(cleanup_free) char *token = jw_token(&key, algorithms[i], CLAIMS);
        struct jwk_set *set = parse_set(json);
        for (size_t at = 0; token[at] != '\0'; at++) {
            char before = token[at];
            struct jwt jwt;
            const char *why;
            token[at] = before == 'A' ? 'B' : 'A';
            if (jwt_parse(str_from_c(token), &jwt, &why) == 0)
                assert_int_not_equal(
                    jwk_set_verify(set, jwt.key_id, jwt.algorithm, jwt.signed_text, jwt.signature),
                    JWK_GOOD);
            jwt_done(&jwt);
            token[at] = before;
        }
        assert_int_equal(verify(set, token), JWK_GOOD);
        jwk_set_free(set);
        jw_key_done(&key);
    }
}

static void none_and_macs_and_unknown_algorithms_are_refused(void **state)
{
    static const char *const names[] = {"none", "None",  "NONE",  "HS256", "HS384", "HS512",
                                        "",     "rs256", "ES512", "RS1",   "ES256K"};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        CLEANUP(cleanup_free) char *header = xasprintf("{\"alg\":\"%s\"}", names[i]);
        CLEANUP(cleanup_free) char *bare = jw_assemble(header, CLAIMS, "");
        CLEANUP(cleanup_free) char *token = jw_assemble(header, CLAIMS, "AAAA");
        assert_refused(bare, "it is not signed by an algorithm that is taken");
        assert_refused(token, "it is not signed by an algorithm that is taken");
    }
}

static void what_is_no_token_is_refused(void **state)
{
    static const char header[] = "it is not three parts with dots between them";
    static const char coding[] = "a part of it is not base64url";
    static const struct {
        const char *token, *why;
    } rows[] = {
        {"", "it is empty or too long"},
        {"opaque-token", header},
        {"e30.e30", header},
        {"e30.e30.AAAA.AAAA", header},
        {"e30.e30.AAAA.AAAA.AAAA", header},
        {".e30.AAAA", coding},
        {"e30..AAAA", coding},
        {"e30=.e30.AAAA", coding},
        {"e3 .e30.AAAA", coding},
        {"e30.e3+.AAAA", coding},
        {"e31.e30.AAAA", coding}, /* bits that do not count are set */
        {"e30.e30.AAAA", "it is not signed by an algorithm that is taken"},
        {"W10.e30.AAAA", "its header is no JSON object"},
        {"AAAA.e30.AAAA", "its header is no JSON object"},
        /* {"alg":"RS256","alg":"ES256"} */
        {"eyJhbGciOiJSUzI1NiIsImFsZyI6IkVTMjU2In0.e30.AAAA", "its header is no JSON object"},
        {"eyJhbGciOiJSUzI1NiJ9.e30.", "its signature is missing or not base64url"},
        {"eyJhbGciOiJSUzI1NiJ9.e30.A", "its signature is missing or not base64url"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        assert_refused(rows[i].token, rows[i].why);
}

static void headers_that_want_more_are_refused(void **state)
{
    static const struct {
        const char *header, *why;
    } rows[] = {
        {"{\"alg\":\"ES256\",\"crit\":[\"b64\"],\"b64\":false}", "it has critical extensions"},
        {"{\"alg\":\"ES256\",\"crit\":[]}", "it has critical extensions"},
        {"{\"alg\":\"ES256\",\"typ\":\"logout+jwt\"}", "it is a token for another purpose"},
        {"{\"alg\":\"ES256\",\"typ\":\"dpop+jwt\"}", "it is a token for another purpose"},
        {"{\"alg\":\"ES256\",\"typ\":1}", "it is a token for another purpose"},
        {"{\"alg\":\"ES256\",\"kid\":1}", "its key has a name that cannot be"},
        {"{\"alg\":\"ES256\",\"kid\":\"\"}", "its key has a name that cannot be"},
        {"{\"alg\":[\"ES256\"]}", "it is not signed by an algorithm that is taken"},
    };
    static const char *const good[] = {"{\"alg\":\"ES256\",\"typ\":\"JWT\"}",
                                       "{\"alg\":\"ES256\",\"typ\":\"at+jwt\"}",
                                       "{\"alg\":\"ES256\",\"typ\":\"application/at+JWT\"}",
                                       "{\"alg\":\"ES256\",\"jku\":\"https://evil.example/\"}"};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        CLEANUP(cleanup_free) char *token = jw_assemble(rows[i].header, CLAIMS, "AAAA");
        assert_refused(token, rows[i].why);
    }
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        CLEANUP(cleanup_free) char *token = jw_assemble(good[i], CLAIMS, "AAAA");
        struct jwt jwt;
        const char *why;
        assert_int_equal(jwt_parse(str_from_c(token), &jwt, &why), 0);
        assert_true(str_eq_c(jwt.claims, CLAIMS));
        jwt_done(&jwt);
    }
}

static void sizes_are_bounded(void **state)
{
    char *token = xmalloc(JWT_MAX_BYTES + 2);

    (void)state;
    memset(token, 'A', JWT_MAX_BYTES + 1);
    token[JWT_MAX_BYTES + 1] = '\0';
    assert_refused(token, "it is empty or too long");
    token[4] = '.';
    token[8] = '.';
    token[JWT_MAX_BYTES] = '\0';
    assert_refused(token, "its header is no JSON object");
    token[4] = 'A';
    token[4000] = '.';
    assert_refused(token, "its header is no JSON object");
    free(token);
}

/* A public key as the key of a MAC, a key of EC for RSA, another size of curve, another algorithm
 * than the set has it for. */
static void an_algorithm_must_fit_the_key(void **state)
{
    struct jw_key rsa = jw_key_make("RSA-2048", "rsa"), ec = jw_key_make("P-256", "ec"),
                  big = jw_key_make("P-384", "big");
    CLEANUP(cleanup_free) char *rsa_json = jw_key_json(&rsa, ",\"alg\":\"RS512\"");
    CLEANUP(cleanup_free) char *ec_json = jw_key_json(&ec, ""), *big_json = jw_key_json(&big, "");
    CLEANUP(cleanup_free)
    char *json = xasprintf("{\"keys\":[%s,%s,%s]}", rsa_json, ec_json, big_json);
    struct jwk_set *set = parse_set(json);
    static const char *const headers[] = {
        "{\"alg\":\"ES256\",\"kid\":\"rsa\"}", "{\"alg\":\"RS256\",\"kid\":\"ec\"}",
        "{\"alg\":\"ES384\",\"kid\":\"ec\"}", "{\"alg\":\"EdDSA\",\"kid\":\"big\"}"};

    (void)state;
    assert_int_equal(jwk_set_count(set), 3);
    for (size_t i = 0; i < ARRAY_LEN(headers); i++) {
        CLEANUP(cleanup_free) char *token = jw_sign(&ec, JWS_ES256, headers[i], CLAIMS);
        assert_int_equal(verify(set, token), JWK_BAD);
    }
    CLEANUP(cleanup_free) char *other = jw_token(&rsa, JWS_RS256, CLAIMS);
    CLEANUP(cleanup_free) char *right = jw_token(&rsa, JWS_RS512, CLAIMS);
    assert_int_equal(verify(set, other), JWK_BAD);
    assert_int_equal(verify(set, right), JWK_GOOD);
    jwk_set_free(set);
    jw_key_done(&rsa);
    jw_key_done(&ec);
    jw_key_done(&big);
}

/* Of zeros alone, which careless verifiers of ECDSA have taken; and of other lengths. */
static void signatures_of_nothing_are_bad(void **state)
{
    static const char *const kinds[] = {"P-256", "P-384", "ED25519", "RSA-2048"};
    static const enum jws_algorithm algorithms[] = {JWS_ES256, JWS_ES384, JWS_EDDSA, JWS_RS256};
    static const char zeros[JWS_SIGNATURE_MAX_BYTES + 1];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        struct jw_key key = jw_key_make(kinds[i], NULL);
        for (size_t len = 0; len <= sizeof(zeros); len++)
            assert_false(jws_verify(algorithms[i], key.key, STR("text"), str_from_mem(zeros, len)));
        jw_key_done(&key);
    }
}

static void the_key_is_chosen_by_its_name(void **state)
{
    struct jw_key old = jw_key_make("P-256", "old"), new = jw_key_make("P-256", "new"),
                  nameless = jw_key_make("P-256", NULL), other = jw_key_make("P-256", "other");
    CLEANUP(cleanup_free) char *a = jw_key_json(&old, ""), *b = jw_key_json(&new, "");
    CLEANUP(cleanup_free) char *json = xasprintf("{\"keys\":[%s,%s]}", a, b);
    struct jwk_set *set = parse_set(json);
    CLEANUP(cleanup_free) char *by_old = jw_token(&old, JWS_ES256, CLAIMS);
    CLEANUP(cleanup_free) char *by_new = jw_token(&new, JWS_ES256, CLAIMS);
    CLEANUP(cleanup_free) char *by_other = jw_token(&other, JWS_ES256, CLAIMS);
    CLEANUP(cleanup_free) char *unnamed = jw_sign(&new, JWS_ES256, "{\"alg\":\"ES256\"}", CLAIMS);
    CLEANUP(cleanup_free) char *strange = jw_token(&nameless, JWS_ES256, CLAIMS);
    CLEANUP(cleanup_free)
    char *lying = jw_sign(&new, JWS_ES256, "{\"alg\":\"ES256\",\"kid\":\"old\"}", CLAIMS);

    (void)state;
    assert_int_equal(verify(set, by_old), JWK_GOOD);
    assert_int_equal(verify(set, by_new), JWK_GOOD);
    assert_int_equal(verify(set, unnamed), JWK_GOOD);
    assert_int_equal(verify(set, lying), JWK_BAD);
    assert_int_equal(verify(set, by_other), JWK_UNKNOWN_KEY);
    assert_int_equal(verify(set, strange), JWK_UNKNOWN_KEY);
    jwk_set_free(set);
    CLEANUP(cleanup_free) char *nameless_json = jw_set_json(&nameless, "");
    set = parse_set(nameless_json);
    CLEANUP(cleanup_free)
    char *named = jw_sign(&nameless, JWS_ES256, "{\"alg\":\"ES256\",\"kid\":\"x\"}", CLAIMS);
    assert_int_equal(verify(set, named), JWK_GOOD);
    jwk_set_free(set);
    jw_key_done(&old);
    jw_key_done(&new);
    jw_key_done(&nameless);
    jw_key_done(&other);
}

static void keys_that_cannot_be_used_are_passed_over(void **state)
{
    static const char *const members[] = {",\"use\":\"enc\"", ",\"key_ops\":[\"sign\"]",
                                          ",\"alg\":\"ECDH-ES\"", ",\"alg\":\"ES384\"",
                                          ",\"alg\":1"};
    static const char *const bad[] = {
        "1",
        "{}",
        "{\"kty\":\"oct\",\"k\":\"c2VjcmV0\"}",
        "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"AAAA\",\"y\":\"AAAA\"}",
        "{\"kty\":\"EC\",\"crv\":\"P-521\",\"x\":\"AAAA\",\"y\":\"AAAA\"}",
        /* not on the curve */
        "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
        "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a1\"}",
        "{\"kty\":\"OKP\",\"crv\":\"X25519\",\"x\":\"11qYAYKxCrfVS_"
        "7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}",
        "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"11qYAYKxCrfVS_\"}",
        "{\"kty\":\"RSA\",\"n\":\"AQAB\",\"e\":\"AQAB\"}",
        "{\"kty\":\"RSA\",\"e\":\"AQAB\"}",
    };
    struct jw_key key = jw_key_make("P-256", "one"), small = jw_key_make("RSA-1024", NULL);
    CLEANUP(cleanup_free) char *small_json = jw_set_json(&small, "");
    struct jwk_set *set;
    const char *why;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(members); i++) {
        CLEANUP(cleanup_free) char *json = jw_set_json(&key, members[i]);
        assert_int_not_equal(jwk_set_parse(str_from_c(json), &set, &why), 0);
        assert_string_equal(why, "no key in it that could be used");
    }
    assert_int_not_equal(jwk_set_parse(str_from_c(small_json), &set, &why), 0);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        CLEANUP(cleanup_free) char *alone = xasprintf("{\"keys\":[%s]}", bad[i]);
        CLEANUP(cleanup_free) char *with = xasprintf("{\"keys\":[%s," RFC_EC "]}", bad[i]);
        assert_int_not_equal(jwk_set_parse(str_from_c(alone), &set, &why), 0);
        set = parse_set(with);
        assert_int_equal(jwk_set_count(set), 1);
        jwk_set_free(set);
    }
    jw_key_done(&key);
    jw_key_done(&small);
}

/* With an exponent of 1 every text would be its own signature. */
static void an_rsa_key_that_hides_nothing_is_no_key(void **state)
{
    static const char *const exponents[] = {"AQ", "Ag", "AA", "AQAAAAAAAAAB"};
    struct jwk_set *set;
    const char *why;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(exponents); i++) {
        char *json = str_dup(STR("{\"keys\":[" RFC_RSA "]}"));
        CLEANUP(cleanup_free)
        char *changed =
            xasprintf("%.*s%s\"}]}", (int)(strstr(json, "AQAB\"}") - json), json, exponents[i]);
        assert_int_not_equal(jwk_set_parse(str_from_c(changed), &set, &why), 0);
        free(json);
    }
}

static void what_is_no_set_is_refused(void **state)
{
    static const struct {
        const char *json, *why;
    } rows[] = {
        {"", "not a JSON object"},
        {"<html>", "not a JSON object"},
        {"[]", "not a JSON object"},
        {"{}", "no array \"keys\""},
        {"{\"keys\":{}}", "no array \"keys\""},
        {"{\"keys\":[]}", "no key in it that could be used"},
        {"{\"keys\":[],\"keys\":[]}", "not a JSON object"},
        {"{\"a\":[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]}", "not a JSON object"},
    };
    struct jwk_set *set;
    const char *why;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        assert_int_not_equal(jwk_set_parse(str_from_c(rows[i].json), &set, &why), 0);
        assert_null(set);
        assert_string_equal(why, rows[i].why);
    }
}

static void base64url_has_one_text_for_the_same_bytes(void **state)
{
    static const char *const bad[] = {"A",   "AB=",  "A===", "AB",  "AAB",
                                      "A A", "+AAA", "/AAA", "AA\n"};
    struct buf bytes, text;

    (void)state;
    buf_init(&bytes, 64);
    buf_init(&text, 64);
    for (size_t len = 0; len <= 16; len++) {
        buf_reset(&bytes);
        buf_reset(&text);
        struct str from = str_sub(STR("\xff\xfe\x00 0123456789abc"), 0, len);
        base64url_put(from, &text);
        assert_int_equal(base64url_take(buf_str(&text), &bytes), 0);
        assert_true(str_eq(buf_str(&bytes), from));
    }
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_int_not_equal(base64url_take(str_from_c(bad[i]), &bytes), 0);
    buf_done(&bytes);
    buf_done(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(examples_of_the_standards_verify),
        cmocka_unit_test(each_algorithm_verifies_by_its_kind_of_key),
        cmocka_unit_test(a_token_that_was_changed_anywhere_does_not_verify),
        cmocka_unit_test(none_and_macs_and_unknown_algorithms_are_refused),
        cmocka_unit_test(what_is_no_token_is_refused),
        cmocka_unit_test(headers_that_want_more_are_refused),
        cmocka_unit_test(sizes_are_bounded),
        cmocka_unit_test(an_algorithm_must_fit_the_key),
        cmocka_unit_test(signatures_of_nothing_are_bad),
        cmocka_unit_test(the_key_is_chosen_by_its_name),
        cmocka_unit_test(keys_that_cannot_be_used_are_passed_over),
        cmocka_unit_test(an_rsa_key_that_hides_nothing_is_no_key),
        cmocka_unit_test(what_is_no_set_is_refused),
        cmocka_unit_test(base64url_has_one_text_for_the_same_bytes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
