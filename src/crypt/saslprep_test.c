/* Unit tests of SASLprep: the examples of RFC 4013 section 3, limits, and what libidn makes of text
 * that people type. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "crypt/saslprep.h"

static const struct {
    const char *in;
    const char *query;  /* NULL: refused */
    const char *stored; /* likewise */
} TEXTS[] = {
    /* RFC 4013 section 3 */
    {"I\xc2\xadX", "IX", "IX"},
    {"user", "user", "user"},
    {"USER", "USER", "USER"},
    {"\xc2\xaa", "a", "a"},
    {"\xe2\x85\xa8", "IX", "IX"},
    {"\x07", NULL, NULL},
    {"\xd8\xa7"
     "1",
     NULL, NULL},
    /* spaces, controls, nothing left */
    {"a b", "a b", "a b"},
    {" ", " ", " "},
    {"a\xc2\xa0"
     "b",
     "a b", "a b"},
    {"\xe3\x80\x80", " ", " "},
    {"", NULL, NULL},
    {"\xc2\xad", NULL, NULL},
    {"a\tb", NULL, NULL},
    {"a\x7f", NULL, NULL},
    {"\xc2\x85", NULL, NULL},
    {"\xee\x80\x80", NULL, NULL},
    {"\xef\xbf\xbd", NULL, NULL},
    /* Japanese: full width, half width, decomposed */
    {"\xef\xbd\x81\xef\xbc\x91", "a1", "a1"},
    {"\xef\xbd\xb6\xef\xbe\x9e", "\xe3\x82\xac", "\xe3\x82\xac"},
    {"\xe3\x82\xab\xe3\x82\x99", "\xe3\x82\xac", "\xe3\x82\xac"},
    {"\xe9\xa3\x9b\xe8\x84\x9a", "\xe9\xa3\x9b\xe8\x84\x9a", "\xe9\xa3\x9b\xe8\x84\x9a"},
    {"e\xcc\x81", "\xc3\xa9", "\xc3\xa9"},
    /* right to left as a whole */
    {"\xd8\xa7\xd8\xa8", "\xd8\xa7\xd8\xa8", "\xd8\xa7\xd8\xa8"},
    /* unassigned in Unicode 3.2: an emoji */
    {"\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80", NULL},
    /* no UTF-8: stray, overlong, surrogate, too large, cut off */
    {"\x80", NULL, NULL},
    {"\xc0\xaf", NULL, NULL},
    {"\xed\xa0\x80", NULL, NULL},
    {"\xf4\x90\x80\x80", NULL, NULL},
    {"a\xe3\x82", NULL, NULL},
};

static void check(struct str in, enum saslprep_kind kind, const char *expected)
{
    struct buf out;

    buf_init(&out, SASLPREP_OUT_MAX_BYTES);
    assert_int_equal(saslprep(in, kind, &out), expected != NULL ? 0 : -EINVAL);
    assert_string_equal(buf_c_str(&out), expected != NULL ? expected : "");
    buf_done(&out);
}

static void texts_are_prepared(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(TEXTS); i++) {
        check(str_from_c(TEXTS[i].in), SASLPREP_QUERY, TEXTS[i].query);
        check(str_from_c(TEXTS[i].in), SASLPREP_STORED, TEXTS[i].stored);
    }
    check(STR("a\0b"), SASLPREP_QUERY, NULL);
    check(STR("\xc3\xa9\0b"), SASLPREP_QUERY, NULL);
}

/* The character that grows most, as often as it fits. */
static void limits_hold(void **state)
{
    static char text[SASLPREP_MAX_BYTES + 1];
    struct buf out;

    (void)state;
    memset(text, 'a', sizeof(text));
    buf_init(&out, SASLPREP_OUT_MAX_BYTES);
    assert_int_equal(saslprep(str_from_mem(text, sizeof(text)), SASLPREP_QUERY, &out), -EINVAL);
    assert_int_equal(saslprep(str_from_mem(text, sizeof(text) - 1), SASLPREP_QUERY, &out), 0);
    assert_int_equal(out.len, SASLPREP_MAX_BYTES);
    buf_reset(&out);
    for (size_t i = 0; i + 3 < sizeof(text); i += 3)
        memcpy(&text[i], "\xef\xb7\xba", 3);
    assert_int_equal(saslprep(str_from_mem(text, 999), SASLPREP_QUERY, &out), 0);
    assert_int_equal(out.len, 999 * 11);
    buf_done(&out);
    buf_init(&out, 3);
    assert_int_equal(saslprep(STR("abcd"), SASLPREP_QUERY, &out), -EMSGSIZE);
    assert_int_equal(saslprep(STR("\xc3\xa9\xc3\xa9"), SASLPREP_QUERY, &out), -EMSGSIZE);
    buf_done(&out);
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
    json_t *cases = json_object_get(json_object_get(root, "saslprep"), "cases");
    assert_true(json_array_size(cases) > 0);
    json_array_foreach(cases, i, row)
        check(str_from_c(json_string_value(json_object_get(row, "in"))), SASLPREP_STORED,
              json_string_value(json_object_get(row, "out")));
    json_decref(root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_are_prepared),
        cmocka_unit_test(limits_hold),
        cmocka_unit_test(suite_agrees),
    };
    return cmocka_run_group_tests_name("saslprep", tests, NULL, NULL);
}
