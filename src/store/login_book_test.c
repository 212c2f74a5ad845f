/* Unit tests of login_book.h: what is open, what is gathered for the rows, and bounds. */
#include "store/login_book.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { START_MS = 1000000 };

static const int worker, other; /* owners */
static struct login_book book;
static struct buf out;

static int setup(void **state)
{
    (void)state;
    login_book_init(&book);
    buf_init(&out, LOGIN_BOOK_ROWS_MAX_BYTES);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    login_book_done(&book);
    buf_done(&out);
    return 0;
}

static struct auth_session session_of(uint64_t id, const char *peer)
{
    return (struct auth_session){.session = id,
                                 .account = 7,
                                 .since_ms = START_MS + (int64_t)id,
                                 .address = STR("taro@example.jp"),
                                 .peer = str_from_c(peer),
                                 .protocol = STR("submission"),
                                 .mechanism = STR("PLAIN")};
}

static void add(const void *owner, uint64_t id, const char *peer)
{
    struct auth_session s = session_of(id, peer);

    login_book_add(&book, owner, &s);
}

/* The ids of the list, as "3 2 1 ". */
static const char *open_ids(void)
{
    static char text[200];
    struct auth_session s;
    size_t len = 0;

    buf_reset(&out);
    login_book_list(&book, 0, &out);
    struct cursor c = cursor_from(buf_str(&out));
    text[0] = '\0';
    while (auth_next_session(&c, &s) > 0)
        len += (size_t)snprintf(text + len, sizeof(text) - len, "%llu ",
                                (unsigned long long)s.session);
    return text;
}

static void sessions_are_open_until_they_end(void **state)
{
    (void)state;
    for (uint64_t i = 1; i <= 3; i++)
        add(&worker, i, "192.0.2.1");
    add(&other, 4, "192.0.2.1");
    assert_string_equal(open_ids(), "4 3 2 1 ");
    buf_reset(&out);
    login_book_list(&book, 8, &out);
    assert_int_equal(out.len, 0);
    login_book_end(&book, &worker, 2);
    login_book_end(&book, &worker, 2);
    login_book_end(&book, &worker, 4); /* is not its own */
    assert_string_equal(open_ids(), "4 3 1 ");
    add(&worker, 3, "192.0.2.1"); /* again, after STARTTLS */
    assert_string_equal(open_ids(), "4 3 1 ");
    login_book_drop_owner(&book, &worker);
    assert_string_equal(open_ids(), "4 ");
}

static void logins_of_one_kind_are_one_entry(void **state)
{
    struct login_entry e;
    struct auth_session s = session_of(9, "2001:db8:1:2:3::4");

    (void)state;
    for (uint64_t i = 1; i <= 3; i++)
        add(&worker, i, "192.0.2.1");
    login_book_add(&book, &worker, &s);
    s = session_of(5, "2001:db8:1:2:9::9"); /* the same /64, and the clock was set back */
    login_book_add(&book, &worker, &s);
    s.app_password = 77;
    login_book_add(&book, &worker, &s);
    login_book_take(&book, &out);
    struct cursor c = cursor_from(buf_str(&out));
    size_t seen = 0;
    while (login_next_entry(&c, &e) > 0) {
        seen++;
        assert_int_equal(e.account, 7);
        if (str_eq_c(e.network, "192.0.2.1")) {
            assert_int_equal(e.count, 3);
            assert_int_equal(e.first_ms, START_MS + 1);
            assert_int_equal(e.last_ms, START_MS + 3);
        } else {
            assert_true(str_eq_c(e.network, "2001:db8:1:2::/64"));
            assert_int_equal(e.count, e.app_password == 77 ? 1 : 2);
            assert_int_equal(e.last_ms, START_MS + (e.app_password == 77 ? 5 : 9));
        }
    }
    assert_int_equal(seen, 3);
    buf_reset(&out);
    login_book_take(&book, &out);
    assert_int_equal(out.len, 0);
}

static void there_is_an_end_to_both(void **state)
{
    char peer[32];

    (void)state;
    for (uint64_t i = 0; i < LOGIN_BOOK_OPEN_MAX + 10; i++) {
        (void)snprintf(peer, sizeof(peer), "10.%u.%u.%u", (unsigned)(i >> 16 & 255),
                       (unsigned)(i >> 8 & 255), (unsigned)(i & 255));
        add(&worker, i, peer);
        assert_int_equal(login_book_is_full(&book), i + 1 >= LOGIN_BOOK_PENDING_MAX);
    }
    assert_int_equal(book.open.count, LOGIN_BOOK_OPEN_MAX);
    assert_int_equal(book.pending.count, LOGIN_BOOK_PENDING_MAX);
    login_book_take(&book, &out);
    assert_int_equal(buf_status(&out), 0);
    buf_reset(&out);
    login_book_list(&book, 0, &out);
    assert_int_equal(buf_status(&out), 0);
}

static void texts_of_any_length_fit(void **state)
{
    struct auth_session s = session_of(1, "not an address");
    struct login_entry e;
    char longest[AUTH_ADDRESS_MAX_BYTES];

    (void)state;
    memset(longest, 'x', sizeof(longest));
    s.mechanism = str_from_mem(longest, AUTH_MECHANISM_MAX_BYTES);
    s.protocol = str_from_mem(longest, AUTH_PROTOCOL_MAX_BYTES);
    s.address = str_from_mem(longest, sizeof(longest));
    login_book_add(&book, &worker, &s);
    login_book_take(&book, &out);
    struct cursor c = cursor_from(buf_str(&out));
    assert_int_equal(login_next_entry(&c, &e), 1);
    assert_int_equal(e.network.len, 0);
    assert_int_equal(e.mechanism.len, AUTH_MECHANISM_MAX_BYTES);
    c = cursor_from(str_sub(buf_str(&out), 0, out.len - 1));
    assert_int_equal(login_next_entry(&c, &e), -EBADMSG);
}

#define BOOK_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOOK_TEST(sessions_are_open_until_they_end),
        BOOK_TEST(logins_of_one_kind_are_one_entry),
        BOOK_TEST(there_is_an_end_to_both),
        BOOK_TEST(texts_of_any_length_fit),
    };

    return cmocka_run_group_tests_name("login_book", tests, NULL, NULL);
}
