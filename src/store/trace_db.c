/* The trace as rows: see trace_db.h. */
#include "store/trace_db.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/id.h"
#include "base/log.h"
#include "store/directory.h"
#include "store/schema.h"

enum {
    EXPIRE_ROWS_AT_ONCE = 5000,
    TRACE_MAX_PAGES = 1 << 19, /* of 4 KiB: 2 GiB */
    SIZE_CHECK_BATCHES = 64,
    PARTY_ARENA_BYTES = 32 * 1024,
};

struct trace_db {
    struct db *db; /* of the recording thread */
    char *path;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct buf queue;
    uint64_t queued, recorded; /* batches: to know when a flush is complete */
    uint64_t dropped;
    int64_t expire_before_ms;
    int64_t next_seq;
    bool is_flush_wanted;
    bool is_stopping;
};

static int index_address(struct trace_db *t, struct str address, uint64_t ref)
{
    int64_t r = db_run(
        t->db, "INSERT INTO trace_address(address, ref) VALUES(?1, ?2) ON CONFLICT DO NOTHING",
        DB_TEXT(address), DB_INT(ref));

    return r < 0 ? (int)r : 0;
}

/* The address of a detail, the way the trace is asked for it. */
static struct str normalise(struct str text, struct arena *arena)
{
    struct str key, printed, domain;
    const char *why;

    return directory_key(arena, text, &key, &printed, &domain, &why) == 0 ? printed : text;
}

/* What was refused is also found by who sent it, and by who had logged in: `each` is called for
 * both of them. */
static int for_each_party(struct trace_db *t, uint64_t ref, struct str details,
                          int (*each)(struct trace_db *t, struct str address, uint64_t ref))
{
    CLEANUP(arena_done) struct arena arena;
    struct cursor c = cursor_from(details);
    struct str key, value;
    int r = 0;

    arena_init(&arena, PARTY_ARENA_BYTES);
    while (r == 0 && trace_next_detail(&c, &key, &value) > 0) {
        if (value.len > 0 && (str_eq(key, STR("sender")) || str_eq(key, STR("login"))))
            r = each(t, normalise(value, &arena), ref);
    }
    return r;
}

static bool has_parties(struct str event)
{
    return str_eq(event, STR("refused")) || str_eq(event, STR("lost"));
}

static int insert_event(struct trace_db *t, const struct trace_event *e)
{
    /* One that grows has a row of its own, which is written again. */
    int64_t seq = trace_is_gathered(e->event) ? 0 : t->next_seq;
    int64_t r = db_run(t->db,
                       "INSERT INTO trace(ref, seq, session, time, event, address, detail)"
                       " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7)"
                       " ON CONFLICT(ref, seq) DO UPDATE SET detail = ?7 WHERE trace.seq = 0",
                       DB_INT(e->ref), DB_INT(seq), DB_INT(e->session), DB_INT(e->time_ms),
                       DB_TEXT(e->event), DB_TEXT(e->address), DB_BLOB(e->details));
    t->next_seq++;
    if (r >= 0 && e->address.len > 0)
        r = index_address(t, e->address, e->ref);
    if (r >= 0 && has_parties(e->event))
        r = for_each_party(t, e->ref, e->details, index_address);
    return r < 0 ? (int)r : 0;
}

static void record_batch(struct trace_db *t, struct str events)
{
    struct cursor c = cursor_from(events);
    struct trace_event event;

    int r = db_begin(t->db);
    while (r == 0 && trace_next_event(&c, &event) > 0)
        r = insert_event(t, &event);
    if (r == 0)
        r = db_commit(t->db);
    if (r < 0) {
        db_rollback(t->db);
        LOG(LOG_WARNING, "store.trace-lost", LOG_ERR(r), LOG_INT("bytes", events.len),
            LOG_C("hint", "mail goes on; the trace of these messages is missing"));
    }
    db_checkpoint_if_due(t->db);
}

static int forget_address(struct trace_db *t, struct str address, uint64_t ref)
{
    int64_t r = db_run(t->db, "DELETE FROM trace_address WHERE address = ?1 AND ref = ?2",
                       DB_TEXT(address), DB_INT(ref));

    return r < 0 ? (int)r : 0;
}

/* Of the rows that are deleted next. 0 or negative errno. */
static int forget_parties(struct trace_db *t, int64_t limit)
{
    struct db_stmt *stmt = db_query(
        t->db, "SELECT ref, event, detail FROM trace WHERE ref < ?1 ORDER BY ref, seq LIMIT ?2",
        DB_INT(limit), DB_INT(EXPIRE_ROWS_AT_ONCE));
    int r;

    while ((r = db_step(stmt)) > 0) {
        if (has_parties(db_column_text(stmt, 1)))
            r = for_each_party(t, (uint64_t)db_column_int(stmt, 0), db_column_blob(stmt, 2),
                               forget_address);
        if (r < 0)
            break;
    }
    db_reset(stmt);
    return r;
}

/* Deletes up to EXPIRE_ROWS_AT_ONCE rows older than `limit`, with what finds them by address.
 * Whether there may be more, or negative errno. */
static int delete_rows(struct trace_db *t, int64_t limit)
{
    int64_t rows = forget_parties(t, limit);

    if (rows >= 0)
        rows = db_run(t->db,
                      "DELETE FROM trace_address WHERE (address, ref) IN (SELECT address, ref FROM"
                      " trace WHERE ref < ?1 ORDER BY ref, seq LIMIT ?2)",
                      DB_INT(limit), DB_INT(EXPIRE_ROWS_AT_ONCE));
    if (rows >= 0)
        rows = db_run(t->db,
                      "DELETE FROM trace WHERE (ref, seq) IN (SELECT ref, seq FROM trace WHERE"
                      " ref < ?1 ORDER BY ref, seq LIMIT ?2)",
                      DB_INT(limit), DB_INT(EXPIRE_ROWS_AT_ONCE));
    return rows < 0 ? (int)rows : rows == EXPIRE_ROWS_AT_ONCE;
}

static bool expire_some(struct trace_db *t, int64_t before_ms)
{
    if (db_begin(t->db) < 0)
        return false;
    int r = delete_rows(t, (int64_t)id_at_ms(before_ms));
    if (r < 0 || db_commit(t->db) < 0)
        db_rollback(t->db);
    db_checkpoint_if_due(t->db);
    return r > 0;
}

/* Strangers can make events; the file must not fill the disk. Over the limit, the oldest go first.
 */
static void keep_size(struct trace_db *t)
{
    int64_t used_pages = 0, oldest = 0;

    if (db_get_int(t->db, &used_pages,
                   "SELECT (SELECT page_count FROM pragma_page_count()) -"
                   " (SELECT freelist_count FROM pragma_freelist_count())") <= 0 ||
        used_pages < TRACE_MAX_PAGES)
        return;
    if (db_get_int(t->db, &oldest, "SELECT ref FROM trace ORDER BY ref, seq LIMIT 1 OFFSET ?1",
                   DB_INT(EXPIRE_ROWS_AT_ONCE)) > 0)
        (void)expire_some(t, id_time_ms((uint64_t)oldest));
}

/* Lets a batch gather: large ones touch fewer pages for each event. Ends early when somebody waits
 * for the events, or when there are plenty. */
static void wait_a_batch(struct trace_db *t)
{
    struct timespec until;
    int r = 0;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += TRACE_BATCH_MS * 1000000L;
    until.tv_sec += until.tv_nsec / 1000000000L;
    until.tv_nsec %= 1000000000L;
    while (r == 0 && !t->is_stopping && !t->is_flush_wanted && t->queue.len < TRACE_BATCH_BYTES)
        r = pthread_cond_timedwait(&t->changed, &t->lock, &until);
    t->is_flush_wanted = false;
}

static void *run_recorder(void *arg)
{
    struct trace_db *t = arg;
    struct buf batch;
    bool is_stopping = false;

    buf_init(&batch, TRACE_QUEUE_MAX_BYTES);
    while (!is_stopping) {
        pthread_mutex_lock(&t->lock);
        while (t->queue.len == 0 && !t->is_stopping && t->expire_before_ms == 0)
            pthread_cond_wait(&t->changed, &t->lock);
        wait_a_batch(t);
        struct buf empty = batch;
        batch = t->queue;
        t->queue = empty;
        buf_reset(&t->queue);
        uint64_t target = t->queued;
        int64_t expire_before_ms = t->expire_before_ms;
        t->expire_before_ms = 0;
        is_stopping = t->is_stopping;
        pthread_mutex_unlock(&t->lock);
        if (batch.len > 0)
            record_batch(t, buf_str(&batch));
        bool has_more = expire_before_ms > 0 && expire_some(t, expire_before_ms);
        if (t->recorded % SIZE_CHECK_BATCHES == 0)
            keep_size(t);
        pthread_mutex_lock(&t->lock);
        if (has_more && t->expire_before_ms == 0)
            t->expire_before_ms = expire_before_ms;
        t->recorded = target;
        pthread_cond_broadcast(&t->changed);
        pthread_mutex_unlock(&t->lock);
        if (batch.cap > (1U << 20))
            buf_done(&batch);
    }
    buf_done(&batch);
    return NULL;
}

static int open_file(struct trace_db *t, struct buf *out_text)
{
    int r = db_open(t->path, DB_WRITER, false, &t->db);

    if (r == 0)
        r = schema_migrate(t->db, &schema_trace, t->path, out_text);
    /* Only the order within one message matters. */
    t->next_seq = clock_real_ms() * 1000;
    return r;
}

int trace_db_open(const char *path, struct trace_db **out, struct buf *out_text)
{
    struct trace_db *t = xcalloc(1, sizeof(*t));

    t->path = xstrdup(path);
    int r = open_file(t, out_text);
    if (r == -EUCLEAN) {
        CLEANUP(cleanup_free) char *aside = xasprintf("%s.damaged", path);
        db_close(t->db);
        t->db = NULL;
        LOG(LOG_ERROR, "store.trace-damaged", LOG_C("moved_to", aside),
            LOG_C("hint", "a new trace is started; mail is not affected"));
        r = rename(path, aside) < 0 ? -errno : open_file(t, out_text);
    }
    if (r < 0) {
        db_close(t->db);
        free(t->path);
        free(t);
        return r;
    }
    buf_init(&t->queue, TRACE_QUEUE_MAX_BYTES);
    pthread_mutex_init(&t->lock, NULL);
    pthread_cond_init(&t->changed, NULL);
    ASSERT(pthread_create(&t->thread, NULL, run_recorder, t) == 0);
    *out = t;
    return 0;
}

void trace_db_close(struct trace_db *t)
{
    if (t == NULL)
        return;
    pthread_mutex_lock(&t->lock);
    t->is_stopping = true;
    pthread_cond_broadcast(&t->changed);
    pthread_mutex_unlock(&t->lock);
    pthread_join(t->thread, NULL);
    db_close(t->db);
    buf_done(&t->queue);
    free(t->path);
    free(t);
}

void trace_db_record(struct trace_db *t, struct str events)
{
    if (events.len == 0)
        return;
    pthread_mutex_lock(&t->lock);
    if (t->queue.len + events.len <= TRACE_QUEUE_MAX_BYTES)
        buf_put_str(&t->queue, events);
    else if (t->dropped++ % 1000 == 0)
        LOG(LOG_WARNING, "store.trace-dropped", LOG_INT("dropped", t->dropped),
            LOG_C("hint", "events come faster than the disk takes them"));
    if (t->queued++ == t->recorded || t->queue.len >= TRACE_BATCH_BYTES)
        pthread_cond_broadcast(&t->changed);
    pthread_mutex_unlock(&t->lock);
}

void trace_db_flush(struct trace_db *t)
{
    pthread_mutex_lock(&t->lock);
    uint64_t target = t->queued;
    t->is_flush_wanted = t->recorded < target;
    pthread_cond_broadcast(&t->changed);
    while (t->recorded < target && !t->is_stopping)
        pthread_cond_wait(&t->changed, &t->lock);
    pthread_mutex_unlock(&t->lock);
}

uint64_t trace_db_newest_ref(struct trace_db *t)
{
    int64_t ref = 0;

    /* Called before anything is recorded, so the recorder's handle is idle. */
    if (db_get_int(t->db, &ref, "SELECT COALESCE(MAX(ref), 0) FROM trace") < 0)
        return 0;
    return (uint64_t)ref;
}

int trace_db_has(struct trace_db *t, uint64_t ref)
{
    int64_t one;

    return db_get_int(t->db, &one, "SELECT 1 FROM trace WHERE ref = ?1 LIMIT 1", DB_INT(ref));
}

static struct db_stmt *start_query(struct db *db, const struct trace_query *q)
{
    int64_t since = (int64_t)id_at_ms(q->since_ms);

    if (q->address.len > 0)
        return db_query(db,
                        "SELECT ref, session, time, event, address, detail FROM trace WHERE ref IN"
                        " (SELECT ref FROM trace_address WHERE address = ?1 AND ref >= ?2"
                        " ORDER BY ref DESC LIMIT ?3) ORDER BY ref, seq LIMIT ?3",
                        DB_TEXT(q->address), DB_INT(since), DB_INT(q->max_rows));
    if (q->ref != 0)
        /* A session is older than its messages, which follow within a day. */
        return db_query(
            db,
            "SELECT ref, session, time, event, address, detail FROM trace WHERE ref = ?1"
            " OR (ref > ?1 AND ref < ?2 AND session = ?1) ORDER BY ref, seq LIMIT ?3",
            DB_INT(q->ref), DB_INT(id_at_ms(id_time_ms(q->ref) + 86400000)), DB_INT(q->max_rows));
    return db_query(db,
                    "SELECT ref, session, time, event, address, detail FROM (SELECT * FROM trace"
                    " WHERE ref >= ?1 ORDER BY ref DESC, seq DESC LIMIT ?2) AS newest"
                    " ORDER BY ref, seq",
                    DB_INT(since), DB_INT(q->max_rows));
}

int trace_db_find(struct trace_db *t, const struct trace_query *query, struct buf *out)
{
    struct db *db = NULL;

    trace_db_flush(t);
    int r = db_open(t->path, DB_READER, false, &db);
    if (r < 0)
        return r;
    struct db_stmt *stmt = start_query(db, query);
    while ((r = db_step(stmt)) > 0) {
        struct trace_event e = {.ref = (uint64_t)db_column_int(stmt, 0),
                                .session = (uint64_t)db_column_int(stmt, 1),
                                .time_ms = db_column_int(stmt, 2),
                                .event = db_column_text(stmt, 3),
                                .address = db_column_text(stmt, 4),
                                .details = db_column_blob(stmt, 5)};
        size_t before = out->len;
        trace_put_event(out, &e);
        if (buf_status(out) < 0) {
            out->has_overflowed = false;
            out->len = before;
            break;
        }
    }
    db_close(db);
    return r < 0 ? r : 0;
}

void trace_db_expire(struct trace_db *t, int64_t before_ms)
{
    pthread_mutex_lock(&t->lock);
    t->expire_before_ms = MAX(before_ms, (int64_t)1);
    pthread_cond_broadcast(&t->changed);
    pthread_mutex_unlock(&t->lock);
}
