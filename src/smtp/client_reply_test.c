/* Unit tests of what is read from servers, and of what is written to them: replies, offers,
 * commands. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/utf8.h"
#include "smtp/client_command.h"
#include "smtp/client_ehlo.h"
#include "smtp/client_reply.h"
#include "smtp/params.h"

/* Reads lines that end in \n. The result of the last line, which has to be the first that is not 0.
 */
static int read_all(struct str lines, struct smtp_reply_reader *r)
{
    struct str line;
    int result = 0;

    smtp_reply_begin(r);
    while (result == 0 && lines.len > 0) {
        size_t len = (size_t)(str_find(lines, '\n') + 1);
        line = str_sub(lines, 0, len > 0 ? len : lines.len);
        lines = str_sub(lines, line.len, lines.len);
        result = smtp_reply_take_line(r, line);
    }
    assert_int_equal(lines.len, 0);
    return result;
}

static const struct {
    const char *lines;
    int result;
    unsigned code;
    const char *enhanced, *text;
} REPLIES[] = {
    {"250 ok\r\n", 1, 250, "", "ok"},
    {"250 ok\n", 1, 250, "", "ok"},
    {"250 ok\r\r\n", 1, 250, "", "ok"},
    {"250 ok", 1, 250, "", "ok"},
    {"250\r\n", 1, 250, "", ""},
    {"250 \r\n", 1, 250, "", ""},
    {"250  two  blanks  \r\n", 1, 250, "", "two  blanks"},
    {"250-\r\n250\r\n", 1, 250, "", ""},
    {"250-a\r\n250-\r\n250 b\r\n", 1, 250, "", "a\nb"},
    {"250-234 text\r\n250 x\r\n", 1, 250, "", "234 text\nx"},
    {"250-a\r\n", 0, 250, "", "a"},
    {"200 x\r\n", 1, 200, "", "x"},
    {"599 x\r\n", 1, 599, "", "x"},
    {"579 x\r\n", 1, 579, "", "x"},
    {"250 2.1.5 ok\r\n", 1, 250, "2.1.5", "ok"},
    {"250 2.1.5\r\n", 1, 250, "2.1.5", ""},
    {"550 5.123.999 no\r\n", 1, 550, "5.123.999", "no"},
    {"550-5.1.1 no\r\n550-5.1.1 such\r\n550 5.1.1 user\r\n", 1, 550, "5.1.1", "no\nsuch\nuser"},
    {"550-5.1.1 no\r\n550 5.1.2 user\r\n", 1, 550, "5.1.1", "no\n5.1.2 user"},
    {"550-no\r\n550 5.1.2 user\r\n", 1, 550, "", "no\n5.1.2 user"},
    {"550 4.1.1 not its class\r\n", 1, 550, "", "4.1.1 not its class"},
    {"250 2.1 x\r\n", 1, 250, "", "2.1 x"},
    {"250 2.1.5.6 x\r\n", 1, 250, "", "2.1.5.6 x"},
    {"250 2.1.1234 x\r\n", 1, 250, "", "2.1.1234 x"},
    {"250 2..1 x\r\n", 1, 250, "", "2..1 x"},
    {"250 2.1.5x\r\n", 1, 250, "", "2.1.5x"},
    {"250 22.1.5 x\r\n", 1, 250, "", "22.1.5 x"},
    {"250 a\tb\x01\x7f\x1b[m\r\n", 1, 250, "", "a b???[m"},
    {"250 \xe9\xa3\x9b\xe8\x84\x9a\r\n", 1, 250, "", "\xe9\xa3\x9b\xe8\x84\x9a"},
    {"250 \xe9\xa3 \xff\xc0\x80\r\n", 1, 250, "", "?? ???"},
    {"250 a\xc2\x9b"
     "31m\xc2\xa0\r\n",
     1, 250, "", "a?31m\xc2\xa0"},
    {"250 a\rb\r\n", 1, 250, "", "a?b"},
    {"", 0, 0, "", ""},
    {"\r\n", -EPROTO, 0, "", ""},
    {"hello\r\n", -EPROTO, 0, "", "hello"},
    {"25\r\n", -EPROTO, 0, "", "25"},
    {"2500 x\r\n", -EPROTO, 0, "", "2500 x"},
    {"250x\r\n", -EPROTO, 0, "", "250x"},
    {"250\tx\r\n", -EPROTO, 0, "", "250 x"},
    {" 250 x\r\n", -EPROTO, 0, "", "250 x"},
    {"+50 x\r\n", -EPROTO, 0, "", "+50 x"},
    {"199 x\r\n", -EPROTO, 0, "", "199 x"},
    {"600 x\r\n", -EPROTO, 0, "", "600 x"},
    {"000 x\r\n", -EPROTO, 0, "", "000 x"},
    {"250-a\r\n251 b\r\n", -EPROTO, 250, "", "a\n251 b"},
    {"250-a\r\nb\r\n", -EPROTO, 250, "", "a\nb"},
};

static void replies_are_read(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(REPLIES); i++) {
        struct smtp_reply_reader r;
        assert_int_equal(read_all(str_from_c(REPLIES[i].lines), &r), REPLIES[i].result);
        assert_int_equal(r.code, REPLIES[i].code);
        assert_string_equal(r.enhanced, REPLIES[i].enhanced);
        assert_int_equal(r.text_len, strlen(REPLIES[i].text));
        assert_memory_equal(r.text, REPLIES[i].text, r.text_len);
    }
    struct smtp_reply_reader r;
    assert_int_equal(read_all(STR("250 a\0b\r\n"), &r), 1);
    assert_memory_equal(r.text, "a?b", 3);
}

static void replies_are_bounded(void **state)
{
    struct smtp_reply_reader r;
    static char line[SMTP_CLIENT_LINE_MAX_BYTES] = "250-";

    (void)state;
    for (size_t i = 4; i + 3 <= sizeof(line); i += 3)
        memcpy(&line[i], "\xe9\xa3\x9b", 3);
    smtp_reply_begin(&r);
    for (unsigned i = 0; i < SMTP_CLIENT_LINES_MAX; i++)
        assert_int_equal(smtp_reply_take_line(&r, str_from_mem(line, sizeof(line) - 2)), 0);
    assert_int_equal(smtp_reply_take_line(&r, STR("250 end")), -EMSGSIZE);
    assert_in_range(r.text_len, SMTP_CLIENT_TEXT_MAX_BYTES - 4, SMTP_CLIENT_TEXT_MAX_BYTES);
    assert_true(utf8_is_valid(str_from_mem(r.text, r.text_len)));
}

static void offers_are_read(void **state)
{
    static const struct {
        const char *line;
        struct smtp_ehlo expected;
    } table[] = {
        {"PIPELINING", {.extensions = SMTP_EXT_PIPELINING}},
        {"pipeLining", {.extensions = SMTP_EXT_PIPELINING}},
        {"  PIPELINING  ", {.extensions = SMTP_EXT_PIPELINING}},
        {"PIPELINING with words", {.extensions = SMTP_EXT_PIPELINING}},
        {"PIPELINING2", {.extensions = 0}},
        {"XPIPELINING", {.extensions = 0}},
        {"", {.extensions = 0}},
        {"SIZE", {.extensions = SMTP_EXT_SIZE}},
        {"SIZE 0", {.extensions = SMTP_EXT_SIZE}},
        {"size 52428800", {.extensions = SMTP_EXT_SIZE, .max_size = 52428800}},
        {"SIZE 1000 x", {.extensions = SMTP_EXT_SIZE, .max_size = 1000}},
        {"SIZE=1000", {.extensions = SMTP_EXT_SIZE, .max_size = 1000}},
        {"SIZE lots", {.extensions = SMTP_EXT_SIZE}},
        {"SIZE 99999999999999999999999", {.extensions = SMTP_EXT_SIZE}},
        {"8bitmime", {.extensions = SMTP_EXT_8BITMIME}},
        {"SMTPUTF8", {.extensions = SMTP_EXT_SMTPUTF8}},
        {"DSN", {.extensions = SMTP_EXT_DSN}},
        {"CHUNKING", {.extensions = SMTP_EXT_CHUNKING}},
        {"BINARYMIME", {.extensions = SMTP_EXT_BINARYMIME}},
        {"ENHANCEDSTATUSCODES", {.extensions = SMTP_EXT_ENHANCED}},
        {"STARTTLS", {.extensions = SMTP_EXT_STARTTLS}},
        {"AUTH PLAIN LOGIN", {.extensions = SMTP_EXT_AUTH}},
        {"AUTH=PLAIN", {.extensions = SMTP_EXT_AUTH}},
        {"DELIVERBY", {.extensions = SMTP_EXT_DELIVERBY}},
        {"deliverby 240", {.extensions = SMTP_EXT_DELIVERBY, .min_by_s = 240}},
        {"DELIVERBY 60,more", {.extensions = SMTP_EXT_DELIVERBY, .min_by_s = 60}},
        {"DELIVERBY soon", {.extensions = SMTP_EXT_DELIVERBY}},
        {"MT-PRIORITY MIXER", {.extensions = SMTP_EXT_MT_PRIORITY}},
        {"MT-PRIORITY", {.extensions = SMTP_EXT_MT_PRIORITY}},
        {"REQUIRETLS", {.extensions = SMTP_EXT_REQUIRETLS}},
        {"FUTURERELEASE 60 2026-11-21T09:30:00Z", {.extensions = 0}},
        {"LIMITS RCPTMAX=20 MAILMAX=5", {.max_recipients = 20, .max_messages = 5}},
        {"limits rcptdomainmax=1 rcptmax=7 x y= =z", {.max_recipients = 7}},
        {"LIMITS RCPTMAX=x MAILMAX=99999999999", {.extensions = 0}},
        {"LIMITS", {.extensions = 0}},
        {"X-UNKNOWN a b", {.extensions = 0}},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        struct smtp_ehlo e = {.extensions = 0};
        smtp_ehlo_take_line(&e, str_from_c(table[i].line));
        assert_int_equal(e.extensions, table[i].expected.extensions);
        assert_int_equal(e.max_size, table[i].expected.max_size);
        assert_int_equal(e.max_recipients, table[i].expected.max_recipients);
        assert_int_equal(e.max_messages, table[i].expected.max_messages);
        assert_int_equal(e.min_by_s, table[i].expected.min_by_s);
    }
}

enum { EVERYTHING = 0x7fffffff };

static void mail_carries_what_is_offered(void **state)
{
    static const struct smtp_client_message full = {.sender = {"s@x.jp", 6},
                                                    .size = 1234567890123U,
                                                    .has_8bit = true,
                                                    .is_utf8 = true,
                                                    .ret = SMTP_RET_HDRS,
                                                    .envid = {"QQ314+3D", 8}};
    static const struct smtp_client_message null = {.ret = SMTP_RET_FULL};
    static const struct smtp_client_message urgent = {.by = SMTP_BY_RETURN,
                                                      .by_has_trace = true,
                                                      .by_s = 120,
                                                      .has_priority = true,
                                                      .priority = -9,
                                                      .is_requiretls = true};
    static const struct smtp_client_message late = {
        .by = SMTP_BY_NOTIFY, .by_s = -999999999, .has_priority = true};
    static const struct smtp_client_message evil = {.envid = {"a SIZE=1", 8}};
    static const struct {
        const struct smtp_client_message *message;
        unsigned extensions;
        const char *expected;
    } table[] = {
        {&full, 0, "MAIL FROM:<s@x.jp>\r\n"},
        {&full, SMTP_EXT_SIZE, "MAIL FROM:<s@x.jp> SIZE=1234567890123\r\n"},
        {&full, SMTP_EXT_8BITMIME, "MAIL FROM:<s@x.jp> BODY=8BITMIME\r\n"},
        {&full, SMTP_EXT_SMTPUTF8, "MAIL FROM:<s@x.jp> SMTPUTF8\r\n"},
        {&full, SMTP_EXT_DSN, "MAIL FROM:<s@x.jp> RET=HDRS ENVID=QQ314+3D\r\n"},
        {&full, EVERYTHING,
         "MAIL FROM:<s@x.jp> SIZE=1234567890123 BODY=8BITMIME SMTPUTF8 RET=HDRS "
         "ENVID=QQ314+3D\r\n"},
        {&null, EVERYTHING, "MAIL FROM:<> RET=FULL\r\n"},
        {&evil, EVERYTHING, "MAIL FROM:<>\r\n"},
        {&urgent, 0, "MAIL FROM:<>\r\n"},
        {&urgent, SMTP_EXT_DELIVERBY, "MAIL FROM:<> BY=120;RT\r\n"},
        {&urgent, SMTP_EXT_MT_PRIORITY, "MAIL FROM:<> MT-PRIORITY=-9\r\n"},
        {&urgent, SMTP_EXT_REQUIRETLS, "MAIL FROM:<> REQUIRETLS\r\n"},
        {&late, EVERYTHING, "MAIL FROM:<> BY=-999999999;N MT-PRIORITY=0\r\n"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        struct buf out;
        buf_init(&out, 4096);
        smtp_command_put_mail(table[i].message, table[i].extensions, &out);
        assert_string_equal(buf_c_str(&out), table[i].expected);
        buf_done(&out);
    }
}

static void rcpt_carries_what_is_offered(void **state)
{
    static const struct {
        struct smtp_client_recipient recipient;
        unsigned extensions;
        const char *params;
    } table[] = {
        {{.orcpt = {"rfc822;b@x.jp", 13}, .notify = SMTP_NOTIFY_NEVER}, 0, ""},
        {{.orcpt = {"rfc822;b@x.jp", 13}}, SMTP_EXT_DSN, " ORCPT=rfc822;b@x.jp"},
        {{.notify = SMTP_NOTIFY_NEVER}, SMTP_EXT_DSN, " NOTIFY=NEVER"},
        {{.notify = SMTP_NOTIFY_FAILURE}, SMTP_EXT_DSN, " NOTIFY=FAILURE"},
        {{.notify = SMTP_NOTIFY_FAILURE | SMTP_NOTIFY_SUCCESS | SMTP_NOTIFY_DELAY},
         SMTP_EXT_DSN,
         " NOTIFY=SUCCESS,FAILURE,DELAY"},
        {{.notify = 0x80}, SMTP_EXT_DSN, ""},
        {{.orcpt = {"utf-8;\xe9\xa3\x9b@x.jp", 14}}, SMTP_EXT_DSN, ""},
        {{.orcpt = {"utf-8;\xe9\xa3\x9b@x.jp", 14}},
         SMTP_EXT_DSN | SMTP_EXT_SMTPUTF8,
         " ORCPT=utf-8;\xe9\xa3\x9b@x.jp"},
        {{.orcpt = {"rfc822;a b", 10}}, SMTP_EXT_DSN, ""},
        {{.orcpt = {"rfc822;a\r\nDATA", 14}}, SMTP_EXT_DSN, ""},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        struct smtp_client_recipient recipient = table[i].recipient;
        struct buf out;
        char expected[200];
        recipient.address = STR("\"a b\"@x.jp");
        snprintf(expected, sizeof(expected), "RCPT TO:<\"a b\"@x.jp>%s\r\n", table[i].params);
        buf_init(&out, 4096);
        smtp_command_put_rcpt(&recipient, table[i].extensions, &out);
        assert_string_equal(buf_c_str(&out), expected);
        buf_done(&out);
    }
}

static void addresses_cannot_carry_commands(void **state)
{
    static const struct {
        const char *address;
        bool is_safe;
    } table[] = {
        {"", true},
        {"a@x.jp", true},
        {"a@[192.0.2.1]", true},
        {"a@[IPv6:2001:db8::1]", true},
        {"\xe9\xa3\x9b@\xe8\x84\x9a.jp", true},
        {"\"a b\"@x.jp", true},
        {"\"<a>\"@x.jp", true},
        {"\"a\\\"b>\"@x.jp", true},
        {"\"a\\\\\"@x.jp", true},
        {"a b@x.jp", false},
        {"a> SIZE=1", false},
        {"a@x.jp>", false},
        {"<a@x.jp", false},
        {"a@x.jp\r\nDATA", false},
        {"\"a\nb\"@x.jp", false},
        {"\"a\\\nb\"@x.jp", false},
        {"\"a\\\x7f\"@x.jp", false},
        {"a\x7f@x.jp", false},
        {"a\t@x.jp", false},
        {"\"a@x.jp", false},
        {"\"a\\\"@x.jp", false},
        {"\"a\\", false},
    };
    static char longest[SMTP_CLIENT_ADDRESS_MAX_BYTES + 1];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(table); i++)
        assert_int_equal(smtp_command_is_safe(str_from_c(table[i].address)), table[i].is_safe);
    memset(longest, 'a', sizeof(longest));
    assert_true(smtp_command_is_safe(str_from_mem(longest, sizeof(longest) - 1)));
    assert_false(smtp_command_is_safe(str_from_mem(longest, sizeof(longest))));
    assert_false(smtp_command_is_safe(STR("a\0b@x.jp")));
}

static void bdat_says_its_size(void **state)
{
    struct buf out;

    (void)state;
    buf_init(&out, 4096);
    smtp_command_put_bdat(0, &out);
    smtp_command_put_bdat(UINT64_MAX, &out);
    assert_string_equal(buf_c_str(&out), "BDAT 0 LAST\r\nBDAT 18446744073709551615 LAST\r\n");
    buf_done(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(replies_are_read),
        cmocka_unit_test(replies_are_bounded),
        cmocka_unit_test(offers_are_read),
        cmocka_unit_test(mail_carries_what_is_offered),
        cmocka_unit_test(rcpt_carries_what_is_offered),
        cmocka_unit_test(addresses_cannot_carry_commands),
        cmocka_unit_test(bdat_says_its_size),
    };
    return cmocka_run_group_tests_name("client_reply", tests, NULL, NULL);
}
