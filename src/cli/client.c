/* Calls to the running server: see client.h. */
#include "cli/client.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/cli.h"
#include "rt/rpc.h"

enum { CONNECT_TIMEOUT_S = 10, READ_BYTES = 64 * 1024 };

#define FRAME_MAX_BYTES (4 + RPC_HEADER_BYTES + (size_t)RPC_PAYLOAD_MAX_BYTES)

static int set_error(struct client *c, int error, const char *fmt, ...) ATTR_PRINTF(3, 4);

static int set_error(struct client *c, int error, const char *fmt, ...)
{
    va_list args;

    free(c->error);
    va_start(args, fmt);
    int r = vasprintf(&c->error, fmt, args);
    va_end(args);
    ASSERT(r >= 0);
    return error;
}

static int explain_connect(struct client *c, int error, const char *path, const char *config_path)
{
    switch (error) {
    case ENOENT:
        return set_error(c, -error,
                         "the server is not running (no control socket at %s); start it: "
                         "hikyaku serve -c %s",
                         path, config_path);
    case ECONNREFUSED:
        return set_error(c, -error,
                         "the server is not running (nobody answers at %s); start it: "
                         "hikyaku serve -c %s",
                         path, config_path);
    case EACCES:
    case EPERM:
        return set_error(c, -error,
                         "this user may not talk to the server (%s); try as root or as the user "
                         "who started it",
                         path);
    default:
        return set_error(c, -error, "cannot connect to %s: %s; look at the server's log", path,
                         strerror(error));
    }
}

int client_open(struct client *c, const char *run_dir, const char *config_path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct timeval limit = {.tv_sec = CONNECT_TIMEOUT_S};
    CLEANUP(cleanup_free) char *path = xasprintf("%s/control.sock", run_dir);

    memset(c, 0, sizeof(*c));
    c->fd = -1;
    c->timeout_ms = CLIENT_TIMEOUT_MS;
    c->is_open = true;
    buf_init(&c->in, 2 * FRAME_MAX_BYTES);
    buf_init(&c->out, FRAME_MAX_BYTES);
    if (!str_copy(str_from_c(path), address.sun_path, sizeof(address.sun_path)))
        return set_error(c, -ENAMETOOLONG, "the path %s is too long; shorten server.run_dir", path);
    c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (c->fd < 0)
        return set_error(c, -errno, "no socket can be made: %s", strerror(errno));
    /* Bounds connect() when the server does not take connections any more. */
    (void)setsockopt(c->fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
    if (connect(c->fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
        return explain_connect(c, errno, path, config_path);
    return 0;
}

static void disconnect(struct client *c)
{
    if (c->fd >= 0)
        close(c->fd);
    c->fd = -1;
}

void client_close(struct client *c)
{
    if (!c->is_open)
        return;
    disconnect(c);
    buf_done(&c->in);
    /* May hold a password. */
    if (c->out.ptr != NULL)
        explicit_bzero(c->out.ptr, c->out.cap);
    buf_done(&c->out);
    free(c->error);
    c->error = NULL;
    c->is_open = false;
}

/* 0, or -ETIMEDOUT. */
static int wait_for(struct client *c, short events, int64_t deadline_ms)
{
    struct pollfd p = {.fd = c->fd, .events = events};

    for (;;) {
        int64_t left_ms = deadline_ms - clock_mono_us() / 1000;
        if (left_ms <= 0)
            return -ETIMEDOUT;
        int r = poll(&p, 1, (int)MIN(left_ms, (int64_t)INT32_MAX));
        if (r > 0)
            return 0;
        if (r < 0 && errno != EINTR)
            return -errno;
    }
}

static int send_all(struct client *c, int64_t deadline_ms)
{
    struct str rest = buf_str(&c->out);

    while (rest.len > 0) {
        ssize_t n = send(c->fd, rest.ptr, rest.len, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno != EAGAIN && errno != EINTR)
            return errno == ECONNRESET ? -EPIPE : -errno;
        if (n > 0)
            rest = str_sub(rest, (size_t)n, rest.len);
        int r = n < 0 ? wait_for(c, POLLOUT, deadline_ms) : 0;
        if (r < 0)
            return r;
    }
    return 0;
}

static int receive_some(struct client *c, int64_t deadline_ms)
{
    int r = wait_for(c, POLLIN, deadline_ms);
    if (r < 0)
        return r;
    char *room = buf_reserve(&c->in, READ_BYTES);
    if (room == NULL)
        return -EPROTO;
    ssize_t n = recv(c->fd, room, READ_BYTES, MSG_DONTWAIT);
    if (n < 0)
        return errno == EAGAIN || errno == EINTR ? 0 : -EPIPE;
    buf_commit(&c->in, (size_t)n);
    return n == 0 ? -EPIPE : 0;
}

/* Waits for the frame that answers the last call; the status goes to *out_status. */
static int receive_reply(struct client *c, int64_t deadline_ms, struct buf *out_reply,
                         int *out_status)
{
    struct rpc_frame frame;
    size_t bytes;

    for (;;) {
        int r = rpc_frame_parse(buf_str(&c->in), &frame, &bytes);
        if (r < 0)
            return -EPROTO;
        if (r > 0) {
            bool is_mine = frame.call_id == c->last_call_id;
            *out_status = -(int)frame.code;
            if (is_mine)
                buf_put_str(out_reply, frame.payload);
            buf_consume(&c->in, bytes);
            if (is_mine)
                return buf_status(out_reply);
            continue;
        }
        r = receive_some(c, deadline_ms);
        if (r < 0)
            return r;
    }
}

static int explain_transport(struct client *c, int r)
{
    disconnect(c);
    if (r == -ETIMEDOUT)
        return set_error(c, r,
                         "the server did not answer within %lld s; look at its log, and whether "
                         "its disk is busy",
                         (long long)(c->timeout_ms / 1000));
    if (r == -EPROTO)
        return set_error(c, r,
                         "the server's answer makes no sense; client and server are probably not "
                         "the same version: restart the server");
    return set_error(c, -EPIPE, "the server closed the connection; its log says why");
}

static int explain_status(struct client *c, int status, struct buf *reply)
{
    if (reply->len > 0)
        return set_error(c, status, "%.*s", STR_ARG(str_trim(buf_str(reply))));
    if (status == -ENOSPC)
        return set_error(c, status,
                         "the disk of the data folder is too full; make room, or lower "
                         "store.min_free_space");
    return set_error(c, status, "the server failed: %s; look at its log", strerror(-status));
}

int client_call(struct client *c, unsigned verb, struct str payload, struct buf *out_reply)
{
    int64_t deadline_ms = clock_mono_us() / 1000 + c->timeout_ms;
    int status = 0;

    buf_reset(out_reply);
    if (c->fd < 0)
        return set_error(c, -EPIPE, "the connection to the server is lost; its log says why");
    buf_reset(&c->out);
    rpc_frame_put(&c->out, ++c->last_call_id, (uint16_t)verb, payload);
    if (buf_status(&c->out) < 0)
        return set_error(c, -EMSGSIZE, "that is too much for one request; do it in parts");
    int r = send_all(c, deadline_ms);
    if (r == 0)
        r = receive_reply(c, deadline_ms, out_reply, &status);
    if (r < 0)
        return explain_transport(c, r);
    return status < 0 ? explain_status(c, status, out_reply) : 0;
}

int client_do(struct client *c, unsigned verb, struct str payload, struct buf *out_reply)
{
    int r = client_call(c, verb, payload, out_reply);

    return r < 0 ? cli_fail("%s", c->error) : CLI_DONE;
}

int client_list(struct client *c, unsigned verb, client_row_fn *take_row, struct buf *out_rows)
{
    struct buf args, page;
    int status;

    buf_init(&args, CLIENT_ARGS_MAX_BYTES);
    buf_init(&page, CLIENT_REPLY_MAX_BYTES);
    /* From the start: empty keys, or the number 0. */
    buf_put_u64(&args, 0);
    buf_reset(out_rows);
    do {
        status = client_do(c, verb, buf_str(&args), &page);
        struct cursor rows = cursor_from(buf_str(&page));
        while (status == CLI_DONE && cursor_left(&rows) > 0 && cursor_status(&rows) == 0) {
            buf_reset(&args);
            take_row(&rows, &args);
        }
        buf_put_str(out_rows, buf_str(&page));
    } while (status == CLI_DONE && page.len > 0);
    if (status == CLI_DONE && buf_status(out_rows) < 0)
        status = cli_fail("the list is too long to be shown");
    buf_done(&args);
    buf_done(&page);
    return status;
}
