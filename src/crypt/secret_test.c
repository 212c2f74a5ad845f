/* Unit tests of comparing, wiping and drawing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "crypt/secret.h"

static void equal_is_equal(void **state)
{
    static const struct {
        struct str a, b;
        bool is_equal;
    } table[] = {
        {{"", 0}, {"", 0}, true},         {{NULL, 0}, {"", 0}, true},
        {{"a", 1}, {"a", 1}, true},       {{"a", 1}, {"b", 1}, false},
        {{"a", 1}, {"ab", 2}, false},     {{"ab", 2}, {"a", 1}, false},
        {{"a\0b", 3}, {"a\0b", 3}, true}, {{"a\0b", 3}, {"a\0c", 3}, false},
        {{"xb", 2}, {"ab", 2}, false},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(table); i++)
        assert_int_equal(secret_equal(table[i].a, table[i].b), table[i].is_equal);
}

static void nothing_is_left(void **state)
{
    static const char zeros[64];
    struct buf b;

    (void)state;
    buf_init(&b, 64);
    buf_put_c(&b, "secret");
    buf_cut(&b, 2);
    secret_reset_buf(&b);
    assert_int_equal(b.len, 0);
    assert_memory_equal(b.ptr, zeros, b.cap);
    for (int i = 0; i < 65; i++)
        buf_put_char(&b, 'x');
    assert_int_not_equal(buf_status(&b), 0);
    secret_reset_buf(&b);
    assert_int_equal(buf_status(&b), 0);
    secret_wipe_buf(&b);
    assert_null(b.ptr);
    secret_wipe_buf(&b);
    secret_wipe_buf(NULL);
}

static void draws_differ(void **state)
{
    uint8_t a[32] = {0}, b[32] = {0};

    (void)state;
    secret_random(a, sizeof(a));
    secret_random(b, sizeof(b));
    assert_memory_not_equal(a, b, sizeof(a));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_is_equal),
        cmocka_unit_test(nothing_is_left),
        cmocka_unit_test(draws_differ),
    };
    return cmocka_run_group_tests_name("secret", tests, NULL, NULL);
}
