/* Tests of what one account may send, through the verb that takes messages. Time is the test clock.
 */
#include "store/store_harness.h"

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

#define USAGE_TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        USAGE_TEST(an_account_sends_so_much_and_no_more),
        USAGE_TEST(an_account_sends_so_often),
    };

    return cmocka_run_group_tests_name("usage", tests, set_up_clock, remove_clock);
}
