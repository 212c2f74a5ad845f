/*
 * The store: everything that is kept, and the only process that touches it.
 *
 * This header ties the parts together for the handlers of verbs (verb_*.c): rows (db.h), bytes of
 * messages (bodies.h), the trace (trace_db.h), threads (executor.h), channels (server.h). Which
 * thread may touch what: see executor.h; fields below say it where it matters.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/id.h"
#include "base/map.h"
#include "conf/settings.h"
#include "store/bodies.h"
#include "store/brake.h"
#include "store/db.h"
#include "store/executor.h"
#include "store/fair.h"
#include "store/password.h"
#include "store/trace_db.h"

enum {
    STORE_PENDING_SOLOS_MAX = EXECUTOR_GROUP_MAX_JOBS,
    STORE_KEY_REPORTS_MAX_BYTES = 768 * 1024, /* KEY_REPORTS_MAX_BYTES; svc/store asserts it */
};

struct store {
    const struct settings *_Atomic settings; /* replaced on reload; see store_configure */
    char *db_path;
    int lock_fd;   /* two stores on one folder would destroy it */
    struct db *db; /* of the writer thread once it runs */
    struct bodies *bodies;
    struct trace_db *trace;
    struct executor *executor; /* NULL before store_start and after store_stop */
    bool was_started;
    struct id_maker ids; /* of the writer thread */
    _Atomic int64_t next_segment;
    _Atomic int64_t free_bytes;     /* of the data folder's file system, seldom refreshed */
    _Atomic int64_t min_free_bytes; /* from the settings */
    /* While a connection takes a backup, no segment may be dropped. */
    const struct store_conn *_Atomic backup_conn;
    _Atomic int64_t session_total; /* told by server.c, for status */
    /* Rows of the queue, for its limit and status: counted at the start, then by what jobs did. */
    _Atomic int64_t queue_messages;
    _Atomic int64_t queue_recipients;
    int64_t started_ms;                    /* monotonic */
    struct buf key_reports;                /* of the loop thread; see store_keep_key_reports */
    _Atomic int64_t logins, failed_logins; /* since the start, for status */
    /* Of password.h; do not change once the threads run. */
    uint8_t login_secret[PASSWORD_LOGIN_SECRET_BYTES];
    char dummy_secret[PASSWORD_DUMMY_BYTES]; /* the hash of a password nobody has */
    _Atomic int64_t wrong_step_ms;           /* see password_matches; only grows */

    /* --- of the writer thread --- */
    bool needs_segment_row;
    int64_t durable_end;
    int64_t new_solos[STORE_PENDING_SOLOS_MAX]; /* adopted by this group */
    size_t new_solo_count;
    /* Whole segments that became durable and are not marked yet; the first settled_marked of them
     * are marked by the group at hand. */
    int64_t settled[2 * STORE_PENDING_SOLOS_MAX];
    size_t settled_count, settled_marked;
    int64_t last_statvfs_ms;
    struct fair fair;
    struct brake sending; /* messages a minute of each account */
    /* False: there are no suppressed addresses, and nobody needs to look. True: there may be. */
    bool may_suppress;
};

/* Opens (or creates) everything below the data folder and recovers what a crash left behind. The
 * trace's thread runs from here on; the executor does not yet. A store that is just ending on this
 * folder is waited for. 0 or negative errno, with a text for the operator. */
MUST_CHECK int store_open(const struct settings *settings, struct store **out,
                          struct buf *out_text);
/* Starts the threads. */
MUST_CHECK int store_start(struct store *s);
/* Ends the threads after what is queued; finished jobs that nobody took are moved to the list. */
void store_stop(struct store *s, struct list *out_jobs);
/* Stops if that was not done, closes all. NULL is taken. */
void store_close(struct store *s);
/* Takes the settings that may change while running. The old ones must stay valid for as long as a
 * job may run. */
void store_configure(struct store *s, const struct settings *settings);

/* Keeps what the master says of keys, for administrators who ask; nothing here looks into it. From
 * the loop thread. */
void store_keep_key_reports(struct store *s, struct str reports);

/* Adds a body in the running group and its row with `refs` users; from a write handler. 0; -EEXIST
 * when the id is known already; -ENOSPC, -EIO. */
struct store_body {
    uint64_t id;
    struct str text; /* inline; or empty when the job's spool file holds it */
    uint32_t prefix_bytes;
    struct str summary;
    int64_t refs;
};
MUST_CHECK int store_body_add(struct store *s, struct job *job, const struct store_body *body);
/* Adds `count` uses of a body. From a write handler. 0 or negative errno. */
MUST_CHECK int store_body_ref(struct job *job, int64_t body, int64_t count);
/* Gives up `count` uses of a body; the last use drops its row and its bytes. From a write handler.
 */
MUST_CHECK int store_body_unref(struct job *job, int64_t body, int64_t count);
/* Whether new mail may come in: 0, or -ENOSPC when too little room is left on the disk. */
MUST_CHECK int store_check_room(const struct store *s);
/* Gives back what the job's spool file took, once its outcome is known. Any thread. */
void store_release_spool(struct store *s, struct job *job);
/* Counts what a finished job put into the queue or took away; once for each job. Any thread. */
void store_count_queue(struct store *s, const struct job *job);
/* Forgets messages whose bytes were lost before they were acknowledged: body.state is 2 for them.
 */
MUST_CHECK int store_forget_lost(struct db *db);

/* Ends the backup if this connection holds it. */
void store_end_backup(struct store *store, const struct store_conn *conn);

/* Gives the room of the reserve file back to the disk, once. 0, or -ENOENT when it was given
 * already. */
MUST_CHECK int store_release_reserve(const struct store *s);

/* recover.c: at start. 0 or negative errno, with a text. */
MUST_CHECK int store_recover(struct store *s, struct buf *out_text);
