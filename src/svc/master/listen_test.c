/* Listening sockets over reloads: what is bound, taken over, moved to another use, and refused. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "svc/master/listen.h"

enum { TEXT_MAX_BYTES = 1024, PORTS = 3 };

/* Settings that listen nowhere but where a test says; the strings belong to the lists. */
static struct settings *settings_none(void)
{
    struct settings *s = settings_defaults();

    for (size_t i = 0; i < s->listen_smtp.count; i++)
        free(s->listen_smtp.items[i]);
    s->listen_smtp.count = 0;
    return s;
}

static void add(struct settings_list *list, const char *address)
{
    list->items = xrealloc(list->items, (list->count + 1) * sizeof(list->items[0]));
    list->items[list->count++] = xstrdup(address);
}

/* Addresses that nobody uses: all ports are held until each has been found. */
static void find_addresses(char out[PORTS][32])
{
    int fds[PORTS];

    for (size_t i = 0; i < PORTS; i++) {
        struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        socklen_t bytes = sizeof(in);
        fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_int_equal(bind(fds[i], (struct sockaddr *)&in, sizeof(in)), 0);
        assert_int_equal(getsockname(fds[i], (struct sockaddr *)&in, &bytes), 0);
        (void)snprintf(out[i], 32, "127.0.0.1:%u", ntohs(in.sin_port));
    }
    for (size_t i = 0; i < PORTS; i++)
        close(fds[i]);
}

static void a_socket_moves_to_another_use(void **state)
{
    struct settings *before = settings_none(), *after = settings_none();
    struct listen_set set = {0};
    struct buf text;
    char at[PORTS][32];

    (void)state;
    find_addresses(at);
    buf_init(&text, TEXT_MAX_BYTES);
    add(&before->listen_smtp, at[0]);
    add(&before->listen_smtp, at[1]);
    assert_int_equal(listen_set_bind(before, &set, &set, &text), 0);
    assert_int_equal(set.count, 2);
    int kept_fd = set.sockets[1].fd;

    add(&after->listen_smtp, at[0]);
    add(&after->listen_submission, at[1]);
    add(&after->listen_submissions, at[2]);
    assert_int_equal(listen_set_bind(after, &set, &set, &text), 0);
    assert_int_equal(set.count, 3);
    assert_int_equal(set.sockets[0].use, CONTROL_LISTENER_SMTP);
    assert_int_equal(set.sockets[1].use, CONTROL_LISTENER_SUBMISSION);
    assert_int_equal(set.sockets[1].fd, kept_fd);
    assert_string_equal(set.sockets[1].address, at[1]);
    assert_int_equal(set.sockets[2].use, CONTROL_LISTENER_SUBMISSIONS);
    assert_string_equal(listen_name(set.sockets[2].use), "submissions");
    listen_set_done(&set);
    buf_done(&text);
    settings_free(before);
    settings_free(after);
}

static void a_port_that_is_taken_changes_nothing(void **state)
{
    struct settings *before = settings_none(), *after = settings_none();
    struct listen_set set = {0}, others = {0};
    struct buf text, expected;
    char at[PORTS][32];

    (void)state;
    find_addresses(at);
    buf_init(&text, TEXT_MAX_BYTES);
    buf_init(&expected, TEXT_MAX_BYTES);
    add(&before->listen_submissions, at[2]);
    assert_int_equal(listen_set_bind(before, &others, &others, &text), 0);
    add(&before->listen_smtp, at[0]);
    add(&after->listen_smtp, at[0]);
    add(&after->listen_submission, at[1]);
    add(&after->listen_submissions, at[2]);
    free(before->listen_submissions.items[--before->listen_submissions.count]);
    assert_int_equal(listen_set_bind(before, &set, &set, &text), 0);
    assert_int_equal(listen_set_bind(after, &set, &set, &text), -EADDRINUSE);
    buf_printf(&expected,
               "cannot listen on %s (listen.submissions): %s; another program listens there; stop "
               "it or choose another port",
               at[2], strerror(EADDRINUSE));
    assert_string_equal(buf_c_str(&text), buf_c_str(&expected));
    assert_int_equal(set.count, 1);
    assert_string_equal(set.sockets[0].address, at[0]);
    listen_set_done(&set);
    listen_set_done(&others);
    buf_done(&text);
    buf_done(&expected);
    settings_free(before);
    settings_free(after);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_socket_moves_to_another_use),
        cmocka_unit_test(a_port_that_is_taken_changes_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
