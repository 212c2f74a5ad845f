/*
 * Tests of names outside. That no name becomes anything but a value is proved with the parsers of
 * OpenLDAP's own library: what it reads from the text is the name again, byte by byte.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <lber.h>
#include <ldap.h>

#include "svc/auth/name.h"

/* In the library, and in none of its headers. */
int ldap_pvt_put_filter(BerElement *ber, const char *text);

enum { TEXT_MAX_BYTES = 4096, TRIES = 20000, NAME_BYTES = 24 };

static void assert_expanded(const char *template, struct str address, enum name_place place,
                            const char *expected)
{
    struct buf out;

    buf_init(&out, TEXT_MAX_BYTES);
    assert_int_equal(name_expand(str_from_c(template), address, place, &out), 0);
    assert_string_equal(buf_c_str(&out), expected);
    buf_done(&out);
}

static void templates_are_filled_in(void **state)
{
    (void)state;
    assert_expanded("uid=%u,ou=people,dc=example,dc=jp", STR("taro@example.jp"), NAME_IN_DN,
                    "uid=taro,ou=people,dc=example,dc=jp");
    assert_expanded("mail=%a,o=%d", STR("taro@example.jp"), NAME_IN_DN,
                    "mail=taro@example.jp,o=example.jp");
    assert_expanded("cn=100%% %u", STR("taro"), NAME_IN_DN, "cn=100% taro");
    assert_expanded("(|(uid=%u)(mail=%a))", STR("a@b@example.jp"), NAME_IN_FILTER,
                    "(|(uid=a@b)(mail=a@b@example.jp))");
    assert_expanded("o=%d", STR("nobody"), NAME_IN_DN, "o=");
}

/* RFC 4514 section 2.4, RFC 4515 section 3. */
static void what_has_a_meaning_is_escaped(void **state)
{
    (void)state;
    assert_expanded("uid=%u", STR("a,b+c\"d\\e<f>g;h=i"), NAME_IN_DN,
                    "uid=a\\2cb\\2bc\\22d\\5ce\\3cf\\3eg\\3bh\\3di");
    assert_expanded("uid=%u", STR(" #a b "), NAME_IN_DN, "uid=\\20\\23a\\20b\\20");
    assert_expanded("uid=%u", STR("a\0b"), NAME_IN_DN, "uid=a\\00b");
    assert_expanded("uid=%u", STR("花子"), NAME_IN_DN, "uid=花子");
    assert_expanded("(uid=%u)", STR("*)(uid=*\\\0"), NAME_IN_FILTER,
                    "(uid=\\2a\\29\\28uid=\\2a\\5c\\00)");
    assert_expanded("(uid=%u)", STR("o'brien, jr"), NAME_IN_FILTER, "(uid=o'brien, jr)");
}

static void what_is_too_long_is_refused(void **state)
{
    struct buf out;

    (void)state;
    buf_init(&out, 8);
    assert_int_equal(name_expand(STR("uid=%u"), STR("taroo"), NAME_IN_DN, &out), -EMSGSIZE);
    buf_done(&out);
}

/* Of what could mean something, more than would come by chance. */
static struct str make_name(char out[NAME_BYTES])
{
    static const char marks[] = "\\\",+;<>=# *()&|!~\0\n\x7f%uda:/";
    size_t len = 1 + (size_t)rand() % (NAME_BYTES - 1);

    for (size_t i = 0; i < len; i++)
        out[i] = (char)(rand() % 3 == 0 ? 'a' + rand() % 26 : marks[rand() % sizeof(marks)]);
    return str_from_mem(out, len);
}

static void assert_value(struct berval value, struct str name)
{
    assert_true(str_eq(str_from_mem(value.bv_val, value.bv_len), name));
}

static void no_name_leaves_its_place_in_a_dn(void **state)
{
    char name[NAME_BYTES];
    struct buf out;
    LDAPDN dn;

    (void)state;
    srand(1);
    buf_init(&out, TEXT_MAX_BYTES);
    for (int i = 0; i < TRIES; i++) {
        struct str user = make_name(name);
        buf_reset(&out);
        assert_int_equal(name_expand(STR("uid=%u,dc=jp"), user, NAME_IN_DN, &out), 0);
        assert_int_equal(ldap_str2dn(buf_c_str(&out), &dn, LDAP_DN_FORMAT_LDAPV3), LDAP_SUCCESS);
        assert_true(dn[0] != NULL && dn[1] != NULL && dn[2] == NULL && dn[0][1] == NULL);
        assert_value(dn[0][0]->la_value, user);
        ldap_dnfree(dn);
    }
    buf_done(&out);
}

/* The filter as it goes to the server: equalityMatch [3] { attribute, value }. */
static void no_name_leaves_its_place_in_a_filter(void **state)
{
    char name[NAME_BYTES];
    struct buf out;

    (void)state;
    srand(2);
    buf_init(&out, TEXT_MAX_BYTES);
    for (int i = 0; i < TRIES; i++) {
        struct str user = make_name(name);
        struct berval attribute, value;
        ber_len_t length;
        BerElement *ber = ber_alloc_t(LBER_USE_DER);
        buf_reset(&out);
        assert_int_equal(name_expand(STR("(uid=%u)"), user, NAME_IN_FILTER, &out), 0);
        (void)buf_c_str(&out);
        assert_int_equal(ldap_pvt_put_filter(ber, out.ptr), 0);
        ber_reset(ber, 1);
        assert_int_equal(ber_peek_tag(ber, &length), LDAP_FILTER_EQUALITY);
        assert_int_not_equal(ber_scanf(ber, "{mm}", &attribute, &value), LBER_ERROR);
        assert_value(attribute, STR("uid"));
        assert_value(value, user);
        ber_free(ber, 1);
    }
    buf_done(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(templates_are_filled_in),
        cmocka_unit_test(what_has_a_meaning_is_escaped),
        cmocka_unit_test(what_is_too_long_is_refused),
        cmocka_unit_test(no_name_leaves_its_place_in_a_dn),
        cmocka_unit_test(no_name_leaves_its_place_in_a_filter),
    };

    return cmocka_run_group_tests_name("name", tests, NULL, NULL);
}
