/* Unit tests of taking Return-Path out, in one piece and byte by byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "smtp/header_filter.h"

static void check(const char *input, const char *expected, size_t piece)
{
    struct header_filter f;
    struct buf out;
    struct str rest = str_from_c(input);

    buf_init(&out, 1000);
    header_filter_init(&f);
    while (rest.len > 0) {
        header_filter_feed(&f, str_sub(rest, 0, piece), &out);
        rest = str_sub(rest, piece, rest.len);
    }
    header_filter_finish(&f, &out);
    assert_string_equal(buf_c_str(&out), expected);
    buf_done(&out);
}

static void return_path_goes_with_its_continuations(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"Return-Path: <a@b>\r\nSubject: x\r\n\r\nbody\r\n", "Subject: x\r\n\r\nbody\r\n"},
        {"A: 1\r\n b\r\nRETURN-path:\r\n <a@b>\r\n\tc\r\nB: 2\r\n\r\n",
         "A: 1\r\n b\r\nB: 2\r\n\r\n"},
        {"Return-Paths: x\r\nReturn\r\n\r\nReturn-Path: y\r\n",
         "Return-Paths: x\r\nReturn\r\n\r\nReturn-Path: y\r\n"},
        {"\r\nReturn-Path: body\r\n", "\r\nReturn-Path: body\r\n"},
        {"Return-Pa", "Return-Pa"},
        {"\r", "\r"},
        {"", ""},
        {"R\r\nX: 1\r\n", "R\r\nX: 1\r\n"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        for (size_t piece = 1; piece < 60; piece += 7)
            check(cases[i][0], cases[i][1], piece);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(return_path_goes_with_its_continuations),
    };
    return cmocka_run_group_tests_name("header_filter", tests, NULL, NULL);
}
