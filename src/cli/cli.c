/* What the commands share: see cli.h. */
#include "cli/cli.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "cli/text.h"

enum { JSON_TEXT_MAX_BYTES = 8 * 1024 * 1024 };

struct str cli_word(const struct cli *cli, size_t index)
{
    return index < cli->args.word_count ? str_from_c(cli->args.words[index]) : STR("");
}

const char *cli_option(const struct cli *cli, const char *name)
{
    const struct cli_option *options = cli->args.command->options;

    for (size_t i = 0; options != NULL && options[i].name != NULL; i++) {
        if (strcmp(options[i].name, name) == 0)
            return cli->args.values[i];
    }
    return NULL;
}

int cli_fail(const char *fmt, ...)
{
    va_list args;

    /* What was shown so far comes first, also where both go to one file. */
    (void)fflush(stdout);
    (void)fputs("hikyaku: ", stderr);
    va_start(args, fmt);
    (void)vfprintf(stderr, fmt, args);
    va_end(args);
    (void)fputc('\n', stderr);
    return CLI_FAILED;
}

int cli_usage(const struct cli *cli, const char *fmt, ...)
{
    va_list args;

    (void)fflush(stdout);
    (void)fprintf(stderr, "hikyaku %s: ", cli->args.command->name);
    va_start(args, fmt);
    (void)vfprintf(stderr, fmt, args);
    va_end(args);
    (void)fprintf(stderr, "; see: hikyaku %s --help\n", cli->args.command->name);
    return CLI_USAGE;
}

int cli_load_settings(struct cli *cli)
{
    struct buf errors;

    if (cli->settings != NULL)
        return CLI_DONE;
    buf_init(&errors, SETTINGS_DOC_MAX_BYTES);
    int r = settings_load(cli->config_path, &cli->settings, &errors);
    if (r == -ENOENT)
        (void)cli_fail("there is no %s; make one with hikyaku init, or name yours with -c FILE",
                       cli->config_path);
    else if (r == -EACCES)
        (void)cli_fail("%s may not be read by this user; try as root", cli->config_path);
    else if (r < 0)
        (void)fprintf(stderr, "%s", buf_c_str(&errors));
    buf_done(&errors);
    return r < 0 ? CLI_FAILED : CLI_DONE;
}

int cli_connect(struct cli *cli)
{
    if (cli_load_settings(cli) != CLI_DONE)
        return CLI_FAILED;
    int r = client_open(&cli->client, cli->settings->server_run_dir, cli->config_path);
    return r < 0 ? cli_fail("%s", cli->client.error) : CLI_DONE;
}

int cli_run_verb(struct cli *cli, unsigned verb, const struct buf *args, const char *done)
{
    struct buf reply;

    buf_init(&reply, CLIENT_REPLY_MAX_BYTES);
    int status = client_do(&cli->client, verb, buf_str(args), &reply);
    buf_done(&reply);
    if (status == CLI_DONE && done != NULL && !cli->args.is_json)
        (void)printf("%s\n", done);
    return status;
}

int cli_print_json(json_t *value)
{
    int r = json_dumpf(value, stdout, JSON_INDENT(2));

    json_decref(value);
    (void)putchar('\n');
    return r < 0 ? cli_fail("the output could not be written") : CLI_DONE;
}

json_t *cli_json_text(struct str s)
{
    struct buf text;

    json_t *value = json_stringn(s.ptr != NULL ? s.ptr : "", s.len);
    if (value != NULL)
        return value;
    buf_init(&text, JSON_TEXT_MAX_BYTES);
    text_put_safe(&text, s);
    value = json_string(buf_c_str(&text));
    buf_done(&text);
    return value;
}

json_t *cli_json_time(int64_t real_ms)
{
    char text[CLOCK_TEXT_BYTES];

    return json_string(clock_format_utc(real_ms, text));
}
