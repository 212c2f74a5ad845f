/*
 * The list of suppressed addresses as the control socket gives it.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "cli/client.h"

struct suppression_row {
    struct str address;
    uint32_t failures;
    bool is_active; /* mail to it is refused now; else its failures are only counted */
    int64_t first_ms, last_ms, expires_ms;
    struct str reply; /* the last refusal */
};

typedef int suppression_row_fn(void *arg, const struct suppression_row *row);
/* Walks all rows by address. A callback's other result than CLI_DONE ends the walk and is
 * returned; views die when it returns. CLI_DONE or CLI_FAILED, said. */
MUST_CHECK int suppression_walk(struct client *client, suppression_row_fn *fn, void *arg);
