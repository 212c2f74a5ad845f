/*
 * Housekeeping in bounded steps, as write jobs among the others: letters whose retention has ended,
 * segments that are mostly dead, old trace rows. A step says whether there is more to do.
 */
#include <errno.h>

#include "base/id.h"
#include "base/log.h"
#include "store/server.h"
#include "store/store.h"
#include "store/usage.h"
#include "store/verbs.h"

enum {
    PURGE_ROWS_PER_STEP = 200,
    COPY_BYTES_PER_STEP = 4 * 1024 * 1024,
    COPY_BODIES_PER_STEP = 500,
    DROPS_PER_STEP = 64,
};

/* QRESYNC needs the numbers of expunged messages for as long as a client may stay away. */
static const int64_t TOMBSTONE_MS = 400LL * 24 * 3600 * 1000;

#define BAN_MEMORY_MS ((int64_t)30 * 24 * 3600 * 1000)
/* How long it is known from where an account was logged in to. */
#define LOGIN_MEMORY_MS ((int64_t)90 * 24 * 3600 * 1000)

struct drops { /* segments to remove once the step is durable */
    int64_t segments[DROPS_PER_STEP];
    size_t count;
};

static int purge_one(struct job *job, int64_t before_ms)
{
    struct db_stmt *stmt = db_query(job->db,
                                    "SELECT mailbox, uid, body FROM expunged WHERE body <> 0 AND"
                                    " expunged < ?1 ORDER BY expunged LIMIT 1",
                                    DB_INT(before_ms));
    int r = db_step(stmt);

    if (r <= 0)
        return r;
    int64_t mailbox = db_column_int(stmt, 0), uid = db_column_int(stmt, 1);
    int64_t body = db_column_int(stmt, 2);
    db_reset(stmt);
    int64_t rows = db_run(job->db, "UPDATE expunged SET body = 0 WHERE mailbox = ?1 AND uid = ?2",
                          DB_INT(mailbox), DB_INT(uid));
    r = rows < 0 ? (int)rows : store_body_unref(job, body, 1);
    return r < 0 ? r : 1;
}

static int purge_expunged(struct store *s, struct job *job, bool *out_more)
{
    int64_t before_ms = job->now_ms - s->settings->store_expunged_retention;
    int r = 1;

    for (int i = 0; r > 0 && i < PURGE_ROWS_PER_STEP; i++)
        r = purge_one(job, before_ms);
    if (r < 0)
        return r;
    *out_more |= r > 0;
    int64_t rows =
        db_run(job->db, "DELETE FROM expunged WHERE body = 0 AND expunged < ?1",
               DB_INT(job->now_ms - s->settings->store_expunged_retention - TOMBSTONE_MS));
    return rows < 0 ? (int)rows : 0;
}

/* Ids that would not be taken any more need not be known any more. */
static int forget_submitted(struct job *job)
{
    int64_t before_ms = job->now_ms - 2 * (int64_t)WIRE_ID_SKEW_MS;
    int64_t rows =
        db_run(job->db, "DELETE FROM submitted WHERE id < ?1", DB_INT(id_at_ms(before_ms)));

    return rows < 0 ? (int)rows : 0;
}

/* A ban that is over is held against its network for a while. */
static int forget_bans(struct job *job)
{
    int64_t rows =
        db_run(job->db, "DELETE FROM ban WHERE until < ?1", DB_INT(job->now_ms - BAN_MEMORY_MS));

    return rows < 0 ? (int)rows : 0;
}

static int forget_logins(struct job *job)
{
    int64_t rows =
        db_run(job->db, "DELETE FROM login WHERE last < ?1", DB_INT(job->now_ms - LOGIN_MEMORY_MS));

    return rows < 0 ? (int)rows : 0;
}

/* An address whose time is over begins anew, as if it had never been refused. */
static int forget_suppressed(struct store *s, struct job *job)
{
    int64_t address = 0;
    int64_t rows =
        db_run(job->db, "DELETE FROM suppression WHERE expires <= ?1", DB_INT(job->now_ms));

    job->changes_suppression |= rows > 0;
    if (rows != 0)
        return rows < 0 ? (int)rows : 0;
    int r = db_get_int(job->db, &address, "SELECT 1 FROM suppression LIMIT 1");
    if (r == 0)
        s->may_suppress = false;
    return r < 0 ? r : 0;
}

/* Takes the rows of segments without anything alive away; their files follow. */
static int drop_dead(struct store *s, struct job *job, struct drops *drops)
{
    int64_t active, end;

    bodies_active(s->bodies, &active, &end);
    struct db_stmt *stmt =
        db_query(job->db,
                 "DELETE FROM segment WHERE id IN (SELECT id FROM segment WHERE"
                 " live <= 0 AND id <> ?1 AND durable = bytes AND NOT EXISTS (SELECT 1 FROM"
                 " body WHERE body.segment = segment.id) LIMIT ?2)"
                 " RETURNING id",
                 DB_INT(active), DB_INT(DROPS_PER_STEP));
    int r;
    while ((r = db_step(stmt)) > 0)
        drops->segments[drops->count++] = db_column_int(stmt, 0);
    return r;
}

/* Moves one body to the active segment. */
static int move_body(struct store *s, struct job *job, uint64_t id, const struct body_place *from)
{
    struct buf text;
    struct body_place to = {0};

    buf_init(&text, BODIES_WRITE_BUFFER_BYTES);
    int read = bodies_verify(s->bodies, from, id);
    if (read == 0)
        read = bodies_read(s->bodies, from, id, 0, from->length, &text);
    int r = read == 0 ? bodies_append(s->bodies, id, buf_str(&text), &to) : 0;
    buf_done(&text);
    /* What cannot be read stays where it is, and does not keep the rest from being moved. */
    if (read < 0) {
        LOG(LOG_ERROR, "store.message-damaged", LOG_ID("message", id),
            LOG_INT("segment", from->segment), LOG_INT("offset", from->offset), LOG_ERR(read),
            LOG_C("hint", "its bytes cannot be read; it is set aside, restore it from a backup"));
        int64_t rows = db_run(job->db, "UPDATE body SET state = 1 WHERE id = ?1", DB_INT(id));
        return rows < 0 ? (int)rows : 0;
    }
    if (r < 0)
        return r;
    int64_t bytes = body_record_bytes(from->length);
    job->added_bytes += bytes;
    job->has_body = job->has_moved = true;
    int64_t rows = db_run(job->db, "UPDATE body SET segment = ?2, place = ?3 WHERE id = ?1",
                          DB_INT(id), DB_INT(to.segment), DB_INT(to.offset));
    if (rows >= 0)
        rows = db_run(job->db, "UPDATE segment SET live = live - ?2 WHERE id = ?1",
                      DB_INT(from->segment), DB_INT(bytes));
    return rows < 0 ? (int)rows : 0;
}

/* The next body to move out of the segment: 1, 0, negative errno. */
static int next_body(struct job *job, int64_t segment, int64_t after, uint64_t *out_id,
                     struct body_place *out)
{
    struct db_stmt *stmt = db_query(job->db,
                                    "SELECT id, place, bytes, crc FROM body WHERE segment = ?1 AND"
                                    " place > ?2 AND state = 0 ORDER BY place LIMIT 1",
                                    DB_INT(segment), DB_INT(after));
    int r = db_step(stmt);

    if (r > 0) {
        *out_id = (uint64_t)db_column_int(stmt, 0);
        *out = (struct body_place){.segment = segment,
                                   .offset = db_column_int(stmt, 1),
                                   .length = db_column_int(stmt, 2),
                                   .crc = (uint32_t)db_column_int(stmt, 3)};
    }
    db_reset(stmt);
    return r;
}

static int compact_some(struct store *s, struct job *job, bool *out_more)
{
    int64_t active, end, segment = 0, copied = 0, after = -1;

    if (s->settings->store_compact_below == 0)
        return 0;
    bodies_active(s->bodies, &active, &end);
    int r =
        db_get_int(job->db, &segment,
                   "SELECT s.id FROM segment s WHERE s.is_solo = 0 AND s.id <> ?1 AND s.live > 0"
                   " AND s.live * 100 < s.bytes * ?2 AND EXISTS (SELECT 1 FROM body b WHERE"
                   " b.segment = s.id AND b.state = 0) ORDER BY s.live LIMIT 1",
                   DB_INT(active), DB_INT(s->settings->store_compact_below));
    for (int i = 0; r > 0 && i < COPY_BODIES_PER_STEP && copied < COPY_BYTES_PER_STEP; i++) {
        struct body_place place;
        uint64_t id;
        *out_more = true;
        r = next_body(job, segment, after, &id, &place);
        if (r <= 0)
            break;
        after = place.offset;
        copied += place.length;
        int moved = move_body(s, job, id, &place);
        r = moved < 0 ? moved : 1;
    }
    return r < 0 ? r : 0;
}

/* maintain -> u8 more to do, then u64 segments whose files can go now */
int verb_maintain(struct store *s, struct job *job)
{
    bool has_more = false;
    struct drops *drops = arena_alloc(&job->arena, sizeof(*drops));

    trace_db_expire(s->trace, job->now_ms - s->settings->store_trace_retention);
    int r = purge_expunged(s, job, &has_more);
    if (r == 0)
        r = forget_submitted(job);
    if (r == 0)
        r = forget_suppressed(s, job);
    if (r == 0)
        r = forget_bans(job);
    if (r == 0)
        r = usage_forget(job);
    if (r == 0)
        r = forget_logins(job);
    if (r == 0 && s->backup_conn == NULL) {
        r = drop_dead(s, job, drops);
        if (r == 0)
            r = compact_some(s, job, &has_more);
        has_more |= drops->count == DROPS_PER_STEP;
    }
    buf_put_u8(&job->reply, has_more);
    for (size_t i = 0; i < drops->count; i++)
        buf_put_u64(&job->reply, (uint64_t)drops->segments[i]);
    return r;
}

/* drop.files: u64 segments. On a reader thread: removing a large file takes its time. */
int verb_drop_files(struct store *store, struct job *job)
{
    struct cursor c = job_args(job);

    while (cursor_left(&c) > 0 && cursor_status(&c) == 0) {
        int64_t segment = (int64_t)cursor_u64(&c);
        int r = bodies_drop(store->bodies, segment);
        /* It has no row any more: the next start sets it aside. */
        if (r < 0)
            LOG(LOG_WARNING, "store.segment-not-removed", LOG_INT("segment", segment), LOG_ERR(r));
    }
    return 0;
}
