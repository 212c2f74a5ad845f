/*
 * Tests of a connection's spool files: who may use them, what becomes of one that is given up while
 * a piece is being written.
 */
#include "store/store_harness.h"

#include "store/spools.h"

static struct spools mine, others;

static int set_up_spools(void **state)
{
    int r = set_up(state);

    spools_init(&mine, store);
    spools_init(&others, store);
    assert_int_equal(spools_open(&mine, 7), 0);
    return r;
}

static void count_file(void *arg, int64_t segment, bool is_spool)
{
    (void)segment;
    *(int *)arg += is_spool;
}

static int spool_files(void)
{
    int count = 0;

    assert_int_equal(bodies_list(store->bodies, count_file, &count), 0);
    return count;
}

static int tear_down_spools(void **state)
{
    spools_done(&mine);
    spools_done(&others);
    assert_int_equal(spool_files(), 0);
    return tear_down(state);
}

static struct job *new_write(uint64_t id)
{
    buf_put_u64(start_args(), id);
    buf_put_c(&args, "a piece");
    return job_new(verb_find(STORE_SPOOL_WRITE), buf_str(&args));
}

static struct job *new_append(uint64_t spool)
{
    struct append_request q = {.message_id = id_make(&ids),
                               .account = STR("taro@example.jp"),
                               .mailbox = STR("INBOX"),
                               .received_ms = clock_real_ms(),
                               .spool = spool};

    wire_put_append(start_args(), &q);
    return job_new(verb_find(STORE_MESSAGE_APPEND), buf_str(&args));
}

static void a_file_is_its_connections_own(void **state)
{
    (void)state;
    struct job *write = new_write(7), *append = new_append(7);

    assert_int_equal(spools_attach(&others, write, STORE_SPOOL_WRITE), -ESTALE);
    assert_int_equal(spools_attach(&others, append, STORE_MESSAGE_APPEND), -ESTALE);
    spools_drop(&others, 7);
    assert_int_equal(spool_files(), 1);
    job_free(write);
    job_free(append);
    spools_drop(&mine, 7);
    assert_int_equal(spool_files(), 0);
}

static void a_file_is_written_and_then_handed_over(void **state)
{
    (void)state;
    struct job *write = new_write(7), *append = new_append(7), *inline_one = new_append(0);

    assert_int_equal(spools_attach(&mine, write, STORE_SPOOL_WRITE), 0);
    assert_int_equal(spools_attach(&mine, append, STORE_MESSAGE_APPEND), -ESTALE);
    assert_int_equal(run_job(write)->status, 0);
    assert_int_equal(spools_attach(&mine, append, STORE_MESSAGE_APPEND), 0);
    assert_true(append->has_spool);
    assert_int_equal(append->spool.written, strlen("a piece"));
    /* It is the job's now, which fails for want of an account and lets it go. */
    spools_done(&mine);
    assert_int_equal(spool_files(), 1);
    assert_true(run_job(append)->status < 0);
    assert_int_equal(spools_attach(&mine, inline_one, STORE_MESSAGE_APPEND), 0);
    assert_false(inline_one->has_spool);
    job_free(write);
    job_free(append);
    job_free(inline_one);
}

static void what_is_given_up_while_it_is_written_goes_afterwards(void **state)
{
    (void)state;
    struct job *first = new_write(7), *second = new_write(8);

    assert_int_equal(spools_open(&mine, 8), 0);
    assert_int_equal(spools_attach(&mine, first, STORE_SPOOL_WRITE), 0);
    assert_int_equal(spools_attach(&mine, second, STORE_SPOOL_WRITE), 0);
    spools_drop(&mine, 7);
    spools_done(&mine);
    assert_int_equal(spool_files(), 2);
    assert_int_equal(run_job(first)->status, 0);
    assert_int_equal(spool_files(), 1);
    assert_int_equal(run_job(second)->status, 0);
    assert_int_equal(spool_files(), 0);
    job_free(first);
    job_free(second);
}

static void a_request_that_cannot_be_read_is_refused(void **state)
{
    (void)state;
    struct job *job = job_new(verb_find(STORE_DELIVER), STR("nonsense"));

    assert_int_equal(spools_attach(&mine, job, STORE_DELIVER), -EBADMSG);
    job_free(job);
}

#define SPOOLS_TEST(f) cmocka_unit_test_setup_teardown(f, set_up_spools, tear_down_spools)

int main(void)
{
    const struct CMUnitTest tests[] = {
        SPOOLS_TEST(a_file_is_its_connections_own),
        SPOOLS_TEST(a_file_is_written_and_then_handed_over),
        SPOOLS_TEST(what_is_given_up_while_it_is_written_goes_afterwards),
        SPOOLS_TEST(a_request_that_cannot_be_read_is_refused),
    };
    int failed = cmocka_run_group_tests_name("spools", tests, NULL, NULL);

    buf_done(&args);
    return failed;
}
