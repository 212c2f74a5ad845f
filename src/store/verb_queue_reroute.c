/*
 * After the routes in the configuration have changed: what waits goes by the new ones. A pass over
 * all recipients in bounded steps, as housekeeping; rows that the worker holds are left to the next
 * pass, what is scheduled finds its way when it is released. What an administrator or a route holds
 * stays held until it is released.
 */
#include <errno.h>

#include "mail/address.h"
#include "store/queue_rows.h"
#include "store/store.h"
#include "store/verbs.h"

enum { ROWS_PER_STEP = 500 };

struct row {
    uint64_t id;
    uint32_t n;
    enum queue_state state;
    unsigned flags, notify;
    struct str address, destination, sender;
};

static int changed(int64_t rows)
{
    return rows < 0 ? (int)rows : 0;
}

static int list_rows(struct job *job, uint64_t after_id, int64_t after_n, struct row *list,
                     size_t *out_count)
{
    struct db_stmt *stmt =
        db_query(job->db,
                 "SELECT r.queue, r.n, r.state, q.flags, r.notify, r.address, r.destination,"
                 " q.sender FROM recipient r JOIN queue q ON q.id = r.queue WHERE r.queue >= ?1"
                 " AND (r.queue > ?1 OR r.n > ?2) ORDER BY r.queue, r.n LIMIT ?3",
                 DB_INT(after_id), DB_INT(after_n), DB_INT(ROWS_PER_STEP));
    int r;

    *out_count = 0;
    while ((r = db_step(stmt)) > 0)
        list[(*out_count)++] =
            (struct row){.id = (uint64_t)db_column_int(stmt, 0),
                         .n = (uint32_t)db_column_int(stmt, 1),
                         .state = (enum queue_state)db_column_int(stmt, 2),
                         .flags = (unsigned)db_column_int(stmt, 3),
                         .notify = (unsigned)db_column_int(stmt, 4),
                         .address = arena_str(&job->arena, db_column_text(stmt, 5)),
                         .destination = arena_str(&job->arena, db_column_text(stmt, 6)),
                         .sender = arena_str(&job->arena, db_column_text(stmt, 7))};
    return r;
}

static void trace_rerouted(struct job *job, const struct row *row, struct str destination)
{
    size_t at = job->trace.len;

    trace_put_event(&job->trace, &(struct trace_event){.ref = row->id,
                                                       .time_ms = job->now_ms,
                                                       .event = STR("rerouted"),
                                                       .address = row->address});
    trace_put_detail(&job->trace, at, "domain", destination);
}

static int move_to(struct store *store, struct job *job, const struct row *row,
                   struct str destination)
{
    trace_rerouted(job, row, destination);
    int r =
        changed(db_run(job->db,
                       "UPDATE recipient SET destination = ?3, state = 0, due = ?4"
                       " WHERE queue = ?1 AND n = ?2",
                       DB_INT(row->id), DB_INT(row->n), DB_TEXT(destination), DB_INT(job->now_ms)));
    return r < 0 ? r : queue_wake_destination(job, store->settings, destination, job->now_ms);
}

/* It stays held; once released, it goes the new way. */
static int redirect_held(struct job *job, const struct row *row, struct str destination)
{
    return changed(db_run(job->db,
                          "UPDATE recipient SET destination = ?3 WHERE queue = ?1 AND n = ?2",
                          DB_INT(row->id), DB_INT(row->n), DB_TEXT(destination)));
}

static int refuse(struct job *job, const struct row *row, const char *text)
{
    if (!queue_wants_report(row->sender, row->flags, row->notify, QUEUE_REPORT_FAILED))
        return queue_remove_recipient(job, row->id, row->n);
    job->wakes_queue = true;
    return changed(db_run(job->db,
                          "UPDATE recipient SET state = 4, report = 1, status = '5.7.1',"
                          " remote = '', reply = ?3 WHERE queue = ?1 AND n = ?2",
                          DB_INT(row->id), DB_INT(row->n), DB_TEXT(str_from_c(text))));
}

static int apply(struct store *store, struct job *job, const struct row *row,
                 const struct queue_route *route)
{
    switch (route->via) {
    case SETTINGS_VIA_HOLD:
        return changed(db_run(job->db, "UPDATE recipient SET state = 3 WHERE queue = ?1 AND n = ?2",
                              DB_INT(row->id), DB_INT(row->n)));
    case SETTINGS_VIA_FAIL:
        return refuse(job, row, route->text);
    case SETTINGS_VIA_DISCARD:
        return queue_remove_recipient(job, row->id, row->n);
    default:
        break;
    }
    return str_eq(route->destination, row->destination)
               ? 0
               : move_to(store, job, row, route->destination);
}

static int look_at(struct store *store, struct job *job, const struct row *row, bool *out_again)
{
    ptrdiff_t at = str_rfind(row->address, '@');
    struct str domain = str_sub(row->address, (size_t)(at + 1), row->address.len);
    struct queue_route route;
    struct buf text;
    bool is_gone;
    int r = 0;

    if (at < 0 || row->state == QUEUE_DONE || row->state == QUEUE_SCHEDULED)
        return 0;
    buf_init(&text, QUEUE_DESTINATION_MAX_BYTES);
    queue_route_find(store->settings, row->sender, domain, &text, &route);
    bool is_end = route.via == SETTINGS_VIA_HOLD || route.via == SETTINGS_VIA_FAIL ||
                  route.via == SETTINGS_VIA_DISCARD;
    bool is_right =
        (!is_end || row->state == QUEUE_HELD) && str_eq(route.destination, row->destination);
    if (row->state == QUEUE_HELD)
        r = is_right ? 0 : redirect_held(job, row, route.destination);
    else if (!is_right && row->state == QUEUE_LEASED)
        *out_again = true;
    else if (!is_right)
        r = apply(store, job, row, &route);
    buf_done(&text);
    return r < 0 || is_right ? r : queue_remove_if_empty(job, row->id, &is_gone);
}

/* queue.reroute: u64 after, u32 after n + 1 -> u8 more, u64 after, u32 after n + 1, u8 look again
 * later */
int verb_queue_reroute(struct store *store, struct job *job)
{
    struct cursor c = job_args(job);
    uint64_t after = cursor_u64(&c);
    int64_t after_n = (int64_t)cursor_u32(&c) - 1;
    struct row *list = arena_alloc(&job->arena, ROWS_PER_STEP * sizeof(list[0]));
    size_t count = 0;
    bool again = false;

    if (cursor_finish(&c) < 0)
        return -EBADMSG;
    int r = list_rows(job, after, after_n, list, &count);
    for (size_t i = 0; r == 0 && i < count; i++)
        r = look_at(store, job, &list[i], &again);
    buf_put_u8(&job->reply, count == ROWS_PER_STEP);
    buf_put_u64(&job->reply, count > 0 ? list[count - 1].id : 0);
    buf_put_u32(&job->reply, count > 0 ? list[count - 1].n + 1 : 0);
    buf_put_u8(&job->reply, again);
    return r;
}
