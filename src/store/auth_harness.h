/*
 * What the tests of logins share: a store with a domain, logins as the loop thread answers them
 * (what server.c does is done here by login()), changes with what is written after them.
 */
#pragma once

#include "store/store_harness.h"

#include "store/auth_desk.h"
#include "store/auth_wire.h"

static struct auth_desk desk;
static struct arena arena;
static size_t checked; /* logins that were not answered from memory */

SHARED int set_up_logins(void **state)
{
    int r = set_up(state);

    auth_desk_init(&desk, store);
    arena_init(&arena, 1 << 20);
    checked = 0;
    assert_int_equal(run_texts(STORE_DOMAIN_ADD, "example.jp", NULL, NULL), 0);
    return r;
}

SHARED int tear_down_logins(void **state)
{
    auth_desk_done(&desk);
    arena_done(&arena);
    return tear_down(state);
}

/* A change, or a login that was not remembered; with what the store writes after it. */
SHARED int finish(struct job *job, struct buf *reply)
{
    struct list done;

    run_job(job);
    auth_desk_finish(&desk, job);
    int status = job->status;
    if (reply != NULL) {
        buf_reset(reply);
        buf_put_str(reply, buf_str(&job->reply));
    }
    bool has_later = job->on_done != NULL;
    job_free(job);
    list_init(&done);
    while (has_later && list_is_empty(&done)) {
        struct pollfd p = {.fd = executor_event_fd(store->executor), .events = POLLIN};
        assert_int_equal(poll(&p, 1, 10000), 1);
        executor_take_done(store->executor, &done);
    }
    if (has_later) {
        struct job *later = CONTAINER_OF(list_pop(&done), struct job, link);
        assert_int_equal(later->status, 0);
        assert_null(later->conn);
        job_free(later);
    }
    return status;
}

SHARED int change(unsigned verb, struct buf *reply)
{
    return finish(job_new(verb_find(verb), buf_str(&args)), reply);
}

SHARED int change_texts(unsigned verb, const char *a, const char *b, struct buf *reply)
{
    buf_put_lp(start_args(), str_from_c(a));
    if (b != NULL)
        buf_put_lp(&args, str_from_c(b));
    return change(verb, reply);
}

SHARED struct auth_answer login_str(struct str name, struct str password, uint8_t service)
{
    static struct buf reply;
    struct auth_request request = {.username = name, .password = password, .service = service};
    struct auth_answer answer;

    buf_done(&reply);
    buf_init(&reply, 10000);
    auth_put_request(start_args(), &request);
    struct str known = auth_desk_answer(&desk, buf_str(&args));
    if (known.len > 0) {
        buf_put_str(&reply, known);
    } else {
        struct job *job = job_new(verb_find(STORE_AUTH_PASSWORD), buf_str(&args));
        job->generation = desk.generation;
        checked++;
        assert_int_equal(finish(job, &reply), 0);
    }
    struct cursor c = cursor_from(buf_str(&reply));
    assert_int_equal(auth_get_answer(&c, &answer), 0);
    return answer;
}

SHARED struct auth_answer login_for(const char *name, const char *password, uint8_t service)
{
    return login_str(str_from_c(name), str_from_c(password), service);
}

SHARED enum auth_verdict login(const char *name, const char *password)
{
    return login_for(name, password, AUTH_SEND).verdict;
}

SHARED int add_user(const char *address, enum password_form form, const char *text)
{
    buf_put_lp(start_args(), str_from_c(address));
    buf_put_u8(&args, (uint8_t)form);
    buf_put_lp(&args, str_from_c(text));
    return change(STORE_ACCOUNT_ADD, NULL);
}

SHARED int set_password(const char *address, enum password_form form, const char *text)
{
    buf_put_lp(start_args(), str_from_c(address));
    buf_put_u8(&args, (uint8_t)form);
    buf_put_lp(&args, str_from_c(text));
    return change(STORE_ACCOUNT_PASSWORD, NULL);
}

/* --- app passwords and SCRAM --- */

static int64_t last_app_id;

/* The new app password, to be freed. */
SHARED char *add_app_password(const char *name, uint8_t scope, int64_t expires_ms)
{
    struct buf reply;

    buf_init(&reply, 1000);
    buf_put_lp(start_args(), STR("taro@example.jp"));
    buf_put_lp(&args, str_from_c(name));
    buf_put_u8(&args, scope);
    buf_put_u64(&args, (uint64_t)expires_ms);
    assert_int_equal(change(STORE_APP_PASSWORD_ADD, &reply), 0);
    struct cursor c = cursor_from(buf_str(&reply));
    last_app_id = (int64_t)cursor_u64(&c);
    char *password = str_dup(cursor_lp(&c));
    buf_done(&reply);
    return password;
}

SHARED struct auth_scram ask_scram(const char *name, enum scram_hash hash, uint8_t service)
{
    static struct buf reply;
    struct auth_request request = {
        .username = str_from_c(name), .hash = (uint8_t)hash, .service = service};
    struct auth_scram scram;

    buf_done(&reply);
    buf_init(&reply, 100000);
    auth_put_request(start_args(), &request);
    assert_int_equal(run_verb(STORE_AUTH_SCRAM, &args, &reply), 0);
    struct cursor c = cursor_from(buf_str(&reply));
    assert_int_equal(auth_get_scram(&c, &arena, &scram), 0);
    return scram;
}

/* Which key a client with this password proves, or NULL. */
SHARED const struct auth_scram_key *prove(const struct auth_scram *s, enum scram_hash hash,
                                          const char *password)
{
    struct scram_keys keys;

    assert_int_equal(scram_keys_derive(hash, str_from_c(password), s->salt, s->iterations, &keys),
                     0);
    for (size_t i = 0; i < s->count; i++) {
        if (str_eq(s->keys[i].stored_key, str_from_mem(keys.stored_key, keys.key_bytes))) {
            assert_true(
                str_eq(s->keys[i].server_key, str_from_mem(keys.server_key, keys.key_bytes)));
            return &s->keys[i];
        }
    }
    return NULL;
}

#define LOGIN_TEST(f) cmocka_unit_test_setup_teardown(f, set_up_logins, tear_down_logins)

/* Runs the array of tests on a clock that they can move. */
#define RUN_LOGIN_TESTS(name, tests)                                                               \
    (start_clock() < 0 ? 1 : end_clock(cmocka_run_group_tests_name(name, tests, NULL, NULL)))

static char clock_path[] = "/tmp/hikyaku-clock-XXXXXX";

SHARED int start_clock(void)
{
    int fd = mkstemp(clock_path);

    if (fd < 0)
        return -errno;
    close(fd);
    return clock_use_file(clock_path);
}

SHARED int end_clock(int failed)
{
    (void)unlink(clock_path);
    buf_done(&args);
    return failed;
}
