/*
 * Unit tests of the resolver process: this program, executed again as the service in its sandbox,
 * is asked over channels as workers have them. Name servers are a socket that never answers, or
 * none: what is known is known by local records.
 */
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "dns/dns_wire.h"
#include "dns/record.h"
#include "rt/fdpass.h"
#include "svc/child.h"
#include "svc/master/children.h"

enum {
    WAIT_MS = 60000,
    REPLY_MAX_BYTES = 4 * 1024 * 1024,
    RESOLVER_LIMIT = 4096, /* questions under way, of all and of one channel */
    CHANNEL_LIMIT = 3072,
};

/* One process with the settings it was given. */
struct process {
    struct child_process child;
    struct settings *settings;
    int silent_server; /* a socket that never answers */
    uint16_t silent_port;
};

/* One channel to it. */
struct channel {
    int fd;
    struct buf in;
    uint32_t next_id;
    struct arena arena;
};

static struct process process;

/* --- starting --- */

static void put_item(struct settings_list *list, const char *text)
{
    list->items = xrealloc(list->items, (list->count + 1) * sizeof(list->items[0]));
    list->items[list->count++] = xstrdup(text);
}

static void send_control(uint16_t type, struct str payload, int fd)
{
    assert_int_equal(fdpass_send(process.child.control.fd, type, payload, fd), 0);
}

static void send_settings(void)
{
    struct buf encoded;

    buf_init(&encoded, FDPASS_MAX_BYTES - 16);
    settings_encode(process.settings, &encoded);
    assert_int_equal(buf_status(&encoded), 0);
    send_control(CONTROL_SETTINGS, buf_str(&encoded), -1);
    buf_done(&encoded);
}

static void wait_readable(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};

    assert_int_equal(poll(&p, 1, WAIT_MS), 1);
}

static void bind_silent_server(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET};
    socklen_t bytes = sizeof(at);

    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    process.silent_server = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_true(process.silent_server >= 0);
    assert_int_equal(bind(process.silent_server, (struct sockaddr *)&at, sizeof(at)), 0);
    assert_int_equal(getsockname(process.silent_server, (struct sockaddr *)&at, &bytes), 0);
    process.silent_port = ntohs(at.sin_port);
}

static void make_settings(void)
{
    char stub[64];

    process.settings = settings_defaults();
    free(process.settings->server_hostname);
    process.settings->server_hostname = xstrdup("mx.example.net");
    free(process.settings->server_user);
    process.settings->server_user = xstrdup("nobody");
    process.settings->log_level = LOG_ERROR;
    process.settings->resolver_timeout = 1000;
    put_item(&process.settings->resolver_local_records, "a.example.net 300 IN A 192.0.2.1");
    put_item(&process.settings->resolver_local_records, "a.example.net 300 IN A 192.0.2.2");
    put_item(&process.settings->resolver_local_records, "m.example.net IN MX 10 a.example.net");
    (void)snprintf(stub, sizeof(stub), "silent.example.org 127.0.0.1@%u", process.silent_port);
    put_item(&process.settings->resolver_stub_zones, stub);
}

static int start_process(void **state)
{
    static const struct child_kind kind = {.service = "resolver"};
    char slot = 25;
    char *buffer = xmalloc(FDPASS_MAX_BYTES);
    struct str payload;
    uint16_t type;
    int fd;

    (void)state;
    process = (struct process){.child = {.kind = &kind}};
    bind_silent_server();
    make_settings();
    assert_int_equal(child_start(&process.child), 0);
    send_settings();
    send_control(CONTROL_IDENTITY, str_from_mem(&slot, 1), -1);
    wait_readable(process.child.control.fd);
    assert_int_equal(fdpass_recv(process.child.control.fd, buffer, &type, &payload, &fd), 0);
    assert_int_equal(type, CONTROL_READY);
    free(buffer);
    return 0;
}

static int end_process(void **state)
{
    int status = 0;

    (void)state;
    if (process.child.pid != 0) {
        send_control(CONTROL_DRAIN, STR(""), -1);
        assert_int_equal(waitpid(process.child.pid, &status, 0), process.child.pid);
        if (status != 0)
            fail_msg("the process ended with status %#x", (unsigned)status);
        close(process.child.control.fd);
    }
    close(process.silent_server);
    settings_free(process.settings);
    return 0;
}

/* --- talking --- */

static void open_channel(struct channel *c)
{
    char role = RPC_ROLE_OUTBOUND;
    int fds[2];

    assert_int_equal(fdpass_pair(SOCK_STREAM, fds), 0);
    send_control(CONTROL_ADD_CHANNEL, str_from_mem(&role, 1), fds[0]);
    close(fds[0]);
    *c = (struct channel){.fd = fds[1]};
    buf_init(&c->in, REPLY_MAX_BYTES);
    arena_init(&c->arena, 256 * (size_t)DNS_ANSWER_ARENA_BYTES);
}

static void close_channel(struct channel *c)
{
    close(c->fd);
    buf_done(&c->in);
    arena_done(&c->arena);
}

static void send_bytes(const struct channel *c, struct str bytes)
{
    while (bytes.len > 0) {
        struct pollfd p = {.fd = c->fd, .events = POLLOUT};
        assert_int_equal(poll(&p, 1, WAIT_MS), 1);
        ssize_t n = send(c->fd, bytes.ptr, bytes.len, MSG_NOSIGNAL);
        assert_true(n > 0);
        bytes = str_sub(bytes, (size_t)n, bytes.len);
    }
}

static void send_frame(struct channel *c, uint16_t verb, struct str payload)
{
    struct buf frame;

    buf_init(&frame, RPC_PAYLOAD_MAX_BYTES + RPC_HEADER_BYTES);
    rpc_frame_put(&frame, c->next_id++, verb, payload);
    send_bytes(c, buf_str(&frame));
    buf_done(&frame);
}

static void ask(struct channel *c, const struct dns_question *questions, size_t count)
{
    struct buf payload;

    buf_init(&payload, DNS_WIRE_QUESTIONS_MAX_BYTES);
    dns_wire_put_questions(&payload, questions, count);
    send_frame(c, DNS_VERB_LOOKUP, buf_str(&payload));
    buf_done(&payload);
}

/* Waits for a reply, whichever comes first; `count` is the same in all calls. Its call id; or -1
 * when the channel was closed. */
static int64_t receive(struct channel *c, struct dns_answer *out, size_t count)
{
    struct rpc_frame frame;
    size_t bytes = 0;

    while (rpc_frame_parse(buf_str(&c->in), &frame, &bytes) == 0) {
        wait_readable(c->fd);
        char *room = buf_reserve(&c->in, 65536);
        assert_non_null(room);
        ssize_t n = recv(c->fd, room, 65536, MSG_DONTWAIT);
        if (n <= 0)
            return -1;
        buf_commit(&c->in, (size_t)n);
    }
    assert_int_equal(frame.code, 0);
    assert_int_equal(dns_wire_read_answers(frame.payload, count, &c->arena, out), 0);
    buf_consume(&c->in, bytes);
    return frame.call_id;
}

static struct dns_answer ask_one(struct channel *c, const char *name, enum dns_type type)
{
    struct dns_question question = {.name = str_from_c(name), .type = type};
    struct dns_answer answer;

    ask(c, &question, 1);
    assert_true(receive(c, &answer, 1) >= 0);
    return answer;
}

/* --- the tests --- */

static void questions_are_answered_in_their_order(void **state)
{
    const struct dns_question questions[] = {
        {STR("a.example.net"), DNS_A},
        {STR("M.Example.Net."), DNS_MX},
        {STR("a.example.net"), DNS_MX},
        {STR("nothing.invalid"), DNS_A},
        {STR("localhost"), DNS_A},
        {STR("not a name"), DNS_A},
        {STR(""), DNS_A},
        {STR("a..example.net"), DNS_A},
    };
    static const enum dns_status statuses[] = {DNS_OK, DNS_OK,      DNS_NO_DATA, DNS_NO_NAME,
                                               DNS_OK, DNS_NO_NAME, DNS_NO_NAME, DNS_NO_NAME};
    struct dns_answer answers[ARRAY_LEN(questions)];
    char name[DNS_NAME_TEXT_BYTES];
    uint16_t preference;
    struct channel c;
    struct ip_addr ip;

    (void)state;
    open_channel(&c);
    ask(&c, questions, ARRAY_LEN(questions));
    assert_int_equal(receive(&c, answers, ARRAY_LEN(questions)), 0);
    for (size_t i = 0; i < ARRAY_LEN(questions); i++) {
        assert_int_equal(answers[i].status, statuses[i]);
        assert_false(answers[i].is_secure);
    }
    assert_int_equal(answers[0].count, 2);
    assert_int_equal(answers[0].ttl_s, 300);
    assert_int_equal(dns_address_read(DNS_A, answers[0].data[0], &ip), 0);
    assert_int_equal(ip.bytes[0], 192);
    assert_true(str_eq_c(answers[1].name, "m.example.net"));
    assert_int_equal(dns_mx_read(answers[1].data[0], &preference, name), 0);
    assert_string_equal(name, "a.example.net");
    assert_int_equal(dns_address_read(DNS_A, answers[4].data[0], &ip), 0);
    assert_true(ip_is_loopback(&ip));
    close_channel(&c);
}

static void malformed_frames_cut_the_channel_off_and_no_other(void **state)
{
    static const struct {
        uint16_t verb;
        struct str payload;
    } frames[] = {
        {DNS_VERB_LOOKUP, STR("")},
        {DNS_VERB_LOOKUP, STR("\0")},
        {DNS_VERB_LOOKUP, STR("\1")},
        {DNS_VERB_LOOKUP, STR("\1\1\0\377\377\377\377")},
        {DNS_VERB_LOOKUP, STR("\1\1\0\1\0\0\0ab")},
        {DNS_VERB_LOOKUP, STR("\101\1\0\0\0\0\0")},
        {99, STR("")},
    };
    struct channel good, bad;
    struct dns_answer answer;

    (void)state;
    open_channel(&good);
    for (size_t i = 0; i < ARRAY_LEN(frames); i++) {
        open_channel(&bad);
        send_frame(&bad, frames[i].verb, frames[i].payload);
        assert_int_equal(receive(&bad, &answer, 1), -1);
        close_channel(&bad);
        assert_int_equal(ask_one(&good, "a.example.net", DNS_A).status, DNS_OK);
    }
    open_channel(&bad);
    send_bytes(&bad, STR("\377\377\377\377nonsense"));
    assert_int_equal(receive(&bad, &answer, 1), -1);
    close_channel(&bad);
    assert_int_equal(ask_one(&good, "a.example.net", DNS_A).status, DNS_OK);
    close_channel(&good);
}

static void silence_of_servers_ends_with_the_time(void **state)
{
    struct channel c;
    int64_t start_ms = clock_mono_ms();

    (void)state;
    open_channel(&c);
    struct dns_answer answer = ask_one(&c, "x.silent.example.org", DNS_MX);
    assert_int_equal(answer.status, DNS_FAILED);
    assert_true(answer.why.len > 0);
    assert_in_range(clock_mono_ms() - start_ms, 900, WAIT_MS);
    close_channel(&c);
}

static void ask_silent(struct channel *c, size_t first)
{
    struct dns_question questions[DNS_QUESTIONS_MAX];
    char names[DNS_QUESTIONS_MAX][40];

    for (size_t i = 0; i < DNS_QUESTIONS_MAX; i++) {
        (void)snprintf(names[i], sizeof(names[i]), "h%zu.silent.example.org", first + i);
        questions[i] = (struct dns_question){str_from_c(names[i]), DNS_A};
    }
    ask(c, questions, DNS_QUESTIONS_MAX);
}

/* Asks `calls` times 64 questions without an answer; how many were refused. */
static size_t flood(struct channel *c, size_t calls, size_t first)
{
    struct dns_answer answers[DNS_QUESTIONS_MAX];
    size_t refused = 0;

    for (size_t i = 0; i < calls; i++)
        ask_silent(c, first + i * DNS_QUESTIONS_MAX);
    for (size_t i = 0; i < calls; i++) {
        assert_true(receive(c, answers, DNS_QUESTIONS_MAX) >= 0);
        for (size_t j = 0; j < DNS_QUESTIONS_MAX; j++) {
            assert_int_equal(answers[j].status, DNS_FAILED);
            refused += str_eq_c(answers[j].why, "too many questions at once");
        }
    }
    return refused;
}

/* Until libunbound has given up enough of the silent servers. */
static void wait_for_answers(struct channel *c)
{
    int64_t deadline_ms = clock_mono_ms() + WAIT_MS;

    while (ask_one(c, "a.example.net", DNS_A).status != DNS_OK) {
        assert_true(clock_mono_ms() < deadline_ms);
        (void)poll(NULL, 0, 20);
    }
}

/* One channel cannot take all there is, and two not more than there is; whoever asks for what needs
 * no server, or asks later, is answered. */
static void floods_are_bounded(void **state)
{
    struct channel one, two, three;
    enum { CALLS = 60 };

    (void)state;
    open_channel(&one);
    open_channel(&two);
    open_channel(&three);
    assert_int_equal(flood(&one, CALLS, 0), CALLS * DNS_QUESTIONS_MAX - CHANNEL_LIMIT);
    /* libunbound may have given up some of them by now. */
    assert_true(flood(&two, CALLS, 100000) >= CALLS * DNS_QUESTIONS_MAX - CHANNEL_LIMIT);
    wait_for_answers(&three);
    close_channel(&one);
    close_channel(&two);
    close_channel(&three);
}

static void who_goes_away_is_forgotten(void **state)
{
    struct channel c;

    (void)state;
    /* Fewer than there may be channels, for all could come before the first has been closed. */
    for (size_t i = 0; i < 60; i++) {
        open_channel(&c);
        ask_silent(&c, i * DNS_QUESTIONS_MAX);
        close_channel(&c);
    }
    open_channel(&c);
    wait_for_answers(&c);
    close_channel(&c);
}

static void a_reload_changes_answers_and_finishes_questions(void **state)
{
    struct settings_list *records = &process.settings->resolver_local_records;
    struct dns_question waiting = {STR("y.silent.example.org"), DNS_A};
    struct dns_answer answer;
    struct channel slow, c;

    (void)state;
    open_channel(&slow);
    open_channel(&c);
    ask(&slow, &waiting, 1);
    assert_int_equal(ask_one(&c, "new.example.net", DNS_TXT).status == DNS_OK, false);
    for (int i = 0; i < 10; i++) {
        char record[64];
        (void)snprintf(record, sizeof(record), "new.example.net TXT \"%d\"", i);
        free(records->items[0]);
        records->items[0] = xstrdup(record);
        send_settings();
        int64_t deadline_ms = clock_mono_ms() + WAIT_MS;
        do {
            answer = ask_one(&c, "new.example.net", DNS_TXT);
            assert_true(clock_mono_ms() < deadline_ms);
        } while (answer.count != 1 || answer.data[0].ptr[1] != '0' + i);
    }
    assert_true(receive(&slow, &answer, 1) >= 0);
    assert_int_equal(answer.status, DNS_FAILED);
    close_channel(&slow);
    close_channel(&c);
}

static void settings_that_libunbound_refuses_change_nothing(void **state)
{
    struct settings_list *records = &process.settings->resolver_local_records;
    struct channel c;

    (void)state;
    open_channel(&c);
    put_item(records, "bad.example.net IN A 192.0.2.999");
    send_settings();
    for (int i = 0; i < 5; i++)
        assert_int_equal(ask_one(&c, "a.example.net", DNS_A).status, DNS_OK);
    close_channel(&c);
}

static void an_orphan_ends(void **state)
{
    int status = 0;

    (void)state;
    close(process.child.control.fd);
    assert_int_equal(waitpid(process.child.pid, &status, 0), process.child.pid);
    assert_int_equal(status, 0);
    process.child.pid = 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start_process, end_process)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(questions_are_answered_in_their_order),
        TEST(malformed_frames_cut_the_channel_off_and_no_other),
        TEST(silence_of_servers_ends_with_the_time),
        TEST(floods_are_bounded),
        TEST(who_goes_away_is_forgotten),
        TEST(a_reload_changes_answers_and_finishes_questions),
        TEST(settings_that_libunbound_refuses_change_nothing),
        TEST(an_orphan_ends),
    };

    if (argc == 3 && strcmp(argv[1], "--process") == 0)
        return svc_child_main(argv[2]);
    (void)signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests_name("resolver", tests, NULL, NULL);
}
