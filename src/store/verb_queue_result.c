/* queue.result: what became of one transaction, recipient by recipient. */
#include <errno.h>

#include "store/queue_rows.h"
#include "store/store.h"
#include "store/verbs.h"

/* A row as it is before the result. */
struct before {
    struct buf address;
    unsigned notify;
    uint32_t attempts;
    enum queue_state state;
    bool is_late; /* which is still to be told: the notice takes its words from the row */
};

struct outcome {
    struct store *store;
    struct job *job;
    const struct queue_result *result;
    struct str sender; /* in the job's arena */
    unsigned flags;
    int64_t expires_ms;
    unsigned by; /* enum deliver_by bits */
    int64_t deliver_by_ms;
    struct before row;
};

static int changed(int64_t rows)
{
    return rows < 0 ? (int)rows : 0;
}

/* 1, 0 when the message is gone (an administrator dropped it), negative errno. */
static int find_message(struct outcome *o)
{
    struct db_stmt *stmt = db_query(
        o->job->db, "SELECT sender, flags, expires, by_mode, deliver_by FROM queue WHERE id = ?1",
        DB_INT(o->result->message));
    int r = db_step(stmt);

    if (r > 0) {
        o->sender = arena_str(&o->job->arena, db_column_text(stmt, 0));
        o->flags = (unsigned)db_column_int(stmt, 1);
        o->expires_ms = db_column_int(stmt, 2);
        o->by = (unsigned)db_column_int(stmt, 3);
        o->deliver_by_ms = db_column_int(stmt, 4);
    }
    db_reset(stmt);
    return r;
}

static int find_row(struct outcome *o, uint32_t n)
{
    struct db_stmt *stmt = db_query(o->job->db,
                                    "SELECT address, notify, attempts, state,"
                                    " report <> 0 AND status = '4.4.7' FROM recipient"
                                    " WHERE queue = ?1 AND n = ?2",
                                    DB_INT(o->result->message), DB_INT(n));
    int r = db_step(stmt);

    if (r > 0) {
        buf_reset(&o->row.address);
        buf_put_str(&o->row.address, db_column_text(stmt, 0));
        o->row.notify = (unsigned)db_column_int(stmt, 1);
        o->row.attempts = (uint32_t)db_column_int(stmt, 2);
        o->row.state = (enum queue_state)db_column_int(stmt, 3);
        o->row.is_late = db_column_int(stmt, 4) == 1;
    }
    db_reset(stmt);
    return r;
}

/* One event per attempt: when, where, what was said, when next. */
static size_t trace_attempt(struct outcome *o, const char *event,
                            const struct queue_result_recipient *to)
{
    const struct queue_result *q = o->result;
    struct buf *t = &o->job->trace;
    size_t at = t->len;

    trace_put_event(t, &(struct trace_event){.ref = q->message,
                                             .time_ms = o->job->now_ms,
                                             .event = str_from_c(event),
                                             .address = buf_str(&o->row.address)});
    trace_put_detail(t, at, "mx", q->host);
    trace_put_detail(t, at, "ip", q->ip);
    trace_put_detail(t, at, "tls", q->tls);
    trace_put_detail(t, at, "stage", to->stage);
    if (to->code != 0)
        trace_put_number(t, at, "code", to->code);
    trace_put_detail(t, at, "status", to->status);
    trace_put_detail(t, at, "reply", to->text);
    trace_put_detail(t, at, "tried", q->tried);
    return at;
}

/* The row as its report will tell it. */
static int keep_for_report(struct outcome *o, const struct queue_result_recipient *to,
                           enum queue_report report)
{
    o->job->wakes_queue = true;
    return changed(db_run(o->job->db,
                          "UPDATE recipient SET state = 4, report = ?3, attempts = attempts + 1,"
                          " last_attempt = ?4, status = ?5, remote = ?6, reply = ?7"
                          " WHERE queue = ?1 AND n = ?2",
                          DB_INT(o->result->message), DB_INT(to->n), DB_INT(report),
                          DB_INT(o->result->at_ms), DB_TEXT(to->status),
                          DB_TEXT(to->code != 0 ? o->result->host : STR("")), DB_TEXT(to->text)));
}

static int finish(struct outcome *o, const struct queue_result_recipient *to,
                  enum queue_report report)
{
    if (queue_wants_report(o->sender, o->flags, o->row.notify, report))
        return keep_for_report(o, to, report);
    return queue_remove_recipient(o->job, o->result->message, to->n);
}

/* RFC 2852 sections 4.1.4.1 and 4.1.4.2: of every hop, if its sender asked for a trace; and of one
 * that cannot keep the time, if he is to be told when it is missed. */
static bool must_tell_of_hop(const struct outcome *o)
{
    bool has_lost_time = (o->by & DELIVER_BY_NOTIFY) != 0 && !o->result->knows_deliver_by;
    bool is_traced = (o->by & DELIVER_BY_TRACE) != 0 && o->result->knows_deliver_by;

    return (has_lost_time || is_traced) && queue_wants_by_report(o->sender, o->row.notify);
}

/* It goes when its notice is written. */
static int keep_late(struct outcome *o, const struct queue_result_recipient *to)
{
    return changed(db_run(o->job->db,
                          "UPDATE recipient SET state = 4, attempts = attempts + 1,"
                          " last_attempt = ?3 WHERE queue = ?1 AND n = ?2",
                          DB_INT(o->result->message), DB_INT(to->n), DB_INT(o->result->at_ms)));
}

static int note_delivered(struct outcome *o, const struct queue_result_recipient *to)
{
    (void)trace_attempt(o, "relayed", to);
    int r = suppression_forget(o->store, o->job, buf_str(&o->row.address));
    if (r < 0)
        return r;
    if (must_tell_of_hop(o))
        return keep_for_report(o, to, QUEUE_REPORT_RELAYED);
    bool is_told = !o->result->knows_dsn &&
                   queue_wants_report(o->sender, o->flags, o->row.notify, QUEUE_REPORT_RELAYED);
    if (o->row.is_late && !is_told)
        return keep_late(o, to);
    /* A server that knows DSN tells the sender itself (RFC 3461 section 5.2.2). */
    if (o->result->knows_dsn)
        return queue_remove_recipient(o->job, o->result->message, to->n);
    return finish(o, to, QUEUE_REPORT_RELAYED);
}

static int note_failed(struct outcome *o, const struct queue_result_recipient *to)
{
    (void)trace_attempt(o, "failed", to);
    if (suppression_is_about_address(to->code, to->status, to->text)) {
        int r = suppression_count(o->store, o->job, buf_str(&o->row.address), to->text);
        if (r < 0)
            return r;
    }
    return finish(o, to, QUEUE_REPORT_FAILED);
}

/* It is not tried again: RFC 2852 section 4, mode R. */
static int note_too_late(struct outcome *o, const struct queue_result_recipient *to)
{
    struct queue_result_recipient late = {
        .n = to->n,
        .verdict = QUEUE_FAIL,
        .status = STR("5.4.7"),
        .text = str_from_c(
            arena_printf(&o->job->arena, QUEUE_BY_TEXT "; last: %.*s", STR_ARG(to->text))),
        .stage = to->stage};

    return note_failed(o, &late);
}

static int note_deferred(struct outcome *o, const struct queue_result_recipient *to)
{
    int64_t next_ms = o->job->now_ms + queue_pause_ms(o->store->settings, o->row.attempts);
    bool is_held = o->row.state == QUEUE_HELD;
    int state = is_held ? QUEUE_HELD : QUEUE_DEFERRED;

    /* Told twice, because the first answer was lost. */
    if (o->row.state != QUEUE_LEASED && !is_held)
        return 0;
    if ((o->by & DELIVER_BY_RETURN) != 0 && o->job->now_ms >= o->deliver_by_ms)
        return note_too_late(o, to);
    if (o->job->now_ms >= o->expires_ms)
        return note_failed(o, to);
    size_t at = trace_attempt(o, "deferred", to);
    trace_put_number(&o->job->trace, at, "next", next_ms);
    if (o->row.is_late)
        return changed(db_run(o->job->db,
                              "UPDATE recipient SET state = ?3, due = ?4, attempts = attempts + 1,"
                              " last_attempt = ?5 WHERE queue = ?1 AND n = ?2",
                              DB_INT(o->result->message), DB_INT(to->n), DB_INT(state),
                              DB_INT(next_ms), DB_INT(o->result->at_ms)));
    return changed(db_run(o->job->db,
                          "UPDATE recipient SET state = ?3, due = ?4, attempts = attempts + 1,"
                          " last_attempt = ?5, status = ?6, remote = ?7, reply = ?8"
                          " WHERE queue = ?1 AND n = ?2",
                          DB_INT(o->result->message), DB_INT(to->n), DB_INT(state), DB_INT(next_ms),
                          DB_INT(o->result->at_ms), DB_TEXT(to->status),
                          DB_TEXT(to->code != 0 ? o->result->host : STR("")), DB_TEXT(to->text)));
}

static int note_recipient(struct outcome *o, const struct queue_result_recipient *to)
{
    int r = find_row(o, to->n);

    /* Dropped or decided meanwhile; a delivery is told even so. */
    if (r <= 0 || o->row.state == QUEUE_DONE)
        return r < 0 ? r : 0;
    switch ((enum queue_verdict)to->verdict) {
    case QUEUE_DELIVERED:
        return note_delivered(o, to);
    case QUEUE_DEFER:
        return note_deferred(o, to);
    case QUEUE_FAIL:
        return note_failed(o, to);
    case QUEUE_RETURN:
        return changed(db_run(o->job->db,
                              "UPDATE recipient SET state = 0 WHERE queue = ?1 AND n = ?2 AND"
                              " state = 2",
                              DB_INT(o->result->message), DB_INT(to->n)));
    }
    return -EBADMSG;
}

/* queue.result: struct queue_result -> nothing */
int verb_queue_result(struct store *store, struct job *job)
{
    struct cursor c = job_args(job);
    struct queue_result result;
    struct outcome o = {.store = store, .job = job, .result = &result};
    bool is_gone;

    int r = queue_get_result(&c, &job->arena, &result);
    if (r == 0)
        r = find_message(&o);
    if (r <= 0)
        return r;
    buf_init(&o.row.address, QUEUE_DESTINATION_MAX_BYTES);
    r = 0;
    for (size_t i = 0; r == 0 && i < result.count; i++)
        r = note_recipient(&o, &result.recipients[i]);
    buf_done(&o.row.address);
    return r < 0 ? r : queue_remove_if_empty(job, result.message, &is_gone);
}
