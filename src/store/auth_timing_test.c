/*
 * Nothing tells who has an account, not even the time: 200 logins each with a wrong password and
 * with names that nobody has, for every mechanism that the store answers, measured in processor
 * time. The bound is generous; a missing hash would be off by a factor of hundreds. And what a
 * login that is remembered costs.
 */
#include "store/auth_harness.h"

#include <stdio.h>
#include <time.h>

enum { TRIES = 200 };

static int64_t cpu_ns(void)
{
    struct timespec t;

    assert_int_equal(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t), 0);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static int compare(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return (x > y) - (x < y);
}

static int64_t median(int64_t *values)
{
    qsort(values, TRIES, sizeof(values[0]), compare);
    return values[TRIES / 2];
}

static int64_t time_password(const char *name)
{
    int64_t before = cpu_ns();

    assert_int_equal(login(name, "a wrong password"), AUTH_BAD);
    return cpu_ns() - before;
}

static int64_t time_scram(const char *name)
{
    int64_t before = cpu_ns();

    assert_int_equal(ask_scram(name, SCRAM_SHA_256, AUTH_SEND).count, 1);
    return cpu_ns() - before;
}

static void assert_alike(const char *what, int64_t (*measure)(const char *), const char *other)
{
    static int64_t known[TRIES], unknown[TRIES];

    /* In turns, so that what else the machine does falls on both. */
    for (int i = 0; i < TRIES; i++) {
        known[i] = measure("taro@example.jp");
        unknown[i] = measure(other);
    }
    int64_t a = median(known), b = median(unknown);
    print_message("%s: known %lld us, %s %lld us\n", what, (long long)a / 1000, other,
                  (long long)b / 1000);
    if (a * 3 < b * 2 || b * 3 < a * 2)
        fail_msg("%s: %lld and %lld ns", what, (long long)a, (long long)b);
}

static void time_does_not_tell_which_names_exist(void **state)
{
    (void)state;
    assert_int_equal(add_user("taro@example.jp", PASSWORD_TEXT, "correct horse"), 0);
    assert_alike("auth.password", time_password, "nobody@example.jp");
    assert_alike("auth.scram", time_scram, "nobody@example.jp");
}

static void time_does_not_tell_what_is_kept_of_a_password(void **state)
{
    (void)state;
    assert_int_equal(add_user("taro@example.jp", PASSWORD_TEXT, "correct horse"), 0);
    assert_int_equal(add_user("jiro@example.jp", PASSWORD_HASH,
                              "{SSHA256}BMjF0OSFMwdXkmHHSQ+92ZUwn7A+1JPNRW9CJYPId8H6WybD"),
                     0);
    assert_alike("auth.password", time_password, "jiro@example.jp");
    assert_alike("auth.scram", time_scram, "jiro@example.jp");
}

/* A hash that is slower than ours is hidden by the steps in which answers come. */
static void slow_hashes_widen_the_steps_of_answers(void **state)
{
    (void)state;
    assert_int_equal(add_user("taro@example.jp", PASSWORD_TEXT, "correct horse"), 0);
    assert_int_equal(login("taro@example.jp", "a wrong password"), AUTH_BAD);
    assert_int_equal(store->wrong_step_ms, 0);
    /* bcrypt of cost 12 */
    assert_int_equal(add_user("jiro@example.jp", PASSWORD_HASH,
                              "$2b$12$a0hGcejeUVsdJIjuLnra4.GWT8aw5.Ya0fx2ZMBKFs7iPpw6e9Ecu"),
                     0);
    assert_int_equal(store->wrong_step_ms, PASSWORD_STEP_MS);
    close_store();
    open_store();
    desk.store = store;
    assert_int_equal(store->wrong_step_ms, PASSWORD_STEP_MS);
    assert_int_equal(set_password("jiro@example.jp", PASSWORD_HASH,
                                  "{PBKDF2-SHA256}2000000$TIlxrjXm/H.v1Rpj7F1LaQ$"
                                  "Z9sX/q8HMGSji7nqqG7qFxd7EuLUWjls6JhZm6y1d.M"),
                     0);
    int64_t before = clock_mono_ms();
    assert_int_equal(login("jiro@example.jp", "a wrong password"), AUTH_BAD);
    int64_t took = clock_mono_ms() - before;
    assert_in_range(store->wrong_step_ms, PASSWORD_STEP_MS, MAX(took * 5 / 4, PASSWORD_STEP_MS));
    print_message("two million rounds: %lld ms, steps of %lld ms\n", (long long)took,
                  (long long)store->wrong_step_ms);
}

static void a_remembered_login_costs_nearly_nothing(void **state)
{
    enum { LOGINS = 10000 };

    (void)state;
    assert_int_equal(add_user("taro@example.jp", PASSWORD_TEXT, "correct horse"), 0);
    int64_t before = cpu_ns();
    assert_int_equal(login("taro@example.jp", "correct horse"), AUTH_OK);
    int64_t hashed = cpu_ns() - before;
    before = cpu_ns();
    for (int i = 0; i < LOGINS; i++)
        assert_int_equal(login("taro@example.jp", "correct horse"), AUTH_OK);
    int64_t remembered = (cpu_ns() - before) / LOGINS;
    assert_int_equal(checked, 1);
    print_message("hashed: %lld us, remembered: %lld ns\n", (long long)hashed / 1000,
                  (long long)remembered);
    assert_true(remembered * 20 < hashed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        LOGIN_TEST(time_does_not_tell_which_names_exist),
        LOGIN_TEST(time_does_not_tell_what_is_kept_of_a_password),
        LOGIN_TEST(slow_hashes_widen_the_steps_of_answers),
        LOGIN_TEST(a_remembered_login_costs_nearly_nothing),
    };

    return RUN_LOGIN_TESTS("auth_timing", tests);
}
