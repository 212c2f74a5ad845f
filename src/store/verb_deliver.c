/*
 * What a receiving worker asks: where a recipient leads, room for bytes, to take a message in
 * (deliver_plan.c), to note what it refused; and the trace's questions.
 */
#include <errno.h>

#include "base/log.h"
#include "mail/address.h"
#include "store/deliver_plan.h"
#include "store/directory.h"
#include "store/queue_rows.h"
#include "store/server.h"
#include "store/store.h"
#include "store/verbs.h"

static int check_suppression(struct job *job, struct str local, struct str domain,
                             enum recipient_kind *out_kind)
{
    struct address a = {.local = local, .domain = domain};
    struct buf printed;

    buf_init(&printed, ADDRESS_TEXT_MAX_BYTES);
    address_print(&a, &printed);
    int r = suppression_find(job->db, buf_str(&printed), job->now_ms, NULL);
    buf_done(&printed);
    if (r > 0)
        *out_kind = RECIPIENT_SUPPRESSED;
    return r < 0 ? r : 0;
}

/* recipient.check: lp local, lp domain -> u8 kind, u32 targets. On the wire the peer is before it,
 * which the gate has taken off. */
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
    if (r == 0 && found.kind == RECIPIENT_REMOTE)
        r = check_suppression(job, local, domain, &found.kind);
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

/* deliver: struct deliver_request -> (nothing) */
int verb_deliver(struct store *store, struct job *job)
{
    struct cursor c = job_args(job);
    struct deliver_request request = {.spool = 0};

    int r = store_check_room(store);
    if (r == 0)
        r = wire_get_deliver(&c, &job->arena, &request);
    if (r < 0)
        return r;
    if ((request.spool != 0) != job->has_spool ||
        (job->has_spool && request.prefix_bytes > job->spool_place.length))
        return -EBADMSG;
    return deliver_message(store, job, &request);
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
