/* Unit tests of the command line's parsing: each test is named as the sentence it proves. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cli/args.h"

static int run_nothing(struct cli *cli)
{
    (void)cli;
    return 0;
}

static const struct cli_option set_options[] = {
    {"--catch-all", "ADDRESS", "x"},
    {"--no-catch-all", NULL, "x"},
    {NULL, NULL, NULL},
};

static const struct cli_command table[] = {
    {"status", "", "the numbers", run_nothing, CLI_JSON, 0, 0, NULL, NULL},
    {"domain add", "NAME", "adds", run_nothing, 0, 1, 1, NULL, NULL},
    {"domain set", "NAME ...", "sets", run_nothing, 0, 1, 1, set_options, NULL},
    {"alias remove", "A [T...]", "removes", run_nothing, 0, 1, 9, NULL, NULL},
};

const struct cli_command *cli_commands(size_t *out_count)
{
    *out_count = ARRAY_LEN(table);
    return table;
}

static struct cli_args args;
static struct buf error;

/* Parses words separated by single spaces. */
static int parse(const char *line)
{
    static char text[256];
    const char *argv[32] = {"hikyaku"};
    int argc = 1;

    args_free(&args);
    buf_done(&error);
    buf_init(&error, 4096);
    assert_true(str_copy(str_from_c(line), text, sizeof(text)));
    for (char *word = strtok(text, " "); word != NULL; word = strtok(NULL, " "))
        argv[argc++] = word;
    return args_parse(argc, argv, &args, &error);
}

static void assert_wrong(const char *line, const char *text)
{
    assert_int_equal(parse(line), -EINVAL);
    if (strstr(buf_c_str(&error), text) == NULL)
        fail_msg("\"%s\": %s", line, buf_c_str(&error));
}

static void commands_have_one_or_two_words(void **state)
{
    (void)state;
    assert_int_equal(parse("status"), 0);
    assert_string_equal(args.command->name, "status");
    assert_int_equal(parse("domain add example.jp"), 0);
    assert_string_equal(args.command->name, "domain add");
    assert_int_equal(args.word_count, 1);
    assert_string_equal(args.words[0], "example.jp");
    assert_int_equal(parse("alias remove a b c"), 0);
    assert_int_equal(args.word_count, 3);
}

static void common_options_stand_anywhere(void **state)
{
    (void)state;
    assert_int_equal(parse("-c x status"), 0);
    assert_string_equal(args.config_path, "x");
    assert_int_equal(parse("domain -c x add y"), 0);
    assert_string_equal(args.config_path, "x");
    assert_string_equal(args.words[0], "y");
    assert_int_equal(parse("status --config=x --json"), 0);
    assert_string_equal(args.config_path, "x");
    assert_true(args.is_json);
    assert_int_equal(parse("domain set --help"), 0);
    assert_true(args.wants_help);
}

static void options_belong_to_their_command(void **state)
{
    (void)state;
    assert_int_equal(parse("domain set d --catch-all a@d"), 0);
    assert_string_equal(args.values[0], "a@d");
    assert_null(args.values[1]);
    assert_int_equal(parse("domain set --no-catch-all d"), 0);
    assert_string_equal(args.values[1], "");
    assert_int_equal(parse("domain set --catch-all=a@d d"), 0);
    assert_string_equal(args.values[0], "a@d");
    assert_int_equal(parse("alias remove -- --catch-all -"), 0);
    assert_string_equal(args.words[0], "--catch-all");
    assert_string_equal(args.words[1], "-");
    assert_wrong("domain set d --no-catch-all=x", "takes no value");
    assert_wrong("domain set d --catch-all", "needs a value");
    assert_wrong("domain add d --catch-all x", "there is no option --catch-all here");
}

static void mistakes_are_named_and_mended(void **state)
{
    (void)state;
    assert_wrong("", "say what to do");
    assert_wrong("statsu", "did you mean status?");
    assert_wrong("domian add x", "did you mean domain?");
    assert_wrong("domain ad x", "did you mean domain add?");
    assert_wrong("domain", "hikyaku domain --help");
    assert_wrong("domain set d --catchall x", "did you mean --catch-all?");
    assert_wrong("domain add", "write: hikyaku domain add NAME");
    assert_wrong("status now", "\"now\" is too much");
    assert_wrong("domain add x --json", "no JSON");
}

static void completion_follows_the_table(void **state)
{
    (void)state;
    const char *none[] = {""}, *first[] = {"d"}, *second[] = {"domain", ""};
    const char *option[] = {"domain", "set", "x", "--c"};
    struct buf out;

    buf_init(&out, 4096);
    args_print_completion(1, none, &out);
    assert_string_equal(buf_c_str(&out), "status\ndomain\nalias\n");
    buf_reset(&out);
    args_print_completion(1, first, &out);
    assert_string_equal(buf_c_str(&out), "domain\n");
    buf_reset(&out);
    args_print_completion(2, second, &out);
    assert_string_equal(buf_c_str(&out), "add\nset\n");
    buf_reset(&out);
    args_print_completion(4, option, &out);
    assert_string_equal(buf_c_str(&out), "--catch-all\n");
    buf_done(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(commands_have_one_or_two_words),
        cmocka_unit_test(common_options_stand_anywhere),
        cmocka_unit_test(options_belong_to_their_command),
        cmocka_unit_test(mistakes_are_named_and_mended),
        cmocka_unit_test(completion_follows_the_table),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);

    args_free(&args);
    buf_done(&error);
    return failed;
}
