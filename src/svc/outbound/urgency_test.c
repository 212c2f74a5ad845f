/* Unit tests of urgency.h: what is passed on, what may not go at all. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "smtp/params.h"
#include "store/wire.h"
#include "svc/outbound/urgency.h"

enum { NOW_MS = 1000 * 1000 };

static void only_who_can_keep_it_gets_it(void **state)
{
    static const struct {
        uint8_t by, flags;
        int64_t left_ms;
        struct urgency_peer peer;
        const char *refused; /* its status; "": goes */
        uint8_t expected_by;
        int64_t expected_s;
    } cases[] = {
        {0, 0, 0, {0}, "", SMTP_BY_NONE, 0},
        {DELIVER_BY_RETURN, 0, 5999, {.extensions = SMTP_EXT_DELIVERBY}, "", SMTP_BY_RETURN, 5},
        {DELIVER_BY_RETURN, 0, 999, {.extensions = SMTP_EXT_DELIVERBY}, "5.4.7", 0, 0},
        {DELIVER_BY_RETURN, 0, -1, {.extensions = SMTP_EXT_DELIVERBY}, "5.4.7", 0, 0},
        {DELIVER_BY_RETURN, 0, 60000, {0}, "5.4.7", 0, 0},
        {DELIVER_BY_RETURN, 0, 59000, {SMTP_EXT_DELIVERBY, 60, false, false}, "5.4.7", 0, 0},
        {DELIVER_BY_RETURN,
         0,
         60000,
         {SMTP_EXT_DELIVERBY, 60, false, false},
         "",
         SMTP_BY_RETURN,
         60},
        {DELIVER_BY_NOTIFY, 0, 60000, {0}, "", SMTP_BY_NOTIFY, 60},
        {DELIVER_BY_NOTIFY,
         0,
         10000,
         {SMTP_EXT_DELIVERBY, 60, false, false},
         "",
         SMTP_BY_NOTIFY,
         10},
        {DELIVER_BY_NOTIFY, 0, -1, {.extensions = SMTP_EXT_DELIVERBY}, "", SMTP_BY_NOTIFY, -1},
        {DELIVER_BY_NOTIFY, 0, -1000, {.extensions = SMTP_EXT_DELIVERBY}, "", SMTP_BY_NOTIFY, -1},
        {DELIVER_BY_NOTIFY, 0, INT64_C(-4000000000000), {0}, "", SMTP_BY_NOTIFY, -SMTP_SECONDS_MAX},
        {0, DELIVER_REQUIRETLS, 0, {.extensions = SMTP_EXT_REQUIRETLS}, "5.7.10", 0, 0},
        {0, DELIVER_REQUIRETLS, 0, {.is_encrypted = true, .is_sure = true}, "5.7.30", 0, 0},
        {0, DELIVER_REQUIRETLS, 0, {SMTP_EXT_REQUIRETLS, 0, true, false}, "5.7.10", 0, 0},
        {0, DELIVER_REQUIRETLS, 0, {SMTP_EXT_REQUIRETLS, 0, false, true}, "5.7.10", 0, 0},
        {0, DELIVER_REQUIRETLS, 0, {SMTP_EXT_REQUIRETLS, 0, true, true}, "", SMTP_BY_NONE, 0},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct queue_message m = {.sender = STR("a@b"),
                                  .by = cases[i].by,
                                  .flags = cases[i].flags,
                                  .deliver_by_ms = NOW_MS + cases[i].left_ms};
        struct smtp_client_message out = {.by = 0};
        struct smtp_client_reply reply = {.code = 0};
        bool may_go = urgency_apply(&m, &cases[i].peer, NOW_MS, &out, &reply);
        assert_string_equal(reply.enhanced, cases[i].refused);
        assert_int_equal(may_go, cases[i].refused[0] == '\0');
        assert_int_equal(reply.is_local, !may_go);
        assert_int_equal(reply.is_about_host, !may_go && cases[i].flags != 0);
        if (!may_go)
            continue;
        assert_int_equal(out.by, cases[i].expected_by);
        assert_int_equal(out.by_s, cases[i].expected_s);
        assert_int_equal(out.is_requiretls, cases[i].flags != 0);
    }
}

static void wishes_are_passed_on(void **state)
{
    struct queue_message m = {.sender = STR("a@b"),
                              .by = DELIVER_BY_NOTIFY | DELIVER_BY_TRACE,
                              .flags = DELIVER_HAS_PRIORITY,
                              .priority = -4,
                              .deliver_by_ms = NOW_MS};
    struct urgency_peer peer = {.extensions = 0};
    struct smtp_client_message out = {.by = 0};
    struct smtp_client_reply reply;

    (void)state;
    assert_true(urgency_apply(&m, &peer, NOW_MS, &out, &reply));
    assert_true(out.by_has_trace && out.has_priority && out.priority == -4);
    /* What the queue itself thinks of a message is nobody's business. */
    m.flags = 0;
    m.priority = DELIVER_BULK_PRIORITY;
    assert_true(urgency_apply(&m, &peer, NOW_MS, &out, &reply));
    assert_false(out.has_priority);
    /* A notice: protected where that is possible. */
    m = (struct queue_message){.flags = DELIVER_REQUIRETLS};
    assert_true(urgency_apply(&m, &peer, NOW_MS, &out, &reply));
    assert_false(out.is_requiretls);
    peer = (struct urgency_peer){SMTP_EXT_REQUIRETLS, 0, true, true};
    assert_true(urgency_apply(&m, &peer, NOW_MS, &out, &reply));
    assert_true(out.is_requiretls);
}

static void lost_times_become_reports_of_delays(void **state)
{
    static const struct {
        uint8_t by;
        unsigned extensions;
        uint8_t notify, expected;
    } cases[] = {
        {DELIVER_BY_NOTIFY, 0, 0, DELIVER_NOTIFY_FAILURE | DELIVER_NOTIFY_DELAY},
        {DELIVER_BY_NOTIFY, 0, DELIVER_NOTIFY_SUCCESS,
         DELIVER_NOTIFY_SUCCESS | DELIVER_NOTIFY_DELAY},
        {DELIVER_BY_NOTIFY, 0, DELIVER_NOTIFY_NEVER, DELIVER_NOTIFY_NEVER},
        {DELIVER_BY_NOTIFY, SMTP_EXT_DELIVERBY, 0, 0},
        {DELIVER_BY_RETURN, SMTP_EXT_DELIVERBY, 0, 0},
        {0, 0, 0, 0},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct queue_message m = {.by = cases[i].by};
        assert_int_equal(urgency_notify(&m, cases[i].extensions, cases[i].notify),
                         cases[i].expected);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_who_can_keep_it_gets_it),
        cmocka_unit_test(wishes_are_passed_on),
        cmocka_unit_test(lost_times_become_reports_of_delays),
    };

    return cmocka_run_group_tests_name("urgency", tests, NULL, NULL);
}
