/*
 * The rows of the store: tables, their version, and the way from older versions to this one.
 *
 * Migrations run forward only, all in one transaction, after a snapshot of the database was written
 * beside it. A database that is newer than the program is refused untouched.
 */
#pragma once

#include <stddef.h>

#include "base/buf.h"
#include "store/db.h"

/* steps[i] leads from version i to version i + 1. */
struct schema {
    const char *name;
    const char *const *steps;
    size_t step_count;
};

extern const struct schema schema_main;  /* mail: accounts, bodies, mailboxes, queue */
extern const struct schema schema_trace; /* what became of every message; may be dropped */

/* Brings the database to the newest version. `path` names the file for the snapshot. 0; -EPROTO
 * when it is newer than this program (out_text says so); else negative errno. */
MUST_CHECK int schema_migrate(struct db *db, const struct schema *schema, const char *path,
                              struct buf *out_text);
