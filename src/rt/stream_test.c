/* Unit tests of streams over a real socketpair. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "rt/fdpass.h"
#include "rt/stream.h"

static int peer_fd;
static struct stream stream;

static void run(fiber_fn *fn)
{
    int fds[2];
    static struct fiber_group roots;

    assert_int_equal(loop_init(), 0);
    assert_int_equal(fdpass_pair(SOCK_STREAM, fds), 0);
    peer_fd = fds[1];
    assert_int_equal(stream_init(&stream, fds[0]), 0);
    fiber_group_init(&roots);
    assert_int_equal(fiber_spawn(&roots, "test", fn, NULL), 0);
    loop_run();
    stream_done(&stream);
    if (peer_fd >= 0)
        close(peer_fd);
    loop_done();
}

static void peer_says(const char *text)
{
    assert_int_equal(write(peer_fd, text, strlen(text)), (ssize_t)strlen(text));
}

static void assert_line(const char *expected)
{
    struct str line;

    assert_int_equal(stream_read_line(&stream, 100, &line), 0);
    assert_int_equal(line.len, strlen(expected));
    assert_memory_equal(line.ptr, expected, line.len);
}

static void look_main(void *arg)
{
    (void)arg;
    assert_false(stream_has_input(&stream));
    peer_says("early\r\n");
    assert_true(stream_has_input(&stream));
    assert_int_equal(stream_pending(&stream).len, 0);
    stream_set_deadline(&stream, clock_mono_ms() + 2000);
    assert_line("early\r\n");
    assert_false(stream_has_input(&stream));
    close(peer_fd);
    peer_fd = -1;
    assert_false(stream_has_input(&stream));
    loop_stop();
}

static void input_is_seen_before_it_is_read(void **state)
{
    (void)state;
    run(look_main);
}

static void lines_main(void *arg)
{
    (void)arg;
    struct str line;

    peer_says("one\r\ntwo\nthr");
    assert_line("one\r\n");
    assert_line("two\n");
    stream_set_deadline(&stream, clock_mono_ms() + 20);
    assert_int_equal(stream_read_line(&stream, 100, &line), -ETIMEDOUT);
    peer_says("ee\r\n");
    stream_set_deadline(&stream, clock_mono_ms() + 2000);
    assert_line("three\r\n");
    peer_says("0123456789\r\nnext\r\n");
    assert_int_equal(stream_read_line(&stream, 8, &line), -EMSGSIZE);
    assert_int_equal(stream_skip_line(&stream, 100), 0);
    assert_line("next\r\n");
    peer_says("half");
    close(peer_fd);
    peer_fd = -1;
    assert_int_equal(stream_read_line(&stream, 100, &line), -ENODATA);
    loop_stop();
}

static void lines_come_whole_bounded_and_in_time(void **state)
{
    (void)state;
    run(lines_main);
}

static void write_main(void *arg)
{
    (void)arg;
    enum { BIG = 3 * 1024 * 1024 };
    char *big = xmalloc(BIG);

    memset(big, 'a', BIG);
    stream_set_deadline(&stream, clock_mono_ms() + 30);
    assert_int_equal(stream_write(&stream, str_from_mem(big, BIG)), -ETIMEDOUT);
    free(big);
    loop_stop();
}

static void writing_to_a_peer_that_never_reads_ends_at_the_deadline(void **state)
{
    (void)state;
    run(write_main);
}

static void flush_main(void *arg)
{
    (void)arg;
    char got[16] = "";

    assert_int_equal(stream_write(&stream, STR("reply\r\n")), 0);
    assert_int_equal(recv(peer_fd, got, sizeof(got), MSG_DONTWAIT), -1);
    stream_set_deadline(&stream, clock_mono_ms() + 10);
    struct str line;
    assert_int_equal(stream_read_line(&stream, 10, &line), -ETIMEDOUT);
    assert_int_equal(recv(peer_fd, got, sizeof(got), MSG_DONTWAIT), 7);
    assert_memory_equal(got, "reply\r\n", 7);
    assert_null(stream.in); /* an idle stream holds no buffer */
    assert_int_equal(stream.out.len, 0);
    loop_stop();
}

static void output_goes_out_before_waiting_for_input(void **state)
{
    (void)state;
    run(flush_main);
}

static void gone_main(void *arg)
{
    (void)arg;
    close(peer_fd);
    peer_fd = -1;
    assert_int_equal(stream_write(&stream, STR("x")), 0);
    assert_int_equal(stream_flush(&stream), -EPIPE);
    assert_int_equal(stream_write(&stream, STR("x")), -EPIPE);
    loop_stop();
}

static void a_vanished_peer_gives_an_error_not_a_signal(void **state)
{
    (void)state;
    run(gone_main);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(input_is_seen_before_it_is_read),
        cmocka_unit_test(lines_come_whole_bounded_and_in_time),
        cmocka_unit_test(writing_to_a_peer_that_never_reads_ends_at_the_deadline),
        cmocka_unit_test(output_goes_out_before_waiting_for_input),
        cmocka_unit_test(a_vanished_peer_gives_an_error_not_a_signal),
    };
    return cmocka_run_group_tests_name("stream", tests, NULL, NULL);
}
