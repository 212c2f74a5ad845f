/*
 * Commands whose first word says what to do: "account totp ADDRESS enable" and the like are rows of
 * a table of their own.
 */
#pragma once

#include "cli/cli.h"

struct cli_action {
    const char *name;            /* "add"; the first of the table is meant when none is given */
    size_t min_words, max_words; /* besides the name */
    cli_command_fn *run;
};

/* Runs the action that the word at `at` names; CLI_USAGE, said, when there is none of this name or
 * the number of words is wrong. */
MUST_CHECK int actions_run(struct cli *cli, const struct cli_action *actions, size_t count,
                           size_t at);
