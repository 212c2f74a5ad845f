/*
 * One request under way inside the store: from the frame it came in, over the thread that works on
 * it, to the reply that goes back. Owned by one thread at a time; handed on through queues.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/cursor.h"
#include "base/list.h"
#include "store/bodies.h"
#include "store/db.h"

struct store;
struct store_conn;
struct job;

/* Where a handler runs. */
enum verb_kind {
    VERB_LOOP,  /* on the loop thread: memory only, must not block */
    VERB_READ,  /* on a reader thread, with a read-only view of the rows */
    VERB_WRITE, /* on the writer thread, inside the group's transaction */
};

/* 0 or negative errno; then the rows it changed are rolled back, and job->reply may hold a text
 * that tells a person why. */
typedef int verb_handler(struct store *store, struct job *job);

struct verb {
    const char *name;
    unsigned roles; /* enum rpc_role bits that may call it */
    enum verb_kind kind;
    verb_handler *handler;
    /* For writes: runs before, on a reader thread (hashing); may be NULL.
     */
    verb_handler *prepare;
    verb_handler *prepare_spool; /* the same, only for requests that bring a spool file */
    /* For writes: runs once they are durable, on a reader thread, and adds to the reply. What it
     * gives is ignored, and it has no view of the rows; under too much load it does not run. */
    verb_handler *finish;
    /* A write that looks before it changes: once it has changed a row, only the database can fail
     * it. It needs no savepoint of its own, which costs as much as some statements; if it fails
     * later all the same, its group does. */
    bool is_whole;
    bool has_secret;        /* the request or the reply may hold a password */
    bool is_costly;         /* it hashes: what would be a reader's is done by the hash threads */
    bool changes_directory; /* recipients may lead elsewhere after it */
};

/* The limit of an account by which it may not send a message (usage.h). */
struct job_over {
    bool is_over;
    uint8_t which; /* enum usage_limit */
    int64_t limit;
    uint64_t account;
    struct str login; /* lies in the payload */
};

/* Bytes of records in one segment that nobody needs any more. */
struct job_freed {
    int64_t segment, bytes;
};

struct job {
    struct list link;
    struct store_conn *conn; /* whom to answer; NULL: nobody (maintenance) */
    uint32_t call_id;
    const struct verb *verb;
    char *memory;        /* owned: the payload lies in it */
    const char *payload; /* of the frame */
    size_t payload_bytes;
    struct arena arena; /* lives as long as the job */
    struct buf reply;
    struct buf trace; /* events to record once the job has succeeded */
    struct db *db;    /* set while a handler runs */
    int64_t now_ms;   /* one moment for the whole group */
    int status;
    bool is_written;    /* a write that is durable */
    struct spool spool; /* the spool file that the request took over */
    bool has_spool;
    struct body_place spool_place; /* set by prepare */
    bool is_adopted;               /* the spool file has become a segment */
    bool has_body;                 /* it stored bytes: the segment's sync is about it, too */
    /* It moved bytes that were acknowledged before, or its rows forget what its bytes are to tell:
     * the bytes must be durable before any row says so. */
    bool has_moved;
    int64_t added_bytes; /* it appended to the active segment */
    struct job_freed freed;
    void (*on_done)(struct store *store,
                    struct job *job); /* instead of a reply, on the loop thread */
    uint64_t generation;      /* of the directory, or of the queue, when the job was submitted */
    bool wakes_queue;         /* once it is durable, the outbound worker has something to do */
    bool changes_suppression; /* what recipient.check said may be wrong now */
    bool is_lasting;          /* this login, or this sender, may be remembered */
    int64_t login_account;    /* logins of this account must be checked anew; -1: of all */
    int64_t queue_messages;   /* that it added to the queue, less those it took away */
    int64_t queue_recipients; /* the same */
    struct job_over over;     /* why it failed, for the loop thread */
    void *extra;              /* of the verb: prepared values in the arena */
};

enum { JOB_ARENA_MAX_BYTES = 4 * 1024 * 1024, JOB_REPLY_MAX_BYTES = 1024 * 1024 };

/* With a copy of the payload; or with memory that is given over, in which the payload lies. */
struct job *job_new(const struct verb *verb, struct str payload);
struct job *job_new_with(const struct verb *verb, char *memory, struct str payload);
void job_free(struct job *job);
struct cursor job_args(const struct job *job);
/* What has to run on a reader thread before the write, or NULL. */
verb_handler *job_prepare_handler(const struct job *job);
/* Sets the reply to a text for people and returns `error` (negative errno). */
int job_fail(struct job *job, int error, const char *fmt, ...) ATTR_PRINTF(3, 4);
