/* Unit tests of encoded_word.h; the expected texts are Unicode's and the RFC's. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "mail/encoded_word.h"

#define FFFD "\xef\xbf\xbd"

struct ew_case {
    const char *value, *shown;
};

static void check_cases(const struct ew_case *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct buf out;
        buf_init(&out, 1000);
        encoded_word_decode(str_from_c(cases[i].value), &out);
        assert_int_equal(buf_status(&out), 0);
        if (strcmp(buf_c_str(&out), cases[i].shown) != 0)
            fail_msg("\"%s\" shows as \"%s\"", cases[i].value, buf_c_str(&out));
        buf_done(&out);
    }
}

/* RFC 2047 section 8. */
static void the_examples_of_the_rfc_are_shown_as_it_says(void **state)
{
    static const struct ew_case cases[] = {
        {"(=?ISO-8859-1?Q?a?=)", "(a)"},
        {"(=?ISO-8859-1?Q?a?= b)", "(a b)"},
        {"(=?ISO-8859-1?Q?a?= =?ISO-8859-1?Q?b?=)", "(ab)"},
        {"(=?ISO-8859-1?Q?a?=  =?ISO-8859-1?Q?b?=)", "(ab)"},
        {"(=?ISO-8859-1?Q?a?=\r\n    =?ISO-8859-1?Q?b?=)", "(ab)"},
        {"(=?ISO-8859-1?Q?a_b?=)", "(a b)"},
        {"(=?ISO-8859-1?Q?a?= =?ISO-8859-2?Q?_b?=)", "(a b)"},
        {"=?US-ASCII?Q?Keith_Moore?= <moore@cs.utk.edu>", "Keith Moore <moore@cs.utk.edu>"},
        {"=?ISO-8859-1?Q?Andr=E9?= Pirard", "André Pirard"},
    };
    static const struct ew_case folded = {
        "=?ISO-8859-1?B?SWYgeW91IGNhbiByZWFkIHRoaXMgeW8=?=\r\n"
        "  =?ISO-8859-2?B?dSB1bmRlcnN0YW5kIHRoZSBleGFtcGxlLg==?=",
        "If you can read this you understand the example.",
    };
    (void)state;

    check_cases(cases, ARRAY_LEN(cases));
    check_cases(&folded, 1);
}

static void charsets_of_the_field_are_decoded(void **state)
{
    static const struct ew_case cases[] = {
        {"=?ISO-2022-JP?B?GyRCRnxLXDhsGyhC?=", "日本語"},
        {"=?iso-2022-jp?B?GyRCLSEbKEI=?=", "①"},  /* a vendor's character */
        {"=?ISO-2022-JP?B?GyhJMTIbKEI=?=", "ｱｲ"}, /* half-width kana */
        {"=?Shift_JIS?B?k/qWe4zq?=", "日本語"},
        {"=?CP932?B?h0A=?=", "①"},
        {"=?EUC-JP?Q?=C6=FC=CB=DC=B8=EC?=", "日本語"},
        {"=?UTF-8*ja?b?5pel5pys6Kqe?=", "日本語"},
        {"=?windows-1252?Q?=80?=", "€"},
        {"=?iso-8859-1?Q?=93x=94?=", "“x”"},
        {"=?iso-8859-15?Q?=A4?=", "€"},
        {"=?koi8-r?B?8NLJ18XU?=", "Привет"},
        {"=?gb2312?B?xOO6ww==?=", "你好"},
        {"=?big5?B?p0Gmbg==?=", "你好"},
        {"=?ks_c_5601-1987?B?vsiz5w==?=", "안녕"},
        {"=?utf-16be?B?ZeU=?=", "日"},
        {"=?no-such-charset?Q?abc_=E6=97=A5?=", "abc 日"},
    };
    (void)state;

    check_cases(cases, ARRAY_LEN(cases));
}

static void characters_split_between_words_are_joined(void **state)
{
    static const struct ew_case cases[] = {
        {"=?utf-8?B?5pel5g==?= =?UTF-8?B?nKw=?=", "日本"},
        {"=?utf-8?Q?=E6=97?=\r\n\t=?utf-8?Q?=A5?=", "日"},
        {"=?iso-2022-jp?B?GyRCRnw=?= =?iso-2022-jp?B?S1wbKEI=?=", "日本"},
        {"=?utf-8?Q?=E6=97?= x =?utf-8?Q?=A5?=", FFFD FFFD " x " FFFD},
        {"=?utf-8?Q?=E6=97?= =?us-ascii?Q?x?= =?iso-8859-2?Q?y?=", FFFD FFFD "xy"},
    };
    (void)state;

    check_cases(cases, ARRAY_LEN(cases));
}

static void raw_text_is_shown_as_well_as_possible(void **state)
{
    static const struct ew_case cases[] = {
        {"", ""},
        {"Re: 日本語", "Re: 日本語"},
        {"folded\r\n line\r\n\tend", "folded line end"},
        {"Re: \x1b$BF|K\\8l\x1b(B end", "Re: 日本語 end"},
        {"\x1b$B=?b?\x1b(Bx", "戎眇x"}, /* no "=?" */
        {"\x1b$BF|K\\", "日本"},
        {"\x1b[2J", FFFD "[2J"},
        {"a\xff\xe3\x81z", "a" FFFD FFFD FFFD "z"},
        {"a\x01\x7f\xc2\x85\xe2\x80\xae", "a" FFFD FFFD FFFD FFFD},
        {"=?utf-8?Q?a=0D=0ABcc:=00=1B?=", "a  Bcc:" FFFD FFFD},
        {"a = b =? c ?= =?x", "a = b =? c ?= =?x"},
        {"=?utf-8?X?abc?= =?utf-8?B?YWJj", "=?utf-8?X?abc?= =?utf-8?B?YWJj"},
        {"=??Q?abc?=", "=??Q?abc?="},
        {"=?../x?Q?abc?=", "=?../x?Q?abc?="},
    };
    (void)state;

    check_cases(cases, ARRAY_LEN(cases));
}

static void broken_words_are_forgiven(void **state)
{
    static const struct ew_case cases[] = {
        {"=?utf-8?Q?a b?=", "a b"},
        {"x=?utf-8?Q?=C3=A9?=y", "xéy"},
        {"=?utf-8?Q?=C3=A9?==?utf-8?Q?=C3=A9?=", "éé"},
        {"=?utf-8?B?w6k?=", "é"},       /* no padding */
        {"=?utf-8?B?w6k=w6k=?=", "éé"}, /* padding inside */
        {"=?utf-8?B?w6\r\n k=?=", "é"},
        {"=?utf-8?B?w6k=!?=", "é"},
        {"=?utf-8?Q?=zz=4=?=", "=zz=4="},
        {"=?utf-8?Q?"
         "?= x",
         " x"},
        {"=?utf-8?Q?=C3?= x", FFFD " x"},
        {"=?euc-jp?Q?=C6?=", FFFD},
        {"=?euc-jp?Q?=FF=C6=FC?=", FFFD "日"},
    };
    (void)state;

    check_cases(cases, ARRAY_LEN(cases));
}

static void output_ends_at_a_character_within_the_maximum(void **state)
{
    struct buf out;
    (void)state;

    buf_init(&out, 7);
    encoded_word_decode(STR("=?utf-8?B?5pel5pys6Kqe?= x"), &out);
    assert_int_equal(buf_status(&out), 0);
    assert_string_equal(buf_c_str(&out), "日本");
    assert_int_equal(out.max, 7);
    buf_done(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_examples_of_the_rfc_are_shown_as_it_says),
        cmocka_unit_test(charsets_of_the_field_are_decoded),
        cmocka_unit_test(characters_split_between_words_are_joined),
        cmocka_unit_test(raw_text_is_shown_as_well_as_possible),
        cmocka_unit_test(broken_words_are_forgiven),
        cmocka_unit_test(output_ends_at_a_character_within_the_maximum),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
