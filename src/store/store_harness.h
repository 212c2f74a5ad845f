/*
 * What the tests of the store share: a store in a folder of its own, verbs run by the real executor
 * (the loop is not needed), a look into the rows. Included once by each test program.
 */
#pragma once

#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "store/schema.h"
#include "store/store.h"
#include "store/verbs.h"

#define SHARED static __attribute__((unused))

static char dir[64];
static struct settings *settings;
static struct store *store;
static struct id_maker ids;

SHARED void open_store(void)
{
    struct buf text;

    buf_init(&text, 1000);
    int r = store_open(settings, &store, &text);
    if (r < 0)
        fail_msg("store_open: %d %s", r, buf_c_str(&text));
    assert_int_equal(store_start(store), 0);
    buf_done(&text);
}

SHARED void close_store(void)
{
    store_close(store);
    store = NULL;
}

SHARED int set_up(void **state)
{
    (void)state;
    strcpy(dir, "/tmp/hikyaku-store-XXXXXX");
    assert_non_null(mkdtemp(dir));
    settings = settings_defaults();
    free(settings->server_data_dir);
    settings->server_data_dir = xstrdup(dir);
    settings->store_segment_size = 1 << 20;
    settings->store_min_free_space = 0;
    id_maker_init(&ids, 0, 1);
    open_store();
    return 0;
}

SHARED int tear_down(void **state)
{
    char command[128];

    (void)state;
    close_store();
    settings_free(settings);
    (void)snprintf(command, sizeof(command), "rm -rf %s", dir);
    return system(command);
}

/* Runs a verb to its end; the caller frees the job. */
SHARED struct job *run_job(struct job *job)
{
    struct list done;
    struct pollfd p = {.fd = executor_event_fd(store->executor), .events = POLLIN};

    list_init(&done);
    assert_int_equal(executor_submit(store->executor, job), 0);
    while (list_is_empty(&done)) {
        assert_int_equal(poll(&p, 1, 10000), 1);
        executor_take_done(store->executor, &done);
    }
    assert_ptr_equal(CONTAINER_OF(list_pop(&done), struct job, link), job);
    store_count_queue(store, job);
    if (job->status >= 0)
        trace_db_record(store->trace, buf_str(&job->trace));
    if (job->on_done != NULL)
        job->on_done(store, job);
    store_release_spool(store, job);
    return job;
}

SHARED int run_verb(unsigned verb, const struct buf *args, struct buf *reply)
{
    struct job *job = run_job(job_new(verb_find(verb), buf_str(args)));
    int status = job->status;

    if (reply != NULL) {
        buf_reset(reply);
        buf_put_str(reply, buf_str(&job->reply));
    }
    job_free(job);
    return status;
}

static struct buf args;

SHARED struct buf *start_args(void)
{
    buf_done(&args);
    buf_init(&args, 1 << 20);
    return &args;
}

SHARED int run_texts(unsigned verb, const char *a, const char *b, struct buf *reply)
{
    struct buf *out = start_args();

    buf_put_lp(out, str_from_c(a));
    if (b != NULL)
        buf_put_lp(out, str_from_c(b));
    return run_verb(verb, out, reply);
}

SHARED int add_account(const char *address)
{
    struct buf *out = start_args();

    buf_put_lp(out, str_from_c(address));
    buf_put_u8(out, 0);
    buf_put_lp(out, STR(""));
    return run_verb(STORE_ACCOUNT_ADD, out, NULL);
}

SHARED int64_t get_int(const char *sql)
{
    struct db *db;
    int64_t value = -1;

    assert_int_equal(db_open(store->db_path, DB_READER, true, &db), 0);
    assert_int_equal(db_get_int(db, &value, sql), 1);
    db_close(db);
    return value;
}
