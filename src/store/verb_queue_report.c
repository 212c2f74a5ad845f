/*
 * What senders are told: which recipients need a notice, and the notice itself, which becomes a
 * message in the same transaction that forgets its reason. Ages are in verb_queue_alarms.c.
 */
#include <errno.h>

#include "mail/address.h"
#include "store/deliver_plan.h"
#include "store/directory.h"
#include "store/queue_rows.h"
#include "store/store.h"
#include "store/verbs.h"

enum {
    REPORTS_MAX = 20,      /* messages of one call */
    SETTLE_MS = 30 * 1000, /* how long a report waits for the other recipients' first attempts */
};

static int changed(int64_t rows)
{
    return rows < 0 ? (int)rows : 0;
}

/* --- queue.reports --- */

static int put_language(struct job *job, struct queue_report_message *m)
{
    struct str key, printed, domain;
    const char *why;

    m->language = STR("");
    if (m->sender.len == 0 ||
        directory_key(&job->arena, m->sender, &key, &printed, &domain, &why) < 0)
        return 0;
    struct db_stmt *stmt =
        db_query(job->db, "SELECT language FROM account WHERE lookup = ?1", DB_TEXT(key));
    int r = db_step(stmt);
    if (r > 0)
        m->language = arena_str(&job->arena, db_column_text(stmt, 0));
    db_reset(stmt);
    return r < 0 ? r : 0;
}

static int read_recipients(struct job *job, struct queue_report_message *m)
{
    m->recipients =
        arena_alloc(&job->arena, QUEUE_REPORT_RECIPIENTS_MAX * sizeof(m->recipients[0]));
    struct db_stmt *stmt =
        db_query(job->db,
                 "SELECT n, report, address, orcpt, status, remote, reply, last_attempt"
                 " FROM recipient WHERE queue = ?1 AND report <> 0 LIMIT ?2",
                 DB_INT(m->id), DB_INT(QUEUE_REPORT_RECIPIENTS_MAX));
    int r;

    while ((r = db_step(stmt)) > 0) {
        struct queue_report_recipient *to = &m->recipients[m->count++];
        *to = (struct queue_report_recipient){
            .n = (uint32_t)db_column_int(stmt, 0),
            .report = (uint8_t)db_column_int(stmt, 1),
            .address = arena_str(&job->arena, db_column_text(stmt, 2)),
            .orcpt = arena_str(&job->arena, db_column_text(stmt, 3)),
            .status = arena_str(&job->arena, db_column_text(stmt, 4)),
            .remote = arena_str(&job->arena, db_column_text(stmt, 5)),
            .reply = arena_str(&job->arena, db_column_text(stmt, 6)),
            .last_attempt_ms = db_column_int(stmt, 7)};
        to->is_remote_words = to->remote.len > 0;
    }
    return r;
}

static int put_report(struct job *job, uint64_t id)
{
    struct queue_report_message m = {.id = id};
    struct db_stmt *stmt = db_query(
        job->db,
        "SELECT q.sender, q.envid, q.ret, q.flags, q.created, q.expires, b.bytes, b.prefix,"
        " q.release_request, q.priority, q.by_mode, q.deliver_by"
        " FROM queue q JOIN body b ON b.id = q.body WHERE q.id = ?1",
        DB_INT(id));
    int r = db_step(stmt);

    if (r > 0) {
        m.sender = arena_str(&job->arena, db_column_text(stmt, 0));
        m.envid = arena_str(&job->arena, db_column_text(stmt, 1));
        m.ret = (uint8_t)db_column_int(stmt, 2);
        m.flags = (uint8_t)db_column_int(stmt, 3);
        m.created_ms = db_column_int(stmt, 4);
        m.expires_ms = db_column_int(stmt, 5);
        m.bytes = (uint64_t)(db_column_int(stmt, 6) - db_column_int(stmt, 7));
        m.release_request = arena_str(&job->arena, db_column_text(stmt, 8));
        m.priority = (int8_t)db_column_int(stmt, 9);
        m.by = (uint8_t)(db_column_int(stmt, 10) & DELIVER_BY_ALL);
        m.deliver_by_ms = db_column_int(stmt, 11);
    }
    db_reset(stmt);
    if (r <= 0)
        return r;
    r = put_language(job, &m);
    if (r == 0)
        r = read_recipients(job, &m);
    if (r == 0)
        queue_put_report(&job->reply, &m);
    return r;
}

/* queue.reports: -> struct queue_report_message ... A message whose other recipients are being
 * tried for the first time is left for a moment, so that one notice tells of all. */
int verb_queue_reports(struct store *store, struct job *job)
{
    uint64_t ids[REPORTS_MAX];
    size_t count = 0;
    int r;

    (void)store;
    struct db_stmt *stmt =
        db_query(job->db,
                 "SELECT r.queue FROM recipient r JOIN queue q ON q.id = r.queue"
                 " JOIN body b ON b.id = q.body WHERE r.report <> 0 GROUP BY r.queue"
                 " HAVING MAX(r.last_attempt) <= ?1 OR NOT EXISTS (SELECT 1 FROM recipient o"
                 " WHERE o.queue = r.queue AND o.state IN (0, 2) AND o.attempts = 0)"
                 " ORDER BY r.queue LIMIT ?2",
                 DB_INT(job->now_ms - SETTLE_MS), DB_INT(REPORTS_MAX));
    while ((r = db_step(stmt)) > 0)
        ids[count++] = (uint64_t)db_column_int(stmt, 0);
    for (size_t i = 0; r == 0 && i < count; i++) {
        size_t before = job->reply.len;
        r = put_report(job, ids[i]);
        if (r == 0 && buf_status(&job->reply) < 0 && before > 0) {
            /* The rest comes with the next call. */
            job->reply.has_overflowed = false;
            job->reply.len = before;
            break;
        }
    }
    return r;
}

/* --- queue.report --- */

/* The recipients that the notice is about: 1 when the row still waits for it. */
static int settle(struct job *job, uint64_t id, uint32_t n, unsigned report)
{
    int64_t state = 0;
    int r = db_get_int(job->db, &state,
                       "SELECT state FROM recipient WHERE queue = ?1 AND n = ?2 AND report = ?3",
                       DB_INT(id), DB_INT(n), DB_INT(report));

    if (r <= 0)
        return r;
    if (state == QUEUE_DONE)
        r = queue_remove_recipient(job, id, n);
    else
        r = changed(db_run(job->db, "UPDATE recipient SET report = 0 WHERE queue = ?1 AND n = ?2",
                           DB_INT(id), DB_INT(n)));
    return r < 0 ? r : 1;
}

static void trace_notified(struct job *job, uint64_t id, const struct deliver_request *notice)
{
    struct address to = {.local = notice->recipients[0].local,
                         .domain = notice->recipients[0].domain};
    char text[ID_TEXT_CHARS + 1];
    struct buf *t = &job->trace;
    struct buf printed;
    size_t at = t->len;

    buf_init(&printed, ADDRESS_TEXT_MAX_BYTES);
    address_print(&to, &printed);
    trace_put_event(t, &(struct trace_event){.ref = id,
                                             .time_ms = job->now_ms,
                                             .event = STR("notified"),
                                             .address = buf_str(&printed)});
    trace_put_detail(t, at, "notice", str_from_c(id_format(notice->message_id, text)));
    buf_done(&printed);
}

/* queue.report: u64 message, u32 count, each u32 n, u8 report; u8 has notice, struct
 * deliver_request. -> nothing. Without a notice the reason is forgotten: nobody can be told. A
 * request that comes twice does nothing the second time. */
int verb_queue_report(struct store *store, struct job *job)
{
    struct cursor c = job_args(job);
    struct deliver_request notice;
    uint64_t id = cursor_u64(&c);
    uint32_t count = cursor_u32(&c), settled = 0;
    bool is_gone;
    int r = 0;

    if (count > QUEUE_REPORT_RECIPIENTS_MAX)
        return -EBADMSG;
    for (uint32_t i = 0; r >= 0 && i < count; i++) {
        uint32_t n = cursor_u32(&c);
        r = settle(job, id, n, cursor_u8(&c));
        settled += r > 0;
    }
    if (r < 0 || cursor_status(&c) < 0)
        return r < 0 ? r : -EBADMSG;
    bool has_notice = cursor_u8(&c) != 0;
    if (has_notice && settled > 0) {
        /* The reason is forgotten with these rows: the notice must be on disk before they are. */
        job->has_moved = true;
        r = wire_get_deliver(&c, &job->arena, &notice);
        if (r == 0)
            r = notice.spool != 0 ? -EBADMSG : deliver_message(store, job, &notice);
        if (r < 0)
            return r;
        trace_notified(job, id, &notice);
    }
    return queue_remove_if_empty(job, id, &is_gone);
}
