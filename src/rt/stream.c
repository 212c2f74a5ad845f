/* A connected socket as a fiber sees it: see stream.h; with a layer: see stream_layer.h. */
#include "rt/stream.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/clock.h"
#include "rt/stream_layer.h"

enum { STREAM_OUT_MAX_BYTES = 256 * 1024, IN_POOL_MAX = 64, OUT_KEEP_BYTES = 1024 };

/* Free input buffers, shared by the streams of the process. */
static char *in_pool[IN_POOL_MAX];
static size_t in_pool_count;

static char *take_in_buffer(void)
{
    return in_pool_count > 0 ? in_pool[--in_pool_count] : xmalloc(STREAM_IN_BYTES);
}

static void give_in_buffer(char *buffer)
{
    if (buffer != NULL && in_pool_count < IN_POOL_MAX)
        in_pool[in_pool_count++] = buffer;
    else
        free(buffer);
}

static void on_ready(struct loop_watch *w, unsigned ready)
{
    struct stream *s = CONTAINER_OF(w, struct stream, watch);

    if (ready & LOOP_READ)
        s->may_read = true;
    s->has_hangup |= (ready & LOOP_END) != 0;
    if (ready & LOOP_WRITE)
        s->may_write = true;
    if (s->waiter != NULL)
        fiber_wake(s->waiter);
}

int stream_init(struct stream *s, int fd)
{
    *s = (struct stream){
        .watch = {.fd = fd, .on_ready = on_ready}, .deadline_ms = CLOCK_NEVER, .may_write = true};
    buf_init(&s->out, STREAM_OUT_MAX_BYTES);
    int r = loop_watch_add(&s->watch, LOOP_READ | LOOP_WRITE);
    if (r < 0) {
        close(fd);
        s->watch.fd = -1;
        s->error = r;
        return r;
    }
    s->is_watched = true;
    return 0;
}

void stream_done(struct stream *s)
{
    if (s->is_watched)
        loop_watch_remove(&s->watch);
    if (s->watch.fd >= 0)
        close(s->watch.fd);
    give_in_buffer(s->in);
    buf_done(&s->out);
    if (s->layer != NULL) {
        buf_done(&s->layer->wire);
        s->layer->ops->free(s->layer);
    }
    *s = (struct stream){.watch = {.fd = -1}, .error = -EBADF};
}

void stream_set_deadline(struct stream *s, int64_t deadline_ms)
{
    s->deadline_ms = deadline_ms;
}

struct str stream_pending(const struct stream *s)
{
    return s->in != NULL ? str_from_mem(s->in + s->in_at, s->in_len) : STR_NONE;
}

void stream_take(struct stream *s, size_t bytes)
{
    ASSERT(bytes <= s->in_len);
    s->in_at += bytes;
    s->in_len -= bytes;
}

static int wait_ready(struct stream *s, const bool *flag)
{
    while (!*flag) {
        s->waiter = fiber_self();
        int r = fiber_park(s->deadline_ms);
        s->waiter = NULL;
        if (r < 0)
            return r;
    }
    return 0;
}

/* One sendmsg(2): the buffer first, then the text. What was sent of the text, or negative errno. */
static ssize_t socket_send(struct stream *s, struct buf *first, struct str text)
{
    struct iovec parts[2] = {{.iov_base = first->ptr, .iov_len = first->len},
                             {.iov_base = (void *)(uintptr_t)text.ptr, .iov_len = text.len}};
    size_t from = first->len == 0;
    struct msghdr message = {.msg_iov = parts + from, .msg_iovlen = 2 - from - (text.len == 0)};

    ssize_t n = sendmsg(s->watch.fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0 && errno == EAGAIN)
        s->may_write = false;
    if (n < 0)
        return -errno;
    size_t of_first = MIN((size_t)n, first->len);
    buf_consume(first, of_first);
    return n - (ssize_t)of_first;
}

/* Once: the output first, then the text. What is dealt with of the text, or negative errno. */
static ssize_t send_once(struct stream *s, struct str text)
{
    if (s->layer == NULL)
        return socket_send(s, &s->out, text);
    if (s->layer->wire.len == 0)
        return s->layer->ops->seal(s->layer, text);
    return socket_send(s, &s->layer->wire, STR_NONE);
}

bool stream_has_output(const struct stream *s)
{
    return s->out.len > 0 || (s->layer != NULL && s->layer->wire.len > 0);
}

static int wait_to_send(struct stream *s)
{
    /* With nothing on the wire it was the layer that could not go on. */
    bool wants_input = s->layer != NULL && s->layer->wire.len == 0;

    int r = wait_ready(s, wants_input ? &s->may_read : &s->may_write);
    /* An interrupt is for those who wait for input. */
    return r == -EINTR ? 0 : r;
}

static void release_output(struct stream *s)
{
    if (s->out.cap > OUT_KEEP_BYTES && s->out.len == 0)
        buf_done(&s->out);
    if (s->layer != NULL && s->layer->wire.len == 0)
        buf_done(&s->layer->wire);
}

int stream_send(struct stream *s, struct str text)
{
    while ((stream_has_output(s) || text.len > 0) && s->error == 0) {
        ssize_t n = send_once(s, text);
        if (n >= 0) {
            text = str_sub(text, (size_t)n, text.len);
            continue;
        }
        if (n == -EINTR)
            continue;
        if (n != -EAGAIN) {
            s->error = (int)n;
            break;
        }
        int r = wait_to_send(s);
        if (r < 0)
            return r;
    }
    release_output(s);
    return s->error;
}

static void push(struct stream *s)
{
    while (stream_has_output(s) && s->error == 0) {
        ssize_t n = send_once(s, STR_NONE);
        if (n < 0 && n != -EINTR)
            break;
    }
}

void stream_end_now(struct stream *s)
{
    push(s);
    if (s->layer == NULL || s->error < 0 || s->out.len > 0)
        return;
    s->layer->ops->say_end(s->layer);
    push(s);
}

void stream_drop_output(struct stream *s)
{
    buf_reset(&s->out);
    s->error = 0;
    if (s->layer == NULL)
        return;
    /* Half a record may have left: what would follow it could not be understood. */
    buf_done(&s->layer->wire);
    s->layer->is_mute = true;
}

int stream_flush(struct stream *s)
{
    return stream_send(s, STR_NONE);
}

int stream_write(struct stream *s, struct str text)
{
    while (text.len > 0) {
        size_t room = STREAM_OUT_FLUSH_BYTES - MIN(s->out.len, (size_t)STREAM_OUT_FLUSH_BYTES);
        size_t part = MIN(room, text.len);
        buf_put(&s->out, text.ptr, part);
        text = str_sub(text, part, text.len);
        if (s->out.len < STREAM_OUT_FLUSH_BYTES)
            continue;
        int r = stream_flush(s);
        if (r < 0)
            return r;
    }
    return s->error;
}

static void make_in_room(struct stream *s)
{
    if (s->in == NULL) {
        s->in = take_in_buffer();
        s->in_at = 0;
        s->in_len = 0;
    }
    if (s->in_at > 0 && s->in_len > 0)
        memmove(s->in, s->in + s->in_at, s->in_len);
    s->in_at = 0;
}

ssize_t stream_socket_recv(struct stream *s, void *to, size_t room)
{
    ssize_t n = recv(s->watch.fd, to, room, MSG_DONTWAIT);

    if (n < 0) {
        s->may_read &= errno != EAGAIN;
        return errno == EINTR ? -EAGAIN : -errno;
    }
    /* Less than there was room for is all there is; what comes later is told, but an end only once.
     */
    s->may_read = (size_t)n == room || s->has_hangup;
    return n;
}

int stream_wait_input(struct stream *s)
{
    int r = stream_flush(s);
    if (r < 0)
        return r;
    if (!s->may_read)
        return wait_ready(s, &s->may_read);
    return clock_mono_ms() < s->deadline_ms ? fiber_yield() : -ETIMEDOUT;
}

/* Once: >0, 0 at the end, -EAGAIN, or the error. */
static int read_once(struct stream *s)
{
    make_in_room(s);
    size_t room = STREAM_IN_BYTES - s->in_len;
    if (room == 0)
        return -ENOBUFS;
    char *to = s->in + s->in_len;
    ssize_t n = s->layer != NULL ? s->layer->ops->open(s->layer, to, room)
                                 : stream_socket_recv(s, to, room);
    if (n > 0)
        s->in_len += (size_t)n;
    if (n == 0)
        s->has_ended = true;
    return (int)n;
}

/* Who waits needs no buffer. */
static int wait_to_read(struct stream *s)
{
    if (s->in_len == 0) {
        give_in_buffer(s->in);
        s->in = NULL;
    }
    return stream_wait_input(s);
}

static bool may_have_input(const struct stream *s)
{
    return s->may_read || (s->layer != NULL && s->layer->ops->has_buffered(s->layer));
}

int stream_fill(struct stream *s)
{
    if (s->error < 0)
        return s->error;
    if (s->has_ended)
        return 0;
    int r = stream_flush(s);
    while (r == 0) {
        if (may_have_input(s)) {
            r = read_once(s);
            if (r != -EAGAIN)
                return r;
        }
        r = wait_to_read(s);
    }
    return r;
}

int stream_read_line(struct stream *s, size_t max_bytes, struct str *out_line)
{
    size_t searched = 0;

    ASSERT(max_bytes <= STREAM_IN_BYTES);
    for (;;) {
        struct str pending = stream_pending(s);
        ptrdiff_t at = str_find(str_sub(pending, searched, pending.len), '\n');
        size_t len = at < 0 ? pending.len : searched + (size_t)at + 1;
        if (len > max_bytes || (at < 0 && len == max_bytes))
            return -EMSGSIZE;
        if (at >= 0) {
            *out_line = str_sub(pending, 0, len);
            stream_take(s, len);
            return 0;
        }
        searched = pending.len;
        int r = stream_fill(s);
        if (r <= 0)
            return r == 0 ? -ENODATA : r;
    }
}

/* What is in the socket or the layer: >0, 0 at the end, -EAGAIN for nothing, or an error. */
static ssize_t look_ahead(const struct stream *s)
{
    char first;

    if (s->layer != NULL)
        return s->layer->ops->look(s->layer);
    ssize_t n = recv(s->watch.fd, &first, 1, MSG_PEEK | MSG_DONTWAIT);
    return n < 0 ? -errno : n;
}

bool stream_has_input(const struct stream *s)
{
    return s->in_len > 0 || look_ahead(s) > 0;
}

bool stream_is_quiet(const struct stream *s)
{
    return s->in_len == 0 && s->error == 0 && !s->has_ended && look_ahead(s) == -EAGAIN;
}

int stream_skip_line(struct stream *s, uint64_t max_bytes)
{
    uint64_t skipped = 0;

    while (skipped <= max_bytes) {
        struct str pending = stream_pending(s);
        ptrdiff_t at = str_find(pending, '\n');
        size_t len = at < 0 ? pending.len : (size_t)at + 1;
        stream_take(s, len);
        skipped += len;
        if (at >= 0)
            return 0;
        int r = stream_fill(s);
        if (r <= 0)
            return r == 0 ? -ENODATA : r;
    }
    return -EMSGSIZE;
}

/* Output comes before the end. Yields. */
static void say_layer_end(struct stream *s)
{
    if (stream_flush(s) == 0)
        s->layer->ops->say_end(s->layer);
}

void stream_set_layer(struct stream *s, struct stream_layer *l)
{
    ASSERT(s->layer == NULL && s->in_len == 0 && s->out.len == 0);
    give_in_buffer(s->in);
    s->in = NULL;
    s->layer = l;
}

void stream_close_gently(struct stream *s, int64_t linger_ms)
{
    enum { LINGER_MAX_BYTES = 256 * 1024 };
    int64_t until_ms = clock_mono_ms() + linger_ms;
    size_t dropped = 0;

    stream_set_deadline(s, until_ms);
    if (s->layer != NULL && s->error == 0)
        say_layer_end(s);
    if (stream_flush(s) < 0 || s->has_ended || shutdown(s->watch.fd, SHUT_WR) < 0)
        return;
    while (dropped < LINGER_MAX_BYTES) {
        size_t len = stream_pending(s).len;
        stream_take(s, len);
        dropped += len;
        if (stream_fill(s) <= 0)
            return;
    }
}
