/*
 * The trace as rows in a database file of its own: recorded in batches by a thread of its own,
 * outside of the mail's transactions, so that it costs no sync. What the last moments before a
 * crash recorded may be lost; the mail itself never depends on it.
 */
#pragma once

#include <stdint.h>

#include "base/buf.h"
#include "store/trace_event.h"

struct trace_db;

enum {
    TRACE_QUEUE_MAX_BYTES = 32 * 1024 * 1024,
    TRACE_BATCH_MS = 200,
    TRACE_BATCH_BYTES = 1024 * 1024,
    TRACE_QUERY_ROWS_MAX = 1000
};

/* Opens and migrates the file. A damaged file is renamed and started anew. 0 or negative errno,
 * with a text for the operator. */
MUST_CHECK int trace_db_open(const char *path, struct trace_db **out, struct buf *out_text);
/* Records what is queued, then closes. */
void trace_db_close(struct trace_db *t);
/* Queues encoded events (trace_event.h); any thread; never blocks. Drops and counts when full. */
void trace_db_record(struct trace_db *t, struct str events);
/* Waits until everything queued so far can be queried. Not on the loop thread. */
void trace_db_flush(struct trace_db *t);
/* The newest ref recorded, 0 if none. */
uint64_t trace_db_newest_ref(struct trace_db *t);

struct trace_query {
    uint64_t ref;       /* this message or session; 0: any */
    struct str address; /* this sender or recipient; empty: any */
    int64_t since_ms;   /* not older than this */
    uint32_t max_rows;
};
/* Appends the matching events, oldest first, encoded. Blocks; any thread but the loop's. */
MUST_CHECK int trace_db_find(struct trace_db *t, const struct trace_query *query, struct buf *out);
/* Whether anything is recorded under ref: 1, 0 or negative errno. */
MUST_CHECK int trace_db_has(struct trace_db *t, uint64_t ref);
/* Forgets what is older. Called now and then by maintenance. */
void trace_db_expire(struct trace_db *t, int64_t before_ms);
