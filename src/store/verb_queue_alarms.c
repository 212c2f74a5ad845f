/*
 * queue.alarms: what time brings about for a message as a whole. Scheduled recipients are released;
 * a sender is told that his mail is late (after queue.warn_after, or by the time he asked for); and
 * at its end what is left is returned (RFC 5321 section 4.5.4.1, RFC 2852).
 */
#include <errno.h>

#include "store/queue_release.h"
#include "store/queue_rows.h"
#include "store/store.h"
#include "store/verbs.h"

enum {
    ALARMS_MAX = 100, /* messages of one call */
    ROWS_PER_PAGE = 100,
    ROWS_PER_CALL = 1000, /* recipients, about: a message is not cut */
    /* Addresses, and the destination's reason with each. */
    PAGE_ARENA_BYTES = 1024 * 1024,
    LOOK_AGAIN_MS = 3600 * 1000,
    LOOK_SOON_MS = 60 * 1000, /* at what is being sent right now */
};

static int changed(int64_t rows)
{
    return rows < 0 ? (int)rows : 0;
}

/* A message whose alarm is due, and which of its times that is. */
struct aged {
    uint64_t id;
    struct str sender;
    unsigned flags;
    int64_t expires_ms, warn_ms, deliver_by_ms;
    unsigned by; /* with QUEUE_BY_TOLD */
    bool is_scheduled;
    bool is_over;      /* it is returned: its lifetime has ended, or its deliver-by time */
    bool is_by_over;   /* it was the latter */
    bool must_warn;    /* after queue.warn_after */
    bool must_tell_by; /* BY with mode N */
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
        struct str own = db_column_text(stmt, 5);
        /* That it is late was told, and is no reason of its failure. */
        bool has_reply = own.len > 0 && !str_has_prefix(own, STR(QUEUE_BY_TEXT));
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

/* "the deliver-by time ...; last: connection refused", in the page's arena. */
static struct str by_reply(struct page *page, const struct aged_recipient *to)
{
    if (to->reply.len == 0)
        return STR(QUEUE_BY_TEXT);
    return str_from_c(arena_printf(&page->arena, QUEUE_BY_TEXT "; last: %.*s",
                                   STR_ARG(str_sub(to->reply, 0, QUEUE_REPLY_MAX_BYTES))));
}

/* Its time is over. */
static int expire(struct job *job, const struct aged *m, const struct aged_recipient *to,
                  struct page *page)
{
    struct str reply = m->is_by_over ? by_reply(page, to) : to->reply;

    trace_age(job, m, to, m->is_by_over ? "overdue" : "expired");
    if (!queue_wants_report(m->sender, m->flags, to->notify, QUEUE_REPORT_FAILED))
        return queue_remove_recipient(job, m->id, to->n);
    job->wakes_queue = true;
    return changed(db_run(job->db,
                          "UPDATE recipient SET state = 4, report = ?3, status = ?5,"
                          " reply = ?4, remote = CASE WHEN ?6 THEN '' ELSE remote END"
                          " WHERE queue = ?1 AND n = ?2",
                          DB_INT(m->id), DB_INT(to->n), DB_INT(QUEUE_REPORT_FAILED), DB_TEXT(reply),
                          DB_TEXT(m->is_by_over ? STR("5.4.7") : STR("4.4.7")),
                          DB_INT(m->is_by_over)));
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

/* RFC 2852 section 4, mode N: it goes on, and its sender hears that it is late. */
static int tell_by(struct job *job, const struct aged *m, const struct aged_recipient *to,
                   struct page *page)
{
    trace_age(job, m, to, "late");
    if (!queue_wants_by_report(m->sender, to->notify))
        return 0;
    job->wakes_queue = true;
    return changed(db_run(job->db,
                          "UPDATE recipient SET report = ?3, status = '4.4.7', remote = '',"
                          " reply = ?4 WHERE queue = ?1 AND n = ?2",
                          DB_INT(m->id), DB_INT(to->n), DB_INT(QUEUE_REPORT_DELAYED),
                          DB_TEXT(by_reply(page, to))));
}

static int look_at_recipient(struct job *job, const struct aged *m, const struct aged_recipient *to,
                             struct page *page)
{
    if (m->is_over)
        return to->is_waiting ? expire(job, m, to, page) : 0;
    if (m->must_tell_by)
        return tell_by(job, m, to, page);
    return m->must_warn && (to->is_waiting || to->is_leased) ? warn(job, m, to) : 0;
}

/* What has been done is not due again. */
static int note_done(struct job *job, const struct aged *m)
{
    if (m->is_over || (!m->must_warn && !m->must_tell_by))
        return 0;
    return changed(db_run(job->db,
                          "UPDATE queue SET warn = CASE WHEN ?2 THEN 0 ELSE warn END,"
                          " by_mode = ?3 WHERE id = ?1",
                          DB_INT(m->id), DB_INT(m->must_warn),
                          DB_INT(m->by | (m->must_tell_by ? QUEUE_BY_TOLD : 0))));
}

/* What is left after its end is held, or on its way right now: its result decides. */
static int set_alarm(struct job *job, const struct aged *m, bool was_leased)
{
    int64_t pause_ms = was_leased ? LOOK_SOON_MS : LOOK_AGAIN_MS;

    return queue_set_alarm(job, m->id, m->is_over ? job->now_ms + pause_ms : 0);
}

static void judge(struct aged *m, int64_t now_ms)
{
    bool is_by_due = m->by != 0 && (m->by & QUEUE_BY_TOLD) == 0 && now_ms >= m->deliver_by_ms;

    m->is_by_over = is_by_due && (m->by & DELIVER_BY_RETURN) != 0;
    m->is_over = now_ms >= m->expires_ms || m->is_by_over;
    m->must_tell_by = is_by_due && !m->is_over;
    m->must_warn = m->warn_ms != 0 && now_ms >= m->warn_ms && !m->is_over;
}

static int look_at_recipients(struct job *job, const struct aged *m, struct page *page,
                              size_t *io_rows, bool *out_leased)
{
    int64_t after = -1;
    int r;

    do {
        r = read_page(job, m->id, after, page);
        for (size_t i = 0; r == 0 && i < page->count; i++) {
            const struct aged_recipient *to = &page->list[i];
            after = to->n;
            *out_leased |= to->is_leased;
            r = look_at_recipient(job, m, to, page);
        }
        *io_rows += page->count;
    } while (r == 0 && page->count == ROWS_PER_PAGE);
    return r;
}

static int look_at(struct store *store, struct job *job, struct aged *m, struct page *page,
                   size_t *io_rows)
{
    bool was_leased = false, is_gone;
    int r = m->is_scheduled ? queue_release_due(store, job, m->id, true) : 0;

    if (r > 0) {
        /* Its times count from now; what else is due is looked at with its next alarm. */
        *io_rows += (size_t)r;
    } else if (r == 0) {
        judge(m, job->now_ms);
        r = look_at_recipients(job, m, page, io_rows, &was_leased);
        if (r == 0)
            r = note_done(job, m);
    }
    if (r >= 0)
        r = set_alarm(job, m, was_leased);
    return r < 0 ? r : queue_remove_if_empty(job, m->id, &is_gone);
}

static int list_due(struct job *job, struct aged *list, size_t *out_count)
{
    struct db_stmt *stmt = db_query(job->db,
                                    "SELECT id, sender, flags, expires, warn, deliver_by, by_mode,"
                                    " release_at FROM queue WHERE alarm <= ?1 ORDER BY alarm, id"
                                    " LIMIT ?2",
                                    DB_INT(job->now_ms), DB_INT(ALARMS_MAX));
    int r;

    *out_count = 0;
    while ((r = db_step(stmt)) > 0)
        list[(*out_count)++] =
            (struct aged){.id = (uint64_t)db_column_int(stmt, 0),
                          .sender = arena_str(&job->arena, db_column_text(stmt, 1)),
                          .flags = (unsigned)db_column_int(stmt, 2),
                          .expires_ms = db_column_int(stmt, 3),
                          .warn_ms = db_column_int(stmt, 4),
                          .deliver_by_ms = db_column_int(stmt, 5),
                          .by = (unsigned)db_column_int(stmt, 6),
                          .is_scheduled = db_column_int(stmt, 7) != 0};
    return r;
}

/* queue.alarms: -> u8 more */
int verb_queue_alarms(struct store *store, struct job *job)
{
    struct aged *list = arena_alloc(&job->arena, ALARMS_MAX * sizeof(list[0]));
    size_t count = 0, done = 0, rows = 0;
    struct page page = {.count = 0};

    arena_init(&page.arena, PAGE_ARENA_BYTES);
    int r = list_due(job, list, &count);
    for (; r == 0 && done < count && rows < ROWS_PER_CALL; done++)
        r = look_at(store, job, &list[done], &page, &rows);
    arena_done(&page.arena);
    buf_put_u8(&job->reply, done < count || count == ALARMS_MAX);
    return r;
}
