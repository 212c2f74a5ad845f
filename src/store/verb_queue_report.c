/*
 * What senders are told: which messages have come to an age, which recipients need a notice, and
 * the notice itself, which becomes a message in the same transaction that forgets its reason.
 */
#include <errno.h>

#include "mail/address.h"
#include "store/deliver_plan.h"
#include "store/directory.h"
#include "store/queue_rows.h"
#include "store/store.h"
#include "store/verbs.h"

enum {
    ALARMS_MAX = 100, /* messages of one call */
    ROWS_PER_PAGE = 100,
    ROWS_PER_CALL = 1000, /* recipients, about: a message is not cut */
    /* Addresses, and the destination's reason with each. */
    PAGE_ARENA_BYTES = 1024 * 1024,
    REPORTS_MAX = 20,      /* messages of one call */
    SETTLE_MS = 30 * 1000, /* how long a report waits for the other recipients' first attempts */
    LOOK_AGAIN_MS = 3600 * 1000,
    LOOK_SOON_MS = 60 * 1000, /* at what is being sent right now */
};

static int changed(int64_t rows)
{
    return rows < 0 ? (int)rows : 0;
}

/* --- queue.alarms --- */

struct aged {
    uint64_t id;
    struct str sender;
    unsigned flags;
    int64_t expires_ms;
};

struct aged_recipient {
    uint32_t n;
    unsigned notify;
    bool is_waiting; /* neither held nor in the worker's hands */
    bool is_leased;
    bool has_report;
    struct str address;
    struct str reply, status; /* its own, or the destination's */
};

/* Up to ROWS_PER_PAGE recipients behind `after`; texts live in the page's arena. */
struct page {
    struct arena arena;
    struct aged_recipient *list;
    size_t count;
};

static int read_page(struct job *job, uint64_t id, int64_t after, struct page *page)
{
    struct db_stmt *stmt =
        db_query(job->db,
                 "SELECT r.n, r.notify, r.state, r.report, r.address, r.reply, r.status, d.why,"
                 " d.status FROM recipient r LEFT JOIN destination d ON d.name = r.destination"
                 " WHERE r.queue = ?1 AND r.n > ?2 AND r.state <> 4 ORDER BY r.n LIMIT ?3",
                 DB_INT(id), DB_INT(after), DB_INT(ROWS_PER_PAGE));
    int r;

    arena_done(&page->arena);
    page->count = 0;
    page->list = arena_alloc(&page->arena, ROWS_PER_PAGE * sizeof(page->list[0]));
    while ((r = db_step(stmt)) > 0) {
        int64_t state = db_column_int(stmt, 2);
        bool has_reply = db_column_text(stmt, 5).len > 0;
        page->list[page->count++] = (struct aged_recipient){
            .n = (uint32_t)db_column_int(stmt, 0),
            .notify = (unsigned)db_column_int(stmt, 1),
            .is_waiting = state == QUEUE_READY || state == QUEUE_DEFERRED,
            .is_leased = state == QUEUE_LEASED,
            .has_report = db_column_int(stmt, 3) != 0,
            .address = arena_str(&page->arena, db_column_text(stmt, 4)),
            .reply = arena_str(&page->arena, db_column_text(stmt, has_reply ? 5 : 7)),
            .status = arena_str(&page->arena, db_column_text(stmt, has_reply ? 6 : 8)),
        };
    }
    return r;
}

static void trace_age(struct job *job, const struct aged *m, const struct aged_recipient *to,
                      const char *event)
{
    struct buf *t = &job->trace;
    size_t at = t->len;

    trace_put_event(t, &(struct trace_event){.ref = m->id,
                                             .time_ms = job->now_ms,
                                             .event = str_from_c(event),
                                             .address = to->address});
    trace_put_detail(t, at, "status", to->status);
    trace_put_detail(t, at, "reply", to->reply);
}

/* The time is over (RFC 5321 section 4.5.4.1). */
static int expire(struct job *job, const struct aged *m, const struct aged_recipient *to)
{
    trace_age(job, m, to, "expired");
    if (!queue_wants_report(m->sender, m->flags, to->notify, QUEUE_REPORT_FAILED))
        return queue_remove_recipient(job, m->id, to->n);
    job->wakes_queue = true;
    return changed(db_run(job->db,
                          "UPDATE recipient SET state = 4, report = ?3, status = '4.4.7',"
                          " reply = ?4 WHERE queue = ?1 AND n = ?2",
                          DB_INT(m->id), DB_INT(to->n), DB_INT(QUEUE_REPORT_FAILED),
                          DB_TEXT(to->reply)));
}

static int warn(struct job *job, const struct aged *m, const struct aged_recipient *to)
{
    if (to->has_report ||
        !queue_wants_report(m->sender, m->flags, to->notify, QUEUE_REPORT_DELAYED))
        return 0;
    job->wakes_queue = true;
    return changed(db_run(job->db,
                          "UPDATE recipient SET report = ?3,"
                          " status = CASE WHEN status = '' THEN ?4 ELSE status END,"
                          " reply = CASE WHEN reply = '' THEN ?5 ELSE reply END"
                          " WHERE queue = ?1 AND n = ?2",
                          DB_INT(m->id), DB_INT(to->n), DB_INT(QUEUE_REPORT_DELAYED),
                          DB_TEXT(to->status), DB_TEXT(to->reply)));
}

/* What is left after its time is held, or on its way right now: its result decides. */
static int set_alarm(struct job *job, const struct aged *m, bool was_leased)
{
    bool is_over = job->now_ms >= m->expires_ms;
    int64_t next_ms = is_over ? job->now_ms + LOOK_AGAIN_MS : m->expires_ms;

    if (is_over && was_leased)
        next_ms = MIN(next_ms, job->now_ms + LOOK_SOON_MS);
    return changed(db_run(job->db, "UPDATE queue SET alarm = ?2 WHERE id = ?1", DB_INT(m->id),
                          DB_INT(next_ms)));
}

static int look_at(struct job *job, const struct aged *m, struct page *page, size_t *rows)
{
    bool is_over = job->now_ms >= m->expires_ms, was_leased = false, is_gone;
    int64_t after = -1;
    int r;

    do {
        r = read_page(job, m->id, after, page);
        for (size_t i = 0; r == 0 && i < page->count; i++) {
            const struct aged_recipient *to = &page->list[i];
            after = to->n;
            was_leased |= to->is_leased;
            if (is_over && to->is_waiting)
                r = expire(job, m, to);
            else if (!is_over && (to->is_waiting || to->is_leased))
                r = warn(job, m, to);
        }
        *rows += page->count;
    } while (r == 0 && page->count == ROWS_PER_PAGE);
    if (r == 0)
        r = set_alarm(job, m, was_leased);
    return r < 0 ? r : queue_remove_if_empty(job, m->id, &is_gone);
}

/* queue.alarms: -> u8 more */
int verb_queue_alarms(struct store *store, struct job *job)
{
    struct aged *list = arena_alloc(&job->arena, ALARMS_MAX * sizeof(list[0]));
    size_t count = 0, done = 0, rows = 0;
    struct page page = {.count = 0};
    int r;

    (void)store;
    arena_init(&page.arena, PAGE_ARENA_BYTES);
    struct db_stmt *stmt = db_query(job->db,
                                    "SELECT id, sender, flags, expires FROM queue WHERE"
                                    " alarm <= ?1 ORDER BY alarm LIMIT ?2",
                                    DB_INT(job->now_ms), DB_INT(ALARMS_MAX));
    while ((r = db_step(stmt)) > 0)
        list[count++] = (struct aged){.id = (uint64_t)db_column_int(stmt, 0),
                                      .sender = arena_str(&job->arena, db_column_text(stmt, 1)),
                                      .flags = (unsigned)db_column_int(stmt, 2),
                                      .expires_ms = db_column_int(stmt, 3)};
    for (; r == 0 && done < count && rows < ROWS_PER_CALL; done++)
        r = look_at(job, &list[done], &page, &rows);
    arena_done(&page.arena);
    buf_put_u8(&job->reply, done < count || count == ALARMS_MAX);
    return r;
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
    struct db_stmt *stmt =
        db_query(job->db,
                 "SELECT q.sender, q.envid, q.ret, q.flags, q.created, q.expires, b.bytes, b.prefix"
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
