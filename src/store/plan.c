/* Where one message goes: see plan.h. */
#include "store/plan.h"

#include <errno.h>
#include <stdlib.h>

#include "mail/address.h"
#include "store/queue_rows.h"
#include "store/verbs.h"

enum { PLACES_MAX = 10000, REMOTE_TEXT_MAX_BYTES = 1100, TRANSACTION_RECIPIENTS = 100 };

/* A recipient row to be, as it waits in `rows` until all recipients are known. */
struct planned_row {
    struct str address;
    struct str destination;
    uint8_t state;  /* enum queue_state */
    uint8_t report; /* enum queue_report */
    struct str status, reply;
    uint32_t from; /* index of the recipient of the request that it came from */
};

/* The place in the order of one destination's share of the message. */
struct share {
    int64_t place;
    size_t count;
};

static void trace_start(struct plan *p, struct str event, struct str address, size_t *out_at)
{
    *out_at = p->job->trace.len;
    trace_put_event(&p->job->trace, &(struct trace_event){.ref = p->request->message_id,
                                                          .session = p->request->session_id,
                                                          .time_ms = p->job->now_ms,
                                                          .event = event,
                                                          .address = address});
}

static void print_recipient(const struct deliver_recipient *r, struct buf *out)
{
    struct address a = {.local = r->local, .domain = r->domain};

    address_print(&a, out);
}

/* 1 when the place is new, 0 when it is planned already, negative when there are too many. */
static int note_place(struct plan *p, struct str key)
{
    static char mark;

    if (map_get(&p->places, key) != NULL)
        return 0;
    if (map_set(&p->places, key, &mark) < 0)
        return job_fail(p->job, -E2BIG, "the aliases of this message lead to too many places");
    return 1;
}

static int add_account(struct plan *p, int64_t account)
{
    int r = note_place(p, str_from_mem(&account, sizeof(account)));

    if (r <= 0)
        return r;
    if (p->account_count % 64 == 0)
        p->accounts = xrealloc(p->accounts, (p->account_count + 64) * sizeof(p->accounts[0]));
    p->accounts[p->account_count++] = account;
    return 1;
}

static void add_row(struct plan *p, const struct planned_row *row)
{
    buf_put_lp(&p->rows, row->address);
    buf_put_lp(&p->rows, row->destination);
    buf_put_u8(&p->rows, row->state);
    buf_put_u8(&p->rows, row->report);
    buf_put_lp(&p->rows, row->status);
    buf_put_lp(&p->rows, row->reply);
    buf_put_u32(&p->rows, row->from);
    p->row_count++;
}

/* A recipient that is not even tried: the sender hears of it, if he wants to. */
static void add_failure(struct plan *p, struct planned_row *row, const char *status,
                        struct str reply)
{
    const struct deliver_recipient *from = &p->request->recipients[row->from];
    size_t at;

    trace_start(p, STR("failed"), row->address, &at);
    trace_put_detail(&p->job->trace, at, "status", str_from_c(status));
    trace_put_detail(&p->job->trace, at, "reply", reply);
    if (!queue_wants_report(p->request->sender, p->request->flags, from->notify,
                            QUEUE_REPORT_FAILED))
        return;
    row->state = QUEUE_DONE;
    row->report = QUEUE_REPORT_FAILED;
    row->status = str_from_c(status);
    row->reply = reply;
    add_row(p, row);
}

static void trace_queued(struct plan *p, const struct planned_row *row)
{
    size_t at;

    trace_start(p, row->state == QUEUE_HELD ? STR("held") : STR("queued"), row->address, &at);
    trace_put_detail(&p->job->trace, at, "domain", row->destination);
}

/* Where mail for elsewhere goes: into the queue, or to an end that a route or the list of
 * suppressed addresses says. */
static int route_remote(struct plan *p, struct planned_row *row)
{
    struct queue_route route;
    struct buf reply;
    size_t at;

    buf_init(&reply, QUEUE_REPLY_MAX_BYTES);
    int r = 0;
    if (p->store->may_suppress)
        r = suppression_find(p->job->db, row->address, p->job->now_ms, &reply);
    if (r > 0)
        add_failure(p, row, "5.1.1", buf_str(&reply));
    buf_done(&reply);
    if (r != 0)
        return r < 0 ? r : 0;
    queue_route_find(p->settings, p->request->sender, row->destination, &p->text, &route);
    row->destination = route.destination;
    if (route.via == SETTINGS_VIA_FAIL) {
        add_failure(p, row, "5.7.1", str_from_c(route.text));
        return 0;
    }
    if (route.via == SETTINGS_VIA_DISCARD) {
        trace_start(p, STR("discarded"), row->address, &at);
        return 0;
    }
    row->state = route.via == SETTINGS_VIA_HOLD ? QUEUE_HELD : QUEUE_READY;
    add_row(p, row);
    trace_queued(p, row);
    return 0;
}

static int add_remote(struct plan *p, struct str address, struct str domain, size_t from)
{
    struct planned_row row = {.address = address, .destination = domain, .from = (uint32_t)from};

    int r = note_place(p, address);
    return r <= 0 ? r : route_remote(p, &row);
}

static void trace_delivered(struct plan *p, struct str recipient, struct str account)
{
    size_t at;

    trace_start(p, STR("delivered"), recipient, &at);
    trace_put_detail(&p->job->trace, at, "mailbox", STR("INBOX"));
    if (!str_eq(recipient, account))
        trace_put_detail(&p->job->trace, at, "account", account);
}

/* The sender asked to hear of success (RFC 3461 section 5.2.1). */
static void add_success(struct plan *p, size_t index, struct str recipient)
{
    const struct deliver_recipient *to = &p->request->recipients[index];

    if (queue_wants_report(p->request->sender, p->request->flags, to->notify,
                           QUEUE_REPORT_DELIVERED))
        add_row(p, &(struct planned_row){.address = recipient,
                                         .destination = to->domain,
                                         .state = QUEUE_DONE,
                                         .report = QUEUE_REPORT_DELIVERED,
                                         .status = STR("2.1.5"),
                                         .from = (uint32_t)index});
}

static int plan_targets(struct plan *p, size_t index, struct str recipient)
{
    bool is_here = false;
    int r = 0;

    for (size_t i = 0; r >= 0 && i < p->found.count; i++) {
        const struct directory_target *t = &p->found.targets[i];
        if (t->account == 0) {
            r = add_remote(p, t->address, t->domain, index);
            continue;
        }
        is_here = true;
        r = add_account(p, t->account);
        if (r > 0)
            trace_delivered(p, recipient, t->address);
    }
    if (r >= 0 && is_here)
        add_success(p, index, recipient);
    return r < 0 ? r : 0;
}

/* The address as it was given, and where the directory says that it leads. 0, or negative errno of
 * the database. */
static int look_up(struct plan *p, const struct deliver_recipient *to, struct arena *scratch,
                   struct buf *out_printed)
{
    print_recipient(to, out_printed);
    return directory_resolve(p->job->db, scratch, to->local, to->domain,
                             p->settings->smtp_recipient_separators, &p->memory, &p->found);
}

static int fail_unknown(struct plan *p, struct buf *printed)
{
    return job_fail(p->job, -ENOENT, "%s is gone since it was accepted", buf_c_str(printed));
}

static int plan_found(struct plan *p, size_t index, struct buf *printed)
{
    const struct deliver_recipient *to = &p->request->recipients[index];

    if (p->found.kind == RECIPIENT_REMOTE && to->is_relay)
        return add_remote(p, buf_str(printed), to->domain, index);
    if (p->found.kind == RECIPIENT_LOCAL)
        return plan_targets(p, index, buf_str(printed));
    return fail_unknown(p, printed);
}

int plan_recipient(struct plan *p, size_t index)
{
    const size_t accounts = p->account_count, rows = p->row_count;
    const size_t row_bytes = p->rows.len, trace_bytes = p->job->trace.len;
    struct arena scratch;
    struct buf printed;

    arena_init(&scratch, DIRECTORY_ARENA_BYTES);
    buf_init(&printed, ADDRESS_TEXT_MAX_BYTES);
    int r = look_up(p, &p->request->recipients[index], &scratch, &printed);
    if (r == 0)
        r = plan_found(p, index, &printed);
    buf_done(&printed);
    arena_done(&scratch);
    if (r >= 0)
        return 0;
    p->account_count = accounts;
    p->row_count = rows;
    buf_cut(&p->rows, row_bytes);
    buf_cut(&p->job->trace, trace_bytes);
    return r;
}

/* The domain that a recipient is listed under until its time has come; bare postmaster is ours. */
static struct str domain_of(const struct plan *p, const struct deliver_recipient *to)
{
    return to->domain.len > 0 ? to->domain : str_from_c(p->settings->server_hostname);
}

int plan_scheduled(struct plan *p, size_t index)
{
    const struct deliver_recipient *to = &p->request->recipients[index];
    struct arena scratch;
    struct buf printed;
    size_t at;

    arena_init(&scratch, DIRECTORY_ARENA_BYTES);
    buf_init(&printed, ADDRESS_TEXT_MAX_BYTES);
    int r = look_up(p, to, &scratch, &printed);
    bool is_good =
        p->found.kind == RECIPIENT_LOCAL || (p->found.kind == RECIPIENT_REMOTE && to->is_relay);
    if (r == 0 && !is_good)
        r = fail_unknown(p, &printed);
    if (r == 0)
        r = note_place(p, buf_str(&printed));
    if (r > 0) {
        add_row(p, &(struct planned_row){.address = buf_str(&printed),
                                         .destination = domain_of(p, to),
                                         .state = QUEUE_SCHEDULED,
                                         .from = (uint32_t)index});
        trace_start(p, STR("scheduled"), buf_str(&printed), &at);
        trace_put_number(&p->job->trace, at, "until", p->request->release_ms);
    }
    buf_done(&printed);
    arena_done(&scratch);
    return MIN(r, 0);
}

void plan_failure(struct plan *p, size_t index, const char *status, struct str reply)
{
    const struct deliver_recipient *to = &p->request->recipients[index];
    struct buf printed;

    buf_init(&printed, ADDRESS_TEXT_MAX_BYTES);
    print_recipient(to, &printed);
    struct planned_row row = {
        .address = buf_str(&printed), .destination = domain_of(p, to), .from = (uint32_t)index};
    add_failure(p, &row, status, reply);
    buf_done(&printed);
}

int plan_put_in_mailboxes(struct plan *p, int64_t bytes)
{
    for (size_t i = 0; i < p->account_count; i++) {
        struct mailbox_entry entry = {
            .body = p->request->message_id, .received_ms = p->request->received_ms, .bytes = bytes};
        int64_t uid;
        int r = mailbox_open(p->store, p->job, p->accounts[i], STR("INBOX"), &entry.mailbox);
        if (r == 0)
            r = mailbox_add(p->job, &entry, &uid);
        if (r < 0)
            return r;
    }
    return 0;
}

int plan_priority(const struct deliver_request *q)
{
    bool is_bulk = q->recipient_count > DELIVER_BULK_RECIPIENTS;
    bool is_usual = q->priority == 0 && (q->flags & DELIVER_HAS_PRIORITY) == 0;

    return is_usual && is_bulk ? DELIVER_BULK_PRIORITY : q->priority;
}

/* Recipients at one destination share a place, a transaction's worth at a time, so that they are
 * taken together. */
static int find_place(struct plan *p, struct str destination, int64_t *out_place)
{
    struct share *share = map_get(&p->shares, destination);

    if (share == NULL) {
        share = arena_alloc(&p->job->arena, sizeof(*share));
        if (map_set(&p->shares, destination, share) < 0)
            return job_fail(p->job, -E2BIG, "the message goes to too many destinations");
    }
    if (share->count++ % TRANSACTION_RECIPIENTS == 0) {
        share->place = fair_place(&p->store->fair, p->request->sender, plan_priority(p->request),
                                  p->job->now_ms);
        int r = queue_wake_destination(p->job, p->settings, destination, share->place);
        if (r < 0)
            return r;
    }
    *out_place = share->place;
    return 0;
}

static int put_row(struct plan *p, size_t n, struct cursor *rows)
{
    struct planned_row row = {.address = cursor_lp(rows),
                              .destination = cursor_lp(rows),
                              .state = cursor_u8(rows),
                              .report = cursor_u8(rows),
                              .status = cursor_lp(rows),
                              .reply = cursor_lp(rows),
                              .from = cursor_u32(rows)};
    const struct deliver_recipient *from = &p->request->recipients[row.from];
    int64_t place = p->job->now_ms;

    if (row.state == QUEUE_SCHEDULED)
        place = p->request->release_ms;
    int r = row.state == QUEUE_READY ? find_place(p, row.destination, &place) : 0;
    if (r < 0)
        return r;
    p->job->wakes_queue |= row.report != QUEUE_REPORT_NONE;
    int64_t changed = db_run(
        p->job->db,
        "INSERT INTO recipient(queue, n, address, destination, orcpt, notify, state, due,"
        " attempts, report, last_attempt, status, remote, reply)"
        " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, 0, ?9, ?10, ?11, '', ?12)",
        DB_INT(p->request->message_id), DB_INT(n), DB_TEXT(row.address), DB_TEXT(row.destination),
        DB_TEXT(from->orcpt), DB_INT(from->notify), DB_INT(row.state), DB_INT(place),
        DB_INT(row.report), DB_INT(row.state == QUEUE_DONE ? p->job->now_ms : 0),
        DB_TEXT(row.status), DB_TEXT(row.reply));
    return changed < 0 ? (int)changed : 0;
}

int plan_put_rows(struct plan *p, size_t first)
{
    struct cursor rows = cursor_from(buf_str(&p->rows));
    int r = 0;

    for (size_t i = 0; r == 0 && i < p->row_count; i++)
        r = put_row(p, first + i, &rows);
    p->job->queue_recipients += (int64_t)p->row_count;
    return r;
}

void plan_init(struct plan *p, struct store *store, struct job *job,
               const struct deliver_request *request)
{
    *p = (struct plan){.store = store, .job = job, .settings = store->settings, .request = request};
    buf_init(&p->rows, PLACES_MAX * REMOTE_TEXT_MAX_BYTES);
    buf_init(&p->text, QUEUE_DESTINATION_MAX_BYTES);
    directory_memory_init(&p->memory);
    map_init(&p->places, PLACES_MAX);
    map_init(&p->shares, PLACES_MAX);
}

void plan_done(struct plan *p)
{
    map_done(&p->shares);
    map_done(&p->places);
    directory_memory_done(&p->memory);
    buf_done(&p->text);
    buf_done(&p->rows);
    free(p->accounts);
}
