/* Unit tests of guard.h: who is slowed down, who is banned, who is left alone. */
#include "store/guard.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/error.h"

static const int64_t START_MS = 1700000000000;
static const int64_t HOUR_MS = 3600000;

static struct settings *settings;
static struct guard *guard;

static int set_up(void **state)
{
    (void)state;
    settings = settings_defaults();
    settings->brakes_failures = 5;
    settings->brakes_network_failures = 20;
    settings->brakes_account_failures = 8;
    guard = guard_new(settings);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    guard_free(guard);
    settings_free(settings);
    return 0;
}

static struct ip_rate_key peer(const char *text)
{
    struct ip_addr ip;

    assert_int_equal(ip_parse(str_from_c(text), &ip), 0);
    return ip_rate_key(&ip);
}

static struct guard_attempt attempt(const char *from, const char *name)
{
    return (struct guard_attempt){.peer = peer(from), .name = str_from_c(name), .is_guess = true};
}

static bool ends(const struct guard_attempt *a, enum guard_outcome outcome, int64_t now_ms)
{
    struct guard_ban ban;

    return guard_note_login(guard, a, outcome, now_ms, &ban);
}

/* Whether a login would be tried: one that cannot be judged then. */
static enum guard_verdict login(const char *from, const char *name, int64_t now_ms)
{
    struct guard_attempt a = attempt(from, name);

    enum guard_verdict verdict = guard_login(guard, &a, now_ms);
    if (verdict == GUARD_OK)
        (void)ends(&a, GUARD_UNDECIDED, now_ms);
    return verdict;
}

/* A login that fails, if it may be tried; whether it brought a ban, which is in *out. */
static bool fails_with(const char *from, const char *name, int64_t now_ms, struct guard_ban *out)
{
    struct guard_attempt a = attempt(from, name);

    if (guard_login(guard, &a, now_ms) != GUARD_OK)
        return false;
    return guard_note_login(guard, &a, GUARD_FAILED, now_ms, out);
}

static bool fails(const char *from, const char *name, int64_t now_ms)
{
    struct guard_ban ban;

    return fails_with(from, name, now_ms, &ban);
}

static void succeeds(const char *from, const char *name, int64_t now_ms)
{
    struct guard_attempt a = attempt(from, name);

    assert_int_equal(guard_login(guard, &a, now_ms), GUARD_OK);
    assert_false(ends(&a, GUARD_SUCCEEDED, now_ms));
}

static void an_address_is_banned_and_others_are_not(void **state)
{
    struct guard_ban ban;

    (void)state;
    for (int i = 0; i < 5; i++)
        assert_false(fails("192.0.2.1", "a@example.jp", START_MS + i));
    assert_true(fails_with("192.0.2.1", "b@example.jp", START_MS + 5, &ban));
    assert_int_equal(ban.until_ms, START_MS + 5 + HOUR_MS);
    assert_int_equal(ban.strikes, 1);
    assert_int_equal(ban.net.prefix_bits, 32);
    assert_int_equal(guard_connect(guard, peer("192.0.2.1"), true, START_MS + 6), GUARD_BANNED);
    assert_int_equal(login("192.0.2.1", "c@example.jp", START_MS + 6), GUARD_BANNED);
    assert_int_equal(guard_connect(guard, peer("192.0.2.2"), true, START_MS + 6), GUARD_OK);
    assert_int_equal(login("192.0.2.2", "c@example.jp", START_MS + 6), GUARD_OK);
    /* Mail from there goes on. */
    assert_int_equal(guard_connect(guard, peer("192.0.2.1"), false, START_MS + 6), GUARD_OK);
    /* It ends by itself. */
    assert_int_equal(guard_connect(guard, peer("192.0.2.1"), true, START_MS + 6 + HOUR_MS),
                     GUARD_OK);
}

static int64_t delay(const char *from, const char *name, int64_t now_ms)
{
    return guard_delay_ms(guard, peer(from), str_from_c(name), now_ms);
}

static void answers_take_longer_and_longer(void **state)
{
    static const int64_t delays_ms[] = {0, 0, 250, 500, 1000, 2000, 4000, 5000, 5000};

    (void)state;
    settings->brakes_failures = 9;
    settings->brakes_account_failures = 0;
    guard_configure(guard, settings);
    assert_int_equal(delay("192.0.2.1", "a", START_MS), 0);
    for (size_t i = 0; i < ARRAY_LEN(delays_ms); i++) {
        assert_false(fails("192.0.2.1", "a", START_MS));
        assert_int_equal(delay("192.0.2.1", "b", START_MS), delays_ms[i]);
    }
    assert_int_equal(delay("192.0.2.2", "a", START_MS), 0);
    /* It is forgotten with time, and with a right password. */
    assert_int_equal(delay("192.0.2.1", "a", START_MS + HOUR_MS), 0);
    succeeds("192.0.2.1", "a", START_MS + HOUR_MS);
    for (int i = 0; i < 4; i++)
        assert_false(fails("192.0.2.1", "a", START_MS + HOUR_MS));
    assert_int_equal(delay("192.0.2.1", "a", START_MS + HOUR_MS), 500);
    succeeds("192.0.2.1", "a", START_MS + HOUR_MS);
    assert_int_equal(delay("192.0.2.1", "a", START_MS + HOUR_MS), 0);
}

static void networks_and_strangers_of_an_account_are_held_up_too(void **state)
{
    char from[32];

    (void)state;
    settings->brakes_network_failures = 100;
    settings->brakes_account_failures = 60;
    guard_configure(guard, settings);
    succeeds("203.0.113.1", "taro", START_MS);
    for (int i = 0; i < 40; i++) {
        (void)snprintf(from, sizeof(from), "192.0.2.%d", i + 1);
        assert_false(fails(from, "taro", START_MS));
    }
    /* 40 of the network count as 4 of the address, 40 for the name as 13. */
    assert_int_equal(delay("192.0.2.200", "hanako", START_MS), 500);
    assert_int_equal(delay("198.51.100.1", "taro", START_MS), GUARD_DELAY_MAX_MS);
    assert_int_equal(delay("198.51.100.1", "hanako", START_MS), 0);
    /* Whoever is known is only held up for what he does himself. */
    assert_int_equal(delay("203.0.113.1", "taro", START_MS), 0);
}

static void each_ban_is_twice_as_long(void **state)
{
    struct guard_ban ban = {.until_ms = START_MS};
    int64_t length_ms = HOUR_MS;

    (void)state;
    settings->brakes_max_ban_time = 4 * HOUR_MS;
    guard_configure(guard, settings);
    for (unsigned round = 1; round <= 4; round++) {
        int64_t now_ms = ban.until_ms + 1;
        bool is_banned = false;
        for (int i = 0; i < 6; i++)
            is_banned |= fails_with("192.0.2.1", "a", now_ms, &ban);
        assert_true(is_banned);
        assert_int_equal(ban.strikes, round);
        assert_int_equal(ban.until_ms - ban.since_ms, length_ms);
        length_ms = MIN(2 * length_ms, 4 * HOUR_MS);
    }
    /* Long after, it is as new. */
    int64_t later_ms = ban.until_ms + 31 * 24 * HOUR_MS;
    for (int i = 0; i < 6; i++)
        (void)fails_with("192.0.2.1", "a", later_ms, &ban);
    assert_int_equal(ban.strikes, 1);
}

/* One /64 is one address; its neighbours in the /48 are a network. */
static void a_v6_site_is_one(void **state)
{
    char text[64];

    (void)state;
    bool is_banned = false;
    for (int i = 0; i < 6; i++) {
        (void)snprintf(text, sizeof(text), "2001:db8:1:2::%x", i + 1);
        is_banned |= fails(text, "a", START_MS);
    }
    assert_true(is_banned);
    assert_int_equal(guard_connect(guard, peer("2001:db8:1:2:ffff::9"), true, START_MS),
                     GUARD_BANNED);
    assert_int_equal(guard_connect(guard, peer("2001:db8:1:3::1"), true, START_MS), GUARD_OK);
}

static void a_network_that_goes_on_is_banned_address_by_address(void **state)
{
    char text[64], name[16];
    int banned = 0;

    (void)state;
    for (int i = 0; i < 40; i++) {
        (void)snprintf(text, sizeof(text), "198.51.100.%d", i + 1);
        (void)snprintf(name, sizeof(name), "a%d", i);
        banned += fails(text, name, START_MS);
    }
    assert_int_equal(banned, 20);
    assert_int_equal(guard_connect(guard, peer("198.51.100.1"), true, START_MS), GUARD_OK);
    assert_int_equal(guard_connect(guard, peer("198.51.100.40"), true, START_MS), GUARD_BANNED);
    assert_int_equal(guard_connect(guard, peer("198.51.101.1"), true, START_MS), GUARD_OK);
}

/* Of IPv6 there are more /64s in a /48 than there can be bans: those not known have to wait. */
static void a_v6_network_that_goes_on_has_to_wait(void **state)
{
    char text[64], name[16];
    int banned = 0, waits = 0;

    (void)state;
    succeeds("2001:db8:7:ffff::1", "taro", START_MS);
    for (int i = 0; i < 40; i++) {
        (void)snprintf(text, sizeof(text), "2001:db8:7:%x::1", i + 1);
        (void)snprintf(name, sizeof(name), "a%d", i);
        waits += login(text, name, START_MS) == GUARD_TOO_MANY;
        banned += fails(text, name, START_MS);
    }
    assert_int_equal(banned, 1);
    assert_int_equal(waits, 19);
    assert_int_equal(guard_connect(guard, peer("2001:db8:7:1::9"), true, START_MS), GUARD_OK);
    assert_int_equal(guard_connect(guard, peer("2001:db8:7:15::9"), true, START_MS), GUARD_BANNED);
    assert_int_equal(login("2001:db8:7:28::9", "b", START_MS), GUARD_TOO_MANY);
    assert_int_equal(login("2001:db8:7:ffff::9", "taro", START_MS), GUARD_OK);
    assert_int_equal(login("2001:db8:8:1::1", "b", START_MS), GUARD_OK);
    settings->brakes_network_failures = 0;
    guard_configure(guard, settings);
    assert_int_equal(login("2001:db8:7:99::1", "b", START_MS), GUARD_OK);
}

/* Many guesses that come at once are no more than one after the other. */
static void guesses_at_once_are_counted(void **state)
{
    char text[64];
    struct guard_attempt tried[200];
    struct guard_attempt token = {.peer = peer("203.0.113.9"), .name = STR("taro")};
    size_t count = 0;

    (void)state;
    for (int i = 0; i < 200; i++) {
        (void)snprintf(text, sizeof(text), "198.%d.100.1", i);
        struct guard_attempt a = attempt(text, "taro");
        if (guard_login(guard, &a, START_MS) == GUARD_OK)
            tried[count++] = a;
    }
    assert_int_equal(count, 8);
    assert_int_equal(guard_login(guard, &token, START_MS), GUARD_SLOWED);
    for (size_t i = 0; i < count; i++)
        assert_false(ends(&tried[i], i < 3 ? GUARD_SUCCEEDED : GUARD_FAILED, START_MS));
    /* What was right has given its place back; a token takes none. */
    assert_int_equal(guard_login(guard, &token, START_MS), GUARD_OK);
    assert_false(ends(&token, GUARD_SUCCEEDED, START_MS));
    for (int i = 0; i < 3; i++)
        assert_false(fails("203.0.113.1", "taro", START_MS));
    assert_int_equal(login("203.0.113.2", "taro", START_MS), GUARD_SLOWED);
    /* Who is known neither waits nor gives back what he has not taken. */
    assert_int_equal(login("198.0.100.1", "taro", START_MS), GUARD_OK);
    assert_int_equal(login("203.0.113.9", "taro", START_MS), GUARD_OK);
    assert_int_equal(login("203.0.113.2", "taro", START_MS), GUARD_SLOWED);
}

static void who_was_known_before_the_start_is_known(void **state)
{
    const int64_t day_ms = 24 * HOUR_MS;
    char text[64];

    (void)state;
    guard_know(guard, peer("192.0.2.1"), STR("taro"), START_MS - 20 * day_ms);
    guard_know(guard, peer("192.0.2.2"), STR("taro"), START_MS - 31 * day_ms);
    for (int i = 0; i < 8; i++) {
        (void)snprintf(text, sizeof(text), "198.%d.100.1", i);
        (void)fails(text, "taro", START_MS);
    }
    assert_int_equal(login("192.0.2.1", "taro", START_MS), GUARD_OK);
    assert_int_equal(login("192.0.2.2", "taro", START_MS), GUARD_SLOWED);
}

/* A table that an attack has filled still has room for the next one. */
static void a_full_table_bans_all_the_same(void **state)
{
    struct ip_addr ip = {.family = IP_V4, .bytes = {10}};
    struct guard_ban ban = {.until_ms = START_MS + HOUR_MS};

    (void)state;
    for (unsigned i = 0; i < GUARD_BANS_MAX; i++) {
        ip.bytes[1] = (uint8_t)(i >> 16);
        ip.bytes[2] = (uint8_t)(i >> 8);
        ip.bytes[3] = (uint8_t)i;
        ban.net = guard_net_of(ip_rate_key(&ip));
        ban.until_ms = START_MS + HOUR_MS + i;
        assert_int_equal(guard_add_ban(guard, &ban), 0);
    }
    for (int i = 0; i < 6; i++)
        (void)fails("198.51.100.7", "a", START_MS);
    assert_int_equal(login("198.51.100.7", "b", START_MS), GUARD_BANNED);
    assert_int_equal(guard_ban_count(guard), GUARD_BANS_MAX);
    assert_int_equal(login("10.0.0.0", "b", START_MS), GUARD_OK);
    assert_int_equal(login("10.0.0.1", "b", START_MS), GUARD_BANNED);
}

static void the_bans_of_administrators_stay(void **state)
{
    struct ip_addr ip = {.family = IP_V4, .bytes = {11}};
    struct guard_ban own = {.until_ms = INT64_MAX, .is_for_all = true};

    (void)state;
    for (unsigned i = 0; i < GUARD_BANS_MAX; i++) {
        ip.bytes[1] = (uint8_t)(i >> 16);
        ip.bytes[2] = (uint8_t)(i >> 8);
        ip.bytes[3] = (uint8_t)i;
        own.net = guard_net_of(ip_rate_key(&ip));
        assert_int_equal(guard_add_ban(guard, &own), 0);
    }
    assert_int_equal(ip_net_parse(STR("203.0.113.0/24"), &own.net), 0);
    assert_int_equal(guard_add_ban(guard, &own), -ENOSPC);
}

/* Strangers cannot lock somebody out of his account. */
static void an_account_slows_down_strangers_only(void **state)
{
    char text[64];

    (void)state;
    succeeds("203.0.113.7", "Taro@example.jp", START_MS);
    for (int i = 0; i < 9; i++) {
        (void)snprintf(text, sizeof(text), "198.51.%d.1", i);
        (void)fails(text, "taro@example.jp", START_MS + HOUR_MS);
    }
    assert_int_equal(login("198.51.77.1", "TARO@example.jp", START_MS + HOUR_MS), GUARD_SLOWED);
    /* Logins take a name with blanks around it: it is no other name. */
    assert_int_equal(login("198.51.77.1", " taro@example.jp\t", START_MS + HOUR_MS), GUARD_SLOWED);
    assert_int_equal(login("203.0.113.7", "taro@example.jp", START_MS + HOUR_MS), GUARD_OK);
    assert_int_equal(login("198.51.77.1", "hanako@example.jp", START_MS + HOUR_MS), GUARD_OK);
    assert_int_equal(login("198.51.77.1", "taro@example.jp", START_MS + 2 * HOUR_MS), GUARD_OK);
}

static void a_success_forgives_the_address(void **state)
{
    (void)state;
    for (int round = 0; round < 20; round++) {
        for (int i = 0; i < 4; i++)
            assert_false(fails("192.0.2.1", "a", START_MS + round * HOUR_MS));
        succeeds("192.0.2.1", "a", START_MS + round * HOUR_MS);
    }
}

static void exempt_networks_are_left_alone(void **state)
{
    (void)state;
    for (int i = 0; i < 1000; i++)
        assert_false(fails(i % 2 == 0 ? "127.0.0.1" : "::1", "a", START_MS));
    assert_int_equal(login("127.0.0.1", "a", START_MS), GUARD_OK);
    assert_int_equal(login("::1", "a", START_MS), GUARD_OK);
}

static int count_connections(const char *from, bool has_login, int tried)
{
    int taken = 0;

    for (int i = 0; i < tried; i++)
        taken += guard_connect(guard, peer(from), has_login, START_MS) == GUARD_OK;
    return taken;
}

/* They may come as often as they like where mail comes in, and guess passwords no more often. */
static void relays_are_not_counted_on_port_25(void **state)
{
    char v4[] = "198.51.100.0/24", v6[] = "2001:db8:5::/48", *nets[] = {v4, v6};
    struct settings_list relays = {.items = nets, .count = ARRAY_LEN(nets)};
    struct settings with_relays = *settings;
    struct guard_ban ban = {.since_ms = START_MS, .until_ms = INT64_MAX, .is_for_all = true};

    (void)state;
    with_relays.smtp_relay_networks = relays;
    with_relays.brakes_connections = 20;
    with_relays.brakes_messages = 20;
    guard_configure(guard, &with_relays);
    assert_int_equal(count_connections("198.51.100.7", false, 100), 100);
    assert_int_equal(count_connections("2001:db8:5:1::7", false, 100), 100);
    assert_int_equal(count_connections("198.51.101.7", false, 100), 20);
    assert_int_equal(count_connections("198.51.100.7", true, 100), 20);
    for (int i = 0; i < 100; i++)
        assert_int_equal(guard_message(guard, peer("198.51.100.7"), START_MS), GUARD_OK);
    for (int i = 0; i < 6; i++)
        (void)fails("198.51.100.7", "a", START_MS);
    assert_int_equal(login("198.51.100.7", "b", START_MS), GUARD_BANNED);
    /* What an administrator says holds for all. */
    assert_int_equal(ip_net_parse(STR("198.51.100.9"), &ban.net), 0);
    assert_int_equal(guard_add_ban(guard, &ban), 0);
    assert_int_equal(count_connections("198.51.100.9", false, 1), 0);
    assert_int_equal(guard_message(guard, peer("198.51.100.9"), START_MS), GUARD_BANNED);
    /* What failed logins have brought is no matter of mail. */
    assert_int_equal(guard_message(guard, peer("198.51.100.7"), START_MS), GUARD_OK);
}

static void who_connects_too_often_is_turned_away(void **state)
{
    int turned_away = 0;

    (void)state;
    for (int i = 0; i < settings->brakes_connections + 10; i++)
        turned_away += guard_connect(guard, peer("192.0.2.1"), true, START_MS) == GUARD_TOO_MANY;
    assert_int_equal(turned_away, 10);
    assert_int_equal(guard_connect(guard, peer("192.0.2.1"), true, START_MS + 60000), GUARD_OK);
}

static int count_messages(const char *from, int tried, int64_t now_ms)
{
    int taken = 0;

    for (int i = 0; i < tried; i++)
        taken += guard_message(guard, peer(from), now_ms) == GUARD_OK;
    return taken;
}

static void who_sends_too_much_is_put_off(void **state)
{
    (void)state;
    settings->brakes_messages = 20;
    guard_configure(guard, settings);
    assert_int_equal(count_messages("192.0.2.1", 30, START_MS), 20);
    assert_int_equal(count_messages("192.0.2.2", 30, START_MS), 20);
    /* One more each three seconds; all of it after a minute. */
    assert_int_equal(count_messages("192.0.2.1", 30, START_MS + 3000), 1);
    assert_int_equal(count_messages("192.0.2.1", 30, START_MS + 63000), 20);
    /* A /64 is one. */
    assert_int_equal(count_messages("2001:db8::1", 15, START_MS), 15);
    assert_int_equal(count_messages("2001:db8::ffff:0:0:2", 15, START_MS), 5);
    assert_int_equal(count_messages("2001:db8:0:1::1", 15, START_MS), 15);
    assert_int_equal(count_messages("127.0.0.1", 1000, START_MS), 1000);
    /* Connections are counted apart. */
    assert_int_equal(guard_connect(guard, peer("192.0.2.1"), false, START_MS), GUARD_OK);
    settings->brakes_messages = 0;
    guard_configure(guard, settings);
    assert_int_equal(count_messages("192.0.2.1", 1000, START_MS + 63000), 1000);
}

/* Whoever is at his limit stays there, though as many others as there may be send a message each.
 */
static void two_hundred_thousand_senders(void **state)
{
    struct ip_addr ip = {.family = IP_V4, .bytes = {10}};

    (void)state;
    settings->brakes_messages = 60;
    guard_configure(guard, settings);
    assert_int_equal(count_messages("192.0.2.1", 100, START_MS), 60);
    for (unsigned i = 0; i < 200000; i++) {
        ip.bytes[1] = (uint8_t)(i >> 16);
        ip.bytes[2] = (uint8_t)(i >> 8);
        ip.bytes[3] = (uint8_t)i;
        assert_int_equal(guard_message(guard, ip_rate_key(&ip), START_MS + i / 1000), GUARD_OK);
        assert_int_equal(guard_connect(guard, ip_rate_key(&ip), false, START_MS + i / 1000),
                         GUARD_OK);
    }
    assert_int_equal(count_messages("192.0.2.1", 100, START_MS + 200), 0);
}

static void administrators_ban_and_lift(void **state)
{
    struct guard_ban ban = {
        .since_ms = START_MS, .until_ms = INT64_MAX, .strikes = 1, .is_for_all = true};

    (void)state;
    assert_int_equal(ip_net_parse(STR("203.0.112.0/23"), &ban.net), 0);
    assert_int_equal(guard_add_ban(guard, &ban), 0);
    assert_int_equal(guard_connect(guard, peer("203.0.113.9"), true, START_MS), GUARD_BANNED);
    assert_int_equal(guard_connect(guard, peer("203.0.113.9"), false, START_MS), GUARD_BANNED);
    assert_int_equal(guard_connect(guard, peer("203.0.114.9"), true, START_MS), GUARD_OK);
    assert_true(guard_remove_ban(guard, &ban.net));
    assert_false(guard_remove_ban(guard, &ban.net));
    assert_int_equal(guard_connect(guard, peer("203.0.113.9"), true, START_MS), GUARD_OK);
    /* What is lifted is forgotten: it takes as many failures as before. */
    for (int i = 0; i < 6; i++)
        (void)fails("192.0.2.1", "a", START_MS);
    assert_int_equal(ip_net_parse(STR("192.0.2.1"), &ban.net), 0);
    assert_true(guard_remove_ban(guard, &ban.net));
    assert_int_equal(guard_ban_count(guard), 0);
    for (int i = 0; i < 5; i++)
        assert_false(fails("192.0.2.1", "b", START_MS));
}

/* Memory stays as it is, and the newest bans have their place. */
static void two_hundred_thousand_attackers(void **state)
{
    struct ip_addr ip = {.family = IP_V4};
    struct guard_ban ban;

    (void)state;
    settings->brakes_failures = 1;
    settings->brakes_ban_time = 60000;
    guard_configure(guard, settings);
    for (unsigned i = 0; i < 200000; i++) {
        ip.bytes[0] = 10;
        ip.bytes[1] = (uint8_t)(i >> 16);
        ip.bytes[2] = (uint8_t)(i >> 8);
        ip.bytes[3] = (uint8_t)i;
        int64_t now_ms = START_MS + i * 10;
        struct guard_attempt a = {.peer = ip_rate_key(&ip), .name = STR("a"), .is_guess = true};
        (void)guard_note_login(guard, &a, GUARD_FAILED, now_ms, &ban);
        (void)guard_note_login(guard, &a, GUARD_FAILED, now_ms, &ban);
        assert_true(guard_ban_count(guard) <= GUARD_BANS_MAX);
    }
    assert_int_equal(guard_connect(guard, ip_rate_key(&ip), true, START_MS + 199999 * 10),
                     GUARD_BANNED);
}

#define GUARD_TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        GUARD_TEST(an_address_is_banned_and_others_are_not),
        GUARD_TEST(answers_take_longer_and_longer),
        GUARD_TEST(networks_and_strangers_of_an_account_are_held_up_too),
        GUARD_TEST(each_ban_is_twice_as_long),
        GUARD_TEST(a_v6_site_is_one),
        GUARD_TEST(a_network_that_goes_on_is_banned_address_by_address),
        GUARD_TEST(a_v6_network_that_goes_on_has_to_wait),
        GUARD_TEST(guesses_at_once_are_counted),
        GUARD_TEST(who_was_known_before_the_start_is_known),
        GUARD_TEST(a_full_table_bans_all_the_same),
        GUARD_TEST(the_bans_of_administrators_stay),
        GUARD_TEST(an_account_slows_down_strangers_only),
        GUARD_TEST(a_success_forgives_the_address),
        GUARD_TEST(exempt_networks_are_left_alone),
        GUARD_TEST(relays_are_not_counted_on_port_25),
        GUARD_TEST(who_connects_too_often_is_turned_away),
        GUARD_TEST(who_sends_too_much_is_put_off),
        GUARD_TEST(two_hundred_thousand_senders),
        GUARD_TEST(administrators_ban_and_lift),
        GUARD_TEST(two_hundred_thousand_attackers),
    };

    return cmocka_run_group_tests_name("guard", tests, NULL, NULL);
}
