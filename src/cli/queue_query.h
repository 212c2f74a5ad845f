/*
 * Which recipients of the queue a command means, and their rows as the control socket gives them:
 * in pages, in the order of messages.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "cli/cli.h"
#include "store/queue_wire.h"

/* Fills the filter from the options --id, --sender, --recipient, --domain, --state, as far as the
 * command has them. CLI_DONE or CLI_USAGE, said. */
MUST_CHECK int queue_query_filter(const struct cli *cli, struct queue_filter *out);
/* The id that was typed. CLI_DONE or CLI_USAGE, said. */
MUST_CHECK int queue_query_id(const struct cli *cli, struct str text, uint64_t *out);
/* --limit, or `standard` without it. CLI_DONE or CLI_USAGE, said. */
MUST_CHECK int queue_query_limit(const struct cli *cli, uint64_t standard, uint64_t *out);

typedef int queue_row_fn(void *arg, const struct queue_row *row);
/* Walks at most `limit` rows. A callback's other result than CLI_DONE ends the walk and is
 * returned; views die when it returns. CLI_DONE or CLI_FAILED, said. */
MUST_CHECK int queue_query_rows(struct client *client, const struct queue_filter *filter,
                                uint64_t limit, queue_row_fn *fn, void *arg);
/* Says that the server's answer cannot be read; CLI_FAILED. */
int queue_query_fail(void);

/* Whether the line that was typed means yes. */
bool queue_query_is_yes(struct str line);

/* A time in JSON, null for 0. */
json_t *queue_query_json_time(int64_t real_ms);
json_t *queue_query_json_row(const struct queue_row *row);
