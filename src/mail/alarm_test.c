/* Unit tests of the letter to postmaster: as our own scanner sees it, in each language, and with an
 * address that tries to break out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "mail/alarm.h"
#include "mail/dsn_check.h"

static struct alarm_letter letter_of(enum alarm_cause cause, unsigned languages)
{
    return (struct alarm_letter){.cause = cause,
                                 .languages = languages,
                                 .host = STR("mx.example.jp"),
                                 .id = STR("0sa3hmfk80202"),
                                 .account = STR("taro@example.jp"),
                                 .limit = 200,
                                 .count = 31,
                                 .peers = STR("192.0.2.1 (30), 2001:db8::/64 (1)"),
                                 .now_ms = INT64_C(1795500000000)};
}

/* Prints it into *raw and its text into *text, both initialised here; checks what holds for all. */
static void print(const struct alarm_letter *l, struct buf *raw, struct buf *text)
{
    struct mime_scanner *s = mime_scanner_new();

    buf_init(raw, ALARM_MAX_BYTES);
    buf_init(text, ALARM_MAX_BYTES);
    alarm_print(l, raw);
    assert_int_equal(buf_status(raw), 0);
    check_lines(buf_str(raw));
    assert_false(utf8_has_non_ascii(buf_str(raw)));
    struct summary_part *root = check_scan(s, buf_str(raw), 0);
    const struct mime_facts *facts = mime_scanner_facts(s);
    assert_true(facts->has_from && facts->has_date && facts->has_message_id);
    assert_false(facts->has_bad_header_line);
    check_decode(root, buf_str(raw), text);
    assert_true(utf8_is_valid(buf_str(text)));
    check_lines(buf_str(text));
    mime_scanner_free(s);
}

static bool has(const struct buf *b, const char *words)
{
    return memmem(b->ptr, b->len, words, strlen(words)) != NULL;
}

static void each_language_says_what_to_do(void **state)
{
    static const unsigned languages[] = {0, DSN_ENGLISH, DSN_JAPANESE, DSN_ENGLISH | DSN_JAPANESE};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(languages); i++) {
        bool is_japanese = (languages[i] & DSN_JAPANESE) != 0;
        bool is_english = !is_japanese || (languages[i] & DSN_ENGLISH) != 0;
        for (int cause = ALARM_TOO_MANY_RECIPIENTS; cause <= ALARM_GUESSING; cause++) {
            struct alarm_letter l = letter_of((enum alarm_cause)cause, languages[i]);
            struct buf raw, text;
            print(&l, &raw, &text);
            assert_true(has(&raw, "To: <postmaster@mx.example.jp>\r\n"));
            assert_true(has(&raw, "Auto-Submitted: auto-generated\r\n"));
            assert_true(has(&text, "hikyaku account password taro@example.jp\r\n"));
            assert_true(has(&text, "hikyaku trace taro@example.jp\r\n"));
            assert_int_equal(has(&text, "To the postmaster of mx.example.jp"), is_english);
            assert_int_equal(has(&text, "mx.example.jp の管理者の方へ"), is_japanese);
            assert_int_equal(has(&text, "192.0.2.1 (30), 2001:db8::/64 (1)\r\n"),
                             cause == ALARM_GUESSING);
            assert_int_equal(has(&text, "The limit: 200\r\n"),
                             is_english && cause != ALARM_GUESSING);
            assert_int_equal(has(&text, "最近失敗したログイン: 31 回\r\n"),
                             is_japanese && cause == ALARM_GUESSING);
            assert_int_equal(has(&text, "whom it has written before"),
                             is_english && cause == ALARM_TOO_MANY_NEW_RECIPIENTS);
            assert_int_equal(has(&text, "送ったことのある宛先へは"),
                             is_japanese && cause == ALARM_TOO_MANY_NEW_RECIPIENTS);
            assert_false(has(&text, "%s"));
            buf_done(&raw);
            buf_done(&text);
        }
    }
}

static void an_address_stays_in_its_line(void **state)
{
    static const char hostile[] = "ta\r\nBcc: x@example.com\r\n\r\n%s\x01\xff@example.jp";
    struct alarm_letter l = letter_of(ALARM_GUESSING, DSN_ENGLISH);
    struct buf raw, text;

    (void)state;
    l.account = str_from_c(hostile);
    print(&l, &raw, &text);
    assert_false(has(&raw, "\r\nBcc:"));
    assert_false(has(&text, "\r\nBcc:"));
    buf_done(&raw);
    buf_done(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_language_says_what_to_do),
        cmocka_unit_test(an_address_stays_in_its_line),
    };

    return cmocka_run_group_tests_name("alarm", tests, NULL, NULL);
}
