/* A connected socket as a fiber sees it: see stream.h. */
#include "rt/stream.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/clock.h"

enum { STREAM_OUT_MAX_BYTES = 256 * 1024, IN_POOL_MAX = 64 };

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

/* Once: the output first, then the text. What was sent of the text, or negative errno. */
static ssize_t send_once(struct stream *s, struct str text)
{
    struct iovec parts[2] = {{.iov_base = s->out.ptr, .iov_len = s->out.len},
                             {.iov_base = (void *)(uintptr_t)text.ptr, .iov_len = text.len}};
    size_t first = s->out.len == 0;
    struct msghdr message = {.msg_iov = parts + first, .msg_iovlen = 2 - first - (text.len == 0)};

    ssize_t n = sendmsg(s->watch.fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0)
        return -errno;
    size_t of_out = MIN((size_t)n, s->out.len);
    buf_consume(&s->out, of_out);
    return n - (ssize_t)of_out;
}

int stream_send(struct stream *s, struct str text)
{
    while (s->out.len + text.len > 0 && s->error == 0) {
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
        s->may_write = false;
        int r = wait_ready(s, &s->may_write);
        /* An interrupt is for those who wait for input. */
        if (r < 0 && r != -EINTR)
            return r;
    }
    if (s->out.cap > 1024 && s->out.len == 0)
        buf_done(&s->out);
    return s->error;
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

/* One read(2): >0, 0 at the end, -EAGAIN, or the error. */
static int read_once(struct stream *s)
{
    make_in_room(s);
    size_t room = STREAM_IN_BYTES - s->in_len;
    if (room == 0)
        return -ENOBUFS;
    ssize_t n = recv(s->watch.fd, s->in + s->in_len, room, MSG_DONTWAIT);
    if (n < 0)
        return errno == EINTR ? -EAGAIN : -errno;
    s->in_len += (size_t)n;
    if (n == 0)
        s->has_ended = true;
    /* Less than there was room for is all there is; what comes later is told, but an end only once.
     */
    s->may_read = (size_t)n == room || s->has_hangup;
    return (int)n;
}

int stream_fill(struct stream *s)
{
    if (s->error < 0)
        return s->error;
    if (s->has_ended)
        return 0;
    int r = stream_flush(s);
    if (r < 0)
        return r;
    for (;;) {
        if (s->may_read) {
            r = read_once(s);
            if (r != -EAGAIN)
                return r;
            s->may_read = false;
        }
        if (s->in_len == 0) {
            give_in_buffer(s->in);
            s->in = NULL;
        }
        r = wait_ready(s, &s->may_read);
        if (r < 0)
            return r;
    }
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

bool stream_has_input(const struct stream *s)
{
    char first;

    return s->in_len > 0 || recv(s->watch.fd, &first, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
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

void stream_close_gently(struct stream *s, int64_t linger_ms)
{
    enum { LINGER_MAX_BYTES = 256 * 1024 };
    int64_t until_ms = clock_mono_ms() + linger_ms;
    size_t dropped = 0;

    stream_set_deadline(s, until_ms);
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
