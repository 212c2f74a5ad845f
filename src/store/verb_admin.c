/* The server itself: status and backup. */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "config.h"
#include "store/store.h"
#include "store/verbs.h"

int verb_ping(struct store *store, struct job *job)
{
    (void)store;
    (void)job;
    return 0;
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
        {"queued_messages", "SELECT COUNT(*) FROM queue"},
        {"queued_recipients", "SELECT COUNT(*) FROM recipient"},
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
    executor_get_stats(store->executor, &stats);
    put_pair(&job->reply, "free_bytes", store->free_bytes);
    put_pair(&job->reply, "sessions", store->session_total);
    put_pair(&job->reply, "uptime_ms", clock_mono_ms() - store->started_ms);
    put_pair(&job->reply, "commit_groups", (int64_t)stats.groups);
    put_pair(&job->reply, "commit_requests", (int64_t)stats.jobs);
    put_pair(&job->reply, "failed_groups", (int64_t)stats.failed_groups);
    return 0;
}

/* Lists the segments as the copy knows them. */
static int list_segments(struct job *job, const char *copy)
{
    struct db *db = NULL;
    int r = db_open(copy, DB_READER, true, &db);

    if (r < 0)
        return r;
    struct db_stmt *stmt = db_query(db, "SELECT id, bytes FROM segment ORDER BY id");
    while ((r = db_step(stmt)) > 0) {
        buf_put_u64(&job->reply, (uint64_t)db_column_int(stmt, 0));
        buf_put_u64(&job->reply, (uint64_t)db_column_int(stmt, 1));
    }
    db_close(db);
    return r;
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

/* backup.begin -> u64 segment, u64 bytes ... From now on no segment is dropped, until backup.end or
 * the connection's end; backup-mail.db and backup-trace.db lie in the data folder. */
int verb_backup_begin(struct store *store, struct job *job)
{
    const char *dir = store->settings->server_data_dir;
    CLEANUP(cleanup_free) char *mail = xasprintf("%s/backup-mail.db", dir);
    CLEANUP(cleanup_free) char *trace = xasprintf("%s/backup-trace.db", dir);
    CLEANUP(cleanup_free) char *trace_from = xasprintf("%s/trace.db", dir);
    struct store_conn *nobody = NULL;

    if (!atomic_compare_exchange_strong(&store->backup_conn, &nobody, job->conn))
        return job_fail(job, -EBUSY, "another backup is under way");
    int r = copy_database(store->db_path, mail);
    trace_db_flush(store->trace);
    if (r == 0)
        r = copy_database(trace_from, trace);
    if (r == 0)
        r = list_segments(job, mail);
    if (r < 0)
        store->backup_conn = NULL;
    return r < 0 ? job_fail(job, r, "the database could not be copied into %s", dir) : 0;
}

void store_end_backup(struct store *store, const struct store_conn *conn)
{
    const char *dir = store->settings->server_data_dir;
    CLEANUP(cleanup_free) char *mail = xasprintf("%s/backup-mail.db", dir);
    CLEANUP(cleanup_free) char *trace = xasprintf("%s/backup-trace.db", dir);

    if (store->backup_conn != conn)
        return;
    (void)unlink(mail);
    (void)unlink(trace);
    store->backup_conn = NULL;
}

/* backup.end -> (nothing) */
int verb_backup_end(struct store *store, struct job *job)
{
    store_end_backup(store, job->conn);
    return 0;
}
