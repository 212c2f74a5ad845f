/* Unit tests of connecting out: loopback only, and addresses that the kernel answers for itself. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "rt/connect.h"
#include "rt/fiber.h"
#include "rt/loop.h"

enum { WAIT_MS = 5000, SHORT_MS = 30, BACKLOG_TRIES = 64 };

static int listener;
static uint16_t port;
static struct fiber_group roots;

static struct ip_addr address(const char *text)
{
    struct ip_addr ip;

    assert_int_equal(ip_parse(str_from_c(text), &ip), 0);
    return ip;
}

/* A listener on 127.0.0.1, or on ::1; -1 if the machine has no such address. */
static int open_listener(int domain, int backlog, uint16_t *out_port)
{
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_addr = in6addr_loopback};
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    void *any = domain == AF_INET ? (void *)&v4 : (void *)&v6;
    socklen_t len = domain == AF_INET ? sizeof(v4) : sizeof(v6);

    int fd = socket(domain, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, any, len) < 0)
        return -1;
    assert_int_equal(listen(fd, backlog), 0);
    assert_int_equal(getsockname(fd, any, &len), 0);
    *out_port = ntohs(domain == AF_INET ? v4.sin_port : v6.sin6_port);
    return fd;
}

static void run(fiber_fn *fn)
{
    assert_int_equal(loop_init(), 0);
    listener = open_listener(AF_INET, 16, &port);
    assert_true(listener >= 0);
    fiber_group_init(&roots);
    assert_int_equal(fiber_spawn(&roots, "test", fn, NULL), 0);
    loop_run();
    close(listener);
    loop_done();
}

static void connect_main(void *arg)
{
    const struct ip_addr to = address("127.0.0.1"), source = address("127.0.0.9");
    struct sockaddr_in peer = {.sin_family = AF_INET};
    socklen_t len = sizeof(peer);
    int on = 0;
    socklen_t on_len = sizeof(on);

    (void)arg;
    int fd = connect_tcp(&to, port, &source, clock_mono_ms() + WAIT_MS);
    assert_true(fd >= 0);
    int accepted = accept(listener, (struct sockaddr *)&peer, &len);
    assert_true(accepted >= 0);
    assert_string_equal(inet_ntoa(peer.sin_addr), "127.0.0.9");
    assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
    assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    assert_int_equal(getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, &on_len), 0);
    assert_true(on);
    assert_int_equal(write(accepted, "x", 1), 1);
    close(accepted);
    close(fd);
    loop_stop();
}

static void a_connection_comes_from_the_address_that_was_asked_for(void **state)
{
    (void)state;
    run(connect_main);
}

static void v6_main(void *arg)
{
    const struct ip_addr to = address("::1");
    uint16_t v6_port;
    int v6_listener = open_listener(AF_INET6, 16, &v6_port);

    (void)arg;
    if (v6_listener >= 0) {
        int fd = connect_tcp(&to, v6_port, NULL, clock_mono_ms() + WAIT_MS);
        assert_true(fd >= 0);
        close(fd);
        fd = connect_tcp(&to, v6_port, &to, clock_mono_ms() + WAIT_MS);
        assert_true(fd >= 0);
        close(fd);
        close(v6_listener);
    }
    loop_stop();
}

static void v6_is_connected_to_as_well(void **state)
{
    (void)state;
    run(v6_main);
}

static void refused_main(void *arg)
{
    const struct ip_addr to = address("127.0.0.1");
    const struct ip_addr foreign = address("192.0.2.1");

    (void)arg;
    assert_int_equal(connect_tcp(&to, port, &foreign, clock_mono_ms() + WAIT_MS), -EADDRNOTAVAIL);
    close(listener);
    assert_int_equal(connect_tcp(&to, port, NULL, clock_mono_ms() + WAIT_MS), -ECONNREFUSED);
    listener = -1;
    loop_stop();
}

static void refusals_and_foreign_sources_are_told(void **state)
{
    (void)state;
    run(refused_main);
}

/* A listener whose queue is full lets further ones wait. */
static int connect_until_full(int fds[BACKLOG_TRIES], size_t *out_count)
{
    const struct ip_addr to = address("127.0.0.1");
    int r = 0;

    for (*out_count = 0; *out_count < BACKLOG_TRIES; ++*out_count) {
        r = connect_tcp(&to, port, NULL, clock_mono_ms() + SHORT_MS);
        if (r < 0)
            break;
        fds[*out_count] = r;
    }
    return r;
}

static void timeout_main(void *arg)
{
    static int fds[BACKLOG_TRIES];
    size_t count;

    (void)arg;
    close(listener);
    listener = open_listener(AF_INET, 0, &port);
    assert_int_equal(connect_until_full(fds, &count), -ETIMEDOUT);
    while (count > 0)
        close(fds[--count]);
    loop_stop();
}

static void connecting_ends_at_the_deadline(void **state)
{
    (void)state;
    run(timeout_main);
}

static void waiting_main(void *arg)
{
    static int fds[BACKLOG_TRIES];
    const struct ip_addr to = address("127.0.0.1");
    size_t count;

    close(listener);
    listener = open_listener(AF_INET, 0, &port);
    assert_int_equal(connect_until_full(fds, &count), -ETIMEDOUT);
    *(int *)arg = connect_tcp(&to, port, NULL, clock_mono_ms() + WAIT_MS);
    while (count > 0)
        close(fds[--count]);
    loop_stop();
}

static void cancel_main(void *arg)
{
    struct fiber_group *group = arg;

    assert_int_equal(fiber_sleep_until(clock_mono_ms() + 3 * SHORT_MS), 0);
    fiber_group_cancel(group);
}

static void a_cancelled_fiber_stops_connecting(void **state)
{
    struct fiber_group others, cancelled;
    int result = 0;

    (void)state;
    assert_int_equal(loop_init(), 0);
    listener = open_listener(AF_INET, 16, &port);
    fiber_group_init(&others);
    fiber_group_init(&cancelled);
    assert_int_equal(fiber_spawn(&cancelled, "test", waiting_main, &result), 0);
    assert_int_equal(fiber_spawn(&others, "cancel", cancel_main, &cancelled), 0);
    loop_run();
    assert_int_equal(result, -ECANCELED);
    close(listener);
    loop_done();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_connection_comes_from_the_address_that_was_asked_for),
        cmocka_unit_test(v6_is_connected_to_as_well),
        cmocka_unit_test(refusals_and_foreign_sources_are_told),
        cmocka_unit_test(connecting_ends_at_the_deadline),
        cmocka_unit_test(a_cancelled_fiber_stops_connecting),
    };
    return cmocka_run_group_tests_name("connect", tests, NULL, NULL);
}
