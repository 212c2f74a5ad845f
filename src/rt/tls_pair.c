/* Two ends of a connection in one process: see tls_pair.h. */
#include "rt/tls_pair.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "rt/fdpass.h"

enum { PATIENCE_MS = 30 * 1000 };

static void serve(void *arg)
{
    struct tls_pair *p = arg;

    int64_t wait_ms = p->accept_wait_ms > 0 ? p->accept_wait_ms : PATIENCE_MS;
    stream_set_deadline(&p->server, clock_mono_ms() + wait_ms);
    if (p->server_context != NULL)
        p->accepted = tls_accept(&p->server, p->server_context);
    stream_set_deadline(&p->server, clock_mono_ms() + PATIENCE_MS);
    if (p->serve != NULL)
        p->serve(p);
}

static void use(void *arg)
{
    struct tls_pair *p = arg;

    stream_set_deadline(&p->client, clock_mono_ms() + PATIENCE_MS);
    if (p->client_context != NULL)
        p->connected = tls_connect(&p->client, p->client_context, &p->params);
    if (p->use != NULL)
        p->use(p);
}

static void run_both(void *arg)
{
    struct tls_pair *p = arg;

    fiber_group_init(&p->fibers);
    ASSERT(fiber_spawn(&p->fibers, "server", serve, p) == 0);
    ASSERT(fiber_spawn(&p->fibers, "client", use, p) == 0);
    ASSERT(fiber_group_join(&p->fibers, CLOCK_NEVER) == 0);
    loop_stop();
}

static void connect_by_tcp(int fds[2])
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t bytes = sizeof(at);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    ASSERT(bind(listener, (const struct sockaddr *)&at, sizeof(at)) == 0 &&
           listen(listener, 1) == 0 && getsockname(listener, (struct sockaddr *)&at, &bytes) == 0);
    fds[1] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ASSERT(connect(fds[1], (const struct sockaddr *)&at, sizeof(at)) == 0);
    fds[0] = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    ASSERT(fds[0] >= 0 && fcntl(fds[1], F_SETFL, O_NONBLOCK) == 0);
    close(listener);
}

static void open_pair(const struct tls_pair *p, int fds[2])
{
    if (p->is_tcp)
        connect_by_tcp(fds);
    else
        ASSERT(fdpass_pair(SOCK_STREAM, fds) == 0);
    for (int i = 0; i < 2 && p->socket_bytes > 0; i++) {
        (void)setsockopt(fds[i], SOL_SOCKET, SO_SNDBUF, &p->socket_bytes, sizeof(int));
        (void)setsockopt(fds[i], SOL_SOCKET, SO_RCVBUF, &p->socket_bytes, sizeof(int));
    }
}

void tls_pair_run(struct tls_pair *p)
{
    struct fiber_group roots;
    int fds[2];

    ASSERT(loop_init() == 0);
    open_pair(p, fds);
    ASSERT(stream_init(&p->server, fds[0]) == 0 && stream_init(&p->client, fds[1]) == 0);
    fiber_group_init(&roots);
    ASSERT(fiber_spawn(&roots, "pair", run_both, p) == 0);
    loop_run();
    stream_done(&p->server);
    stream_done(&p->client);
    loop_done();
}
