/* Unit tests of brake.h: bursts, rates, bounded memory, clocks that jump. */
#include "store/brake.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static const int64_t START_MS = 1700000000000;

static bool take(struct brake *b, const char *key, const struct brake_rule *rule, int64_t now_ms)
{
    return brake_take(b, str_from_c(key), rule, 1, now_ms, NULL);
}

static void a_burst_and_then_one_each_interval(void **state)
{
    struct brake_rule rule = brake_rule_of(5, 10000);
    struct brake b;
    int64_t wait_ms = -1;

    (void)state;
    brake_init(&b, 100);
    assert_int_equal(rule.interval_ms, 2000);
    for (int i = 0; i < 5; i++)
        assert_true(take(&b, "a", &rule, START_MS));
    assert_false(brake_has_room(&b, STR("a"), &rule, START_MS));
    assert_false(brake_take(&b, STR("a"), &rule, 1, START_MS, &wait_ms));
    assert_int_equal(wait_ms, 2000);
    assert_true(take(&b, "b", &rule, START_MS)); /* others are not meant */
    assert_false(take(&b, "a", &rule, START_MS + 1999));
    assert_true(take(&b, "a", &rule, START_MS + 2000));
    assert_false(take(&b, "a", &rule, START_MS + 2000));
    /* After a long rest the whole burst, and not more. */
    for (int i = 0; i < 5; i++)
        assert_true(take(&b, "a", &rule, START_MS + 1000000));
    assert_false(take(&b, "a", &rule, START_MS + 1000000));
    brake_forget(&b, STR("a"));
    assert_true(take(&b, "a", &rule, START_MS + 1000000));
    brake_done(&b);
}

static void amounts_fit_whole_or_not_at_all(void **state)
{
    struct brake_rule rule = brake_rule_of(100, 100000);
    struct brake b;
    int64_t wait_ms = 0;

    (void)state;
    brake_init(&b, 8);
    assert_true(brake_take(&b, STR("a"), &rule, 60, START_MS, NULL));
    assert_false(brake_take(&b, STR("a"), &rule, 41, START_MS, &wait_ms));
    assert_int_equal(wait_ms, 1000);
    assert_true(brake_take(&b, STR("a"), &rule, 40, START_MS, &wait_ms));
    assert_int_equal(wait_ms, 0);
    assert_false(brake_take(&b, STR("b"), &rule, 101, START_MS, NULL));
    assert_true(brake_take(&b, STR("b"), &rule, 100, START_MS, NULL));
    brake_done(&b);
}

static void what_is_given_back_is_there_again(void **state)
{
    struct brake_rule rule = brake_rule_of(3, 30000);
    struct brake b;

    (void)state;
    brake_init(&b, 8);
    brake_give(&b, STR("a"), &rule, 1, START_MS); /* who has taken nothing */
    for (int i = 0; i < 3; i++)
        assert_true(take(&b, "a", &rule, START_MS));
    brake_give(&b, STR("a"), &rule, 1, START_MS);
    assert_true(take(&b, "a", &rule, START_MS));
    assert_false(take(&b, "a", &rule, START_MS));
    brake_give(&b, STR("a"), &rule, 7, START_MS); /* never more than the burst */
    for (int i = 0; i < 3; i++)
        assert_true(take(&b, "a", &rule, START_MS));
    assert_false(take(&b, "a", &rule, START_MS));
    brake_done(&b);
}

static void no_rule_is_no_limit(void **state)
{
    struct brake_rule rule = brake_rule_of(0, 1000);
    struct brake b;

    (void)state;
    brake_init(&b, 8);
    for (int i = 0; i < 1000; i++)
        assert_true(take(&b, "a", &rule, START_MS));
    assert_true(brake_has_room(&b, STR("a"), &rule, START_MS));
    brake_done(&b);
}

/* Whoever is at his limit stays there, whatever crowd passes by once each. */
static void a_crowd_does_not_wash_out_the_guilty(void **state)
{
    struct brake_rule rule = brake_rule_of(10, 600000);
    struct brake b;
    char key[32];

    (void)state;
    brake_init(&b, 4096);
    for (int i = 0; i < 10; i++)
        assert_true(take(&b, "guilty", &rule, START_MS));
    for (int i = 0; i < 200000; i++) {
        (void)snprintf(key, sizeof(key), "passer-by %d", i);
        (void)take(&b, key, &rule, START_MS + i / 1000);
    }
    assert_false(take(&b, "guilty", &rule, START_MS + 200));
    assert_int_equal(b.count, 4096);
    brake_done(&b);
}

static void a_clock_that_is_set_back_holds_nobody_for_ever(void **state)
{
    struct brake_rule rule = brake_rule_of(2, 2000);
    struct brake b;
    int64_t wait_ms = 0;

    (void)state;
    brake_init(&b, 8);
    assert_true(take(&b, "a", &rule, START_MS));
    assert_true(take(&b, "a", &rule, START_MS));
    int64_t earlier_ms = START_MS - 86400000;
    assert_false(brake_take(&b, STR("a"), &rule, 1, earlier_ms, &wait_ms));
    assert_int_equal(wait_ms, 1000);
    brake_done(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_burst_and_then_one_each_interval),
        cmocka_unit_test(amounts_fit_whole_or_not_at_all),
        cmocka_unit_test(what_is_given_back_is_there_again),
        cmocka_unit_test(no_rule_is_no_limit),
        cmocka_unit_test(a_crowd_does_not_wash_out_the_guilty),
        cmocka_unit_test(a_clock_that_is_set_back_holds_nobody_for_ever),
    };

    return cmocka_run_group_tests_name("brake", tests, NULL, NULL);
}
