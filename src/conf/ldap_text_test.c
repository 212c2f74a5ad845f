/* Tests of addresses of LDAP servers and of templates. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "conf/ldap_text.h"

static void good_addresses_are_taken_apart(void **state)
{
    static const struct {
        const char *text, *host;
        bool is_encrypted, is_unix, is_loopback;
    } rows[] = {
        {"ldap://ldap.example.jp", "ldap.example.jp", false, false, false},
        {"ldap://ldap.example.jp:3389/", "ldap.example.jp", false, false, false},
        {"LDAPS://ldap.example.jp", "ldap.example.jp", true, false, false},
        {"ldap://127.0.0.1:389", "127.0.0.1", false, false, true},
        {"ldap://127.8.8.8", "127.8.8.8", false, false, true},
        {"ldap://[::1]", "::1", false, false, true},
        {"ldap://[::1]:389/", "::1", false, false, true},
        {"ldap://[2001:db8::1]:389", "2001:db8::1", false, false, false},
        {"ldap://Localhost", "Localhost", false, false, true},
        {"ldap://localhost.example.jp", "localhost.example.jp", false, false, false},
        {"ldap://192.0.2.1", "192.0.2.1", false, false, false},
        {"ldapi://%2Frun%2fslapd%2Fldapi", "", false, true, false},
        {"ldapi://%2Frun%2Fldapi/", "", false, true, false},
    };
    struct ldap_text_url url;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (ldap_text_parse_url(str_from_c(rows[i].text), &url) != 0)
            fail_msg("%s was refused", rows[i].text);
        assert_true(str_eq_c(url.host, rows[i].host));
        assert_int_equal(url.is_encrypted, rows[i].is_encrypted);
        assert_int_equal(url.is_unix, rows[i].is_unix);
        assert_int_equal(url.is_loopback, rows[i].is_loopback);
    }
}

static void bad_addresses_are_refused(void **state)
{
    static const char *const texts[] = {
        "",
        "ldap",
        "ldap:",
        "ldap://",
        "ldap:///",
        "ldap://:389",
        "ldap.example.jp",
        "http://ldap.example.jp",
        "ldap://ldap.example.jp:0",
        "ldap://ldap.example.jp:65536",
        "ldap://ldap.example.jp:",
        "ldap://ldap.example.jp:x",
        "ldap://ldap.example.jp/dc=example",
        "ldap://ldap.example.jp/?x",
        "ldap://a b",
        "ldap://a,b",
        "ldap://[127.0.0.1]",
        "ldap://[::1",
        "ldap://[::1]389",
        "ldap://::1",
        "ldap://user@host",
        "ldapi://",
        "ldapi:///",
        "ldapi:///run/slapd/ldapi",
        "ldapi://run",
        "ldapi://%2",
        "ldapi://%2Frun%2",
        "ldapi://%2Frun%zz",
    };
    struct ldap_text_url url;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        if (ldap_text_parse_url(str_from_c(texts[i]), &url) != -EINVAL)
            fail_msg("%s was taken", texts[i]);
    }
}

static void templates_name_the_user(void **state)
{
    (void)state;
    assert_true(ldap_text_is_name(STR("uid=%u,ou=people,dc=example,dc=jp")));
    assert_true(ldap_text_is_name(STR("mail=%a,dc=%d")));
    assert_true(ldap_text_is_name(STR("cn=100%% %u,ou=人々")));
    assert_false(ldap_text_is_name(STR("")));
    assert_false(ldap_text_is_name(STR("uid=taro,dc=example")));
    assert_false(ldap_text_is_name(STR("uid=%%u")));
    assert_false(ldap_text_is_name(STR("uid=%d")));
    assert_false(ldap_text_is_name(STR("uid=%u%")));
    assert_false(ldap_text_is_name(STR("uid=%s%u")));
    assert_false(ldap_text_is_name(STR("%u")));
    assert_false(ldap_text_is_name(STR("uid=%u\n")));
    assert_false(ldap_text_is_name(STR("uid=%u\xff")));
    assert_true(ldap_text_is_filter(STR("(mail=%a)")));
    assert_true(ldap_text_is_filter(STR("(&(objectClass=person)(|(uid=%u)(mail=%a)))")));
    assert_false(ldap_text_is_filter(STR("mail=%a")));
    assert_false(ldap_text_is_filter(STR("(mail=%a")));
    assert_false(ldap_text_is_filter(STR("(mail=%a))")));
    assert_false(ldap_text_is_filter(STR("(mail=%a)(uid=%u)")));
    assert_false(ldap_text_is_filter(STR("(mail=*)")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_addresses_are_taken_apart),
        cmocka_unit_test(bad_addresses_are_refused),
        cmocka_unit_test(templates_name_the_user),
    };

    return cmocka_run_group_tests_name("ldap_text", tests, NULL, NULL);
}
