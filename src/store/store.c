/* Opening, closing and the group's bookkeeping of the store: see store.h. */
#include "store/store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "store/schema.h"

enum {
    SENDING_SLOTS = 16384,
    STATVFS_EVERY_MS = 1000,
    LOCK_WAIT_MS = 30000,
    RESERVE_BYTES = 2 * 1024 * 1024
};

/* --- the group's bookkeeping (writer thread) --- */

static int insert_active_segment(struct store *s, struct db *db, int64_t segment)
{
    if (!s->needs_segment_row)
        return 0;
    int64_t r = db_run(db,
                       "INSERT INTO segment(id, is_solo, bytes, live, durable)"
                       " VALUES(?1, 0, 0, 0, 0) ON CONFLICT DO NOTHING",
                       DB_INT(segment));
    return r < 0 ? (int)r : 0;
}

static int mark_settled(struct store *s, struct db *db)
{
    s->settled_marked = s->settled_count;
    for (size_t i = 0; i < s->settled_marked; i++) {
        int64_t r =
            db_run(db, "UPDATE segment SET durable = bytes WHERE id = ?1", DB_INT(s->settled[i]));
        if (r < 0)
            return (int)r;
    }
    return 0;
}

/* One that does not fit stays unmarked until the next start, which checks it. */
static void add_settled(struct store *s, int64_t segment)
{
    if (s->settled_count < ARRAY_LEN(s->settled))
        s->settled[s->settled_count++] = segment;
}

static void drop_marked(struct store *s)
{
    s->settled_count -= s->settled_marked;
    memmove(s->settled, s->settled + s->settled_marked, s->settled_count * sizeof(s->settled[0]));
    s->settled_marked = 0;
}

static int count_freed(struct db *db, struct job_freed freed)
{
    int64_t rows = db_run(db, "UPDATE segment SET live = live - ?2 WHERE id = ?1",
                          DB_INT(freed.segment), DB_INT(freed.bytes));

    return rows < 0 ? (int)rows : 0;
}

/* The active segment's row, when something was added to it or others are to be marked. */
static int note_segment(struct store *s, struct db *db, int64_t live_bytes)
{
    int64_t segment, end;

    bodies_active(s->bodies, &segment, &end);
    int r = insert_active_segment(s, db, segment);
    if (r == 0)
        r = mark_settled(s, db);
    if (r < 0)
        return r;
    int64_t rows = db_run(db,
                          "UPDATE segment SET bytes = ?2, live = live + ?3, durable = ?4"
                          " WHERE id = ?1",
                          DB_INT(segment), DB_INT(end), DB_INT(live_bytes), DB_INT(s->durable_end));
    /* The row is new: bodies that came and went within this group found none to count in. */
    if (rows >= 0 && s->needs_segment_row)
        rows = db_run(db,
                      "UPDATE segment SET live = (SELECT COALESCE(SUM((bytes + 39) / 8 * 8), 0)"
                      " FROM body WHERE body.segment = ?1) WHERE id = ?1",
                      DB_INT(segment));
    return rows < 0 ? (int)rows : 0;
}

static int before_commit(struct store *s, struct db *db, int64_t added_bytes,
                         struct job_freed freed)
{
    int64_t segment, end;
    bool is_told = added_bytes > 0 || s->new_solo_count > 0 || s->settled_count > 0;
    int r = 0;

    bodies_active(s->bodies, &segment, &end);
    bool is_ours = is_told && freed.segment == segment;
    s->settled_marked = 0;
    if (freed.bytes > 0 && !is_ours)
        r = count_freed(db, freed);
    if (r < 0 || !is_told)
        return r;
    return note_segment(s, db, added_bytes - (is_ours ? freed.bytes : 0));
}

static void refresh_free_bytes(struct store *s)
{
    struct statvfs fs;
    int64_t now_ms = clock_mono_us() / 1000;

    if (now_ms - s->last_statvfs_ms < STATVFS_EVERY_MS)
        return;
    s->last_statvfs_ms = now_ms;
    if (statvfs(bodies_dir(s->bodies), &fs) == 0)
        s->free_bytes = (int64_t)fs.f_bavail * (int64_t)fs.f_frsize;
}

static void rotate_segment(struct store *s)
{
    int64_t full, end;

    bodies_active(s->bodies, &full, &end);
    int r = bodies_activate(s->bodies, s->next_segment++, 0);
    if (r < 0) {
        LOG(LOG_ERROR, "store.segment-failed", LOG_ERR(r),
            LOG_C("hint", "the old segment goes on growing; make room on the disk"));
        return;
    }
    add_settled(s, full);
    s->needs_segment_row = true;
    s->durable_end = 0;
}

static void note_durable(struct store *s)
{
    int64_t segment, end;

    drop_marked(s);
    for (size_t i = 0; i < s->new_solo_count; i++)
        add_settled(s, s->new_solos[i]);
    bodies_active(s->bodies, &segment, &end);
    s->needs_segment_row &= end == 0;
    s->durable_end = end;
    if (bodies_is_full(s->bodies))
        rotate_segment(s);
}

static void after_group(struct store *s, struct db *db, int result)
{
    if (result == 0)
        note_durable(s);
    /* Pages of a failed sync may be marked clean: nothing more goes into this file. */
    else if (result == -EIO)
        rotate_segment(s);
    s->may_suppress |= result < 0;
    s->new_solo_count = 0;
    db_checkpoint_if_due(db);
    refresh_free_bytes(s);
}

/* The group's rows are committed, but its bytes may not be: forget them and leave the segment. */
static int undo_bodies(struct store *s, struct db *db, int64_t before)
{
    int64_t segment, end;

    bodies_active(s->bodies, &segment, &end);
    int r = db_begin(db);
    if (r < 0)
        return r;
    int64_t rows = db_run(db, "UPDATE body SET state = 2 WHERE segment = ?1 AND place >= ?2",
                          DB_INT(segment), DB_INT(before));
    for (size_t i = 0; rows >= 0 && i < s->new_solo_count; i++)
        rows = db_run(db, "UPDATE body SET state = 2 WHERE segment = ?1", DB_INT(s->new_solos[i]));
    r = rows < 0 ? (int)rows : store_forget_lost(db);
    if (r == 0)
        r = db_commit(db);
    if (r < 0) {
        db_rollback(db);
        return r;
    }
    s->new_solo_count = 0;
    bodies_cut_back(s->bodies, before);
    rotate_segment(s);
    return 0;
}

/* --- bodies --- */

static int place_body(struct store *s, struct job *job, const struct store_body *body,
                      struct body_place *out_place)
{
    if (!job->has_spool) {
        int r = bodies_append(s->bodies, body->id, body->text, out_place);
        if (r == 0)
            job->added_bytes += body_record_bytes(out_place->length);
        return r;
    }
    if (s->new_solo_count == STORE_PENDING_SOLOS_MAX)
        return -EBUSY;
    int r = spool_adopt(s->bodies, job->spool_place.segment);
    if (r < 0)
        return r;
    job->is_adopted = true;
    *out_place = job->spool_place;
    s->new_solos[s->new_solo_count++] = out_place->segment;
    int64_t bytes = body_record_bytes(out_place->length);
    int64_t rows = db_run(job->db,
                          "INSERT INTO segment(id, is_solo, bytes, live, durable)"
                          " VALUES(?1, 1, ?2, ?2, 0)",
                          DB_INT(out_place->segment), DB_INT(bytes));
    return rows < 0 ? (int)rows : 0;
}

int store_body_add(struct store *s, struct job *job, const struct store_body *body)
{
    struct body_place place;

    int r = place_body(s, job, body, &place);
    if (r < 0)
        return r;
    job->has_body = true;
    int64_t rows = db_run(job->db,
                          "INSERT INTO body(id, segment, place, bytes, prefix, crc, refs, state,"
                          " summary) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, 0, ?8)",
                          DB_INT(body->id), DB_INT(place.segment), DB_INT(place.offset),
                          DB_INT(place.length), DB_INT(body->prefix_bytes), DB_INT(place.crc),
                          DB_INT(body->refs), DB_BLOB(body->summary));
    return rows < 0 ? (int)rows : 0;
}

/* Most often all that dies in a group lay in one segment: that is counted at its end. */
static int note_freed(struct job *job, int64_t segment, int64_t bytes)
{
    if (job->freed.bytes > 0 && job->freed.segment != segment)
        return count_freed(job->db, (struct job_freed){.segment = segment, .bytes = bytes});
    job->freed.segment = segment;
    job->freed.bytes += bytes;
    return 0;
}

static int drop_body(struct job *job, int64_t body, int64_t segment, int64_t bytes)
{
    int64_t rows = db_run(job->db, "DELETE FROM body WHERE id = ?1", DB_INT(body));

    return rows < 0 ? (int)rows : note_freed(job, segment, body_record_bytes(bytes));
}

int store_body_ref(struct job *job, int64_t body, int64_t count)
{
    int64_t rows = db_run(job->db, "UPDATE body SET refs = refs + ?2 WHERE id = ?1", DB_INT(body),
                          DB_INT(count));

    return rows < 0 ? (int)rows : 0;
}

int store_body_unref(struct job *job, int64_t body, int64_t count)
{
    struct db_stmt *stmt =
        db_query(job->db, "SELECT refs, segment, bytes FROM body WHERE id = ?1", DB_INT(body));
    int r = db_step(stmt);

    if (r <= 0)
        return r;
    int64_t refs = db_column_int(stmt, 0), segment = db_column_int(stmt, 1);
    int64_t bytes = db_column_int(stmt, 2);
    db_reset(stmt);
    if (refs <= count)
        return drop_body(job, body, segment, bytes);
    int64_t rows = db_run(job->db, "UPDATE body SET refs = refs - ?2 WHERE id = ?1", DB_INT(body),
                          DB_INT(count));
    return rows < 0 ? (int)rows : 0;
}

int store_check_room(const struct store *s)
{
    return s->free_bytes < s->min_free_bytes ? -ENOSPC : 0;
}

void store_release_spool(struct store *s, struct job *job)
{
    if (!job->has_spool)
        return;
    /* What cannot be removed now has no row, and goes at the next start. */
    if (job->is_adopted && job->status < 0 && bodies_drop(s->bodies, job->spool_place.segment) < 0)
        LOG(LOG_WARNING, "store.segment-not-removed", LOG_INT("segment", job->spool_place.segment));
    if (!job->is_adopted)
        spool_discard(s->bodies, &job->spool);
    job->has_spool = false;
}

/* --- opening and closing --- */

static int make_dir(const char *path)
{
    return mkdir(path, 0700) < 0 && errno != EEXIST ? -errno : 0;
}

static int lock_folder(struct store *s, const char *dir)
{
    CLEANUP(cleanup_free) char *path = xasprintf("%s/lock", dir);
    int64_t until_ms = clock_mono_us() / 1000 + LOCK_WAIT_MS;

    s->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (s->lock_fd < 0)
        return -errno;
    while (flock(s->lock_fd, LOCK_EX | LOCK_NB) < 0) {
        if (errno != EWOULDBLOCK || clock_mono_us() / 1000 > until_ms)
            return -EBUSY;
        (void)nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
    }
    return 0;
}

static int open_parts(struct store *s, const struct settings *settings, struct buf *out_text)
{
    CLEANUP(cleanup_free) char *trace = xasprintf("%s/trace.db", settings->server_data_dir);
    CLEANUP(cleanup_free) char *segments = xasprintf("%s/segments", settings->server_data_dir);

    s->db_path = xasprintf("%s/mail.db", settings->server_data_dir);
    int r = make_dir(settings->server_data_dir);
    if (r == 0)
        r = lock_folder(s, settings->server_data_dir);
    if (r == -EBUSY) {
        buf_printf(out_text, "the data folder %s is in use by another server",
                   settings->server_data_dir);
        return r;
    }
    if (r == 0)
        r = make_dir(segments);
    if (r == 0)
        r = db_open(s->db_path, DB_WRITER, true, &s->db);
    if (r < 0) {
        buf_printf(out_text, "the data folder %s cannot be opened for writing",
                   settings->server_data_dir);
        return r;
    }
    r = schema_migrate(s->db, &schema_main, s->db_path, out_text);
    if (r == 0)
        r = trace_db_open(trace, &s->trace, out_text);
    if (r == 0)
        r = bodies_open(segments, (int64_t)settings->store_segment_size, &s->bodies);
    return r;
}

void store_configure(struct store *s, const struct settings *settings)
{
    s->settings = settings;
    s->min_free_bytes = (int64_t)settings->store_min_free_space;
}

static char *reserve_path(const struct store *s)
{
    return xasprintf("%s/reserve", s->settings->server_data_dir);
}

int store_release_reserve(const struct store *s)
{
    CLEANUP(cleanup_free) char *path = reserve_path(s);

    return unlink(path) < 0 ? -errno : 0;
}

/* Room that recovery may need when the disk is full. Without it things go on as well as they can.
 */
static void make_reserve(const struct store *s)
{
    CLEANUP(cleanup_free) char *path = reserve_path(s);
    CLEANUP(cleanup_close) int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

    if (fd >= 0 && posix_fallocate(fd, 0, RESERVE_BYTES) != 0)
        (void)unlink(path);
}

static int count_queue(struct store *s)
{
    int64_t messages = 0, recipients = 0;
    int r = db_get_int(s->db, &messages, "SELECT COUNT(*) FROM queue");

    if (r >= 0)
        r = db_get_int(s->db, &recipients, "SELECT COUNT(*) FROM recipient");
    s->queue_messages = messages;
    s->queue_recipients = recipients;
    if (r >= 0)
        r = db_get_int(s->db, &messages, "SELECT 1 FROM suppression LIMIT 1");
    s->may_suppress = r != 0;
    return r < 0 ? r : 0;
}

void store_count_queue(struct store *s, const struct job *job)
{
    /* Its rows were rolled back. */
    if (job->status < 0)
        return;
    s->queue_messages += job->queue_messages;
    s->queue_recipients += job->queue_recipients;
}

int store_open(const struct settings *settings, struct store **out, struct buf *out_text)
{
    struct store *s = xcalloc(1, sizeof(*s));

    s->lock_fd = -1;
    store_configure(s, settings);
    s->started_ms = clock_mono_ms();
    id_maker_init(&s->ids, (unsigned)settings->server_node, 0);
    fair_init(&s->fair);
    brake_init(&s->sending, SENDING_SLOTS);
    buf_init(&s->key_reports, STORE_KEY_REPORTS_MAX_BYTES);
    int r = open_parts(s, settings, out_text);
    if (r == 0)
        r = store_recover(s, out_text);
    if (r == 0)
        r = count_queue(s);
    if (r == 0)
        r = password_start(s, s->db);
    if (r < 0) {
        store_close(s);
        return r;
    }
    refresh_free_bytes(s);
    make_reserve(s);
    *out = s;
    return 0;
}

int store_start(struct store *s)
{
    struct executor_config config = {
        .store = s,
        .bodies = s->bodies,
        .db_path = s->db_path,
        .writer_db = s->db,
        .reader_threads = (unsigned)s->settings->store_reader_threads,
        .hash_threads = (unsigned)s->settings->auth_hash_threads,
        .before_commit = before_commit,
        .count_freed = count_freed,
        .undo_bodies = undo_bodies,
        .after_group = after_group,
    };

    int r = executor_start(&config, &s->executor);
    s->was_started = r == 0;
    return r;
}

void store_stop(struct store *s, struct list *out_jobs)
{
    executor_stop(s->executor, out_jobs);
    s->executor = NULL;
}

/* Everything was synced: the next start has nothing to check. */
static void mark_all_durable(struct store *s)
{
    if (db_script(s->db, "UPDATE segment SET durable = bytes WHERE durable < bytes") < 0)
        LOG(LOG_WARNING, "store.close-unmarked",
            LOG_C("hint", "the next start checks the last messages again"));
}

void store_keep_key_reports(struct store *s, struct str reports)
{
    buf_reset(&s->key_reports);
    buf_put_str(&s->key_reports, reports);
}

void store_close(struct store *s)
{
    struct list jobs;

    if (s == NULL)
        return;
    list_init(&jobs);
    store_stop(s, &jobs);
    LIST_FOR_EACH (&jobs, it)
        job_free(CONTAINER_OF(it, struct job, link));
    if (s->was_started)
        mark_all_durable(s);
    fair_done(&s->fair);
    brake_done(&s->sending);
    trace_db_close(s->trace);
    db_close(s->db);
    bodies_close(s->bodies);
    if (s->lock_fd >= 0)
        close(s->lock_fd);
    buf_done(&s->key_reports);
    free(s->db_path);
    free(s);
}
