/* Unit tests of ip.h. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/ip.h"

static struct ip_addr ip_of(const char *text)
{
    struct ip_addr ip = {.family = IP_NONE};

    assert_int_equal(ip_parse(str_from_c(text), &ip), 0);
    return ip;
}

static void addresses_are_parsed_and_printed_in_one_form(void **state)
{
    static const struct {
        const char *text, *printed;
        enum ip_family family;
    } cases[] = {
        {"192.0.2.1", "192.0.2.1", IP_V4},
        {"0.0.0.0", "0.0.0.0", IP_V4},
        {"255.255.255.255", "255.255.255.255", IP_V4},
        {"::", "::", IP_V6},
        {"2001:DB8:0:0:0::1", "2001:db8::1", IP_V6},
        {"::ffff:192.0.2.1", "::ffff:192.0.2.1", IP_V6},
        {"1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8", IP_V6},
        {"0000:0000:0000:0000:0000:ffff:192.0.2.1", "::ffff:192.0.2.1", IP_V6},
    };
    char out[IP_TEXT_BYTES];
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct ip_addr ip = ip_of(cases[i].text);
        assert_int_equal(ip.family, cases[i].family);
        assert_string_equal(ip_print(&ip, out), cases[i].printed);
    }
    struct ip_addr none = {.family = IP_NONE};
    assert_string_equal(ip_print(&none, out), "-");
}

static void what_is_no_address_is_refused(void **state)
{
    static const struct str cases[] = {
        {"", 0},
        {"1.2.3", 5},
        {"1.2.3.4.5", 9},
        {"1.2.3.256", 9},
        {"01.2.3.4", 8},
        {" 1.2.3.4", 8},
        {"1.2.3.4 ", 8},
        {"1.2.3.4\0", 8},
        {":::", 3},
        {"1::2::3", 7},
        {"fe80::1%eth0", 12},
        {"12345::", 7},
        {"[::1]", 5},
        {"0x7f.1", 6},
        {"0000:0000:0000:0000:0000:0000:0000:0000:0000:0000", 49},
    };
    struct ip_addr ip;
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_int_equal(ip_parse(cases[i], &ip), -EINVAL);
}

static void peers_of_dual_stack_sockets_are_unmapped(void **state)
{
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};
    struct sockaddr_in in = {.sin_family = AF_INET};
    struct sockaddr other = {.sa_family = AF_UNIX};
    (void)state;

    assert_int_equal(inet_pton(AF_INET6, "::ffff:192.0.2.9", &in6.sin6_addr), 1);
    assert_int_equal(inet_pton(AF_INET, "192.0.2.9", &in.sin_addr), 1);
    struct ip_addr a = ip_from_sockaddr((const struct sockaddr *)(const void *)&in6);
    struct ip_addr b = ip_from_sockaddr((const struct sockaddr *)(const void *)&in);
    assert_int_equal(a.family, IP_V4);
    assert_true(ip_eq(&a, &b));
    assert_int_equal(ip_from_sockaddr(&other).family, IP_NONE);
}

static void networks_contain_what_their_prefix_says(void **state)
{
    static const struct {
        const char *net, *ip;
        bool is_inside;
    } cases[] = {
        {"192.0.2.0/24", "192.0.2.255", true},
        {"192.0.2.0/24", "192.0.3.0", false},
        {"192.0.2.77/24", "192.0.2.1", true},
        {"192.0.2.0/24", "::ffff:192.0.2.1", true},
        {"::ffff:192.0.2.0/120", "192.0.2.200", true},
        {"192.0.2.1", "192.0.2.1", true},
        {"192.0.2.1", "192.0.2.2", false},
        {"0.0.0.0/0", "203.0.113.9", true},
        {"0.0.0.0/0", "2001:db8::1", false},
        {"::/0", "2001:db8::1", true},
        {"::/0", "192.0.2.1", false},
        {"10.0.0.0/9", "10.127.255.255", true},
        {"10.0.0.0/9", "10.128.0.0", false},
        {"2001:db8::/33", "2001:db8:7fff::1", true},
        {"2001:db8::/33", "2001:db8:8000::1", false},
        {"2001:db8::1/128", "2001:db8:0:0::1", true},
        {"2001:db8::1/128", "2001:db8::2", false},
    };
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct ip_net net;
        assert_int_equal(ip_net_parse(str_from_c(cases[i].net), &net), 0);
        struct ip_addr ip = ip_of(cases[i].ip);
        assert_int_equal(ip_net_contains(&net, &ip), cases[i].is_inside);
    }
}

static void what_is_no_network_is_refused(void **state)
{
    static const char *const cases[] = {
        "",       "/",     "192.0.2.0/", "192.0.2.0/33", "1.2.3.4/-1",       "1.2.3.4/8/8",
        "::/129", "::/ 1", "/24",        "1.2.3/24",     "1.2.3.4/255.0.0.0"};
    struct ip_net net;
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_int_equal(ip_net_parse(str_from_c(cases[i]), &net), -EINVAL);
}

static void rate_keys_are_v4_hosts_and_v6_slash_64(void **state)
{
    (void)state;
    struct ip_addr a = ip_of("192.0.2.1"), b = ip_of("192.0.2.2"),
                   mapped = ip_of("::ffff:192.0.2.1");
    struct ip_addr c = ip_of("2001:db8::1"), d = ip_of("2001:db8::ffff:1"),
                   e = ip_of("2001:db8:0:1::1");
    struct ip_addr f = ip_of("c000:201::");

    assert_true(ip_rate_key(&a).prefix == 0xc000020100000000);
    assert_true(ip_rate_key(&a).prefix != ip_rate_key(&b).prefix);
    assert_true(ip_rate_key(&a).prefix == ip_rate_key(&mapped).prefix);
    assert_int_equal(ip_rate_key(&mapped).family, 4);
    assert_true(ip_rate_key(&c).prefix == ip_rate_key(&d).prefix);
    assert_true(ip_rate_key(&c).prefix != ip_rate_key(&e).prefix);
    assert_true(ip_rate_key(&f).prefix == ip_rate_key(&a).prefix);
    assert_true(ip_rate_key(&f).family != ip_rate_key(&a).family);
}

static void loopback_is_known_in_all_forms(void **state)
{
    (void)state;
    static const char *const loops[] = {"127.0.0.1", "127.255.0.3", "::1", "::ffff:127.0.0.1"};
    struct ip_addr other = ip_of("128.0.0.1"), any = ip_of("::");

    for (size_t i = 0; i < ARRAY_LEN(loops); i++) {
        struct ip_addr ip = ip_of(loops[i]);
        assert_true(ip_is_loopback(&ip));
    }
    assert_false(ip_is_loopback(&other));
    assert_false(ip_is_loopback(&any));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_are_parsed_and_printed_in_one_form),
        cmocka_unit_test(what_is_no_address_is_refused),
        cmocka_unit_test(peers_of_dual_stack_sockets_are_unmapped),
        cmocka_unit_test(networks_contain_what_their_prefix_says),
        cmocka_unit_test(what_is_no_network_is_refused),
        cmocka_unit_test(rate_keys_are_v4_hosts_and_v6_slash_64),
        cmocka_unit_test(loopback_is_known_in_all_forms),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
