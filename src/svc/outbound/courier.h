/*
 * One message over one connection: its text from the store in pieces, made fit for the peer, the
 * replies turned into verdicts, the result told to the store.
 *
 * The result of the message before is settled (its commit acknowledged) before the end of the next
 * text is sent: so a crash of any process can repeat at most one delivery per connection, the one
 * whose final reply was lost.
 */
#pragma once

#include "base/arena.h"
#include "store/queue_wire.h"
#include "svc/outbound/site.h"
#include "svc/outbound/worker.h"

struct courier {
    struct worker_call result; /* of the message before */
    bool is_sure;              /* the hosts are the right ones: see target.h */
    const struct settings *settings;
};

void courier_init(struct courier *c);
void courier_done(struct courier *c);

/* What became of a message on this connection, one reply per recipient. */
struct courier_outcome {
    struct smtp_client_reply *replies;
    size_t accepted;
    bool is_unknown;
};

/* Sends the message to these recipients of it (indexes into message->recipients). Yields. Texts
 * live in the arena. 0 or -ECANCELED. */
MUST_CHECK int courier_carry(struct courier *c, struct connection *connection,
                             const struct queue_message *message, const size_t *recipients,
                             size_t count, struct arena *arena, struct courier_outcome *out);
/* Tells the store; returns when the request is on its way. Yields. 0 or -ECANCELED. */
MUST_CHECK int courier_tell(struct courier *c, const struct queue_result *result);
/* Waits until the store has the last result. Yields. 0 or -ECANCELED. */
MUST_CHECK int courier_settle(struct courier *c);
