/* Unit tests of values and suggestions: each test is named as the sentence it proves. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "conf/suggest.h"
#include "conf/value.h"

static void assert_text(struct buf *b, const char *expected)
{
    assert_string_equal(buf_c_str(b), expected);
    buf_done(b);
}

static void truth_has_six_words(void **state)
{
    bool is_true;

    (void)state;
    assert_int_equal(value_parse_bool(STR("Yes"), &is_true), 0);
    assert_true(is_true);
    assert_int_equal(value_parse_bool(STR("on"), &is_true), 0);
    assert_true(is_true);
    assert_int_equal(value_parse_bool(STR("false"), &is_true), 0);
    assert_false(is_true);
    assert_int_equal(value_parse_bool(STR("off"), &is_true), 0);
    assert_false(is_true);
    assert_int_equal(value_parse_bool(STR("1"), &is_true), -EINVAL);
    assert_int_equal(value_parse_bool(STR(""), &is_true), -EINVAL);
}

static void whole_numbers_are_decimal(void **state)
{
    static const struct {
        const char *text;
        int rc;
        int64_t value;
    } rows[] = {
        {"0", 0, 0},
        {"42", 0, 42},
        {"-7", 0, -7},
        {"9223372036854775807", 0, INT64_MAX},
        {"9223372036854775808", -ERANGE, 0},
        {"99999999999999999999", -ERANGE, 0},
        {"", -EINVAL, 0},
        {"-", -EINVAL, 0},
        {"--1", -EINVAL, 0},
        {"+1", -EINVAL, 0},
        {"1k", -EINVAL, 0},
        {"1.5", -EINVAL, 0},
        {"0x10", -EINVAL, 0},
        {" 1", -EINVAL, 0},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        int64_t value = 0;
        assert_int_equal(value_parse_int(str_from_c(rows[i].text), &value), rows[i].rc);
        if (rows[i].rc == 0)
            assert_int_equal(value, rows[i].value);
    }
}

static void sizes_are_powers_of_1024(void **state)
{
    static const struct {
        const char *text;
        int rc;
        uint64_t value;
        const char *shortest;
    } rows[] = {
        {"0", 0, 0, "0"},
        {"1000", 0, 1000, "1000"},
        {"50M", 0, 50ULL << 20, "50M"},
        {"50m", 0, 50ULL << 20, "50M"},
        {"64KB", 0, 64ULL << 10, "64K"},
        {"2gib", 0, 2ULL << 30, "2G"},
        {"1T", 0, 1ULL << 40, "1T"},
        {"1024K", 0, 1ULL << 20, "1M"},
        {"16777215T", 0, 16777215ULL << 40, "16777215T"},
        {"16777216T", -ERANGE, 0, NULL},
        {"99999999999999999999", -ERANGE, 0, NULL},
        {"1x", -EINVAL, 0, NULL},
        {"1 M", -EINVAL, 0, NULL},
        {"1.5M", -EINVAL, 0, NULL},
        {"M", -EINVAL, 0, NULL},
        {"-1", -EINVAL, 0, NULL},
        {"1Kb2", -EINVAL, 0, NULL},
        {"1B", -EINVAL, 0, NULL},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        uint64_t value = 1;
        struct buf b;
        assert_int_equal(value_parse_size(str_from_c(rows[i].text), &value), rows[i].rc);
        if (rows[i].rc < 0)
            continue;
        assert_true(value == rows[i].value);
        buf_init(&b, 100);
        value_format_size(value, &b);
        assert_text(&b, rows[i].shortest);
    }
}

static void durations_need_a_unit(void **state)
{
    static const struct {
        const char *text;
        int rc;
        int64_t value;
        const char *shortest;
    } rows[] = {
        {"0", 0, 0, "0"},
        {"0s", 0, 0, "0"},
        {"250ms", 0, 250, "250ms"},
        {"1s", 0, 1000, "1s"},
        {"5min", 0, 300000, "5min"},
        {"300s", 0, 300000, "5min"},
        {"90min", 0, 5400000, "90min"},
        {"2H", 0, 7200000, "2h"},
        {"14d", 0, 1209600000, "14d"},
        {"5", -EINVAL, 0, NULL},
        {"5m", -EINVAL, 0, NULL},
        {"5w", -EINVAL, 0, NULL},
        {"5 s", -EINVAL, 0, NULL},
        {"1h30min", -EINVAL, 0, NULL},
        {"-1s", -EINVAL, 0, NULL},
        {"s", -EINVAL, 0, NULL},
        {"", -EINVAL, 0, NULL},
        {"106751991168d", -ERANGE, 0, NULL},
        {"99999999999999999999s", -ERANGE, 0, NULL},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        int64_t value = 1;
        struct buf b;
        assert_int_equal(value_parse_duration(str_from_c(rows[i].text), &value), rows[i].rc);
        if (rows[i].rc < 0)
            continue;
        assert_true(value == rows[i].value);
        buf_init(&b, 100);
        value_format_duration(value, &b);
        assert_text(&b, rows[i].shortest);
    }
}

static void listen_addresses_are_numbers(void **state)
{
    static const struct {
        const char *text;
        int rc;
        const char *address;
        unsigned port;
        bool is_ipv6;
    } rows[] = {
        {"0.0.0.0:25", 0, "0.0.0.0", 25, false},
        {"[::]:25", 0, "::", 25, true},
        {"[2001:db8::1]:65535", 0, "2001:db8::1", 65535, true},
        {"127.0.0.1:0", -ERANGE, NULL, 0, false},
        {"127.0.0.1:65536", -ERANGE, NULL, 0, false},
        {"127.0.0.1:025", -EINVAL, NULL, 0, false},
        {"127.0.0.1:", -EINVAL, NULL, 0, false},
        {"127.0.0.1", -EINVAL, NULL, 0, false},
        {"127.0.0:25", -EINVAL, NULL, 0, false},
        {"::1:25", -EINVAL, NULL, 0, false},
        {"[127.0.0.1]:25", -EINVAL, NULL, 0, false},
        {"[]:25", -EINVAL, NULL, 0, false},
        {"[:25", -EINVAL, NULL, 0, false},
        {"*:25", -EINVAL, NULL, 0, false},
        {"localhost:25", -EINVAL, NULL, 0, false},
        {":25", -EINVAL, NULL, 0, false},
        {":", -EINVAL, NULL, 0, false},
        {"", -EINVAL, NULL, 0, false},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct value_listen parsed;
        assert_int_equal(value_parse_listen(str_from_c(rows[i].text), &parsed), rows[i].rc);
        if (rows[i].rc < 0)
            continue;
        assert_string_equal(parsed.address, rows[i].address);
        assert_int_equal(parsed.port, rows[i].port);
        assert_int_equal(parsed.is_ipv6, rows[i].is_ipv6);
    }
    struct value_listen parsed;
    assert_int_equal(value_parse_listen(STR("127.0.0.1\0:25"), &parsed), -EINVAL);
}

static void networks_have_no_bits_after_the_prefix(void **state)
{
    static const struct {
        const char *text;
        int rc;
        const char *normal;
    } rows[] = {
        {"192.0.2.0/24", 0, "192.0.2.0/24"},
        {"192.0.2.7", 0, "192.0.2.7/32"},
        {"10.0.0.0/8", 0, "10.0.0.0/8"},
        {"0.0.0.0/0", 0, "0.0.0.0/0"},
        {"2001:DB8::/32", 0, "2001:db8::/32"},
        {"2001:db8::1", 0, "2001:db8::1/128"},
        {"192.0.2.7/24", -EDOM, "192.0.2.0/24"},
        {"10.1.2.3/9", -EDOM, "10.0.0.0/9"},
        {"2001:db8::1/127", -EDOM, "2001:db8::/127"},
        {"192.0.2.0/33", -ERANGE, NULL},
        {"::/129", -ERANGE, NULL},
        {"192.0.2.0/", -EINVAL, NULL},
        {"192.0.2.0/08", -EINVAL, NULL},
        {"192.0.2.0/-1", -EINVAL, NULL},
        {"192.0.2.0/24/8", -EINVAL, NULL},
        {"192.0.2/24", -EINVAL, NULL},
        {"[::1]", -EINVAL, NULL},
        {"/24", -EINVAL, NULL},
        {"", -EINVAL, NULL},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct value_network parsed;
        struct buf b;
        assert_int_equal(value_parse_network(str_from_c(rows[i].text), &parsed), rows[i].rc);
        if (rows[i].normal == NULL)
            continue;
        buf_init(&b, 100);
        value_format_network(&parsed, &b);
        assert_text(&b, rows[i].normal);
    }
}

static void names_and_paths_have_their_forms(void **state)
{
    char label[66] = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.b";

    (void)state;
    assert_true(value_is_hostname(STR("mx.example.org")));
    assert_true(value_is_hostname(STR("MX-1.xn--wgv71a.jp")));
    assert_true(value_is_hostname(str_from_c(label)));
    label[63] = 'a';
    assert_false(value_is_hostname(str_from_c(label)));
    assert_false(value_is_hostname(STR("localhost")));
    assert_false(value_is_hostname(STR("mx.example.org.")));
    assert_false(value_is_hostname(STR("192.0.2.1")));
    assert_false(value_is_hostname(STR("mx..org")));
    assert_false(value_is_hostname(STR("-mx.example.org")));
    assert_false(value_is_hostname(STR("mx_1.example.org")));
    assert_false(value_is_hostname(STR("")));
    assert_true(value_is_path(STR("/var/lib/hikyaku")));
    assert_true(value_is_path(STR("/srv/mail/")));
    assert_false(value_is_path(STR("/")));
    assert_false(value_is_path(STR("var/lib")));
    assert_false(value_is_path(STR("/var/../etc")));
    assert_false(value_is_path(STR("/var//lib")));
    assert_false(value_is_path(STR("/var\n/lib")));
    assert_true(value_is_user(STR("_hikyaku-2")));
    assert_false(value_is_user(STR("Hikyaku")));
    assert_false(value_is_user(STR("0day")));
    assert_true(value_is_separators(STR("+-=")));
    assert_true(value_is_separators(STR("")));
    assert_false(value_is_separators(STR("++")));
    assert_false(value_is_separators(STR("@")));
    assert_false(value_is_separators(STR(".")));
    assert_false(value_is_separators(STR("a")));
    assert_true(value_is_printable(STR("Hikyaku (test)")));
    assert_false(value_is_printable(STR("Hikyaku\r")));
    assert_false(value_is_printable(STR("\xE9\xA3\x9B")));
}

static void quoted_text_is_escaped(void **state)
{
    struct buf b;

    (void)state;
    buf_init(&b, 100);
    value_format_quoted(STR("a\"b\\c\nd"), &b);
    assert_text(&b, "\"a\\\"b\\\\c\\u000ad\"");
}

static void distance_counts_edits_up_to_a_bound(void **state)
{
    (void)state;
    assert_int_equal(suggest_distance(STR("abc"), STR("ABC"), 3), 0);
    assert_int_equal(suggest_distance(STR("abc"), STR("acb"), 3), 1);
    assert_int_equal(suggest_distance(STR("abc"), STR("ab"), 3), 1);
    assert_int_equal(suggest_distance(STR("abc"), STR("abcd"), 3), 1);
    assert_int_equal(suggest_distance(STR("abc"), STR("axc"), 3), 1);
    assert_int_equal(suggest_distance(STR("ca"), STR("abc"), 3), 3);
    assert_int_equal(suggest_distance(STR(""), STR("abc"), 3), 3);
    assert_int_equal(suggest_distance(STR("abc"), STR(""), 3), 3);
    assert_int_equal(suggest_distance(STR(""), STR(""), 3), 0);
    assert_int_equal(suggest_distance(STR("kitten"), STR("sitting"), 3), 3);
    assert_int_equal(suggest_distance(STR("kitten"), STR("sitting"), 2), 3);
    assert_int_equal(suggest_distance(STR("abcdefgh"), STR("stuvwxyz"), 2), 3);
}

static void suggestion_is_the_nearest_name(void **state)
{
    static const char *const names[] = {"max_errors", "max_received", "max_recipients"};
    char longest[101] = "";

    (void)state;
    assert_string_equal(suggest_nearest(STR("max_eror"), names, 3, 3), "max_errors");
    assert_string_equal(suggest_nearest(STR("max_recieved"), names, 3, 3), "max_received");
    assert_null(suggest_nearest(STR("hostname"), names, 3, 3));
    for (size_t i = 0; i < 100; i++)
        longest[i] = 'm';
    assert_null(suggest_nearest(str_from_c(longest), names, 3, 3));
    assert_null(suggest_nearest(STR("max_errors"), names, 0, 3));
}

static void servers_are_addresses_with_or_without_a_port(void **state)
{
    static const struct {
        const char *text;
        int rc;
        const char *address;
        bool is_ipv6;
        uint16_t port;
    } rows[] = {
        {"192.0.2.53", 0, "192.0.2.53", false, 53},
        {"192.0.2.53@5353", 0, "192.0.2.53", false, 5353},
        {"2001:db8::53", 0, "2001:db8::53", true, 53},
        {"::1@65535", 0, "::1", true, 65535},
        {"::1@65536", -ERANGE, "", false, 0},
        {"::1@0", -ERANGE, "", false, 0},
        {"::1@", -EINVAL, "", false, 0},
        {"::1@053", -EINVAL, "", false, 0},
        {"[::1]", -EINVAL, "", false, 0},
        {"192.0.2.53:53", -EINVAL, "", false, 0},
        {"192.0.2", -EINVAL, "", false, 0},
        {"dns.example", -EINVAL, "", false, 0},
        {"@53", -EINVAL, "", false, 0},
        {"", -EINVAL, "", false, 0},
        {"1.1.1.1@53@53", -EINVAL, "", false, 0},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct value_server server;
        int rc = value_parse_server(str_from_c(rows[i].text), &server);
        if (rc != rows[i].rc)
            fail_msg("%s gives %d", rows[i].text, rc);
        if (rc < 0)
            continue;
        assert_string_equal(server.address, rows[i].address);
        assert_int_equal(server.is_ipv6, rows[i].is_ipv6);
        assert_int_equal(server.port, rows[i].port);
    }
}

static void stub_zones_are_a_zone_and_a_server(void **state)
{
    struct value_stub stub;

    (void)state;
    assert_int_equal(value_parse_stub(STR("Corp.example. 10.0.0.53@54"), &stub), 0);
    assert_true(str_eq(stub.zone, STR("Corp.example.")));
    assert_string_equal(stub.server.address, "10.0.0.53");
    assert_int_equal(stub.server.port, 54);
    assert_int_equal(value_parse_stub(STR("  corp   ::1  "), &stub), 0);
    assert_true(str_eq(stub.zone, STR("corp")));
    assert_int_equal(value_parse_stub(STR(". ::1"), &stub), 0);
    assert_int_equal(value_parse_stub(STR("2.0.192.in-addr.arpa ::1"), &stub), 0);
    assert_int_equal(value_parse_stub(STR("corp.example"), &stub), -EINVAL);
    assert_int_equal(value_parse_stub(STR("corp..example ::1"), &stub), -EINVAL);
    assert_int_equal(value_parse_stub(STR("corp.example ::1 ::2"), &stub), -EINVAL);
    assert_int_equal(value_parse_stub(STR("::1"), &stub), -EINVAL);
    assert_int_equal(value_parse_stub(STR(""), &stub), -EINVAL);
}

static void hosts_have_ports_weights_and_backups(void **state)
{
    static const struct {
        const char *text;
        int rc;
        const char *name;
        uint16_t port;
        uint32_t weight;
        bool is_backup, is_address;
    } rows[] = {
        {"mail.example.org", 0, "mail.example.org", 25, 1, false, false},
        {"mailhub", 0, "mailhub", 25, 1, false, false},
        {"mail.example.org:587", 0, "mail.example.org", 587, 1, false, false},
        {"192.0.2.1", 0, "192.0.2.1", 25, 1, false, true},
        {"192.0.2.1:2525 weight=3", 0, "192.0.2.1", 2525, 3, false, true},
        {"[2001:db8::1]", 0, "2001:db8::1", 25, 1, false, true},
        {"[2001:db8::1]:26  weight=1000   backup ", 0, "2001:db8::1", 26, 1000, true, true},
        {"a.example BACKUP Weight=2", 0, "a.example", 25, 2, true, false},
        {"a.example weight=0", -ERANGE, "", 0, 0, false, false},
        {"a.example weight=1001", -ERANGE, "", 0, 0, false, false},
        {"a.example weight=", -EINVAL, "", 0, 0, false, false},
        {"a.example weight=1 weight=1", -EINVAL, "", 0, 0, false, false},
        {"a.example backup backup", -EINVAL, "", 0, 0, false, false},
        {"a.example other", -EINVAL, "", 0, 0, false, false},
        {"a.example:", -EINVAL, "", 0, 0, false, false},
        {"a.example:0", -ERANGE, "", 0, 0, false, false},
        {"2001:db8::1", -EINVAL, "", 0, 0, false, false},
        {"[2001:db8::1", -EINVAL, "", 0, 0, false, false},
        {"[2001:db8::1]26", -EINVAL, "", 0, 0, false, false},
        {"[mail.example.org]", -EINVAL, "", 0, 0, false, false},
        {"[]", -EINVAL, "", 0, 0, false, false},
        {"192.0.2", -EINVAL, "", 0, 0, false, false},
        {"-a.example", -EINVAL, "", 0, 0, false, false},
        {"", -EINVAL, "", 0, 0, false, false},
        {" weight=1", -EINVAL, "", 0, 0, false, false},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct value_host host;
        int rc = value_parse_host(str_from_c(rows[i].text), &host);
        if (rc != rows[i].rc)
            fail_msg("%s gives %d", rows[i].text, rc);
        if (rc < 0)
            continue;
        assert_true(str_eq_c(host.name, rows[i].name));
        assert_int_equal(host.port, rows[i].port);
        assert_int_equal(host.weight, rows[i].weight);
        assert_int_equal(host.is_backup, rows[i].is_backup);
        assert_int_equal(host.is_address, rows[i].is_address);
    }
}

static void senders_are_a_login_and_an_address(void **state)
{
    static const struct {
        const char *text;
        bool is_good;
    } rows[] = {
        {"www-data shop@example.org", true},
        {"www-data  a.b+c@localhost", true},
        {"www-data", false},
        {"shop@example.org", false},
        {"www-data shop@", false},
        {"www-data @example.org", false},
        {"www-data a..b@example.org", false},
        {"www-data .a@example.org", false},
        {"www-data \"a b\"@example.org", false},
        {"www-data a@b@example.org", false},
        {"www-data a@example.org b@example.org", false},
        {"WWW a@example.org", false},
        {"", false},
    };
    struct value_sender sender;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        int rc = value_parse_sender(str_from_c(rows[i].text), &sender);
        if (rc != (rows[i].is_good ? 0 : -EINVAL))
            fail_msg("%s gives %d", rows[i].text, rc);
    }
    assert_int_equal(value_parse_sender(STR("git ci@example.org"), &sender), 0);
    assert_true(str_eq(sender.login, STR("git")));
    assert_true(str_eq(sender.address, STR("ci@example.org")));
}

static void records_look_like_those_of_a_zone_file(void **state)
{
    static const struct {
        const char *text;
        bool is_good;
    } rows[] = {
        {"osaka.example 60 MX 10 mx.osaka.example", true},
        {"osaka.example. MX 10 mx.osaka.example.", true},
        {"osaka.example IN A 192.0.2.1", true},
        {"osaka.example 0 in TYPE65 \\# 0", true},
        {"_25._tcp.mx.example 2147483647 TLSA 3 1 1 abcd", true},
        {"*.example TXT \"v=spf1 -all\"", true},
        {". 60 NS ns.example", true},
        {"osaka.example 60 MX", false},
        {"osaka.example 60", false},
        {"osaka.example", false},
        {"osaka.example 2147483648 A 192.0.2.1", false},
        {"osaka.example 60s A 192.0.2.1", false},
        {"osaka..example A 192.0.2.1", false},
        {"osaka.example A\t192.0.2.1", false},
        {"osaka.example IN", false},
        {"osaka.example 60 60 A", false},
        {"osaka,example A 192.0.2.1", false},
        {"", false},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (value_is_record(str_from_c(rows[i].text)) != rows[i].is_good)
            fail_msg("%s", rows[i].text);
    }
}

static void patterns_are_of_domains_or_of_senders(void **state)
{
    static const struct {
        const char *text;
        bool is_domain, is_sender;
    } rows[] = {
        {"example.org", true, true},
        {"localhost", true, true},
        {"*.example.org", true, true},
        {"xn--r8jz45g.jp", true, true},
        {"*", true, true},
        {"<>", false, true},
        {"user@example.org", false, true},
        {"user@*.example.org", false, false},
        {"*@example.org", false, false},
        {"@example.org", false, false},
        {"user@", false, false},
        {"*.*.org", false, false},
        {"a.*.org", false, false},
        {"*.", false, false},
        {"**", false, false},
        {".example.org", false, false},
        {"example.org.", false, false},
        {"192.0.2.1", false, false},
        {"<user@example.org>", false, false},
        {"\xE4\xBE\x8B.jp", false, false},
        {"", false, false},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct str text = str_from_c(rows[i].text);
        if (value_is_domain_pattern(text) != rows[i].is_domain ||
            value_is_sender_pattern(text) != rows[i].is_sender)
            fail_msg("%s", rows[i].text);
    }
    assert_true(value_is_section_label(STR("a.B-9_")));
    assert_false(value_is_section_label(STR("")));
    assert_false(value_is_section_label(STR("a b")));
    assert_false(value_is_section_label(STR("a/b")));
    assert_false(value_is_section_label(
        STR("12345678901234567890123456789012345678901234567890123456789012345")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(truth_has_six_words),
        cmocka_unit_test(whole_numbers_are_decimal),
        cmocka_unit_test(sizes_are_powers_of_1024),
        cmocka_unit_test(durations_need_a_unit),
        cmocka_unit_test(listen_addresses_are_numbers),
        cmocka_unit_test(networks_have_no_bits_after_the_prefix),
        cmocka_unit_test(names_and_paths_have_their_forms),
        cmocka_unit_test(quoted_text_is_escaped),
        cmocka_unit_test(distance_counts_edits_up_to_a_bound),
        cmocka_unit_test(suggestion_is_the_nearest_name),
        cmocka_unit_test(servers_are_addresses_with_or_without_a_port),
        cmocka_unit_test(stub_zones_are_a_zone_and_a_server),
        cmocka_unit_test(hosts_have_ports_weights_and_backups),
        cmocka_unit_test(senders_are_a_login_and_an_address),
        cmocka_unit_test(records_look_like_those_of_a_zone_file),
        cmocka_unit_test(patterns_are_of_domains_or_of_senders),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
