/*
 * What the tests of the queue share beside store_harness.h: letters, and a worker's part of the
 * work. Included once by each test program.
 */
#pragma once

#include "store/queue_wire.h"
#include "store/store_harness.h"

SHARED char clock_path[] = "/tmp/hikyaku-queue-clock-XXXXXX";
SHARED struct arena arena;
SHARED struct buf reply;

SHARED int set_up_queue(void **state)
{
    int r = set_up(state);

    settings->queue_jitter = 0;
    buf_init(&reply, 1 << 20);
    arena_init(&arena, 16 << 20);
    assert_int_equal(run_texts(STORE_DOMAIN_ADD, "example.jp", NULL, NULL), 0);
    assert_int_equal(add_account("taro@example.jp"), 0);
    return r;
}

/* What is counted in memory is what the rows are. */
SHARED void expect_counted(void)
{
    assert_int_equal(store->queue_messages, get_int("SELECT COUNT(*) FROM queue"));
    assert_int_equal(store->queue_recipients, get_int("SELECT COUNT(*) FROM recipient"));
}

SHARED int tear_down_queue(void **state)
{
    expect_counted();
    arena_done(&arena);
    buf_done(&reply);
    return tear_down(state);
}

struct letter {
    const char *sender;
    const char *to[4]; /* local@domain */
    uint8_t notify, flags;
    int8_t priority;
};

SHARED uint64_t send_letter(const struct letter *l)
{
    struct deliver_recipient to[4];
    struct deliver_request q = {.message_id = id_make(&ids),
                                .session_id = 7,
                                .received_ms = clock_real_ms(),
                                .sender = str_from_c(l->sender),
                                .summary = STR("summary"),
                                .text = STR("Return-Path: <x>\r\nSubject: s\r\n\r\ntext\r\n"),
                                .prefix_bytes = 18,
                                .flags = l->flags,
                                .priority = l->priority,
                                .recipients = to};

    for (size_t i = 0; i < ARRAY_LEN(l->to) && l->to[i] != NULL; i++) {
        struct str local, domain;
        (void)str_cut(str_from_c(l->to[i]), '@', &local, &domain);
        to[q.recipient_count++] = (struct deliver_recipient){
            .local = local, .domain = domain, .notify = l->notify, .is_relay = true};
    }
    wire_put_deliver(start_args(), &q);
    assert_int_equal(run_verb(STORE_DELIVER, &args, NULL), 0);
    return q.message_id;
}

SHARED uint64_t send_one(const char *to)
{
    return send_letter(&(struct letter){.sender = "taro@example.jp", .to = {to}});
}

SHARED struct queue_opened open_due(uint32_t ready, uint32_t waiting)
{
    struct queue_opened opened;

    buf_put_u32(start_args(), ready);
    buf_put_u32(&args, waiting);
    assert_int_equal(run_verb(STORE_QUEUE_OPEN, &args, &reply), 0);
    struct cursor c = cursor_from(arena_str(&arena, buf_str(&reply)));
    assert_int_equal(queue_get_opened(&c, &arena, &opened), 0);
    return opened;
}

SHARED struct queue_batch take_texts(const char *destination, uint32_t messages,
                                     uint32_t text_bytes)
{
    struct queue_batch batch;

    buf_put_lp(start_args(), str_from_c(destination));
    buf_put_u32(&args, messages);
    buf_put_u32(&args, 1000);
    buf_put_u32(&args, text_bytes);
    assert_int_equal(run_verb(STORE_QUEUE_TAKE, &args, &reply), 0);
    struct cursor c = cursor_from(arena_str(&arena, buf_str(&reply)));
    assert_int_equal(queue_get_batch(&c, &arena, &batch), 0);
    return batch;
}

SHARED struct queue_batch take(const char *destination, uint32_t messages)
{
    return take_texts(destination, messages, 10000);
}

/* code 0: no server said it. */
SHARED void result_coded(uint64_t id, uint32_t n, enum queue_verdict verdict, uint16_t code,
                         const char *status)
{
    struct queue_result_recipient to = {.n = n,
                                        .verdict = (uint8_t)verdict,
                                        .code = code,
                                        .status = str_from_c(status),
                                        .text = STR("words of the server"),
                                        .stage = STR("RCPT")};
    struct queue_result q = {.message = id,
                             .at_ms = clock_real_ms(),
                             .host = STR("mx.elsewhere.example"),
                             .ip = STR("192.0.2.25"),
                             .tls = STR("none"),
                             .recipients = &to,
                             .count = 1};

    queue_put_result(start_args(), &q);
    assert_int_equal(run_verb(STORE_QUEUE_RESULT, &args, NULL), 0);
}

SHARED void result(uint64_t id, uint32_t n, enum queue_verdict verdict, const char *status)
{
    result_coded(id, n, verdict, verdict == QUEUE_DELIVERED ? 250 : 550, status);
}

SHARED void lay_down_untried(const char *destination, bool is_down, bool is_untried,
                             int64_t not_before_ms)
{
    char sql[200];
    (void)snprintf(sql, sizeof(sql),
                   "SELECT COALESCE(MAX(lease), 0) FROM destination WHERE name = '%s'",
                   destination);
    struct queue_closed d = {.name = str_from_c(destination),
                             .lease = (uint64_t)get_int(sql),
                             .is_down = is_down,
                             .is_untried = is_untried,
                             .not_before_ms = not_before_ms,
                             .status = STR("4.4.1"),
                             .why = STR("connection refused"),
                             .at_ms = clock_real_ms()};

    queue_put_closed(start_args(), &d);
    assert_int_equal(run_verb(STORE_QUEUE_CLOSE, &args, NULL), 0);
}

SHARED void lay_down(const char *destination, bool is_down)
{
    lay_down_untried(destination, is_down, false, 0);
}

/* Opens the one destination that must be due. */
SHARED void expect_open(const char *name)
{
    struct queue_opened o = open_due(10, 10);

    assert_int_equal(o.count, 1);
    assert_true(str_eq_c(o.destinations[0].name, name));
}
