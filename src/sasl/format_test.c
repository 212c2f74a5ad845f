/* Unit tests of the formats that mechanisms share: base64, GS2 headers and names, the messages of
 * OAuth, the table of mechanisms. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "sasl/base64.h"
#include "sasl/bindings.h"
#include "sasl/gs2.h"
#include "sasl/mechanism.h"
#include "sasl/oauth.h"

/* RFC 4648 section 10, and more of the alphabet. */
static const struct {
    struct str bytes;
    const char *text;
} BASE64[] = {
    {STR(""), ""},
    {STR("f"), "Zg=="},
    {STR("fo"), "Zm8="},
    {STR("foo"), "Zm9v"},
    {STR("foob"), "Zm9vYg=="},
    {STR("fooba"), "Zm9vYmE="},
    {STR("foobar"), "Zm9vYmFy"},
    {STR("\0\0\0"), "AAAA"},
    {STR("\xff\xff\xff"), "////"},
    {STR("\xfb\xef\xbe"), "++++"},
    {STR("\0tim\0tanstaaftanstaaf"), "AHRpbQB0YW5zdGFhZnRhbnN0YWFm"},
};

static const char *const NO_BASE64[] = {
    "A",     "AA",      "AAA",   "=",        "==",       "===",       "====",    "A===",
    "=AAA",  "AAA=BBB", "AA=A",  "AA==AAAA", "AAA=AAAA", "AAAAA===",  "Zm9v\n",  "Zm9v\r\n",
    " Zm9v", "Zm9v ",   "Zm 9v", "Zm9v====", "Zm9-",     "Zm9_",      "Zm9\xe9", "Zh==",
    "Zm9=",  "*",       "Zm9v*", "Zm9v,",    "Z===",     "Zm9vZm9vZ", "ZZ=",     "\x01\x02\x03\x04",
};

static void base64_is_strict(void **state)
{
    struct buf out;

    (void)state;
    buf_init(&out, 100);
    for (size_t i = 0; i < ARRAY_LEN(BASE64); i++) {
        buf_reset(&out);
        sasl_base64_put(BASE64[i].bytes, &out);
        assert_string_equal(buf_c_str(&out), BASE64[i].text);
        buf_reset(&out);
        buf_put_c(&out, "x");
        assert_int_equal(sasl_base64_take(str_from_c(BASE64[i].text), &out), 0);
        assert_true(str_eq(str_sub(buf_str(&out), 1, out.len), BASE64[i].bytes));
    }
    for (size_t i = 0; i < ARRAY_LEN(NO_BASE64); i++) {
        buf_reset(&out);
        buf_put_c(&out, "x");
        if (sasl_base64_take(str_from_c(NO_BASE64[i]), &out) != -EINVAL)
            fail_msg("\"%s\" was taken", NO_BASE64[i]);
        assert_string_equal(buf_c_str(&out), "x");
    }
    assert_int_equal(sasl_base64_take(STR("AA\0A"), &out), -EINVAL);
    buf_done(&out);
}

static void base64_is_bounded(void **state)
{
    struct buf out;

    (void)state;
    buf_init(&out, 4);
    assert_int_equal(sasl_base64_take(STR("AAAAAA=="), &out), 0);
    assert_int_equal(out.len, 4);
    buf_reset(&out);
    assert_int_equal(sasl_base64_take(STR("AAAAAAA="), &out), -EMSGSIZE);
    buf_reset(&out);
    sasl_base64_put(STR("abc"), &out);
    assert_int_equal(buf_status(&out), 0);
    sasl_base64_put(STR("d"), &out);
    assert_int_equal(buf_status(&out), -EMSGSIZE);
    buf_done(&out);
}

static void names_are_coded(void **state)
{
    static const struct {
        const char *written, *name; /* NULL: refused */
    } table[] = {
        {"user", "user"},
        {"a=2Cb", "a,b"},
        {"a=3Db", "a=b"},
        {"=2C=3D=2C", ",=,"},
        {"\xe9\xa3\x9b", "\xe9\xa3\x9b"},
        {"=3D2C", "=2C"},
        {"", NULL},
        {"a=2cb", NULL},
        {"a=3db", NULL},
        {"a=b", NULL},
        {"a=", NULL},
        {"a=2", NULL},
        {"a,b", NULL},
        {"\xff", NULL},
        {"a=\xe9", NULL},
    };
    struct buf name, again;

    (void)state;
    buf_init(&name, 100);
    buf_init(&again, 100);
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        buf_reset(&name);
        int rc = gs2_name_take(str_from_c(table[i].written), &name);
        assert_int_equal(rc, table[i].name != NULL ? 0 : -EINVAL);
        assert_string_equal(buf_c_str(&name), table[i].name != NULL ? table[i].name : "");
        if (rc < 0)
            continue;
        buf_reset(&again);
        gs2_name_put(buf_str(&name), &again);
        assert_string_equal(buf_c_str(&again), table[i].written);
    }
    assert_int_equal(gs2_name_take(STR("a\0b"), &name), -EINVAL);
    buf_done(&name);
    buf_init(&name, 2);
    assert_int_equal(gs2_name_take(STR("abc"), &name), -EMSGSIZE);
    buf_done(&name);
    buf_done(&again);
}

struct oauth_row {
    const char *message; /* "^" is control A */
    const char *name;    /* NULL: refused */
    const char *token;
};

static const struct oauth_row BEARER[] = {
    {"n,,^auth=Bearer abc^^", "", "abc"},
    {"n,a=u@x.jp,^host=h^port=143^auth=Bearer vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==^^",
     "u@x.jp", "vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg=="},
    {"n,a=u=2Cv,^auth=BEARER   a-._~+/9=^^", "u=2Cv", "a-._~+/9="},
    {"n,,^auth=Bearer abc^x=^y=any thing \t\r\n^^", "", "abc"},
    {"n,,^auth=^^", "", ""},
    {"n,,^auth=Bearer^^", "", ""},
    {"n,,^auth=Bearer ^^", "", ""},
    {"", NULL, NULL},
    {"^", NULL, NULL},
    {"^^", NULL, NULL},
    {"n,,", NULL, NULL},
    {"n,,^", NULL, NULL},
    {"n,,^^", NULL, NULL},
    {"n,,^auth=Bearer abc", NULL, NULL},
    {"n,,^auth=Bearer abc^", NULL, NULL},
    {"n,,^auth=Bearer abc^^^", NULL, NULL},
    {"n,,^auth=Bearer abc^^auth=Bearer abc^^", NULL, NULL},
    {"n,,^auth=Bearer abc^auth=Bearer abd^^", NULL, NULL},
    {"n,,^AUTH=Bearer abc^^", NULL, NULL},
    {"n,,^host=h^^", NULL, NULL},
    {"n,,^auth=Basic abc^^", NULL, NULL},
    {"n,,^auth=Bearerabc^^", NULL, NULL},
    {"n,,^auth=Bearer a bc^^", NULL, NULL},
    {"n,,^auth=Bearer abc ^^", NULL, NULL},
    {"n,,^auth=Bearer a\"b^^", NULL, NULL},
    {"n,,^auth=Bearer =abc^^", NULL, NULL},
    {"n,,^auth=Bearer \xe9\xa3\x9b^^", NULL, NULL},
    {"n,,^au1h=x^auth=Bearer abc^^", NULL, NULL},
    {"n,,^=x^auth=Bearer abc^^", NULL, NULL},
    {"n,,^x^auth=Bearer abc^^", NULL, NULL},
    {"n,,^x=\x02^auth=Bearer abc^^", NULL, NULL},
    {"n,,^x=\xff^auth=Bearer abc^^", NULL, NULL},
    {"n,user=u,^auth=Bearer abc^^", NULL, NULL},
    {"F,n,,^auth=Bearer abc^^", NULL, NULL},
    {"p=tls-exporter,,^auth=Bearer abc^^", NULL, NULL},
    {"user=u^auth=Bearer abc^^", NULL, NULL},
};

static const struct oauth_row XOAUTH2[] = {
    {"user=u@x.jp^auth=Bearer ya29.vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg^^", "u@x.jp",
     "ya29.vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg"},
    {"user=\xe9\xa3\x9b^auth=Bearer a^^", "\xe9\xa3\x9b", "a"},
    {"user=u^auth=^^", "u", ""},
    {"user=^auth=Bearer a^^", NULL, NULL},
    {"auth=Bearer a^user=u^^", NULL, NULL},
    {"User=u^auth=Bearer a^^", NULL, NULL},
    {"user=u^auth=Bearer a^", NULL, NULL},
    {"user=u^^", NULL, NULL},
    {"user=u^auth=Bearer a^^x", NULL, NULL},
    {"n,,^auth=Bearer a^^", NULL, NULL},
    {"", NULL, NULL},
};

static void run_oauth(const struct oauth_row *table, size_t count,
                      int (*read)(struct str, struct oauth_message *))
{
    for (size_t i = 0; i < count; i++) {
        char text[200];
        struct oauth_message out;
        assert_true(str_copy(str_from_c(table[i].message), text, sizeof(text)));
        for (char *c = text; *c != '\0'; c++)
            *c = (char)(*c == '^' ? '\x01' : *c);
        int rc = read(str_from_c(text), &out);
        if (rc != (table[i].name != NULL ? 0 : -EINVAL))
            fail_msg("%s: %d", table[i].message, rc);
        if (rc < 0)
            continue;
        assert_true(str_eq_c(out.name, table[i].name));
        assert_true(str_eq_c(out.token, table[i].token));
    }
}

static void oauth_messages_are_read(void **state)
{
    struct oauth_message out;

    (void)state;
    run_oauth(BEARER, ARRAY_LEN(BEARER), oauth_read_bearer);
    run_oauth(XOAUTH2, ARRAY_LEN(XOAUTH2), oauth_read_xoauth2);
    assert_int_equal(oauth_read_bearer(STR("n,,\x01"
                                           "auth=Bearer a\0\x01\x01"),
                                       &out),
                     -EINVAL);
}

static void oauth_errors_are_json(void **state)
{
    struct buf out;

    (void)state;
    buf_init(&out, 1000);
    oauth_put_bearer_error(STR(""), STR(""), &out);
    assert_string_equal(buf_c_str(&out), "{\"status\":\"invalid_token\"}");
    buf_reset(&out);
    oauth_put_bearer_error(STR("a\"b\\c\n"), STR("https://x.jp/"), &out);
    assert_string_equal(buf_c_str(&out),
                        "{\"status\":\"invalid_token\",\"scope\":\"a\\\"b\\\\c\\u000a\","
                        "\"openid-configuration\":\"https://x.jp/\"}");
    buf_reset(&out);
    oauth_put_xoauth2_error(STR("mail"), &out);
    assert_string_equal(buf_c_str(&out),
                        "{\"status\":\"401\",\"schemes\":\"bearer\",\"scope\":\"mail\"}");
    buf_done(&out);
}

static void mechanisms_have_names(void **state)
{
    unsigned all = (1U << SASL_MECHANISM_COUNT) - 1;
    struct buf out;

    (void)state;
    buf_init(&out, 1000);
    for (unsigned i = 0; i < SASL_MECHANISM_COUNT; i++) {
        enum sasl_mechanism found = SASL_MECHANISM_COUNT;
        struct str name = sasl_mechanism_name(i);
        assert_in_range(name.len, 1, 20);
        assert_true(sasl_mechanism_find(name, &found));
        assert_int_equal(found, i);
    }
    sasl_mechanisms_put(all, &out);
    assert_int_equal(sasl_mechanisms_read(buf_str(&out)), all);
    assert_int_equal(sasl_mechanisms_read(STR("  plain  GSSAPI login\r\n")),
                     SASL_SET(SASL_PLAIN) | SASL_SET(SASL_LOGIN));
    assert_int_equal(sasl_mechanisms_read(STR("")), 0);
    assert_int_equal(sasl_mechanisms_read(STR("SCRAM-SHA-25 SCRAM-SHA-256-PLU PLAINX")), 0);
    buf_done(&out);
}

static void bindings_are_found(void **state)
{
    struct sasl_bindings none = {.data = {STR_NONE}};
    struct sasl_bindings one = {.data = {[SASL_BINDING_TLS_SERVER_END_POINT] = STR("x")}};

    (void)state;
    assert_false(sasl_bindings_are_there(&none));
    assert_true(sasl_bindings_are_there(&one));
    assert_int_equal(sasl_bindings_find(&one, STR("tls-exporter")).len, 0);
    assert_int_equal(sasl_bindings_find(&one, STR("tls-unique")).len, 0);
    assert_int_equal(sasl_bindings_find(&one, STR("")).len, 0);
    assert_true(str_eq(sasl_bindings_find(&one, STR("tls-server-end-point")), STR("x")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(base64_is_strict),      cmocka_unit_test(base64_is_bounded),
        cmocka_unit_test(names_are_coded),       cmocka_unit_test(oauth_messages_are_read),
        cmocka_unit_test(oauth_errors_are_json), cmocka_unit_test(mechanisms_have_names),
        cmocka_unit_test(bindings_are_found),
    };
    return cmocka_run_group_tests_name("sasl_format", tests, NULL, NULL);
}
