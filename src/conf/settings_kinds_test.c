/* Unit tests of labelled sections, route "NAME" { ... }: named as the sentences they prove. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <jansson.h>

#include "conf/settings.h"
#include "conf/settings_table.h"

enum { TEXT_MAX_BYTES = 1 << 22 };

#define HOST "server { hostname = mx.example.org }\n"

static char directory[64];

static int enter_directory(void **state)
{
    (void)state;
    strcpy(directory, "/tmp/hikyaku-kind-XXXXXX");
    return mkdtemp(directory) != NULL ? chdir(directory) : -1;
}

static int leave_directory(void **state)
{
    (void)state;
    (void)remove("hikyaku.conf");
    (void)remove("more.conf");
    return chdir("/") < 0 ? -1 : rmdir(directory);
}

static void write_file(const char *path, const char *text)
{
    CLEANUP(cleanup_fclose) FILE *file = fopen(path, "wb");

    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
}

static struct settings *load_good(const char *text)
{
    struct settings *s;
    struct buf errors;

    write_file("hikyaku.conf", text);
    buf_init(&errors, TEXT_MAX_BYTES);
    int rc = settings_load("hikyaku.conf", &s, &errors);
    assert_string_equal(buf_c_str(&errors), "");
    assert_int_equal(rc, 0);
    buf_done(&errors);
    return s;
}

static void assert_errors(const char *text, const char *expected)
{
    struct settings *s;
    struct buf errors;

    write_file("hikyaku.conf", text);
    buf_init(&errors, TEXT_MAX_BYTES);
    assert_int_equal(settings_load("hikyaku.conf", &s, &errors), -EINVAL);
    assert_null(s);
    assert_string_equal(buf_c_str(&errors), expected);
    buf_done(&errors);
}

static void assert_same_objects(const struct settings *a, const struct settings *b)
{
    size_t kind_count;
    const struct setting_kind *kinds = setting_kinds(&kind_count);

    for (size_t i = 0; i < kind_count; i++) {
        size_t count = setting_object_count(&kinds[i], a);
        assert_int_equal(count, setting_object_count(&kinds[i], b));
        for (size_t j = 0; j < count; j++) {
            const void *left = setting_object(&kinds[i], a, j);
            const void *right = setting_object(&kinds[i], b, j);
            assert_true(setting_is_equal(kinds[i].label, left, right));
            for (size_t k = 0; k < kinds[i].row_count; k++)
                assert_true(setting_is_equal(&kinds[i].rows[k], left, right));
        }
    }
}

#define SECTIONS                                                                                   \
    HOST "route \"campus\" {\n"                                                                    \
         "  to = [ campus.example, \"*.campus.example\" ]; via = hosts\n"                          \
         "  hosts = [ \"mail.campus.example weight=3\", \"[2001:db8::1]:2525 backup\" ]\n"         \
         "  ehlo_name = out.example.org; source_ipv6 = \"2001:db8::25\"\n"                         \
         "}\n"                                                                                     \
         "destination d.1_-X { domains = Example.net; max_connections = 3 }\n"                     \
         "route old\n{ from = [ \"<>\", \"a@example.org\" ], to = \"*\"; via = FAIL\n"             \
         "  text = \"We have \\\"closed\\\"\" }\n"                                                 \
         "log { level = debug }\n"                                                                 \
         "destination \"by-mx\" { mx = \"*.mx.example\"; messages_per_minute = 7\n"                \
         "  messages_per_connection = 1; max_recipients = 1000 }\n"                                \
         "certificate \"own\" { folder = \"/etc/hikyaku/tls\" }\n"                                 \
         "route \"smarthost\" { to = \"*\"; via = hosts; hosts = relay.example:587\n"              \
         "  tls = verify; username = \"user@example.org\"; password_file = /etc/hikyaku/relay\n"   \
         "  tls_on_connect = yes }\n"                                                              \
         "certificate second { chain_file = /etc/tls/chain.pem; key_file = /etc/tls/key.pem }\n"

static void sections_are_kept_in_the_order_of_the_file(void **state)
{
    struct settings *s = load_good(SECTIONS);

    (void)state;
    assert_int_equal(s->route_count, 3);
    const struct settings_route *campus = &s->routes[0], *old = &s->routes[1];
    const struct settings_route *smarthost = &s->routes[2];
    assert_string_equal(campus->name, "campus");
    assert_int_equal(campus->to.count, 2);
    assert_string_equal(campus->to.items[1], "*.campus.example");
    assert_int_equal(campus->from.count, 0);
    assert_int_equal(campus->via, SETTINGS_VIA_HOSTS);
    assert_string_equal(campus->hosts.items[1], "[2001:db8::1]:2525 backup");
    assert_string_equal(campus->ehlo_name, "out.example.org");
    assert_string_equal(campus->source_ipv4, "");
    assert_string_equal(campus->source_ipv6, "2001:db8::25");
    assert_string_equal(campus->text, "");
    assert_string_equal(old->name, "old");
    assert_int_equal(old->via, SETTINGS_VIA_FAIL);
    assert_string_equal(old->text, "We have \"closed\"");
    assert_int_equal(old->tls, SETTINGS_TLS_OPPORTUNISTIC);
    assert_int_equal(smarthost->tls, SETTINGS_TLS_VERIFY);
    assert_true(smarthost->tls_on_connect);
    assert_false(old->tls_on_connect);
    assert_string_equal(smarthost->username, "user@example.org");
    assert_string_equal(smarthost->password_file, "/etc/hikyaku/relay");
    assert_int_equal(s->certificate_count, 2);
    assert_string_equal(s->certificates[0].name, "own");
    assert_string_equal(s->certificates[0].folder, "/etc/hikyaku/tls");
    assert_string_equal(s->certificates[0].key_file, "");
    assert_string_equal(s->certificates[1].chain_file, "/etc/tls/chain.pem");
    assert_string_equal(s->certificates[1].key_file, "/etc/tls/key.pem");
    assert_int_equal(s->destination_count, 2);
    assert_string_equal(s->destinations[0].name, "d.1_-X");
    assert_int_equal(s->destinations[0].max_connections, 3);
    assert_int_equal(s->destinations[0].messages_per_minute, 0);
    assert_string_equal(s->destinations[1].mx.items[0], "*.mx.example");
    assert_int_equal(s->destinations[1].max_recipients, 1000);
    assert_int_equal(s->log_level, LOG_DEBUG);
    settings_free(s);
}

static void sections_may_come_from_included_files(void **state)
{
    (void)state;
    write_file("more.conf", "to = a.example\n");
    struct settings *s = load_good(HOST "route \"x\" { .include \"more.conf\"\nvia = hold }\n");
    assert_string_equal(s->routes[0].to.items[0], "a.example");
    assert_int_equal(s->routes[0].via, SETTINGS_VIA_HOLD);
    settings_free(s);
    write_file("more.conf", "\nroute \"x\" { to = b.example }\n");
    assert_errors(HOST "route \"X\" { to = a.example }\n.include \"more.conf\"\n",
                  "more.conf:2: route \"x\" is there twice, first at hikyaku.conf:2; give one "
                  "another name\n");
}

static void labels_are_needed_and_checked(void **state)
{
    /* clang-format off */
    static const struct {
        const char *text;
        const char *expected;
    } rows[] = {
        {"route { to = a.example; colour = 1 }",
         "hikyaku.conf:2: section \"route\" has no name; write route \"NAME\" { ... }\n"},
        {"route \"\" { to = a.example }",
         "hikyaku.conf:2: section \"route\" has no name; write route \"NAME\" { ... }\n"},
        {"route \"a b\" { to = a.example }",
         "hikyaku.conf:2: \"route.name\" is \"a b\", which cannot be used; write 1 to 64 letters, "
         "digits, dots, hyphens and underscores\n"},
        {"route.to = a.example",
         "hikyaku.conf:2: \"route.to\" needs a section with a name around it; write route \"NAME\" "
         "{ ... }\n"},
        {"route \"a\" { to = a.example }\nroute.via = mx",
         "hikyaku.conf:3: \"route.via\" needs a section with a name around it; write route "
         "\"NAME\" { ... }\n"},
        {"rout \"a\" { to = a.example }",
         "hikyaku.conf:2: unknown section \"rout\"; did you mean \"route\"?\n"},
        {"log \"a\" { level = loud }\nlog { level = loud }",
         "hikyaku.conf:2: section \"log\" takes no name; write log { ... }\n"
         "hikyaku.conf:3: \"log.level\" is \"loud\", which is not a word it knows; write one of "
         "error, warning, info, debug\n"},
        {"route \"a\" \"b\" { to = a.example }",
         "hikyaku.conf:2: unexpected \"\"\" after the value; end a value with \";\" or the line, "
         "and put double quotes around one that contains spaces or any of [ ] { } , ; #\n"
         "hikyaku.conf:2: \"route\" needs a section with a name around it; write route \"NAME\" "
         "{ ... }\n"},
        {"route \"a\" {\n to = a.example\n route \"b\" { to = b.example }\n}",
         "hikyaku.conf:4: unknown section \"route.route\"; remove it, or see hikyaku.conf(5) for "
         "those there are\n"},
    };
    /* clang-format on */

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        CLEANUP(cleanup_free) char *text = xasprintf(HOST "%s\n", rows[i].text);
        assert_errors(text, rows[i].expected);
    }
}

static void settings_of_a_section_are_checked_as_others_are(void **state)
{
    (void)state;
    assert_errors(
        HOST "route \"a\" {\n"
             "  to = a.example\n"
             "  to = b.example\n"
             "  vai = mx\n"
             "  hosts = \"::1\"\n"
             "  via { x = 1 }\n"
             "  deeper { to = 1 }\n"
             "  from = \"user@\"\n"
             "}\n"
             "route \"b\" { to = \"user@b.example\"; vai = mx }\n"
             "destination \"c\" { domains = c.example; max_connections = [1, 2]\n"
             "  max_recipients = 1001 }\n",
        "hikyaku.conf:4: \"route.to\" is set twice, first on line 3; put all its values into one "
        "list\n"
        "hikyaku.conf:5: unknown setting \"route.vai\"; did you mean \"route.via\"?\n"
        "hikyaku.conf:6: \"route.hosts\" has \"::1\", which cannot be used; write \"[::1]\"\n"
        "hikyaku.conf:7: \"route.via\" is a setting, not a section; write via = VALUE\n"
        "hikyaku.conf:8: unknown section \"route.deeper\"; remove it, or see hikyaku.conf(5) for "
        "those there are\n"
        "hikyaku.conf:9: \"route.from\" has \"user@\", which cannot be used; write a domain such "
        "as example.org, \"*.example.org\" for those below it, an address such as "
        "user@example.org, or \"<>\" for the null sender\n"
        "hikyaku.conf:11: \"route.to\" has \"user@b.example\", which cannot be used; here only "
        "domains count: write \"b.example\"\n"
        "hikyaku.conf:11: unknown setting \"route.vai\"; did you mean \"route.via\"?\n"
        "hikyaku.conf:12: \"destination.max_connections\" takes one value, not a list; write a "
        "whole number from 0 to 20000\n"
        "hikyaku.conf:13: \"destination.max_recipients\" is \"1001\", which is out of range; write "
        "a whole number from 0 to 1000\n");
}

static void impossible_sections_say_why(void **state)
{
    (void)state;
    assert_errors(
        HOST "route \"a\" {\n via = hold\n}\n"
             "route \"b\" {\n to = b.example\n via = hosts }\n"
             "route \"c\" { to = c.example\n hosts = h.example }\n"
             "route \"d\" { to = d.example\n via = discard\n text = Gone }\n"
             "destination \"e\" { max_connections = 1 }\n",
        "hikyaku.conf:2: route \"a\": it has neither \"to\" nor \"from\"; name domains or senders, "
        "or write to = \"*\" for all mail\n"
        "hikyaku.conf:7: route \"b\": via is hosts, but there are none; write hosts = [ \"HOST\" "
        "]\n"
        "hikyaku.conf:9: route \"c\": \"hosts\" is used only with via = hosts; write that or "
        "remove "
        "the hosts\n"
        "hikyaku.conf:12: route \"d\": \"text\" is used only with via = fail; write that or remove "
        "the text\n"
        "hikyaku.conf:13: destination \"e\": it has neither \"domains\" nor \"mx\"; write whom it "
        "is for\n");
}

#define OPEN_PASSWORD                                                                              \
    "a password goes over encrypted connections only; write tls = verify, or tls = require if "    \
    "the "                                                                                         \
    "host has no certificate that can be verified\n"

static void credentials_are_whole_and_encrypted(void **state)
{
    (void)state;
    assert_errors(
        HOST "route \"a\" { to = \"*\"; via = hosts; hosts = h.example\n username = u\n"
             " tls = none\n password_file = /p }\n"
             "route \"b\" {\n to = \"*\"; via = hosts; hosts = h.example\n username = u\n"
             " password_file = /p }\n"
             "route \"c\" { to = \"*\"; via = hosts; hosts = h.example; tls = verify\n"
             " username = u }\n"
             "route \"d\" { to = \"*\"; via = hosts; hosts = h.example; tls = verify\n"
             " password_file = /p }\n"
             "route \"e\" {\n to = \"*\"\n tls = require\n username = u; password_file = /p }\n"
             "route \"f\" { to = \"*\"; via = hosts; hosts = h.example; tls = none\n"
             " tls_on_connect = yes }\n",
        "hikyaku.conf:4: route \"a\": " OPEN_PASSWORD "hikyaku.conf:6: route \"b\": " OPEN_PASSWORD
        "hikyaku.conf:11: route \"c\": \"username\" and \"password_file\" go "
        "together; write both or none\n"
        "hikyaku.conf:12: route \"d\": \"username\" and \"password_file\" go "
        "together; write both or none\n"
        "hikyaku.conf:17: route \"e\": \"username\" is used only with via = "
        "hosts; write that or remove the name\n"
        "hikyaku.conf:19: route \"f\": \"tls_on_connect\" is used only with via = hosts, and "
        "not with tls = none\n");
}

#define NO_FILES                                                                                   \
    "it names no files; write folder = \"/etc/letsencrypt/live/NAME\", or both chain_file and "    \
    "key_file\n"

static void certificates_name_their_files_once(void **state)
{
    (void)state;
    assert_errors(
        HOST "certificate \"a\" { }\n"
             "certificate \"b\" { chain_file = /c }\n"
             "certificate \"c\" { key_file = /k }\n"
             "certificate \"d\" {\n chain_file = /c; key_file = /k\n folder = /f }\n"
             "certificate \"e\" { folder = live/e }\n",
        "hikyaku.conf:2: certificate \"a\": " NO_FILES
        "hikyaku.conf:3: certificate \"b\": " NO_FILES
        "hikyaku.conf:4: certificate \"c\": " NO_FILES
        "hikyaku.conf:7: certificate \"d\": the files are in \"folder\" or named by "
        "\"chain_file\" and \"key_file\"; remove one of the two\n"
        "hikyaku.conf:8: \"certificate.folder\" is \"live/e\", which cannot be used; write "
        "an absolute path without \"..\" in it, or \"\" for none\n");
}

static void there_are_at_most_so_many_sections(void **state)
{
    struct buf text;

    (void)state;
    buf_init(&text, TEXT_MAX_BYTES);
    buf_put_c(&text, HOST);
    for (int i = 0; i < SETTINGS_ROUTES_MAX; i++)
        buf_printf(&text, "route r%d { to = a.example }\n", i);
    for (int i = 0; i < SETTINGS_DESTINATIONS_MAX; i++)
        buf_printf(&text, "destination d%d { mx = a.example\nmax_connections = 1 }\n", i);
    struct settings *s = load_good(buf_c_str(&text));
    assert_int_equal(s->route_count, SETTINGS_ROUTES_MAX);
    assert_int_equal(s->destination_count, SETTINGS_DESTINATIONS_MAX);
    settings_free(s);
    buf_put_c(&text, "route more { to = a.example; colour = 1 }\n");
    assert_errors(buf_c_str(&text),
                  "hikyaku.conf:1282: there are more than 256 sections \"route\"; remove some\n");
    buf_done(&text);
}

static void printed_sections_load_again(void **state)
{
    struct settings *s = load_good(SECTIONS);
    struct buf text;

    (void)state;
    buf_init(&text, SETTINGS_DOC_MAX_BYTES);
    settings_print(s, &text);
    assert_non_null(strstr(buf_c_str(&text), "destination \"d.1_-X\" {\n"
                                             "    domains = [\"Example.net\"]\n"
                                             "    max_connections = 3\n"
                                             "}\n"));
    struct settings *again = load_good(buf_c_str(&text));
    assert_same_objects(s, again);
    settings_free(again);
    settings_free(s);
    buf_done(&text);
}

static void the_json_has_sections_as_arrays(void **state)
{
    struct settings *s = load_good(SECTIONS);
    struct buf text;

    (void)state;
    buf_init(&text, 8 * SETTINGS_DOC_MAX_BYTES);
    settings_print_json(s, &text);
    json_t *root = json_loads(buf_c_str(&text), JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(root);
    json_t *routes = json_object_get(root, "routes");
    assert_int_equal(json_array_size(routes), 3);
    json_t *route = json_array_get(routes, 0);
    assert_string_equal(json_string_value(json_object_get(route, "name")), "campus");
    assert_string_equal(json_string_value(json_object_get(route, "via")), "hosts");
    assert_int_equal(json_array_size(json_object_get(route, "hosts")), 2);
    json_t *destination = json_array_get(json_object_get(root, "destinations"), 1);
    assert_int_equal(json_integer_value(json_object_get(destination, "messages_per_minute")), 7);
    json_decref(root);
    settings_free(s);
    s = settings_defaults();
    buf_reset(&text);
    settings_print_json(s, &text);
    root = json_loads(buf_c_str(&text), JSON_REJECT_DUPLICATES, NULL);
    assert_int_equal(json_array_size(json_object_get(root, "routes")), 0);
    json_decref(root);
    settings_free(s);
    buf_done(&text);
}

static void sections_survive_the_wire(void **state)
{
    struct settings *s = load_good(SECTIONS), *again;
    struct buf wire, damaged;

    (void)state;
    buf_init(&wire, TEXT_MAX_BYTES);
    buf_init(&damaged, TEXT_MAX_BYTES);
    settings_encode(s, &wire);
    assert_int_equal(settings_decode(buf_str(&wire), &again), 0);
    assert_same_objects(s, again);
    settings_free(again);
    for (size_t len = 0; len < wire.len; len++)
        assert_int_equal(settings_decode(str_sub(buf_str(&wire), 0, len), &again), -EBADMSG);
    srand(2);
    for (int round = 0; round < 5000; round++) {
        buf_reset(&damaged);
        buf_put_str(&damaged, buf_str(&wire));
        for (int i = 0; i <= round % 4; i++)
            damaged.ptr[damaged.len - 1 - (size_t)rand() % (damaged.len / 2)] = (char)rand();
        if (settings_decode(buf_str(&damaged), &again) < 0)
            continue;
        assert_true(again->route_count <= SETTINGS_ROUTES_MAX);
        for (size_t i = 0; i < again->route_count; i++)
            assert_in_range(again->routes[i].via, SETTINGS_VIA_MX, SETTINGS_VIA_FAIL);
        settings_free(again);
    }
    settings_free(s);
    buf_done(&wire);
    buf_done(&damaged);
}

static void too_many_sections_are_refused_from_the_wire(void **state)
{
    struct settings *s = settings_defaults(), *again;
    struct buf wire;
    size_t kind_count;
    const struct setting_kind *kind = setting_kinds(&kind_count);

    (void)state;
    for (size_t i = 0; i < kind->max_count; i++)
        setting_set_text(kind->label, setting_object_add(kind, s), STR("x"));
    assert_null(setting_object_add(kind, s));
    buf_init(&wire, TEXT_MAX_BYTES);
    settings_encode(s, &wire);
    assert_int_equal(settings_decode(buf_str(&wire), &again), 0);
    settings_free(again);
    /* One route in the place of the number of destinations, and no room for it. */
    buf_patch_u32(&wire, wire.len - 4, UINT32_MAX);
    assert_int_equal(settings_decode(buf_str(&wire), &again), -EBADMSG);
    settings_free(s);
    buf_done(&wire);
}

static void every_row_is_documented_and_has_a_good_default(void **state)
{
    struct settings *s = settings_defaults();
    size_t kind_count, index;
    const struct setting_kind *kinds = setting_kinds(&kind_count);
    struct buf help, man, sample, why;

    (void)state;
    buf_init(&help, SETTINGS_DOC_MAX_BYTES);
    buf_init(&man, SETTINGS_DOC_MAX_BYTES);
    buf_init(&sample, SETTINGS_DOC_MAX_BYTES);
    buf_init(&why, TEXT_MAX_BYTES);
    settings_print_help(&help);
    settings_print_man(&man);
    settings_print_sample(&sample);
    for (size_t i = 0; i < kind_count; i++) {
        const void *object = setting_object_add(&kinds[i], s);
        assert_ptr_equal(setting_kind_find(str_from_c(kinds[i].name)), &kinds[i]);
        for (size_t j = 0; j < kinds[i].row_count; j++) {
            const struct setting *row = &kinds[i].rows[j];
            CLEANUP(cleanup_free) char *in_help = xasprintf("\n  %s\n", row->name);
            CLEANUP(cleanup_free) char *in_man = xasprintf("\n.It Ic %s\n", row->name);
            CLEANUP(cleanup_free)
            char *in_sample = xasprintf("\n#    %s = ", setting_leaf_name(row));
            assert_non_null(strstr(buf_c_str(&help), in_help));
            assert_non_null(strstr(buf_c_str(&man), in_man));
            assert_non_null(strstr(buf_c_str(&sample), in_sample));
            assert_ptr_equal(setting_kind_row(&kinds[i], str_from_c(row->name), &index), row);
            assert_int_equal(index, j);
            assert_int_equal(row->help[strlen(row->help) - 1], '.');
            if (row->type == SETTING_STRING)
                assert_true(setting_check(row, str_from_c(setting_string(row, object)), &why));
        }
    }
    buf_done(&help);
    buf_done(&man);
    buf_done(&sample);
    buf_done(&why);
    settings_free(s);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, enter_directory, leave_directory)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(sections_are_kept_in_the_order_of_the_file),
        TEST(sections_may_come_from_included_files),
        TEST(labels_are_needed_and_checked),
        TEST(settings_of_a_section_are_checked_as_others_are),
        TEST(impossible_sections_say_why),
        TEST(credentials_are_whole_and_encrypted),
        TEST(certificates_name_their_files_once),
        TEST(there_are_at_most_so_many_sections),
        TEST(printed_sections_load_again),
        TEST(the_json_has_sections_as_arrays),
        TEST(sections_survive_the_wire),
        TEST(too_many_sections_are_refused_from_the_wire),
        TEST(every_row_is_documented_and_has_a_good_default),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
