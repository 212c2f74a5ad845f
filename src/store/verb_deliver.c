/*
 * A message comes in: who its recipients are, its bytes, its rows. One transaction puts the body
 * down once, an entry into each mailbox, a queue row per recipient elsewhere, and tells the trace.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/log.h"
#include "mail/address.h"
#include "store/directory.h"
#include "store/server.h"
#include "store/store.h"
#include "store/verbs.h"

enum { PLACES_MAX = 10000 };

/* Where one message goes, gathered over all its recipients, each place once. */
struct plan {
    struct store *store;
    struct job *job;
    struct deliver_request request;
    struct directory_result found; /* of the recipient at hand */
    struct directory_memory memory;
    struct map places; /* accounts and addresses that are planned already */
    int64_t *accounts;
    size_t account_count;
    struct buf remotes; /* lp address, lp domain, u32 index of the recipient it came from */
    size_t remote_count;
};

/* recipient.check: lp local, lp domain -> u8 kind, u32 targets */
int verb_recipient_check(struct store *store, struct job *job)
{
    struct cursor c = job_args(job);
    struct directory_result found;
    struct arena scratch;

    struct str local = cursor_lp(&c);
    struct str domain = cursor_lp(&c);
    if (cursor_finish(&c) < 0)
        return -EBADMSG;
    int r = store_check_room(store);
    if (r < 0)
        return r;
    arena_init(&scratch, DIRECTORY_ARENA_BYTES);
    r = directory_resolve(job->db, &scratch, local, domain,
                          store->settings->smtp_recipient_separators, NULL, &found);
    arena_done(&scratch);
    buf_put_u8(&job->reply, (uint8_t)found.kind);
    buf_put_u32(&job->reply, (uint32_t)found.count);
    return r;
}

/* spool.write: u64 spool, then the piece; the connection's ownership was checked by server.c */
int verb_spool_write(struct store *store, struct job *job)
{
    struct cursor c = job_args(job);

    (void)cursor_u64(&c);
    int r = store_check_room(store);
    return r < 0 ? r : spool_write(job->extra, cursor_rest(&c));
}

/* On a reader thread: a spool file is made durable before it waits for the writer. Deliver and
 * append both begin with the message id. */
int verb_finish_spool(struct store *store, struct job *job)
{
    struct cursor c = job_args(job);

    int r = store_check_room(store);
    return r < 0 ? r : spool_finish(&job->spool, cursor_u64(&c), &job->spool_place);
}

static void trace_start(struct plan *p, struct str event, struct str address, size_t *out_at)
{
    *out_at = p->job->trace.len;
    trace_put_event(&p->job->trace, &(struct trace_event){.ref = p->request.message_id,
                                                          .session = p->request.session_id,
                                                          .time_ms = p->job->now_ms,
                                                          .event = event,
                                                          .address = address});
}

static void trace_accepted(struct plan *p, int64_t bytes)
{
    struct buf *t = &p->job->trace;
    size_t at;

    trace_start(p, STR("accepted"), p->request.sender, &at);
    trace_put_detail(t, at, "peer", p->request.peer);
    trace_put_detail(t, at, "helo", p->request.helo);
    trace_put_number(t, at, "bytes", bytes);
    trace_put_number(t, at, "recipients", (int64_t)p->request.recipient_count);
    if (p->request.flags & DELIVER_SMTPUTF8)
        trace_put_detail(t, at, "smtputf8", STR("yes"));
    if (p->request.envid.len > 0)
        trace_put_detail(t, at, "envid", p->request.envid);
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

static int add_remote(struct plan *p, struct str address, struct str domain, size_t from)
{
    int r = note_place(p, address);

    if (r <= 0)
        return r;
    buf_put_lp(&p->remotes, address);
    buf_put_lp(&p->remotes, domain);
    buf_put_u32(&p->remotes, (uint32_t)from);
    p->remote_count++;
    return 1;
}

static void trace_delivered(struct plan *p, struct str recipient, struct str account)
{
    size_t at;

    trace_start(p, STR("delivered"), recipient, &at);
    trace_put_detail(&p->job->trace, at, "mailbox", STR("INBOX"));
    if (!str_eq(recipient, account))
        trace_put_detail(&p->job->trace, at, "account", account);
}

static int plan_targets(struct plan *p, size_t index, struct str recipient)
{
    int r = 0;

    for (size_t i = 0; r >= 0 && i < p->found.count; i++) {
        const struct directory_target *t = &p->found.targets[i];
        if (t->account == 0) {
            r = add_remote(p, t->address, t->domain, index);
            continue;
        }
        r = add_account(p, t->account);
        if (r > 0)
            trace_delivered(p, recipient, t->address);
    }
    return r < 0 ? r : 0;
}

static int plan_recipient(struct plan *p, size_t index)
{
    const struct deliver_recipient *to = &p->request.recipients[index];
    struct arena scratch;
    struct buf printed;

    arena_init(&scratch, DIRECTORY_ARENA_BYTES);
    buf_init(&printed, ADDRESS_TEXT_MAX_BYTES);
    print_recipient(to, &printed);
    int r = directory_resolve(p->job->db, &scratch, to->local, to->domain,
                              p->store->settings->smtp_recipient_separators, &p->memory, &p->found);
    if (r == 0 && p->found.kind == RECIPIENT_REMOTE && to->is_relay)
        r = add_remote(p, buf_str(&printed), to->domain, index);
    else if (r == 0 && p->found.kind == RECIPIENT_LOCAL)
        r = plan_targets(p, index, buf_str(&printed));
    else if (r == 0)
        r = job_fail(p->job, -ENOENT, "%s is gone since it was accepted", buf_c_str(&printed));
    buf_done(&printed);
    arena_done(&scratch);
    return r < 0 ? r : 0;
}

static int put_in_mailboxes(struct plan *p, int64_t bytes)
{
    for (size_t i = 0; i < p->account_count; i++) {
        struct mailbox_entry entry = {
            .body = p->request.message_id, .received_ms = p->request.received_ms, .bytes = bytes};
        int64_t uid;
        int r = mailbox_open(p->store, p->job, p->accounts[i], STR("INBOX"), &entry.mailbox);
        if (r == 0)
            r = mailbox_add(p->job, &entry, &uid);
        if (r < 0)
            return r;
    }
    return 0;
}

static int put_recipient(struct plan *p, size_t n, struct cursor *remotes)
{
    struct str address = cursor_lp(remotes);
    struct str domain = cursor_lp(remotes);
    const struct deliver_recipient *from = &p->request.recipients[cursor_u32(remotes)];
    size_t at;

    int64_t rows =
        db_run(p->job->db,
               "INSERT INTO recipient(queue, n, address, domain, orcpt, notify, state,"
               " attempts, next_attempt, lease_owner, lease_until, last_reply)"
               " VALUES(?1, ?2, ?3, ?4, ?5, ?6, 0, 0, ?7, 0, 0, '')",
               DB_INT(p->request.message_id), DB_INT(n), DB_TEXT(address), DB_TEXT(domain),
               DB_TEXT(from->orcpt), DB_INT(from->notify), DB_INT(p->job->now_ms));
    trace_start(p, STR("queued"), address, &at);
    trace_put_detail(&p->job->trace, at, "domain", domain);
    return rows < 0 ? (int)rows : 0;
}

static int put_in_queue(struct plan *p)
{
    const struct deliver_request *q = &p->request;
    struct cursor remotes = cursor_from(buf_str(&p->remotes));

    if (p->remote_count == 0)
        return 0;
    int64_t rows = db_run(p->job->db,
                          "INSERT INTO queue(id, body, sender, envid, ret, flags, created)"
                          " VALUES(?1, ?1, ?2, ?3, ?4, ?5, ?6)",
                          DB_INT(q->message_id), DB_TEXT(q->sender), DB_TEXT(q->envid),
                          DB_INT(q->ret), DB_INT(q->flags), DB_INT(p->job->now_ms));
    int r = rows < 0 ? (int)rows : 0;
    for (size_t n = 0; r == 0 && n < p->remote_count; n++)
        r = put_recipient(p, n, &remotes);
    return r;
}

static int run_plan(struct plan *p)
{
    const struct deliver_request *q = &p->request;
    int r = 0;

    int64_t bytes = p->job->has_spool ? p->job->spool_place.length : (int64_t)q->text.len;
    trace_accepted(p, bytes);
    for (size_t i = 0; r == 0 && i < q->recipient_count; i++)
        r = plan_recipient(p, i);
    if (r < 0)
        return r;
    struct store_body body = {.id = q->message_id,
                              .text = q->text,
                              .prefix_bytes = q->prefix_bytes,
                              .summary = q->summary,
                              .refs = (int64_t)p->account_count + (p->remote_count > 0)};
    r = store_body_add(p->store, p->job, &body);
    if (r == 0)
        r = put_in_mailboxes(p, bytes);
    if (r == 0)
        r = put_in_queue(p);
    return r;
}

/* deliver: struct deliver_request -> (nothing) */
int verb_deliver(struct store *store, struct job *job)
{
    struct plan p = {.store = store, .job = job};
    struct cursor c = job_args(job);

    int r = store_check_room(store);
    if (r == 0)
        r = wire_get_deliver(&c, &job->arena, &p.request);
    if (r < 0)
        return r;
    if ((p.request.spool != 0) != job->has_spool ||
        (job->has_spool && p.request.prefix_bytes > job->spool_place.length))
        return -EBADMSG;
    buf_init(&p.remotes, PLACES_MAX * 700);
    directory_memory_init(&p.memory);
    map_init(&p.places, PLACES_MAX);
    r = run_plan(&p);
    map_done(&p.places);
    directory_memory_done(&p.memory);
    buf_done(&p.remotes);
    free(p.accounts);
    return r;
}

/* trace.add: encoded events of what never became a message; passed on as they are after a look */
int verb_trace_add(struct store *store, struct job *job)
{
    struct cursor c = job_args(job);
    struct trace_event event;
    int r;

    while ((r = trace_next_event(&c, &event)) > 0) {
        bool is_allowed = str_eq(event.event, STR("refused")) || str_eq(event.event, STR("lost"));
        if (!is_allowed || !wire_is_plausible_id(event.ref))
            return -EBADMSG;
    }
    if (r == 0)
        trace_db_record(store->trace, str_from_mem(job->payload, job->payload_bytes));
    return r;
}

/* trace.query: u64 ref, lp address, i64 since, u32 rows -> encoded events */
int verb_trace_query(struct store *store, struct job *job)
{
    struct cursor c = job_args(job);
    struct trace_query query = {.ref = cursor_u64(&c),
                                .address = cursor_lp(&c),
                                .since_ms = (int64_t)cursor_u64(&c),
                                .max_rows = cursor_u32(&c)};
    struct str key, printed, domain;
    const char *why;

    if (cursor_finish(&c) < 0)
        return -EBADMSG;
    query.max_rows = MIN(query.max_rows, (uint32_t)TRACE_QUERY_ROWS_MAX);
    /* Addresses are kept the way they are printed by us. */
    if (query.address.len > 0 &&
        directory_key(&job->arena, query.address, &key, &printed, &domain, &why) == 0)
        query.address = printed;
    return trace_db_find(store->trace, &query, &job->reply);
}
