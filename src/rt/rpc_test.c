/* Unit tests of calls between two channels in one loop. */
#include <errno.h>
#include <fcntl.h>
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
#include "rt/rpc.h"

enum { VERB_ECHO = 1, VERB_FAIL, VERB_SILENT, VERB_CUT, VERB_LATER };

static struct rpc_client client;
static struct rpc_channel server;
static uint32_t later_id;
static bool server_was_closed;
static int lost_count;

static int serve(struct rpc_channel *c, struct rpc_frame *frame)
{
    switch (frame->code) {
    case VERB_ECHO:
        if (later_id != 0) {
            assert_int_equal(rpc_channel_send(c, later_id, 0, STR("late")), 0);
            later_id = 0;
        }
        return rpc_channel_send(c, frame->call_id, 0, frame->payload);
    case VERB_FAIL:
        return rpc_channel_send(c, frame->call_id, ENOENT, STR("why"));
    case VERB_CUT:
        return -EBADMSG;
    case VERB_LATER:
        later_id = frame->call_id;
        return 0;
    default:
        return 0;
    }
}

static void on_server_close(struct rpc_channel *c)
{
    (void)c;
    server_was_closed = true;
}

static void on_lost(struct rpc_client *c)
{
    assert_ptr_equal(c, &client);
    assert_false(rpc_client_is_attached(c));
    lost_count++;
}

static int connect_both(void)
{
    int fds[2];

    assert_int_equal(fdpass_pair(SOCK_STREAM, fds), 0);
    server = (struct rpc_channel){.on_frame = serve, .on_close = on_server_close};
    assert_int_equal(rpc_channel_open(&server, fds[0]), 0);
    assert_int_equal(rpc_client_attach(&client, fds[1]), 0);
    return fds[1];
}

static void run(fiber_fn *fn)
{
    static struct fiber_group roots;

    assert_int_equal(loop_init(), 0);
    rpc_client_init(&client);
    connect_both();
    fiber_group_init(&roots);
    assert_int_equal(fiber_spawn(&roots, "test", fn, NULL), 0);
    loop_run();
    rpc_client_done(&client);
    rpc_channel_close(&server);
    loop_done();
}

static int call(uint16_t verb, struct str payload, struct buf *reply)
{
    return rpc_call(&client, verb, payload, clock_mono_ms() + 2000, reply);
}

static void later(void *arg)
{
    struct buf *reply = arg;

    assert_int_equal(call(VERB_LATER, STR("x"), reply), 0);
}

static void calls_main(void *arg)
{
    (void)arg;
    struct buf reply, late;
    struct fiber_group g;
    char *big = xmalloc(RPC_PAYLOAD_MAX_BYTES);

    buf_init(&reply, RPC_PAYLOAD_MAX_BYTES);
    buf_init(&late, 100);
    memset(big, 'b', RPC_PAYLOAD_MAX_BYTES);
    assert_int_equal(call(VERB_ECHO, STR("hello"), &reply), 0);
    assert_string_equal(buf_c_str(&reply), "hello");
    assert_int_equal(call(VERB_FAIL, STR(""), &reply), -ENOENT);
    assert_string_equal(buf_c_str(&reply), "why");
    assert_int_equal(call(VERB_ECHO, str_from_mem(big, RPC_PAYLOAD_MAX_BYTES), &reply), 0);
    assert_int_equal(reply.len, RPC_PAYLOAD_MAX_BYTES);
    fiber_group_init(&g);
    assert_int_equal(fiber_spawn(&g, "later", later, &late), 0);
    assert_int_equal(fiber_yield(), 0);
    while (later_id == 0)
        assert_int_equal(fiber_yield(), 0);
    assert_int_equal(call(VERB_ECHO, STR("second"), &reply), 0);
    assert_int_equal(fiber_group_join(&g, CLOCK_NEVER), 0);
    assert_string_equal(buf_c_str(&late), "late");
    assert_int_equal(rpc_call(&client, VERB_SILENT, STR(""), clock_mono_ms() + 10, &reply),
                     -ETIMEDOUT);
    assert_int_equal(client.calls.count, 0);
    free(big);
    buf_done(&reply);
    buf_done(&late);
    loop_stop();
}

static void calls_are_answered_in_any_order(void **state)
{
    (void)state;
    run(calls_main);
}

static void cut_main(void *arg)
{
    (void)arg;
    struct buf reply;

    lost_count = 0;
    client.on_lost = on_lost;
    buf_init(&reply, 100);
    assert_int_equal(call(VERB_CUT, STR(""), &reply), -EPIPE);
    assert_int_equal(lost_count, 1);
    assert_int_equal(call(VERB_ECHO, STR(""), &reply), -EPIPE);
    assert_true(server_was_closed);
    connect_both();
    assert_int_equal(call(VERB_ECHO, STR("again"), &reply), 0);
    /* Who replaces a channel needs not be told that it is gone. */
    rpc_channel_close(&server);
    connect_both();
    assert_int_equal(call(VERB_ECHO, STR("replaced"), &reply), 0);
    assert_int_equal(lost_count, 1);
    buf_done(&reply);
    loop_stop();
}

static void a_lost_channel_fails_its_calls_and_can_be_replaced(void **state)
{
    (void)state;
    run(cut_main);
}

static void garbage_main(void *arg)
{
    (void)arg;
    char garbage[] = "\xff\xff\xff\xff garbage";

    server_was_closed = false;
    assert_int_equal(write(client.channel.watch.fd, garbage, sizeof(garbage)), sizeof(garbage));
    while (!server_was_closed)
        assert_int_equal(fiber_yield(), 0);
    loop_stop();
}

static void a_peer_that_sends_garbage_is_cut_off(void **state)
{
    (void)state;
    run(garbage_main);
}

static void frames_parse_only_when_whole(void **state)
{
    (void)state;
    struct buf b;
    struct rpc_frame frame;
    size_t bytes;

    buf_init(&b, 1000);
    rpc_frame_put(&b, 77, 5, STR("payload"));
    for (size_t n = 0; n < b.len; n++)
        assert_int_equal(rpc_frame_parse(str_sub(buf_str(&b), 0, n), &frame, &bytes), 0);
    assert_int_equal(rpc_frame_parse(buf_str(&b), &frame, &bytes), 1);
    assert_int_equal(bytes, b.len);
    assert_int_equal(frame.call_id, 77);
    assert_int_equal(frame.code, 5);
    assert_true(str_eq(frame.payload, STR("payload")));
    buf_done(&b);
}

static void descriptors_travel_with_messages(void **state)
{
    (void)state;
    int fds[2], got = -1;
    static char buffer[FDPASS_MAX_BYTES];
    uint16_t type = 0;
    struct str payload;

    assert_int_equal(fdpass_pair(SOCK_SEQPACKET, fds), 0);
    assert_int_equal(fdpass_send(fds[0], 3, STR("abc"), STDERR_FILENO), 0);
    assert_int_equal(fdpass_send(fds[0], 4, STR(""), -1), 0);
    assert_int_equal(fdpass_recv(fds[1], buffer, &type, &payload, &got), 0);
    assert_int_equal(type, 3);
    assert_true(got >= 0 && str_eq(payload, STR("abc")));
    close(got);
    assert_int_equal(fdpass_recv(fds[1], buffer, &type, &payload, &got), 0);
    assert_int_equal(got, -1);
    assert_int_equal(fdpass_recv(fds[1], buffer, &type, &payload, &got), -EAGAIN);
    close(fds[0]);
    assert_int_equal(fdpass_recv(fds[1], buffer, &type, &payload, &got), -EPIPE);
    close(fds[1]);
}

static int count_open_files(void)
{
    int count = 0;

    for (int fd = 0; fd < 256; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

static void send_files(int socket, size_t bytes, size_t files)
{
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(8 * sizeof(int))];
    } control = {0};
    char text[] = "\x03\x00payload";
    struct iovec part = {.iov_base = text, .iov_len = bytes};
    struct msghdr msg = {.msg_iov = &part, .msg_iovlen = 1};
    int *fds = (int *)(void *)CMSG_DATA(&control.header);

    msg.msg_control = control.bytes;
    msg.msg_controllen = CMSG_SPACE(files * sizeof(int));
    control.header.cmsg_level = SOL_SOCKET;
    control.header.cmsg_type = SCM_RIGHTS;
    control.header.cmsg_len = CMSG_LEN(files * sizeof(int));
    for (size_t i = 0; i < files; i++)
        fds[i] = STDERR_FILENO;
    assert_int_equal(sendmsg(socket, &msg, 0), bytes);
}

static void too_many_descriptors_are_closed(void **state)
{
    static char buffer[FDPASS_MAX_BYTES];
    int fds[2], got = -1;
    struct str payload;
    uint16_t type;

    (void)state;
    assert_int_equal(fdpass_pair(SOCK_SEQPACKET, fds), 0);
    int before = count_open_files();
    for (size_t files = 2; files <= 5; files++) {
        send_files(fds[0], 9, files);
        assert_int_equal(fdpass_recv(fds[1], buffer, &type, &payload, &got), -EBADMSG);
        assert_int_equal(got, -1);
        assert_int_equal(count_open_files(), before);
    }
    send_files(fds[0], 1, 1);
    assert_int_equal(fdpass_recv(fds[1], buffer, &type, &payload, &got), -EBADMSG);
    /* An empty message looks like the end, but it can carry descriptors. */
    send_files(fds[0], 0, 1);
    assert_int_equal(fdpass_recv(fds[1], buffer, &type, &payload, &got), -EPIPE);
    assert_int_equal(count_open_files(), before);
    close(fds[0]);
    close(fds[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames_parse_only_when_whole),
        cmocka_unit_test(calls_are_answered_in_any_order),
        cmocka_unit_test(a_lost_channel_fails_its_calls_and_can_be_replaced),
        cmocka_unit_test(a_peer_that_sends_garbage_is_cut_off),
        cmocka_unit_test(descriptors_travel_with_messages),
        cmocka_unit_test(too_many_descriptors_are_closed),
    };
    return cmocka_run_group_tests_name("rpc", tests, NULL, NULL);
}
