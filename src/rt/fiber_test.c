/* Unit tests of fibers, timers and groups: each test is named as the sentence it proves. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "rt/fiber.h"
#include "rt/loop.h"

static struct fiber_group roots;

/* Runs fn in a fiber until it returns. */
static void run(fiber_fn *fn, void *arg)
{
    assert_int_equal(loop_init(), 0);
    fiber_group_init(&roots);
    assert_int_equal(fiber_spawn(&roots, "test", fn, arg), 0);
    loop_run();
    loop_done();
    assert_int_equal(roots.count, 0);
}

struct sleeper {
    int64_t until_ms;
    int id;
    int result;
};

static int order[16], order_count;

static void sleep_and_note(void *arg)
{
    struct sleeper *s = arg;

    s->result = fiber_sleep_until(s->until_ms);
    order[order_count++] = s->id;
}

static void sleepers_main(void *arg)
{
    (void)arg;
    struct fiber_group g;
    struct sleeper s[5];
    int64_t now = clock_mono_ms();
    static const int delays[5] = {30, 10, 50, 20, 40};

    fiber_group_init(&g);
    for (int i = 0; i < 5; i++) {
        s[i] = (struct sleeper){.until_ms = now + delays[i], .id = delays[i]};
        assert_int_equal(fiber_spawn(&g, "sleeper", sleep_and_note, &s[i]), 0);
    }
    assert_int_equal(fiber_group_join(&g, CLOCK_NEVER), 0);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(order[i], (i + 1) * 10);
        assert_int_equal(s[i].result, 0);
    }
    loop_stop();
}

static void sleeping_fibers_wake_in_order_of_their_deadlines(void **state)
{
    (void)state;
    order_count = 0;
    run(sleepers_main, NULL);
}

static void cancel_main(void *arg)
{
    (void)arg;
    struct fiber_group g;
    struct sleeper s = {.until_ms = CLOCK_NEVER, .id = 1};

    fiber_group_init(&g);
    assert_int_equal(fiber_spawn(&g, "sleeper", sleep_and_note, &s), 0);
    assert_int_equal(fiber_yield(), 0);
    assert_int_equal(fiber_group_join(&g, clock_mono_ms() + 5), -ETIMEDOUT);
    fiber_group_cancel(&g);
    assert_int_equal(fiber_group_join(&g, CLOCK_NEVER), 0);
    assert_int_equal(s.result, -ECANCELED);
    assert_int_equal(fiber_spawn(&g, "late", sleep_and_note, &s), -ECANCELED);
    loop_stop();
}

static void cancelled_fibers_end_and_can_be_joined(void **state)
{
    (void)state;
    run(cancel_main, NULL);
}

static void wait_twice(void *arg)
{
    int *results = arg;

    fiber_set_interruptible(true);
    results[0] = fiber_park(CLOCK_NEVER);
    fiber_set_interruptible(false);
    results[1] = fiber_park(clock_mono_ms() + 20);
    fiber_set_interruptible(true);
    results[2] = fiber_park(clock_mono_ms() + 1000);
}

static void interrupt_main(void *arg)
{
    (void)arg;
    struct fiber_group g;
    int results[3] = {1, 1, 1};

    fiber_group_init(&g);
    assert_int_equal(fiber_spawn(&g, "waiter", wait_twice, results), 0);
    assert_int_equal(fiber_yield(), 0);
    fiber_group_interrupt(&g); /* ends the first wait */
    assert_int_equal(fiber_yield(), 0);
    fiber_group_interrupt(&g); /* is kept for the third */
    assert_int_equal(fiber_group_join(&g, CLOCK_NEVER), 0);
    assert_int_equal(results[0], -EINTR);
    assert_int_equal(results[1], -ETIMEDOUT);
    assert_int_equal(results[2], -EINTR);
    loop_stop();
}

static void only_interruptible_waits_are_interrupted(void **state)
{
    (void)state;
    run(interrupt_main, NULL);
}

static void sleep_long(void *arg)
{
    int *result = arg;

    *result = fiber_sleep_until(clock_mono_ms() + 5LL * 24 * 3600 * 1000);
}

static void test_clock_main(void *arg)
{
    (void)arg;
    struct fiber_group g;
    int result = 1;
    int64_t started_us = clock_mono_us();

    fiber_group_init(&g);
    assert_int_equal(fiber_spawn(&g, "five-days", sleep_long, &result), 0);
    assert_int_equal(fiber_yield(), 0);
    clock_advance_ms(5LL * 24 * 3600 * 1000);
    assert_int_equal(fiber_group_join(&g, CLOCK_NEVER), 0);
    assert_int_equal(result, 0);
    assert_true(clock_mono_us() - started_us < 5000000);
    loop_stop();
}

static void five_days_pass_on_the_test_clock(void **state)
{
    (void)state;
    run(test_clock_main, NULL);
}

static void park_until_woken(void *arg)
{
    (void)arg;
    char block[1024];

    memset(block, 'x', sizeof(block));
    assert_int_equal(fiber_park(CLOCK_NEVER), -ECANCELED);
    assert_int_equal(block[1000], 'x');
}

static void many_main(void *arg)
{
    (void)arg;
    enum { MANY = 3000 };
    struct fiber_group g;

    fiber_group_init(&g);
    for (int i = 0; i < MANY; i++)
        assert_int_equal(fiber_spawn(&g, "many", park_until_woken, NULL), 0);
    assert_int_equal(fiber_yield(), 0);
    clock_advance_ms(2 * FIBER_TRIM_AFTER_MS);
    fiber_trim_idle();
    fiber_group_cancel(&g);
    assert_int_equal(fiber_group_join(&g, CLOCK_NEVER), 0);
    assert_int_equal(g.count, 0);
    loop_stop();
}

static void thousands_of_fibers_park_and_end(void **state)
{
    (void)state;
    run(many_main, NULL);
}

static int timer_fired;

static void on_fire(struct loop_timer *t)
{
    (void)t;
    timer_fired++;
}

static void timers_main(void *arg)
{
    (void)arg;
    static struct loop_timer timers[200];
    int64_t now = clock_mono_ms();

    for (int i = 0; i < 200; i++) {
        timers[i].on_fire = on_fire;
        loop_timer_set(&timers[i], now + 1 + (i * 37) % 20);
    }
    for (int i = 0; i < 200; i += 2)
        loop_timer_clear(&timers[i]);
    loop_timer_set(&timers[1], CLOCK_NEVER);
    assert_int_equal(fiber_sleep_until(now + 40), 0);
    assert_int_equal(timer_fired, 99);
    loop_stop();
}

static void cleared_timers_do_not_fire(void **state)
{
    (void)state;
    run(timers_main, NULL);
}

static void slow_main(void *arg)
{
    (void)arg;
    int64_t until = clock_mono_us() + (FIBER_SLICE_WARN_MS + 5) * 1000;

    while (clock_mono_us() < until)
        ;
    loop_stop();
}

static void a_slow_fiber_is_only_reported(void **state)
{
    (void)state;
    run(slow_main, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sleeping_fibers_wake_in_order_of_their_deadlines),
        cmocka_unit_test(cancelled_fibers_end_and_can_be_joined),
        cmocka_unit_test(only_interruptible_waits_are_interrupted),
        cmocka_unit_test(cleared_timers_do_not_fire),
        cmocka_unit_test(a_slow_fiber_is_only_reported),
        cmocka_unit_test(five_days_pass_on_the_test_clock),
        cmocka_unit_test(thousands_of_fibers_park_and_end),
    };
    return cmocka_run_group_tests_name("fiber", tests, NULL, NULL);
}
