/* Unit tests of sendmail's options and of the dot that ends a message. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cli/sendmail_args.h"
#include "cli/sendmail_dots.h"

enum { WORDS_MAX = 32, TEST_BYTES = 64 * 1024 };

/* mode, flags (t i v), sender, name, notify, ret, envid, recipients */
static void print_args(const struct sendmail_args *a, struct buf *out)
{
    buf_printf(out, "%d%s%s%s", a->mode, a->takes_recipients ? " t" : "",
               a->ignores_dots ? " i" : "", a->is_verbose ? " v" : "");
    if (a->has_sender)
        buf_printf(out, " <%.*s>", STR_ARG(a->sender));
    if (a->full_name.len > 0)
        buf_printf(out, " F=%.*s", STR_ARG(a->full_name));
    if (a->notify != 0)
        buf_printf(out, " N=%u", a->notify);
    if (a->ret.len > 0)
        buf_printf(out, " R=%.*s", STR_ARG(a->ret));
    if (a->envid.len > 0)
        buf_printf(out, " V=%.*s", STR_ARG(a->envid));
    if (a->config_path != NULL)
        buf_printf(out, " C=%s", a->config_path);
    for (size_t i = 0; i < a->word_count; i++)
        buf_printf(out, " [%s]", a->words[i]);
}

static void expect_args(const char *line, const char *expected)
{
    CLEANUP(cleanup_free) char *copy = xstrdup(line);
    const char *argv[WORDS_MAX] = {""};
    struct sendmail_args args;
    struct buf out;
    int argc = 0;

    for (char *word = strtok(copy, " "); word != NULL; word = strtok(NULL, " "))
        argv[argc++] = strcmp(word, "''") == 0 ? "" : word;
    buf_init(&out, TEST_BYTES);
    int r = sendmail_args_parse(str_from_c(argv[0]), argc, argv, &args, &out);
    if (r == 0)
        print_args(&args, &out);
    if (expected == NULL && (r != -EINVAL || out.len == 0))
        fail_msg("taken: %s: %s", line, buf_c_str(&out));
    if (expected != NULL)
        assert_string_equal(buf_c_str(&out), expected);
    buf_done(&out);
}

static void options_are_those_that_programs_use(void **state)
{
    (void)state;
    static const struct {
        const char *line, *args;
    } cases[] = {
        {"sendmail a@b c", "0 [a@b] [c]"},
        {"sendmail -t -i", "0 t i"}, /* PHP */
        {"sendmail -ti", "0 t i"},
        {"sendmail -i -f x@y a@b", "0 i <x@y> [a@b]"}, /* git send-email */
        {"sendmail -oi -fx@y -t", "0 t i <x@y>"},
        {"sendmail -FCronDaemon -odi -oem -oi -t", "0 t i F=CronDaemon"}, /* cron */
        {"sendmail -i -B8BITMIME -oem root", "0 i [root]"},               /* cronie */
        {"sendmail -f <> a@b", "0 <> [a@b]"},
        {"sendmail -f '' a@b", "0 <> [a@b]"},
        {"sendmail -r <x@y> -- -odd@b", "0 <x@y> [-odd@b]"},
        {"sendmail -N success,delay -R hdrs -V e a@b", "0 N=10 R=hdrs V=e [a@b]"},
        {"sendmail -V env+2Bid a@b", "0 V=env+2Bid [a@b]"},
        {"sendmail -V env+id a@b", "0 V=env+2Bid [a@b]"},
        {"sendmail -V a=b a@b", "0 V=a+3Db [a@b]"},
        {"sendmail -V 1+1=2+2B a@b", "0 V=1+2B1+3D2+2B2B [a@b]"},
        {"sendmail -Nnever -RFULL a@b", "0 N=1 R=FULL [a@b]"},
        {"sendmail -v -C /x/y a@b", "0 v C=/x/y [a@b]"},
        {"sendmail -bm -em -d0.4 -m -n -G -U -Am -L tag -p x -h 3 -X log a", "0 [a]"},
        {"sendmail -O IgnoreDots=true a", "0 i [a]"},
        {"sendmail -bs", "1"},
        {"sendmail -bp", "2"},
        {"mailq", "2"},
        {"sendmail -bi", "3"},
        {"newaliases", "3"},
        {"sendmail -q", "3"},
        {"sendmail -q30m", "3"},
        {"sendmail --version", "4"},
        {"sendmail -z a@b", NULL},
        {"sendmail -bd", NULL},
        {"sendmail -b", NULL},
        {"sendmail -f", NULL},
        {"sendmail -N sometimes a", NULL},
        {"sendmail -N never,delay a", NULL},
        {"sendmail -R some a", NULL},
        {"sendmail -V '' a", NULL},
        {"sendmail -V \xe9t\xe9 a", NULL},
        {"sendmail -V "
         "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567"
         "890123456789x a",
         NULL},
        {"sendmail -V "
         "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567"
         "89012345678+ a",
         NULL},
        {"sendmail -B 9BIT a", NULL},
        {"sendmail -f a\tb c", NULL},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        expect_args(cases[i].line, cases[i].args);
}

static void some_names_are_sendmail(void **state)
{
    (void)state;
    assert_true(sendmail_args_is_name(STR("sendmail")));
    assert_true(sendmail_args_is_name(STR("mailq")));
    assert_false(sendmail_args_is_name(STR("hikyaku")));
    assert_false(sendmail_args_is_name(STR("")));
}

static void feed(const char *input, size_t piece, bool is_text, struct buf *out)
{
    struct sendmail_dots d = {.is_text = is_text};

    for (struct str rest = str_from_c(input); rest.len > 0; rest = str_sub(rest, piece, rest.len))
        sendmail_dots_feed(&d, str_sub(rest, 0, piece), out);
    sendmail_dots_finish(&d, out);
}

static void a_dot_alone_ends_the_message(void **state)
{
    (void)state;
    static const struct {
        const char *input, *text;
    } cases[] = {
        {"a\nb\n", "a\nb\n"},
        {"a\n.\nb\n", "a\n"},
        {"a\r\n.\r\nb\r\n", "a\r\n"},
        {".\nb", ""},
        {"a\n.", "a\n"},
        {"a\n.b\n..\n", "a\n.b\n..\n"},
        {"a.\nb", "a.\nb"},
        {"a\n.\rb\n", "a\n.\rb\n"},
        {"a\n. \n", "a\n. \n"},
        {"a\n.\r", "a\n.\r"},
        {"", ""},
    };
    struct buf out;

    buf_init(&out, TEST_BYTES);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        for (size_t piece = 1; piece < 8; piece++) {
            buf_reset(&out);
            feed(cases[i].input, piece, false, &out);
            assert_string_equal(buf_c_str(&out), cases[i].text);
            buf_reset(&out);
            feed(cases[i].input, piece, true, &out);
            assert_string_equal(buf_c_str(&out), cases[i].input);
        }
    }
    buf_done(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options_are_those_that_programs_use),
        cmocka_unit_test(some_names_are_sendmail),
        cmocka_unit_test(a_dot_alone_ends_the_message),
    };
    return cmocka_run_group_tests_name("sendmail", tests, NULL, NULL);
}
