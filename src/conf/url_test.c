/* Unit tests of addresses of web services: each test is named as the sentence it proves. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "conf/url.h"

static void good_ones_are_taken_apart(void **state)
{
    static const struct {
        const char *text, *host;
        bool is_https, is_loopback;
    } rows[] = {
        {"https://id.example.jp", "id.example.jp", true, false},
        {"HTTPS://id.example.jp/realms/mail", "id.example.jp", true, false},
        {"https://id.example.jp:8443/a?b=c&d=%20", "id.example.jp", true, false},
        {"https://id.example.jp?b", "id.example.jp", true, false},
        {"http://127.0.0.1:8080/keys", "127.0.0.1", false, true},
        {"http://[::1]:8080", "::1", false, true},
        {"https://192.0.2.1/", "192.0.2.1", true, false},
        {"http://localhost/", "localhost", false, false},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct url url;
        assert_int_equal(url_parse(str_from_c(rows[i].text), &url), 0);
        assert_true(str_eq_c(url.host, rows[i].host));
        assert_int_equal(url.is_https, rows[i].is_https);
        assert_int_equal(url.is_loopback, rows[i].is_loopback);
    }
}

static void bad_ones_are_refused(void **state)
{
    static const char *const rows[] = {
        "",
        "id.example.jp",
        "//id.example.jp",
        "file:///etc/passwd",
        "ftp://id.example.jp",
        "https://",
        "https:///path",
        "https://user@id.example.jp/",
        "https://user:word@id.example.jp/",
        "https://id.example.jp/#fragment",
        "https://id.example.jp/a b",
        "https://id.example.jp\\@evil.example/",
        "https://id.example.jp:0/",
        "https://id.example.jp:65536/",
        "https://id.example.jp:/",
        "https://[::1/",
        "https://id.example.jp/\n",
        "https://\xe9\xa3\x9b.example/",
    };
    struct url url;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        assert_int_not_equal(url_parse(str_from_c(rows[i]), &url), 0);
}

static void http_is_for_this_machine_alone(void **state)
{
    (void)state;
    assert_true(url_is_safe(STR("https://id.example.jp/"), false));
    assert_true(url_is_safe(STR("http://127.0.0.1/"), true));
    assert_false(url_is_safe(STR("http://127.0.0.1/"), false));
    assert_false(url_is_safe(STR("http://localhost/"), true));
    assert_false(url_is_safe(STR("http://192.0.2.1/"), true));
    assert_false(url_is_safe(STR("http://127.0.0.1.example.jp/"), true));
    assert_false(url_is_safe(STR("gopher://127.0.0.1/"), true));
}

static void providers_publish_below_their_name(void **state)
{
    struct buf out;

    (void)state;
    buf_init(&out, URL_MAX_CHARS);
    url_put_discovery(STR("https://id.example.jp/realms/mail"), &out);
    assert_string_equal(buf_c_str(&out),
                        "https://id.example.jp/realms/mail/.well-known/openid-configuration");
    buf_reset(&out);
    url_put_discovery(STR("https://id.example.jp/"), &out);
    assert_string_equal(buf_c_str(&out), "https://id.example.jp/.well-known/openid-configuration");
    buf_reset(&out);
    url_put_discovery(STR("accounts.example"), &out);
    assert_int_equal(out.len, 0);
    buf_done(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_ones_are_taken_apart),
        cmocka_unit_test(bad_ones_are_refused),
        cmocka_unit_test(http_is_for_this_machine_alone),
        cmocka_unit_test(providers_publish_below_their_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
