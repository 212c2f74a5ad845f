/* Listening sockets and connections of a worker: see acceptor.h. */
#include "svc/acceptor.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"

enum {
    ACCEPTS_PER_TURN = 32,
    PAUSE_MS = 100, /* after accept failed for want of descriptors or memory */
};

/* What a new fiber gets. */
struct newcomer {
    struct acceptor *owner;
    enum control_listener use;
    int fd;
};

static struct ip_addr address_of(int fd, int (*ask)(int, struct sockaddr *, socklen_t *))
{
    struct sockaddr_storage address = {0};
    socklen_t bytes = sizeof(address);

    if (ask(fd, (struct sockaddr *)&address, &bytes) < 0)
        address.ss_family = AF_UNSPEC;
    return ip_from_sockaddr((const struct sockaddr *)&address);
}

static void run_connection(void *arg)
{
    struct newcomer newcomer = *(struct newcomer *)arg;
    struct stream stream;

    free(arg);
    struct accepted from = {.use = newcomer.use,
                            .peer = address_of(newcomer.fd, getpeername),
                            .local = address_of(newcomer.fd, getsockname)};
    if (stream_init(&stream, newcomer.fd) < 0)
        return;
    newcomer.owner->serve(&stream, &from);
    stream_done(&stream);
}

static void stop_accepting(struct acceptor *a)
{
    for (size_t i = 0; i < a->listener_count; i++) {
        if (a->listeners[i].is_watched)
            loop_watch_remove(&a->listeners[i].watch);
        a->listeners[i].is_watched = false;
    }
}

static void start_accepting(struct acceptor *a)
{
    for (size_t i = 0; i < a->listener_count; i++) {
        struct acceptor_listener *l = &a->listeners[i];
        if (!l->is_watched)
            l->is_watched = loop_watch_add_listener(&l->watch) == 0;
    }
}

static void on_pause_over(struct loop_timer *t)
{
    struct acceptor *a = CONTAINER_OF(t, struct acceptor, pause_timer);

    if (!a->is_draining)
        start_accepting(a);
}

/* Without a pause, the loop would spin on a listener that it cannot empty. */
static void pause_accepting(struct acceptor *a, int error)
{
    LOG(LOG_WARNING, "accept.failed", LOG_ERR(error),
        LOG_C("hint", "raise the limit of open files, or lower smtp.max_connections"));
    stop_accepting(a);
    loop_timer_set(&a->pause_timer, clock_mono_ms() + PAUSE_MS);
}

static int begin(struct acceptor_listener *l, int fd)
{
    struct newcomer *newcomer = xmalloc(sizeof(*newcomer));
    int one = 1;

    *newcomer = (struct newcomer){.owner = l->owner, .use = l->use, .fd = fd};
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    int r = fiber_spawn(&l->owner->sessions, "session", run_connection, newcomer);
    if (r < 0) {
        free(newcomer);
        close(fd);
    }
    return r;
}

static void on_listener_ready(struct loop_watch *w, unsigned ready)
{
    struct acceptor_listener *l = CONTAINER_OF(w, struct acceptor_listener, watch);
    struct acceptor *a = l->owner;

    (void)ready;
    for (int i = 0; i < ACCEPTS_PER_TURN && !a->is_draining; i++) {
        int fd = accept4(w->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd < 0) {
            if (errno != EAGAIN && errno != ECONNABORTED && errno != EINTR)
                pause_accepting(a, -errno);
            return;
        }
        int r = begin(l, fd);
        if (r < 0) {
            pause_accepting(a, r);
            return;
        }
    }
}

void acceptor_init(struct acceptor *a,
                   void (*serve)(struct stream *stream, const struct accepted *from))
{
    *a = (struct acceptor){.serve = serve, .pause_timer = {.on_fire = on_pause_over}};
    fiber_group_init(&a->sessions);
    fiber_group_init(&a->helpers);
}

void acceptor_reset(struct acceptor *a)
{
    stop_accepting(a);
    for (size_t i = 0; i < a->listener_count; i++)
        close(a->listeners[i].watch.fd);
    a->listener_count = 0;
}

void acceptor_take_listener(struct acceptor *a, struct control_event *event)
{
    uint8_t use = cursor_u8(&event->payload);

    if (a->listener_count == ACCEPTOR_LISTENERS_MAX || a->is_draining || use >= CONTROL_LISTENERS) {
        close(event->fd);
        return;
    }
    struct acceptor_listener *l = &a->listeners[a->listener_count++];
    *l = (struct acceptor_listener){.watch = {.fd = event->fd, .on_ready = on_listener_ready},
                                    .owner = a,
                                    .use = (enum control_listener)use};
    int r = loop_watch_add_listener(&l->watch);
    l->is_watched = r == 0;
    if (r < 0)
        LOG(LOG_ERROR, "accept.listener-failed", LOG_ERR(r));
}

/* Waits for the sessions to end, then ends them. */
static void run_drain(void *arg)
{
    struct acceptor *a = arg;

    if (fiber_group_join(&a->sessions, a->drain_until_ms) < 0) {
        LOG(LOG_WARNING, "accept.drain-cut", LOG_INT("sessions", a->sessions.count));
        fiber_group_cancel(&a->sessions);
        (void)!fiber_group_join(&a->sessions, CLOCK_NEVER);
    }
    loop_stop();
}

void acceptor_drain(struct acceptor *a, int64_t wait_ms)
{
    if (a->is_draining)
        return;
    acceptor_reset(a);
    loop_timer_clear(&a->pause_timer);
    a->is_draining = true;
    a->drain_until_ms = clock_mono_ms() + wait_ms;
    fiber_group_interrupt(&a->sessions);
    if (fiber_spawn(&a->helpers, "drain", run_drain, a) < 0)
        loop_stop();
}
