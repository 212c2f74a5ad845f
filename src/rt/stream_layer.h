/*
 * What lies between a stream and its socket, and what it may use of the stream: for src/rt only.
 *
 * A layer never waits and never yields: it works on what has arrived, and puts what is to be sent
 * into `wire`. The stream sends that, waits, and keeps deadlines, for plain text and layers alike.
 * So a layer that needs the other direction first (a handshake, a change of keys) cannot stall.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "base/buf.h"
#include "rt/stream.h"

struct stream_layer {
    const struct stream_layer_ops *ops;
    struct buf wire; /* goes to the socket before anything else */
    bool is_mute;    /* output was dropped in the middle: nothing can be sent any more */
};

struct stream_layer_ops {
    /* Input for the reader: bytes put to `to`; 0: the peer has ended; -EAGAIN: all that has arrived
     * is used up, or (may_read is still set) others should run first; or an error. */
    ssize_t (*open)(struct stream_layer *l, char *to, size_t room);
    /* Called with nothing on the wire: makes some from the output of the stream, then from `text`.
     * Bytes of the text taken, which may be 0 while there was output; -EAGAIN: it has to read
     * something first; or an error. */
    ssize_t (*seal)(struct stream_layer *l, struct str text);
    /* Takes nothing: >0: there is input; 0: the end; -EAGAIN: nothing; or an error. */
    ssize_t (*look)(struct stream_layer *l);
    /* Whether open() may give something although the socket has nothing new. */
    bool (*has_buffered)(struct stream_layer *l);
    /* Puts the layer's own end on the wire. */
    void (*say_end)(struct stream_layer *l);
    void (*free)(struct stream_layer *l);
};

/* Puts the layer, which the stream owns from now on, over a stream without input or output. */
void stream_set_layer(struct stream *s, struct stream_layer *l);
/* One recv(2) that keeps what is known about the socket: >0; 0 at the end; -EAGAIN; the error. */
ssize_t stream_socket_recv(struct stream *s, void *to, size_t room);
/* Sends the output, then waits for the socket to have input; if it has, lets others run: that is
 * for a layer that gave -EAGAIN all the same. Yields. 0 or negative errno as fiber_park. */
MUST_CHECK int stream_wait_input(struct stream *s);
