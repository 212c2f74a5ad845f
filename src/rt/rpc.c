/* Frames between processes: see rpc.h. */
#include "rt/rpc.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/cursor.h"

enum {
    RPC_READ_BYTES = 128 * 1024,
    RPC_MAX_CALLS = 100000,
    RPC_KEEP_BYTES =
        256 * 1024, /* of a buffer that is empty: the next large frame needs it again */
    RPC_DIRECT_BYTES = 16 * 1024, /* from here on a copy costs more than a system call */
};

struct rpc_writer {
    struct list link;
    struct fiber *fiber;
};

int rpc_frame_parse(struct str input, struct rpc_frame *out_frame, size_t *out_bytes)
{
    struct cursor c = cursor_from(input);

    if (input.len < RPC_HEADER_BYTES)
        return 0;
    uint32_t rest = cursor_u32(&c);
    if (rest < RPC_HEADER_BYTES - 4 || rest > RPC_HEADER_BYTES - 4 + RPC_PAYLOAD_MAX_BYTES)
        return -EBADMSG;
    if (input.len - 4 < rest)
        return 0;
    out_frame->call_id = cursor_u32(&c);
    out_frame->code = cursor_u16(&c);
    out_frame->payload = cursor_take(&c, rest - (RPC_HEADER_BYTES - 4));
    *out_bytes = 4 + (size_t)rest;
    return 1;
}

static void put_header(struct buf *out, uint32_t call_id, uint16_t code, size_t payload_bytes)
{
    buf_put_u32(out, (uint32_t)(payload_bytes + RPC_HEADER_BYTES - 4));
    buf_put_u32(out, call_id);
    buf_put_u16(out, code);
}

void rpc_frame_put(struct buf *out, uint32_t call_id, uint16_t code, struct str payload)
{
    put_header(out, call_id, code, payload.len);
    buf_put_str(out, payload);
}

void rpc_channel_close(struct rpc_channel *c)
{
    struct list *link;

    if (!c->is_open)
        return;
    c->is_open = false;
    loop_watch_remove(&c->watch);
    close(c->watch.fd);
    c->watch.fd = -1;
    list_remove(&c->flush_hook.link);
    buf_done(&c->out);
    if (!c->is_in_callback)
        buf_done(&c->in);
    while ((link = list_pop(&c->writers)) != NULL)
        fiber_wake(CONTAINER_OF(link, struct rpc_writer, link)->fiber);
}

static void fail_channel(struct rpc_channel *c)
{
    if (!c->is_open)
        return;
    rpc_channel_close(c);
    if (c->on_close != NULL)
        c->on_close(c);
}

char *rpc_frame_keep(struct rpc_frame *frame)
{
    struct buf *in = &frame->channel->in;
    bool is_last = frame->payload.ptr + frame->payload.len == in->ptr + in->len;
    bool is_first = frame->payload.ptr == in->ptr + RPC_HEADER_BYTES;

    if (frame->payload.len < RPC_DIRECT_BYTES || !is_first || !is_last) {
        char *copy = str_dup(frame->payload);
        frame->payload.ptr = copy;
        return copy;
    }
    char *kept = in->ptr;
    *in = (struct buf){.max = in->max};
    return kept;
}

/* Hands all whole frames to the owner. */
static int deliver_frames(struct rpc_channel *c)
{
    size_t at = 0;
    int r = 1;

    while (r > 0 && c->is_open) {
        struct rpc_frame frame;
        size_t bytes = 0;
        r = rpc_frame_parse(str_sub(buf_str(&c->in), at, c->in.len), &frame, &bytes);
        if (r > 0) {
            at += bytes;
            frame.channel = c;
            int handled = c->on_frame(c, &frame);
            r = handled < 0 ? handled : 1;
        }
        /* The buffer was kept by the handler. */
        if (c->in.ptr == NULL)
            return r;
    }
    buf_consume(&c->in, at);
    return r;
}

/* Reads all there is. 0, or negative when the channel must end. */
static int read_frames(struct rpc_channel *c)
{
    while (c->is_open) {
        char *room = buf_reserve(&c->in, RPC_READ_BYTES);
        if (room == NULL)
            return -EBADMSG;
        ssize_t n = recv(c->watch.fd, room, RPC_READ_BYTES, MSG_DONTWAIT);
        if (n == 0)
            return -EPIPE;
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno == EAGAIN ? 0 : -errno;
        buf_commit(&c->in, (size_t)n);
        int r = deliver_frames(c);
        /* Less than there was room for is all there is; what comes later, and the end, is told. */
        if (r < 0 || ((size_t)n < RPC_READ_BYTES && !c->has_ended))
            return r;
    }
    return 0;
}

/* A local socket tells whoever watches for it of each byte that the other end takes: so nobody does
 * but who waits for room. */
static void wait_for_room(struct rpc_channel *c)
{
    c->may_write = false;
    loop_watch_change(&c->watch, LOOP_READ | LOOP_WRITE);
}

static void flush_channel(struct rpc_channel *c)
{
    size_t sent = 0;

    while (c->may_write && sent < c->out.len) {
        ssize_t n =
            send(c->watch.fd, c->out.ptr + sent, c->out.len - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n > 0)
            sent += (size_t)n;
        else if (errno == EAGAIN)
            wait_for_room(c);
        else if (errno != EINTR) {
            fail_channel(c);
            return;
        }
    }
    buf_consume(&c->out, sent);
    if (c->out.len == 0 && c->out.cap > RPC_KEEP_BYTES)
        buf_done(&c->out);
    while (c->out.len < RPC_QUEUE_WAIT_BYTES) {
        struct list *link = list_pop(&c->writers);
        if (link == NULL)
            break;
        fiber_wake(CONTAINER_OF(link, struct rpc_writer, link)->fiber);
    }
}

void rpc_channel_flush(struct rpc_channel *c)
{
    if (c->is_open)
        flush_channel(c);
}

static void on_flush(struct loop_hook *h)
{
    flush_channel(CONTAINER_OF(h, struct rpc_channel, flush_hook));
}

void rpc_channel_drain(struct rpc_channel *c)
{
    if (!c->is_open)
        return;
    c->is_in_callback = true;
    int r = read_frames(c);
    c->is_in_callback = false;
    if (!c->is_open || (c->in.len == 0 && c->in.cap > RPC_KEEP_BYTES))
        buf_done(&c->in);
    if (r < 0)
        fail_channel(c);
}

static void on_ready(struct loop_watch *w, unsigned ready)
{
    struct rpc_channel *c = CONTAINER_OF(w, struct rpc_channel, watch);

    if (!c->is_open)
        return;
    c->has_ended |= (ready & LOOP_END) != 0;
    if ((ready & LOOP_WRITE) && !c->may_write) {
        c->may_write = true;
        loop_watch_change(&c->watch, LOOP_READ);
        if (c->out.len > 0)
            loop_before_wait(&c->flush_hook);
    }
    if (ready & LOOP_READ)
        rpc_channel_drain(c);
}

int rpc_channel_open(struct rpc_channel *c, int fd)
{
    ASSERT(!c->is_open && c->on_frame != NULL);
    c->watch = (struct loop_watch){.fd = fd, .on_ready = on_ready};
    c->flush_hook.run = on_flush;
    list_init(&c->flush_hook.link);
    list_init(&c->writers);
    buf_init(&c->in, 2 * (RPC_PAYLOAD_MAX_BYTES + RPC_HEADER_BYTES));
    buf_init(&c->out, RPC_QUEUE_MAX_BYTES);
    c->may_write = true;
    int r = loop_watch_add(&c->watch, LOOP_READ);
    if (r < 0) {
        close(fd);
        return r;
    }
    c->is_open = true;
    return 0;
}

/* Sends what is queued and then `text`, without copying it. What the socket did not take of the
 * text; all of it after an error, which the next flush will find again. */
static struct str send_directly(struct rpc_channel *c, struct str text)
{
    struct iovec parts[2] = {{.iov_base = c->out.ptr, .iov_len = c->out.len},
                             {.iov_base = (void *)(uintptr_t)text.ptr, .iov_len = text.len}};
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};

    ssize_t n = sendmsg(c->watch.fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0)
        return text;
    size_t of_out = MIN((size_t)n, c->out.len);
    buf_consume(&c->out, of_out);
    return str_sub(text, (size_t)n - of_out, text.len);
}

int rpc_channel_send_parts(struct rpc_channel *c, uint32_t call_id, uint16_t code,
                           const struct str parts[2])
{
    size_t bytes = parts[0].len + parts[1].len;
    struct str last = parts[1];

    if (!c->is_open)
        return -EPIPE;
    if (bytes > RPC_PAYLOAD_MAX_BYTES)
        return -EMSGSIZE;
    if (c->out.len + bytes + RPC_HEADER_BYTES > RPC_QUEUE_MAX_BYTES)
        return -ENOBUFS;
    put_header(&c->out, call_id, code, bytes);
    buf_put_str(&c->out, parts[0]);
    if (last.len >= RPC_DIRECT_BYTES && c->may_write)
        last = send_directly(c, last);
    buf_put_str(&c->out, last);
    loop_before_wait(&c->flush_hook);
    return 0;
}

int rpc_channel_send(struct rpc_channel *c, uint32_t call_id, uint16_t code, struct str payload)
{
    return rpc_channel_send_parts(c, call_id, code, (struct str[2]){STR_NONE, payload});
}

static struct str call_key(const uint32_t *call_id)
{
    return str_from_mem(call_id, sizeof(*call_id));
}

static int on_reply(struct rpc_channel *channel, struct rpc_frame *frame)
{
    struct rpc_client *c = CONTAINER_OF(channel, struct rpc_client, channel);
    struct rpc_call *call = map_remove(&c->calls, call_key(&frame->call_id));

    /* The caller may have given up meanwhile. */
    if (call == NULL)
        return 0;
    call->status = -(int)frame->code;
    buf_put_str(call->reply, frame->payload);
    if (buf_status(call->reply) < 0)
        call->status = -EMSGSIZE;
    call->is_done = true;
    if (call->fiber != NULL)
        fiber_wake(call->fiber);
    return 0;
}

static void fail_calls(struct rpc_channel *channel)
{
    struct rpc_client *c = CONTAINER_OF(channel, struct rpc_client, channel);
    size_t at = 0;
    struct str key;
    void *value;

    while (map_next(&c->calls, &at, &key, &value)) {
        struct rpc_call *call = value;
        call->status = -EPIPE;
        call->is_done = true;
        if (call->fiber != NULL)
            fiber_wake(call->fiber);
    }
    map_done(&c->calls);
}

static void lose_channel(struct rpc_channel *channel)
{
    struct rpc_client *c = CONTAINER_OF(channel, struct rpc_client, channel);

    fail_calls(channel);
    if (c->on_lost != NULL)
        c->on_lost(c);
}

void rpc_client_init(struct rpc_client *c)
{
    *c = (struct rpc_client){.channel = {.on_frame = on_reply, .on_close = lose_channel}};
    map_init(&c->calls, RPC_MAX_CALLS);
}

void rpc_client_done(struct rpc_client *c)
{
    rpc_channel_close(&c->channel);
    fail_calls(&c->channel);
}

int rpc_client_attach(struct rpc_client *c, int fd)
{
    rpc_channel_close(&c->channel);
    fail_calls(&c->channel);
    return rpc_channel_open(&c->channel, fd);
}

bool rpc_client_is_attached(const struct rpc_client *c)
{
    return c->channel.is_open;
}

/* Waits while too much is unsent. Yields. Never -ETIMEDOUT: that means a call that was sent. */
static int wait_for_queue(struct rpc_channel *c, int64_t deadline_ms)
{
    while (c->is_open && c->out.len >= RPC_QUEUE_WAIT_BYTES) {
        struct rpc_writer writer = {.fiber = fiber_self()};
        list_init(&writer.link);
        list_append(&c->writers, &writer.link);
        int r = fiber_park(deadline_ms);
        list_remove(&writer.link);
        if (r < 0)
            return r == -ETIMEDOUT ? -ENOBUFS : r;
    }
    return c->is_open ? 0 : -EPIPE;
}

static int start(struct rpc_client *c, uint16_t verb, const struct str parts[2],
                 int64_t deadline_ms, struct rpc_call *call)
{
    int r = wait_for_queue(&c->channel, deadline_ms);

    *call = (struct rpc_call){.reply = call->reply, .client = c, .id = c->next_call_id++};
    if (r < 0)
        return r;
    buf_reset(call->reply);
    r = rpc_channel_send_parts(&c->channel, call->id, verb, parts);
    if (r < 0)
        return r;
    if (map_set(&c->calls, call_key(&call->id), call) < 0)
        return -ENOBUFS;
    call->is_started = true;
    return 0;
}

int rpc_start(struct rpc_client *c, uint16_t verb, struct str payload, int64_t deadline_ms,
              struct rpc_call *call)
{
    return start(c, verb, (struct str[2]){payload, STR_NONE}, deadline_ms, call);
}

int rpc_finish(struct rpc_call *call, int64_t deadline_ms)
{
    call->is_started = false;
    call->fiber = fiber_self();
    while (!call->is_done) {
        int r = fiber_park(deadline_ms);
        /* An interrupt is for those who wait for a peer, not for an answer that will come. */
        if (r < 0 && r != -EINTR && !call->is_done) {
            map_remove(&call->client->calls, call_key(&call->id));
            return r;
        }
    }
    return call->status;
}

int rpc_call_parts(struct rpc_client *c, uint16_t verb, const struct str parts[2],
                   int64_t deadline_ms, struct buf *out_reply)
{
    struct rpc_call call = {.reply = out_reply};

    int r = start(c, verb, parts, deadline_ms, &call);
    return r < 0 ? r : rpc_finish(&call, deadline_ms);
}

int rpc_call(struct rpc_client *c, uint16_t verb, struct str payload, int64_t deadline_ms,
             struct buf *out_reply)
{
    return rpc_call_parts(c, verb, (struct str[2]){payload, STR_NONE}, deadline_ms, out_reply);
}

int rpc_post(struct rpc_client *c, uint16_t verb, struct str payload)
{
    return rpc_channel_send(&c->channel, c->next_call_id++, verb, payload);
}
