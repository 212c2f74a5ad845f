/*
 * The store's threads: one that writes, a few that read, a few that hash passwords, and the way
 * back to the loop.
 *
 * Group commit lives here and nowhere else: the writer takes all waiting writes, runs each in one
 * transaction (in a savepoint of its own, where it may fail half-way), syncs the active segment (on
 * a thread of its own) while it commits the rows, and releases the replies only when both are
 * durable. A request that fails rolls back alone; a group whose bytes cannot be made durable fails
 * whole.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "store/job.h"

struct executor;

struct executor_config {
    struct store *store;
    struct bodies *bodies;
    const char *db_path;
    struct db *writer_db; /* borrowed; used by the writer thread alone from now on */
    unsigned reader_threads;
    unsigned hash_threads;
    /* These run on the writer thread. Inside each group's transaction, after its jobs, with the
     * bytes that they appended, and what they freed: segment rows. 0 or negative errno (the group
     * fails). */
    int (*before_commit)(struct store *store, struct db *db, int64_t added_bytes,
                         struct job_freed freed);
    /* The same for what is freed in a segment besides. */
    int (*count_freed)(struct db *db, struct job_freed freed);
    /* When the rows of a group were committed but the sync of its bytes failed: takes back what
     * refers to bytes at or behind `before` in the active segment, and leaves that segment. 0 or
     * negative errno; then the process ends, and recovery does it. */
    int (*undo_bodies)(struct store *store, struct db *db, int64_t before);
    /* After each group: 0 when it is durable, else why not. */
    void (*after_group)(struct store *store, struct db *db, int result);
};

struct executor_stats { /* monotonic; read without locks for status and benchmarks */
    uint64_t groups;
    uint64_t jobs;
    uint64_t failed_groups;
};

enum { EXECUTOR_GROUP_MAX_JOBS = 512, EXECUTOR_QUEUE_MAX_JOBS = 20000 };
/* Passwords that wait to be hashed: some seconds of work. More is an attack or a storm of logins;
 * whoever comes then is told to try later, before his program gives up by itself. */
enum { EXECUTOR_HASHES_MAX_JOBS = 256 };

/* Starts the threads. 0 or negative errno. */
MUST_CHECK int executor_start(const struct executor_config *config, struct executor **out);
/* Finishes what is queued, ends the threads, frees. The finished jobs that nobody took yet are
 * moved to the (initialised) list. NULL is taken. */
void executor_stop(struct executor *e, struct list *out_jobs);
/* Hands a job to its thread; ownership comes back through executor_take_done. -EBUSY when too many
 * wait: then the caller still owns it. */
MUST_CHECK int executor_submit(struct executor *e, struct job *job);
/* Readable when finished jobs wait. */
int executor_event_fd(const struct executor *e);
/* Moves the finished jobs to the (initialised) list. */
void executor_take_done(struct executor *e, struct list *out_jobs);
void executor_get_stats(const struct executor *e, struct executor_stats *out);
