/*
 * Where the recipients of one message lead: mailboxes, queue rows, ends that a route or the list of
 * suppressed addresses says; and putting that into the rows. For messages that come in
 * (deliver_plan.c) and for those whose time has come (queue_release.c). Writer thread only.
 *
 * Planning changes nothing but the trace; what it has planned can then only fail with the database.
 */
#pragma once

#include "store/directory.h"
#include "store/job.h"
#include "store/store.h"
#include "store/wire.h"

struct plan {
    struct store *store;
    struct job *job;
    const struct settings *settings;
    const struct deliver_request *request;
    struct directory_result found; /* of the recipient at hand */
    struct directory_memory memory;
    struct map places; /* accounts and addresses that are planned already */
    int64_t *accounts;
    size_t account_count;
    struct buf rows; /* encoded struct planned_row */
    size_t row_count;
    struct map shares; /* destination -> struct share in the arena */
    struct buf text;   /* of the route at hand */
};

/* The request must outlive the plan. Pair: plan_done. */
void plan_init(struct plan *p, struct store *store, struct job *job,
               const struct deliver_request *request);
void plan_done(struct plan *p);

/* Plans the recipient with this index in the request. 0 or negative errno with a text in the job's
 * reply: -ENOENT (there is no such mailbox), -E2BIG (its aliases lead to too many places); then
 * nothing of it is planned. */
MUST_CHECK int plan_recipient(struct plan *p, size_t index);
/* The recipient waits, as it is, for the request's release_ms; it must exist. As above. */
MUST_CHECK int plan_scheduled(struct plan *p, size_t index);
/* The recipient gets nothing; its sender hears of it, if he wants to. `reply` is copied. */
void plan_failure(struct plan *p, size_t index, const char *status, struct str reply);

/* Adds the message of the request, of so many bytes, to the mailboxes: each is a use of the body.
 * 0 or negative errno of the database. */
MUST_CHECK int plan_put_in_mailboxes(struct plan *p, int64_t bytes);
/* Adds the planned rows to the message in the queue, numbered from `first`. As above. */
MUST_CHECK int plan_put_rows(struct plan *p, size_t first);
/* The priority that the message has in the queue. */
int plan_priority(const struct deliver_request *request);
