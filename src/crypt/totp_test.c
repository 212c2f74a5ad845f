/* Unit tests of one-time codes: RFC 6238 appendix B and RFC 4226 appendix D from the public suite,
 * the window, codes that work once, the URI. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "crypt/totp.h"

#define SECRET STR("12345678901234567890")

static json_t *load_suite(void)
{
    const char *suites = getenv("SUITES");
    char path[1000];

    (void)snprintf(path, sizeof(path), "%s/sasl/totp-rfc6238.json", suites != NULL ? suites : "");
    return json_load_file(path, 0, NULL);
}

static enum totp_hash hash_named(const char *name)
{
    if (strcmp(name, "SHA1") == 0)
        return TOTP_SHA_1;
    return strcmp(name, "SHA256") == 0 ? TOTP_SHA_256 : TOTP_SHA_512;
}

static void the_suite_has_our_codes(void **state)
{
    json_t *suite = load_suite(), *vector;
    char code[TOTP_DIGITS_MAX + 1];
    size_t i;

    (void)state;
    if (suite == NULL) {
        print_message("the suite sasl/totp-rfc6238.json is not there\n");
        skip();
    }
    assert_true(json_array_size(json_object_get(suite, "totp")) >= 18);
    json_array_foreach(json_object_get(suite, "totp"), i, vector)
    {
        int64_t time = json_integer_value(json_object_get(vector, "time"));
        unsigned digits = (unsigned)json_integer_value(json_object_get(vector, "digits"));
        assert_int_equal(json_integer_value(json_object_get(vector, "step")), TOTP_STEP_S);
        assert_int_equal(
            totp_code(hash_named(json_string_value(json_object_get(vector, "alg"))),
                      str_from_c(json_string_value(json_object_get(vector, "secret_ascii"))),
                      time / TOTP_STEP_S, digits, code),
            0);
        assert_string_equal(code, json_string_value(json_object_get(vector, "code")));
    }
    json_decref(suite);
}

/* RFC 4226 appendix D: the codes of steps 0 to 9. */
static const char *const CODES[] = {"755224", "287082", "359152", "969429", "338314",
                                    "254676", "287922", "162583", "399871", "520489"};

static void a_code_counts_a_step_early_or_late_and_once(void **state)
{
    int64_t step = -1;

    (void)state;
    for (int64_t at = 0; at < 10; at++) {
        bool is_near = at >= 4 && at <= 6;
        assert_int_equal(totp_check(SECRET, str_from_c(CODES[at]), 5 * 30 + 12, -1, &step),
                         is_near);
        if (is_near)
            assert_int_equal(step, at);
    }
    assert_true(totp_check(SECRET, STR("254 676"), 5 * 30 + 29, 4, &step));
    assert_int_equal(step, 5);
    assert_false(totp_check(SECRET, STR("254676"), 5 * 30 + 29, 5, &step));
    /* What is older than the last one that was used is used up, too. */
    assert_false(totp_check(SECRET, STR("338314"), 5 * 30, 5, &step));
    assert_true(totp_check(SECRET, STR("287922"), 5 * 30, 5, &step));
}

static void what_is_no_code_is_wrong(void **state)
{
    static const char *const typed[] = {"",         "25467",        "2546766", "25467a",
                                        "254676\n", "２５４６７６", "000000"};
    char code[TOTP_DIGITS_MAX + 1];
    int64_t step;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(typed); i++)
        assert_false(totp_check(SECRET, str_from_c(typed[i]), 5 * 30, -1, &step));
    assert_int_equal(totp_code(TOTP_SHA_1, SECRET, 5, 9, code), -EINVAL);
    assert_int_equal(totp_code(TOTP_SHA_1, SECRET, 5, 5, code), -EINVAL);
    assert_int_equal(totp_code(TOTP_SHA_1, SECRET, -1, 6, code), -EINVAL);
}

static void apps_are_told_by_a_uri(void **state)
{
    struct buf out;

    (void)state;
    buf_init(&out, 1000);
    totp_put_uri(&out, STR("mx.example.jp"), STR("taro+x@例.jp"), SECRET);
    assert_string_equal(buf_c_str(&out),
                        "otpauth://totp/mx.example.jp:taro%2Bx%40%E4%BE%8B.jp"
                        "?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=mx.example.jp");
    buf_reset(&out);
    totp_put_secret(&out, SECRET);
    assert_string_equal(buf_c_str(&out), "GEZD GNBV GY3T QOJQ GEZD GNBV GY3T QOJQ");
    buf_done(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_suite_has_our_codes),
        cmocka_unit_test(a_code_counts_a_step_early_or_late_and_once),
        cmocka_unit_test(what_is_no_code_is_wrong),
        cmocka_unit_test(apps_are_told_by_a_uri),
    };

    return cmocka_run_group_tests_name("totp", tests, NULL, NULL);
}
