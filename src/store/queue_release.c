/* Scheduled mail is released: see queue_release.h. */
#include "store/queue_release.h"

#include <errno.h>

#include "mail/address.h"
#include "store/plan.h"
#include "store/queue_rows.h"

enum {
    /* Of one recipient: its texts, and what parsing its address needs. */
    RECIPIENT_ARENA_BYTES = sizeof(struct deliver_recipient) + 4 * ADDRESS_TEXT_MAX_BYTES + 2048,
    RELEASE_ARENA_BYTES = WIRE_RECIPIENTS_MAX * RECIPIENT_ARENA_BYTES + 8192,
};

struct release {
    struct store *store;
    struct job *job;
    struct arena arena;
    bool by_time;
    struct deliver_request request; /* the message as if it came in now */
    struct deliver_recipient *recipients;
    int64_t bytes;
    int64_t next_n;
};

/* 1, 0 when the message is gone, negative errno. */
static int read_message(struct release *r)
{
    struct db_stmt *stmt = db_query(r->job->db,
                                    "SELECT q.sender, q.flags, q.priority, q.deliver_by, q.by_mode,"
                                    " q.next_n, b.bytes FROM queue q JOIN body b ON b.id = q.body"
                                    " WHERE q.id = ?1",
                                    DB_INT(r->request.message_id));
    int found = db_step(stmt);

    if (found > 0) {
        r->request.sender = arena_str(&r->arena, db_column_text(stmt, 0));
        r->request.flags = (uint8_t)db_column_int(stmt, 1);
        r->request.priority = (int8_t)db_column_int(stmt, 2);
        r->request.deliver_by_ms = db_column_int(stmt, 3);
        r->request.by = (uint8_t)(db_column_int(stmt, 4) & DELIVER_BY_ALL);
        r->next_n = db_column_int(stmt, 5);
        r->bytes = db_column_int(stmt, 6);
    }
    db_reset(stmt);
    return found;
}

/* The address as it was printed; without a domain it is bare postmaster. */
static void read_address(struct release *r, struct str text, struct deliver_recipient *out)
{
    struct address a;

    *out = (struct deliver_recipient){.local = text, .domain = STR("")};
    if (address_parse(text, ADDRESS_MAY_BE_UTF8, &r->arena, &a) != ADDRESS_OK)
        return;
    out->local = a.local;
    out->domain = a.domain;
}

static int read_recipients(struct release *r)
{
    struct db_stmt *stmt = db_query(r->job->db,
                                    "SELECT address, orcpt, notify FROM recipient WHERE queue = ?1"
                                    " AND state = 5 AND due <= ?2 ORDER BY n LIMIT ?3",
                                    DB_INT(r->request.message_id), DB_INT(r->job->now_ms),
                                    DB_INT(WIRE_RECIPIENTS_MAX));
    int found;

    while ((found = db_step(stmt)) > 0) {
        struct deliver_recipient *to = &r->recipients[r->request.recipient_count++];
        read_address(r, arena_str(&r->arena, db_column_text(stmt, 0)), to);
        to->orcpt = arena_str(&r->arena, db_column_text(stmt, 1));
        to->notify = (uint8_t)db_column_int(stmt, 2);
        /* Who may schedule mail may send it anywhere. */
        to->is_relay = true;
    }
    return found;
}

static void trace_released(struct release *r, const struct deliver_recipient *to)
{
    struct address a = {.local = to->local, .domain = to->domain};
    struct buf *t = &r->job->trace;
    struct buf printed;
    size_t at = t->len;

    buf_init(&printed, ADDRESS_TEXT_MAX_BYTES);
    address_print(&a, &printed);
    trace_put_event(t, &(struct trace_event){.ref = r->request.message_id,
                                             .time_ms = r->job->now_ms,
                                             .event = STR("released"),
                                             .address = buf_str(&printed)});
    trace_put_detail(t, at, "by", STR("schedule"));
    buf_done(&printed);
}

/* What cannot be delivered any more fails alone, with a notice, and holds up nothing. */
static int plan_one(struct release *r, struct plan *plan, size_t i)
{
    const struct deliver_request *q = &r->request;
    bool is_late = (q->by & DELIVER_BY_RETURN) != 0 && r->job->now_ms >= q->deliver_by_ms;

    if (r->by_time)
        trace_released(r, &r->recipients[i]);
    if (is_late) {
        plan_failure(plan, i, "5.4.7", STR(QUEUE_BY_TEXT));
        return 0;
    }
    int done = plan_recipient(plan, i);
    if (done != -ENOENT && done != -E2BIG)
        return done;
    bool is_gone = done == -ENOENT;
    plan_failure(plan, i, is_gone ? "5.1.1" : "5.4.5",
                 is_gone ? STR("there is no such mailbox here any more")
                         : STR("its aliases lead to too many mailboxes"));
    buf_reset(&r->job->reply);
    return 0;
}

static int drop_scheduled(struct release *r)
{
    int64_t rows =
        db_run(r->job->db, "DELETE FROM recipient WHERE queue = ?1 AND state = 5 AND due <= ?2",
               DB_INT(r->request.message_id), DB_INT(r->job->now_ms));

    if (rows < 0)
        return (int)rows;
    r->job->queue_recipients -= rows;
    return 0;
}

/* The warning and the end count from now. */
static int set_times(struct release *r, size_t new_rows)
{
    struct queue_times times = {.warn_ms = 0};

    queue_count_times(r->store->settings, r->request.sender, r->job->now_ms, &times);
    int64_t rows = db_run(r->job->db,
                          "UPDATE queue SET warn = ?2, expires = ?3, next_n = next_n + ?4"
                          " WHERE id = ?1",
                          DB_INT(r->request.message_id), DB_INT(times.warn_ms),
                          DB_INT(times.expires_ms), DB_INT(new_rows));
    return rows < 0 ? (int)rows : 0;
}

static int put_planned(struct release *r, struct plan *plan)
{
    int done = drop_scheduled(r);

    if (done == 0 && plan->account_count > 0)
        done = store_body_ref(r->job, (int64_t)r->request.message_id, (int64_t)plan->account_count);
    if (done == 0)
        done = plan_put_in_mailboxes(plan, r->bytes);
    if (done == 0)
        done = plan_put_rows(plan, (size_t)r->next_n);
    if (done == 0)
        done = set_times(r, plan->row_count);
    return done;
}

static int run(struct release *r)
{
    struct plan plan;

    int done = read_message(r);
    if (done > 0)
        done = read_recipients(r);
    if (done < 0 || r->request.recipient_count == 0)
        return done;
    plan_init(&plan, r->store, r->job, &r->request);
    for (size_t i = 0; done == 0 && i < r->request.recipient_count; i++)
        done = plan_one(r, &plan, i);
    if (done == 0)
        done = buf_status(&plan.rows);
    if (done == 0)
        done = put_planned(r, &plan);
    plan_done(&plan);
    return done < 0 ? done : (int)r->request.recipient_count;
}

int queue_release_due(struct store *store, struct job *job, uint64_t id, bool by_time)
{
    struct release r = {.store = store, .job = job, .by_time = by_time};

    arena_init(&r.arena, RELEASE_ARENA_BYTES);
    r.recipients = arena_alloc(&r.arena, WIRE_RECIPIENTS_MAX * sizeof(r.recipients[0]));
    r.request = (struct deliver_request){
        .message_id = id, .received_ms = job->now_ms, .recipients = r.recipients};
    int done = run(&r);
    arena_done(&r.arena);
    return done;
}
