/*
 * A worker's listening sockets and the connections that come in over them, each in a fiber of its
 * own. Knows no protocol: what is spoken is the worker's matter.
 */
#pragma once

#include <stdbool.h>

#include "base/ip.h"
#include "rt/fiber.h"
#include "rt/loop.h"
#include "rt/stream.h"
#include "svc/child.h"

enum { ACCEPTOR_LISTENERS_MAX = 64 };

/* A connection as it came in. */
struct accepted {
    enum control_listener use; /* of the listener */
    struct ip_addr peer, local;
};

struct acceptor;

struct acceptor_listener {
    struct loop_watch watch;
    struct acceptor *owner;
    enum control_listener use;
    bool is_watched;
};

struct acceptor {
    /* Speaks with the peer to the end; the stream is closed behind it. In the connection's fiber.
     * Yields. */
    void (*serve)(struct stream *stream, const struct accepted *from);
    struct fiber_group sessions;
    struct fiber_group helpers;
    struct acceptor_listener listeners[ACCEPTOR_LISTENERS_MAX];
    size_t listener_count;
    struct loop_timer pause_timer;
    bool is_draining;
    int64_t drain_until_ms;
};

/* Embedded, must stay in place. It is at an end when the loop has stopped. */
void acceptor_init(struct acceptor *a,
                   void (*serve)(struct stream *stream, const struct accepted *from));
/* Forgets the listeners: others follow (CONTROL_LISTEN_RESET). */
void acceptor_reset(struct acceptor *a);
/* Takes CONTROL_LISTEN with its descriptor. */
void acceptor_take_listener(struct acceptor *a, struct control_event *event);
/* Takes nothing new, tells sessions that wait for their peer (fiber_group_interrupt), gives them
 * `wait_ms`, cancels what is left then and stops the loop. */
void acceptor_drain(struct acceptor *a, int64_t wait_ms);
