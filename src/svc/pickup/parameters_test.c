/* Unit tests of parameters.h: what an envelope asks for, as of the time when it was left. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "svc/pickup/parameters.h"

enum { MIN_MS = 60 * 1000 };

static struct arena arena;
static struct settings *settings;
static struct smtp_mail_params params;
static char until[CLOCK_TEXT_BYTES];

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

static struct reply take(const struct submit_envelope *e, int64_t age_ms)
{
    return parameters_take(e, settings, clock_real_ms() - age_ms, &arena, &params);
}

static struct str in_ms(int64_t ms)
{
    return str_from_c(clock_format_utc(clock_real_ms() + ms, until));
}

static void what_is_asked_for_is_taken(void **state)
{
    struct submit_envelope e = {.ret = STR("hdrs"),
                                .envid = STR("x+2B"),
                                .hold_until = in_ms(60 * MIN_MS),
                                .by = STR("7200;R"),
                                .priority = STR("-3")};

    (void)state;
    assert_int_equal(take(&e, 0).code, 0);
    assert_true(params.ret == SMTP_RET_HDRS && str_eq_c(params.envid_raw, "x+2B"));
    assert_true(params.hold == SMTP_HOLD_UNTIL && params.by == SMTP_BY_RETURN);
    assert_in_range(params.by_s, 7198, 7200);
    assert_int_equal(params.priority, -3);
    e = (struct submit_envelope){.ret = STR("full"), .envid = STR("a+b")};
    assert_int_equal(take(&e, 0).code, 0);
    assert_true(params.ret == SMTP_RET_FULL && params.envid_raw.len == 0);
    e = (struct submit_envelope){.ret = STR("nonsense"), .envid = STR("a+2Bb")};
    assert_int_equal(take(&e, 0).code, 0);
    assert_true(params.ret == SMTP_RET_NONE && str_eq_c(params.envid, "a+b"));
    e = (struct submit_envelope){.ret = STR("nonsense")};
    assert_int_equal(take(&e, 0).code, 0);
    assert_true(params.ret == SMTP_RET_NONE && params.hold == SMTP_HOLD_NONE);
}

static void what_cannot_be_is_refused(void **state)
{
    struct submit_envelope wrong[] = {
        {.hold_until = STR("tomorrow")},
        {.hold_until = in_ms(400 * 24 * 60 * (int64_t)MIN_MS)},
        {.by = STR("5;R")},
        {.by = STR("5")},
        {.priority = STR("10")},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
        assert_int_not_equal(take(&wrong[i], 0).code, 0);
    settings->submit_max_hold = 0;
    struct submit_envelope e = {.hold_until = in_ms(MIN_MS)};
    struct reply refusal = take(&e, 0);
    assert_int_not_equal(refusal.code, 0);
    assert_non_null(strstr(refusal.text, "submit.max_hold"));
}

static void times_count_from_when_it_was_left(void **state)
{
    (void)state;
    struct submit_envelope e = {.hold_until = in_ms(-120 * MIN_MS), .by = STR("3600;N")};

    assert_int_equal(take(&e, 180 * MIN_MS).code, 0);
    assert_true(params.hold == SMTP_HOLD_NONE && params.hold_value.ptr == NULL);
    assert_in_range(-params.by_s, 7200, 7203);
    /* Too late to be returned in any other way than by failing at once. */
    e = (struct submit_envelope){.by = STR("3600;R")};
    assert_int_equal(take(&e, 180 * MIN_MS).code, 0);
    assert_int_equal(params.by_s, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_asked_for_is_taken, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_cannot_be_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(times_count_from_when_it_was_left, set_up, tear_down),
    };

    return cmocka_run_group_tests_name("parameters", tests, NULL, NULL);
}
