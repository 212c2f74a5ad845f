/* lines.h against a plain loop that follows its words, byte by byte. */
#include "base/lines.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"

/* What the part may at most be: the whole lines before the first thing that is wrong. */
static size_t longest(struct str s, bool stops_at_dots)
{
    size_t line = 0;

    for (size_t i = 0; i < s.len; i++) {
        char before = i > 0 ? s.ptr[i - 1] : '\0';
        bool is_bare_cr = s.ptr[i] == '\r' && (i + 1 == s.len || s.ptr[i + 1] != '\n');
        bool is_bare_lf = s.ptr[i] == '\n' && before != '\r';
        bool is_dot = stops_at_dots && s.ptr[i] == '.' && i == line;
        if (is_bare_cr || is_bare_lf || is_dot || s.ptr[i] == '\0')
            return line;
        if (s.ptr[i] == '\n')
            line = i + 1;
    }
    return line;
}

static void check(struct str s, bool stops_at_dots, bool must_find)
{
    bool has_8bit = false, really = false;
    size_t most = longest(s, stops_at_dots);

    size_t len = lines_clean_prefix(s, stops_at_dots, &has_8bit);
    assert_true(len <= most);
    assert_true(len == 0 || s.ptr[len - 1] == '\n');
    for (size_t i = 0; i < len; i++)
        really |= (unsigned char)s.ptr[i] >= 0x80;
    assert_int_equal(has_8bit, really);
    if (must_find)
        assert_true(most - len < 2 * LINES_BLOCK_BYTES + 100);
}

static void put_lines(struct buf *b, size_t bytes)
{
    for (size_t i = 0; b->len < bytes; i++)
        buf_printf(b, "line %zu of a letter, as long as lines usually are.%s\r\n", i,
                   i % 7 == 0 ? "" : " .dot inside");
}

static void test_clean_text_is_found(void **state)
{
    struct buf b;

    (void)state;
    buf_init(&b, 100000);
    put_lines(&b, 70000);
    check(buf_str(&b), true, true);
    check(buf_str(&b), false, true);
    bool has_8bit = false;
    assert_true(lines_clean_prefix(buf_str(&b), true, &has_8bit) > 69000);
    assert_false(has_8bit);
    buf_done(&b);
}

/* Each kind of wrong byte at each place of some blocks, and every alignment of the text. */
static void test_nothing_wrong_slips_through(void **state)
{
    static const char *const bad[] = {"\r",     "\n",    "\0",        "\n\r",
                                      "\r\r\n", "\r\n.", "\r\n.\r\n", "\r\n\n"};
    static const size_t bad_bytes[] = {1, 1, 1, 2, 3, 3, 5, 3};
    struct buf b;

    (void)state;
    buf_init(&b, 10000);
    for (size_t kind = 0; kind < ARRAY_LEN(bad); kind++) {
        for (size_t place = 0; place < 3 * LINES_BLOCK_BYTES; place++) {
            buf_reset(&b);
            put_lines(&b, 4 * LINES_BLOCK_BYTES);
            memcpy(b.ptr + place, bad[kind], bad_bytes[kind]);
            struct str text = str_sub(buf_str(&b), place % 40, b.len);
            check(text, true, true);
            check(text, false, true);
        }
    }
    buf_done(&b);
}

static void test_8bit_is_told_exactly(void **state)
{
    struct buf b;

    (void)state;
    buf_init(&b, 10000);
    for (size_t place = 0; place < 4 * LINES_BLOCK_BYTES; place++) {
        buf_reset(&b);
        put_lines(&b, 4 * LINES_BLOCK_BYTES);
        if (b.ptr[place] != '\r' && b.ptr[place] != '\n')
            b.ptr[place] = (char)0xe3;
        check(buf_str(&b), true, true);
    }
    buf_done(&b);
}

/* Texts of the bytes that matter, at random. */
static void test_random_texts(void **state)
{
    static const char alphabet[] = "\r\n\r\n\r\n..aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\xe3";
    char text[1200];

    (void)state;
    srand(42);
    for (int round = 0; round < 20000; round++) {
        size_t len = (size_t)rand() % sizeof(text), n = 0;
        unsigned rarity = 1 + (unsigned)rand() % 200;
        while (n + 2 <= len) {
            if ((unsigned)rand() % 60 == 0) {
                text[n++] = '\r';
                text[n++] = '\n';
            } else {
                bool is_odd = (unsigned)rand() % rarity == 0;
                text[n++] = is_odd ? alphabet[(size_t)rand() % (sizeof(alphabet) - 1)] : 'x';
            }
        }
        check(str_from_mem(text, n), round % 2 == 0, false);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_clean_text_is_found),
        cmocka_unit_test(test_nothing_wrong_slips_through),
        cmocka_unit_test(test_8bit_is_told_exactly),
        cmocka_unit_test(test_random_texts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
