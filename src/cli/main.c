/*
 * The one program: command line, server and its processes.
 *
 * The master executes it again as `hikyaku --process NAME` for its children; that comes before
 * anything else, because such a process must touch nothing that it does not need. Under the names
 * sendmail, mailq and newaliases it is what these have always been (sendmail.h).
 */
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "cli/args.h"
#include "cli/commands.h"
#include "cli/sendmail.h"
#include "svc/child.h"

enum { TEXT_MAX_BYTES = 256 * 1024 };

static void print_buf(struct buf *text)
{
    (void)fputs(buf_c_str(text), stdout);
}

/* The help of what was named: a command, a group of commands, or all. */
static void print_help(const struct cli_args *args)
{
    struct str word = args->word_count > 0 ? str_from_c(args->words[0]) : STR("");
    struct buf text;

    buf_init(&text, TEXT_MAX_BYTES);
    /* That is where people look for the settings. */
    if (args->command == NULL && str_eq_c(word, "config"))
        settings_print_help(&text);
    else if (args->command != NULL)
        args_print_command_help(args->command, &text);
    else if (word.len == 0 || !args_print_group_help(word, &text))
        args_print_help(&text);
    print_buf(&text);
    buf_done(&text);
}

static int print_completion(int argc, char **argv)
{
    struct buf text;

    buf_init(&text, TEXT_MAX_BYTES);
    args_print_completion(argc - 2, (const char *const *)(argv + 2), &text);
    print_buf(&text);
    buf_done(&text);
    return CLI_DONE;
}

static int run_command(struct cli *cli)
{
    const struct cli_command *command = cli->args.command;
    int status = CLI_DONE;

    cli->config_path = cli->args.config_path != NULL ? cli->args.config_path : CLI_CONFIG_PATH;
    if (command->flags & CLI_CONNECTS)
        status = cli_connect(cli);
    if (status == CLI_DONE)
        status = command->run(cli);
    client_close(&cli->client);
    settings_free(cli->settings);
    return status;
}

static int run(int argc, char **argv)
{
    struct cli cli = {.client = {.fd = -1}};
    struct buf error;

    buf_init(&error, TEXT_MAX_BYTES);
    int r = args_parse(argc, (const char *const *)argv, &cli.args, &error);
    int status = CLI_DONE;
    if (r < 0) {
        (void)fprintf(stderr, "%s\n", buf_c_str(&error));
        status = CLI_USAGE;
    } else if (cli.args.wants_help) {
        print_help(&cli.args);
    } else {
        status = run_command(&cli);
    }
    args_free(&cli.args);
    buf_done(&error);
    if (fflush(stdout) != 0 || ferror(stdout) != 0)
        status = cli_fail("the output could not be written");
    return status;
}

/* Spellings that other programs have taught people. */
static const char *other_name(const char *word)
{
    if (strcmp(word, "help") == 0)
        return "--help";
    return strcmp(word, "--version") == 0 || strcmp(word, "-V") == 0 ? "version" : word;
}

int main(int argc, char **argv)
{
    const char *clock_file = getenv("HIKYAKU_TEST_CLOCK");

    if (argc > 0 && sendmail_is_called(argv[0]))
        return sendmail_main(argc, argv);
    if (argc == 3 && strcmp(argv[1], "--process") == 0)
        return svc_child_main(argv[2]);
    (void)setlocale(LC_ALL, "");
    if (clock_file != NULL && clock_use_file(clock_file) < 0)
        return cli_fail("HIKYAKU_TEST_CLOCK: %s cannot be used", clock_file);
    if (argc < 2)
        return run(argc, argv);
    if (strcmp(argv[1], "--completion") == 0)
        return print_completion(argc, argv);
    CLEANUP(cleanup_free) char *second = xstrdup(other_name(argv[1]));
    argv[1] = second;
    return run(argc, argv);
}
