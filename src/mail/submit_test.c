/* Unit tests of mail from programs on this machine: the file it comes in, and the mended header. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "mail/submit.h"
#include "mail/submit_file.h"

enum { TEST_BYTES = 16 * 1024 * 1024 };

#define RECEIVED "Received: by mx.example.jp (Hikyaku, from userid 1000 (taro))\r\n\tid 0abc; D\r\n"
#define FROM     "From: Taro <taro@example.jp>\r\n"
#define TO       "To: a@b.example\r\n"
#define DATE     "Date: D\r\n"
#define ID       "Message-ID: <0abc@mx.example.jp>\r\n"

static const struct submit_author taro = {
    .own = {"taro@example.jp", 15},
    .full_name = {"Taro", 4},
    .sender = {"taro@example.jp", 15},
    .default_domain = {"example.jp", 10},
    .hostname = {"mx.example.jp", 13},
    .login = {"taro", 4},
    .uid = 1000,
    .id = "0abc",
    .date = "D",
    .may_use_from = true,
    .may_use_resent_from = true,
};

static void expect_mended(const struct submit_author *author, const char *message,
                          const char *expected)
{
    struct submit_header header;
    struct arena arena;
    struct buf out;

    arena_init(&arena, SUBMIT_ARENA_BYTES);
    buf_init(&out, TEST_BYTES);
    submit_header_read(str_from_c(message), STR("example.jp"), &arena, &header);
    submit_header_mend(&header, author, &out);
    buf_put_str(&out, header.body);
    if (strcmp(buf_c_str(&out), expected) != 0)
        print_message("of <%s>\n", message);
    assert_string_equal(buf_c_str(&out), expected);
    buf_done(&out);
    arena_done(&arena);
}

static void what_is_missing_is_added(void **state)
{
    (void)state;
    static const struct {
        const char *message, *mended;
    } cases[] = {
        {"", RECEIVED FROM "To: undisclosed-recipients:;\r\n" DATE ID "\r\n"},
        {"\nbody", RECEIVED FROM "To: undisclosed-recipients:;\r\n" DATE ID "\r\nbody"},
        {"only a body\n",
         RECEIVED FROM "To: undisclosed-recipients:;\r\n" DATE ID "\r\nonly a body\n"},
        {"To: a@b.example\nno field\n", RECEIVED TO FROM DATE ID "\r\nno field\n"},
        {"Subject: x\nTo: a@b.example\n\nb", RECEIVED "Subject: x\r\n" TO FROM DATE ID "\r\nb"},
        {"Subject: x\r\n y\r\nCc: a@b.example\r\n\r\nb",
         RECEIVED "Subject: x\r\n y\r\nCc: a@b.example\r\n" FROM DATE ID "\r\nb"},
        {"From taro Mon Nov 23\nTo: a@b.example\n\nb", RECEIVED TO FROM DATE ID "\r\nb"},
        {"Date: then\nMessage-Id: <m@x>\nTo: a@b.example\nFrom: taro@example.jp\n\n",
         RECEIVED "Date: then\r\nMessage-Id: <m@x>\r\n" TO "From: taro@example.jp\r\n\r\n"},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        expect_mended(&taro, cases[i].message, cases[i].mended);
}

#define REST DATE ID "\r\n"

static void what_must_not_stay_goes(void **state)
{
    (void)state;
    static const struct {
        const char *message, *mended;
    } cases[] = {
        {"From: taro@example.jp\nTo: a@b.example\nBcc: secret@b.example,\n\tmore@b.example\n\n",
         RECEIVED "From: taro@example.jp\r\n" TO REST},
        {"bCC : x@y\nFrom: taro@example.jp\nTo: a@b.example\n\n",
         RECEIVED "From: taro@example.jp\r\n" TO REST},
        {"Sender: boss@example.jp\nFrom: taro@example.jp\nTo: a@b.example\n\n",
         RECEIVED "From: taro@example.jp\r\n" TO REST},
        {"Return-Path: <x@y>\nContent-Length: 7\nX-Original-From: boss\nTo: a@b.example\n\n",
         RECEIVED TO FROM REST},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        expect_mended(&taro, cases[i].message, cases[i].mended);
}

static void from_is_written_as_it_was_understood(void **state)
{
    (void)state;
    static const struct {
        const char *from, *mended;
    } cases[] = {
        {"root (Cron Daemon)",
         "From: Cron Daemon <root@example.jp>\r\nSender: taro@example.jp\r\n"},
        {"taro", "From: taro@example.jp\r\n"},
        /* What other readers might take for the address is gone. */
        {"taro@example.jp <boss@example.jp", "From: taro@example.jp\r\n"},
        {"\"飛脚\" <taro@example.jp>", "From: =?UTF-8?B?6aOb6ISa?= <taro@example.jp>\r\n"},
        {"=?utf-8?B?5aSq6YOO?= <taro@EXAMPLE.jp>",
         "From: =?utf-8?B?5aSq6YOO?= <taro@example.jp>\r\n"},
        {"\"Q. \\\"T\\\" Public\" <taro@example.jp>",
         "From: \"Q. \\\"T\\\" Public\" <taro@example.jp>\r\n"},
        {"other@else.example", "From: other@else.example\r\nSender: taro@example.jp\r\n"},
        {"taro@example.jp, b@c.example",
         "From: taro@example.jp,\r\n\tb@c.example\r\nSender: taro@example.jp\r\n"},
        /* Not understood as a whole: nobody knows what others would see. */
        {"boss <taro@example.jp <boss@example.jp>",
         "From: Taro <taro@example.jp>\r\n"
         "X-Original-From: boss <taro@example.jp <boss@example.jp>\r\n"},
        {"us: taro@example.jp;",
         "From: taro@example.jp\r\nX-Original-From: us: taro@example.jp;\r\n"},
        {"", "From: Taro <taro@example.jp>\r\nX-Original-From: \r\n"},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP(cleanup_free)
        char *message = xasprintf("To: a@b.example\nFrom: %s\n\n", cases[i].from);
        CLEANUP(cleanup_free)
        char *expected = xasprintf("%s%s%s%s", RECEIVED, TO, cases[i].mended, REST);
        expect_mended(&taro, message, expected);
    }
}

static void an_author_who_may_not_be_used_is_replaced(void **state)
{
    (void)state;
    struct submit_author forger = taro;

    forger.may_use_from = forger.may_use_resent_from = false;
    expect_mended(&forger, "From: The Boss <boss@example.jp>\nTo: a@b.example\n\n",
                  RECEIVED "From: The Boss <taro@example.jp>\r\n"
                           "X-Original-From: The Boss <boss@example.jp>\r\n" TO REST);
    expect_mended(&forger, "From:\n boss@example.jp\nTo: a@b.example\n\n",
                  RECEIVED
                  "From: taro@example.jp\r\nX-Original-From:\r\n boss@example.jp\r\n" TO REST);
    /* Two fields: the second could be the one that is shown. */
    expect_mended(&taro, "From: taro@example.jp\nFrom: boss@example.jp\nTo: a@b.example\n\n",
                  RECEIVED "From: taro@example.jp\r\nX-Original-From: taro@example.jp\r\n"
                           "X-Original-From: boss@example.jp\r\n" TO REST);
    expect_mended(&forger, "Resent-From: boss@example.jp\nTo: a@b.example\n\n",
                  RECEIVED "Resent-Date: D\r\nResent-Message-ID: <0abc.r@mx.example.jp>\r\n"
                           "Resent-From: taro@example.jp\r\n" TO FROM REST);
}

static void who_passes_on_adds_a_set_of_fields(void **state)
{
    (void)state;
    expect_mended(&taro, "Resent-To: c@d.example\nFrom: x@y.example\nTo: a@b.example\n\n",
                  RECEIVED "Resent-From: Taro <taro@example.jp>\r\nResent-Date: D\r\n"
                           "Resent-Message-ID: <0abc.r@mx.example.jp>\r\n"
                           "Resent-To: c@d.example\r\nFrom: x@y.example\r\n" TO
                           "Sender: taro@example.jp\r\n" REST);
}

static void names_without_a_domain_get_one(void **state)
{
    (void)state;
    expect_mended(&taro, "To: root, The Boss <boss>, x@y.example\nCc: us: root;\n\n",
                  RECEIVED "To: root@example.jp,\r\n\tThe Boss <boss@example.jp>,\r\n\t"
                           "x@y.example\r\nCc: us: root;\r\n" FROM REST);
}

static bool note(void *arg, struct str address, bool is_good)
{
    buf_printf(arg, "%s%.*s;", is_good ? "" : "!", STR_ARG(address));
    return true;
}

static void recipients_come_from_the_header(void **state)
{
    (void)state;
    static const struct {
        const char *message, *list;
    } cases[] = {
        {"To: a@b, root\nCc: \"C\" <c@d>\nBcc: e@f\n\nTo: g@h\n", "a@b;root;c@d;e@f;"},
        {"To: us: a@b, c@d;, e@f\n\n", "a@b;c@d;e@f;"},
        {"To: a@b\nResent-To: r@s\nResent-Bcc: t@u\n\n", "r@s;t@u;"},
        {"To: \"a b\"@c\n\n", "\"a b\"@c;"},
        {"To: undisclosed-recipients:;\n\n", ""},
        {"Subject: none\n\n", ""},
        {"To: <a@b\n\n", "!<a@b;"},
        {"To: a@@b\n\n", "!a@@b;"},
        {"To: a@b..c\n\n", "!a@b..c;"},
        {"To: a@\n\n", "!a@;"},
        {"To: @b\n\n", "!@b;"},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct submit_header header;
        struct arena arena;
        struct buf out;
        arena_init(&arena, SUBMIT_ARENA_BYTES);
        buf_init(&out, TEST_BYTES);
        submit_header_read(str_from_c(cases[i].message), STR("example.jp"), &arena, &header);
        submit_list_recipients(&header, note, &out);
        assert_string_equal(buf_c_str(&out), cases[i].list);
        buf_done(&out);
        arena_done(&arena);
    }
}

/* --- the file --- */

static void an_envelope_is_read_as_it_was_written(void **state)
{
    (void)state;
    struct submit_recipient to[] = {
        {.address = STR("a@b.example")},
        {.address = STR("\"a b\"@c"), .orcpt = STR("rfc822;x+20y"), .notify = 6},
    };
    struct submit_envelope e = {.has_sender = true,
                                .sender = STR(""),
                                .full_name = STR("飛脚 太郎"),
                                .envid = STR("e"),
                                .ret = STR("hdrs"),
                                .hold_until = STR("2026-11-21T09:30:00Z"),
                                .by = STR("3600;R"),
                                .priority = STR("-3"),
                                .recipients = to,
                                .recipient_count = 2},
                           again;
    struct arena arena;
    struct buf out;
    size_t bytes;

    arena_init(&arena, TEST_BYTES);
    buf_init(&out, TEST_BYTES);
    submit_file_put(&out, &e);
    size_t len = out.len;
    buf_put_c(&out, "\nthe message\n");
    assert_int_equal(submit_file_parse(buf_str(&out), &arena, &again, &bytes), 0);
    assert_int_equal(bytes, len);
    assert_true(again.has_sender && again.sender.len == 0);
    assert_true(str_eq(again.full_name, e.full_name) && str_eq(again.envid, e.envid));
    assert_true(str_eq(again.ret, e.ret) && str_eq(again.hold_until, e.hold_until));
    assert_true(str_eq(again.by, e.by) && str_eq(again.priority, e.priority));
    assert_int_equal(again.recipient_count, 2);
    assert_true(str_eq(again.recipients[1].address, to[1].address));
    assert_true(str_eq(again.recipients[1].orcpt, to[1].orcpt));
    assert_int_equal(again.recipients[1].notify, 6);
    assert_int_equal(again.recipients[0].orcpt.len, 0);
    buf_done(&out);
    arena_done(&arena);
}

static void other_files_are_refused(void **state)
{
    (void)state;
    static const char *const files[] = {
        "",
        "hikyaku-mail 1",
        "hikyaku-mail 1\n",
        "hikyaku-mail 1\n\n",
        "hikyaku-mail 2\nto 0 - a@b\n\n",
        "From: a@b\n\nx",
        "hikyaku-mail 1\nto 0 - a@b\n",
        "hikyaku-mail 1\nto 16 - a@b\n\n",
        "hikyaku-mail 1\nto 0 a@b\n\n",
        "hikyaku-mail 1\nto 0 - \n\n",
        "hikyaku-mail 1\nto 0  a@b\n\n",
        "hikyaku-mail 1\nto 0 - a\tb\n\n",
        "hikyaku-mail 1\nto 0 - \xff@b\n\n",
        "hikyaku-mail 1\nfrom a\nfrom b\nto 0 - a@b\n\n",
        "hikyaku-mail 1\nwhat else\nto 0 - a@b\n\n",
        "hikyaku-mail 1\nname\nto 0 - a@b\n\n",
        "hikyaku-mail 1\nby 1;R MT-PRIORITY=9\nto 0 - a@b\n\n",
        "hikyaku-mail 1\npriority 1\npriority 2\nto 0 - a@b\n\n",
        "hikyaku-mail 1\r\nto 0 - a@b\r\n\r\n",
    };
    struct submit_envelope e;
    struct arena arena;
    size_t bytes;

    arena_init(&arena, TEST_BYTES);
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        if (submit_file_parse(str_from_c(files[i]), &arena, &e, &bytes) != -EBADMSG)
            fail_msg("taken: <%s>", files[i]);
    }
    arena_done(&arena);
}

static void recipients_are_bounded(void **state)
{
    (void)state;
    struct submit_envelope e;
    struct arena arena;
    struct buf out;
    size_t bytes;

    arena_init(&arena, TEST_BYTES);
    buf_init(&out, TEST_BYTES);
    buf_put_c(&out, "hikyaku-mail 1\n");
    for (int i = 0; i < SUBMIT_RECIPIENTS_MAX; i++)
        buf_put_c(&out, "to 0 - a@b\n");
    size_t len = out.len;
    buf_put_c(&out, "\n");
    assert_int_equal(submit_file_parse(buf_str(&out), &arena, &e, &bytes), 0);
    assert_int_equal(e.recipient_count, SUBMIT_RECIPIENTS_MAX);
    out.len = len;
    buf_put_c(&out, "to 0 - a@b\n\n");
    assert_int_equal(submit_file_parse(buf_str(&out), &arena, &e, &bytes), -EBADMSG);
    buf_done(&out);
    arena_done(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_missing_is_added),
        cmocka_unit_test(what_must_not_stay_goes),
        cmocka_unit_test(from_is_written_as_it_was_understood),
        cmocka_unit_test(an_author_who_may_not_be_used_is_replaced),
        cmocka_unit_test(who_passes_on_adds_a_set_of_fields),
        cmocka_unit_test(names_without_a_domain_get_one),
        cmocka_unit_test(recipients_come_from_the_header),
        cmocka_unit_test(an_envelope_is_read_as_it_was_written),
        cmocka_unit_test(other_files_are_refused),
        cmocka_unit_test(recipients_are_bounded),
    };
    return cmocka_run_group_tests_name("submit", tests, NULL, NULL);
}
