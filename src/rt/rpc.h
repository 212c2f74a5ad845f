/*
 * Frames between processes over a socketpair: many calls under way at once on one channel.
 *
 * A frame is a 32-bit length of what follows, a 32-bit call id, a 16-bit verb (calls) or status
 * (replies), and the payload. The caller's fibers wait; the callee answers in any order. A peer
 * that sends anything malformed is cut off: for the store, workers are strangers too.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/list.h"
#include "base/map.h"
#include "base/str.h"
#include "rt/fiber.h"
#include "rt/loop.h"

enum {
    RPC_HEADER_BYTES = 10,
    RPC_PAYLOAD_MAX_BYTES = 1024 * 1024,
    RPC_QUEUE_MAX_BYTES = 8 * 1024 * 1024,  /* unsent output of one channel */
    RPC_QUEUE_WAIT_BYTES = 2 * 1024 * 1024, /* above it, callers wait before they add more */
};

/* Who speaks on a channel: what a role may call is decided by the callee's verb table. */
enum rpc_role {
    RPC_ROLE_INBOUND = 1,
    RPC_ROLE_ACCESS = 2,
    RPC_ROLE_OUTBOUND = 4,
    RPC_ROLE_ADMIN = 8,
};

/* One parsed frame; views point into the channel's buffer and die when the handler returns. */
struct rpc_frame {
    uint32_t call_id;
    uint16_t code;
    struct str payload;
    struct rpc_channel *channel; /* set for on_frame */
};

/* The payload for longer than the handler runs: a copy, or the channel's buffer itself, if the
 * frame is large and all there is in it; then the view goes on into that. From on_frame, once. The
 * caller frees what comes back, and not the view. */
char *rpc_frame_keep(struct rpc_frame *frame);

/* Reads one frame from the front of `input`. 1 and the bytes it took; 0 when incomplete; -EBADMSG.
 */
MUST_CHECK int rpc_frame_parse(struct str input, struct rpc_frame *out_frame, size_t *out_bytes);
void rpc_frame_put(struct buf *out, uint32_t call_id, uint16_t code, struct str payload);

/* A channel: one end of a socketpair, used for calls or for serving them. */
struct rpc_channel {
    struct loop_watch watch;
    struct loop_hook flush_hook;
    struct buf in;
    struct buf out;
    struct list writers; /* fibers that wait for the queue to shrink */
    bool is_open;
    bool may_write;
    bool has_ended; /* the peer has closed: there is an end to be read */
    bool is_in_callback;
    /* Called for every frame; a negative result closes the channel. */
    int (*on_frame)(struct rpc_channel *c, struct rpc_frame *frame);
    /* Called once when the peer is gone or was cut off. The channel is closed already. */
    void (*on_close)(struct rpc_channel *c);
};

/* Takes over fd (non-blocking, connected). 0 or negative errno (fd is closed then). */
MUST_CHECK int rpc_channel_open(struct rpc_channel *c, int fd);
/* Closes without calling on_close; safe to call twice. */
void rpc_channel_close(struct rpc_channel *c);
/* Queues a frame; it goes out at the end of the loop's turn. 0, -EPIPE when closed, -ENOBUFS. */
MUST_CHECK int rpc_channel_send(struct rpc_channel *c, uint32_t call_id, uint16_t code,
                                struct str payload);
/* The same for a payload of two parts. A large second part is not copied when the socket takes it.
 */
MUST_CHECK int rpc_channel_send_parts(struct rpc_channel *c, uint32_t call_id, uint16_t code,
                                      const struct str parts[2]);

/* Handles what has arrived by now, without waiting for the loop to say so; may close the channel.
 * Not from a handler of the same channel. */
void rpc_channel_drain(struct rpc_channel *c);
/* Sends what is queued as far as the socket takes it now. */
void rpc_channel_flush(struct rpc_channel *c);

/* The calling end. The channel can be replaced: calls under way then fail with -EPIPE. */
struct rpc_client {
    struct rpc_channel channel;
    struct map calls; /* call id -> struct rpc_call on the caller's stack */
    uint32_t next_call_id;
    /* The peer closed the channel or was cut off, and the calls under way have failed: somebody has
     * to attach a new one. Not called when a channel is replaced. NULL: nobody wants to know. */
    void (*on_lost)(struct rpc_client *c);
};

/* `on_lost` is set afterwards. */
void rpc_client_init(struct rpc_client *c);
void rpc_client_done(struct rpc_client *c);
/* Uses fd from now on. 0 or negative errno. */
MUST_CHECK int rpc_client_attach(struct rpc_client *c, int fd);
bool rpc_client_is_attached(const struct rpc_client *c);
/* Calls a verb and waits for the answer. Yields. The reply's payload is put into `out_reply` (which
 * is reset first). 0 or: the callee's status as a negative errno; -EPIPE when the channel is or
 * gets closed; -ETIMEDOUT when no answer came; -ENOBUFS when the call could not be sent in time;
 * -ECANCELED; -EMSGSIZE. */
MUST_CHECK int rpc_call(struct rpc_client *c, uint16_t verb, struct str payload,
                        int64_t deadline_ms, struct buf *out_reply);
/* The same for a payload of two parts: of a small head and a large text, which is not copied. */
MUST_CHECK int rpc_call_parts(struct rpc_client *c, uint16_t verb, const struct str parts[2],
                              int64_t deadline_ms, struct buf *out_reply);
/* A call whose answer is waited for later. It must stay in place until it is finished. */
struct rpc_call {
    struct buf *reply; /* set by the caller before rpc_start; must live as long as the call */
    struct rpc_client *client;
    struct fiber *fiber;
    uint32_t id;
    int status;
    bool is_started, is_done;
};
/* The two halves of rpc_call. Between them the fiber may do other things. Both Yield. rpc_start: 0,
 * then rpc_finish is due; or as rpc_call, then it is not. rpc_finish: as rpc_call. */
MUST_CHECK int rpc_start(struct rpc_client *c, uint16_t verb, struct str payload,
                         int64_t deadline_ms, struct rpc_call *call);
MUST_CHECK int rpc_finish(struct rpc_call *call, int64_t deadline_ms);
/* The same without waiting for an answer. 0 or -EPIPE, -ENOBUFS. */
MUST_CHECK int rpc_post(struct rpc_client *c, uint16_t verb, struct str payload);
