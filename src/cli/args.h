/*
 * What was typed, taken apart by the table of commands. Pure: prints nothing, touches nothing.
 *
 * -c FILE, --json and --help may stand anywhere, before the command too. "--" ends the options; a
 * lone "-" is a word. Names are never abbreviated; the nearest one is suggested.
 */
#pragma once

#include "base/buf.h"
#include "cli/cli.h"

/* 0 and *out (whose words the caller frees by args_free), or -EINVAL and a line in out_error. With
 * wants_help, what else is missing does not matter, and command may be NULL. */
MUST_CHECK int args_parse(int argc, const char *const *argv, struct cli_args *out,
                          struct buf *out_error);
void args_free(struct cli_args *args);

/* The whole help, and the help of one command. */
void args_print_help(struct buf *out);
void args_print_command_help(const struct cli_command *command, struct buf *out);
/* The commands whose name begins with this word, a line each. False if there are none. */
bool args_print_group_help(struct str word, struct buf *out);
/* What may stand in place of the last of these words, one a line: for the shell's completion. */
void args_print_completion(int count, const char *const *words, struct buf *out);
