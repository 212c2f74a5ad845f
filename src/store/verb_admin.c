/* The server itself: status and backup. */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "config.h"
#include "store/queue_rows.h"
#include "store/store.h"
#include "store/verbs.h"

enum {
    BACKUP_PAGE_ROWS = 20000,
    /* With more recipients in the queue, status does not count their states: it is asked often, and
     * the rows of millions may have to be read from the disk. */
    COUNTED_RECIPIENTS_MAX = 100 * 1000,
};

int verb_ping(struct store *store, struct job *job)
{
    (void)store;
    (void)job;
    return 0;
}

/* key.reports: what the master has told, as it came. */
int verb_key_reports(struct store *store, struct job *job)
{
    buf_put_str(&job->reply, buf_str(&store->key_reports));
    return buf_status(&job->reply);
}

static void put_pair(struct buf *out, const char *key, int64_t value)
{
    buf_put_lp(out, str_from_c(key));
    buf_put_u64(out, (uint64_t)value);
}

static int put_query(struct job *job, const char *key, const char *sql)
{
    int64_t value = 0;
    int r = db_get_int(job->db, &value, sql);

    put_pair(&job->reply, key, value);
    return r < 0 ? r : 0;
}

static int put_queue_states(struct job *job)
{
    static const char *const keys[QUEUE_STATES] = {"queued_ready",     "queued_deferred",
                                                   "queued_sending",   "queued_held",
                                                   "queued_reporting", "queued_scheduled"};
    int64_t counts[QUEUE_STATES];

    int r = queue_count_states(job->db, STR(""), counts);
    for (size_t i = 0; r == 0 && i < ARRAY_LEN(keys); i++)
        put_pair(&job->reply, keys[i], counts[i]);
    return r;
}

static int put_queue(struct store *store, struct job *job)
{
    int64_t recipients = store->queue_recipients, created_ms = job->now_ms;

    put_pair(&job->reply, "queued_messages", store->queue_messages);
    put_pair(&job->reply, "queued_recipients", recipients);
    int r = recipients <= COUNTED_RECIPIENTS_MAX ? put_queue_states(job) : 0;
    if (r == 0)
        r = db_get_int(job->db, &created_ms, "SELECT created FROM queue ORDER BY id LIMIT 1");
    put_pair(&job->reply, "queue_oldest_ms", MAX(job->now_ms - created_ms, (int64_t)0));
    return MIN(r, 0);
}

/* status -> lp version, then lp key, u64 value ... */
int verb_status(struct store *store, struct job *job)
{
    static const struct {
        const char *key, *sql;
    } queries[] = {
        {"domains", "SELECT COUNT(*) FROM domain"},
        {"accounts", "SELECT COUNT(*) FROM account"},
        {"aliases", "SELECT COUNT(DISTINCT lookup) FROM alias"},
        {"messages", "SELECT COALESCE(SUM(messages), 0) FROM mailbox"},
        {"mail_bytes", "SELECT COALESCE(SUM(bytes), 0) FROM mailbox"},
        {"expunged_kept", "SELECT COUNT(*) FROM expunged WHERE body <> 0"},
        {"damaged_messages", "SELECT COUNT(*) FROM body WHERE state = 1"},
        {"segments", "SELECT COUNT(*) FROM segment"},
        {"segment_bytes", "SELECT COALESCE(SUM(bytes), 0) FROM segment"},
        {"segment_live_bytes", "SELECT COALESCE(SUM(live), 0) FROM segment"},
    };
    struct executor_stats stats;

    buf_put_lp(&job->reply, STR(HIKYAKU_VERSION));
    for (size_t i = 0; i < ARRAY_LEN(queries); i++) {
        int r = put_query(job, queries[i].key, queries[i].sql);
        if (r < 0)
            return r;
    }
    int r = put_queue(store, job);
    if (r < 0)
        return r;
    executor_get_stats(store->executor, &stats);
    put_pair(&job->reply, "free_bytes", store->free_bytes);
    put_pair(&job->reply, "lacks_room", store_check_room(store) < 0);
    put_pair(&job->reply, "sessions", store->session_total);
    put_pair(&job->reply, "logins", store->logins);
    put_pair(&job->reply, "failed_logins", store->failed_logins);
    put_pair(&job->reply, "uptime_ms", clock_mono_ms() - store->started_ms);
    put_pair(&job->reply, "commit_groups", (int64_t)stats.groups);
    put_pair(&job->reply, "commit_requests", (int64_t)stats.jobs);
    put_pair(&job->reply, "failed_groups", (int64_t)stats.failed_groups);
    return 0;
}

/* A handle of its own: copying writes, which the reader's handle may not. */
static int copy_database(const char *from, const char *to)
{
    struct db *db = NULL;

    (void)unlink(to);
    int r = db_open(from, DB_WRITER, true, &db);
    if (r == 0)
        r = db_copy_to(db, to);
    db_close(db);
    return r;
}

struct backup_paths {
    char *mail, *trace, *trace_from;
};

static void backup_paths_init(struct backup_paths *p, const struct store *store)
{
    /* Copied at once: a reload may replace the settings meanwhile. */
    const char *dir = store->settings->server_data_dir;

    p->mail = xasprintf("%s/backup-mail.db", dir);
    p->trace = xasprintf("%s/backup-trace.db", dir);
    p->trace_from = xasprintf("%s/trace.db", dir);
}

static void backup_paths_done(struct backup_paths *p)
{
    free(p->mail);
    free(p->trace);
    free(p->trace_from);
}

/* backup.begin -> (nothing). From now on no segment is dropped, until backup.end or the
 * connection's end; backup-mail.db and backup-trace.db lie in the data folder. */
int verb_backup_begin(struct store *store, struct job *job)
{
    struct backup_paths paths;
    const struct store_conn *nobody = NULL;

    if (!atomic_compare_exchange_strong(&store->backup_conn, &nobody, job->conn))
        return job_fail(job, -EBUSY, "another backup is under way");
    backup_paths_init(&paths, store);
    int r = copy_database(store->db_path, paths.mail);
    trace_db_flush(store->trace);
    if (r == 0)
        r = copy_database(paths.trace_from, paths.trace);
    backup_paths_done(&paths);
    if (r < 0)
        store_end_backup(store, job->conn);
    return r < 0 ? job_fail(job, r, "the database could not be copied into the data folder") : 0;
}

/* backup.segments: u64 after -> u64 segment, u64 bytes ...: a page of those that hold bodies, as
 * the copied database knows them; an empty page is the end. */
int verb_backup_segments(struct store *store, struct job *job)
{
    struct cursor c = job_args(job);
    int64_t after = (int64_t)cursor_u64(&c);
    struct backup_paths paths;
    struct db *db = NULL;

    if (store->backup_conn != job->conn)
        return job_fail(job, -EINVAL, "no backup was begun");
    backup_paths_init(&paths, store);
    int r = db_open(paths.mail, DB_READER, true, &db);
    backup_paths_done(&paths);
    if (r < 0)
        return r;
    struct db_stmt *stmt = db_query(db,
                                    "SELECT id, bytes FROM segment WHERE id > ?1 AND EXISTS"
                                    " (SELECT 1 FROM body WHERE body.segment = segment.id)"
                                    " ORDER BY id LIMIT ?2",
                                    DB_INT(after), DB_INT(BACKUP_PAGE_ROWS));
    while ((r = db_step(stmt)) > 0) {
        buf_put_u64(&job->reply, (uint64_t)db_column_int(stmt, 0));
        buf_put_u64(&job->reply, (uint64_t)db_column_int(stmt, 1));
    }
    db_close(db);
    return r;
}

void store_end_backup(struct store *store, const struct store_conn *conn)
{
    struct backup_paths paths;
    const struct store_conn *owner = conn;

    if (conn == NULL || !atomic_compare_exchange_strong(&store->backup_conn, &owner, NULL))
        return;
    backup_paths_init(&paths, store);
    (void)unlink(paths.mail);
    (void)unlink(paths.trace);
    backup_paths_done(&paths);
}

/* backup.end -> (nothing) */
int verb_backup_end(struct store *store, struct job *job)
{
    store_end_backup(store, job->conn);
    return 0;
}
