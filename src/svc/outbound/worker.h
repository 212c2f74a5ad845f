/*
 * What the parts of the outbound process share: settings, the channels, the calls to the store.
 *
 * Everything belongs to the loop's thread. Settings are replaced by a reload; old ones are kept to
 * the end of the process, so that a fiber may go on with those it began with.
 */
#pragma once

#include <stdbool.h>

#include "base/buf.h"
#include "base/id.h"
#include "conf/settings.h"
#include "store/wire.h"
#include "svc/child.h"
#include "svc/tls_link.h"

enum { WORKER_CALL_WAIT_MS = 60 * 1000, WORKER_CALL_MAX_BYTES = 1024 * 1024 };

struct worker {
    const struct settings *settings;
    struct child_link store;
    struct child_link resolver;
    struct tls_link tls;
    struct id_maker ids;
    bool is_draining;
    struct fiber_group deliveries; /* destinations and their connections */
    struct fiber_group services;   /* scheduler, sweeper, reporter: ended at once by a drain */
};

/* The one of this process. */
extern struct worker worker;

/* A call to the store that is repeated until it is answered: requests of the queue may come twice.
 * Yields. 0, the store's own refusal as a negative errno, or -ECANCELED. */
MUST_CHECK int worker_call(enum store_verb verb, const struct buf *args, struct buf *out_reply);

/* Such a call in two halves (rpc_start, rpc_finish); the request is kept for repeating. */
struct worker_call {
    enum store_verb verb;
    struct buf args;
    struct buf reply;
    struct rpc_call call;
    bool is_pending;
};

/* Embedded; pair: worker_call_done. */
void worker_call_init(struct worker_call *c);
/* Drops an answer that is still to come. */
void worker_call_done(struct worker_call *c);
/* Sends what is in c->args. Yields. 0 or -ECANCELED. */
MUST_CHECK int worker_call_start(struct worker_call *c, enum store_verb verb);
/* Waits for the answer, if one is due. Yields. As worker_call. */
MUST_CHECK int worker_call_settle(struct worker_call *c);
