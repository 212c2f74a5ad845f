/* Unit tests of gate.h: what reaches the guard, and under which name. Nothing runs behind it: the
 * answers of the store's own requests are given by the tests. */
#include "store/gate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "store/auth_wire.h"
#include "store/verbs.h"

static struct settings *settings;
static struct gate gate;
static unsigned asked[STORE_VERB_END]; /* how often for each verb */

static void run(void *arg, enum store_verb verb, struct str args)
{
    (void)arg;
    (void)args;
    asked[verb]++;
}

static void record(void *arg, struct str events)
{
    (void)arg;
    (void)events;
}

/* A request that has ended well. */
static bool end(enum store_verb verb, struct str reply)
{
    struct job *job = job_new(verb_find(verb), STR(""));

    buf_put_str(&job->reply, reply);
    bool is_ours = gate_note_job(&gate, job);
    job_free(job);
    return is_ours;
}

static void tell_primary(const char *name)
{
    struct buf reply;

    buf_init(&reply, 300);
    buf_put_lp(&reply, str_from_c(name));
    assert_true(end(STORE_DOMAIN_PRIMARY, buf_str(&reply)));
    buf_done(&reply);
}

static int set_up(void **state)
{
    (void)state;
    settings = settings_defaults();
    settings->brakes_account_failures = 6;
    settings->brakes_failures = settings->brakes_network_failures = 0;
    gate_init(&gate, settings, &(struct watch_hooks){.run = run, .record = record});
    tell_primary("example.jp");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    gate_done(&gate);
    settings_free(settings);
    return 0;
}

static struct ip_rate_key peer_of(unsigned i)
{
    struct ip_addr ip = {.family = IP_V4, .bytes = {10, (uint8_t)(i >> 8), (uint8_t)i, 1}};

    return ip_rate_key(&ip);
}

/* Whether it is stopped; else its end is due. With `is_unjudged` it ends without an answer. */
static bool begin(const char *name, unsigned peer, bool is_unjudged)
{
    struct auth_request request = {
        .username = str_from_c(name), .service = AUTH_SEND, .peer = peer_of(peer)};
    struct buf out, reply;

    buf_init(&out, 2000);
    buf_init(&reply, 2000);
    auth_put_request(&out, &request);
    bool is = gate_stops_login(&gate, STORE_AUTH_SCRAM, buf_str(&out), &reply);
    if (!is && is_unjudged)
        gate_note_unjudged(&gate, STORE_AUTH_SCRAM, buf_str(&out));
    buf_done(&out);
    buf_done(&reply);
    return is;
}

static bool is_stopped(const char *name)
{
    return begin(name, 999, true);
}

static void fail_login(const char *name, unsigned peer)
{
    struct auth_note note = {.username = str_from_c(name),
                             .mechanism = STR("SCRAM-SHA-256"),
                             .verdict = AUTH_BAD,
                             .service = AUTH_SEND,
                             .peer = peer_of(peer)};
    struct buf out;

    assert_false(begin(name, peer, false));
    buf_init(&out, 2000);
    auth_put_note(&out, &note);
    gate_note_told(&gate, buf_str(&out));
    buf_done(&out);
}

static void names_of_one_account_are_one(void **state)
{
    static const char *const names[] = {"taro", "TARO@example.jp", " Taro ", "taro@EXAMPLE.jp",
                                        "taro", "taro@example.jp"};

    (void)state;
    for (unsigned i = 0; i < ARRAY_LEN(names); i++) {
        assert_false(is_stopped("taro"));
        fail_login(names[i], i);
    }
    for (unsigned i = 0; i < ARRAY_LEN(names); i++)
        assert_true(is_stopped(names[i]));
    assert_false(is_stopped("taro@example.net"));
    assert_false(is_stopped("hanako"));
}

/* Whether somebody has the name plays no part: all is by the name. */
static void what_is_no_address_counts_as_it_is(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 6; i++)
        fail_login("two words@@", i);
    assert_true(is_stopped("Two words@@"));
    assert_false(is_stopped("two words@"));
    for (unsigned i = 0; i < 6; i++)
        fail_login(i % 2 == 0 ? "jiro@日本語.example" : "jiro@xn--wgv71a119e.example", i);
    assert_true(is_stopped("jiro@日本語.example"));
}

/* A store that fails is nobody's fault. */
static void what_could_not_be_judged_is_no_failure(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 100; i++)
        assert_false(is_stopped("taro"));
    for (unsigned i = 0; i < 6; i++)
        assert_false(begin("taro", i, false)); /* under way */
    assert_true(is_stopped("taro"));
}

static void the_primary_domain_may_change(void **state)
{
    (void)state;
    assert_int_equal(asked[STORE_DOMAIN_PRIMARY], 1);
    for (unsigned i = 0; i < 6; i++)
        fail_login("taro@example.net", i);
    assert_false(is_stopped("taro"));
    assert_false(end(STORE_DOMAIN_SET, STR("")));
    assert_int_equal(asked[STORE_DOMAIN_PRIMARY], 2);
    tell_primary("example.net");
    assert_true(is_stopped("taro"));
    tell_primary("");
    assert_false(is_stopped("taro"));
}

static int set_up_counted(void **state)
{
    asked[STORE_DOMAIN_PRIMARY] = 0;
    return set_up(state);
}

#define GATE_TEST(f) cmocka_unit_test_setup_teardown(f, set_up_counted, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        GATE_TEST(names_of_one_account_are_one),
        GATE_TEST(what_is_no_address_counts_as_it_is),
        GATE_TEST(what_could_not_be_judged_is_no_failure),
        GATE_TEST(the_primary_domain_may_change),
    };

    return cmocka_run_group_tests_name("gate", tests, NULL, NULL);
}
