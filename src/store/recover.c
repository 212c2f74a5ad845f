/*
 * What a crash leaves behind, put right at start (called by store_open, before any thread runs).
 *
 * The rule: a row whose record is missing or fails its CRC past the segment's durable mark belongs
 * to a message that was never acknowledged: it is forgotten, and the tail of the segment is cut.
 * Before the mark such a record is damage: the body is set aside (state 1) and reported, the others
 * go on.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "store/store.h"

struct recovery {
    struct store *store;
    int64_t highest; /* segment number seen */
    int64_t forgotten;
    int64_t *orphans; /* files without a row */
    size_t orphan_count;
    int error;
};

enum { ORPHANS_MAX = 100000 };

static void see_file(void *arg, int64_t segment, bool is_spool)
{
    struct recovery *rec = arg;
    int64_t one;

    rec->highest = MAX(rec->highest, segment);
    if (is_spool) {
        bodies_remove_spool(rec->store->bodies, segment);
        return;
    }
    int r =
        db_get_int(rec->store->db, &one, "SELECT 1 FROM segment WHERE id = ?1", DB_INT(segment));
    if (r < 0)
        rec->error = r;
    if (r != 0 || rec->orphan_count == ORPHANS_MAX)
        return;
    rec->orphans = xrealloc(rec->orphans, (rec->orphan_count + 1) * sizeof(int64_t));
    rec->orphans[rec->orphan_count++] = segment;
}

/* A file that no row knows was made by a group that never committed; or the rows were lost, and
 * then these are somebody's letters. */
static int set_orphans_aside(struct recovery *rec)
{
    struct store *s = rec->store;
    int r = bodies_list(s->bodies, see_file, rec);

    if (r == 0)
        r = rec->error;
    for (size_t i = 0; r >= 0 && i < rec->orphan_count; i++) {
        r = bodies_set_aside(s->bodies, rec->orphans[i]);
        if (r > 0)
            LOG(LOG_WARNING, "store.segment-set-aside", LOG_INT("segment", rec->orphans[i]),
                LOG_C("why", "no row knows it; it is kept as .orphan for a while"),
                LOG_C("hint", "if mail.db was replaced or lost, restore a backup of it"));
    }
    free(rec->orphans);
    bodies_expire_orphans(s->bodies,
                          (clock_real_ms() - s->settings->store_expunged_retention) / 1000);
    return MIN(r, 0);
}

/* Checks one body past the mark; one that is not whole is marked as lost (state 2). */
static int check_body(struct recovery *rec, uint64_t id, const struct body_place *place)
{
    int r = bodies_verify(rec->store->bodies, place, id);

    if (r == 0)
        return 0;
    if (r != -EBADMSG && r != -ENOENT)
        return r; /* the disk does not answer: no time to draw conclusions */
    rec->forgotten++;
    LOG(LOG_WARNING, "store.unacknowledged-dropped", LOG_ID("message", id),
        LOG_C("why", "it was being stored when the server stopped; its sender was not told 250"));
    int64_t rows = db_run(rec->store->db, "UPDATE body SET state = 2 WHERE id = ?1", DB_INT(id));
    return rows < 0 ? (int)rows : 0;
}

static int check_segment(struct recovery *rec, int64_t segment, int64_t durable)
{
    struct db *db = rec->store->db;
    int64_t after = durable - 1;

    for (;;) {
        /* One row at a time: check_body changes the table. */
        struct db_stmt *stmt =
            db_query(db,
                     "SELECT id, place, bytes, crc FROM body WHERE segment = ?1 AND place > ?2"
                     " AND state = 0 ORDER BY place LIMIT 1",
                     DB_INT(segment), DB_INT(after));
        int r = db_step(stmt);
        if (r <= 0)
            return r;
        uint64_t id = (uint64_t)db_column_int(stmt, 0);
        struct body_place place = {.segment = segment,
                                   .offset = db_column_int(stmt, 1),
                                   .length = db_column_int(stmt, 2),
                                   .crc = (uint32_t)db_column_int(stmt, 3)};
        db_reset(stmt);
        after = place.offset;
        r = check_body(rec, id, &place);
        if (r < 0)
            return r;
    }
}

static int check_segments(struct recovery *rec)
{
    int64_t after = -1;

    for (;;) {
        struct db_stmt *stmt = db_query(rec->store->db,
                                        "SELECT id, durable FROM segment WHERE id > ?1 AND"
                                        " durable < bytes ORDER BY id LIMIT 1",
                                        DB_INT(after));
        int r = db_step(stmt);
        if (r <= 0)
            return r;
        after = db_column_int(stmt, 0);
        int64_t durable = db_column_int(stmt, 1);
        db_reset(stmt);
        /* What is whole now may be so in the page cache alone, and is about to be called durable.
         */
        r = bodies_sync_segment(rec->store->bodies, after);
        if (r == 0)
            r = check_segment(rec, after, durable);
        if (r < 0)
            return r;
    }
}

int store_forget_lost(struct db *db)
{
    static const char *const steps[] = {
        /* The numbers are told to clients as expunged, by a MODSEQ that they have not seen. */
        "UPDATE mailbox SET modseq = mailbox.modseq + 1, messages = mailbox.messages - lost.n,"
        " unseen = mailbox.unseen - lost.unseen, bytes = mailbox.bytes - lost.bytes FROM"
        " (SELECT mailbox, COUNT(*) AS n, SUM(CASE WHEN flags % 2 = 0 THEN 1 ELSE 0 END) AS unseen,"
        " SUM(bytes) AS bytes FROM message WHERE body IN (SELECT id FROM body WHERE state = 2)"
        " GROUP BY mailbox) AS lost WHERE mailbox.id = lost.mailbox",
        "INSERT INTO expunged(mailbox, uid, modseq, expunged, body, flags, keywords, received, "
        "saved,"
        " bytes) SELECT m.mailbox, m.uid, b.modseq, m.saved, 0, m.flags, m.keywords, m.received,"
        " m.saved, m.bytes FROM message m JOIN mailbox b ON b.id = m.mailbox WHERE m.body IN"
        " (SELECT id FROM body WHERE state = 2)",
        "UPDATE expunged SET body = 0 WHERE body <> 0 AND body IN"
        " (SELECT id FROM body WHERE state = 2)",
        "DELETE FROM message WHERE body IN (SELECT id FROM body WHERE state = 2)",
        "DELETE FROM recipient WHERE queue IN (SELECT id FROM queue WHERE body IN"
        " (SELECT id FROM body WHERE state = 2))",
        "DELETE FROM queue WHERE body IN (SELECT id FROM body WHERE state = 2)",
        "DELETE FROM submitted WHERE id IN (SELECT id FROM body WHERE state = 2)",
        "DELETE FROM body WHERE state = 2",
        /* The bytes they took are dead; whole files of lost bodies go with their rows. */
        "UPDATE segment SET live = (SELECT COALESCE(SUM((bytes + 39) / 8 * 8), 0) FROM body"
        " WHERE body.segment = segment.id) WHERE durable < bytes",
    };

    for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
        int r = db_script(db, steps[i]);
        if (r < 0)
            return r;
    }
    return 0;
}

/* A full or read-only disk: what is only for the next start can wait, so that mail can be read now.
 */
static bool is_about_room(int error)
{
    return error == -ENOSPC || error == -EROFS;
}

/* The newest shared segment and the end of its last record that counts. */
static int find_newest(struct store *s, int64_t *out_segment, int64_t *out_end)
{
    int r = db_get_int(s->db, out_segment,
                       "SELECT id FROM segment WHERE is_solo = 0 ORDER BY id DESC LIMIT 1");
    if (r > 0)
        r = db_get_int(s->db, out_end,
                       "SELECT COALESCE(MAX(place + (bytes + 39) / 8 * 8), 0) FROM body"
                       " WHERE segment = ?1",
                       DB_INT(*out_segment));
    return MIN(r, 0);
}

/* Goes on behind the last record of the newest shared segment, which is cut there. */
static int choose_active(struct recovery *rec)
{
    struct store *s = rec->store;
    int64_t segment = 0, end = 0, highest = 0;

    int r = find_newest(s, &segment, &end);
    if (r == 0)
        r = db_get_int(s->db, &highest, "SELECT COALESCE(MAX(id), 0) FROM segment");
    if (r < 0)
        return r;
    s->next_segment = MAX(rec->highest, highest) + 1;
    s->needs_segment_row = segment == 0 || end >= (int64_t)s->settings->store_segment_size;
    if (s->needs_segment_row) {
        segment = s->next_segment++;
        end = 0;
    }
    s->durable_end = end;
    int64_t rows = db_run(s->db,
                          "UPDATE segment SET bytes = ?2, durable = ?2 WHERE id = ?1 AND"
                          " (bytes <> ?2 OR durable <> ?2)",
                          DB_INT(segment), DB_INT(end));
    return rows < 0 && !is_about_room((int)rows) ? (int)rows
                                                 : bodies_activate(s->bodies, segment, end);
}

static int settle_rows(struct recovery *rec)
{
    struct db *db = rec->store->db;

    int r = db_begin(db);
    if (r < 0)
        return r;
    r = check_segments(rec);
    if (r == 0)
        r = bodies_sync_names(rec->store->bodies);
    if (r == 0 && rec->forgotten > 0)
        r = store_forget_lost(db);
    if (r == 0)
        r = db_script(db, "UPDATE segment SET durable = bytes WHERE durable < bytes");
    if (r == 0)
        r = db_commit(db);
    if (r < 0)
        db_rollback(db);
    return r;
}

static int settle(struct recovery *rec)
{
    struct store *s = rec->store;
    int r = settle_rows(rec);

    /* Forgetting needs room in the log: that is what the reserve is for. */
    if (r == -ENOSPC && rec->forgotten > 0 && store_release_reserve(s) == 0) {
        rec->forgotten = 0;
        r = settle_rows(rec);
    }
    if (!is_about_room(r) || rec->forgotten > 0)
        return r;
    LOG(LOG_WARNING, "store.marks-not-written", LOG_ERR(r),
        LOG_C("hint", "mail can be read, new mail is refused; make room on the disk"));
    return 0;
}

/* The trace has its own file and its own, looser durability: say at least that these arrived. */
static void mend_trace(struct store *s)
{
    uint64_t newest = trace_db_newest_ref(s->trace);
    uint64_t from = newest > id_at_ms(0) ? id_at_ms(id_time_ms(newest) - 60000) : 0;
    struct buf events;

    buf_init(&events, TRACE_QUEUE_MAX_BYTES / 4);
    struct db_stmt *stmt = db_query(s->db,
                                    "SELECT id, bytes FROM body WHERE id > ?1 ORDER BY id"
                                    " LIMIT 10000",
                                    DB_INT(from));
    while (db_step(stmt) > 0) {
        uint64_t id = (uint64_t)db_column_int(stmt, 0);
        if (trace_db_has(s->trace, id) != 0)
            continue;
        size_t at = events.len;
        trace_put_event(
            &events,
            &(struct trace_event){.ref = id, .time_ms = id_time_ms(id), .event = STR("recovered")});
        trace_put_number(&events, at, "bytes", db_column_int(stmt, 1));
    }
    db_reset(stmt);
    trace_db_record(s->trace, buf_str(&events));
    buf_done(&events);
}

int store_recover(struct store *s, struct buf *out_text)
{
    struct recovery rec = {.store = s};

    int r = set_orphans_aside(&rec);
    if (r == 0)
        r = settle(&rec);
    if (r == 0)
        r = choose_active(&rec);
    if (r < 0) {
        buf_printf(out_text, "recovery of %s failed: %s; nothing was changed", s->db_path,
                   strerror(-r));
        return r;
    }
    mend_trace(s);
    if (rec.forgotten > 0)
        LOG(LOG_INFO, "store.recovered", LOG_INT("dropped", rec.forgotten));
    return 0;
}
