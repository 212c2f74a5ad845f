/* Unit tests of the queue's words: states, moments, answers, remedies. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "cli/queue_text.h"

/* 10:30 in Tokyo. */
#define NOW_MS ((int64_t)(24 + 10 - 9) * 3600 * 1000 + 30 * 60 * 1000)
#define MIN_MS ((int64_t)60 * 1000)

static struct buf out;

static struct buf *start(void)
{
    buf_done(&out);
    buf_init(&out, 4096);
    return &out;
}

static void assert_out(const char *text)
{
    assert_string_equal(buf_c_str(&out), text);
}

static void states_are_told_with_their_time(void **state)
{
    (void)state;
    static const struct {
        struct queue_row row;
        const char *english, *japanese;
    } cases[] = {
        {{.state = QUEUE_READY, .destination_state = QUEUE_NO_DESTINATION}, "ready", "送信待ち"},
        {{.state = QUEUE_READY, .destination_state = QUEUE_DESTINATION_ACTIVE},
         "ready",
         "送信待ち"},
        /* A place in the order, which is no time. */
        {{.state = QUEUE_READY, .due_ms = NOW_MS + MIN_MS}, "ready", "送信待ち"},
        {{.state = QUEUE_READY,
          .destination_state = QUEUE_DESTINATION_WAITING,
          .destination_due_ms = NOW_MS + 5 * MIN_MS},
         "ready, due 10:35 (in 5 min)",
         "送信待ち、次は 10:35（5 分後）"},
        {{.state = QUEUE_READY,
          .destination_state = QUEUE_DESTINATION_WAITING,
          .destination_due_ms = NOW_MS},
         "ready",
         "送信待ち"},
        {{.state = QUEUE_DEFERRED, .due_ms = NOW_MS + 5 * MIN_MS},
         "put off until 10:35 (in 5 min)",
         "延期中、次は 10:35（5 分後）"},
        {{.state = QUEUE_DEFERRED,
          .due_ms = NOW_MS + 5 * MIN_MS,
          .destination_state = QUEUE_DESTINATION_WAITING,
          .destination_due_ms = NOW_MS + 24 * 60 * MIN_MS},
         "put off until 1970-01-03 10:30 (in 1 d)",
         "延期中、次は 1970-01-03 10:30（1 日後）"},
        {{.state = QUEUE_DEFERRED, .due_ms = NOW_MS - 1},
         "put off, due now",
         "延期中、まもなく再送"},
        {{.state = QUEUE_LEASED}, "being sent", "送信中"},
        {{.state = QUEUE_HELD, .due_ms = NOW_MS + MIN_MS}, "held", "保留"},
        {{.state = QUEUE_SCHEDULED, .due_ms = NOW_MS + 5 * MIN_MS},
         "scheduled for 10:35 (in 5 min)",
         "予約送信、送信は 10:35（5 分後）"},
        {{.state = QUEUE_SCHEDULED, .due_ms = NOW_MS}, "scheduled", "予約送信"},
        {{.state = QUEUE_SCHEDULED, .due_ms = QUEUE_NO_TIME}, "held", "保留"},
        {{.state = QUEUE_DONE, .report = QUEUE_REPORT_FAILED},
         "failed, its sender is to be told",
         "配送失敗、差出人に通知待ち"},
        {{.state = QUEUE_DONE, .report = QUEUE_REPORT_RELAYED},
         "delivered, its sender is to be told",
         "配送済み、差出人に通知待ち"},
        {{.state = QUEUE_DONE}, "to be reported", "通知待ち"},
        {{.state = 77}, "unknown", "不明"},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        queue_text_put_state(start(), &cases[i].row, NOW_MS, false);
        assert_out(cases[i].english);
        queue_text_put_state(start(), &cases[i].row, NOW_MS, true);
        assert_out(cases[i].japanese);
    }
}

static void names_of_states_go_both_ways(void **state)
{
    (void)state;
    enum queue_state found;

    for (unsigned i = QUEUE_READY; i <= QUEUE_DONE; i++) {
        assert_int_equal(queue_text_parse_state(str_from_c(queue_text_state_name(i)), &found), 0);
        assert_int_equal(found, i);
    }
    assert_int_equal(queue_text_parse_state(STR("leased"), &found), -EINVAL);
    assert_int_equal(queue_text_parse_state(STR(""), &found), -EINVAL);
    assert_string_equal(queue_text_destination_name(QUEUE_DESTINATION_WAITING), "waiting");
    assert_string_equal(queue_text_destination_name(QUEUE_NO_DESTINATION), "none");
}

static void moments_say_how_far_away_they_are(void **state)
{
    (void)state;
    queue_text_put_when(start(), NOW_MS, NOW_MS, false);
    assert_out("now");
    queue_text_put_past(start(), NOW_MS - 5 * MIN_MS, NOW_MS, false);
    assert_out("10:25 (5 min ago)");
    queue_text_put_past(start(), NOW_MS - 5 * MIN_MS, NOW_MS, true);
    assert_out("10:25（5 分前）");
}

static void answers_say_who_spoke(void **state)
{
    (void)state;
    queue_text_put_answer(start(), STR("4.7.1"), STR("mx.osaka.example"),
                          STR("451 4.7.1 come back\nlater \033[2J"));
    assert_out("mx.osaka.example: 451 4.7.1 come back later \xef\xbf\xbd[2J");
    queue_text_put_answer(start(), STR("4.4.1"), STR(""), STR("connection refused"));
    assert_out("connection refused (4.4.1)");
    queue_text_put_answer(start(), STR(""), STR(""), STR("no words"));
    assert_out("no words");
    queue_text_put_answer(start(), STR(""), STR(""), STR(""));
    assert_out("");
}

static void remedies_fit_the_code_and_the_speaker(void **state)
{
    (void)state;
    static const struct {
        const char *status;
        bool is_remote;
        const char *part;
    } cases[] = {
        {"4.4.1", false, "port 25 outside"},
        {"4.4.1", true, "in trouble with its network"},
        {"4.4.3", false, "says of it: hikyaku dns osaka.example."},
        {"4.3.0", false, "on this machine"},
        {"4.3.2", true, "busy"},
        {"4.7.1", true, "Greylisting passes"},
        {"4.7.25", true, "Greylisting"},
        {"4.2.2", true, "make room"},
        {"4.2.1", true, "postmaster"},
        {"5.4.6", true, "circle"},
        {"4.0.0", true, "Wait"},
        {"", false, "Wait"},
        {"4.40.1", false, "Wait"},
        {"4", true, "Wait"},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct str status = str_from_c(cases[i].status);
        queue_text_put_remedy(start(), status, cases[i].is_remote, STR("osaka.example"), false);
        assert_non_null(strstr(buf_c_str(&out), cases[i].part));
        assert_null(strchr(buf_c_str(&out), '{'));
        queue_text_put_remedy(start(), status, cases[i].is_remote, STR("osaka.example"), true);
        assert_null(strstr(buf_c_str(&out), cases[i].part));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(states_are_told_with_their_time),
        cmocka_unit_test(names_of_states_go_both_ways),
        cmocka_unit_test(moments_say_how_far_away_they_are),
        cmocka_unit_test(answers_say_who_spoke),
        cmocka_unit_test(remedies_fit_the_code_and_the_speaker),
    };

    setenv("TZ", "Asia/Tokyo", 1);
    tzset();
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    buf_done(&out);
    return failed;
}
