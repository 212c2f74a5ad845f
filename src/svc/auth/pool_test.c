/* Tests of the threads for calls that block: bounds, fairness among names, time, and the way back.
 */
#include <errno.h>
#include <poll.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "rt/loop.h"
#include "svc/auth/pool.h"

enum { WAIT_MS = 10000, FAR_MS = 60000, THREADS = 4 };

struct task {
    struct pool_job job;
    sem_t *gate; /* NULL: does not wait */
    atomic_bool has_begun;
    bool is_done;
    bool is_last; /* ends the loop */
};

static struct pool *pool;
static struct loop_timer watchdog;
static unsigned done_count, stop_at;

static void run(struct pool_job *job, unsigned thread)
{
    struct task *task = CONTAINER_OF(job, struct task, job);

    assert_true(thread < THREADS);
    atomic_store(&task->has_begun, true);
    if (task->gate != NULL)
        (void)sem_wait(task->gate);
}

static void on_done(struct pool_job *job)
{
    CONTAINER_OF(job, struct task, job)->is_done = true;
    if (++done_count == stop_at)
        loop_stop();
}

static void on_watchdog(struct loop_timer *t)
{
    (void)t;
    fail_msg("the jobs did not come back in time");
}

/* Runs the loop until so many jobs have come back since the last time. */
static void await(unsigned count)
{
    watchdog.on_fire = on_watchdog;
    loop_timer_set(&watchdog, clock_mono_ms() + WAIT_MS);
    stop_at = count;
    if (done_count < count)
        loop_run();
    loop_timer_clear(&watchdog);
    assert_int_equal(done_count, count);
    done_count = 0;
}

static void submit(struct task *task, const char *whose, sem_t *gate)
{
    *task = (struct task){.gate = gate,
                          .job = {.whose = str_from_c(whose),
                                  .deadline_ms = clock_mono_ms() + FAR_MS,
                                  .run = run,
                                  .on_done = on_done}};
    assert_int_equal(pool_submit(pool, &task->job), 0);
}

static unsigned count_begun(struct task *tasks, unsigned count)
{
    unsigned begun = 0;

    for (unsigned i = 0; i < count; i++)
        begun += atomic_load(&tasks[i].has_begun);
    return begun;
}

static void wait_for_begun(struct task *tasks, unsigned count, unsigned wanted)
{
    int64_t deadline_ms = clock_mono_ms() + WAIT_MS;

    while (count_begun(tasks, count) < wanted) {
        assert_true(clock_mono_ms() < deadline_ms);
        (void)poll(NULL, 0, 1);
    }
}

static int start(void **state)
{
    (void)state;
    done_count = 0;
    return loop_init() < 0 || pool_new(THREADS, &pool) < 0;
}

static int end(void **state)
{
    (void)state;
    pool_end(pool);
    loop_done();
    return 0;
}

static void jobs_run_and_come_back(void **state)
{
    enum { JOBS = 100 };
    static struct task tasks[JOBS];

    (void)state;
    for (unsigned i = 0; i < JOBS; i++)
        submit(&tasks[i], i % 2 != 0 ? "a" : "b", NULL);
    await(JOBS);
    for (unsigned i = 0; i < JOBS; i++)
        assert_true(tasks[i].is_done && tasks[i].job.was_run && atomic_load(&tasks[i].has_begun));
    assert_int_equal(pool_busy_since_ms(pool), 0);
}

static void one_name_leaves_threads_to_others(void **state)
{
    enum { JOBS = 6 };
    static struct task slow[JOBS], quick;
    sem_t gate;

    (void)state;
    (void)sem_init(&gate, 0, 0);
    for (unsigned i = 0; i < JOBS; i++)
        submit(&slow[i], "slow", &gate);
    wait_for_begun(slow, JOBS, THREADS / 2);
    submit(&quick, "quick", NULL);
    await(1);
    assert_true(quick.is_done);
    assert_int_equal(count_begun(slow, JOBS), THREADS / 2);
    for (unsigned i = 0; i < JOBS; i++)
        (void)sem_post(&gate);
    await(JOBS);
    (void)sem_destroy(&gate);
}

static void what_waits_is_bounded_in_number_and_time(void **state)
{
    static struct task busy[THREADS], waiting[POOL_WAITING_MAX], late;
    sem_t gate;

    (void)state;
    (void)sem_init(&gate, 0, 0);
    for (unsigned i = 0; i < THREADS; i++)
        submit(&busy[i], (const char *[]){"a", "b"}[i % 2], &gate);
    wait_for_begun(busy, THREADS, THREADS);
    assert_true(pool_busy_since_ms(pool) > 0);
    for (unsigned i = 0; i < POOL_WAITING_MAX; i++) {
        submit(&waiting[i], "c", NULL);
        waiting[i].job.deadline_ms = 0; /* nobody looks at it: all threads are busy */
    }
    late = (struct task){.job = {.whose = STR("c"), .run = run, .on_done = on_done}};
    assert_int_equal(pool_submit(pool, &late.job), -EBUSY);
    for (unsigned i = 0; i < THREADS; i++)
        (void)sem_post(&gate);
    await(THREADS + POOL_WAITING_MAX);
    for (unsigned i = 0; i < POOL_WAITING_MAX; i++)
        assert_false(waiting[i].job.was_run || atomic_load(&waiting[i].has_begun));
    (void)sem_destroy(&gate);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(jobs_run_and_come_back),
        TEST(one_name_leaves_threads_to_others),
        TEST(what_waits_is_bounded_in_number_and_time),
    };

    return cmocka_run_group_tests_name("pool", tests, NULL, NULL);
}
