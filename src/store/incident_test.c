/* Unit tests of incident.h: what is gathered, when it is recorded, and that strangers can fill
 * neither memory nor trace. */
#include "store/incident.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "store/trace_event.h"

static const int64_t START_MS = 1700000000000;

struct fixture {
    struct id_maker ids;
    struct incidents *incidents;
    struct buf out;
};

static int setup(void **state)
{
    struct fixture *f = xcalloc(1, sizeof(*f));

    id_maker_init(&f->ids, 1, 0);
    f->incidents = incidents_new(&f->ids);
    buf_init(&f->out, INCIDENT_RECORD_MAX_BYTES);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    incidents_free(f->incidents);
    buf_done(&f->out);
    free(f);
    return 0;
}

static struct ip_rate_key peer(unsigned n)
{
    struct ip_addr ip;
    char text[32];

    (void)snprintf(text, sizeof(text), "192.0.2.%u", n);
    assert_int_equal(ip_parse(str_from_c(text), &ip), 0);
    return ip_rate_key(&ip);
}

static bool add(struct fixture *f, enum incident_kind kind, const char *key, unsigned from,
                int64_t now_ms)
{
    struct incident what = {
        .kind = kind, .key = str_from_c(key), .address = str_from_c(key), .peer = peer(from)};

    return incidents_add(f->incidents, &what, now_ms, &f->out);
}

/* Takes what was recorded: how many events there are, and the last one's words. */
static size_t take(struct fixture *f, struct trace_event *out, char details[512])
{
    struct cursor c = cursor_from(buf_str(&f->out));
    size_t count = 0, len = 0;
    struct str key, value;

    while (trace_next_event(&c, out) > 0)
        count++;
    struct cursor d = cursor_from(count > 0 ? out->details : STR(""));
    details[0] = '\0';
    while (trace_next_detail(&d, &key, &value) > 0)
        len +=
            (size_t)snprintf(details + len, 512 - len, "%.*s=%.*s;", STR_ARG(key), STR_ARG(value));
    f->out.len = 0; /* what *out views stays */
    return count;
}

static void the_first_is_recorded_and_later_ones_grow_it(void **state)
{
    struct fixture *f = *state;
    struct trace_event first, last;
    char words[512];

    assert_true(add(f, INCIDENT_FAILED, "taro@example.jp", 1, START_MS));
    assert_int_equal(take(f, &first, words), 1);
    assert_true(str_eq_c(first.event, "login-failed"));
    assert_true(str_eq_c(first.address, "taro@example.jp"));
    assert_string_equal(words, "count=1;from=192.0.2.1;");
    uint64_t ref = first.ref;
    for (int i = 0; i < 5; i++)
        assert_false(add(f, INCIDENT_FAILED, "taro@example.jp", 1 + (unsigned)i % 2, START_MS + i));
    assert_int_equal(take(f, &last, words), 0);
    assert_false(add(f, INCIDENT_FAILED, "taro@example.jp", 2, START_MS + INCIDENT_WRITE_EVERY_MS));
    assert_int_equal(take(f, &last, words), 1);
    assert_int_equal(last.ref, ref);
    assert_int_equal(last.time_ms, START_MS);
    assert_string_equal(words, "count=7;from=192.0.2.1 (4), 192.0.2.2 (3);last=1700000010000;");
    assert_int_equal(incidents_count(f->incidents, INCIDENT_FAILED, STR("taro@example.jp")), 7);
    assert_int_equal(incidents_count(f->incidents, INCIDENT_SLOWED, STR("taro@example.jp")), 0);
}

static void whoever_looks_sees_all(void **state)
{
    struct fixture *f = *state;
    struct trace_event e;
    char words[512];

    (void)add(f, INCIDENT_FAILED, "taro", 1, START_MS);
    (void)add(f, INCIDENT_FAILED, "taro", 1, START_MS + 1);
    (void)take(f, &e, words);
    incidents_write(f->incidents, false, START_MS + 2, &f->out);
    assert_int_equal(take(f, &e, words), 0);
    incidents_write(f->incidents, true, START_MS + 2, &f->out);
    assert_int_equal(take(f, &e, words), 1);
    incidents_write(f->incidents, true, START_MS + 3, &f->out);
    assert_int_equal(take(f, &e, words), 0);
}

static void an_hour_later_it_is_another_event(void **state)
{
    struct fixture *f = *state;
    struct trace_event e;
    char words[512];

    assert_true(add(f, INCIDENT_GUESSED, "192.0.2.1", 1, START_MS));
    assert_false(add(f, INCIDENT_GUESSED, "192.0.2.1", 1, START_MS + INCIDENT_WINDOW_MS - 1));
    assert_true(add(f, INCIDENT_GUESSED, "192.0.2.1", 1, START_MS + INCIDENT_WINDOW_MS));
    assert_true(take(f, &e, words) >= 2);
    assert_int_equal(e.time_ms, START_MS + INCIDENT_WINDOW_MS);
    assert_string_equal(words, "count=1;from=192.0.2.1;");
    /* A clock that was set back begins anew, too. */
    assert_true(add(f, INCIDENT_GUESSED, "192.0.2.1", 1, START_MS));
    incidents_write(f->incidents, false, START_MS + INCIDENT_WINDOW_MS, &f->out);
    assert_int_equal(incidents_count(f->incidents, INCIDENT_GUESSED, STR("192.0.2.1")), 0);
}

static void few_addresses_are_named_and_others_counted(void **state)
{
    struct fixture *f = *state;
    struct trace_event e;
    char words[512];

    for (unsigned i = 1; i <= INCIDENT_PEERS_MAX + 3; i++)
        (void)add(f, INCIDENT_SLOWED, "taro", i, START_MS);
    (void)take(f, &e, words);
    incidents_write(f->incidents, true, START_MS, &f->out);
    assert_int_equal(take(f, &e, words), 1);
    assert_non_null(strstr(words, "192.0.2.4 (1);elsewhere=3;"));
    assert_null(strstr(words, "192.0.2.5"));
}

static void what_is_not_known_waits_for_its_address(void **state)
{
    struct fixture *f = *state;
    struct incident what = {.kind = INCIDENT_FAILED, .key = STR("taro"), .peer = peer(1)};

    assert_false(incidents_add_known(f->incidents, &what, START_MS, &f->out));
    assert_int_equal(f->out.len, 0);
    (void)add(f, INCIDENT_FAILED, "taro", 1, START_MS);
    assert_true(incidents_add_known(f->incidents, &what, START_MS, &f->out));
    assert_int_equal(incidents_count(f->incidents, INCIDENT_FAILED, STR("taro")), 2);
    assert_false(incidents_add_known(f->incidents, &what, START_MS + INCIDENT_WINDOW_MS, &f->out));
}

/* Two hundred thousand names: the table stays as large as it is, and the trace as small. */
static void a_crowd_is_counted_together(void **state)
{
    struct fixture *f = *state;
    struct trace_event e;
    size_t events = 0;
    char words[512], name[32];

    for (int i = 0; i < 200000; i++) {
        (void)snprintf(name, sizeof(name), "name%d", i);
        bool is_own = add(f, INCIDENT_FAILED, name, 1, START_MS);
        assert_int_equal(is_own, i < INCIDENT_OF_A_KIND_MAX);
        events += take(f, &e, words);
    }
    assert_int_equal(events, INCIDENT_OF_A_KIND_MAX + 1);
    assert_int_equal(e.address.len, 0);
    assert_int_equal(incidents_count(f->incidents, INCIDENT_FAILED, STR("")),
                     200000 - INCIDENT_OF_A_KIND_MAX);
    /* Others are not shut out by it, nor is the next hour. */
    assert_true(add(f, INCIDENT_SLOWED, "taro", 1, START_MS));
    assert_true(add(f, INCIDENT_FAILED, "taro", 1, START_MS + INCIDENT_WINDOW_MS));
    assert_int_equal(buf_status(&f->out), 0);
}

static struct incident_ban ban_of(unsigned from, const char *address)
{
    return (struct incident_ban){.peer = peer(from),
                                 .network = STR("192.0.2.1"),
                                 .reason = STR("too many failed logins"),
                                 .address = str_from_c(address),
                                 .until_ms = START_MS + 1000};
}

static void a_ban_is_told_to_those_it_guessed_at(void **state)
{
    struct fixture *f = *state;
    struct incident_ban ban = ban_of(1, "taro");
    struct trace_event e;
    char words[512];

    (void)add(f, INCIDENT_FAILED, "taro", 1, START_MS);
    (void)add(f, INCIDENT_FAILED, "hanako", 1, START_MS);
    (void)add(f, INCIDENT_FAILED, "jiro", 2, START_MS);
    (void)take(f, &e, words);
    incidents_ban(f->incidents, &ban, START_MS, &f->out);
    assert_int_equal(take(f, &e, words), 2);
    assert_true(str_eq_c(e.event, "banned"));
    assert_true(str_eq_c(e.address, "hanako"));
    assert_string_equal(words, "network=192.0.2.1;until=1700000001000;what=logins;"
                               "reason=too many failed logins;");
}

static void many_bans_are_counted(void **state)
{
    struct fixture *f = *state;
    struct trace_event e;
    char words[512];
    size_t events = 0;

    for (int i = 0; i < 10000; i++) {
        struct incident_ban ban = ban_of(1, "");
        incidents_ban(f->incidents, &ban, START_MS, &f->out);
        events += take(f, &e, words);
    }
    assert_int_equal(events, INCIDENT_BANS_MAX + 1);
    assert_true(str_eq_c(e.event, "banned-more"));
    /* An administrator's is always told. */
    struct incident_ban own = {.network = STR("192.0.2.0/24"),
                               .reason = STR("it shouts"),
                               .until_ms = INT64_MAX,
                               .is_for_all = true};
    incidents_ban(f->incidents, &own, START_MS, &f->out);
    assert_int_equal(take(f, &e, words), 1);
    assert_string_equal(words, "network=192.0.2.0/24;what=everything;reason=it shouts;");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_first_is_recorded_and_later_ones_grow_it, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(whoever_looks_sees_all, setup, teardown),
        cmocka_unit_test_setup_teardown(an_hour_later_it_is_another_event, setup, teardown),
        cmocka_unit_test_setup_teardown(few_addresses_are_named_and_others_counted, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(what_is_not_known_waits_for_its_address, setup, teardown),
        cmocka_unit_test_setup_teardown(a_crowd_is_counted_together, setup, teardown),
        cmocka_unit_test_setup_teardown(a_ban_is_told_to_those_it_guessed_at, setup, teardown),
        cmocka_unit_test_setup_teardown(many_bans_are_counted, setup, teardown),
    };

    return cmocka_run_group_tests_name("incident", tests, NULL, NULL);
}
