/*
 * A connected socket as a fiber sees it: lines and blocks in, text out, every wait with a deadline.
 *
 * Buffers exist only while there is something in them, so that an idle connection costs none.
 * Output is gathered and goes out before the fiber waits for input, which is what PIPELINING (RFC
 * 2920 section 3.2) asks of a server. Errors are sticky per direction: negative errno values.
 *
 * A layer (TLS: see tls.h) may be put between the stream and its socket. Everything here works the
 * same then; only a connection that broke off where the peer did not end it can be told apart.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/str.h"
#include "rt/fiber.h"
#include "rt/loop.h"

enum { STREAM_IN_BYTES = 16 * 1024, STREAM_OUT_FLUSH_BYTES = 16 * 1024 };

struct stream_layer;

struct stream {
    struct loop_watch watch;
    struct stream_layer *layer; /* owned; NULL: nothing between here and the socket */
    struct fiber *waiter;
    char *in; /* NULL while empty */
    size_t in_at;
    size_t in_len;
    struct buf out;
    int64_t deadline_ms;
    int error;
    bool is_watched;
    bool may_read; /* no EAGAIN since the last event */
    bool may_write;
    bool has_hangup; /* the loop told of an end or an error: it is there to be read */
    bool has_ended;  /* the peer closed its side: it was read */
};

/* Takes over the descriptor, which must be non-blocking. 0 or negative errno (then fd is closed).
 */
MUST_CHECK int stream_init(struct stream *s, int fd);
/* Closes; output that was not flushed is dropped. */
void stream_done(struct stream *s);
/* All waits until the next call end with -ETIMEDOUT at this moment. */
void stream_set_deadline(struct stream *s, int64_t deadline_ms);

/* Bytes that have arrived and are not taken yet. */
struct str stream_pending(const struct stream *s);
/* Takes `bytes` of the pending ones. Views into them stay valid until the next fill. */
void stream_take(struct stream *s, size_t bytes);
/* Gets more input, after flushing the output. Yields. >0: bytes added; 0: the peer has ended;
 * negative errno: -ETIMEDOUT, -ECANCELED, -EINTR, -ENOBUFS when STREAM_IN_BYTES are pending;
 * -ECONNABORTED (TLS) when the connection ended and the peer had not said so; ... */
MUST_CHECK int stream_fill(struct stream *s);
/* Reads a line up to and with LF. Yields. The view is valid until the next read. 0; -EMSGSIZE when
 * `max_bytes` came without LF (nothing is taken); -ENODATA at the end; else as stream_fill. */
MUST_CHECK int stream_read_line(struct stream *s, size_t max_bytes, struct str *out_line);
/* Whether input has arrived that was not asked for yet. Looks without waiting and takes nothing. */
bool stream_has_input(const struct stream *s);
/* Whether the connection is open and the peer silent: no input, no end, no error. As
 * stream_has_input it looks without waiting and takes nothing. */
bool stream_is_quiet(const struct stream *s);
/* Drops input up to and with the next LF, at most `max_bytes`. Yields. 0 or as stream_read_line. */
MUST_CHECK int stream_skip_line(struct stream *s, uint64_t max_bytes);

/* Adds to the output; flushes by itself when much has gathered (then it yields). 0 or negative. */
MUST_CHECK int stream_write(struct stream *s, struct str text);
/* Sends the output. Yields. 0 or negative errno. */
MUST_CHECK int stream_flush(struct stream *s);
/* Sends the output and then `text`, without copying it. Yields; the view must stay valid meanwhile.
 * 0 or negative errno; how much of the text has left then is not known. */
MUST_CHECK int stream_send(struct stream *s, struct str text);
/* Sends what the socket takes at once of the output and of a layer's end (TLS: close_notify). Never
 * yields; a last word before stream_done. */
void stream_end_now(struct stream *s);
/* Whether there is output that the kernel does not have yet. */
bool stream_has_output(const struct stream *s);
/* Forgets the output and the error of sending: from now on the stream is only for reading. */
void stream_drop_output(struct stream *s);
/* Half-closes and drops what the peer still sends, for at most `linger_ms`, so that a last reply is
 * not lost to a reset. A layer's end (TLS: close_notify) is said before. Yields. */
void stream_close_gently(struct stream *s, int64_t linger_ms);
