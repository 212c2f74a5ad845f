/* Unit tests of moment.h, in Tokyo and where the clocks change. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "cli/moment.h"

/* 2026-11-21T09:30:00Z, 18:30 in Tokyo. */
#define NOW_MS  INT64_C(1795253400000)
#define HOUR_MS INT64_C(3600000)

static void use_zone(const char *zone)
{
    setenv("TZ", zone, 1);
    tzset();
}

static void moments_are_understood(void **state)
{
    static const struct {
        const char *text;
        int64_t from_now_ms;
    } cases[] = {
        {"18:31", 60000},
        {"18:30:01", 1000},
        {"18:30", 24 * HOUR_MS}, /* that is over: the next one */
        {"9:00", 14 * HOUR_MS + HOUR_MS / 2},
        {"00:00", 5 * HOUR_MS + HOUR_MS / 2},
        {"2026-11-21 18:31", 60000},
        {"2026-11-21 18:30:05", 5000},
        {"2026-11-21T19:30", HOUR_MS},
        {"2026-12-1 18:30", 240 * HOUR_MS},
        {"2026-11-20 18:30", -24 * HOUR_MS},
        {"2026-11-21T10:30:00Z", HOUR_MS},
        {"2026-11-21T10:30:00+01:00", 0},
    };
    int64_t ms;

    (void)state;
    use_zone("Asia/Tokyo");
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        if (moment_parse(str_from_c(cases[i].text), NOW_MS, &ms) < 0)
            fail_msg("not understood: %s", cases[i].text);
        if (ms - NOW_MS != cases[i].from_now_ms)
            fail_msg("%s: %lld", cases[i].text, (long long)(ms - NOW_MS));
    }
}

static void other_texts_are_refused(void **state)
{
    static const char *const cases[] = {
        "",
        "now",
        "24:00",
        "18:60",
        "18",
        "18:3",
        "18:30:60",
        "118:30",
        "18:30 ",
        "18:30Z",
        "2026-11-21",
        "2026-11-31 10:00",
        "2026-02-29 10:00",
        "2026-13-01 10:00",
        "2026-00-01 10:00",
        "2026-11-00 10:00",
        "26-11-21 10:00",
        "2026-11-21  10:00",
        "2026-11-21 10:00 JST",
        "21.11.2026 10:00",
    };
    int64_t ms;

    (void)state;
    use_zone("Asia/Tokyo");
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        if (moment_parse(str_from_c(cases[i]), NOW_MS, &ms) != -EINVAL)
            fail_msg("understood: %s", cases[i]);
    }
}

static void the_next_day_is_the_next_one_when_clocks_change(void **state)
{
    int64_t ms;

    (void)state;
    /* 2026-10-24 12:00 in Berlin; that night is 25 hours long. */
    use_zone("Europe/Berlin");
    assert_int_equal(moment_parse(STR("12:00"), INT64_C(1792836000000), &ms), 0);
    assert_int_equal(ms, INT64_C(1792836000000) + 25 * HOUR_MS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(moments_are_understood),
        cmocka_unit_test(other_texts_are_refused),
        cmocka_unit_test(the_next_day_is_the_next_one_when_clocks_change),
    };

    return cmocka_run_group_tests_name("moment", tests, NULL, NULL);
}
