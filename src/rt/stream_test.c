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
#include "rt/stream_layer.h"

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

static void quiet_main(void *arg)
{
    (void)arg;
    assert_true(stream_is_quiet(&stream));
    peer_says("x");
    assert_false(stream_is_quiet(&stream));
    assert_int_equal(stream_fill(&stream), 1);
    assert_false(stream_is_quiet(&stream));
    stream_take(&stream, 1);
    assert_true(stream_is_quiet(&stream));
    close(peer_fd);
    peer_fd = -1;
    assert_false(stream_is_quiet(&stream));
    loop_stop();
}

static void a_quiet_peer_is_open_and_silent(void **state)
{
    (void)state;
    run(quiet_main);
}

static void last_word_main(void *arg)
{
    (void)arg;
    char got[16] = "";

    assert_false(stream_has_output(&stream));
    assert_int_equal(stream_write(&stream, STR("QUIT\r\n")), 0);
    assert_true(stream_has_output(&stream));
    stream_end_now(&stream);
    assert_false(stream_has_output(&stream));
    assert_int_equal(recv(peer_fd, got, sizeof(got), MSG_DONTWAIT), 6);
    assert_int_equal(stream_write(&stream, STR("never sent\r\n")), 0);
    stream_drop_output(&stream);
    assert_false(stream_has_output(&stream));
    assert_int_equal(stream_flush(&stream), 0);
    assert_int_equal(recv(peer_fd, got, sizeof(got), MSG_DONTWAIT), -1);
    loop_stop();
}

static void a_last_word_leaves_without_waiting(void **state)
{
    (void)state;
    run(last_word_main);
}

/* --- a layer: letters change their case; "!" in the input is a knock that is answered with "?",
 * "." is the end; after need_input the next sealing waits for input --- */

static struct toy {
    struct stream_layer layer;
    char kept[64]; /* read and not yet opened */
    size_t kept_len;
    bool needs_input;
    bool gives_up_early; /* open() returns -EAGAIN once although there is input */
    bool is_freed;
} toy;

static void toy_turn(char *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        text[i] = ascii_is_alpha(text[i]) ? (char)(text[i] ^ 0x20) : text[i];
}

static ssize_t toy_fetch(void)
{
    if (toy.kept_len > 0 || !stream.may_read)
        return toy.kept_len > 0 ? 1 : -EAGAIN;
    ssize_t n = stream_socket_recv(&stream, toy.kept, sizeof(toy.kept));
    toy.kept_len = n > 0 ? (size_t)n : 0;
    toy_turn(toy.kept, toy.kept_len);
    return n;
}

/* One byte a time, so that much stays buffered. */
static ssize_t toy_open(struct stream_layer *l, char *to, size_t room)
{
    assert_true(room > 0);
    if (toy.gives_up_early) {
        toy.gives_up_early = false;
        return -EAGAIN;
    }
    ssize_t n = toy_fetch();
    if (n <= 0)
        return n == 0 ? -ECONNABORTED : n;
    *to = toy.kept[0];
    toy.kept_len--;
    memmove(toy.kept, toy.kept + 1, toy.kept_len);
    if (*to == '!') {
        buf_put_char(&l->wire, '?');
        return toy_open(l, to, room);
    }
    return *to == '.' ? 0 : 1;
}

static ssize_t toy_seal(struct stream_layer *l, struct str text)
{
    struct buf *out = &stream.out;

    assert_int_equal(l->wire.len, 0);
    if (toy.needs_input && toy_fetch() == -EAGAIN)
        return -EAGAIN;
    toy.needs_input = false;
    buf_put_str(&l->wire, buf_str(out));
    buf_consume(out, out->len);
    struct str part = str_sub(text, 0, 5);
    buf_put_str(&l->wire, part);
    toy_turn(l->wire.ptr, l->wire.len);
    return (ssize_t)part.len;
}

static ssize_t toy_look(struct stream_layer *l)
{
    (void)l;
    return toy_fetch();
}

static bool toy_has_buffered(struct stream_layer *l)
{
    (void)l;
    return toy.kept_len > 0;
}

static void toy_say_end(struct stream_layer *l)
{
    buf_put_char(&l->wire, '.');
}

static void toy_free(struct stream_layer *l)
{
    assert_ptr_equal(l, &toy.layer);
    toy.is_freed = true;
}

static const struct stream_layer_ops toy_ops = {
    .open = toy_open,
    .seal = toy_seal,
    .look = toy_look,
    .has_buffered = toy_has_buffered,
    .say_end = toy_say_end,
    .free = toy_free,
};

static void add_toy(void)
{
    toy = (struct toy){.layer.ops = &toy_ops};
    buf_init(&toy.layer.wire, 1024);
    stream_set_layer(&stream, &toy.layer);
}

static void peer_hears(const char *expected)
{
    char got[64] = "";

    assert_int_equal(recv(peer_fd, got, sizeof(got), MSG_DONTWAIT), (ssize_t)strlen(expected));
    assert_string_equal(got, expected);
}

static void layer_main(void *arg)
{
    (void)arg;
    struct str line;

    add_toy();
    stream_set_deadline(&stream, clock_mono_ms() + 2000);
    assert_true(stream_is_quiet(&stream));
    peer_says("ONE\nTWO\n!");
    assert_line("one\n");
    assert_true(stream_has_input(&stream));
    assert_line("two\n");
    assert_true(stream_has_input(&stream));
    /* Reading has nothing for us but something for the peer, which goes out before the wait. */
    stream_set_deadline(&stream, clock_mono_ms() + 20);
    assert_int_equal(stream_read_line(&stream, 100, &line), -ETIMEDOUT);
    peer_hears("?");
    assert_null(stream.in);
    assert_int_equal(stream_write(&stream, STR("abc")), 0);
    stream_set_deadline(&stream, clock_mono_ms() + 2000);
    assert_int_equal(stream_send(&stream, STR(" defg hijk\n")), 0);
    peer_hears("ABC DEFG HIJK\n");
    /* The layer stops early: the rest is not lost. */
    toy.gives_up_early = true;
    peer_says("THREE\n");
    assert_line("three\n");
    peer_says("BYE.");
    assert_int_equal(stream_read_line(&stream, 100, &line), -ENODATA);
    stream_close_gently(&stream, 20);
    peer_hears(".");
    loop_stop();
}

static void a_layer_works_like_a_socket(void **state)
{
    (void)state;
    run(layer_main);
    assert_true(toy.is_freed);
}

static void speak_later(void *arg)
{
    (void)arg;
    peer_says("X");
}

static void sealing_waits_main(void *arg)
{
    struct fiber_group group;

    (void)arg;
    add_toy();
    toy.needs_input = true;
    assert_int_equal(stream_write(&stream, STR("a")), 0);
    stream_set_deadline(&stream, clock_mono_ms() + 20);
    assert_int_equal(stream_flush(&stream), -ETIMEDOUT);
    stream_set_deadline(&stream, clock_mono_ms() + 2000);
    fiber_group_init(&group);
    assert_int_equal(fiber_spawn(&group, "peer", speak_later, NULL), 0);
    assert_int_equal(stream_flush(&stream), 0);
    peer_hears("A");
    assert_int_equal(stream_fill(&stream), 1);
    assert_true(str_eq(stream_pending(&stream), STR("x")));
    assert_int_equal(fiber_group_join(&group, CLOCK_NEVER), 0);
    loop_stop();
}

static void sending_may_have_to_wait_for_input(void **state)
{
    (void)state;
    run(sealing_waits_main);
}

static void broken_off_main(void *arg)
{
    struct str line;

    (void)arg;
    add_toy();
    stream_set_deadline(&stream, clock_mono_ms() + 2000);
    peer_says("HALF");
    close(peer_fd);
    peer_fd = -1;
    assert_int_equal(stream_read_line(&stream, 100, &line), -ECONNABORTED);
    loop_stop();
}

static void a_layer_can_tell_a_broken_connection_from_an_end(void **state)
{
    (void)state;
    run(broken_off_main);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(input_is_seen_before_it_is_read),
        cmocka_unit_test(lines_come_whole_bounded_and_in_time),
        cmocka_unit_test(writing_to_a_peer_that_never_reads_ends_at_the_deadline),
        cmocka_unit_test(output_goes_out_before_waiting_for_input),
        cmocka_unit_test(a_vanished_peer_gives_an_error_not_a_signal),
        cmocka_unit_test(a_quiet_peer_is_open_and_silent),
        cmocka_unit_test(a_last_word_leaves_without_waiting),
        cmocka_unit_test(a_layer_works_like_a_socket),
        cmocka_unit_test(sending_may_have_to_wait_for_input),
        cmocka_unit_test(a_layer_can_tell_a_broken_connection_from_an_end),
    };
    return cmocka_run_group_tests_name("stream", tests, NULL, NULL);
}
