/*
 * What the outbound worker asks of the queue: destinations to open and to close. What it takes from
 * them is in verb_queue_take.c, how it went in verb_queue_result.c.
 *
 * Destinations and recipients in its hands are leased by their state (ACTIVE, LEASED); there is one
 * worker, and when it starts, or gets a new channel, what nobody holds is given back (queue.begin).
 * Everything here is a write in the order of the writer thread, so that a result that was sent
 * before a crash of the worker is known before its successor takes anything.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/log.h"
#include "store/queue_rows.h"
#include "store/store.h"
#include "store/verbs.h"

enum { DOWN_TRACED_MAX = 20 /* messages whose trace tells of a destination that is down */ };

static int changed(int64_t rows)
{
    return rows < 0 ? (int)rows : 0;
}

/* --- queue.begin --- */

static int give_back(struct job *job, struct str name)
{
    int r = changed(db_run(job->db,
                           "UPDATE recipient SET state = 0 WHERE destination = ?1 AND state = 2",
                           DB_TEXT(name)));

    job->wakes_queue = true;
    if (r == 0)
        r = changed(db_run(job->db, "UPDATE destination SET state = 0, due = ?2 WHERE name = ?1",
                           DB_TEXT(name), DB_INT(job->now_ms)));
    return r;
}

/* The next destination in somebody's hands that is not in the map: 1, 0, negative errno. */
static int next_abandoned(struct job *job, const struct map *held, struct buf *last)
{
    struct db_stmt *stmt = db_query(job->db,
                                    "SELECT name FROM destination WHERE +state = 2 AND name > ?1"
                                    " ORDER BY name",
                                    DB_TEXT(buf_str(last)));
    int r;

    while ((r = db_step(stmt)) > 0 && map_get(held, db_column_text(stmt, 0)) != NULL)
        continue;
    struct str name = r > 0 ? arena_str(&job->arena, db_column_text(stmt, 0)) : STR("");
    db_reset(stmt);
    buf_reset(last);
    buf_put_str(last, name);
    return r;
}

/* queue.begin: lp names of the destinations that the worker holds -> nothing. Whatever else is
 * leased belonged to a worker that has died, or to a request whose answer was lost. */
int verb_queue_begin(struct store *store, struct job *job)
{
    static char mark;
    struct cursor c = job_args(job);
    struct map held;
    struct buf last;
    int r = 1;

    (void)store;
    map_init(&held, job->payload_bytes / 4 + 1);
    while (cursor_status(&c) == 0 && cursor_left(&c) > 0)
        (void)!map_set(&held, cursor_lp(&c), &mark);
    buf_init(&last, QUEUE_DESTINATION_MAX_BYTES);
    while (r > 0) {
        r = next_abandoned(job, &held, &last);
        if (r > 0) {
            int given = give_back(job, buf_str(&last));
            r = given < 0 ? given : 1;
        }
    }
    buf_done(&last);
    map_done(&held);
    return r < 0 ? r : cursor_finish(&c);
}

/* --- queue.open --- */

/* What they are told as they are opened; see "asked" in schema.c. */
#define OPEN_DESTINATIONS                                                                          \
    "UPDATE destination SET state = 2, lease = lease + 1,"                                         \
    " asked = CASE WHEN asked > 0 THEN 2 ELSE 0 END WHERE name IN"

static int open_some(struct job *job, const char *sql, uint32_t max, struct queue_opened *o)
{
    int r = 1;

    max = MIN(max, (uint32_t)(QUEUE_DESTINATIONS_MAX - o->count));
    struct db_stmt *stmt = db_query(job->db, sql, DB_INT(max), DB_INT(job->now_ms));
    while ((r = db_step(stmt)) > 0)
        o->destinations[o->count++] =
            (struct queue_destination){.name = arena_str(&job->arena, db_column_text(stmt, 0)),
                                       .failures = (uint32_t)db_column_int(stmt, 1),
                                       .lease = (uint64_t)db_column_int(stmt, 2),
                                       .place = db_column_int(stmt, 3),
                                       .is_asked = db_column_int(stmt, 4) > 0};
    return r;
}

/* The `due` of one that has waited is a time; its messages know their places. */
static int find_places(struct job *job, struct queue_opened *o)
{
    int r = 0;

    for (size_t i = 0; r >= 0 && i < o->count; i++)
        r = db_get_int(job->db, &o->destinations[i].place,
                       "SELECT due FROM recipient WHERE destination = ?1 AND state = 0"
                       " ORDER BY due LIMIT 1",
                       DB_TEXT(o->destinations[i].name));
    return MIN(r, 0);
}

/* What is due later: the next destination, the next message to be looked at as a whole. */
static int find_next(struct job *job, struct queue_opened *o)
{
    int64_t due_ms = INT64_MAX, alarm_ms = INT64_MAX, report = 0;
    int r = db_get_int(job->db, &due_ms,
                       "SELECT due FROM destination WHERE state = 1 ORDER BY due LIMIT 1");

    if (r >= 0)
        r = db_get_int(job->db, &alarm_ms, "SELECT alarm FROM queue ORDER BY alarm LIMIT 1");
    if (r >= 0)
        r = db_get_int(job->db, &report, "SELECT 1 FROM recipient WHERE report <> 0 LIMIT 1");
    o->next_ms = MIN(due_ms, alarm_ms);
    o->has_alarms = alarm_ms <= job->now_ms;
    o->has_reports = report != 0;
    return r < 0 ? r : 0;
}

/* queue.open: u32 ready destinations, u32 waiting ones -> struct queue_opened */
int verb_queue_open(struct store *store, struct job *job)
{
    struct cursor c = job_args(job);
    uint32_t ready = cursor_u32(&c), waiting = cursor_u32(&c);
    struct queue_opened o = {.generation = job->generation};

    (void)store;
    if (cursor_finish(&c) < 0)
        return -EBADMSG;
    o.destinations = arena_alloc(&job->arena, QUEUE_DESTINATIONS_MAX * sizeof(o.destinations[0]));
    int r = open_some(
        job,
        OPEN_DESTINATIONS
        " (SELECT name FROM destination WHERE state = 1 AND due <= ?2 ORDER BY due LIMIT ?1)"
        " RETURNING name, failures, lease, due, asked",
        waiting, &o);
    if (r == 0)
        r = find_places(job, &o);
    if (r == 0)
        r = open_some(
            job,
            OPEN_DESTINATIONS
            " (SELECT name FROM destination WHERE state = 0 AND ?2 >= 0 ORDER BY due LIMIT ?1)"
            " RETURNING name, failures, lease, due, asked",
            ready, &o);
    if (r == 0)
        r = find_next(job, &o);
    queue_put_opened(&job->reply, &o);
    return r;
}

/* --- queue.close --- */

static void trace_down(struct job *job, const struct queue_closed *d, uint64_t id,
                       struct str address, int64_t next_ms)
{
    struct buf *t = &job->trace;
    size_t at = t->len;
    struct str event = d->is_untried ? STR("waits") : STR("deferred");

    trace_put_event(t, &(struct trace_event){
                           .ref = id, .time_ms = job->now_ms, .event = event, .address = address});
    trace_put_detail(t, at, "mx", d->host);
    trace_put_detail(t, at, "status", d->status);
    trace_put_detail(t, at, "reply", d->why);
    trace_put_number(t, at, "next", next_ms);
}

/* The first messages in its order hear of it; the others wait with them. */
static int trace_waiting(struct job *job, const struct queue_closed *d, int64_t next_ms)
{
    struct db_stmt *stmt = db_query(job->db,
                                    "SELECT queue, address FROM recipient WHERE destination = ?1"
                                    " AND state = 0 ORDER BY due, queue, n LIMIT ?2",
                                    DB_TEXT(d->name), DB_INT(DOWN_TRACED_MAX));
    int r;

    while ((r = db_step(stmt)) > 0)
        trace_down(job, d, (uint64_t)db_column_int(stmt, 0), db_column_text(stmt, 1), next_ms);
    return r;
}

static int forget(struct job *job, struct str name)
{
    return changed(db_run(job->db, "DELETE FROM destination WHERE name = ?1", DB_TEXT(name)));
}

/* Of the destination: how often it was found down, and whether an administrator has asked for it
 * since it was opened. 1, 0, negative errno. */
static int read_standing(struct job *job, struct str name, uint32_t *out_failures,
                         bool *out_is_asked)
{
    struct db_stmt *stmt =
        db_query(job->db, "SELECT failures, asked FROM destination WHERE name = ?1", DB_TEXT(name));
    int r = db_step(stmt);

    if (r > 0) {
        *out_failures = (uint32_t)db_column_int(stmt, 0);
        *out_is_asked = db_column_int(stmt, 1) == 1;
    }
    db_reset(stmt);
    return r;
}

/* When it is to be tried next. */
static int64_t next_try_ms(const struct store *store, const struct job *job,
                           const struct queue_closed *d, uint32_t failures, bool is_asked)
{
    if (is_asked)
        return job->now_ms;
    if (d->is_untried)
        return MAX(d->not_before_ms, job->now_ms);
    return MAX(job->now_ms + queue_pause_ms(store->settings, failures), d->not_before_ms);
}

static int close_down(struct store *store, struct job *job, const struct queue_closed *d)
{
    int64_t n = 0;
    uint32_t failures = 0;
    bool is_asked = false;
    int r = db_get_int(job->db, &n,
                       "SELECT n FROM recipient WHERE destination = ?1 AND state IN (0, 1) LIMIT 1",
                       DB_TEXT(d->name));

    /* All its mail has come to an end: nobody asks for it any more. */
    if (r == 0)
        return forget(job, d->name);
    if (r > 0)
        r = read_standing(job, d->name, &failures, &is_asked);
    if (r <= 0)
        return r;
    int64_t next_ms = next_try_ms(store, job, d, failures, is_asked);
    job->wakes_queue = true; /* the worker's sleep must end in time for it */
    /* One that was not tried counts as down, but that is no further attempt. */
    r = changed(db_run(job->db,
                       "UPDATE destination SET state = 1, due = ?2, asked = ?6, failures = CASE"
                       " WHEN ?7 = 0 THEN failures + 1 WHEN failures = 0 THEN 1 ELSE failures END,"
                       " since = CASE WHEN failures = 0 THEN ?3 ELSE since END,"
                       " last_attempt = CASE WHEN ?7 = 0 THEN ?3 ELSE last_attempt END,"
                       " status = ?4, why = ?5, code = ?8 WHERE name = ?1",
                       DB_TEXT(d->name), DB_INT(next_ms), DB_INT(job->now_ms), DB_TEXT(d->status),
                       DB_TEXT(d->why), DB_INT(is_asked), DB_INT(d->is_untried), DB_INT(d->code)));
    return r < 0 ? r : trace_waiting(job, d, next_ms);
}

/* It was reached: what is left is ready, waits for its time, or there is nothing. */
static int close_up(struct job *job, const struct queue_closed *d)
{
    int64_t due = 0;
    int state = QUEUE_DESTINATION_READY;
    int r = db_get_int(job->db, &due,
                       "SELECT due FROM recipient WHERE destination = ?1 AND state = 0"
                       " ORDER BY due LIMIT 1",
                       DB_TEXT(d->name));

    if (r == 0) {
        state = QUEUE_DESTINATION_WAITING;
        r = db_get_int(job->db, &due,
                       "SELECT due FROM recipient WHERE destination = ?1 AND state = 1"
                       " ORDER BY due LIMIT 1",
                       DB_TEXT(d->name));
    }
    if (r < 0)
        return r;
    if (r == 0)
        return forget(job, d->name);
    if (d->not_before_ms > job->now_ms) {
        /* `due` of what is ready is a place in the order, not a time. */
        bool is_time = state == QUEUE_DESTINATION_WAITING;
        due = is_time ? MAX(due, d->not_before_ms) : d->not_before_ms;
        state = QUEUE_DESTINATION_WAITING;
    }
    job->wakes_queue = true;
    return changed(
        db_run(job->db,
               "UPDATE destination SET state = ?2, due = ?3, failures = 0, since = 0,"
               " asked = 0, last_attempt = ?4, status = ?5, why = ?6, code = 0 WHERE name = ?1",
               DB_TEXT(d->name), DB_INT(state), DB_INT(due), DB_INT(job->now_ms),
               DB_TEXT(d->status), DB_TEXT(d->why)));
}

/* queue.close: struct queue_closed -> nothing */
int verb_queue_close(struct store *store, struct job *job)
{
    struct cursor c = job_args(job);
    struct queue_closed d;

    int64_t is_open = 0;

    int r = queue_get_closed(&c, &d);
    if (r == 0)
        r = db_get_int(job->db, &is_open,
                       "SELECT 1 FROM destination WHERE name = ?1 AND state = 2 AND lease = ?2",
                       DB_TEXT(d.name), DB_INT(d.lease));
    /* Said twice, because the first answer was lost; it may be in other hands by now. */
    if (r <= 0)
        return r;
    r = changed(db_run(job->db,
                       "UPDATE recipient SET state = 0 WHERE destination = ?1 AND state = 2",
                       DB_TEXT(d.name)));
    if (r < 0)
        return r;
    return d.is_down ? close_down(store, job, &d) : close_up(job, &d);
}
