/* Unit tests of outgoing text: known answers, cut in every way, and the time of hostile texts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "smtp/client_text.h"

enum { OUT_MAX_BYTES = 1024 * 1024, PIECES_MAX = 3 };

static const struct {
    const char *text, *dotted, *chunked;
} TABLE[] = {
    {"", "", ""},
    {"a", "a\r\n", "a\r\n"},
    {"a\r\n", "a\r\n", "a\r\n"},
    {"a\r\nb\r\n", "a\r\nb\r\n", "a\r\nb\r\n"},
    {"a\nb\n", "a\r\nb\r\n", "a\r\nb\r\n"},
    {"a\rb\r", "a\r\nb\r\n", "a\r\nb\r\n"},
    {"a\r\r\nb", "a\r\n\r\nb\r\n", "a\r\n\r\nb\r\n"},
    {"a\n\rb", "a\r\n\r\nb\r\n", "a\r\n\r\nb\r\n"},
    {"\r", "\r\n", "\r\n"},
    {"\n", "\r\n", "\r\n"},
    {"\r\n", "\r\n", "\r\n"},
    {"\r\n\r\n", "\r\n\r\n", "\r\n\r\n"},
    {".", "..\r\n", ".\r\n"},
    {".\r\n", "..\r\n", ".\r\n"},
    {"..\r\n", "...\r\n", "..\r\n"},
    {"a.b\r\n", "a.b\r\n", "a.b\r\n"},
    {"a.\r\n.b\r\n.\r\n", "a.\r\n..b\r\n..\r\n", "a.\r\n.b\r\n.\r\n"},
    {"a\r\n.\r\nb\r\n", "a\r\n..\r\nb\r\n", "a\r\n.\r\nb\r\n"},
    /* What would end the text at a careless peer. */
    {"a\n.\nb\n", "a\r\n..\r\nb\r\n", "a\r\n.\r\nb\r\n"},
    {"a\r.\rb\r", "a\r\n..\r\nb\r\n", "a\r\n.\r\nb\r\n"},
    {"a\n.\r\nb", "a\r\n..\r\nb\r\n", "a\r\n.\r\nb\r\n"},
    {"a\r\n.\nb", "a\r\n..\r\nb\r\n", "a\r\n.\r\nb\r\n"},
    {"a\r\n.\rb", "a\r\n..\r\nb\r\n", "a\r\n.\r\nb\r\n"},
    {".\n.\r.\r\n", "..\r\n..\r\n..\r\n", ".\r\n.\r\n.\r\n"},
    {"\xe9\x80\x9f\r\n.\xff", "\xe9\x80\x9f\r\n..\xff\r\n", "\xe9\x80\x9f\r\n.\xff\r\n"},
};

static void check_cut(struct str text, const size_t cuts[PIECES_MAX + 1], bool is_dotted,
                      const char *expected)
{
    struct smtp_client_text t;
    struct buf out;

    buf_init(&out, OUT_MAX_BYTES);
    smtp_client_text_init(&t, is_dotted);
    for (size_t i = 0; i < PIECES_MAX; i++)
        smtp_client_text_feed(&t, str_sub(text, cuts[i], cuts[i + 1] - cuts[i]), &out);
    smtp_client_text_finish(&t, &out);
    assert_string_equal(buf_c_str(&out), expected);
    assert_int_equal(t.bytes, out.len);
    assert_int_equal(smtp_client_text_count(is_dotted, text), out.len);
    buf_done(&out);
}

static void texts_are_repaired_however_they_are_cut(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(TABLE); i++) {
        struct str text = str_from_c(TABLE[i].text);
        for (size_t a = 0; a <= text.len; a++) {
            for (size_t b = a; b <= text.len; b++) {
                const size_t cuts[] = {0, a, b, text.len};
                check_cut(text, cuts, true, TABLE[i].dotted);
                check_cut(text, cuts, false, TABLE[i].chunked);
            }
        }
    }
}

/* Lines around the size of the window that is searched. */
static void line_ends_are_found_at_any_distance(void **state)
{
    static const char *const ends[] = {"\r\n", "\n", "\r"};
    static char line[1024], expected[1024];

    (void)state;
    for (size_t len = 0; len < 800; len++) {
        memset(line, 'x', len);
        memset(expected, 'x', len);
        memcpy(&expected[len], "\r\n..\r\n", sizeof("\r\n..\r\n"));
        for (size_t e = 0; e < ARRAY_LEN(ends); e++) {
            size_t end = len + strlen(ends[e]);
            const size_t cuts[] = {0, len, len, end + 1};
            memcpy(&line[len], ends[e], end - len);
            memcpy(&line[end], ".", 2);
            check_cut(str_from_c(line), cuts, true, expected);
        }
    }
}

static void long_lines_pass_as_they_are(void **state)
{
    enum { LINE_BYTES = 100000 };
    char *line = xmalloc(LINE_BYTES + 3);
    const size_t cuts[] = {0, 32768, 65536, LINE_BYTES + 2};

    (void)state;
    memset(line, 'x', LINE_BYTES);
    memcpy(&line[LINE_BYTES], "\r\n", 3);
    check_cut(str_from_c(line), cuts, true, line);
    free(line);
}

static void hostile_texts_cost_no_square(void **state)
{
    enum { TEXT_BYTES = 8 * 1024 * 1024 };
    static const char bytes[] = {'\r', '\n', '.', 'x'};
    char *text = xmalloc(TEXT_BYTES);

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bytes); i++) {
        int64_t start_us = clock_mono_us();
        memset(text, bytes[i], TEXT_BYTES);
        assert_true(smtp_client_text_count(true, str_from_mem(text, TEXT_BYTES)) >= TEXT_BYTES);
        /* A square would take hours; a loaded machine with sanitizers may take a second or so. */
        assert_true(clock_mono_us() - start_us < 30 * 1000 * 1000);
    }
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_are_repaired_however_they_are_cut),
        cmocka_unit_test(line_ends_are_found_at_any_distance),
        cmocka_unit_test(long_lines_pass_as_they_are),
        cmocka_unit_test(hostile_texts_cost_no_square),
    };
    return cmocka_run_group_tests_name("client_text", tests, NULL, NULL);
}
