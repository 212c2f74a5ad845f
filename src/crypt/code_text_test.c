/* Unit tests of secrets that people type: their form, their digest, base 32 (RFC 4648 section 10).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "crypt/code_text.h"

static void codes_are_random_and_in_groups(void **state)
{
    struct buf first, second;

    (void)state;
    buf_init(&first, 100);
    buf_init(&second, 100);
    code_text_make(&first, CODE_TEXT_APP_CHARS);
    code_text_make(&second, CODE_TEXT_APP_CHARS);
    assert_int_equal(first.len, CODE_TEXT_APP_CHARS + 4);
    assert_false(str_eq(buf_str(&first), buf_str(&second)));
    for (size_t i = 0; i < first.len; i++) {
        bool is_group_end = i % (CODE_TEXT_GROUP_CHARS + 1) == CODE_TEXT_GROUP_CHARS;
        assert_int_equal(first.ptr[i] == '-', is_group_end);
        if (!is_group_end)
            assert_true(str_find(STR("abcdefghijklmnopqrstuvwxyz234567"), first.ptr[i]) >= 0);
    }
    buf_done(&first);
    buf_done(&second);
}

static bool has_same_digest(struct str a, const char *b)
{
    uint8_t first[CODE_TEXT_DIGEST_BYTES], second[CODE_TEXT_DIGEST_BYTES];

    code_text_digest(a, STR("test"), first);
    code_text_digest(str_from_c(b), STR("test"), second);
    return memcmp(first, second, sizeof(first)) == 0;
}

static void codes_are_the_same_however_they_are_typed(void **state)
{
    uint8_t first[CODE_TEXT_DIGEST_BYTES], second[CODE_TEXT_DIGEST_BYTES];
    struct str code = STR("abcd-efgh-2345-ijkl-mnop");
    char large[2000];

    (void)state;
    assert_true(has_same_digest(code, "abcdefgh2345ijklmnop"));
    assert_true(has_same_digest(code, " ABCD efgh 2345 ijkl MNOP "));
    assert_false(has_same_digest(code, "abcd-efgh-2345-ijkl-mnoq"));
    assert_false(has_same_digest(code, "abcd-efgh-2345-ijkl-mno"));
    code_text_digest(code, STR("one use"), first);
    code_text_digest(code, STR("another"), second);
    assert_memory_not_equal(first, second, sizeof(first));
    memset(large, 'a', sizeof(large));
    assert_false(has_same_digest(str_from_mem(large, sizeof(large)), "aaaa"));
}

static void base32_is_that_of_the_standard(void **state)
{
    static const struct {
        const char *bytes, *text;
    } vectors[] = {
        {"", ""},
        {"f", "MY"},
        {"fo", "MZXQ"},
        {"foo", "MZXW6"},
        {"foob", "MZXW6YQ"},
        {"fooba", "MZXW6YTB"},
        {"foobar", "MZXW6YTBOI"},
    };
    struct buf out;

    (void)state;
    buf_init(&out, 100);
    for (size_t i = 0; i < ARRAY_LEN(vectors); i++) {
        buf_reset(&out);
        code_text_put_base32(&out, str_from_c(vectors[i].bytes), 0, '\0');
        assert_string_equal(buf_c_str(&out), vectors[i].text);
    }
    buf_reset(&out);
    code_text_put_base32(&out, STR("foobar"), 4, ' ');
    assert_string_equal(buf_c_str(&out), "MZXW 6YTB OI");
    buf_done(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(codes_are_random_and_in_groups),
        cmocka_unit_test(codes_are_the_same_however_they_are_typed),
        cmocka_unit_test(base32_is_that_of_the_standard),
    };

    return cmocka_run_group_tests_name("code_text", tests, NULL, NULL);
}
