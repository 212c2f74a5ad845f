/*
 * Threads for calls of libraries that block: LDAP, PAM, HTTP.
 *
 * Bounded in everything: threads, what waits for one, and how many of the threads work for the same
 * name at one time, so that somebody whose check is slow (or made slow) leaves threads to others.
 * Jobs are handed in and come back on the loop thread, each once; in between one belongs to the
 * pool. A thread cannot be stopped: what a job takes too long for is the caller's to give up
 * waiting for.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/list.h"
#include "base/str.h"

enum { POOL_THREADS_MAX = 64, POOL_WAITING_MAX = 256 };

struct pool;

struct pool_job {
    struct str whose;    /* jobs of one name share half of the threads; lives as long as the job */
    int64_t deadline_ms; /* monotonic; a job that still waits then is not run any more */
    void (*run)(struct pool_job *job, unsigned thread); /* on a thread, numbered from 0 */
    void (*on_done)(struct pool_job *job);              /* on the loop thread: it is yours again */
    bool was_run;                                       /* false: its time was over before */
    struct list link;                                   /* of the pool */
};

/* Starts the threads; the loop must run. 0 and *out, or negative errno. */
MUST_CHECK int pool_new(unsigned threads, struct pool **out);
/* Ends the threads that are idle and forgets the jobs that wait. Threads that are busy are left
 * alone, and the pool with them: the process is about to end. NULL is taken. */
void pool_end(struct pool *pool);
/* 0, or -EBUSY when too many wait: then the job stays the caller's. */
MUST_CHECK int pool_submit(struct pool *pool, struct pool_job *job);
/* Since when all threads have been busy with the jobs at hand (monotonic ms); 0: one is idle. */
int64_t pool_busy_since_ms(struct pool *pool);
