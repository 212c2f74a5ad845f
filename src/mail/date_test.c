/* Unit tests of date.h. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "mail/date.h"

struct date_case {
    const char *text;
    int64_t seconds;
    int zone_minutes;
};

static void check_cases(int (*parse)(struct str, struct date *), const struct date_case *cases,
                        size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct date date = {.real_ms = -1};
        if (parse(str_from_c(cases[i].text), &date) < 0)
            fail_msg("refused: %s", cases[i].text);
        if (date.real_ms != cases[i].seconds * 1000 || date.zone_minutes != cases[i].zone_minutes)
            fail_msg("%s: %lld ms, zone %d", cases[i].text, (long long)date.real_ms,
                     date.zone_minutes);
    }
}

static void date_fields_of_all_ages_are_read(void **state)
{
    static const struct date_case cases[] = {
        {"Thu, 1 Jan 1970 00:00:00 +0000", 0, 0},
        {"Fri, 21 Nov 1997 09:55:06 -0600", 880127706, -360},
        {"Tue, 1 Jul 2003 10:52:37 +0200", 1057049557, 120},
        {"Thu, 13 Feb 1969 23:32:54 -0330", -27723426, -210},
        {"Thu,\r\n      13\r\n        Feb\r\n          1969\r\n      23:32\r\n               "
         "-0330 (Newfoundland Time)",
         -27723480, -210},
        {"21 Nov 97 09:55:06 GMT", 880106106, 0},
        {"Fri, 21 Nov 1997 09(comment):   55  :  06 -0600", 880127706, -360},
        {"(a (nested \\) one)) Fri (x) , (y) 21 Nov 1997 09:55:06 -0600", 880127706, -360},
        {"Mon, 29 Feb 2024 12:00:00 +0900 (JST)", 1709175600, 540},
        {"29 Feb 2000 00:00 UT", 951782400, 0},
        {"1 Jan 49 00:00:00 Z", 2493072000, 0},
        {"1 Jan 50 00:00:00 Z", -631152000, 0},
        {"1 Jan 100 00:00:00 Z", 946684800, 0},
        {"1 Jan 1900 00:00:00 Z", -2208988800, 0},
        {"31 Dec 9999 23:59:59 +0000", 253402300799, 0},
        {"Sat, 31 Dec 2016 23:59:60 +0000", 1483228800, 0},
        {"Wed, 02 Oct 2002 08:00:00 EST", 1033563600, -300},
        {"Wed, 02 Oct 2002 08:00:00 pdt", 1033570800, -420},
        {"Wed, 02 Oct 2002 08:00:00 K", 1033545600, 0},
        {"Wed, 02 Oct 2002 08:00:00 CEST", 1033545600, 0},
        {"Wed, 02 Oct 2002 08:00:00 -0000", 1033545600, 0},
        {"Wed, 02 Oct 2002 08:00:00", 1033545600, 0},
        {"Wed 2 October 2002 8:0:0 +0000", 1033545600, 0},
    };
    (void)state;

    check_cases(date_parse, cases, ARRAY_LEN(cases));
}

static void what_names_no_instant_is_refused(void **state)
{
    static const char *const cases[] = {
        "",
        "yesterday",
        "Foo, 1 Jan 2000 00:00:00 +0000",
        "Wednesday, 02-Oct-2002 08:00:00 +0000",
        "30 Feb 2000 00:00:00 +0000",
        "29 Feb 1900 00:00:00 +0000",
        "29 Feb 2023 00:00:00 +0000",
        "0 Jan 2000 00:00:00 +0000",
        "32 Jan 2000 00:00:00 +0000",
        "31 Apr 2000 00:00:00 +0000",
        "1 Foo 2000 00:00:00 +0000",
        "1 Jan 2000 24:00:00 +0000",
        "1 Jan 2000 00:60:00 +0000",
        "1 Jan 2000 00:00:61 +0000",
        "1 Jan 1899 00:00:00 +0000",
        "1 Jan 20000 00:00:00 +0000",
        "1 Jan 2 00:00:00 +0000",
        "1 Jan 2000 00:00:00 +00",
        "1 Jan 2000 00:00:00 +0060",
        "1 Jan 2000 00:00:00 +00000",
        "1 Jan 2000 00:00:00 +0000 and more",
        "1 Jan 2000 00:00:00 +0000 (open",
        "1 Jan 2000",
        "1 Jan 2000 00",
        "1 Jan 2000 00:",
        "Thu Jan  1 00:00:00 1970",
    };
    struct date date;
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        if (date_parse(str_from_c(cases[i]), &date) != -EBADMSG)
            fail_msg("accepted: %s", cases[i]);
    }
}

static void rfc3339_dates_are_read(void **state)
{
    static const struct date_case cases[] = {
        {"1970-01-01T00:00:01Z", 1, 0},
        {"1997-11-21t09:55:06z", 880106106, 0},
        {"1997-11-21T09:55:06.999Z", 880106106, 0},
        {"1997-11-21T18:55:06+09:00", 880106106, 540},
        {"1997-11-21T03:55:06-06:00", 880106106, -360},
        {"2000-02-29T00:00:00Z", 951782400, 0},
        {"1990-12-31T23:59:60Z", 662688000, 0},
    };
    static const char *const wrong[] = {
        "",
        "1997-11-21",
        "1997-11-21 09:55:06Z",
        "1997-11-21T09:55Z",
        "1997-11-21T09:55:06",
        "1997-11-21T09:55:06.Z",
        "1997-11-21T9:55:06Z",
        "97-11-21T09:55:06Z",
        "1997-13-21T09:55:06Z",
        "1997-02-29T09:55:06Z",
        "1997-11-21T24:00:00Z",
        "1997-11-21T09:55:61Z",
        "1997-11-21T09:55:06+0900",
        "1997-11-21T09:55:06+24:00",
        "1997-11-21T09:55:06+09:60",
        "1997-11-21T09:55:06Z ",
        "+997-11-21T09:55:06Z",
    };
    struct date date;
    (void)state;

    check_cases(date_parse_rfc3339, cases, ARRAY_LEN(cases));
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        if (date_parse_rfc3339(str_from_c(wrong[i]), &date) != -EBADMSG)
            fail_msg("accepted: %s", wrong[i]);
    }
}

static void mbox_lines_end_in_an_asctime_date(void **state)
{
    static const struct date_case lines[] = {
        {"From a@example.org Thu Jan  1 00:00:01 1970", 1, 0},
        {"From MAILER-DAEMON Fri Nov 21 09:55:06 1997\n", 880106106, 0},
        {"From \"a Thu Jan b\"@x Fri Nov 21 09:55:06 1997", 880106106, 0},
        {"From Mon Tue Fri Nov 21 09:55:06 1997", 880106106, 0},
        {"From a@example.org  Fri Nov 21 09:55:06 CST 1997", 880127706, -360},
        {"From a@example.org Fri Nov 21 09:55:06 1997 -0600", 880127706, -360},
        {"From a@example.org Fri Nov 21 09:55 1997", 880106100, 0},
        {"From - Fri Nov 21 09:55:06 1997", 880106106, 0},
    };
    static const char *const bad[] = {
        "From a@example.org",
        "From: a Fri Nov 21 09:55:06 1997",
        "From a Fri Nov 31 09:55:06 1997",
        "From a Fri, 21 Nov 1997 09:55:06",
        "From a Fri Nov 21 09:55:06 1997 remote from x",
        "",
    };
    struct date date;
    (void)state;

    check_cases(date_parse_mbox_line, lines, ARRAY_LEN(lines));
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_int_equal(date_parse_mbox_line(str_from_c(bad[i]), &date), -EBADMSG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(date_fields_of_all_ages_are_read),
        cmocka_unit_test(what_names_no_instant_is_refused),
        cmocka_unit_test(rfc3339_dates_are_read),
        cmocka_unit_test(mbox_lines_end_in_an_asctime_date),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
