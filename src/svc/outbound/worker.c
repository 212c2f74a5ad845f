/* Calls of the outbound process to the store: see worker.h. */
#include "svc/outbound/worker.h"

#include <errno.h>

#include "base/clock.h"
#include "base/log.h"
#include "rt/fiber.h"

enum { RETRY_MS = 100 };

struct worker worker;

/* Whether the answer was lost, there was nobody to ask, or the disk could not take it now, and the
 * request is to be repeated. A text that cannot be read is another matter. */
static bool is_lost(enum store_verb verb, int r)
{
    bool is_disk = r == -EIO || r == -ENOSPC || r == -EROFS;

    return r == -EPIPE || r == -ETIMEDOUT || r == -ENOBUFS || r == -EBUSY ||
           (is_disk && verb != STORE_QUEUE_READ);
}

static int wait_a_little(void)
{
    return fiber_sleep_until(clock_mono_ms() + RETRY_MS);
}

int worker_call(enum store_verb verb, const struct buf *args, struct buf *out_reply)
{
    int r = buf_status(args);

    if (r < 0)
        return r;
    for (;;) {
        r = rpc_call(&worker.store.client, (uint16_t)verb, buf_str(args),
                     clock_mono_ms() + WORKER_CALL_WAIT_MS, out_reply);
        if (!is_lost(verb, r))
            return r;
        r = wait_a_little();
        if (r == -ECANCELED)
            return r;
    }
}

void worker_call_init(struct worker_call *c)
{
    *c = (struct worker_call){.verb = STORE_PING};
    buf_init(&c->args, WORKER_CALL_MAX_BYTES);
    buf_init(&c->reply, WORKER_CALL_MAX_BYTES);
    c->call.reply = &c->reply;
}

void worker_call_done(struct worker_call *c)
{
    /* A deadline in the past: the call is forgotten, whatever has come. */
    if (c->is_pending && c->call.is_started)
        (void)!rpc_finish(&c->call, 0);
    buf_done(&c->args);
    buf_done(&c->reply);
}

int worker_call_start(struct worker_call *c, enum store_verb verb)
{
    ASSERT(!c->is_pending);
    c->verb = verb;
    c->call = (struct rpc_call){.reply = &c->reply};
    int r = buf_status(&c->args);
    if (r < 0)
        return r;
    r = rpc_start(&worker.store.client, (uint16_t)verb, buf_str(&c->args),
                  clock_mono_ms() + WORKER_CALL_WAIT_MS, &c->call);
    /* Not sent: worker_call_settle repeats it. */
    c->is_pending = r != -ECANCELED;
    return r == -ECANCELED ? r : 0;
}

int worker_call_settle(struct worker_call *c)
{
    int r = -EPIPE;

    if (!c->is_pending)
        return 0;
    if (c->call.is_started)
        r = rpc_finish(&c->call, clock_mono_ms() + WORKER_CALL_WAIT_MS);
    c->is_pending = false;
    if (!is_lost(c->verb, r))
        return r;
    r = wait_a_little();
    return r == -ECANCELED ? r : worker_call(c->verb, &c->args, &c->reply);
}
