/*
 * When a mail that is sent from the command line goes out, and how urgent it is: the options --at,
 * --in, --by, --return and --priority of `hikyaku send`, as the envelope carries them.
 */
#pragma once

#include "base/arena.h"
#include "cli/cli.h"
#include "mail/submit_file.h"

struct send_times {
    int64_t release_ms;                  /* real time; 0: at once */
    struct str hold_until, by, priority; /* see struct submit_envelope; in the arena */
};

/* The settings are loaded. CLI_DONE or CLI_USAGE, CLI_FAILED, said. */
MUST_CHECK int send_times_read(const struct cli *cli, struct arena *arena, struct send_times *out);
