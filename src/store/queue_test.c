/*
 * Tests of the queue through its verbs: what is taken in which order, what a result does to a row,
 * what a destination that is down costs, what is given back after a crash, who is told. Time is
 * the test clock.
 */
#include "store/queue_harness.h"

#include <fcntl.h>

#include "rt/rpc.h"
#include "store/fair.h"
#include "store/queue_rows.h"

static void a_letter_is_taken_and_leaves_nothing(void **state)
{
    (void)state;
    uint64_t id = send_one("hanako@elsewhere.example");
    expect_open("elsewhere.example");
    assert_int_equal(open_due(10, 10).count, 0);
    struct queue_batch batch = take("elsewhere.example", 10);
    assert_int_equal(batch.count, 1);
    assert_false(batch.has_more);
    assert_int_equal(batch.messages[0].id, id);
    assert_true(str_eq_c(batch.messages[0].sender, "taro@example.jp"));
    assert_int_equal(batch.messages[0].bytes, 20); /* without what is for mailboxes */
    assert_true(str_eq_c(batch.messages[0].recipients[0].address, "hanako@elsewhere.example"));
    assert_true(str_eq_c(batch.messages[0].text, "Subject: s\r\n\r\ntext\r\n"));
    assert_int_equal(take("elsewhere.example", 10).count, 0);
    buf_put_u64(start_args(), id);
    buf_put_u64(&args, 0);
    buf_put_u32(&args, 1000);
    assert_int_equal(run_verb(STORE_QUEUE_READ, &args, &reply), 0);
    assert_memory_equal(reply.ptr + 8, "Subject: s\r\n\r\ntext\r\n", 20);
    result(id, 0, QUEUE_DELIVERED, "2.0.0");
    lay_down("elsewhere.example", false);
    assert_int_equal(get_int("SELECT COUNT(*) FROM queue"), 0);
    assert_int_equal(get_int("SELECT COUNT(*) FROM recipient"), 0);
    assert_int_equal(get_int("SELECT COUNT(*) FROM destination"), 0);
    assert_int_equal(get_int("SELECT COUNT(*) FROM body"), 0);
    /* Said again, because the answer was lost: nothing. */
    result(id, 0, QUEUE_DELIVERED, "2.0.0");
    lay_down("elsewhere.example", false);
}

static void recipients_at_one_destination_go_together(void **state)
{
    (void)state;
    (void)send_letter(&(struct letter){.sender = "taro@example.jp",
                                       .to = {"a@elsewhere.example", "b@other.example",
                                              "c@elsewhere.example", "taro@example.jp"}});
    assert_int_equal(open_due(10, 10).count, 2);
    struct queue_batch batch = take("elsewhere.example", 10);
    assert_int_equal(batch.count, 1);
    assert_int_equal(batch.messages[0].count, 2);
    assert_int_equal(take("other.example", 10).messages[0].count, 1);
    assert_int_equal(get_int("SELECT COUNT(*) FROM message"), 1);
}

static void a_letter_comes_before_a_bulk_that_came_first(void **state)
{
    (void)state;
    for (int i = 0; i < 50; i++)
        (void)send_letter(&(struct letter){.sender = "bulk@example.jp", .to = {"x@big.example"}});
    clock_advance_ms(100);
    uint64_t letter = send_one("y@big.example");
    expect_open("big.example");
    /* Far more than the letter needs, so that a slow machine does not matter. */
    struct queue_batch batch = take("big.example", 40);
    bool is_early = false;
    for (size_t i = 0; i < batch.count; i++)
        is_early |= batch.messages[i].id == letter;
    assert_true(is_early);
    assert_true(batch.has_more);
}

static void priorities_order_what_waits(void **state)
{
    (void)state;
    uint64_t last = send_letter(
        &(struct letter){.sender = "a@example.jp", .to = {"x@big.example"}, .priority = -3});
    (void)send_letter(&(struct letter){.sender = "b@example.jp", .to = {"x@big.example"}});
    uint64_t first = send_letter(
        &(struct letter){.sender = "c@example.jp", .to = {"x@big.example"}, .priority = 3});
    expect_open("big.example");
    struct queue_batch batch = take("big.example", 10);
    assert_int_equal(batch.count, 3);
    assert_int_equal(batch.messages[0].id, first);
    assert_int_equal(batch.messages[2].id, last);
}

static void a_deferral_comes_back_in_its_time(void **state)
{
    static const int64_t pauses_min[] = {5, 10, 15, 30, 60, 120, 240, 240, 240};

    (void)state;
    settings->queue_warn_after = 0;
    uint64_t id = send_one("hanako@elsewhere.example");
    for (size_t i = 0; i < ARRAY_LEN(pauses_min); i++) {
        expect_open("elsewhere.example");
        assert_int_equal(take("elsewhere.example", 10).count, 1);
        result(id, 0, QUEUE_DEFER, "4.2.0");
        lay_down("elsewhere.example", false);
        clock_advance_ms(pauses_min[i] * 60000 - 5000);
        assert_int_equal(open_due(10, 10).count, 0);
        clock_advance_ms(5000);
    }
    expect_open("elsewhere.example");
}

static void what_waits_for_a_destination_that_is_down_is_not_touched(void **state)
{
    (void)state;
    for (int i = 0; i < 200; i++)
        (void)send_one("x@down.example");
    for (int attempt = 0; attempt < 3; attempt++) {
        expect_open("down.example");
        lay_down("down.example", true);
        assert_int_equal(get_int("SELECT COUNT(*) FROM recipient WHERE state = 0"), 200);
        assert_int_equal(get_int("SELECT SUM(attempts) FROM recipient"), 0);
        clock_advance_ms(30 * 60000);
    }
    /* New mail may ask again before the long pause is over, not before the short one. */
    expect_open("down.example");
    lay_down("down.example", true);
    clock_advance_ms(4 * 60000);
    (void)send_one("y@down.example");
    assert_int_equal(open_due(10, 10).count, 0);
    clock_advance_ms(60001);
    expect_open("down.example");
    lay_down("down.example", false);
    assert_int_equal(get_int("SELECT failures FROM destination"), 0);
    expect_open("down.example");
}

static void down_destinations_do_not_crowd_out_the_others(void **state)
{
    char name[64];

    (void)state;
    for (int i = 0; i < 100; i++) {
        (void)snprintf(name, sizeof(name), "x@down%d.example", i);
        (void)send_one(name);
    }
    while (open_due(50, 50).count > 0)
        continue;
    for (int i = 0; i < 100; i++) {
        (void)snprintf(name, sizeof(name), "down%d.example", i);
        lay_down(name, true);
    }
    clock_advance_ms(10 * 60000);
    (void)send_one("x@up.example");
    struct queue_opened o = open_due(10, 5);
    assert_int_equal(o.count, 6);
    assert_true(str_eq_c(o.destinations[5].name, "up.example"));
    /* What has waited comes in the order of its mail, not of its own time. */
    for (size_t i = 0; i < 5; i++)
        assert_true(o.destinations[i].place < o.destinations[5].place);
}

static void a_failure_is_reported_once(void **state)
{
    struct queue_report_message m;

    (void)state;
    uint64_t id = send_one("nobody@elsewhere.example");
    expect_open("elsewhere.example");
    (void)take("elsewhere.example", 10);
    result(id, 0, QUEUE_FAIL, "5.1.1");
    assert_int_equal(run_verb(STORE_QUEUE_REPORTS, start_args(), &reply), 0);
    struct cursor c = cursor_from(arena_str(&arena, buf_str(&reply)));
    assert_int_equal(queue_next_report(&c, &arena, &m), 1);
    assert_int_equal(m.id, id);
    assert_true(str_eq_c(m.recipients[0].reply, "words of the server"));
    assert_true(m.recipients[0].is_remote_words);
    assert_true(str_eq_c(m.recipients[0].remote, "mx.elsewhere.example"));
    for (int i = 0; i < 2; i++) {
        struct deliver_recipient to = {.local = STR("taro"), .domain = STR("example.jp")};
        struct deliver_request notice = {.message_id = id_make(&ids),
                                         .received_ms = clock_real_ms(),
                                         .flags = DELIVER_NOTICE,
                                         .summary = STR("s"),
                                         .text = STR("notice"),
                                         .recipients = &to,
                                         .recipient_count = 1};
        buf_put_u64(start_args(), id);
        buf_put_u32(&args, 1);
        buf_put_u32(&args, 0);
        buf_put_u8(&args, QUEUE_REPORT_FAILED);
        buf_put_u8(&args, 1);
        wire_put_deliver(&args, &notice);
        assert_int_equal(run_verb(STORE_QUEUE_REPORT, &args, NULL), 0);
        assert_int_equal(get_int("SELECT COUNT(*) FROM message"), 1);
    }
    assert_int_equal(get_int("SELECT COUNT(*) FROM queue"), 0);
}

static void who_wants_to_hear_hears(void **state)
{
    static const struct {
        const char *sender;
        uint8_t notify, flags;
        enum queue_report report;
        bool is_wanted;
    } cases[] = {
        {"a@b", 0, 0, QUEUE_REPORT_FAILED, true},
        {"a@b", 0, 0, QUEUE_REPORT_DELAYED, true},
        {"a@b", 0, 0, QUEUE_REPORT_RELAYED, false},
        {"a@b", DELIVER_NOTIFY_NEVER, 0, QUEUE_REPORT_FAILED, false},
        {"a@b", DELIVER_NOTIFY_SUCCESS, 0, QUEUE_REPORT_RELAYED, true},
        {"a@b", DELIVER_NOTIFY_SUCCESS, 0, QUEUE_REPORT_FAILED, false},
        {"a@b", DELIVER_NOTIFY_FAILURE, 0, QUEUE_REPORT_FAILED, true},
        {"a@b", DELIVER_NOTIFY_FAILURE, 0, QUEUE_REPORT_DELAYED, false},
        {"a@b", DELIVER_NOTIFY_DELAY, 0, QUEUE_REPORT_DELAYED, true},
        {"", 0, 0, QUEUE_REPORT_FAILED, false},
        {"", DELIVER_NOTIFY_SUCCESS, 0, QUEUE_REPORT_DELIVERED, false},
        {"", 0, DELIVER_NOTICE, QUEUE_REPORT_FAILED, true},
        {"", 0, DELIVER_NOTICE, QUEUE_REPORT_DELAYED, false},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_int_equal(queue_wants_report(str_from_c(cases[i].sender), cases[i].flags,
                                            cases[i].notify, cases[i].report),
                         cases[i].is_wanted);
}

static void age_warns_once_and_then_ends(void **state)
{
    (void)state;
    (void)send_one("x@down.example");
    expect_open("down.example");
    lay_down("down.example", true);
    clock_advance_ms(settings->queue_warn_after + 1000);
    assert_true(open_due(0, 0).has_alarms);
    assert_int_equal(run_verb(STORE_QUEUE_ALARMS, start_args(), NULL), 0);
    assert_int_equal(get_int("SELECT COUNT(*) FROM recipient WHERE report = 2 AND state = 0 AND"
                             " reply = 'connection refused'"),
                     1);
    assert_false(open_due(0, 0).has_alarms);
    clock_advance_ms(settings->queue_lifetime);
    assert_int_equal(run_verb(STORE_QUEUE_ALARMS, start_args(), NULL), 0);
    assert_int_equal(get_int("SELECT COUNT(*) FROM recipient WHERE report = 1 AND state = 4 AND"
                             " status = '4.4.7'"),
                     1);
}

static void a_new_worker_gets_what_the_old_one_held(void **state)
{
    (void)state;
    (void)send_one("a@one.example");
    (void)send_one("a@two.example");
    assert_int_equal(open_due(10, 10).count, 2);
    assert_int_equal(take("one.example", 10).count, 1);
    assert_int_equal(take("two.example", 10).count, 1);
    /* The worker has a new channel and still holds one of them. */
    buf_put_lp(start_args(), STR("two.example"));
    assert_int_equal(run_verb(STORE_QUEUE_BEGIN, &args, NULL), 0);
    expect_open("one.example");
    assert_int_equal(take("one.example", 10).count, 1);
    assert_int_equal(take("two.example", 10).count, 0);
    assert_int_equal(run_verb(STORE_QUEUE_BEGIN, start_args(), NULL), 0);
    assert_int_equal(open_due(10, 10).count, 2);
    assert_int_equal(take("two.example", 10).count, 1);
}

static uint64_t id_of_newest(void)
{
    return (uint64_t)get_int("SELECT MAX(id) FROM queue");
}

static void hard_bounces_suppress_an_address(void **state)
{
    (void)state;
    settings->queue_suppress_after = 2;
    for (int i = 0; i < 2; i++) {
        buf_put_lp(start_args(), STR("nobody"));
        buf_put_lp(&args, STR("elsewhere.example"));
        assert_int_equal(run_verb(STORE_RECIPIENT_CHECK, &args, &reply), 0);
        assert_int_equal(reply.ptr[0], RECIPIENT_REMOTE);
        uint64_t id = send_one(i == 0 ? "nobody@elsewhere.example" : "Nobody@elsewhere.example");
        expect_open("elsewhere.example");
        (void)take("elsewhere.example", 10);
        result(id, 0, QUEUE_FAIL, "5.1.1");
        lay_down("elsewhere.example", false);
    }
    buf_put_lp(start_args(), STR("NOBODY"));
    buf_put_lp(&args, STR("elsewhere.example"));
    assert_int_equal(run_verb(STORE_RECIPIENT_CHECK, &args, &reply), 0);
    assert_int_equal(reply.ptr[0], RECIPIENT_SUPPRESSED);
    /* Mail that is taken all the same (an alias leads there) is not sent but reported. */
    (void)send_one("nobody@elsewhere.example");
    assert_int_equal(open_due(10, 10).count, 0);
    assert_int_equal(run_texts(STORE_SUPPRESSION_REMOVE, "nobody@elsewhere.example", NULL, &reply),
                     0);
    assert_int_equal(reply.ptr[0], 1);
    (void)send_one("nobody@elsewhere.example");
    expect_open("elsewhere.example");
    (void)take("elsewhere.example", 10);
    result(id_of_newest(), 0, QUEUE_FAIL, "5.1.1");
    assert_int_equal(get_int("SELECT failures FROM suppression"), 1);
    clock_advance_ms(settings->queue_suppress_for + 1000);
    assert_int_equal(run_verb(STORE_MAINTAIN, start_args(), NULL), 0);
    assert_int_equal(get_int("SELECT COUNT(*) FROM suppression"), 0);
    /* A domain that does not exist, or has a null MX. */
    lay_down("elsewhere.example", false);
    (void)send_one("nobody@elsewhere.example");
    expect_open("elsewhere.example");
    (void)take("elsewhere.example", 10);
    result_coded(id_of_newest(), 0, QUEUE_FAIL, 0, "5.1.2");
    assert_int_equal(get_int("SELECT COUNT(*) FROM suppression"), 0);
}

static void act(enum queue_action action, const struct queue_filter *filter, uint32_t expected)
{
    buf_put_u8(start_args(), (uint8_t)action);
    queue_put_filter(&args, filter);
    assert_int_equal(run_verb(STORE_QUEUE_ACT, &args, &reply), 0);
    struct cursor c = cursor_from(buf_str(&reply));
    assert_int_equal(cursor_u32(&c), expected);
}

static void who_asks_is_told_to_the_worker(void **state)
{
    const struct queue_filter all = {.id = 0};

    (void)state;
    (void)send_one("x@down.example");
    assert_false(open_due(10, 10).destinations[0].is_asked);
    lay_down("down.example", true);
    act(QUEUE_ACT_RETRY, &all, 1);
    assert_true(open_due(10, 10).destinations[0].is_asked);
    /* Asked again while the worker is at it: once more, at once; then its time is waited for. */
    act(QUEUE_ACT_RETRY, &all, 1);
    lay_down("down.example", true);
    assert_true(open_due(10, 10).destinations[0].is_asked);
    lay_down("down.example", true);
    assert_int_equal(open_due(10, 10).count, 0);
    assert_int_equal(get_int("SELECT failures FROM destination"), 3);
    /* What is held and let go is asked for as well; so is it after a crash of the worker. */
    act(QUEUE_ACT_HOLD, &all, 1);
    act(QUEUE_ACT_RELEASE, &all, 1);
    assert_true(open_due(10, 10).destinations[0].is_asked);
    assert_int_equal(run_verb(STORE_QUEUE_BEGIN, start_args(), NULL), 0);
    assert_true(open_due(10, 10).destinations[0].is_asked);
    lay_down("down.example", false);
    assert_false(open_due(10, 10).destinations[0].is_asked);
}

static void what_was_not_tried_is_no_attempt(void **state)
{
    int64_t until_ms = clock_real_ms() + 60000;

    (void)state;
    (void)send_one("x@down.example");
    for (int i = 0; i < 3; i++) {
        expect_open("down.example");
        lay_down_untried("down.example", true, true, until_ms);
        assert_int_equal(get_int("SELECT failures FROM destination"), 1);
        assert_int_equal(get_int("SELECT last_attempt FROM destination"), 0);
        assert_int_equal(get_int("SELECT due FROM destination"), until_ms);
        clock_advance_ms(60001);
        until_ms += 60001;
    }
    expect_open("down.example");
    lay_down("down.example", true);
    assert_int_equal(get_int("SELECT failures FROM destination"), 2);
}

/* One page, behind which the filter is moved; how many rows it has. */
static size_t list_page(struct queue_filter *io_filter, uint32_t max, bool *out_more)
{
    struct queue_row row;
    size_t count = 0;
    int r;

    queue_put_filter(start_args(), io_filter);
    buf_put_u32(&args, max);
    assert_int_equal(run_verb(STORE_QUEUE_LIST, &args, &reply), 0);
    struct cursor c = cursor_from(buf_str(&reply));
    *out_more = cursor_u8(&c) != 0;
    while ((r = queue_next_row(&c, &row)) > 0) {
        assert_true(row.id > io_filter->after_id ||
                    (row.id == io_filter->after_id && row.n > io_filter->after_n));
        io_filter->after_id = row.id;
        io_filter->after_n = row.n;
        count++;
    }
    assert_int_equal(r, 0);
    return count;
}

static size_t list(const struct queue_filter *filter)
{
    struct queue_filter place = *filter;
    bool has_more;

    size_t count = list_page(&place, 100, &has_more);
    assert_false(has_more);
    return count;
}

static void administrators_see_and_change_the_queue(void **state)
{
    (void)state;
    uint64_t id = send_letter(
        &(struct letter){.sender = "taro@example.jp", .to = {"a@one.example", "b@two.example"}});
    (void)send_letter(&(struct letter){.sender = "", .to = {"c@one.example"}});
    struct queue_filter all = {.id = 0}, one = {.id = id}, null = {.sender = STR("<>")};
    struct queue_filter taro = {.sender = STR("taro@example.jp")};
    struct queue_filter domain = {.domain = STR("One.Example")},
                        other = {.domain = STR("ne.example")};
    struct queue_filter c = {.recipient = STR("c@one.example")};
    struct queue_filter rest = {.after_id = id, .after_n = 0};
    assert_int_equal(list(&all), 3);
    assert_int_equal(list(&one), 2);
    assert_int_equal(list(&null), 1);
    assert_int_equal(list(&taro), 2);
    assert_int_equal(list(&domain), 2);
    assert_int_equal(list(&other), 0);
    assert_int_equal(list(&c), 1);
    assert_int_equal(list(&rest), 2);
    act(QUEUE_ACT_HOLD, &domain, 2);
    assert_int_equal(get_int("SELECT COUNT(*) FROM recipient WHERE state = 3"), 2);
    act(QUEUE_ACT_RELEASE, &one, 1);
    act(QUEUE_ACT_DROP, &null, 1);
    assert_int_equal(list(&all), 2);
    act(QUEUE_ACT_BOUNCE, &c, 0);
    act(QUEUE_ACT_BOUNCE, &one, 2);
    assert_int_equal(get_int("SELECT COUNT(*) FROM recipient WHERE report = 1"), 2);
    assert_int_equal(get_int("SELECT COUNT(*) FROM queue"), 1);
}

/* Writes rows past the verbs. */
static void write_rows(const char *sql)
{
    struct db *db;

    char *path = xstrdup(store->db_path);
    close_store();
    assert_int_equal(db_open(path, DB_WRITER, true, &db), 0);
    assert_int_equal(db_script(db, sql), 0);
    db_close(db);
    open_store();
    free(path);
}

/* Recipients of one message: their texts as long as they get, the last reply of so many bytes (two
 * for one of zeroblob). */
static void write_long_rows(int count, int reply_bytes)
{
    char *sql = xasprintf(
        "INSERT INTO queue(id, body, sender, envid, ret, flags, created, priority, alarm, expires)"
        " VALUES(5, 5, hex(zeroblob(160)), '', 0, 0, 1000, 0, 1 << 60, 1 << 60);"
        "INSERT INTO body VALUES(5, 1, 0, 4, 0, 0, 1, 1, x'');"
        "INSERT INTO destination(name, state, lease, due, failures, since, last_attempt, status,"
        " why)"
        " VALUES('d.example', 1, 0, 1 << 60, 1, 1, 1, '4.4.1',"
        " hex(zeroblob(500)));"
        "WITH RECURSIVE numbers(n) AS"
        " (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < %d)"
        " INSERT INTO recipient SELECT 5, n, n || hex(zeroblob(160)), 'd.example', '', 0, 1,"
        " 1 << 60, 1, 0, 1, '4.4.1', 'mx.d.example', hex(zeroblob(%d)) FROM numbers",
        count, reply_bytes / 2);

    write_rows(sql);
    free(sql);
}

static size_t list_in_pages(size_t *out_pages)
{
    struct queue_filter place = {.id = 0};
    bool has_more = true;
    size_t rows = 0;

    for (*out_pages = 0; has_more; (*out_pages)++) {
        size_t count = list_page(&place, QUEUE_LIST_ROWS_MAX, &has_more);
        assert_true(count > 0);
        assert_true(reply.len <= RPC_PAYLOAD_MAX_BYTES);
        rows += count;
    }
    return rows;
}

static void pages_of_long_rows_end_early(void **state)
{
    (void)state;
    size_t pages;

    write_long_rows(500, 1000);
    assert_int_equal(list_in_pages(&pages), 500);
    assert_in_range(pages, 2, 3);
}

static void no_row_is_too_long_for_a_page(void **state)
{
    (void)state;
    size_t pages;

    write_long_rows(3, 1500000);
    assert_int_equal(list_in_pages(&pages), 3);
}

static void rows_without_a_message_are_forgotten_and_not_counted(void **state)
{
    (void)state;
    write_rows("INSERT INTO destination(name, state, lease, due, failures, since, last_attempt,"
               " status, why) VALUES('d.example', 0, 0, 0, 0, 0, 0, '', '');"
               "INSERT INTO recipient VALUES(5, 0, 'a@d.example', 'd.example', '', 0, 0, 0, 0, 0,"
               " 0, '', '', '');"
               "INSERT INTO recipient VALUES(5, 1, 'b@d.example', 'd.example', '', 0, 0, 0, 0, 0,"
               " 0, '', '', '')");
    assert_int_equal(store->queue_recipients, 2);
    expect_open("d.example");
    assert_int_equal(take("d.example", 10).count, 0);
    assert_int_equal(store->queue_recipients, 0);
}

static void a_dead_destination_without_mail_is_forgotten(void **state)
{
    (void)state;
    (void)send_one("x@dead.example");
    expect_open("dead.example");
    lay_down("dead.example", true);
    clock_advance_ms(settings->queue_lifetime + 1000);
    assert_int_equal(run_verb(STORE_QUEUE_ALARMS, start_args(), NULL), 0);
    expect_open("dead.example");
    lay_down("dead.example", true);
    assert_int_equal(get_int("SELECT COUNT(*) FROM destination"), 0);
}

static void a_late_close_does_not_touch_the_next_lease(void **state)
{
    (void)state;
    struct queue_closed late = {.name = STR("one.example"), .lease = 1};

    (void)send_one("a@one.example");
    expect_open("one.example");
    lay_down("one.example", false);
    expect_open("one.example");
    assert_int_equal(take("one.example", 10).count, 1);
    queue_put_closed(start_args(), &late);
    assert_int_equal(run_verb(STORE_QUEUE_CLOSE, &args, NULL), 0);
    assert_int_equal(get_int("SELECT COUNT(*) FROM recipient WHERE state = 2"), 1);
    assert_int_equal(get_int("SELECT COUNT(*) FROM destination WHERE state = 2"), 1);
}

static void what_is_being_sent_is_left_alone(void **state)
{
    (void)state;
    struct queue_filter all = {.id = 0};

    uint64_t id = send_one("a@one.example");
    expect_open("one.example");
    assert_int_equal(take("one.example", 10).count, 1);
    act(QUEUE_ACT_HOLD, &all, 0);
    act(QUEUE_ACT_BOUNCE, &all, 0);
    act(QUEUE_ACT_DROP, &all, 0);
    /* A deferral that is told twice counts once. */
    result(id, 0, QUEUE_DEFER, "4.2.0");
    result(id, 0, QUEUE_DEFER, "4.2.0");
    assert_int_equal(get_int("SELECT attempts FROM recipient"), 1);
}

static void ages_of_many_recipients_are_looked_at_in_pages(void **state)
{
    static struct deliver_recipient to[1000];
    static char locals[1000][16];

    (void)state;
    for (int m = 0; m < 4; m++) {
        struct deliver_request q = {.message_id = id_make(&ids),
                                    .received_ms = clock_real_ms(),
                                    .sender = STR("taro@example.jp"),
                                    .text = STR("text"),
                                    .recipients = to,
                                    .recipient_count = ARRAY_LEN(to)};
        for (size_t i = 0; i < ARRAY_LEN(to); i++) {
            (void)snprintf(locals[i], sizeof(locals[i]), "user%zu", i);
            to[i] = (struct deliver_recipient){
                .local = str_from_c(locals[i]), .domain = STR("down.example"), .is_relay = true};
        }
        wire_put_deliver(start_args(), &q);
        assert_int_equal(run_verb(STORE_DELIVER, &args, NULL), 0);
    }
    clock_advance_ms(settings->queue_warn_after + 1000);
    do
        assert_int_equal(run_verb(STORE_QUEUE_ALARMS, start_args(), &reply), 0);
    while (reply.ptr[0] != 0);
    assert_int_equal(get_int("SELECT COUNT(*) FROM recipient WHERE report = 2"), 4000);
    assert_int_equal(run_verb(STORE_QUEUE_REPORTS, start_args(), &reply), 0);
}

static void a_full_queue_takes_no_more(void **state)
{
    (void)state;
    settings->store_max_queue_messages = 1;
    (void)send_one("a@one.example");
    struct deliver_recipient to = {
        .local = STR("a"), .domain = STR("one.example"), .is_relay = true};
    struct deliver_request q = {.message_id = id_make(&ids),
                                .received_ms = clock_real_ms(),
                                .sender = STR("taro@example.jp"),
                                .text = STR("text"),
                                .recipients = &to,
                                .recipient_count = 1};
    wire_put_deliver(start_args(), &q);
    assert_int_equal(run_verb(STORE_DELIVER, &args, NULL), -EBUSY);
}

/* A number of the status, or -1 when it does not say. */
static int64_t status_number(const char *key)
{
    assert_int_equal(run_verb(STORE_STATUS, start_args(), &reply), 0);
    struct cursor c = cursor_from(buf_str(&reply));
    (void)cursor_lp(&c); /* the version */
    while (cursor_left(&c) > 0) {
        bool is_wanted = str_eq_c(cursor_lp(&c), key);
        int64_t value = (int64_t)cursor_u64(&c);
        if (is_wanted)
            return value;
    }
    return -1;
}

static void the_status_counts_without_reading_every_row(void **state)
{
    (void)state;
    struct queue_filter b = {.recipient = STR("b@two.example")};

    (void)send_letter(
        &(struct letter){.sender = "taro@example.jp", .to = {"a@one.example", "b@two.example"}});
    clock_advance_ms(5000);
    (void)send_one("c@one.example");
    act(QUEUE_ACT_HOLD, &b, 1);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(status_number("queued_messages"), 2);
        assert_int_equal(status_number("queued_recipients"), 3);
        assert_int_equal(status_number("queued_ready"), 2);
        assert_int_equal(status_number("queued_held"), 1);
        assert_in_range(status_number("queue_oldest_ms"), 5000, 60000);
        close_store();
        open_store();
    }
    /* States are counted in the rows: not in very many. */
    store->queue_recipients += 1000000;
    assert_int_equal(status_number("queued_recipients"), 1000003);
    assert_int_equal(status_number("queued_ready"), -1);
    store->queue_recipients -= 1000000;
}

static void fair_places_go_round(void **state)
{
    struct fair fair;
    char name[32];

    (void)state;
    fair_init(&fair);
    assert_int_equal(fair_place(&fair, STR("a@b"), 0, 1000), 1000);
    assert_int_equal(fair_place(&fair, STR("a@b"), 0, 1000), 1000 + FAIR_STEP_MS);
    assert_int_equal(fair_place(&fair, STR("c@d"), 0, 1000), 1000);
    assert_int_equal(fair_place(&fair, STR(""), 0, 1000), 1000);
    assert_int_equal(fair_place(&fair, STR(""), 0, 1000), 1000);
    assert_true(fair_place(&fair, STR("c@d"), 1, 1000) < 1000);
    for (int i = 0; i < 2 * FAIR_SENDERS_MAX; i++) {
        (void)snprintf(name, sizeof(name), "s%d@example.jp", i);
        (void)fair_place(&fair, str_from_c(name), 0, 2000 + i);
    }
    assert_true(fair.senders.count <= FAIR_SENDERS_MAX);
    fair_done(&fair);
}

#define QUEUE_TEST(f) cmocka_unit_test_setup_teardown(f, set_up_queue, tear_down_queue)

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

/* Texts go along as far as they were asked for; the others, and damaged ones, are left out, and the
 * messages come all the same. */
static void texts_go_along(void **state)
{
    char path[200];

    (void)state;
    (void)send_one("a@elsewhere.example");
    uint64_t second = send_one("b@elsewhere.example");
    (void)send_one("c@elsewhere.example");
    expect_open("elsewhere.example");
    (void)snprintf(path, sizeof(path), "%s/segments/%012lld.seg", dir,
                   (long long)get_int("SELECT segment FROM body LIMIT 1"));
    int fd = open(path, O_WRONLY);
    assert_true(fd >= 0);
    char sql[100];
    (void)snprintf(sql, sizeof(sql), "SELECT place FROM body WHERE id = %llu",
                   (unsigned long long)second);
    assert_int_equal(pwrite(fd, "#", 1, (off_t)get_int(sql) + 40), 1);
    close(fd);
    struct queue_batch batch = take_texts("elsewhere.example", 10, 59);
    assert_int_equal(batch.count, 3);
    assert_int_equal(batch.messages[0].text.len, 20);
    assert_int_equal(batch.messages[1].text.len, 0);
    assert_int_equal(batch.messages[2].text.len, 0);
    assert_int_equal(batch.messages[1].bytes, 20);
    for (size_t i = 0; i < batch.count; i++)
        result(batch.messages[i].id, 0, QUEUE_DELIVERED, "2.0.0");
    lay_down("elsewhere.example", false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        QUEUE_TEST(texts_go_along),
        QUEUE_TEST(a_letter_is_taken_and_leaves_nothing),
        QUEUE_TEST(recipients_at_one_destination_go_together),
        QUEUE_TEST(a_letter_comes_before_a_bulk_that_came_first),
        QUEUE_TEST(priorities_order_what_waits),
        QUEUE_TEST(a_deferral_comes_back_in_its_time),
        QUEUE_TEST(what_waits_for_a_destination_that_is_down_is_not_touched),
        QUEUE_TEST(down_destinations_do_not_crowd_out_the_others),
        QUEUE_TEST(a_failure_is_reported_once),
        QUEUE_TEST(who_wants_to_hear_hears),
        QUEUE_TEST(age_warns_once_and_then_ends),
        QUEUE_TEST(a_new_worker_gets_what_the_old_one_held),
        QUEUE_TEST(hard_bounces_suppress_an_address),
        QUEUE_TEST(administrators_see_and_change_the_queue),
        QUEUE_TEST(pages_of_long_rows_end_early),
        QUEUE_TEST(no_row_is_too_long_for_a_page),
        QUEUE_TEST(rows_without_a_message_are_forgotten_and_not_counted),
        QUEUE_TEST(a_dead_destination_without_mail_is_forgotten),
        QUEUE_TEST(a_late_close_does_not_touch_the_next_lease),
        QUEUE_TEST(what_is_being_sent_is_left_alone),
        QUEUE_TEST(ages_of_many_recipients_are_looked_at_in_pages),
        QUEUE_TEST(a_full_queue_takes_no_more),
        QUEUE_TEST(the_status_counts_without_reading_every_row),
        cmocka_unit_test(fair_places_go_round),
        QUEUE_TEST(who_asks_is_told_to_the_worker),
        QUEUE_TEST(what_was_not_tried_is_no_attempt),
    };
    return cmocka_run_group_tests_name("queue", tests, use_clock, remove_clock);
}
