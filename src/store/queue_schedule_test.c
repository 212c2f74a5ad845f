/*
 * Tests of mail that is scheduled, and of mail that is to be there in time, through the verbs of
 * the queue and on the test clock: what is released when and in which order, what administrators do
 * to it, who is told of what.
 */
#include "store/store_harness.h"

#include "store/queue_rows.h"
#include "store/queue_wire.h"

enum { MIN_MS = 60 * 1000, HOUR_MS = 60 * MIN_MS };

static char clock_path[] = "/tmp/hikyaku-schedule-clock-XXXXXX";
static struct arena arena;
static struct buf reply;

static int set_up_queue(void **state)
{
    int r = set_up(state);

    settings->queue_jitter = 0;
    buf_init(&reply, 1 << 20);
    arena_init(&arena, 16 << 20);
    assert_int_equal(run_texts(STORE_DOMAIN_ADD, "example.jp", NULL, NULL), 0);
    assert_int_equal(add_account("taro@example.jp"), 0);
    assert_int_equal(add_account("hanako@example.jp"), 0);
    return r;
}

static int tear_down_queue(void **state)
{
    /* What is counted in memory is what the rows are; and every body is used as often as it says.
     */
    assert_int_equal(store->queue_messages, get_int("SELECT COUNT(*) FROM queue"));
    assert_int_equal(store->queue_recipients, get_int("SELECT COUNT(*) FROM recipient"));
    assert_int_equal(
        get_int("SELECT COUNT(*) FROM body b WHERE refs <> (SELECT COUNT(*) FROM message m WHERE"
                " m.body = b.id) + (SELECT COUNT(*) FROM queue q WHERE q.body = b.id)"),
        0);
    arena_done(&arena);
    buf_done(&reply);
    return tear_down(state);
}

struct letter {
    const char *to[4]; /* local@domain */
    int64_t wait_ms;   /* until it may go; 0: now */
    int64_t by_ms;     /* from now */
    uint8_t by, notify, flags;
    int8_t priority;
};

static uint64_t send_letter(const struct letter *l)
{
    struct deliver_recipient to[4];
    int64_t now_ms = clock_real_ms();
    struct deliver_request q = {.message_id = id_make(&ids),
                                .received_ms = now_ms,
                                .sender = STR("sender@example.jp"),
                                .summary = STR("summary"),
                                .text = STR("Subject: s\r\n\r\ntext\r\n"),
                                .flags = l->flags,
                                .priority = l->priority,
                                .release_ms = l->wait_ms != 0 ? now_ms + l->wait_ms : 0,
                                .release_request = l->wait_ms != 0 ? STR("for;7200") : STR(""),
                                .deliver_by_ms = l->by != 0 ? now_ms + l->by_ms : 0,
                                .by = l->by,
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

/* Looks at ages until there is nothing more to look at. */
static void run_alarms(void)
{
    do
        assert_int_equal(run_verb(STORE_QUEUE_ALARMS, start_args(), &reply), 0);
    while (reply.ptr[0] != 0);
}

static struct queue_opened open_due(void)
{
    struct queue_opened opened;

    buf_put_u32(start_args(), 10);
    buf_put_u32(&args, 10);
    assert_int_equal(run_verb(STORE_QUEUE_OPEN, &args, &reply), 0);
    struct cursor c = cursor_from(arena_str(&arena, buf_str(&reply)));
    assert_int_equal(queue_get_opened(&c, &arena, &opened), 0);
    return opened;
}

static void expect_open(const char *name)
{
    struct queue_opened o = open_due();

    assert_int_equal(o.count, 1);
    assert_true(str_eq_c(o.destinations[0].name, name));
}

static struct queue_batch take(const char *destination)
{
    struct queue_batch batch;

    buf_put_lp(start_args(), str_from_c(destination));
    buf_put_u32(&args, 10);
    buf_put_u32(&args, 1000);
    buf_put_u32(&args, 0);
    assert_int_equal(run_verb(STORE_QUEUE_TAKE, &args, &reply), 0);
    struct cursor c = cursor_from(arena_str(&arena, buf_str(&reply)));
    assert_int_equal(queue_get_batch(&c, &arena, &batch), 0);
    return batch;
}

static void result(uint64_t id, uint32_t n, enum queue_verdict verdict, bool knows_deliver_by)
{
    bool is_good = verdict == QUEUE_DELIVERED;
    struct queue_result_recipient to = {.n = n,
                                        .verdict = (uint8_t)verdict,
                                        .code = is_good ? 250 : 450,
                                        .status = is_good ? STR("2.0.0") : STR("4.2.0"),
                                        .text = STR("words of the server")};
    struct queue_result q = {.message = id,
                             .at_ms = clock_real_ms(),
                             .host = STR("mx.elsewhere.example"),
                             .tls = STR("none"),
                             .knows_dsn = true,
                             .knows_deliver_by = knows_deliver_by,
                             .recipients = &to,
                             .count = 1};

    queue_put_result(start_args(), &q);
    assert_int_equal(run_verb(STORE_QUEUE_RESULT, &args, NULL), 0);
}

static void act(enum queue_action action, const struct queue_filter *filter, uint32_t expected)
{
    buf_put_u8(start_args(), (uint8_t)action);
    queue_put_filter(&args, filter);
    assert_int_equal(run_verb(STORE_QUEUE_ACT, &args, &reply), 0);
    struct cursor c = cursor_from(buf_str(&reply));
    assert_int_equal(cursor_u32(&c), expected);
}

static int64_t count_scheduled(void)
{
    return get_int("SELECT COUNT(*) FROM recipient WHERE state = 5");
}

static int64_t count_delivered(void)
{
    return get_int("SELECT COUNT(*) FROM message");
}

/* --- later --- */

static void scheduled_mail_waits_for_its_time(void **state)
{
    (void)state;
    uint64_t id = send_letter(&(struct letter){
        .to = {"taro@example.jp", "a@one.example", "b@two.example", "taro@example.jp"},
        .wait_ms = 2 * HOUR_MS});
    assert_int_equal(count_scheduled(), 3);
    clock_advance_ms(2 * HOUR_MS - MIN_MS);
    run_alarms();
    assert_int_equal(open_due().count, 0);
    assert_int_equal(count_delivered(), 0);
    assert_int_equal(take("one.example").count, 0);
    close_store();
    open_store();
    assert_int_equal(count_scheduled(), 3);
    clock_advance_ms(MIN_MS);
    assert_true(open_due().has_alarms);
    run_alarms();
    assert_int_equal(count_scheduled(), 0);
    assert_int_equal(count_delivered(), 1);
    assert_int_equal(open_due().count, 2);
    assert_int_equal(take("one.example").messages[0].id, id);
    assert_int_equal(take("two.example").count, 1);
    /* Numbers of recipients are not used twice: a late result would be about another. */
    assert_int_equal(get_int("SELECT MIN(n) FROM recipient"), 3);
    run_alarms();
    assert_int_equal(count_delivered(), 1);
}

static void mail_for_here_alone_leaves_no_row(void **state)
{
    (void)state;
    (void)send_letter(
        &(struct letter){.to = {"taro@example.jp", "hanako@example.jp"}, .wait_ms = HOUR_MS});
    assert_int_equal(get_int("SELECT COUNT(*) FROM destination"), 0);
    clock_advance_ms(HOUR_MS);
    run_alarms();
    assert_int_equal(count_delivered(), 2);
    assert_int_equal(get_int("SELECT COUNT(*) FROM queue"), 0);
    assert_int_equal(get_int("SELECT COUNT(*) FROM body"), 1);
    /* It is a new mail when it arrives. */
    assert_true(get_int("SELECT MIN(received) FROM message") >= clock_real_ms() - MIN_MS);
}

static void mail_is_released_in_the_order_of_its_times(void **state)
{
    (void)state;
    uint64_t third =
        send_letter(&(struct letter){.to = {"taro@example.jp"}, .wait_ms = 30 * MIN_MS});
    uint64_t first =
        send_letter(&(struct letter){.to = {"taro@example.jp"}, .wait_ms = 10 * MIN_MS});
    uint64_t second =
        send_letter(&(struct letter){.to = {"taro@example.jp"}, .wait_ms = 20 * MIN_MS});
    clock_advance_ms(HOUR_MS);
    run_alarms();
    assert_int_equal(get_int("SELECT body FROM message WHERE uid = 1"), first);
    assert_int_equal(get_int("SELECT body FROM message WHERE uid = 2"), second);
    assert_int_equal(get_int("SELECT body FROM message WHERE uid = 3"), third);
}

static void priorities_order_what_is_released_together(void **state)
{
    (void)state;
    (void)send_letter(&(struct letter){.to = {"x@big.example"}, .wait_ms = 10 * MIN_MS});
    uint64_t first = send_letter(&(struct letter){.to = {"y@big.example"},
                                                  .wait_ms = 20 * MIN_MS,
                                                  .priority = 4,
                                                  .flags = DELIVER_HAS_PRIORITY});
    clock_advance_ms(20 * MIN_MS);
    run_alarms();
    expect_open("big.example");
    struct queue_batch batch = take("big.example");
    assert_int_equal(batch.count, 2);
    assert_int_equal(batch.messages[0].id, first);
    assert_int_equal(batch.messages[0].priority, 4);
    assert_true((batch.messages[0].flags & DELIVER_HAS_PRIORITY) != 0);
}

static void steps_of_the_clock_release_once_and_not_too_early(void **state)
{
    (void)state;
    (void)send_letter(&(struct letter){.to = {"taro@example.jp"}, .wait_ms = HOUR_MS});
    clock_advance_ms(-24 * HOUR_MS);
    run_alarms();
    clock_advance_ms(24 * HOUR_MS + 30 * MIN_MS);
    run_alarms();
    assert_int_equal(count_delivered(), 0);
    clock_advance_ms(48 * HOUR_MS);
    run_alarms();
    assert_int_equal(count_delivered(), 1);
    clock_advance_ms(-72 * HOUR_MS);
    run_alarms();
    clock_advance_ms(72 * HOUR_MS);
    run_alarms();
    assert_int_equal(count_delivered(), 1);
}

static void ages_count_from_the_release(void **state)
{
    (void)state;
    const int64_t wait_ms = settings->queue_lifetime + HOUR_MS;

    (void)send_letter(&(struct letter){.to = {"a@down.example"}, .wait_ms = wait_ms});
    clock_advance_ms(wait_ms);
    run_alarms();
    assert_int_equal(get_int("SELECT COUNT(*) FROM recipient WHERE state = 0 AND report = 0"), 1);
    clock_advance_ms(settings->queue_warn_after - MIN_MS);
    run_alarms();
    assert_int_equal(get_int("SELECT COUNT(*) FROM recipient WHERE report <> 0"), 0);
    clock_advance_ms(MIN_MS);
    run_alarms();
    assert_int_equal(get_int("SELECT COUNT(*) FROM recipient WHERE report = 2"), 1);
    clock_advance_ms(settings->queue_lifetime - settings->queue_warn_after - MIN_MS);
    run_alarms();
    assert_int_equal(get_int("SELECT COUNT(*) FROM recipient WHERE state = 0"), 1);
    clock_advance_ms(MIN_MS);
    run_alarms();
    assert_int_equal(get_int("SELECT COUNT(*) FROM recipient WHERE state = 4 AND status = '4.4.7'"),
                     1);
}

static void the_directory_counts_as_it_is_at_the_release(void **state)
{
    (void)state;
    (void)send_letter(
        &(struct letter){.to = {"taro@example.jp", "hanako@example.jp"}, .wait_ms = HOUR_MS});
    buf_put_lp(start_args(), STR("taro@example.jp"));
    buf_put_u8(&args, 1);
    assert_int_equal(run_verb(STORE_ACCOUNT_REMOVE, &args, NULL), 0);
    buf_put_lp(start_args(), STR("later@example.jp"));
    buf_put_u32(&args, 1);
    buf_put_lp(&args, STR("x@elsewhere.example"));
    assert_int_equal(run_verb(STORE_ALIAS_ADD, &args, NULL), 0);
    (void)send_letter(&(struct letter){.to = {"later@example.jp"}, .wait_ms = HOUR_MS});
    clock_advance_ms(HOUR_MS);
    run_alarms();
    assert_int_equal(count_delivered(), 1);
    assert_int_equal(get_int("SELECT COUNT(*) FROM recipient WHERE address = 'taro@example.jp' AND"
                             " state = 4 AND report = 1 AND status = '5.1.1'"),
                     1);
    assert_int_equal(get_int("SELECT COUNT(*) FROM recipient WHERE state = 0 AND"
                             " address = 'x@elsewhere.example'"),
                     1);
}

static void new_routes_leave_what_is_scheduled_alone(void **state)
{
    (void)state;
    (void)send_letter(
        &(struct letter){.to = {"taro@example.jp", "a@one.example"}, .wait_ms = HOUR_MS});
    buf_put_u64(start_args(), 0);
    buf_put_u32(&args, 0);
    assert_int_equal(run_verb(STORE_QUEUE_REROUTE, &args, &reply), 0);
    assert_int_equal(count_scheduled(), 2);
    assert_int_equal(get_int("SELECT COUNT(*) FROM destination"), 0);
}

static void bare_postmaster_can_wait(void **state)
{
    struct deliver_recipient to = {.local = STR("postmaster"), .domain = STR("")};
    struct deliver_request q = {.message_id = id_make(&ids),
                                .received_ms = clock_real_ms(),
                                .sender = STR("sender@example.jp"),
                                .text = STR("Subject: s\r\n\r\ntext\r\n"),
                                .release_ms = clock_real_ms() + HOUR_MS,
                                .recipients = &to,
                                .recipient_count = 1};

    (void)state;
    wire_put_deliver(start_args(), &q);
    assert_int_equal(run_verb(STORE_DELIVER, &args, NULL), 0);
    clock_advance_ms(HOUR_MS);
    run_alarms();
    assert_int_equal(count_delivered(), 1);
}

static void unknown_users_cannot_be_scheduled_for(void **state)
{
    struct deliver_recipient to = {.local = STR("nobody"), .domain = STR("example.jp")};
    struct deliver_request q = {.message_id = id_make(&ids),
                                .received_ms = clock_real_ms(),
                                .sender = STR("sender@example.jp"),
                                .text = STR("text"),
                                .release_ms = clock_real_ms() + HOUR_MS,
                                .recipients = &to,
                                .recipient_count = 1};

    (void)state;
    wire_put_deliver(start_args(), &q);
    assert_int_equal(run_verb(STORE_DELIVER, &args, NULL), -ENOENT);
    assert_int_equal(get_int("SELECT COUNT(*) FROM queue"), 0);
}

static void a_time_that_is_over_is_now(void **state)
{
    (void)state;
    (void)send_letter(&(struct letter){.to = {"taro@example.jp"}, .wait_ms = -1});
    assert_int_equal(count_delivered(), 1);
}

/* --- administrators --- */

static void administrators_send_now_or_cancel(void **state)
{
    (void)state;
    uint64_t id = send_letter(&(struct letter){
        .to = {"taro@example.jp", "hanako@example.jp", "a@one.example"}, .wait_ms = HOUR_MS});
    struct queue_filter taro = {.id = id, .recipient = STR("taro@example.jp")},
                        hanako = {.id = id, .recipient = STR("hanako@example.jp")},
                        all = {.id = id}, scheduled = {.state_plus_1 = QUEUE_SCHEDULED + 1};

    act(QUEUE_ACT_RETRY, &all, 0);
    act(QUEUE_ACT_RELEASE, &taro, 1);
    assert_int_equal(count_delivered(), 1);
    assert_int_equal(count_scheduled(), 2);
    act(QUEUE_ACT_CANCEL, &hanako, 1);
    assert_int_equal(count_scheduled(), 1);
    clock_advance_ms(HOUR_MS);
    run_alarms();
    assert_int_equal(count_delivered(), 1);
    assert_int_equal(get_int("SELECT COUNT(*) FROM recipient WHERE state = 0"), 1);
    /* What is not scheduled any more cannot be cancelled. */
    act(QUEUE_ACT_CANCEL, &all, 0);
    act(QUEUE_ACT_DROP, &scheduled, 0);
    act(QUEUE_ACT_DROP, &all, 1);
}

static void what_was_released_early_is_warned_about_in_its_time(void **state)
{
    (void)state;
    uint64_t id = send_letter(&(struct letter){.to = {"a@one.example"}, .wait_ms = 240 * HOUR_MS});
    struct queue_filter all = {.id = id};

    act(QUEUE_ACT_RELEASE, &all, 1);
    clock_advance_ms(settings->queue_warn_after);
    run_alarms();
    assert_int_equal(get_int("SELECT COUNT(*) FROM recipient WHERE report = 2"), 1);
}

static void the_end_of_one_recipient_does_not_delay_another(void **state)
{
    (void)state;
    const int64_t wait_ms = settings->queue_lifetime + 10 * MIN_MS;
    uint64_t id = send_letter(
        &(struct letter){.to = {"a@down.example", "taro@example.jp"}, .wait_ms = wait_ms});
    struct queue_filter early = {.id = id, .recipient = STR("a@down.example")};

    act(QUEUE_ACT_RELEASE, &early, 1);
    clock_advance_ms(settings->queue_lifetime + 1000);
    run_alarms();
    assert_int_equal(get_int("SELECT COUNT(*) FROM recipient WHERE state = 4"), 1);
    clock_advance_ms(10 * MIN_MS);
    run_alarms();
    assert_int_equal(count_delivered(), 1);
}

static void what_an_administrator_holds_waits_for_him(void **state)
{
    (void)state;
    uint64_t id = send_letter(
        &(struct letter){.to = {"taro@example.jp", "hanako@example.jp"}, .wait_ms = HOUR_MS});
    struct queue_filter taro = {.id = id, .recipient = STR("taro@example.jp")}, all = {.id = id};

    act(QUEUE_ACT_HOLD, &taro, 1);
    act(QUEUE_ACT_HOLD, &taro, 0);
    clock_advance_ms(HOUR_MS);
    run_alarms();
    assert_int_equal(count_delivered(), 1);
    clock_advance_ms(2 * settings->queue_lifetime);
    run_alarms();
    assert_int_equal(count_scheduled(), 1);
    assert_false(open_due().has_alarms);
    act(QUEUE_ACT_RELEASE, &all, 1);
    assert_int_equal(count_delivered(), 2);
    assert_int_equal(get_int("SELECT COUNT(*) FROM queue"), 0);
}

static void what_is_scheduled_is_listed_with_its_times(void **state)
{
    struct queue_filter scheduled = {.state_plus_1 = QUEUE_SCHEDULED + 1};
    struct queue_row row;

    (void)state;
    (void)send_letter(&(struct letter){.to = {"a@one.example"}});
    int64_t now_ms = clock_real_ms();
    (void)send_letter(&(struct letter){.to = {"taro@example.jp"},
                                       .wait_ms = HOUR_MS,
                                       .by_ms = 2 * HOUR_MS,
                                       .by = DELIVER_BY_RETURN | DELIVER_BY_TRACE});
    queue_put_filter(start_args(), &scheduled);
    buf_put_u32(&args, 10);
    assert_int_equal(run_verb(STORE_QUEUE_LIST, &args, &reply), 0);
    struct cursor c = cursor_from(buf_str(&reply));
    (void)cursor_u8(&c);
    assert_int_equal(queue_next_row(&c, &row), 1);
    assert_in_range(row.release_ms, now_ms + HOUR_MS, now_ms + HOUR_MS + MIN_MS);
    assert_int_equal(row.due_ms, row.release_ms);
    assert_int_equal(row.deliver_by_ms, row.release_ms + HOUR_MS);
    assert_int_equal(row.by, DELIVER_BY_RETURN | DELIVER_BY_TRACE);
    assert_true(str_eq_c(row.destination, "example.jp"));
    assert_int_equal(queue_next_row(&c, &row), 0);
}

/* --- in time --- */

static void late_mail_of_mode_r_is_returned(void **state)
{
    (void)state;
    struct letter letter = {
        .to = {"a@one.example", "b@one.example"}, .by_ms = 10 * MIN_MS, .by = DELIVER_BY_RETURN};

    uint64_t id = send_letter(&letter);
    expect_open("one.example");
    struct queue_batch batch = take("one.example");
    assert_int_equal(batch.messages[0].by, DELIVER_BY_RETURN);
    assert_true(batch.messages[0].deliver_by_ms > 0);
    result(id, 0, QUEUE_DEFER, false);
    clock_advance_ms(10 * MIN_MS - 1000);
    run_alarms();
    assert_int_equal(get_int("SELECT COUNT(*) FROM recipient WHERE report <> 0"), 0);
    clock_advance_ms(1000);
    run_alarms();
    assert_int_equal(get_int("SELECT COUNT(*) FROM recipient WHERE n = 0 AND state = 4 AND"
                             " report = 1 AND status = '5.4.7' AND remote = '' AND"
                             " reply LIKE '%deliver-by%; last: words of the server'"),
                     1);
    /* What is on its way right now may arrive; if it does not, it is not tried again. */
    assert_int_equal(get_int("SELECT COUNT(*) FROM recipient WHERE n = 1 AND state = 2"), 1);
    result(id, 1, QUEUE_DEFER, false);
    assert_int_equal(get_int("SELECT COUNT(*) FROM recipient WHERE state = 4 AND"
                             " status = '5.4.7'"),
                     2);
}

static void late_mail_of_mode_n_is_told_of_and_goes_on(void **state)
{
    (void)state;
    struct letter letter = {.to = {"a@one.example"},
                            .by_ms = 10 * MIN_MS,
                            .by = DELIVER_BY_NOTIFY,
                            .notify = DELIVER_NOTIFY_FAILURE};

    uint64_t id = send_letter(&letter);
    clock_advance_ms(10 * MIN_MS - 1000);
    run_alarms();
    assert_int_equal(get_int("SELECT COUNT(*) FROM recipient WHERE report <> 0"), 0);
    clock_advance_ms(1000);
    run_alarms();
    assert_int_equal(get_int("SELECT COUNT(*) FROM recipient WHERE state = 0 AND report = 2 AND"
                             " status = '4.4.7' AND reply LIKE '%deliver-by%'"),
                     1);
    buf_put_u64(start_args(), id);
    buf_put_u32(&args, 1);
    buf_put_u32(&args, 0);
    buf_put_u8(&args, QUEUE_REPORT_DELAYED);
    buf_put_u8(&args, 0);
    assert_int_equal(run_verb(STORE_QUEUE_REPORT, &args, NULL), 0);
    clock_advance_ms(MIN_MS);
    run_alarms();
    assert_int_equal(get_int("SELECT COUNT(*) FROM recipient WHERE report = 0 AND state = 0"), 1);
    expect_open("one.example");
    assert_int_equal(take("one.example").count, 1);
    result(id, 0, QUEUE_DELIVERED, true);
    assert_int_equal(get_int("SELECT COUNT(*) FROM queue"), 0);
}

/* The attempt that is due at the same time ends before the notice is written. */
static void what_is_told_of_late_mail_is_not_its_next_answer(void **state)
{
    (void)state;
    uint64_t id = send_letter(
        &(struct letter){.to = {"a@one.example"}, .by_ms = 10 * MIN_MS, .by = DELIVER_BY_NOTIFY});
    clock_advance_ms(10 * MIN_MS);
    run_alarms();
    expect_open("one.example");
    assert_int_equal(take("one.example").count, 1);
    result(id, 0, QUEUE_DEFER, false);
    assert_int_equal(get_int("SELECT COUNT(*) FROM recipient WHERE state = 1 AND report = 2 AND"
                             " status = '4.4.7' AND remote = '' AND reply LIKE '%deliver-by%'"),
                     1);
}

static void late_mail_that_is_relayed_before_it_is_told_is_told_of(void **state)
{
    (void)state;
    uint64_t id = send_letter(
        &(struct letter){.to = {"a@one.example"}, .by_ms = 10 * MIN_MS, .by = DELIVER_BY_NOTIFY});
    clock_advance_ms(10 * MIN_MS);
    run_alarms();
    expect_open("one.example");
    assert_int_equal(take("one.example").count, 1);
    result(id, 0, QUEUE_DELIVERED, true);
    assert_int_equal(get_int("SELECT COUNT(*) FROM recipient WHERE state = 4 AND report = 2 AND"
                             " status = '4.4.7'"),
                     1);
    buf_put_u64(start_args(), id);
    buf_put_u32(&args, 1);
    buf_put_u32(&args, 0);
    buf_put_u8(&args, QUEUE_REPORT_DELAYED);
    buf_put_u8(&args, 0);
    assert_int_equal(run_verb(STORE_QUEUE_REPORT, &args, NULL), 0);
    assert_int_equal(get_int("SELECT COUNT(*) FROM queue"), 0);
}

static void what_was_late_ends_as_other_mail(void **state)
{
    (void)state;
    (void)send_letter(
        &(struct letter){.to = {"a@one.example"}, .by_ms = MIN_MS, .by = DELIVER_BY_NOTIFY});
    clock_advance_ms(MIN_MS);
    run_alarms();
    clock_advance_ms(settings->queue_lifetime);
    run_alarms();
    assert_int_equal(get_int("SELECT COUNT(*) FROM recipient WHERE state = 4 AND report = 1 AND"
                             " status = '4.4.7' AND reply NOT LIKE '%deliver-by%'"),
                     1);
}

static void who_wants_to_hear_nothing_hears_nothing(void **state)
{
    (void)state;
    (void)send_letter(&(struct letter){.to = {"a@one.example"},
                                       .by_ms = 10 * MIN_MS,
                                       .by = DELIVER_BY_NOTIFY,
                                       .notify = DELIVER_NOTIFY_NEVER});
    (void)send_letter(&(struct letter){.to = {"a@two.example"},
                                       .by_ms = 10 * MIN_MS,
                                       .by = DELIVER_BY_RETURN,
                                       .notify = DELIVER_NOTIFY_NEVER});
    clock_advance_ms(10 * MIN_MS);
    run_alarms();
    assert_int_equal(get_int("SELECT COUNT(*) FROM recipient WHERE report <> 0"), 0);
    assert_int_equal(get_int("SELECT COUNT(*) FROM recipient"), 1);
}

static void a_time_that_was_over_already_is_told_at_once(void **state)
{
    (void)state;
    (void)send_letter(
        &(struct letter){.to = {"a@one.example"}, .by_ms = -MIN_MS, .by = DELIVER_BY_NOTIFY});
    assert_true(open_due().has_alarms);
    run_alarms();
    assert_int_equal(get_int("SELECT COUNT(*) FROM recipient WHERE report = 2"), 1);
}

static void hops_that_keep_no_time_are_told_of(void **state)
{
    static const struct {
        uint8_t by, notify;
        bool knows_deliver_by, is_told;
    } cases[] = {
        {DELIVER_BY_NOTIFY, 0, false, true},
        {DELIVER_BY_NOTIFY, 0, true, false},
        {DELIVER_BY_NOTIFY, DELIVER_NOTIFY_FAILURE, false, true},
        {DELIVER_BY_NOTIFY, DELIVER_NOTIFY_NEVER, false, false},
        {DELIVER_BY_NOTIFY | DELIVER_BY_TRACE, 0, true, true},
        {DELIVER_BY_RETURN | DELIVER_BY_TRACE, 0, true, true},
        {DELIVER_BY_RETURN, 0, true, false},
        {0, 0, false, false},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct letter letter = {.to = {"a@one.example"},
                                .by_ms = HOUR_MS,
                                .by = cases[i].by,
                                .notify = cases[i].notify};
        int64_t before = get_int("SELECT COUNT(*) FROM recipient WHERE report = 4");
        uint64_t id = send_letter(&letter);
        (void)open_due();
        assert_int_equal(take("one.example").count, 1);
        result(id, 0, QUEUE_DELIVERED, cases[i].knows_deliver_by);
        assert_int_equal(get_int("SELECT COUNT(*) FROM recipient WHERE report = 4") - before,
                         cases[i].is_told);
    }
}

static void scheduled_mail_that_is_too_late_when_it_is_released_is_returned(void **state)
{
    (void)state;
    uint64_t id = send_letter(&(struct letter){.to = {"taro@example.jp"},
                                               .wait_ms = HOUR_MS,
                                               .by_ms = 2 * HOUR_MS,
                                               .by = DELIVER_BY_RETURN});
    struct queue_filter all = {.id = id};

    act(QUEUE_ACT_HOLD, &all, 1);
    clock_advance_ms(3 * HOUR_MS);
    run_alarms();
    assert_int_equal(count_scheduled(), 1);
    act(QUEUE_ACT_RELEASE, &all, 1);
    assert_int_equal(count_delivered(), 0);
    assert_int_equal(get_int("SELECT COUNT(*) FROM recipient WHERE state = 4 AND report = 1 AND"
                             " status = '5.4.7'"),
                     1);
}

static void notices_know_what_was_asked_for(void **state)
{
    struct queue_report_message m;

    (void)state;
    (void)send_letter(&(struct letter){.to = {"a@one.example"},
                                       .wait_ms = HOUR_MS,
                                       .by_ms = 2 * HOUR_MS,
                                       .by = DELIVER_BY_RETURN,
                                       .priority = 3,
                                       .flags = DELIVER_HAS_PRIORITY});
    clock_advance_ms(HOUR_MS);
    run_alarms();
    clock_advance_ms(HOUR_MS);
    run_alarms();
    assert_int_equal(run_verb(STORE_QUEUE_REPORTS, start_args(), &reply), 0);
    struct cursor c = cursor_from(arena_str(&arena, buf_str(&reply)));
    assert_int_equal(queue_next_report(&c, &arena, &m), 1);
    assert_true(str_eq_c(m.release_request, "for;7200"));
    assert_int_equal(m.by, DELIVER_BY_RETURN);
    assert_true(m.deliver_by_ms > 0);
    assert_int_equal(m.priority, 3);
    assert_true(str_eq_c(m.recipients[0].status, "5.4.7"));
}

#define SCHEDULE_TEST(f) cmocka_unit_test_setup_teardown(f, set_up_queue, tear_down_queue)

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
    buf_done(&args);
    return unlink(clock_path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCHEDULE_TEST(scheduled_mail_waits_for_its_time),
        SCHEDULE_TEST(mail_for_here_alone_leaves_no_row),
        SCHEDULE_TEST(mail_is_released_in_the_order_of_its_times),
        SCHEDULE_TEST(priorities_order_what_is_released_together),
        SCHEDULE_TEST(steps_of_the_clock_release_once_and_not_too_early),
        SCHEDULE_TEST(ages_count_from_the_release),
        SCHEDULE_TEST(the_directory_counts_as_it_is_at_the_release),
        SCHEDULE_TEST(new_routes_leave_what_is_scheduled_alone),
        SCHEDULE_TEST(bare_postmaster_can_wait),
        SCHEDULE_TEST(unknown_users_cannot_be_scheduled_for),
        SCHEDULE_TEST(a_time_that_is_over_is_now),
        SCHEDULE_TEST(administrators_send_now_or_cancel),
        SCHEDULE_TEST(what_was_released_early_is_warned_about_in_its_time),
        SCHEDULE_TEST(the_end_of_one_recipient_does_not_delay_another),
        SCHEDULE_TEST(what_an_administrator_holds_waits_for_him),
        SCHEDULE_TEST(what_is_scheduled_is_listed_with_its_times),
        SCHEDULE_TEST(late_mail_of_mode_r_is_returned),
        SCHEDULE_TEST(late_mail_of_mode_n_is_told_of_and_goes_on),
        SCHEDULE_TEST(what_is_told_of_late_mail_is_not_its_next_answer),
        SCHEDULE_TEST(late_mail_that_is_relayed_before_it_is_told_is_told_of),
        SCHEDULE_TEST(what_was_late_ends_as_other_mail),
        SCHEDULE_TEST(who_wants_to_hear_nothing_hears_nothing),
        SCHEDULE_TEST(a_time_that_was_over_already_is_told_at_once),
        SCHEDULE_TEST(hops_that_keep_no_time_are_told_of),
        SCHEDULE_TEST(scheduled_mail_that_is_too_late_when_it_is_released_is_returned),
        SCHEDULE_TEST(notices_know_what_was_asked_for),
    };
    return cmocka_run_group_tests_name("schedule", tests, use_clock, remove_clock);
}
