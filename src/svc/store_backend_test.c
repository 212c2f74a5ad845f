/* Unit tests of the session's backend, with a store that only notes what it is asked. */
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
#include "store/trace_event.h"
#include "svc/store_backend.h"

enum { ASKED_MAX = 16, SPOOL = 77, LATE_MS = 11 * 1000 };

static struct rpc_client client;
static struct rpc_channel store;
static struct store_backend backend;
static struct id_maker ids;
static enum store_verb asked[ASKED_MAX];
static size_t asked_count;
static char clock_path[] = "/tmp/hikyaku-clock-XXXXXX";

static int serve(struct rpc_channel *c, struct rpc_frame *frame)
{
    assert_true(asked_count < ASKED_MAX);
    asked[asked_count++] = (enum store_verb)frame->code;
    if (frame->code == STORE_SESSION_OPEN)
        clock_advance_ms(LATE_MS);
    if (frame->code == STORE_DELIVER)
        return rpc_channel_send(c, frame->call_id, 0, STR(""));
    if (frame->code == STORE_TRACE_ADD) {
        struct cursor in = cursor_from(frame->payload);
        struct trace_event event;
        assert_int_equal(trace_next_event(&in, &event), 1);
        assert_true(str_eq_c(event.event, "lost") || str_eq_c(event.event, "refused"));
    }
    return 0;
}

static void run(fiber_fn *fn)
{
    static struct fiber_group roots;
    int fds[2];

    asked_count = 0;
    assert_int_equal(loop_init(), 0);
    assert_int_equal(fdpass_pair(SOCK_STREAM, fds), 0);
    store = (struct rpc_channel){.on_frame = serve};
    assert_int_equal(rpc_channel_open(&store, fds[0]), 0);
    rpc_client_init(&client);
    assert_int_equal(rpc_client_attach(&client, fds[1]), 0);
    id_maker_init(&ids, 0, 1);
    store_backend_init(&backend, &client, &ids);
    fiber_group_init(&roots);
    assert_int_equal(fiber_spawn(&roots, "test", fn, NULL), 0);
    loop_run();
    rpc_client_done(&client);
    rpc_channel_close(&store);
    loop_done();
}

/* Waits until the store has seen so many requests. */
static void expect_asked(const enum store_verb *verbs, size_t count)
{
    int64_t until_ms = clock_mono_ms() + 5000;

    while (asked_count < count && clock_mono_ms() < until_ms)
        assert_int_equal(fiber_yield(), 0);
    assert_int_equal(asked_count, count);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(asked[i], verbs[i]);
}

static struct smtp_recipient *make_recipients(size_t count)
{
    static char local[ADDRESS_LOCAL_MAX_BYTES], domain[ADDRESS_DOMAIN_MAX_BYTES];
    static char orcpt[SMTP_ORCPT_MAX_BYTES - 7];
    struct smtp_recipient *list = xcalloc(count, sizeof(*list));

    memset(local, '"', sizeof(local));
    memset(domain, 'd', sizeof(domain));
    memset(orcpt, 'o', sizeof(orcpt));
    for (size_t i = 0; i < count; i++) {
        list[i].address.local = str_from_mem(local, sizeof(local));
        list[i].address.domain = str_from_mem(domain, sizeof(domain));
        list[i].params.orcpt_type = STR("rfc822");
        list[i].params.orcpt_addr = str_from_mem(orcpt, sizeof(orcpt));
        list[i].next = i + 1 < count ? &list[i + 1] : NULL;
    }
    return list;
}

static int deliver(size_t count, struct str text)
{
    struct smtp_recipient *list = make_recipients(count);
    struct smtp_mail_params params = {.has_size = false};
    struct smtp_message message = {.id = 1,
                                   .session_id = 2,
                                   .sender = &list[0].address,
                                   .params = &params,
                                   .recipients = list,
                                   .recipient_count = count,
                                   .spool = text.len == 0 ? SPOOL : 0,
                                   .text = text};
    int r = backend.smtp.deliver(backend.smtp.arg, &message);
    free(list);
    return r;
}

static void deliver_main(void *arg)
{
    static const enum store_verb verbs[] = {STORE_DELIVER, STORE_SPOOL_DROP, STORE_SPOOL_DROP};
    char *text = xcalloc(1, RPC_PAYLOAD_MAX_BYTES);

    (void)arg;
    assert_int_equal(deliver(SMTP_RECIPIENTS_MAX, STR("")), 0);
    assert_int_equal(deliver(SMTP_RECIPIENTS_MAX + 1, STR("")), -EMSGSIZE);
    /* Without a spool there is nothing to drop. */
    assert_int_equal(deliver(1, str_from_mem(text, RPC_PAYLOAD_MAX_BYTES)), -EMSGSIZE);
    assert_int_equal(deliver(2 * SMTP_RECIPIENTS_MAX, STR("")), -EMSGSIZE);
    expect_asked(verbs, ARRAY_LEN(verbs));
    free(text);
    loop_stop();
}

static void a_message_that_is_not_sent_drops_its_spool(void **state)
{
    (void)state;
    run(deliver_main);
}

static void open_main(void *arg)
{
    static const enum store_verb verbs[] = {STORE_SESSION_OPEN, STORE_SESSION_CLOSE};
    struct ip_addr peer;
    enum session_verdict verdict;

    (void)arg;
    assert_int_equal(ip_parse(STR("192.0.2.1"), &peer), 0);
    assert_int_equal(store_backend_open_session(&backend, &peer, &verdict), -ETIMEDOUT);
    expect_asked(verbs, ARRAY_LEN(verbs));
    loop_stop();
}

static void a_session_that_was_opened_in_vain_is_closed(void **state)
{
    (void)state;
    run(open_main);
}

static void lost_main(void *arg)
{
    static const enum store_verb verbs[] = {STORE_TRACE_ADD, STORE_TRACE_ADD};
    struct reply reply = reply_of(554, "5.6.0", "No");
    struct smtp_refusal lost = {.event = "lost", .ref = 1, .session_id = 1, .bytes = 10};
    struct smtp_refusal refused = {
        .event = "refused", .ref = 1, .session_id = 1, .stage = "DATA", .reply = &reply};

    (void)arg;
    backend.smtp.refused(backend.smtp.arg, &lost);
    backend.smtp.refused(backend.smtp.arg, &refused);
    expect_asked(verbs, ARRAY_LEN(verbs));
    loop_stop();
}

static void refusals_and_losses_are_traced(void **state)
{
    (void)state;
    run(lost_main);
}

static int use_clock(void **state)
{
    (void)state;
    int fd = mkstemp(clock_path);

    close(fd);
    return fd < 0 || clock_use_file(clock_path) < 0;
}

static int remove_clock(void **state)
{
    (void)state;
    return unlink(clock_path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_that_is_not_sent_drops_its_spool),
        cmocka_unit_test(a_session_that_was_opened_in_vain_is_closed),
        cmocka_unit_test(refusals_and_losses_are_traced),
    };
    return cmocka_run_group_tests_name("store_backend", tests, use_clock, remove_clock);
}
