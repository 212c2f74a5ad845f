/* Connecting out, from a fiber: see connect.h. */
#include "rt/connect.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "rt/fiber.h"
#include "rt/loop.h"

union socket_address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

struct waiting {
    struct loop_watch watch;
    struct fiber *fiber;
    bool is_ready;
};

static void on_ready(struct loop_watch *w, unsigned ready)
{
    struct waiting *waiting = CONTAINER_OF(w, struct waiting, watch);

    if (!(ready & LOOP_WRITE))
        return;
    waiting->is_ready = true;
    fiber_wake(waiting->fiber);
}

static socklen_t make_address(const struct ip_addr *ip, uint16_t port, union socket_address *out)
{
    memset(out, 0, sizeof(*out));
    if (ip->family == IP_V4) {
        out->v4.sin_family = AF_INET;
        out->v4.sin_port = htons(port);
        memcpy(&out->v4.sin_addr, ip->bytes, IP_V4_BYTES);
        return sizeof(out->v4);
    }
    out->v6.sin6_family = AF_INET6;
    out->v6.sin6_port = htons(port);
    memcpy(&out->v6.sin6_addr, ip->bytes, IP_V6_BYTES);
    return sizeof(out->v6);
}

static int set_option(int fd, int level, int name)
{
    int on = 1;

    return setsockopt(fd, level, name, &on, sizeof(on)) < 0 ? -errno : 0;
}

static int bind_source(int fd, const struct ip_addr *source)
{
    union socket_address address;
    socklen_t len = make_address(source, 0, &address);

    /* The port is chosen at connect, when the peer is known: thousands of connections from one
     * address need that. */
    int r = set_option(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT);
    if (r < 0)
        return r;
    return bind(fd, &address.any, len) < 0 ? -errno : 0;
}

static int wait_connected(int fd, int64_t deadline_ms)
{
    struct waiting waiting = {.watch = {.fd = fd, .on_ready = on_ready}, .fiber = fiber_self()};
    int error = 0;
    socklen_t len = sizeof(error);

    int r = loop_watch_add(&waiting.watch, LOOP_WRITE);
    if (r < 0)
        return r;
    while (!waiting.is_ready && (r == 0 || r == -EINTR)) /* an interrupt is for idle waits */
        r = fiber_park(deadline_ms);
    loop_watch_remove(&waiting.watch);
    if (!waiting.is_ready)
        return r;
    return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0 ? -errno : -error;
}

static int connect_socket(int fd, const struct ip_addr *to, uint16_t port, int64_t deadline_ms)
{
    union socket_address address;
    socklen_t len = make_address(to, port, &address);

    if (connect(fd, &address.any, len) == 0)
        return 0;
    return errno == EINPROGRESS ? wait_connected(fd, deadline_ms) : -errno;
}

int connect_tcp(const struct ip_addr *to, uint16_t port, const struct ip_addr *source,
                int64_t deadline_ms)
{
    ASSERT(to->family != IP_NONE && (source == NULL || source->family == to->family));
    int domain = to->family == IP_V4 ? AF_INET : AF_INET6;
    int fd = socket(domain, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP);
    if (fd < 0)
        return -errno;
    int r = source != NULL ? bind_source(fd, source) : 0;
    if (r == 0)
        r = set_option(fd, IPPROTO_TCP, TCP_NODELAY);
    if (r == 0)
        r = connect_socket(fd, to, port, deadline_ms);
    if (r == 0)
        return fd;
    close(fd);
    return r;
}
