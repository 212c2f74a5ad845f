/*
 * What administrators see of the queue and do to it; the suppression list. Formats: queue_wire.h.
 */
#include <errno.h>

#include "mail/address.h"
#include "rt/rpc.h"
#include "store/directory.h"
#include "store/queue_release.h"
#include "store/queue_rows.h"
#include "store/store.h"
#include "store/verbs.h"

enum {
    SUPPRESSION_ROWS_MAX = 500,
    NO_DESTINATION = 255,
    /* A page that has more than this takes no other row. */
    LIST_PAGE_BYTES = JOB_REPLY_MAX_BYTES - QUEUE_ROW_MAX_BYTES,
};
_Static_assert((int)JOB_REPLY_MAX_BYTES <= (int)RPC_PAYLOAD_MAX_BYTES, "replies fit into a frame");

static int changed(int64_t rows)
{
    return rows < 0 ? (int)rows : 0;
}

/* --- which rows --- */

#define ROW_COLUMNS                                                                                \
    "SELECT r.queue, r.n, q.sender, r.address, r.destination, q.created, q.expires, r.due,"        \
    " r.last_attempt, b.bytes - b.prefix, r.state, r.report, q.priority, r.attempts, r.status,"    \
    " r.remote, r.reply, COALESCE(d.state, 255), d.due, d.failures, d.why, q.flags, r.notify,"     \
    " q.release_at, q.deliver_by, q.by_mode"
#define ROW_TABLES " JOIN body b ON b.id = q.body LEFT JOIN destination d ON d.name = r.destination"
/* ?1 ?2: behind this row; ?3: up to this message; ?4 sender, ?5 recipient, ?6 domain, ?7 state + 1
 */
#define ROW_WHERE                                                                                  \
    " AND (+r.queue > ?1 OR (+r.queue = ?1 AND r.n > ?2)) AND +r.queue <= ?3"                      \
    " AND (?5 = '' OR r.address = ?5) AND (?7 = 0 OR r.state = ?7 - 1)"
#define ROW_SENDER " AND (?4 = '' OR q.sender = CASE WHEN ?4 = '<>' THEN '' ELSE ?4 END)"
#define ROW_DOMAIN                                                                                 \
    " AND (?6 = '' OR r.destination = ?6 OR substr(r.destination, 1, length(?6) + 1) = ?6 || '/'"  \
    " OR (substr(r.destination, 1, 1) = '/' AND"                                                   \
    " substr(r.address, length(r.address) - length(?6)) = '@' || ?6))"
#define ROW_ORDER " ORDER BY r.queue, r.n LIMIT ?8"

/* Each begins with the index that serves it best. */
static const char by_message[] =
    ROW_COLUMNS " FROM recipient r JOIN queue q ON q.id = r.queue" ROW_TABLES
                " WHERE r.queue >= ?1 AND r.queue <= ?3" ROW_WHERE ROW_SENDER ROW_DOMAIN ROW_ORDER;
static const char by_sender[] = ROW_COLUMNS
    " FROM queue q JOIN recipient r ON r.queue = q.id" ROW_TABLES
    " WHERE q.sender = CASE WHEN ?4 = '<>' THEN '' ELSE ?4 END" ROW_WHERE ROW_DOMAIN ROW_ORDER;
static const char by_destination[] =
    ROW_COLUMNS " FROM recipient r JOIN queue q ON q.id = r.queue" ROW_TABLES
                " WHERE r.destination >= ?6 AND r.destination < ?6 || '0'" ROW_WHERE ROW_SENDER
                    ROW_DOMAIN ROW_ORDER;

/* Addresses are kept as we print them. */
static struct str normalise(struct job *job, struct str address)
{
    struct str key, printed, domain;
    const char *why;

    if (str_eq(address, STR("<>")) || address.len == 0 ||
        directory_key(&job->arena, address, &key, &printed, &domain, &why) < 0)
        return address;
    return printed;
}

static void get_filter(struct job *job, struct cursor *c, struct queue_filter *f)
{
    struct str domain;

    queue_get_filter(c, f);
    f->sender = normalise(job, f->sender);
    f->recipient = normalise(job, f->recipient);
    if (f->domain.len > 0 && domain_parse(f->domain, &job->arena, &domain) == ADDRESS_OK)
        f->domain = domain;
}

static struct db_stmt *select_rows(struct store *store, struct job *job,
                                   const struct queue_filter *f, uint32_t max)
{
    bool is_by_route = store->settings->route_count > 0;
    const char *sql = by_message;
    uint64_t last = f->id != 0 ? f->id : INT64_MAX;
    uint64_t after = f->after_id;
    int64_t after_n = f->after_n;

    if (f->id == 0 && f->sender.len > 0)
        sql = by_sender;
    else if (f->id == 0 && f->domain.len > 0 && !is_by_route)
        sql = by_destination;
    if (after < f->id || after == 0) {
        after = f->id;
        after_n = -1;
    }
    return db_query(job->db, sql, DB_INT(after), DB_INT(after_n), DB_INT(last), DB_TEXT(f->sender),
                    DB_TEXT(f->recipient), DB_TEXT(f->domain), DB_INT(f->state_plus_1),
                    DB_INT(max));
}

static struct queue_row read_row(struct db_stmt *stmt)
{
    return (struct queue_row){
        .id = (uint64_t)db_column_int(stmt, 0),
        .n = (uint32_t)db_column_int(stmt, 1),
        .sender = db_column_text(stmt, 2),
        .address = db_column_text(stmt, 3),
        .destination = db_column_text(stmt, 4),
        .created_ms = db_column_int(stmt, 5),
        .expires_ms = db_column_int(stmt, 6),
        .due_ms = db_column_int(stmt, 7),
        .last_attempt_ms = db_column_int(stmt, 8),
        .bytes = (uint64_t)db_column_int(stmt, 9),
        .state = (uint8_t)db_column_int(stmt, 10),
        .report = (uint8_t)db_column_int(stmt, 11),
        .priority_plus_100 = (uint8_t)(db_column_int(stmt, 12) + 100),
        .attempts = (uint32_t)db_column_int(stmt, 13),
        .status = db_column_text(stmt, 14),
        .remote = db_column_text(stmt, 15),
        .reply = db_column_text(stmt, 16),
        .destination_state = (uint8_t)db_column_int(stmt, 17),
        .destination_due_ms = db_column_int(stmt, 18),
        .destination_failures = (uint32_t)db_column_int(stmt, 19),
        .destination_why = db_column_text(stmt, 20),
        .release_ms = db_column_int(stmt, 23),
        .deliver_by_ms = db_column_int(stmt, 24),
        .by = (uint8_t)(db_column_int(stmt, 25) & DELIVER_BY_ALL),
    };
}

/* queue.list */
int verb_queue_list(struct store *store, struct job *job)
{
    struct cursor c = job_args(job);
    struct queue_filter filter;
    uint32_t count = 0;
    int r;

    get_filter(job, &c, &filter);
    uint32_t max = cursor_u32(&c);
    if (cursor_finish(&c) < 0)
        return -EBADMSG;
    max = MIN(max, (uint32_t)QUEUE_LIST_ROWS_MAX);
    buf_put_u8(&job->reply, 0);
    /* One more than the page has tells whether it is the last. */
    struct db_stmt *stmt = select_rows(store, job, &filter, max + 1);
    while ((r = db_step(stmt)) > 0 && count < max && job->reply.len <= LIST_PAGE_BYTES) {
        struct queue_row row = read_row(stmt);
        queue_put_row(&job->reply, &row);
        count++;
    }
    job->reply.ptr[0] = r > 0;
    db_reset(stmt);
    return MIN(r, 0);
}

/* --- queue.act --- */

/* What an action needs to know of a row. */
struct target {
    uint64_t id;
    uint32_t n;
    struct str address, destination, sender;
    enum queue_state state;
    int64_t due_ms;
    unsigned flags, notify;
};

static void trace_act(struct job *job, const struct target *t, const char *event)
{
    size_t at = job->trace.len;

    trace_put_event(&job->trace, &(struct trace_event){.ref = t->id,
                                                       .time_ms = job->now_ms,
                                                       .event = str_from_c(event),
                                                       .address = t->address});
    trace_put_detail(&job->trace, at, "by", STR("administrator"));
}

/* Its destination is asked now, whatever it was waiting for. */
static int make_ready(struct store *store, struct job *job, const struct target *t)
{
    int r = changed(db_run(job->db,
                           "UPDATE recipient SET state = 0, due = ?3 WHERE queue = ?1 AND n = ?2",
                           DB_INT(t->id), DB_INT(t->n), DB_INT(job->now_ms)));

    if (r == 0)
        r = queue_wake_destination(job, store->settings, t->destination, job->now_ms);
    if (r == 0)
        r = changed(db_run(job->db,
                           "UPDATE destination SET asked = 1, due = CASE WHEN state = 1 AND"
                           " due > ?2 THEN ?2 ELSE due END WHERE name = ?1",
                           DB_TEXT(t->destination), DB_INT(job->now_ms)));
    job->wakes_queue = true;
    return r;
}

/* It is released once all rows of its message that are meant are marked. */
static int make_due(struct job *job, const struct target *t)
{
    return changed(db_run(job->db,
                          "UPDATE recipient SET due = ?3 WHERE queue = ?1 AND n = ?2 AND state = 5",
                          DB_INT(t->id), DB_INT(t->n), DB_INT(job->now_ms)));
}

static int hold(struct job *job, const struct target *t)
{
    trace_act(job, t, "held");
    if (t->state == QUEUE_SCHEDULED)
        return changed(db_run(job->db, "UPDATE recipient SET due = ?3 WHERE queue = ?1 AND n = ?2",
                              DB_INT(t->id), DB_INT(t->n), DB_INT(QUEUE_NO_TIME)));
    return changed(db_run(job->db, "UPDATE recipient SET state = 3 WHERE queue = ?1 AND n = ?2",
                          DB_INT(t->id), DB_INT(t->n)));
}

static int drop(struct job *job, const struct target *t, const char *event)
{
    trace_act(job, t, event);
    return queue_remove_recipient(job, t->id, t->n);
}

static bool is_told(const struct target *t)
{
    return queue_wants_report(t->sender, t->flags, t->notify, QUEUE_REPORT_FAILED);
}

/* Where nobody may be told, it is a drop. */
static int bounce(struct job *job, const struct target *t)
{
    if (!is_told(t))
        return drop(job, t, "dropped");
    trace_act(job, t, "returned");
    job->wakes_queue = true;
    return changed(db_run(job->db,
                          "UPDATE recipient SET state = 4, report = ?3, last_attempt = ?4,"
                          " status = '5.7.0', remote = '', reply ="
                          " 'returned by the administrator of the server'"
                          " WHERE queue = ?1 AND n = ?2",
                          DB_INT(t->id), DB_INT(t->n), DB_INT(QUEUE_REPORT_FAILED),
                          DB_INT(job->now_ms)));
}

/* 1 when the row was changed, 0 when the action does not apply to it. */
static int act(struct store *store, struct job *job, enum queue_action action,
               const struct target *t)
{
    bool is_waiting = t->state == QUEUE_READY || t->state == QUEUE_DEFERRED;
    bool is_scheduled = t->state == QUEUE_SCHEDULED;
    int r = 0;

    /* What is being sent right now may have arrived already. */
    if (t->state == QUEUE_DONE || t->state == QUEUE_LEASED)
        return 0;
    switch (action) {
    case QUEUE_ACT_RETRY:
        if (!is_waiting)
            return 0;
        trace_act(job, t, "retried");
        r = make_ready(store, job, t);
        break;
    case QUEUE_ACT_RELEASE:
        if (t->state != QUEUE_HELD && !is_scheduled)
            return 0;
        trace_act(job, t, "released");
        r = is_scheduled ? make_due(job, t) : make_ready(store, job, t);
        break;
    case QUEUE_ACT_HOLD:
        if (t->state == QUEUE_HELD || (is_scheduled && t->due_ms == QUEUE_NO_TIME))
            return 0;
        r = hold(job, t);
        break;
    case QUEUE_ACT_DROP:
        r = drop(job, t, "dropped");
        break;
    case QUEUE_ACT_CANCEL:
        if (!is_scheduled)
            return 0;
        r = drop(job, t, "cancelled");
        break;
    case QUEUE_ACT_BOUNCE:
        r = bounce(job, t);
        break;
    }
    return r < 0 ? r : 1;
}

/* After the last row of a message that was acted upon. */
static int end_message(struct store *store, struct job *job, enum queue_action action, uint64_t id)
{
    bool is_gone = false;
    int r = action == QUEUE_ACT_RELEASE ? queue_release_due(store, job, id, false) : 0;

    if (r >= 0)
        r = queue_remove_if_empty(job, id, &is_gone);
    if (r == 0 && !is_gone && action == QUEUE_ACT_RELEASE)
        r = queue_set_alarm(job, id, 0);
    return r;
}

static int list_targets(struct store *store, struct job *job, const struct queue_filter *filter,
                        struct target *list, size_t *out_count)
{
    struct db_stmt *stmt = select_rows(store, job, filter, QUEUE_ACT_ROWS_MAX);
    int r;

    *out_count = 0;
    while ((r = db_step(stmt)) > 0) {
        struct queue_row row = read_row(stmt);
        list[(*out_count)++] =
            (struct target){.id = row.id,
                            .n = row.n,
                            .address = arena_str(&job->arena, row.address),
                            .destination = arena_str(&job->arena, row.destination),
                            .sender = arena_str(&job->arena, row.sender),
                            .state = (enum queue_state)row.state,
                            .due_ms = row.due_ms,
                            .flags = (unsigned)db_column_int(stmt, 21),
                            .notify = (unsigned)db_column_int(stmt, 22)};
    }
    return r;
}

/* queue.act */
int verb_queue_act(struct store *store, struct job *job)
{
    struct cursor c = job_args(job);
    enum queue_action action = (enum queue_action)cursor_u8(&c);
    struct queue_filter filter;
    size_t count = 0;
    uint32_t acted = 0, untold = 0;

    get_filter(job, &c, &filter);
    if (cursor_finish(&c) < 0 || action < QUEUE_ACT_RETRY || action > QUEUE_ACT_CANCEL)
        return -EBADMSG;
    struct target *list = arena_alloc(&job->arena, QUEUE_ACT_ROWS_MAX * sizeof(list[0]));
    int r = list_targets(store, job, &filter, list, &count);
    for (size_t i = 0; r >= 0 && i < count; i++) {
        r = act(store, job, action, &list[i]);
        acted += r > 0;
        untold += r > 0 && action == QUEUE_ACT_BOUNCE && !is_told(&list[i]);
        bool is_last_of_message = i + 1 == count || list[i + 1].id != list[i].id;
        if (r >= 0 && is_last_of_message)
            r = end_message(store, job, action, list[i].id);
    }
    if (r < 0)
        return r;
    buf_put_u32(&job->reply, acted);
    buf_put_u32(&job->reply, untold);
    buf_put_u8(&job->reply, count == QUEUE_ACT_ROWS_MAX);
    buf_put_u64(&job->reply, count > 0 ? list[count - 1].id : 0);
    buf_put_u32(&job->reply, count > 0 ? list[count - 1].n : 0);
    return 0;
}

/* --- queue.why, queue.stats --- */

static int put_counts(struct job *job, struct str destination)
{
    int64_t counts[QUEUE_STATES];
    int r = queue_count_states(job->db, destination, counts);

    for (size_t i = 0; i < ARRAY_LEN(counts); i++)
        buf_put_u64(&job->reply, (uint64_t)counts[i]);
    return r;
}

static int put_replies(struct job *job, struct str name)
{
    size_t at = job->reply.len;
    uint32_t count = 0;
    int r;

    buf_put_u32(&job->reply, 0);
    struct db_stmt *stmt =
        db_query(job->db,
                 "SELECT COUNT(*), MIN(due), status, remote, reply FROM (SELECT due, status,"
                 " remote, reply FROM recipient WHERE destination = ?1 AND state = 1 ORDER BY due"
                 " LIMIT ?2) AS newest GROUP BY status, remote, reply ORDER BY 1 DESC LIMIT ?3",
                 DB_TEXT(name), DB_INT(QUEUE_WHY_SAMPLE), DB_INT(QUEUE_WHY_REPLIES_MAX));
    while ((r = db_step(stmt)) > 0) {
        buf_put_u64(&job->reply, (uint64_t)db_column_int(stmt, 0));
        buf_put_u64(&job->reply, (uint64_t)db_column_int(stmt, 1));
        for (int i = 2; i < 5; i++)
            buf_put_lp(&job->reply, db_column_text(stmt, i));
        count++;
    }
    buf_patch_u32(&job->reply, at, count);
    return r;
}

static int put_destination(struct job *job, struct str name)
{
    struct db_stmt *stmt =
        db_query(job->db,
                 "SELECT state, due, failures, since, last_attempt, status, why, code FROM"
                 " destination"
                 " WHERE name = ?1",
                 DB_TEXT(name));
    int r = db_step(stmt);

    buf_put_lp(&job->reply, name);
    buf_put_u8(&job->reply, r > 0 ? (uint8_t)db_column_int(stmt, 0) : (uint8_t)NO_DESTINATION);
    buf_put_u64(&job->reply, r > 0 ? (uint64_t)db_column_int(stmt, 1) : 0);
    buf_put_u32(&job->reply, r > 0 ? (uint32_t)db_column_int(stmt, 2) : 0);
    buf_put_u64(&job->reply, r > 0 ? (uint64_t)db_column_int(stmt, 3) : 0);
    buf_put_u64(&job->reply, r > 0 ? (uint64_t)db_column_int(stmt, 4) : 0);
    buf_put_lp(&job->reply, r > 0 ? db_column_text(stmt, 5) : STR(""));
    buf_put_u32(&job->reply, r > 0 ? (uint32_t)db_column_int(stmt, 7) : 0);
    buf_put_lp(&job->reply, r > 0 ? db_column_text(stmt, 6) : STR(""));
    db_reset(stmt);
    if (r >= 0)
        r = put_counts(job, name);
    return r < 0 ? r : put_replies(job, name);
}

/* The destinations that mail for this domain may wait at: itself, itself under a route, the hosts
 * of a route. */
static int list_destinations(struct job *job, struct str domain, struct str *names, size_t max,
                             size_t *out_count)
{
    struct db_stmt *stmt =
        db_query(job->db,
                 "SELECT DISTINCT destination FROM recipient WHERE destination = ?1 UNION"
                 " SELECT DISTINCT destination FROM recipient WHERE destination > ?1 || '/' AND"
                 " destination < ?1 || '0' UNION"
                 " SELECT DISTINCT destination FROM recipient WHERE destination > '/' AND"
                 " destination < '0' AND substr(address, length(address) - length(?1)) ="
                 " '@' || ?1 UNION SELECT name FROM destination WHERE name = ?1 LIMIT ?2",
                 DB_TEXT(domain), DB_INT(max));
    int r;

    *out_count = 0;
    while ((r = db_step(stmt)) > 0)
        names[(*out_count)++] = arena_str(&job->arena, db_column_text(stmt, 0));
    return r;
}

/* queue.why */
int verb_queue_why(struct store *store, struct job *job)
{
    struct cursor c = job_args(job);
    struct str asked = cursor_lp(&c), domain;
    struct str names[QUEUE_STATS_DESTINATIONS];
    size_t count;

    (void)store;
    if (cursor_finish(&c) < 0)
        return -EBADMSG;
    /* The name of a destination as queue list shows it is taken as well. */
    bool is_name = str_find(asked, '/') >= 0 || str_has_prefix(asked, STR("["));
    if (is_name || domain_parse(asked, &job->arena, &domain) != ADDRESS_OK)
        domain = asked;
    int r = list_destinations(job, domain, names, ARRAY_LEN(names), &count);
    buf_put_u32(&job->reply, (uint32_t)count);
    for (size_t i = 0; r == 0 && i < count; i++)
        r = put_destination(job, names[i]);
    return r;
}

static int put_largest(struct job *job)
{
    size_t at = job->reply.len;
    uint32_t count = 0;
    int r;

    buf_put_u32(&job->reply, 0);
    struct db_stmt *stmt = db_query(
        job->db,
        "SELECT t.destination, COALESCE(d.state, 255), d.due, d.failures, d.why, t.total,"
        " t.moving FROM (SELECT destination, COUNT(*) AS total,"
        " SUM(CASE WHEN state <= 2 THEN 1 ELSE 0 END) AS moving FROM recipient GROUP BY destination"
        " ORDER BY 2 DESC LIMIT ?1) AS t LEFT JOIN destination d ON d.name ="
        " t.destination ORDER BY t.total DESC, t.destination",
        DB_INT(QUEUE_STATS_DESTINATIONS));
    while ((r = db_step(stmt)) > 0) {
        buf_put_lp(&job->reply, db_column_text(stmt, 0));
        buf_put_u8(&job->reply, (uint8_t)db_column_int(stmt, 1));
        buf_put_u64(&job->reply, (uint64_t)db_column_int(stmt, 2));
        buf_put_u32(&job->reply, (uint32_t)db_column_int(stmt, 3));
        buf_put_lp(&job->reply, db_column_text(stmt, 4));
        buf_put_u64(&job->reply, (uint64_t)db_column_int(stmt, 5));
        buf_put_u64(&job->reply, (uint64_t)db_column_int(stmt, 6));
        count++;
    }
    buf_patch_u32(&job->reply, at, count);
    return r;
}

/* queue.stats */
int verb_queue_stats(struct store *store, struct job *job)
{
    int64_t oldest_ms = 0;

    buf_put_u64(&job->reply, (uint64_t)store->queue_messages);
    int r = put_counts(job, STR(""));
    if (r == 0)
        r = db_get_int(job->db, &oldest_ms, "SELECT created FROM queue ORDER BY id LIMIT 1");
    buf_put_u64(&job->reply, (uint64_t)oldest_ms);
    return r < 0 ? r : put_largest(job);
}

/* --- suppression --- */

/* suppression.list */
int verb_suppression_list(struct store *store, struct job *job)
{
    struct cursor c = job_args(job);
    struct str after = cursor_lp(&c);
    uint32_t max = cursor_u32(&c);
    int r;

    (void)store;
    if (cursor_finish(&c) < 0)
        return -EBADMSG;
    struct db_stmt *stmt = db_query(
        job->db,
        "SELECT address, failures, is_active, first, last, expires, reply FROM suppression"
        " WHERE address > ?1 AND expires > ?2 ORDER BY address LIMIT ?3",
        DB_TEXT(after), DB_INT(job->now_ms), DB_INT(MIN(max, (uint32_t)SUPPRESSION_ROWS_MAX)));
    while ((r = db_step(stmt)) > 0) {
        buf_put_lp(&job->reply, db_column_text(stmt, 0));
        buf_put_u32(&job->reply, (uint32_t)db_column_int(stmt, 1));
        buf_put_u8(&job->reply, db_column_int(stmt, 2) != 0);
        for (int i = 3; i < 6; i++)
            buf_put_u64(&job->reply, (uint64_t)db_column_int(stmt, i));
        buf_put_lp(&job->reply, db_column_text(stmt, 6));
    }
    return r;
}

/* suppression.remove */
int verb_suppression_remove(struct store *store, struct job *job)
{
    struct cursor c = job_args(job);
    struct str address = cursor_lp(&c);

    (void)store;
    if (cursor_finish(&c) < 0)
        return -EBADMSG;
    int64_t rows = db_run(job->db, "DELETE FROM suppression WHERE ?1 = '' OR address = LOWER(?1)",
                          DB_TEXT(normalise(job, address)));
    if (rows < 0)
        return (int)rows;
    job->changes_suppression = true;
    buf_put_u32(&job->reply, (uint32_t)rows);
    return 0;
}
