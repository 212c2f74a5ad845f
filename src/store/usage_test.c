/* Tests of what one account may send, through the verb that takes messages. Time is the test clock.
 */
#include "store/store_harness.h"

#include "store/usage.h"

static char clock_path[] = "/tmp/hikyaku-usage-clock-XXXXXX";

static int set_up_clock(void **state)
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

/* A letter that an account sends: its status. */
static int submit(uint64_t account, const char *const *to, size_t count)
{
    struct deliver_recipient recipients[4];
    struct deliver_request q = {.message_id = id_make(&ids),
                                .session_id = 7,
                                .received_ms = clock_real_ms(),
                                .account = account,
                                .sender = STR("taro@example.jp"),
                                .text = STR("Subject: s\r\n\r\ntext\r\n"),
                                .recipients = recipients,
                                .recipient_count = count};

    for (size_t i = 0; i < count; i++) {
        recipients[i] = (struct deliver_recipient){.is_relay = true};
        (void)str_cut(str_from_c(to[i]), '@', &recipients[i].local, &recipients[i].domain);
    }
    wire_put_deliver(start_args(), &q);
    return run_verb(STORE_DELIVER, &args, NULL);
}

static int submit_one(uint64_t account, const char *to)
{
    return submit(account, &to, 1);
}

static void an_account_sends_so_much_and_no_more(void **state)
{
    static const char *const three[] = {"a@a.example", "b@a.example", "c@a.example"};
    const int64_t day_ms = 24 * 3600 * 1000;

    (void)state;
    settings->submission_recipients_per_day = 10;
    settings->submission_new_recipients_per_day = 4;
    settings->submission_messages_per_minute = 0;
    /* The test's day begins early in a day. */
    clock_advance_ms(day_ms - clock_real_ms() % day_ms + 1000);
    assert_int_equal(submit(5, three, 3), 0);
    assert_int_equal(submit_one(5, "d@a.example"), 0);
    assert_int_equal(submit_one(5, "e@a.example"), -EUSERS);
    assert_int_equal(submit_one(5, "A@a.example"), 0); /* nobody new */
    assert_int_equal(submit_one(6, "e@a.example"), 0); /* somebody else's business */
    assert_int_equal(submit(5, three, 3), 0);
    assert_int_equal(submit(5, three, 3), -EDQUOT);
    assert_int_equal(submit(5, three, 2), 0);
    assert_int_equal(submit_one(5, "a@a.example"), -EDQUOT);
    assert_int_equal(get_int("SELECT recipients FROM usage WHERE account = 5"), 10);
    assert_int_equal(get_int("SELECT fresh FROM usage WHERE account = 5"), 4);
    assert_int_equal(get_int("SELECT COUNT(*) FROM recipient"), 11);
    clock_advance_ms(day_ms);
    assert_int_equal(submit_one(5, "e@a.example"), 0);
    assert_int_equal(submit(5, three, 3), 0);
}

static void an_account_sends_so_often(void **state)
{
    (void)state;
    settings->submission_messages_per_minute = 3;
    for (int i = 0; i < 3; i++)
        assert_int_equal(submit_one(5, "a@a.example"), 0);
    assert_int_equal(submit_one(5, "a@a.example"), -EAGAIN);
    assert_int_equal(submit_one(6, "a@a.example"), 0);
    clock_advance_ms(21000);
    assert_int_equal(submit_one(5, "a@a.example"), 0);
}

/* What account.limits says of one of them. */
struct told {
    int64_t of_all, own, used;
};

static struct told ask_limit(const char *address, enum usage_limit which)
{
    struct told told[USAGE_LIMIT_END];
    struct buf reply;

    buf_init(&reply, 1000);
    assert_int_equal(run_texts(STORE_ACCOUNT_LIMITS, address, NULL, &reply), 0);
    struct cursor c = cursor_from(buf_str(&reply));
    assert_true(str_eq_c(cursor_lp(&c), address));
    for (int i = 0; i < USAGE_LIMIT_END; i++) {
        told[i].of_all = (int64_t)cursor_u64(&c);
        told[i].own = (int64_t)cursor_u64(&c);
        told[i].used = (int64_t)cursor_u64(&c);
    }
    int64_t day_end_ms = (int64_t)cursor_u64(&c), day_ms = 24 * 3600 * 1000;
    assert_int_equal(cursor_finish(&c), 0);
    assert_int_equal(day_end_ms % day_ms, 0);
    assert_true(day_end_ms > clock_real_ms() && day_end_ms <= clock_real_ms() + day_ms);
    buf_done(&reply);
    return told[which];
}

static int set_limits(const char *address, int64_t messages, int64_t recipients, int64_t fresh)
{
    struct buf *out = start_args();

    buf_put_lp(out, str_from_c(address));
    buf_put_u64(out, (uint64_t)messages);
    buf_put_u64(out, (uint64_t)recipients);
    buf_put_u64(out, (uint64_t)fresh);
    return run_verb(STORE_ACCOUNT_LIMIT_SET, out, NULL);
}

static void an_account_may_have_limits_of_its_own(void **state)
{
    static const char *const three[] = {"a@a.example", "b@a.example", "c@a.example"};
    enum { SAME = -2 };

    (void)state;
    settings->submission_recipients_per_day = 4;
    settings->submission_new_recipients_per_day = 2;
    assert_int_equal(run_texts(STORE_DOMAIN_ADD, "example.jp", NULL, NULL), 0);
    assert_int_equal(add_account("taro@example.jp"), 0);
    uint64_t taro = (uint64_t)get_int("SELECT id FROM account WHERE lookup = 'taro@example.jp'");
    assert_int_equal(submit(taro, three, 3), -EUSERS);
    assert_int_equal(set_limits("taro@example.jp", SAME, SAME, 3), 0);
    assert_int_equal(submit(taro, three, 3), 0);
    assert_int_equal(submit(taro, three, 3), -EDQUOT);
    struct told told = ask_limit("taro@example.jp", USAGE_NEW_RECIPIENTS);
    assert_true(told.of_all == 2 && told.own == 3 && told.used == 3);
    told = ask_limit("taro@example.jp", USAGE_RECIPIENTS);
    assert_true(told.of_all == 4 && told.own == USAGE_AS_SET && told.used == 3);
    assert_int_equal(ask_limit("taro@example.jp", USAGE_MESSAGES).used, -1);
    /* None, and nobody else's business. */
    assert_int_equal(set_limits("taro@example.jp", 2, 0, SAME), 0);
    assert_int_equal(submit(5, three, 3), -EUSERS);
    close_store();
    open_store();
    assert_int_equal(submit(taro, three, 3), 0);
    assert_int_equal(submit(taro, three, 3), 0);
    assert_int_equal(submit(taro, three, 3), -EAGAIN);
    assert_int_equal(ask_limit("taro@example.jp", USAGE_NEW_RECIPIENTS).own, 3);
    /* Back to what holds for all; then nothing is kept. */
    assert_int_equal(set_limits("taro@example.jp", USAGE_AS_SET, USAGE_AS_SET, USAGE_AS_SET), 0);
    assert_int_equal(get_int("SELECT COUNT(*) FROM account_limit"), 0);
    assert_int_equal(submit(taro, three, 3), -EDQUOT);
    assert_int_equal(set_limits("nobody@example.jp", 1, 1, 1), -ENOENT);
    assert_int_equal(set_limits("taro@example.jp", 1, 1, -3), -EBADMSG);
}

static void what_is_known_of_an_account_goes_with_it(void **state)
{
    (void)state;
    assert_int_equal(run_texts(STORE_DOMAIN_ADD, "example.jp", NULL, NULL), 0);
    assert_int_equal(add_account("taro@example.jp"), 0);
    assert_int_equal(set_limits("taro@example.jp", 1, 2, 3), 0);
    assert_int_equal(set_limits("postmaster@example.jp", 1, 2, 3), 0);
    buf_put_lp(start_args(), STR("taro@example.jp"));
    buf_put_u8(&args, 0);
    assert_int_equal(run_verb(STORE_ACCOUNT_REMOVE, &args, NULL), 0);
    assert_int_equal(get_int("SELECT COUNT(*) FROM account_limit"), 1);
    assert_int_equal(run_texts(STORE_DOMAIN_REMOVE, "example.jp", NULL, NULL), 0);
    assert_int_equal(get_int("SELECT COUNT(*) FROM account_limit"), 0);
}

#define USAGE_TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        USAGE_TEST(an_account_sends_so_much_and_no_more),
        USAGE_TEST(an_account_sends_so_often),
        USAGE_TEST(an_account_may_have_limits_of_its_own),
        USAGE_TEST(what_is_known_of_an_account_goes_with_it),
    };

    return cmocka_run_group_tests_name("usage", tests, set_up_clock, remove_clock);
}
