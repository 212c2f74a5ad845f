/* A message comes in: see deliver_plan.h. */
#include "store/deliver_plan.h"

#include <errno.h>

#include "store/plan.h"
#include "store/queue_rows.h"
#include "store/usage.h"

static void trace_accepted(struct job *job, const struct deliver_request *q, int64_t bytes)
{
    struct buf *t = &job->trace;
    size_t at = t->len;

    trace_put_event(t, &(struct trace_event){.ref = q->message_id,
                                             .session = q->session_id,
                                             .time_ms = job->now_ms,
                                             .event = STR("accepted"),
                                             .address = q->sender});
    trace_put_detail(t, at, "peer", q->peer);
    trace_put_detail(t, at, "helo", q->helo);
    if (q->login.len > 0)
        trace_put_detail(t, at, "login", q->login);
    trace_put_number(t, at, "bytes", bytes);
    trace_put_number(t, at, "recipients", (int64_t)q->recipient_count);
    if (q->flags & DELIVER_SMTPUTF8)
        trace_put_detail(t, at, "smtputf8", STR("yes"));
    if (q->flags & DELIVER_REQUIRETLS)
        trace_put_detail(t, at, "requiretls", STR("yes"));
    if (q->flags & DELIVER_HAS_PRIORITY)
        trace_put_number(t, at, "priority", q->priority);
    if (q->envid.len > 0)
        trace_put_detail(t, at, "envid", q->envid);
}

/* Whether it is kept until a time that is still to come. */
static bool is_scheduled(const struct plan *p)
{
    return p->request->release_ms > p->job->now_ms;
}

static int put_in_queue(struct plan *p)
{
    const struct deliver_request *q = p->request;
    const int64_t now_ms = p->job->now_ms;
    struct queue_times times = {.by_ms = q->by != 0 ? q->deliver_by_ms : 0};

    if (p->row_count == 0)
        return 0;
    queue_count_times(p->settings, q->sender, MAX(now_ms, q->release_ms), &times);
    if (is_scheduled(p)) {
        times.release_ms = q->release_ms;
        times.warn_ms = 0;
        p->job->wakes_queue = true; /* the worker's sleep must end in time for it */
    }
    int64_t changed = db_run(
        p->job->db,
        "INSERT INTO queue(id, body, sender, envid, ret, flags, created, priority, alarm, expires,"
        " warn, release_at, release_request, deliver_by, by_mode, next_n)"
        " VALUES(?1, ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)",
        DB_INT(q->message_id), DB_TEXT(q->sender), DB_TEXT(q->envid), DB_INT(q->ret),
        DB_INT(q->flags & ~DELIVER_ONCE), DB_INT(now_ms), DB_INT(plan_priority(q)),
        DB_INT(queue_next_alarm(&times)), DB_INT(times.expires_ms), DB_INT(times.warn_ms),
        DB_INT(q->release_ms), DB_TEXT(q->release_request), DB_INT(q->deliver_by_ms), DB_INT(q->by),
        DB_INT(p->row_count));
    p->job->queue_messages++;
    return changed < 0 ? (int)changed : plan_put_rows(p, 0);
}

/* What could refuse the message, before anything is changed. */
static int check_plan(struct plan *p, struct usage *usage)
{
    const struct deliver_request *q = p->request;
    int64_t known = 0;
    /* A notice takes the place of what it is about. */
    bool is_notice = q->sender.len == 0 && q->peer.len == 0;
    bool is_full = p->store->queue_messages >= p->settings->store_max_queue_messages;

    int r = buf_status(&p->rows);
    if (r < 0)
        return r;
    if (p->row_count > 0 && !is_notice && is_full)
        return job_fail(p->job, -EBUSY, "the queue is full (store.max_queue_messages)");
    r = db_get_int(p->job->db, &known, "SELECT 1 FROM body WHERE id = ?1", DB_INT(q->message_id));
    if (r == 0 && (q->flags & DELIVER_ONCE) != 0)
        r = db_get_int(p->job->db, &known, "SELECT 1 FROM submitted WHERE id = ?1",
                       DB_INT(q->message_id));
    if (r != 0)
        return r > 0 ? -EEXIST : r;
    return q->account != 0 ? usage_check(p->store, p->job, q, usage) : 0;
}

/* So that it can be known when it comes again, also when it has left. */
static int remember_id(struct plan *p)
{
    const struct deliver_request *q = p->request;

    if ((q->flags & DELIVER_ONCE) == 0)
        return 0;
    int64_t rows =
        db_run(p->job->db, "INSERT INTO submitted(id) VALUES(?1)", DB_INT(q->message_id));
    return rows < 0 ? (int)rows : 0;
}

static int run_plan(struct plan *p)
{
    const struct deliver_request *q = p->request;
    struct usage usage;
    int r = 0;

    int64_t bytes = p->job->has_spool ? p->job->spool_place.length : (int64_t)q->text.len;
    trace_accepted(p->job, q, bytes);
    for (size_t i = 0; r == 0 && i < q->recipient_count; i++)
        r = is_scheduled(p) ? plan_scheduled(p, i) : plan_recipient(p, i);
    if (r == 0)
        r = check_plan(p, &usage);
    if (r == 0)
        r = remember_id(p);
    if (r == 0 && p->request->account != 0)
        r = usage_count(p->job, p->request, &usage);
    if (r < 0)
        return r;
    int64_t refs = (int64_t)p->account_count + (p->row_count > 0);
    /* Everything was discarded. */
    if (refs == 0)
        return 0;
    struct store_body body = {.id = q->message_id,
                              .text = q->text,
                              .prefix_bytes = q->prefix_bytes,
                              .summary = q->summary,
                              .refs = refs};
    r = store_body_add(p->store, p->job, &body);
    if (r == 0)
        r = plan_put_in_mailboxes(p, bytes);
    if (r == 0)
        r = put_in_queue(p);
    return r;
}

int deliver_message(struct store *store, struct job *job, const struct deliver_request *request)
{
    struct plan p;

    plan_init(&p, store, job, request);
    int r = run_plan(&p);
    plan_done(&p);
    return r;
}
