/* Unit tests of src/base: each test is named as the sentence it proves. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/cursor.h"
#include "base/id.h"
#include "base/list.h"
#include "base/log.h"
#include "base/map.h"
#include "base/utf8.h"

static void str_compares_and_cuts(void **state)
{
    (void)state;
    struct str head, tail;

    assert_true(str_eq(STR("abc"), str_from_c("abc")));
    assert_true(str_eq(STR(""), STR_NONE));
    assert_true(str_eq_nocase(STR("EHLO"), STR("ehlo")));
    assert_false(str_eq_nocase(STR("EHLO"), STR("ehl")));
    assert_true(str_cmp(STR("ab"), STR("abc")) < 0);
    assert_true(str_cmp(STR("b"), STR("abc")) > 0);
    assert_true(str_cut(STR("user@host@x"), '@', &head, &tail));
    assert_true(str_eq(head, STR("user")) && str_eq(tail, STR("host@x")));
    assert_false(str_cut(STR("user"), '@', &head, &tail));
    assert_true(str_eq(head, STR("user")) && tail.len == 0);
    assert_true(str_eq(str_trim(STR(" \t x y \r\n")), STR("x y")));
    assert_int_equal(str_rfind(STR("a.b.c"), '.'), 3);
    assert_int_equal(str_find(STR("abc"), 'x'), -1);
    assert_true(str_contains_nocase(STR("Content-TYPE"), STR("type")));
    assert_true(str_eq(str_sub(STR("abc"), 5, 2), STR("")));
}

static void str_to_u64_takes_digits_within_the_range_only(void **state)
{
    (void)state;
    uint64_t v = 7;

    assert_int_equal(str_to_u64(STR("0"), 10, &v), 0);
    assert_int_equal(v, 0);
    assert_int_equal(str_to_u64(STR("18446744073709551615"), UINT64_MAX, &v), 0);
    assert_true(v == UINT64_MAX);
    assert_int_equal(str_to_u64(STR("18446744073709551616"), UINT64_MAX, &v), -ERANGE);
    assert_int_equal(str_to_u64(STR("11"), 10, &v), -ERANGE);
    assert_int_equal(str_to_u64(STR("5"), 3, &v), -ERANGE);
    assert_int_equal(str_to_u64(STR(""), 10, &v), -EINVAL);
    assert_int_equal(str_to_u64(STR("-1"), 10, &v), -EINVAL);
    assert_int_equal(str_to_u64(STR("1 "), 10, &v), -EINVAL);
}

static void str_copy_refuses_what_does_not_fit(void **state)
{
    (void)state;
    char dst[4] = "xyz";

    assert_true(str_copy(STR("abc"), dst, sizeof(dst)));
    assert_string_equal(dst, "abc");
    assert_false(str_copy(STR("abcd"), dst, sizeof(dst)));
    assert_string_equal(dst, "");
}

static void buf_keeps_its_contents_and_marks_overflow(void **state)
{
    (void)state;
    struct buf b;

    buf_init(&b, 10);
    buf_put_c(&b, "12345678");
    buf_printf(&b, "%d", 123);
    assert_int_equal(buf_status(&b), -EMSGSIZE);
    assert_string_equal(buf_c_str(&b), "12345678");
    buf_put_char(&b, 'x'); /* sticky, though it would fit */
    assert_int_equal(b.len, 8);
    buf_reset(&b);
    buf_printf(&b, "%s", "0123456789");
    assert_int_equal(buf_status(&b), 0);
    assert_string_equal(buf_c_str(&b), "0123456789");
    buf_consume(&b, 4);
    assert_true(str_eq(buf_str(&b), STR("456789")));
    buf_done(&b);
}

static void numbers_written_by_buf_are_read_by_cursor(void **state)
{
    (void)state;
    struct buf b;

    buf_init(&b, 100);
    buf_put_u8(&b, 0xfe);
    buf_put_u16(&b, 0xfedc);
    buf_put_u32(&b, 0xfedcba98);
    buf_put_u64(&b, 0xfedcba9876543210);
    buf_put_lp(&b, STR("日本"));
    struct cursor c = cursor_from(buf_str(&b));
    assert_int_equal(cursor_u8(&c), 0xfe);
    assert_int_equal(cursor_u16(&c), 0xfedc);
    assert_int_equal(cursor_u32(&c), 0xfedcba98);
    assert_true(cursor_u64(&c) == 0xfedcba9876543210);
    assert_true(str_eq(cursor_lp(&c), STR("日本")));
    assert_int_equal(cursor_finish(&c), 0);
    assert_int_equal(cursor_u32(&c), 0);
    assert_int_equal(cursor_status(&c), -EBADMSG);
    buf_done(&b);
}

static void cursor_error_is_sticky(void **state)
{
    (void)state;
    struct cursor c = cursor_from(STR("abc def"));

    assert_true(str_eq(cursor_take_while(&c, ascii_is_alpha), STR("abc")));
    assert_int_equal(cursor_peek(&c), ' ');
    cursor_expect(&c, 'x');
    assert_int_equal(cursor_peek(&c), -1);
    assert_int_equal(cursor_take(&c, 1).len, 0);
    assert_int_equal(cursor_status(&c), -EBADMSG);
    c = cursor_from(STR("\x00\x00\x00\xffxyz"));
    assert_int_equal(cursor_lp(&c).len, 0);
    assert_int_equal(cursor_status(&c), -EBADMSG);
}

static void arena_gives_aligned_zeroed_memory(void **state)
{
    (void)state;
    struct arena a;

    arena_init(&a, 1 << 20);
    for (size_t n = 0; n < 3000; n += 7) {
        unsigned char *p = arena_alloc(&a, n);
        assert_int_equal((uintptr_t)p % _Alignof(max_align_t), 0);
        for (size_t i = 0; i < n; i++)
            assert_int_equal(p[i], 0);
        memset(p, 0xff, n);
    }
    assert_string_equal(arena_str(&a, STR("text")).ptr, "text");
    assert_string_equal(arena_printf(&a, "%d-%s", 5, "x"), "5-x");
    arena_done(&a);
    assert_int_equal(a.used_bytes, 0);
}

static void ids_sort_by_time_and_survive_their_text(void **state)
{
    (void)state;
    struct id_maker m;
    uint64_t before = 0;
    char text[ID_TEXT_CHARS + 1], previous[ID_TEXT_CHARS + 1] = "";

    id_maker_init(&m, 63, 31);
    for (int i = 0; i < 5000; i++) {
        uint64_t id = id_make(&m), parsed;
        assert_true(id > before);
        assert_true(id >> 63 == 0);
        assert_int_equal(id_parse(str_from_c(id_format(id, text)), &parsed), 0);
        assert_true(parsed == id);
        assert_true(strcmp(previous, text) < 0);
        memcpy(previous, text, sizeof(text));
        before = id;
    }
    assert_true(llabs(id_time_ms(before) - clock_real_ms()) < 5000);
    assert_int_equal(id_parse(STR("zzzzzzzzzzzzz"), &before), -EINVAL);
    assert_int_equal(id_parse(STR("u000000000000"), &before), -EINVAL);
    assert_int_equal(id_parse(STR(""), &before), -EINVAL);
}

static void map_finds_what_was_set_and_not_what_was_removed(void **state)
{
    (void)state;
    struct map m;
    char key[16];
    static int values[2000];

    map_init(&m, 1500);
    for (int i = 0; i < 2000; i++) {
        snprintf(key, sizeof(key), "key%d", i);
        assert_int_equal(map_set(&m, str_from_c(key), &values[i]), i < 1500 ? 0 : -ENOSPC);
    }
    for (int i = 0; i < 1500; i += 2) {
        snprintf(key, sizeof(key), "key%d", i);
        assert_ptr_equal(map_remove(&m, str_from_c(key)), &values[i]);
    }
    for (int i = 0; i < 1500; i++) {
        snprintf(key, sizeof(key), "key%d", i);
        assert_ptr_equal(map_get(&m, str_from_c(key)), i % 2 ? &values[i] : NULL);
    }
    size_t at = 0, seen = 0;
    struct str k;
    void *v;
    while (map_next(&m, &at, &k, &v))
        seen++;
    assert_int_equal(seen, 750);
    map_done(&m);
}

static void utf8_accepts_only_well_formed(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool is_valid;
    } cases[] = {
        {"plain", true},         {"飛脚", true},          {"\xf0\x9f\x93\xae", true},
        {"\xc0\x80", false},     {"\xed\xa0\x80", false}, {"\xf4\x90\x80\x80", false},
        {"\xe3\x81", false},     {"\xff", false},         {"\x80", false},
        {"\xe0\x80\xaf", false},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_int_equal(utf8_is_valid(str_from_c(cases[i].text)), cases[i].is_valid);
}

static void dates_have_the_forms_of_their_standards(void **state)
{
    (void)state;
    char text[CLOCK_TEXT_BYTES];

    setenv("TZ", "Asia/Tokyo", 1);
    tzset();
    assert_string_equal(clock_format_utc(1795219200123, text), "2026-11-21T00:00:00.123Z");
    assert_string_equal(clock_format_mail(1795219200123, text), "Sat, 21 Nov 2026 09:00:00 +0900");
}

static void the_test_clock_moves_both_clocks(void **state)
{
    (void)state;
    int64_t mono = clock_mono_ms(), real = clock_real_ms();

    clock_advance_ms(1000000);
    assert_true(clock_mono_ms() - mono >= 1000000);
    assert_true(clock_real_ms() - real >= 1000000);
    assert_true(clock_is_test());
}

static void list_keeps_order_and_splices(void **state)
{
    (void)state;
    struct list a, b, e[3];

    list_init(&a);
    list_init(&b);
    for (int i = 0; i < 3; i++) {
        list_init(&e[i]);
        list_append(i < 2 ? &a : &b, &e[i]);
    }
    list_splice(&a, &b);
    assert_true(list_is_empty(&b));
    list_remove(&e[1]);
    assert_ptr_equal(list_pop(&a), &e[0]);
    assert_ptr_equal(list_pop(&a), &e[2]);
    assert_null(list_pop(&a));
}

/* What one line of the log says, behind its date. */
static void log_one(enum log_format format, char *out, size_t max)
{
    int pipe_fds[2], saved = dup(STDERR_FILENO);

    assert_int_equal(pipe(pipe_fds), 0);
    assert_true(dup2(pipe_fds[1], STDERR_FILENO) >= 0);
    log_setup(LOG_INFO, format, "test");
    LOG(LOG_INFO, "a.b", LOG_C("none", NULL), LOG_STR("empty", STR("")), LOG_STR("no", STR_NONE),
        LOG_C("text", "two words"), LOG_INT("n", 0));
    assert_true(dup2(saved, STDERR_FILENO) >= 0);
    ssize_t n = read(pipe_fds[0], out, max - 1);
    assert_true(n > 0);
    out[n] = '\0';
    close(pipe_fds[0]);
    close(pipe_fds[1]);
    close(saved);
}

static void the_log_leaves_out_what_there_is_not(void **state)
{
    char line[1000];

    (void)state;
    log_one(LOG_FORMAT_TEXT, line, sizeof(line));
    assert_non_null(strstr(line, " a.b empty=\"\" text=\"two words\" n=0\n"));
    log_one(LOG_FORMAT_JSON, line, sizeof(line));
    assert_non_null(
        strstr(line, "\"event\":\"a.b\",\"empty\":\"\",\"text\":\"two words\",\"n\":0}\n"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(str_compares_and_cuts),
        cmocka_unit_test(str_to_u64_takes_digits_within_the_range_only),
        cmocka_unit_test(str_copy_refuses_what_does_not_fit),
        cmocka_unit_test(buf_keeps_its_contents_and_marks_overflow),
        cmocka_unit_test(numbers_written_by_buf_are_read_by_cursor),
        cmocka_unit_test(cursor_error_is_sticky),
        cmocka_unit_test(arena_gives_aligned_zeroed_memory),
        cmocka_unit_test(ids_sort_by_time_and_survive_their_text),
        cmocka_unit_test(map_finds_what_was_set_and_not_what_was_removed),
        cmocka_unit_test(utf8_accepts_only_well_formed),
        cmocka_unit_test(dates_have_the_forms_of_their_standards),
        cmocka_unit_test(list_keeps_order_and_splices),
        cmocka_unit_test(the_log_leaves_out_what_there_is_not),
        cmocka_unit_test(the_test_clock_moves_both_clocks),
    };
    return cmocka_run_group_tests_name("base", tests, NULL, NULL);
}
