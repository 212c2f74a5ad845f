/*
 * The store opened inside this process, while no server runs: for init and restore.
 */
#pragma once

#include "base/buf.h"
#include "conf/settings.h"
#include "store/store.h"

/* Opens (or creates) the data folder and starts the threads. CLI_DONE, or CLI_FAILED, said. */
MUST_CHECK int local_store_open(const struct settings *settings, struct store **out);
/* Runs a verb to its end. Its status (0 or negative errno); out_reply may be NULL. */
MUST_CHECK int local_store_call(struct store *store, unsigned verb, struct str args,
                                struct buf *out_reply);
/* Closes; everything is durable then. */
void local_store_close(struct store *store);
