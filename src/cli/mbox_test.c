/* Unit tests of mbox, Maildir names and line ends: each named as the sentence it proves. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "cli/lines.h"
#include "cli/maildir.h"
#include "cli/mbox.h"
#include "store/wire.h"

enum { TEXT_MAX_BYTES = 1 << 22, MESSAGES_MAX = 8 };

static struct {
    struct buf text[MESSAGES_MAX];
    struct mbox_facts facts[MESSAGES_MAX];
    char keywords[MESSAGES_MAX][64];
    size_t begun, ended;
} seen;

static int on_begin(void *arg)
{
    (void)arg;
    buf_init(&seen.text[seen.begun++], TEXT_MAX_BYTES);
    return 0;
}

static int on_data(void *arg, struct str piece)
{
    (void)arg;
    buf_put_str(&seen.text[seen.begun - 1], piece);
    return 0;
}

static int on_end(void *arg, const struct mbox_facts *facts)
{
    (void)arg;
    assert_true(str_copy(facts->keywords, seen.keywords[seen.ended], sizeof(seen.keywords[0])));
    seen.facts[seen.ended++] = *facts;
    return 0;
}

static int forget(void **state)
{
    (void)state;
    for (size_t i = 0; i < seen.begun; i++)
        buf_done(&seen.text[i]);
    seen.begun = seen.ended = 0;
    return 0;
}

/* Reads in pieces of every size up to that of the text; all must agree. */
static int read_as(struct str text, size_t piece_bytes)
{
    struct mbox_events events = {.begin = on_begin, .data = on_data, .end = on_end};
    struct mbox_reader *reader = mbox_reader_new(&events);
    int r = 0;

    (void)forget(NULL);
    while (r == 0 && text.len > 0) {
        r = mbox_reader_feed(reader, str_sub(text, 0, piece_bytes));
        text = str_sub(text, piece_bytes, text.len);
    }
    if (r == 0)
        r = mbox_reader_finish(reader);
    mbox_reader_free(reader);
    return r;
}

static void assert_message(size_t i, const char *text)
{
    assert_true(i < seen.ended);
    assert_string_equal(buf_c_str(&seen.text[i]), text);
}

static const char two[] = "From a@b.example Thu Jan  1 00:00:10 1970\n"
                          "Subject: one\n"
                          "\n"
                          "body\n"
                          ">From here\n"
                          ">>From there\n"
                          "> From\n"
                          "\n"
                          "From c@d.example Fri Jan  2 00:00:00 1970\n"
                          "Status: RO\n"
                          "X-Status: AF\n"
                          "X-Keywords: $Forwarded, work\n"
                          "Subject: two\n"
                          "\n"
                          "\n"
                          "end\n"
                          "\n";

static void messages_are_parted_at_from_lines(void **state)
{
    (void)state;
    for (size_t bytes = 1; bytes < sizeof(two); bytes++) {
        assert_int_equal(read_as(STR(two), bytes), 0);
        assert_int_equal(seen.ended, 2);
        assert_message(0, "Subject: one\r\n\r\nbody\r\nFrom here\r\n>From there\r\n> From\r\n");
        assert_message(1, "Subject: two\r\n\r\n\r\nend\r\n");
        assert_int_equal(seen.facts[0].received_ms, 10000);
        assert_int_equal(seen.facts[0].flags, 0);
        assert_int_equal(seen.facts[1].received_ms, 86400000);
        assert_int_equal(seen.facts[1].flags, MESSAGE_SEEN | MESSAGE_ANSWERED | MESSAGE_FLAGGED);
        assert_string_equal(seen.keywords[1], "$Forwarded work");
    }
}

static void from_in_a_text_is_no_message(void **state)
{
    (void)state;
    assert_int_equal(read_as(STR("From a Thu Jan  1 00:00:10 1970\n\nx\nFrom b Thu Jan  1 00:00:10 "
                                 "1970\n\nFrom here on\n"),
                             7),
                     0);
    assert_int_equal(seen.ended, 1);
    assert_message(0, "\r\nx\r\nFrom b Thu Jan  1 00:00:10 1970\r\n\r\nFrom here on\r\n");
    assert_int_equal(read_as(STR("Subject: x\n\n"), 100), -EBADMSG);
    assert_int_equal(read_as(STR(""), 100), 0);
    assert_int_equal(read_as(STR("\n\n"), 100), 0);
    assert_int_equal(seen.ended, 0);
}

static void lines_may_be_longer_than_memory(void **state)
{
    (void)state;
    struct buf text;

    buf_init(&text, TEXT_MAX_BYTES);
    buf_put_c(&text, "From a Thu Jan  1 00:00:10 1970\r\n\r\n");
    for (int i = 0; i < 300000; i++)
        buf_put_char(&text, 'x');
    buf_put_c(&text, "\r\nend\r\n");
    assert_int_equal(read_as(buf_str(&text), 10000), 0);
    assert_int_equal(seen.text[0].len, 2 + 300000 + 2 + 5);
    buf_done(&text);
}

static void put_message(struct buf *out, const char *sender, const struct mbox_facts *facts,
                        const char *text, size_t piece_bytes)
{
    struct str rest = str_from_c(text);
    struct mbox_writer w;

    mbox_writer_begin(&w, str_from_c(sender), facts, out);
    while (rest.len > 0) {
        mbox_writer_put(&w, str_sub(rest, 0, piece_bytes), out);
        rest = str_sub(rest, piece_bytes, rest.len);
    }
    mbox_writer_end(&w, out);
}

static void what_is_written_is_quoted_and_comes_back(void **state)
{
    (void)state;
    struct mbox_facts facts = {
        .received_ms = 10000, .flags = MESSAGE_SEEN | MESSAGE_DRAFT, .keywords = STR("work")};
    struct mbox_facts plain = {.received_ms = 10000};
    const char *text = "From: x\r\n\r\nFrom me\r\n>From me\r\n>>Fro\r\nFrom\r\n>";
    struct buf out;

    buf_init(&out, TEXT_MAX_BYTES);
    for (size_t bytes = 1; bytes < 60; bytes++) {
        buf_reset(&out);
        put_message(&out, "a@b.example", &facts, text, bytes);
        put_message(&out, "", &plain, "A: b\r\n\r\n", bytes);
        assert_string_equal(buf_c_str(&out),
                            "From a@b.example Thu Jan  1 00:00:10 1970\n"
                            "Status: R\nX-Status: T\nX-Keywords: work\n"
                            "From: x\n\n>From me\n>>From me\n>>Fro\nFrom\n>\n\n"
                            "From MAILER-DAEMON Thu Jan  1 00:00:10 1970\nA: b\n\n\n");
        assert_int_equal(read_as(buf_str(&out), bytes), 0);
        assert_int_equal(seen.ended, 2);
        assert_message(0, "From: x\r\n\r\nFrom me\r\n>From me\r\n>>Fro\r\nFrom\r\n>\r\n");
        assert_message(1, "A: b\r\n\r\n");
        assert_int_equal(seen.facts[0].flags, facts.flags);
    }
    buf_done(&out);
}

static void line_ends_are_changed_whole(void **state)
{
    (void)state;
    const struct str text = STR("a\r\nb\r\r\nc\rd\n\r\n\r");
    struct buf lf, crlf;

    for (size_t bytes = 1; bytes <= text.len; bytes++) {
        struct lines to_lf = {0}, to_crlf = {0};
        buf_init(&lf, 100);
        buf_init(&crlf, 100);
        for (size_t at = 0; at < text.len; at += bytes) {
            lines_put_lf(&to_lf, str_sub(text, at, bytes), &lf);
            lines_put_crlf(&to_crlf, str_sub(text, at, bytes), &crlf);
        }
        lines_end_lf(&to_lf, &lf);
        assert_string_equal(buf_c_str(&lf), "a\nb\r\nc\rd\n\n\r");
        assert_string_equal(buf_c_str(&crlf), "a\r\nb\r\r\nc\rd\r\n\r\n\r");
        buf_done(&lf);
        buf_done(&crlf);
    }
}

static void maildir_names_carry_flags(void **state)
{
    (void)state;
    struct buf out;

    buf_init(&out, 100);
    maildir_put_flags(&out, MESSAGE_SEEN | MESSAGE_FLAGGED, true);
    assert_string_equal(buf_c_str(&out), ":2,FPS");
    buf_done(&out);
    assert_int_equal(maildir_parse_flags(STR("1.2.host,S=10:2,DRST")),
                     MESSAGE_DRAFT | MESSAGE_ANSWERED | MESSAGE_SEEN | MESSAGE_DELETED);
    assert_int_equal(maildir_parse_flags(STR("1.2.host:2,")), 0);
    assert_int_equal(maildir_parse_flags(STR("1.2,S")), 0);
    assert_true(maildir_is_forwarded(STR("x:2,PS")));
    assert_false(maildir_is_forwarded(STR("xP:2,S")));
}

static void maildir_folders_keep_any_name(void **state)
{
    (void)state;
    static const struct {
        const char *mailbox, *folder;
    } cases[] = {
        {"Archive/2026", ".Archive.2026"}, {"v1.0", ".v1\\2e0"},
        {"../x", ".\\2e\\2e.x"},           {"a\\b", ".a\\5cb"},
        {"送信済み", ".送信済み"},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct buf folder, back;
        buf_init(&folder, 200);
        buf_init(&back, 200);
        maildir_put_folder(&folder, str_from_c(cases[i].mailbox));
        assert_string_equal(buf_c_str(&folder), cases[i].folder);
        assert_true(maildir_parse_folder(buf_str(&folder), &back));
        assert_string_equal(buf_c_str(&back), cases[i].mailbox);
        buf_done(&folder);
        buf_done(&back);
    }
    struct buf out;
    buf_init(&out, 200);
    assert_false(maildir_parse_folder(STR("."), &out));
    assert_false(maildir_parse_folder(STR(".."), &out));
    assert_false(maildir_parse_folder(STR("cur"), &out));
    assert_true(maildir_parse_folder(STR(".a\\zz"), &out));
    assert_string_equal(buf_c_str(&out), "a\\zz");
    buf_done(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(messages_are_parted_at_from_lines, forget),
        cmocka_unit_test_teardown(from_in_a_text_is_no_message, forget),
        cmocka_unit_test_teardown(lines_may_be_longer_than_memory, forget),
        cmocka_unit_test_teardown(what_is_written_is_quoted_and_comes_back, forget),
        cmocka_unit_test(line_ends_are_changed_whole),
        cmocka_unit_test(maildir_names_carry_flags),
        cmocka_unit_test(maildir_folders_keep_any_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
