/*
 * What the commands of `hikyaku` share: the shape of the table's rows, what was typed, and the ways
 * to end.
 *
 * A command returns CLI_DONE, CLI_FAILED or CLI_USAGE; that is the exit status. Everything that
 * went wrong is one line on standard error that says what is wrong and how to mend it.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "base/str.h"
#include "cli/client.h"
#include "conf/settings.h"

#define CLI_CONFIG_PATH "/etc/hikyaku/hikyaku.conf"

enum { CLI_DONE = 0, CLI_FAILED = 1, CLI_USAGE = 2 };

enum { CLI_OPTIONS_MAX = 12 };

enum cli_flags {
    CLI_CONNECTS = 1, /* settings are loaded and the running server is connected before it runs */
    CLI_JSON = 2,     /* takes --json */
    CLI_HIDDEN = 4,
};

struct cli;
typedef int cli_command_fn(struct cli *cli);

struct cli_option {
    const char *name;  /* "--dir"; NULL ends the list */
    const char *value; /* "DIR"; NULL: takes none */
    const char *help;
};

/* One row of the table in commands.c. */
struct cli_command {
    const char *name;     /* "domain add": one or two words */
    const char *synopsis; /* its words, "ADDRESS [TARGET...]" */
    const char *help;     /* one line */
    cli_command_fn *run;
    unsigned flags;
    size_t min_words, max_words;
    const struct cli_option *options; /* may be NULL */
    const char *more;                 /* further sentences for --help; may be NULL */
};

/* The table, in the order in which it is shown. */
const struct cli_command *cli_commands(size_t *out_count);

/* What was typed, taken apart by args.c. */
struct cli_args {
    const struct cli_command *command;
    const char *config_path; /* NULL: not given */
    bool is_json;
    bool wants_help;
    const char **words; /* without the command's own */
    size_t word_count;
    int argc; /* all that was typed, for options that may be given several times */
    const char *const *argv;
    const char *values[CLI_OPTIONS_MAX]; /* by place in command->options; "" when it takes none */
};

struct cli {
    struct cli_args args;
    const char *config_path;
    struct settings *settings; /* after cli_load_settings */
    struct client client;      /* after cli_connect */
};

/* The word, or the empty view when there are fewer. */
struct str cli_word(const struct cli *cli, size_t index);
/* The value of the option ("" if it takes none), or NULL when it was not given. */
const char *cli_option(const struct cli *cli, const char *name);

/* Prints "hikyaku: ..." on standard error; returns CLI_FAILED. */
int cli_fail(const char *fmt, ...) ATTR_PRINTF(1, 2);
/* The same with the command's name and where its help is; returns CLI_USAGE. */
int cli_usage(const struct cli *cli, const char *fmt, ...) ATTR_PRINTF(2, 3);

/* Reads the configuration, once. CLI_DONE or CLI_FAILED, said. */
MUST_CHECK int cli_load_settings(struct cli *cli);
/* Connects to the running server. CLI_DONE or CLI_FAILED, said. */
MUST_CHECK int cli_connect(struct cli *cli);
/* Calls a verb whose reply is of no interest, then says `done` if that is not NULL. */
MUST_CHECK int cli_run_verb(struct cli *cli, unsigned verb, const struct buf *args,
                            const char *done);

/* Prints the value and releases it; returns CLI_DONE. */
int cli_print_json(json_t *value);
/* A JSON string of bytes that may not be UTF-8: what is not becomes U+FFFD. */
json_t *cli_json_text(struct str s);
/* A date as RFC 3339, UTC. */
json_t *cli_json_time(int64_t real_ms);
