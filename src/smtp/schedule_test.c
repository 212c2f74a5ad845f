/* Unit tests of schedule.h: who is offered what, which times are refused, what they mean. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "smtp/schedule.h"

/* 2026-11-21T09:30:00Z */
#define NOW_MS INT64_C(1795253400000)

static struct arena arena;
static struct settings *settings;

static int set_up(void **state)
{
    (void)state;
    arena_init(&arena, 1 << 20);
    settings = settings_defaults();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    settings_free(settings);
    arena_done(&arena);
    return 0;
}

static struct smtp_mail_params params_of(const char *text)
{
    struct smtp_mail_params p;
    struct str keyword;

    assert_int_equal(smtp_params_parse_mail(str_from_c(text), SMTP_OFFER_ALL, &arena, &p, &keyword),
                     SMTP_PARAMS_OK);
    return p;
}

static void only_who_submits_is_offered_times(void **state)
{
    (void)state;
    assert_int_equal(smtp_offers(settings, false, false), 0);
    assert_int_equal(smtp_offers(settings, false, true), SMTP_OFFER_REQUIRETLS);
    assert_int_equal(smtp_offers(settings, true, false),
                     SMTP_OFFER_AUTH | SMTP_OFFER_HOLD | SMTP_OFFER_BY | SMTP_OFFER_PRIORITY);
    assert_int_equal(smtp_offers(settings, true, true), SMTP_OFFER_ALL);
    settings->submit_max_hold = 0;
    assert_int_equal(smtp_offers(settings, true, true), SMTP_OFFER_ALL & ~SMTP_OFFER_HOLD);
}

static void offers_are_told_with_their_limits(void **state)
{
    struct buf out;

    (void)state;
    buf_init(&out, 1000);
    smtp_put_offers(settings, 0, NOW_MS, &out);
    assert_int_equal(out.len, 0);
    settings->submit_max_hold = 86400 * 1000;
    settings->submit_min_deliver_by = 90 * 1000;
    smtp_put_offers(settings, SMTP_OFFER_ALL, NOW_MS, &out);
    assert_string_equal(buf_c_str(&out), "\nFUTURERELEASE 86400 2026-11-22T09:30:00Z\nDELIVERBY 90"
                                         "\nMT-PRIORITY\nREQUIRETLS");
    buf_done(&out);
}

static void times_that_cannot_be_are_refused(void **state)
{
    static const struct {
        const char *text;
        uint16_t code; /* 0: taken */
        const char *words;
    } cases[] = {
        {"", 0, ""},
        {" HOLDFOR=1", 0, ""},
        {" HOLDFOR=86400", 0, ""},
        {" HOLDFOR=86401", 501, "until 2026-11-22T09:30:00"},
        {" HOLDFOR=999999999", 501, "too long"},
        {" HOLDUNTIL=2026-11-22T09:30:00Z", 0, ""},
        {" HOLDUNTIL=2026-11-22T09:30:01Z", 501, "too long"},
        {" HOLDUNTIL=9999-12-31T23:59:59Z", 501, "too long"},
        {" HOLDUNTIL=2026-11-21T09:29:30Z", 0, ""},
        {" HOLDUNTIL=2026-11-21T09:28:59Z", 501, "over already"},
        {" HOLDUNTIL=1900-01-01T00:00:00Z", 501, "over already"},
        {" BY=60;R", 0, ""},
        {" BY=59;R", 555, "60 s at least"},
        {" BY=1;N", 0, ""},
        {" BY=-999999999;N", 0, ""},
        {" BY=999999999;R", 0, ""},
        {" HOLDFOR=100 BY=101;R", 0, ""},
        {" HOLDFOR=100 BY=100;R", 501, "before it may go"},
        {" HOLDFOR=100 BY=99;N", 501, "before it may go"},
        {" MT-PRIORITY=9 REQUIRETLS", 0, ""},
    };

    (void)state;
    settings->submit_max_hold = 86400 * 1000;
    settings->submit_min_deliver_by = 60 * 1000;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct smtp_mail_params p = params_of(cases[i].text);
        struct reply reply = smtp_check_times(settings, &p, NOW_MS, &arena);
        if (reply.code != cases[i].code || strstr(reply.text, cases[i].words) == NULL)
            fail_msg("%s: %u %s", cases[i].text, reply.code, reply.text);
        if (reply.code != 0)
            assert_string_equal(reply.enhanced, "5.5.4");
    }
}

static void moments_are_what_was_meant(void **state)
{
    (void)state;
    struct smtp_mail_params p = params_of("");

    assert_int_equal(smtp_release_ms(&p, NOW_MS), 0);
    assert_int_equal(smtp_deliver_by_ms(&p, NOW_MS), 0);
    p = params_of(" HOLDFOR=10 BY=20;R");
    assert_int_equal(smtp_release_ms(&p, NOW_MS), NOW_MS + 10000);
    assert_int_equal(smtp_deliver_by_ms(&p, NOW_MS), NOW_MS + 20000);
    p = params_of(" HOLDUNTIL=2026-11-21T09:30:05Z BY=-5;N");
    assert_int_equal(smtp_release_ms(&p, NOW_MS), NOW_MS + 5000);
    assert_int_equal(smtp_deliver_by_ms(&p, NOW_MS), NOW_MS - 5000);
    /* Times before 1970 are times, too; none of them is "not given". */
    p = params_of(" HOLDUNTIL=1900-01-01T00:00:00Z BY=-999999999;N");
    assert_true(smtp_release_ms(&p, NOW_MS) > 0);
    assert_true(smtp_deliver_by_ms(&p, 1000) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(only_who_submits_is_offered_times, set_up, tear_down),
        cmocka_unit_test_setup_teardown(offers_are_told_with_their_limits, set_up, tear_down),
        cmocka_unit_test_setup_teardown(times_that_cannot_be_are_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(moments_are_what_was_meant, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
