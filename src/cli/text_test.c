/* Unit tests of what people read: sizes, dates, columns, traces, decoded bodies. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "cli/decode.h"
#include "cli/text.h"
#include "cli/trace_text.h"

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

static void strangers_cannot_steer_the_terminal(void **state)
{
    (void)state;
    text_put_safe(start(), STR("a\033[2Jb\nc\xffz\xe2\x80\xae!"));
    assert_out("a\xef\xbf\xbd[2Jb\xef\xbf\xbd"
               "c\xef\xbf\xbdz\xef\xbf\xbd!");
    text_put_safe_lines(start(), STR("a\r\nb\tc\rd\n\x7f"));
    assert_out("a\nb\tc\xef\xbf\xbd"
               "d\n\xef\xbf\xbd");
}

static void width_is_counted_in_columns(void **state)
{
    (void)state;
    assert_int_equal(text_columns(STR("飛脚a")), 5);
    assert_int_equal(text_columns(STR("e\xcc\x81")), 1);
    text_put_cut(start(), STR("飛脚の手紙"), 10);
    assert_out("飛脚の手紙");
    text_put_cut(start(), STR("飛脚の手紙"), 9);
    assert_out("飛脚の手…");
    text_put_cut(start(), STR("飛脚の手紙"), 8);
    assert_out("飛脚の…");
}

static void numbers_have_units(void **state)
{
    (void)state;
    static const struct {
        uint64_t bytes;
        const char *text;
    } sizes[] = {
        {0, "0 B"},           {1023, "1023 B"},        {4300, "4.2 KiB"},
        {1048575, "1.0 MiB"}, {1ULL << 40, "1.0 TiB"},
    };

    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        text_put_size(start(), sizes[i].bytes);
        assert_out(sizes[i].text);
    }
    text_put_duration(start(), 999);
    assert_out("0 s");
    text_put_duration(start(), (3 * 86400 + 4 * 3600 + 59) * 1000LL);
    assert_out("3 d 4 h");
    text_put_duration(start(), 60000);
    assert_out("1 min");
    text_put_time(start(), 10999);
    assert_out("1970-01-01 09:00:10");
    text_put_time(start(), -1);
    assert_out("1970-01-01 08:59:59");
}

enum { EVENT_MS = (10 * 60 + 30) * 60 * 1000 - 9 * 3600 * 1000 + 24 * 3600 * 1000 };

static void put_event(const char *name, const char *address, const char *const *pairs,
                      bool is_japanese)
{
    struct buf event;
    struct trace_event e;

    buf_init(&event, 4096);
    trace_put_event(&event, &(struct trace_event){.time_ms = EVENT_MS,
                                                  .event = str_from_c(name),
                                                  .address = str_from_c(address)});
    for (size_t i = 0; pairs[i] != NULL; i += 2)
        trace_put_detail(&event, 0, pairs[i], str_from_c(pairs[i + 1]));
    struct cursor c = cursor_from(buf_str(&event));
    assert_int_equal(trace_next_event(&c, &e), 1);
    trace_text_put(start(), &e, is_japanese);
    buf_done(&event);
}

static void traces_are_told_in_plain_words(void **state)
{
    (void)state;
    const char *accepted[] = {"peer",     "192.0.2.1", "helo",       "mail.example",
                              "bytes",    "4300",      "recipients", "2",
                              "smtputf8", "yes",       NULL};
    const char *delivered[] = {"mailbox", "INBOX", NULL};
    const char *alias[] = {"mailbox", "INBOX", "account", "taro@example.jp", NULL};
    const char *refused[] = {"stage", "RCPT",         "code", "550",       "enhanced", "5.1.1",
                             "text",  "no such user", "peer", "192.0.2.1", NULL};
    const char *odd[] = {"why", "\033", NULL};

    put_event("accepted", "a@b.example", accepted, false);
    assert_out("accepted from <a@b.example> via 192.0.2.1 (mail.example), 4.2 KiB, 2 recipients, "
               "needs SMTPUTF8");
    put_event("accepted", "", accepted, true);
    assert_out("<> から受け付けました、接続元 192.0.2.1 (mail.example)、4.2 KiB、宛先 2 件、"
               "SMTPUTF8 が必要");
    put_event("delivered", "taro@example.jp", delivered, false);
    assert_out("delivered to taro@example.jp (INBOX)");
    put_event("delivered", "info@example.jp", alias, false);
    assert_out("delivered to info@example.jp (INBOX of taro@example.jp)");
    put_event("delivered", "info@example.jp", alias, true);
    assert_out("info@example.jp に配達しました（taro@example.jp の INBOX）");
    put_event("refused", "", refused, false);
    assert_out("refused at RCPT: 550 5.1.1 no such user, via 192.0.2.1");
    put_event("unheard-of", "x@y.example", odd, false);
    assert_out("unheard-of x@y.example why=\xef\xbf\xbd");
}

static const struct {
    const char *event, *pairs[20], *english, *japanese;
} queue_cases[] = {
    {"queued",
     {"domain", "osaka.example"},
     "queued for hana@osaka.example",
     "hana@osaka.example 宛を送信待ちに入れました"},
    {"queued",
     {"domain", "/smarthost"},
     "queued for hana@osaka.example, by the route smarthost",
     "hana@osaka.example 宛を送信待ちに入れました（経路 smarthost）"},
    {"held",
     {"domain", "osaka.example"},
     "held: hana@osaka.example waits until it is released",
     "hana@osaka.example 宛は解除されるまで保留します"},
    {"held",
     {"by", "administrator"},
     "held: hana@osaka.example waits until it is released; by the administrator",
     "hana@osaka.example 宛は解除されるまで保留します（管理者による）"},
    {"scheduled",
     {"until", "92100000"},
     "scheduled for hana@osaka.example: to be sent at 10:35 (5 min later)",
     "hana@osaka.example 宛を予約しました。送信は 10:35（5 分後）"},
    {"released",
     {"by", "schedule"},
     "released, for hana@osaka.example; by its schedule",
     "hana@osaka.example 宛を送信に回しました（予約による）"},
    {"cancelled",
     {"by", "administrator"},
     "cancelled, for hana@osaka.example; by the administrator",
     "hana@osaka.example 宛の送信を取り消しました（管理者による）"},
    {"late",
     {"status", "4.4.1", "reply", "connection refused"},
     "late for hana@osaka.example: the time that its sender set is over; last: connection refused "
     "(4.4.1)",
     "hana@osaka.example 宛は差出人が指定した時刻を過ぎました。最後の理由: connection refused "
     "(4.4.1)"},
    {"discarded",
     {NULL},
     "thrown away: a route says so for hana@osaka.example",
     "hana@osaka.example 宛は経路の設定により破棄しました"},
    {"relayed",
     {"mx", "mx.osaka.example", "ip", "127.0.0.2", "tls", "none", "stage", "end of data", "code",
      "250", "status", "2.0.0", "reply", "Accepted\nas x1", "tried", ""},
     "relayed to hana@osaka.example by mx.osaka.example [127.0.0.2], not encrypted: 250 2.0.0"
     " Accepted as x1",
     "hana@osaka.example 宛を送りました。相手 mx.osaka.example [127.0.0.2]、暗号化なし。"
     "応答: 250 2.0.0 Accepted as x1"},
    {"relayed",
     {"ip", "127.0.0.2", "tls", "TLSv1.3", "code", "250", "status", "2.0.0", "reply", "", "tried",
      "mx1.osaka.example [127.0.0.3]: 421 busy"},
     "relayed to hana@osaka.example by [127.0.0.2], encrypted with TLSv1.3: 250 2.0.0; before "
     "that: mx1.osaka.example [127.0.0.3]: 421 busy",
     "hana@osaka.example 宛を送りました。相手 [127.0.0.2]、暗号化 TLSv1.3。応答: 250 2.0.0。"
     "その前に: mx1.osaka.example [127.0.0.3]: 421 busy"},
    {"deferred",
     {"mx", "mx.osaka.example", "ip", "127.0.0.2", "tls", "none", "stage", "RCPT", "code", "451",
      "status", "4.7.1", "reply", "later", "next", "92100000"},
     "put off for hana@osaka.example: mx.osaka.example [127.0.0.2] at RCPT: 451 4.7.1 later; "
     "next attempt at 10:35 (5 min later)",
     "hana@osaka.example 宛を延期しました: mx.osaka.example [127.0.0.2] RCPT の段階: "
     "451 4.7.1 later。次の試行は 10:35（5 分後）"},
    {"deferred",
     {"mx", "", "status", "4.4.1", "reply", "connection refused"},
     "put off for hana@osaka.example: connection refused (4.4.1)",
     "hana@osaka.example 宛を延期しました: connection refused (4.4.1)"},
    {"deferred",
     {"mx", "mx.osaka.example", "status", "4.4.1", "reply",
      "mx.osaka.example [127.0.0.2]: connection refused"},
     "put off for hana@osaka.example: mx.osaka.example [127.0.0.2]: connection refused (4.4.1)",
     "hana@osaka.example 宛を延期しました: mx.osaka.example [127.0.0.2]: connection refused"
     " (4.4.1)"},
    {"failed",
     {"mx", "", "stage", "connect", "status", "5.1.10", "reply", "osaka.example takes no mail"},
     "could not be delivered to hana@osaka.example: osaka.example takes no mail (5.1.10)",
     "hana@osaka.example に届けられませんでした: osaka.example takes no mail (5.1.10)"},
    {"deferred",
     {"mx", "mx.osaka.example", "stage", "connect", "next", "178200000"},
     "put off for hana@osaka.example: mx.osaka.example while connecting; next attempt at "
     "1970-01-03 10:30 (1 d later)",
     "hana@osaka.example 宛を延期しました: mx.osaka.example 接続時。次の試行は "
     "1970-01-03 10:30（1 日後）"},
    {"failed",
     {"mx", "mx.osaka.example", "stage", "RCPT", "code", "550", "reply", "no \033"},
     "could not be delivered to hana@osaka.example: mx.osaka.example at RCPT: 550 no "
     "\xef\xbf\xbd",
     "hana@osaka.example に届けられませんでした: mx.osaka.example RCPT の段階: 550 no "
     "\xef\xbf\xbd"},
    {"expired",
     {"status", "4.4.1", "reply", "connection refused"},
     "given up for hana@osaka.example: its time is over; last: connection refused (4.4.1)",
     "hana@osaka.example 宛は期限が過ぎたため打ち切りました。最後の理由: "
     "connection refused (4.4.1)"},
    {"notified",
     {"notice", "0sa3hmfk80201"},
     "told hana@osaka.example in the notice 0sa3hmfk80201",
     "hana@osaka.example に知らせました（通知 0sa3hmfk80201）"},
    {"returned",
     {"by", "administrator"},
     "returned to its sender, for hana@osaka.example; by the administrator",
     "hana@osaka.example 宛を差出人に返しました（管理者による）"},
    {"retried",
     {"by", "administrator"},
     "to be tried again at once, for hana@osaka.example; by the administrator",
     "hana@osaka.example 宛をすぐに再送することにしました（管理者による）"},
    {"released",
     {NULL},
     "released, for hana@osaka.example",
     "hana@osaka.example 宛を送信に回しました"},
    {"dropped",
     {"by", "x\033"},
     "dropped without a word, for hana@osaka.example; by x\xef\xbf\xbd",
     "hana@osaka.example 宛を通知なしで取り除きました（x\xef\xbf\xbdによる）"},
    {"deferred",
     {"next", "soon", "odd", "1"},
     "put off for hana@osaka.example next=soon odd=1",
     "hana@osaka.example 宛を延期しました next=soon odd=1"},
};

static void traces_of_the_queue_are_told_in_plain_words(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(queue_cases); i++) {
        put_event(queue_cases[i].event, "hana@osaka.example", queue_cases[i].pairs, false);
        assert_out(queue_cases[i].english);
        put_event(queue_cases[i].event, "hana@osaka.example", queue_cases[i].pairs, true);
        assert_out(queue_cases[i].japanese);
    }
}

static void moments_are_told_shortly(void **state)
{
    (void)state;
    text_put_clock(start(), EVENT_MS, EVENT_MS + 3600 * 1000);
    assert_out("10:30");
    text_put_clock(start(), EVENT_MS, EVENT_MS + 24 * 3600 * 1000);
    assert_out("1970-01-02 10:30");
    text_put_span(start(), (3 * 86400 + 4 * 3600 + 59) * 1000LL, true);
    assert_out("3 日 4 時間");
    text_put_safe_line(start(), STR("  one\r\n two\t\n\n\033three \n"));
    assert_out("one two \xef\xbf\xbdthree");
    text_put_safe_line(start(), STR(" \n"));
    assert_out("");
}

static void since_takes_what_people_type(void **state)
{
    (void)state;
    int64_t ms;

    assert_int_equal(trace_text_parse_since(STR("2h"), &ms), 0);
    assert_int_equal(ms, 7200000);
    assert_int_equal(trace_text_parse_since(STR("30m"), &ms), 0);
    assert_int_equal(ms, 1800000);
    assert_int_equal(trace_text_parse_since(STR("5ms"), &ms), 0);
    assert_int_equal(trace_text_parse_since(STR("soon"), &ms), -EINVAL);
    assert_int_equal(trace_text_parse_since(STR("m"), &ms), -EINVAL);
    assert_int_equal(trace_text_parse_since(STR(""), &ms), -EINVAL);
}

static void bodies_are_decoded(void **state)
{
    (void)state;
    decode_transfer(STR("Base64"), STR("GyRCSHQ1\r\nUxsoQg=="), start());
    assert_out("\033$BHt5S\033(B");
    decode_transfer(STR("quoted-printable"), STR("a=3D=\r\nb=zz =\r\n= \r\nc  \r\n=e9="), start());
    assert_out("a=b=zz c\r\n\xe9");
    decode_charset(STR("iso-2022-jp"), STR("\033$BHt5S\033(B!"), start());
    assert_out("飛脚!");
    decode_charset(STR("iso-8859-1"), STR("\xe9"), start());
    assert_out("é");
    decode_charset(STR("utf-8//TRANSLIT"), STR("x"), start());
    assert_out("x");
    decode_charset(STR("iso-2022-jp"), STR("a\xff!"), start());
    assert_out("a\xef\xbf\xbd!");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(strangers_cannot_steer_the_terminal),
        cmocka_unit_test(width_is_counted_in_columns),
        cmocka_unit_test(numbers_have_units),
        cmocka_unit_test(traces_are_told_in_plain_words),
        cmocka_unit_test(traces_of_the_queue_are_told_in_plain_words),
        cmocka_unit_test(moments_are_told_shortly),
        cmocka_unit_test(since_takes_what_people_type),
        cmocka_unit_test(bodies_are_decoded),
    };

    setenv("TZ", "Asia/Tokyo", 1);
    tzset();
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    buf_done(&out);
    return failed;
}
