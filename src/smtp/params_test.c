/* Unit tests of params.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "smtp/params.h"

struct error_case {
    const char *text;
    enum smtp_params_error error;
    const char *keyword;
};

static struct arena arena;

static int set_up(void **state)
{
    (void)state;
    arena_init(&arena, 1 << 20);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    arena_done(&arena);
    return 0;
}

static struct smtp_mail_params mail_of(const char *text)
{
    struct smtp_mail_params mail;
    struct str keyword;

    if (smtp_params_parse_mail(str_from_c(text), SMTP_OFFER_ALL, &arena, &mail, &keyword) !=
        SMTP_PARAMS_OK)
        fail_msg("refused: %s", text);
    assert_int_equal(keyword.len, 0);
    return mail;
}

static struct smtp_rcpt_params rcpt_of(const char *text)
{
    struct smtp_rcpt_params rcpt;
    struct str keyword;

    if (smtp_params_parse_rcpt(str_from_c(text), &rcpt, &keyword) != SMTP_PARAMS_OK)
        fail_msg("refused: %s", text);
    assert_int_equal(keyword.len, 0);
    return rcpt;
}

static void mail_parameters_are_read(void **state)
{
    (void)state;
    struct smtp_mail_params p = mail_of("");

    assert_false(p.has_size || p.is_smtputf8);
    assert_true(p.body == SMTP_BODY_NONE && p.ret == SMTP_RET_NONE);
    assert_null(p.envid_raw.ptr);
    p = mail_of(" SIZE=1000 body=8bitmime SMTPUTF8 RET=hdrs ENVID=QQ+2B31+20x");
    assert_true(p.has_size && p.is_smtputf8);
    assert_true(p.size_bytes == 1000);
    assert_true(p.body == SMTP_BODY_8BITMIME && p.ret == SMTP_RET_HDRS);
    assert_true(str_eq_c(p.envid_raw, "QQ+2B31+20x"));
    assert_true(str_eq_c(p.envid, "QQ+31 x"));
    assert_true(mail_of("  BODY=BINARYMIME  ").body == SMTP_BODY_BINARYMIME);
    assert_true(mail_of(" BODY=7BIT").body == SMTP_BODY_7BIT);
    assert_true(mail_of(" RET=FULL").ret == SMTP_RET_FULL);
    assert_true(mail_of(" SIZE=0").has_size);
    assert_true(mail_of(" SIZE=18446744073709551615").size_bytes == UINT64_MAX);
    assert_true(mail_of(" SIZE=99999999999999999999").size_bytes == UINT64_MAX);
}

static void times_and_priorities_are_read(void **state)
{
    (void)state;
    struct smtp_mail_params p = mail_of(" SIZE=1");

    assert_true(p.hold == SMTP_HOLD_NONE && p.by == SMTP_BY_NONE);
    assert_false(p.has_priority || p.is_requiretls);
    assert_null(p.hold_value.ptr);
    p = mail_of(" holdfor=86400 BY=120;RT MT-PRIORITY=-4 requiretls");
    assert_true(p.hold == SMTP_HOLD_FOR && p.hold_s == 86400);
    assert_true(str_eq_c(p.hold_value, "86400"));
    assert_true(p.by == SMTP_BY_RETURN && p.by_has_trace && p.by_s == 120);
    assert_true(p.has_priority && p.priority == -4 && p.is_requiretls);
    p = mail_of(" HOLDUNTIL=2026-11-21T18:30:00+09:00");
    assert_true(p.hold == SMTP_HOLD_UNTIL && p.hold_until_ms == INT64_C(1795253400000));
    assert_true(str_eq_c(p.hold_value, "2026-11-21T18:30:00+09:00"));
    assert_true(mail_of(" HOLDFOR=999999999").hold_s == 999999999);
    p = mail_of(" BY=-20;n");
    assert_true(p.by == SMTP_BY_NOTIFY && !p.by_has_trace && p.by_s == -20);
    assert_true(mail_of(" BY=+0;Nt").by_has_trace);
    assert_true(mail_of(" BY=999999999;R").by_s == 999999999);
    assert_int_equal(mail_of(" MT-PRIORITY=9").priority, 9);
    assert_true(mail_of(" MT-PRIORITY=0").has_priority);
    (void)mail_of(" AUTH=<>");
    (void)mail_of(" auth=e+3Dmc2@example.com SIZE=1");
}

static void what_is_not_offered_is_unknown(void **state)
{
    static const struct {
        const char *text;
        unsigned offer;
    } cases[] = {
        {" HOLDFOR=1", SMTP_OFFER_HOLD},
        {" HOLDUNTIL=2026-11-21T18:30:00Z", SMTP_OFFER_HOLD},
        {" BY=1;R", SMTP_OFFER_BY},
        {" MT-PRIORITY=1", SMTP_OFFER_PRIORITY},
        {" REQUIRETLS", SMTP_OFFER_REQUIRETLS},
        {" AUTH=<>", SMTP_OFFER_AUTH},
        {" auth=taro+40example.jp", SMTP_OFFER_AUTH},
        {" AUTH=e+3Dmc2@example.com", SMTP_OFFER_AUTH},
        {" BY=nonsense", 0},
    };
    struct smtp_mail_params mail;
    struct str keyword;
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct str text = str_from_c(cases[i].text);
        assert_int_equal(
            smtp_params_parse_mail(text, cases[i].offer != 0 ? SMTP_OFFER_ALL & ~cases[i].offer : 0,
                                   &arena, &mail, &keyword),
            SMTP_PARAMS_UNKNOWN);
    }
}

static void rcpt_parameters_are_read(void **state)
{
    (void)state;
    struct smtp_rcpt_params p = rcpt_of("");

    assert_int_equal(p.notify, 0);
    assert_null(p.orcpt_type.ptr);
    p = rcpt_of(" NOTIFY=SUCCESS,delay ORCPT=rfc822;Bob+2Bx@Example.org");
    assert_int_equal(p.notify, SMTP_NOTIFY_SUCCESS | SMTP_NOTIFY_DELAY);
    assert_true(str_eq_c(p.orcpt_type, "rfc822"));
    assert_true(str_eq_c(p.orcpt_addr, "Bob+2Bx@Example.org"));
    assert_int_equal(rcpt_of(" NOTIFY=NEVER").notify, SMTP_NOTIFY_NEVER);
    assert_int_equal(rcpt_of(" NOTIFY=FAILURE").notify, SMTP_NOTIFY_FAILURE);
    p = rcpt_of(" ORCPT=utf-8;\\x{592A}\\x{1F600}\\x{2B}@example.jp");
    assert_true(str_eq_c(p.orcpt_addr, "\\x{592A}\\x{1F600}\\x{2B}@example.jp"));
    p = rcpt_of(" ORCPT=UTF-8;太郎@example.jp");
    assert_true(str_eq_c(p.orcpt_addr, "太郎@example.jp"));
}

static void expect_mail_errors(const struct error_case *cases, size_t n)
{
    struct smtp_mail_params mail;
    struct str keyword;

    for (size_t i = 0; i < n; i++) {
        enum smtp_params_error error = smtp_params_parse_mail(
            str_from_c(cases[i].text), SMTP_OFFER_ALL, &arena, &mail, &keyword);
        if (error != cases[i].error || !str_eq_c(keyword, cases[i].keyword))
            fail_msg("%s: %d, %.*s", cases[i].text, error, STR_ARG(keyword));
    }
}

static void wrong_mail_parameters_are_told_apart_and_named(void **state)
{
    static const struct error_case cases[] = {
        {" FOO", SMTP_PARAMS_UNKNOWN, "FOO"},
        {" SIZE=1 foo-2=bar", SMTP_PARAMS_UNKNOWN, "foo-2"},
        {" NOTIFY=NEVER", SMTP_PARAMS_UNKNOWN, "NOTIFY"},
        {" SIZE=1 size=2", SMTP_PARAMS_DUPLICATE, "size"},
        {" SMTPUTF8 SMTPUTF8", SMTP_PARAMS_DUPLICATE, "SMTPUTF8"},
        {" SIZE", SMTP_PARAMS_BAD_SYNTAX, "SIZE"},
        {" SIZE=", SMTP_PARAMS_BAD_SYNTAX, "SIZE"},
        {" SIZE=-1", SMTP_PARAMS_BAD_SYNTAX, "SIZE"},
        {" SIZE=1k", SMTP_PARAMS_BAD_SYNTAX, "SIZE"},
        {" SIZE=000000000000000000001", SMTP_PARAMS_BAD_SYNTAX, "SIZE"},
        {" SIZE=1=2", SMTP_PARAMS_BAD_SYNTAX, "SIZE"},
        {" SMTPUTF8=yes", SMTP_PARAMS_BAD_SYNTAX, "SMTPUTF8"},
        {" BODY=9BIT", SMTP_PARAMS_BAD_SYNTAX, "BODY"},
        {" RET=ALL", SMTP_PARAMS_BAD_SYNTAX, "RET"},
        {" ENVID=a+2", SMTP_PARAMS_BAD_SYNTAX, "ENVID"},
        {" ENVID=a+2b", SMTP_PARAMS_BAD_SYNTAX, "ENVID"},
        {" ENVID=a+0D+0A", SMTP_PARAMS_BAD_SYNTAX, "ENVID"},
        {" ENVID=\xc3\xa9", SMTP_PARAMS_BAD_SYNTAX, "ENVID"},
        {" SIZE=1\tBODY=7BIT", SMTP_PARAMS_BAD_SYNTAX, "SIZE"},
        {" SIZE=1;BODY", SMTP_PARAMS_BAD_SYNTAX, "SIZE"},
        {" X=\xff", SMTP_PARAMS_BAD_SYNTAX, "X"},
        {" AUTH", SMTP_PARAMS_BAD_SYNTAX, "AUTH"},
        {" AUTH=a+b", SMTP_PARAMS_BAD_SYNTAX, "AUTH"},
        {" AUTH=<> AUTH=<>", SMTP_PARAMS_DUPLICATE, "AUTH"},
        {" REQUIRETLS=yes", SMTP_PARAMS_BAD_SYNTAX, "REQUIRETLS"},
        {" =1", SMTP_PARAMS_BAD_SYNTAX, ""},
        {" -X=1", SMTP_PARAMS_BAD_SYNTAX, "-X"},
        {"SIZE=1", SMTP_PARAMS_BAD_SYNTAX, ""},
        {"\t", SMTP_PARAMS_BAD_SYNTAX, ""},
    };
    (void)state;

    expect_mail_errors(cases, ARRAY_LEN(cases));
}

static void wrong_times_and_priorities_of_mail_are_told_apart_and_named(void **state)
{
    static const struct error_case cases[] = {
        {" HOLDFOR=0", SMTP_PARAMS_BAD_SYNTAX, "HOLDFOR"},
        {" HOLDFOR=010", SMTP_PARAMS_BAD_SYNTAX, "HOLDFOR"},
        {" HOLDFOR=1000000000", SMTP_PARAMS_BAD_SYNTAX, "HOLDFOR"},
        {" HOLDFOR=-5", SMTP_PARAMS_BAD_SYNTAX, "HOLDFOR"},
        {" HOLDFOR=2h", SMTP_PARAMS_BAD_SYNTAX, "HOLDFOR"},
        {" HOLDFOR", SMTP_PARAMS_BAD_SYNTAX, "HOLDFOR"},
        {" HOLDFOR=1 HOLDFOR=1", SMTP_PARAMS_DUPLICATE, "HOLDFOR"},
        {" HOLDFOR=1 HOLDUNTIL=2026-11-21T18:30:00Z", SMTP_PARAMS_BAD_SYNTAX, "HOLDUNTIL"},
        {" HOLDUNTIL=2026-11-21T18:30:00Z HOLDFOR=1", SMTP_PARAMS_BAD_SYNTAX, "HOLDFOR"},
        {" HOLDUNTIL=2026-11-21", SMTP_PARAMS_BAD_SYNTAX, "HOLDUNTIL"},
        {" HOLDUNTIL=2026-11-21T18:30:00.00000000000000000000000Z", SMTP_PARAMS_BAD_SYNTAX,
         "HOLDUNTIL"},
        {" BY=10", SMTP_PARAMS_BAD_SYNTAX, "BY"},
        {" BY=10;", SMTP_PARAMS_BAD_SYNTAX, "BY"},
        {" BY=10;X", SMTP_PARAMS_BAD_SYNTAX, "BY"},
        {" BY=10;RTT", SMTP_PARAMS_BAD_SYNTAX, "BY"},
        {" BY=10;TR", SMTP_PARAMS_BAD_SYNTAX, "BY"},
        {" BY=;R", SMTP_PARAMS_BAD_SYNTAX, "BY"},
        {" BY=0;R", SMTP_PARAMS_BAD_SYNTAX, "BY"},
        {" BY=-1;R", SMTP_PARAMS_BAD_SYNTAX, "BY"},
        {" BY=1000000000;N", SMTP_PARAMS_BAD_SYNTAX, "BY"},
        {" BY=--1;N", SMTP_PARAMS_BAD_SYNTAX, "BY"},
        {" MT-PRIORITY=10", SMTP_PARAMS_BAD_SYNTAX, "MT-PRIORITY"},
        {" MT-PRIORITY=-10", SMTP_PARAMS_BAD_SYNTAX, "MT-PRIORITY"},
        {" MT-PRIORITY=+1", SMTP_PARAMS_BAD_SYNTAX, "MT-PRIORITY"},
        {" MT-PRIORITY=-0", SMTP_PARAMS_BAD_SYNTAX, "MT-PRIORITY"},
        {" MT-PRIORITY=-", SMTP_PARAMS_BAD_SYNTAX, "MT-PRIORITY"},
        {" MT-PRIORITY=1 MT-PRIORITY=1", SMTP_PARAMS_DUPLICATE, "MT-PRIORITY"},
    };
    (void)state;

    expect_mail_errors(cases, ARRAY_LEN(cases));
}

static void wrong_rcpt_parameters_are_told_apart_and_named(void **state)
{
    static const struct error_case cases[] = {
        {" SIZE=1", SMTP_PARAMS_UNKNOWN, "SIZE"},
        {" NOTIFY=DELAY NOTIFY=DELAY", SMTP_PARAMS_DUPLICATE, "NOTIFY"},
        {" NOTIFY=NEVER,DELAY", SMTP_PARAMS_BAD_SYNTAX, "NOTIFY"},
        {" NOTIFY=NEVER,NEVER", SMTP_PARAMS_BAD_SYNTAX, "NOTIFY"},
        {" NOTIFY=DELAY,", SMTP_PARAMS_BAD_SYNTAX, "NOTIFY"},
        {" NOTIFY=SOMETIMES", SMTP_PARAMS_BAD_SYNTAX, "NOTIFY"},
        {" ORCPT=a@example.org", SMTP_PARAMS_BAD_SYNTAX, "ORCPT"},
        {" ORCPT=;a@example.org", SMTP_PARAMS_BAD_SYNTAX, "ORCPT"},
        {" ORCPT=rfc822;", SMTP_PARAMS_BAD_SYNTAX, "ORCPT"},
        {" ORCPT=rf(c;a@example.org", SMTP_PARAMS_BAD_SYNTAX, "ORCPT"},
        {" ORCPT=rfc822;a+b@example.org", SMTP_PARAMS_BAD_SYNTAX, "ORCPT"},
        {" ORCPT=rfc822;a+0Ab", SMTP_PARAMS_BAD_SYNTAX, "ORCPT"},
        {" ORCPT=rfc822;\xc3\xa9@x", SMTP_PARAMS_BAD_SYNTAX, "ORCPT"},
        {" ORCPT=utf-8;a+2B@x", SMTP_PARAMS_BAD_SYNTAX, "ORCPT"},
        {" ORCPT=utf-8;\\x{0A}@x", SMTP_PARAMS_BAD_SYNTAX, "ORCPT"},
        {" ORCPT=utf-8;\\x{D800}@x", SMTP_PARAMS_BAD_SYNTAX, "ORCPT"},
        {" ORCPT=utf-8;\\x{110000}@x", SMTP_PARAMS_BAD_SYNTAX, "ORCPT"},
        {" ORCPT=utf-8;\\x{592A@x", SMTP_PARAMS_BAD_SYNTAX, "ORCPT"},
        {" ORCPT=utf-8;\\n@x", SMTP_PARAMS_BAD_SYNTAX, "ORCPT"},
        {" ORCPT=utf-8;a\xc2\x85@x", SMTP_PARAMS_BAD_SYNTAX, "ORCPT"},
        {" ORCPT=utf-8;a\xc2\x9f", SMTP_PARAMS_BAD_SYNTAX, "ORCPT"},
    };
    struct smtp_rcpt_params rcpt;
    struct str keyword;
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        enum smtp_params_error error =
            smtp_params_parse_rcpt(str_from_c(cases[i].text), &rcpt, &keyword);
        if (error != cases[i].error || !str_eq_c(keyword, cases[i].keyword))
            fail_msg("%s: %d, %.*s", cases[i].text, error, STR_ARG(keyword));
    }
}

static void orcpt_beyond_ascii_needs_smtputf8(void **state)
{
    (void)state;
    assert_false(rcpt_of(" ORCPT=rfc822;a@x").needs_smtputf8);
    assert_false(rcpt_of(" ORCPT=utf-8;\\x{592A}@x").needs_smtputf8);
    assert_true(rcpt_of(" ORCPT=utf-8;\xe5\xa4\xaa@x").needs_smtputf8);
    assert_true(rcpt_of(" ORCPT=utf-8;a\xc2\xa0@x").needs_smtputf8);
}

static enum smtp_params_error filled(const char *head, size_t fill, bool is_mail)
{
    char text[600];
    struct smtp_mail_params mail;
    struct smtp_rcpt_params rcpt;
    struct str keyword;
    size_t head_len = strlen(head);

    memcpy(text, head, head_len);
    memset(text + head_len, 'x', fill);
    struct str all = str_from_mem(text, head_len + fill);
    return is_mail ? smtp_params_parse_mail(all, 0, &arena, &mail, &keyword)
                   : smtp_params_parse_rcpt(all, &rcpt, &keyword);
}

static void envid_and_orcpt_are_limited(void **state)
{
    (void)state;
    assert_int_equal(filled(" ENVID=", SMTP_ENVID_MAX_BYTES, true), SMTP_PARAMS_OK);
    assert_int_equal(filled(" ENVID=", SMTP_ENVID_MAX_BYTES + 1, true), SMTP_PARAMS_BAD_SYNTAX);
    assert_int_equal(filled(" ORCPT=a;", SMTP_ORCPT_MAX_BYTES - 2, false), SMTP_PARAMS_OK);
    assert_int_equal(filled(" ORCPT=a;", SMTP_ORCPT_MAX_BYTES - 1, false), SMTP_PARAMS_BAD_SYNTAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mail_parameters_are_read),
        cmocka_unit_test(times_and_priorities_are_read),
        cmocka_unit_test(what_is_not_offered_is_unknown),
        cmocka_unit_test(rcpt_parameters_are_read),
        cmocka_unit_test(wrong_mail_parameters_are_told_apart_and_named),
        cmocka_unit_test(wrong_times_and_priorities_of_mail_are_told_apart_and_named),
        cmocka_unit_test(wrong_rcpt_parameters_are_told_apart_and_named),
        cmocka_unit_test(orcpt_beyond_ascii_needs_smtputf8),
        cmocka_unit_test(envid_and_orcpt_are_limited),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
