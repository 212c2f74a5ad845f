/* Unit tests of the bytes of a message on their way in. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "smtp/data_scan.h"

struct sample {
    const char *input;
    const char *content;
    size_t taken;
    bool is_complete, has_bare, has_false_end;
};

static void check(const struct sample *c, enum data_mode mode, bool may_normalise)
{
    struct data_scan d;
    struct buf out;

    buf_init(&out, 1000);
    data_scan_init(&d, mode, may_normalise);
    assert_int_equal(data_scan_feed(&d, str_from_c(c->input), &out), c->taken);
    assert_int_equal(d.is_complete, c->is_complete);
    assert_int_equal(d.has_bare, c->has_bare);
    assert_int_equal(d.has_false_end, c->has_false_end);
    if (c->content != NULL)
        assert_string_equal(buf_c_str(&out), c->content);
    buf_done(&out);
}

static void the_end_is_exactly_a_dot_between_crlf(void **state)
{
    (void)state;
    static const struct sample samples[] = {
        {"a\r\n.\r\nrest", "a\r\n", 6, true, false, false},
        {".\r\n", "", 3, true, false, false},
        {"a\r\n..\r\n.b\r\n.\r\n", "a\r\n.\r\nb\r\n", 14, true, false, false},
        {"a\r\n.", "a\r\n", 4, false, false, false},
        {"a\r\n.\r", "a\r\n", 5, false, false, false},
        {"a\n.\n", NULL, 4, false, true, true},
        {"a\n.\r\nb", NULL, 6, false, true, true},
        {"a\r\n.\nb", NULL, 6, false, true, true},
        {"a\r.\rb", NULL, 5, false, true, true},
        {"a\r\n.\rb", NULL, 6, false, true, true},
        {"a\r\r\n.\r\n", NULL, 7, true, true, false},
        {"a\nb\r\n.\r\n", NULL, 8, true, true, false},
    };
    for (size_t i = 0; i < ARRAY_LEN(samples); i++)
        check(&samples[i], DATA_DOTTED, false);
}

static void wrong_line_ends_can_be_made_right(void **state)
{
    (void)state;
    static const struct sample samples[] = {
        {"a\nb\rc\r\n.\r\n", "a\r\nb\r\nc\r\n", 10, true, true, false},
        {"a\n.\r\nb\r\n.\r\n", "a\r\n.\r\nb\r\n", 11, true, true, true},
    };
    for (size_t i = 0; i < ARRAY_LEN(samples); i++)
        check(&samples[i], DATA_DOTTED, true);
}

static void chunks_have_no_dots_to_remove(void **state)
{
    (void)state;
    static const struct sample samples[] = {
        {"a\r\n.\r\n..b\r\n", "a\r\n.\r\n..b\r\n", 11, false, false, false},
    };
    check(&samples[0], DATA_CHUNKED, false);
}

struct size_case {
    const char *input;
    uint64_t content_bytes;
};

static void stuffed_dots_and_the_end_are_no_content(void **state)
{
    static const struct size_case cases[] = {
        {".\r\n", 0},
        {"abc\r\n.\r\n", 5},
        {"..\r\n..\r\n.\r\n", 6},
        {".a\r\n.\r\n", 3},
        {"a\r\n.\r", 3},
        /* What is refused is counted too, so that its size cannot be hidden. */
        {"a\nbcd\r\n.\r\n", 8},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct str rest = str_from_c(cases[i].input);
        struct data_scan d;
        struct buf out;
        buf_init(&out, 1000);
        data_scan_init(&d, DATA_DOTTED, false);
        for (; rest.len > 0; rest = str_sub(rest, 1, rest.len))
            assert_int_equal(data_scan_feed(&d, str_sub(rest, 0, 1), &out), 1);
        assert_int_equal(d.content_bytes, cases[i].content_bytes);
        buf_done(&out);
    }
}

static void nul_and_8bit_are_noticed(void **state)
{
    (void)state;
    struct data_scan d;
    struct buf out;

    buf_init(&out, 1000);
    data_scan_init(&d, DATA_DOTTED, false);
    data_scan_feed(&d, STR("plain text of more than eight bytes\r\n"), &out);
    assert_false(d.has_nul || d.has_8bit);
    data_scan_feed(&d, STR("a\0b\r\n"), &out);
    assert_true(d.has_nul);
    data_scan_feed(&d, STR("twelve bytes\xe9\r\n"), &out);
    assert_true(d.has_8bit);
    buf_done(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_end_is_exactly_a_dot_between_crlf),
        cmocka_unit_test(wrong_line_ends_can_be_made_right),
        cmocka_unit_test(chunks_have_no_dots_to_remove),
        cmocka_unit_test(stuffed_dots_and_the_end_are_no_content),
        cmocka_unit_test(nul_and_8bit_are_noticed),
    };
    return cmocka_run_group_tests_name("data_scan", tests, NULL, NULL);
}
