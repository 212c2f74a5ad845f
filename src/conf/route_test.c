/* Unit tests of routes and destinations: each test is named as the sentence it proves. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "conf/route.h"

enum { ERRORS_MAX_BYTES = 1 << 16 };

static void assert_loads(const char *path, struct settings **out)
{
    struct buf errors;

    buf_init(&errors, ERRORS_MAX_BYTES);
    int rc = settings_load(path, out, &errors);
    assert_string_equal(buf_c_str(&errors), "");
    assert_int_equal(rc, 0);
    buf_done(&errors);
}

/* A file with the text; the caller frees what it loads as. */
static struct settings *load(const char *text)
{
    char path[] = "/tmp/hikyaku-route-XXXXXX";
    struct settings *s;
    CLEANUP(cleanup_close) int fd = mkstemp(path);
    CLEANUP(cleanup_free) char *whole = xasprintf("server.hostname = mx.example.org\n%s", text);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, whole, strlen(whole)), strlen(whole));
    assert_loads(path, &s);
    assert_int_equal(unlink(path), 0);
    return s;
}

static void patterns_match_names_and_what_is_below_them(void **state)
{
    static const struct {
        const char *pattern;
        const char *name;
        bool is_match;
    } rows[] = {
        {"example.org", "example.org", true},
        {"example.org", "EXAMPLE.ORG", true},
        {"Example.Org", "example.org", true},
        {"example.org", "a.example.org", false},
        {"example.org", "example.org.", false},
        {"example.org", "example.or", false},
        {"example.org", "badexample.org", false},
        {"example.org", "", false},
        {"*.example.org", "a.example.org", true},
        {"*.example.org", "b.a.EXAMPLE.org", true},
        {"*.example.org", "example.org", false},
        {"*.example.org", ".example.org", false},
        {"*.example.org", "badexample.org", false},
        {"*.example.org", "a.example.org.net", false},
        {"*", "example.org", true},
        {"*", "[192.0.2.1]", true},
        {"*", "", true},
        {"", "example.org", false},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        bool is_match =
            route_pattern_matches(str_from_c(rows[i].pattern), str_from_c(rows[i].name));
        if (is_match != rows[i].is_match)
            fail_msg("\"%s\" and \"%s\"", rows[i].pattern, rows[i].name);
    }
    assert_true(route_pattern_matches(STR("*"), STR_NONE));
    assert_false(route_pattern_matches(STR("*.a"), STR_NONE));
}

static void the_first_route_that_matches_both_ends_counts(void **state)
{
    static const struct {
        const char *sender;
        const char *domain;
        const char *route; /* NULL: none */
    } rows[] = {
        {"anna@example.org", "campus.example", "campus"},
        {"", "campus.example", "campus"},
        {"anna@example.org", "LAB.campus.example", "campus"},
        {"shop@example.org", "campus.example", "campus"},
        {"shop@example.org", "gmail.com", "shop"},
        {"SHOP@Example.org", "gmail.com", "shop"},
        {"other@example.org", "gmail.com", NULL},
        {"shop@news.example.org", "gmail.com", "newsletter"},
        {"x@a.news.example.org", "gmail.com", "newsletter"},
        {"", "bounces.example", "notices"},
        {"anna@example.org", "bounces.example", NULL},
        {"", "gmail.com", NULL},
        {"anna@all.example", "gmail.com", "rest"},
        {"\"a@b\"@all.example", "gmail.com", "rest"},
        {"anna@all.example", "[192.0.2.1]", "rest"},
        {"anna", "gmail.com", NULL},
        {"anna@", "gmail.com", NULL},
    };
    struct settings *s =
        load("route \"campus\" { to = [ campus.example, \"*.campus.example\" ]; via = hosts\n"
             "  hosts = mail.campus.example }\n"
             "route \"shop\" { from = \"shop@example.org\"; ehlo_name = shop.example.org }\n"
             "route \"newsletter\" { from = [ news.example.org, \"*.news.example.org\" ] }\n"
             "route \"notices\" { from = \"<>\"; to = bounces.example; via = discard }\n"
             "route \"rest\" { from = all.example; to = \"*\"; via = hold }\n");

    (void)state;
    assert_int_equal(s->route_count, 5);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const struct settings_route *route =
            route_find(s, str_from_c(rows[i].sender), str_from_c(rows[i].domain));
        const char *name = route != NULL ? route->name : "none";
        if (strcmp(name, rows[i].route != NULL ? rows[i].route : "none") != 0)
            fail_msg("<%s> to %s goes by %s", rows[i].sender, rows[i].domain, name);
    }
    settings_free(s);
}

static void a_star_is_for_the_null_sender_too(void **state)
{
    struct settings *s = load("route \"all\" { from = \"*\"; via = hold }");

    (void)state;
    assert_non_null(route_find(s, STR(""), STR("example.org")));
    assert_non_null(route_find(s, STR("a@b.example"), STR("example.org")));
    settings_free(s);
}

static void without_sections_nothing_is_found(void **state)
{
    struct settings *s = settings_defaults();

    (void)state;
    assert_null(route_find(s, STR("a@b.example"), STR("example.org")));
    assert_null(destination_find_domain(s, STR("gmail.com")));
    assert_null(destination_find_mx(s, STR("gmail-smtp-in.l.google.com")));
    settings_free(s);
}

static void destinations_are_found_by_domain_and_by_mx(void **state)
{
    struct settings *s = load("destination \"one\" { domains = a.example; max_connections = 3 }\n"
                              "destination \"two\" { domains = [ a.example, b.example ]\n"
                              "  mx = \"*.mx.example\"; messages_per_minute = 7 }\n");

    (void)state;
    assert_int_equal(s->destination_count, 2);
    assert_string_equal(destination_find_domain(s, STR("A.example"))->name, "one");
    assert_int_equal(destination_find_domain(s, STR("a.example"))->max_connections, 3);
    assert_string_equal(destination_find_domain(s, STR("b.example"))->name, "two");
    assert_int_equal(destination_find_domain(s, STR("b.example"))->messages_per_minute, 7);
    assert_int_equal(destination_find_domain(s, STR("b.example"))->max_connections, 0);
    assert_null(destination_find_domain(s, STR("in.mx.example")));
    assert_string_equal(destination_find_mx(s, STR("in.mx.example"))->name, "two");
    assert_null(destination_find_mx(s, STR("a.example")));
    settings_free(s);
}

/* DIST_DIR is dist/ of the source. */
static void the_shipped_file_loads_and_knows_the_large_receivers(void **state)
{
    static const struct {
        const char *domain;
        const char *mx;
        const char *section;
    } rows[] = {
        {"gmail.com", "gmail-smtp-in.l.google.com", "google"},
        {"googlemail.com", "alt1.gmr-smtp-in.l.google.com", "google"},
        {NULL, "aspmx2.googlemail.com", "google"},
        {"hotmail.com", "hotmail-com.olc.protection.outlook.com", "outlook"},
        {"msn.com", NULL, "outlook"},
        {NULL, "example-org.mail.protection.outlook.com", "microsoft365"},
        {"aol.com", "mta7.am0.yahoodns.net", "yahoo"},
        {"docomo.ne.jp", NULL, "docomo"},
        {"ezweb.ne.jp", NULL, "au"},
        {"au.com", NULL, "au"},
        {"i.softbank.jp", NULL, "softbank"},
        {"t.vodafone.ne.jp", NULL, "softbank"},
        {"ymobile.ne.jp", NULL, "softbank"},
        {"yahoo.ne.jp", NULL, "softbank"},
        {"yahoo.co.jp", "mx1.mail.yahoo.co.jp", "yahoo-japan"},
        {"icloud.com", "mx01.mail.icloud.com", "icloud"},
        {"me.com", NULL, "icloud"},
    };
    struct settings *s = load(".include \"" DIST_DIR "/destinations.conf\"\n");

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (rows[i].domain != NULL)
            assert_string_equal(destination_find_domain(s, str_from_c(rows[i].domain))->name,
                                rows[i].section);
        if (rows[i].mx != NULL)
            assert_string_equal(destination_find_mx(s, str_from_c(rows[i].mx))->name,
                                rows[i].section);
    }
    assert_null(destination_find_domain(s, STR("example.org")));
    assert_null(destination_find_mx(s, STR("mx.example.org")));
    /* Limits, not gifts: none is above what holds for everybody. */
    for (size_t i = 0; i < s->destination_count; i++) {
        const struct settings_destination *d = &s->destinations[i];
        assert_in_range(d->max_connections, 1, s->outbound_max_connections_per_destination);
        assert_in_range(d->messages_per_connection, 1, s->outbound_messages_per_connection);
        assert_in_range(d->max_recipients, 1, 100);
        assert_true(d->messages_per_minute > 0);
    }
    settings_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(patterns_match_names_and_what_is_below_them),
        cmocka_unit_test(the_first_route_that_matches_both_ends_counts),
        cmocka_unit_test(a_star_is_for_the_null_sender_too),
        cmocka_unit_test(without_sections_nothing_is_found),
        cmocka_unit_test(destinations_are_found_by_domain_and_by_mx),
        cmocka_unit_test(the_shipped_file_loads_and_knows_the_large_receivers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
