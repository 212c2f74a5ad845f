/* Unit tests of the configuration file: each test is named as the sentence it proves. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "conf/settings.h"
#include "conf/settings_table.h"

enum { TEXT_MAX_BYTES = 1 << 22 };

/* Each test has a directory to itself and runs in it, so that errors say "hikyaku.conf". */
static char directory[64];

static int enter_directory(void **state)
{
    (void)state;
    strcpy(directory, "/tmp/hikyaku-conf-XXXXXX");
    return mkdtemp(directory) != NULL ? chdir(directory) : -1;
}

static int leave_directory(void **state)
{
    static const char *const names[] = {"hikyaku.conf", "more.conf", "sub/inner.conf", "sub"};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        (void)remove(names[i]);
    return chdir("/") < 0 ? -1 : rmdir(directory);
}

static void write_file(const char *path, struct str text)
{
    CLEANUP(cleanup_fclose) FILE *file = fopen(path, "wb");

    assert_non_null(file);
    assert_int_equal(fwrite(text.ptr, 1, text.len, file), text.len);
}

static struct settings *load_good(struct str text)
{
    struct settings *s;
    struct buf errors;

    write_file("hikyaku.conf", text);
    buf_init(&errors, TEXT_MAX_BYTES);
    int rc = settings_load("hikyaku.conf", &s, &errors);
    assert_string_equal(buf_c_str(&errors), "");
    assert_int_equal(rc, 0);
    assert_non_null(s);
    buf_done(&errors);
    return s;
}

static void assert_errors(const char *text, const char *expected)
{
    struct settings *s;
    struct buf errors;

    write_file("hikyaku.conf", str_from_c(text));
    buf_init(&errors, TEXT_MAX_BYTES);
    assert_int_equal(settings_load("hikyaku.conf", &s, &errors), -EINVAL);
    assert_null(s);
    assert_string_equal(buf_c_str(&errors), expected);
    buf_done(&errors);
}

static void assert_same(const struct settings *a, const struct settings *b)
{
    size_t count;
    const struct setting *table = setting_table(&count);

    for (size_t i = 0; i < count; i++) {
        if (!setting_is_equal(&table[i], a, b))
            fail_msg("%s differs", table[i].name);
    }
}

/* The defaults, as a file has them that sets only what it must. */
static struct settings *defaults_with_hostname(void)
{
    struct settings *s = settings_defaults();

    free(s->server_hostname);
    s->server_hostname = xstrdup("mx.example.org");
    return s;
}

static void every_default_is_in_its_own_range(void **state)
{
    size_t count;
    const struct setting *table = setting_table(&count);
    struct settings *s = settings_defaults();

    (void)state;
    for (size_t i = 0; i < count; i++) {
        struct buf why;
        buf_init(&why, TEXT_MAX_BYTES);
        bool is_one = table[i].type != SETTING_LIST && table[i].text_default != NULL;
        if (is_one && !setting_check(&table[i], str_from_c(table[i].text_default), &why))
            fail_msg("%s", buf_c_str(&why));
        for (size_t j = 0; table[i].type == SETTING_LIST && j < setting_list(&table[i], s)->count;
             j++)
            assert_true(
                setting_check(&table[i], str_from_c(setting_list(&table[i], s)->items[j]), &why));
        buf_done(&why);
    }
    assert_string_equal(s->server_hostname, "");
    assert_int_equal(s->smtp_max_message_size, 50 * 1024 * 1024);
    assert_int_equal(s->smtp_command_timeout, 300000);
    assert_int_equal(s->listen_smtp.count, 2);
    assert_string_equal(s->listen_smtp.items[1], "[::]:25");
    assert_int_equal(s->listen_submission.count, 0);
    assert_int_equal(s->listen_submissions.count, 0);
    assert_int_equal(s->smtp_relay_networks.count, 0);
    assert_int_equal(s->log_level, LOG_INFO);
    settings_free(s);
    settings_free(NULL);
}

static void every_row_has_a_section_and_fits_the_searches(void **state)
{
    size_t count, section_count;
    const struct setting *table = setting_table(&count);
    const struct setting_section *sections = setting_sections(&section_count);

    (void)state;
    assert_int_equal(count, settings_count());
    for (size_t i = 0; i < count; i++) {
        bool is_known = false;
        size_t index;
        for (size_t j = 0; j < section_count; j++)
            is_known |= str_eq_c(setting_section_name(&table[i]), sections[j].name);
        assert_true(is_known);
        assert_ptr_equal(setting_find(str_from_c(settings_name(i)), &index), &table[i]);
        assert_int_equal(index, i);
        assert_true(strlen(table[i].name) <= 64);
        assert_int_equal(table[i].help[strlen(table[i].help) - 1], '.');
    }
}

static void all_forms_of_writing_are_read(void **state)
{
    (void)state;
    struct settings *s = load_good(STR(
        "\xEF\xBB\xBF# comment\r\n"
        "server { hostname = mx.example.org, node: 3; user mail } /* one\n"
        "/* nested */ */ \"log\"\n"
        "{\n"
        "    level = DEBUG # loud\n"
        "    format json\n"
        "}\n"
        "listen { smtp = [\n"
        "    \"127.0.0.1:2525\", # here\n"
        "    \"[::1]:2525\",\n"
        "] }\n"
        "smtp = { banner_text = \"a \\\"b\\\" \\\\ \\u0041 #;\"; recipient_separators = \"\" }\n"
        "smtp { relay_networks = 192.0.2.0/24; max_message_size = 64M\n"
        "command_timeout = 90s; \"bare_newline\" = normalise }\n"
        "store.segment_size = 1G"));
    assert_string_equal(s->server_hostname, "mx.example.org");
    assert_int_equal(s->server_node, 3);
    assert_string_equal(s->server_user, "mail");
    assert_int_equal(s->log_level, LOG_DEBUG);
    assert_int_equal(s->log_format, LOG_FORMAT_JSON);
    assert_int_equal(s->listen_smtp.count, 2);
    assert_string_equal(s->listen_smtp.items[1], "[::1]:2525");
    assert_string_equal(s->smtp_banner_text, "a \"b\" \\ A #;");
    assert_string_equal(s->smtp_recipient_separators, "");
    assert_int_equal(s->smtp_relay_networks.count, 1);
    assert_int_equal(s->smtp_max_message_size, 64 << 20);
    assert_int_equal(s->smtp_command_timeout, 90000);
    assert_int_equal(s->smtp_bare_newline, SETTINGS_BARE_NEWLINE_NORMALISE);
    assert_int_equal(s->store_segment_size, 1 << 30);
    settings_free(s);
    s = load_good(STR("server.hostname = a.b\nlisten { smtp = [] }"));
    assert_int_equal(s->listen_smtp.count, 0);
    settings_free(s);
}

#define HOST        "server { hostname = mx.example.org }\n"
#define CERTIFICATE "certificate \"a\" { folder = /etc/tls }\n"

static void unknown_names_get_a_suggestion(void **state)
{
    (void)state;
    assert_errors(HOST "smtp {\n  max_mesage_size = 5M\n}\n",
                  "hikyaku.conf:3: unknown setting \"smtp.max_mesage_size\"; did you mean "
                  "\"smtp.max_message_size\"?\n");
    assert_errors(HOST "server { max_errors = 5 }\n",
                  "hikyaku.conf:2: unknown setting \"server.max_errors\"; did you mean "
                  "\"smtp.max_errors\"?\n");
    assert_errors(HOST "colour = blue\n",
                  "hikyaku.conf:2: unknown setting \"colour\"; remove it, or see hikyaku.conf(5) "
                  "for those there are\n");
    assert_errors(HOST "\nsmpt {\n max_errors = x\n deeper { y = 1 }\n}\n",
                  "hikyaku.conf:3: unknown section \"smpt\"; did you mean \"smtp\"?\n");
    assert_errors(HOST "smtp submission { max_errors = 5 }\n",
                  "hikyaku.conf:2: section \"smtp\" takes no name; write smtp { ... }\n");
    assert_errors(HOST "queue { relay_networks = 5 }\n",
                  "hikyaku.conf:2: unknown setting \"queue.relay_networks\"; did you mean "
                  "\"smtp.relay_networks\"?\n");
    assert_errors(HOST "\"a\\nb\x80\" = 1\n",
                  "hikyaku.conf:2: unknown setting \"a?b?\"; remove it, or see hikyaku.conf(5) for "
                  "those there are\n");
}

static void wrong_types_say_what_is_expected(void **state)
{
    (void)state;
    assert_errors(
        HOST "smtp {\n"
             "  max_errors = many\n"
             "  max_message_size = large\n"
             "  data_timeout = 5\n"
             "  bare_newline = maybe\n"
             "  max_commands = [ 100, 200 ]\n"
             "  max_received { x = 1 }\n"
             "}\n"
             "listen = 25\n",
        "hikyaku.conf:3: \"smtp.max_errors\" is \"many\", which is not a whole number; "
        "write a whole number from 1 to 1000\n"
        "hikyaku.conf:4: \"smtp.max_message_size\" is \"large\", which is not a size; "
        "write a size from 64K to 1G\n"
        "hikyaku.conf:5: \"smtp.data_timeout\" is \"5\", which is not a duration; "
        "write a duration from 1s to 1h\n"
        "hikyaku.conf:6: \"smtp.bare_newline\" is \"maybe\", which is not a word it "
        "knows; write one of refuse, normalise\n"
        "hikyaku.conf:7: \"smtp.max_commands\" takes one value, not a list; write a whole "
        "number from 100 to 1000000\n"
        "hikyaku.conf:8: \"smtp.max_received\" is a setting, not a section; write "
        "max_received = VALUE\n"
        "hikyaku.conf:10: \"listen\" is a section; write listen { NAME = VALUE }\n");
}

static void numbers_out_of_range_say_the_range(void **state)
{
    (void)state;
    assert_errors(HOST "smtp {\n  max_errors = 0\n max_message_size = 2G\n data_timeout = 2h }\n",
                  "hikyaku.conf:3: \"smtp.max_errors\" is \"0\", which is out of range; write a "
                  "whole number from 1 to 1000\n"
                  "hikyaku.conf:4: \"smtp.max_message_size\" is \"2G\", which is out of range; "
                  "write a size from 64K to 1G\n"
                  "hikyaku.conf:5: \"smtp.data_timeout\" is \"2h\", which is out of range; write a "
                  "duration from 1s to 1h\n");
    assert_errors(HOST "smtp { max_errors = 99999999999999999999 }\n",
                  "hikyaku.conf:2: \"smtp.max_errors\" is \"99999999999999999999\", which is out "
                  "of range; write a whole number from 1 to 1000\n");
}

static void strings_and_lists_are_checked_item_by_item(void **state)
{
    (void)state;
    assert_errors("server {\n  hostname = localhost\n  data_dir = mail\n}\n",
                  "hikyaku.conf:2: \"server.hostname\" is \"localhost\", which cannot be used; "
                  "write a full host name in ASCII, such as mx.example.org\n"
                  "hikyaku.conf:3: \"server.data_dir\" is \"mail\", which cannot be used; write an "
                  "absolute path without \"..\" in it\n");
    assert_errors(HOST "smtp { recipient_separators = \"+-=#%\" }",
                  "hikyaku.conf:2: \"smtp.recipient_separators\" has 5 characters; write different "
                  "ASCII marks that may stand in an address, such as \"+\"; at most 4 "
                  "characters\n");
    assert_errors(HOST "smtp { relay_networks = [\n 192.0.2.7/24,\n home,\n 10.0.0.0/8, 10.0.0.0/8"
                       "\n] }\nlisten { smtp = \"*:25\" }\n",
                  "hikyaku.conf:3: \"smtp.relay_networks\" has \"192.0.2.7/24\", which cannot be "
                  "used; bits are set after the prefix: write 192.0.2.0/24 or one address\n"
                  "hikyaku.conf:4: \"smtp.relay_networks\" has \"home\", which cannot be used; "
                  "write a network such as 192.0.2.0/24 or \"2001:db8::/32\"\n"
                  "hikyaku.conf:5: \"smtp.relay_networks\" has \"10.0.0.0/8\" twice; remove one\n"
                  "hikyaku.conf:7: \"listen.smtp\" has \"*:25\", which cannot be used; write both "
                  "\"0.0.0.0:25\" and \"[::]:25\"\n");
}

static void sending_and_waiting_have_the_promised_defaults(void **state)
{
    static const char *const pauses[] = {"5min", "10min", "15min", "30min", "1h", "2h", "4h"};
    struct settings *s = settings_defaults();

    (void)state;
    assert_int_equal(s->queue_retry.count, ARRAY_LEN(pauses));
    for (size_t i = 0; i < ARRAY_LEN(pauses); i++)
        assert_string_equal(s->queue_retry.items[i], pauses[i]);
    assert_int_equal(s->queue_lifetime, 5 * 86400000LL);
    assert_int_equal(s->queue_warn_after, 4 * 3600000);
    assert_int_equal(s->queue_languages, SETTINGS_LANGUAGES_BOTH);
    assert_int_equal(s->outbound_families, SETTINGS_FAMILIES_IPV4_FIRST);
    assert_int_equal(s->outbound_port, 25);
    /* RFC 5321 section 4.5.3.2 */
    assert_int_equal(s->outbound_greeting_timeout, 300000);
    assert_int_equal(s->outbound_command_timeout, 300000);
    assert_int_equal(s->outbound_data_timeout, 120000);
    assert_int_equal(s->outbound_block_timeout, 180000);
    assert_int_equal(s->outbound_final_timeout, 600000);
    assert_string_equal(s->resolver_trust_anchor_file, "/usr/share/dns/root.key");
    assert_int_equal(s->resolver_cache_size, 16 << 20);
    assert_int_equal(s->submit_trusted_users.count, 1);
    assert_string_equal(s->submit_trusted_users.items[0], "root");
    settings_free(s);
    s = load_good(STR(HOST "outbound { families = IPV6_ONLY; ehlo_name = \"\" }\n"
                           "queue { languages = japanese; retry = [ 1s, 1s, 7d ] }\n"
                           "resolver.trust_anchor_file = \"\"\nsubmit.spool_dir = \"\"\n"));
    assert_int_equal(s->outbound_families, SETTINGS_FAMILIES_IPV6);
    assert_int_equal(s->queue_languages, SETTINGS_LANGUAGES_JAPANESE);
    assert_int_equal(s->queue_retry.count, 3);
    assert_string_equal(s->submit_spool_dir, "");
    settings_free(s);
}

static void composed_texts_are_checked_item_by_item(void **state)
{
    (void)state;
    assert_errors(
        HOST "resolver {\n"
             "  forwarders = [ \"192.0.2.53:5353\" ]\n"
             "  stub_zones = corp.example\n"
             "  local_records = \"osaka.example 60 MX\"\n"
             "}\n"
             "queue { retry = [] }\n"
             "queue { retry = 8d }\n"
             "outbound { source_ipv4 = \"::1\" }\n"
             "submit { senders = [ \"www-data shop@example.org\", \"www-data shop\" ] }\n",
        "hikyaku.conf:3: \"resolver.forwarders\" has \"192.0.2.53:5353\", which cannot be used; "
        "write \"192.0.2.53@5353\"\n"
        "hikyaku.conf:4: \"resolver.stub_zones\" has \"corp.example\", which cannot be used; write "
        "\"ZONE ADDRESS\" or \"ZONE ADDRESS@PORT\", such as \"corp.example 10.0.0.53\"\n"
        "hikyaku.conf:5: \"resolver.local_records\" has \"osaka.example 60 MX\", which cannot be "
        "used; write \"NAME TYPE DATA\" or \"NAME TTL TYPE DATA\" as in a zone file, such as "
        "\"osaka.example 60 MX 10 mx.osaka.example\"\n"
        "hikyaku.conf:7: \"queue.retry\" has no values; write at least 1\n"
        "hikyaku.conf:8: \"queue.retry\" is set twice, first on line 7; put all its values into "
        "one "
        "list\n"
        "hikyaku.conf:9: \"outbound.source_ipv4\" is \"::1\", which cannot be used; write an IPv4 "
        "address of this machine, such as 192.0.2.1, or \"\"\n"
        "hikyaku.conf:10: \"submit.senders\" has \"www-data shop\", which cannot be used; write "
        "\"LOGIN ADDRESS\", such as \"www-data shop@example.org\"\n");
    assert_errors(HOST "queue.retry = 8d\n",
                  "hikyaku.conf:2: \"queue.retry\" has \"8d\", which cannot be used; write a "
                  "duration from 1s to 7d\n");
    assert_errors(HOST "outbound.max_connections = 5\n",
                  "hikyaku.conf:2: \"outbound.max_connections_per_destination\" is 20 and "
                  "\"outbound.max_connections\" is 5: one destination cannot have more connections "
                  "than all together; lower the first or raise the second\n");
}

static void settings_are_given_once(void **state)
{
    (void)state;
    assert_errors(HOST "smtp { max_errors = 5 }\nsmtp { max_errors = 6 }\n",
                  "hikyaku.conf:3: \"smtp.max_errors\" is set twice, first on line 2; remove one "
                  "of the two\n");
    assert_errors(HOST "listen { smtp = \"[::]:25\"\n smtp = \"0.0.0.0:25\" }\n",
                  "hikyaku.conf:3: \"listen.smtp\" is set twice, first on line 2; put all its "
                  "values into one list\n");
}

static void impossible_combinations_name_both(void **state)
{
    (void)state;
    assert_errors(HOST "smtp {\n max_connections = 20\n}\n",
                  "hikyaku.conf:3: \"smtp.max_connections_per_address\" is 50 and "
                  "\"smtp.max_connections\" is 20: one address cannot have more connections than "
                  "all together; lower the first or raise the second\n");
    assert_errors(HOST "server { data_dir = /srv/mail/\n run_dir = /srv/mail }\n",
                  "hikyaku.conf:3: \"server.run_dir\" is \"/srv/mail\" and \"server.data_dir\" is "
                  "\"/srv/mail/\": mail and sockets cannot share a directory; name two\n");
    assert_errors(
        HOST "listen { submission = \"0.0.0.0:25\" }\n" CERTIFICATE,
        "hikyaku.conf:2: \"listen.submission\" is [\"0.0.0.0:25\"] and \"listen.smtp\" is "
        "[\"0.0.0.0:25\", \"[::]:25\"]: one port cannot be both; remove it from one of the "
        "two\n");
    assert_errors(
        HOST "listen { submissions = \"[::]:25\" }\n" CERTIFICATE,
        "hikyaku.conf:2: \"listen.submissions\" is [\"[::]:25\"] and \"listen.smtp\" is "
        "[\"0.0.0.0:25\", \"[::]:25\"]: one port cannot be both; remove it from one of the "
        "two\n");
    assert_errors(
        HOST "listen.submission = [ \"[::]:587\" ]\n"
             "listen.submissions = [ \"[::]:465\", \"[::]:587\" ]\n" CERTIFICATE,
        "hikyaku.conf:3: \"listen.submissions\" is [\"[::]:465\", \"[::]:587\"] and "
        "\"listen.submission\" is [\"[::]:587\"]: one port cannot be both; remove it from "
        "one of the two\n");
    assert_errors(
        HOST "listen.submissions = \"[::]:465\"\n",
        "hikyaku.conf:2: \"listen.submissions\" is [\"[::]:465\"]: there is no certificate "
        "to encrypt with; write certificate \"NAME\" { folder = "
        "\"/etc/letsencrypt/live/NAME\" }\n");
    assert_errors(
        HOST "listen.submission = \"[::]:587\"\n",
        "hikyaku.conf:2: \"listen.submission\" is [\"[::]:587\"] and "
        "\"submission.require_tls\" is yes: there is no certificate to encrypt with; write "
        "certificate \"NAME\" { folder = \"/etc/letsencrypt/live/NAME\" }\n");
    settings_free(
        load_good(STR(HOST "listen.submission = \"[::]:587\"\nsubmission.require_tls = no\n")));
    settings_free(load_good(STR(HOST "listen.submission = \"[::1]:587\"\n"
                                     "submission.plaintext_on_loopback = yes\n")));
}

#define OAUTH_TEXT                                                                                 \
    "what is told over http can be forged: write https, or auth.oauth_http_on_loopback = yes for " \
    "an address of this machine\n"

static void tokens_are_not_taken_from_anybody_for_anything(void **state)
{
    (void)state;
    assert_errors(
        HOST "auth.oauth = keys\nauth.oauth_audience = mail\n",
        "hikyaku.conf:2: \"auth.oauth_issuer\" is \"\" and \"auth.oauth\" is keys: tokens "
        "of anybody would be taken; write the issuer, as tokens name it\n");
    assert_errors(
        HOST "auth.oauth = keys\nauth.oauth_issuer = \"https://id.example.jp\"\n",
        "hikyaku.conf:2: \"auth.oauth_audience\" is [] and \"auth.oauth\" is keys: tokens "
        "for any other service would be taken; write the name that tokens for this one "
        "have in aud\n");
    assert_errors(HOST "auth { oauth = keys\noauth_issuer = \"http://127.0.0.1\"\n"
                       "oauth_audience = mail }\n",
                  "hikyaku.conf:3: \"auth.oauth_issuer\" is \"http://127.0.0.1\": " OAUTH_TEXT);
    assert_errors(HOST "auth { oauth_keys_url = \"http://id.example.jp/keys\"\n"
                       "oauth_http_on_loopback = yes }\n",
                  "hikyaku.conf:2: \"auth.oauth_keys_url\" is "
                  "\"http://id.example.jp/keys\": " OAUTH_TEXT);
    assert_errors(HOST "auth { oauth = introspection\noauth_client_id = mail\n"
                       "oauth_introspection_url = \"https://id.example.jp/ask\" }\n",
                  "hikyaku.conf:3: \"auth.oauth_client_id\" is \"mail\" and \"auth.oauth\" is "
                  "introspection: providers tell about tokens only to those they know; write "
                  "auth.oauth_client_id and auth.oauth_client_secret_file\n");
    assert_errors(HOST "auth { oauth_introspection_url = \"https://a:b@id.example.jp/\" }\n",
                  "hikyaku.conf:2: \"auth.oauth_introspection_url\" is "
                  "\"https://a:b@id.example.jp/\", which cannot be used; write an address such as "
                  "https://id.example.org/path, or \"\" for none\n");
}

static void the_hostname_must_be_set(void **state)
{
    (void)state;
    assert_errors("log { level = info }\n",
                  "hikyaku.conf: \"server.hostname\" is not set and has no default; write a full "
                  "host name in ASCII, such as mx.example.org; at most 253 characters\n");
    assert_errors("", "hikyaku.conf: \"server.hostname\" is not set and has no default; write a "
                      "full host name in ASCII, such as mx.example.org; at most 253 characters\n");
}

static void mistakes_of_syntax_have_their_line(void **state)
{
    /* clang-format off */
    static const struct {
        const char *text;
        const char *expected;
    } rows[] = {
        {"a = \"open\nb",
         "hikyaku.conf:1: this string has no closing quote; end it with \" on the same line\n"
         "hikyaku.conf:2: \"b\" has no value; write it on the same line\n"},
        {"a = \"\\q\"",
         "hikyaku.conf:1: a backslash in double quotes must begin one of \\\" \\\\ \\/ \\b \\f "
         "\\n \\r \\t \\uXXXX; write \\\\ for a backslash\n"},
        {"\n/* a\n",
         "hikyaku.conf:2: this comment is not closed; end it with \"*/\"\n"},
        {"\nsmtp {\n",
         "hikyaku.conf:2: section \"smtp\" is not closed; put \"}\" after its last setting\n"},
        {"\n}\n",
         "hikyaku.conf:2: unexpected \"}\" without a \"{\" before it; remove it\n"},
        {"smtp { max_errors =\n}",
         "hikyaku.conf:1: \"smtp.max_errors\" has no value; write it on the same line\n"},
        {"smtp { max_errors = 5 6\n}",
         "hikyaku.conf:1: unexpected \"6\" after the value; end a value with \";\" or the line, "
         "and put double quotes around one that contains spaces or any of [ ] { } , ; #\n"},
        {"listen { smtp = [ \"[::]:25\"\n}",
         "hikyaku.conf:1: this list is not closed; put \"]\" after its last value\n"},
        {"listen {\n smtp = [ [::]:25 ]\n}",
         "hikyaku.conf:2: unexpected \"[\" in a list; put double quotes around an address such as "
         "\"[::1]:25\"\n"},
        {"listen { smtp = [\n a b\n] }",
         "hikyaku.conf:2: unexpected \"b\" in a list; put \",\" between its values and \"]\" at "
         "its end\n"},
        {"a = <<EOD\n",
         "hikyaku.conf:1: values over several lines are not possible; write one line in double "
         "quotes\n"},
        {"= 5\n",
         "hikyaku.conf:1: unexpected \"=\" where a name should be; write NAME = VALUE or "
         "NAME { ... }\n"},
        {".exclude \"x\"\n",
         "hikyaku.conf:1: unexpected \".exclude\" where a name should be; the only line that may "
         "begin with a dot is .include \"FILE\"\n"},
        {".include(priority=1) \"x\"\n",
         "hikyaku.conf:1: unexpected \"(priority=1)\" after .include; write .include \"FILE\", or "
         ".include(try=true) \"FILE\" for one that may be missing\n"},
        {".include\n",
         "hikyaku.conf:1: unexpected end of the line after .include; write .include \"FILE\", or "
         ".include(try=true) \"FILE\" for one that may be missing\n"},
        {"\n.include \"none.conf\"\n",
         "hikyaku.conf:2: \"none.conf\" cannot be read: No such file or directory; correct the "
         "path, the rights of the file or this line\n"},
    };
    /* clang-format on */

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        assert_errors(rows[i].text, rows[i].expected);
}

static void included_files_count_as_if_written_there(void **state)
{
    (void)state;
    assert_int_equal(mkdir("sub", 0700), 0);
    write_file("sub/inner.conf", STR("max_errors = 7\n"));
    write_file("more.conf", STR("smtp { .include \"sub/inner.conf\" }\nlog { level = debug }\n"));
    struct settings *s = load_good(STR(HOST ".include \"more.conf\"\nlog { format = json }\n"));
    assert_int_equal(s->smtp_max_errors, 7);
    assert_int_equal(s->log_level, LOG_DEBUG);
    assert_int_equal(s->log_format, LOG_FORMAT_JSON);
    settings_free(s);
    write_file("sub/inner.conf", STR("\nmax_eror = 7\n}\n"));
    assert_errors(HOST "log { level = info }\n.include \"more.conf\"\ncolour = blue",
                  "hikyaku.conf:4: unknown setting \"colour\"; remove it, or see hikyaku.conf(5) "
                  "for those there are\n"
                  "more.conf:2: \"log.level\" is set twice, first at hikyaku.conf:2; remove one of "
                  "the two\n"
                  "sub/inner.conf:2: unknown setting \"smtp.max_eror\"; did you mean "
                  "\"smtp.max_errors\"?\n"
                  "sub/inner.conf:3: unexpected \"}\" without a \"{\" before it; remove it\n");
    write_file("more.conf", STR("\n.include \"more.conf\"\n"));
    assert_errors(HOST ".include \"more.conf\"\n",
                  "more.conf:2: files are included more than 8 deep; does one include itself?\n");
}

static void optional_files_may_be_missing_and_no_more(void **state)
{
    (void)state;
    struct settings *s = load_good(STR(HOST ".include(try=true) \"none.conf\"\n"
                                            ".include(try=true)\"hikyaku.conf/none.conf\"\n"
                                            "log { .include(try=true) \"none.conf\"\n"
                                            "level = debug }"));
    assert_int_equal(s->log_level, LOG_DEBUG);
    settings_free(s);
    write_file("more.conf", STR("smtp.max_errors = 7\n"));
    s = load_good(STR(HOST ".include(try=true) \"more.conf\"\n"));
    assert_int_equal(s->smtp_max_errors, 7);
    settings_free(s);
    write_file("more.conf", STR("smtp.max_errors = 0\n"));
    assert_errors(HOST ".include(try=true) \"more.conf\"\n.include(try=true) \".\"\n",
                  "hikyaku.conf:3: \".\" cannot be read: Is a directory; correct the path, the "
                  "rights of the file or this line\n"
                  "more.conf:1: \"smtp.max_errors\" is \"0\", which is out of range; write a whole "
                  "number from 1 to 1000\n");
}

static void files_that_cannot_be_read_give_their_errno(void **state)
{
    struct settings *s;
    struct buf errors;

    (void)state;
    buf_init(&errors, TEXT_MAX_BYTES);
    assert_int_equal(settings_load("none.conf", &s, &errors), -ENOENT);
    assert_null(s);
    assert_string_equal(buf_c_str(&errors),
                        "none.conf: cannot read this file: No such file or directory; name the "
                        "right one with -c FILE, or make one with \"hikyaku init\"\n");
    buf_reset(&errors);
    assert_int_equal(settings_load(".", &s, &errors), -EISDIR);
    buf_reset(&errors);
    char *large = xmalloc((1 << 20) + 1);
    memset(large, '\n', (1 << 20) + 1);
    write_file("hikyaku.conf", str_from_mem(large, (1 << 20) + 1));
    assert_int_equal(settings_load("hikyaku.conf", &s, &errors), -EFBIG);
    free(large);
    buf_done(&errors);
}

static void at_most_twenty_errors_are_told(void **state)
{
    struct settings *s;
    struct buf text, errors;
    size_t lines = 0;

    (void)state;
    buf_init(&text, TEXT_MAX_BYTES);
    buf_init(&errors, TEXT_MAX_BYTES);
    for (int i = 1; i <= 50; i++)
        buf_printf(&text, "x%d = 1\n", i);
    write_file("hikyaku.conf", buf_str(&text));
    assert_int_equal(settings_load("hikyaku.conf", &s, &errors), -EINVAL);
    for (size_t i = 0; i < errors.len; i++)
        lines += errors.ptr[i] == '\n';
    assert_int_equal(lines, 21);
    assert_non_null(strstr(buf_c_str(&errors), "hikyaku.conf:20: "));
    assert_null(strstr(buf_c_str(&errors), "hikyaku.conf:21: "));
    assert_non_null(strstr(buf_c_str(&errors), "31 more errors; mend the ones above first\n"));
    buf_done(&text);
    buf_done(&errors);
}

static void bounds_hold_against_hostile_files(void **state)
{
    struct settings *s;
    struct buf text, errors;

    (void)state;
    buf_init(&text, TEXT_MAX_BYTES);
    buf_init(&errors, TEXT_MAX_BYTES);
    for (int i = 0; i < 100000; i++)
        buf_put_c(&text, "a{");
    write_file("hikyaku.conf", buf_str(&text));
    assert_int_equal(settings_load("hikyaku.conf", &s, &errors), -EINVAL);
    assert_non_null(strstr(buf_c_str(&errors), "sections are more than 8 deep"));
    buf_reset(&text);
    buf_reset(&errors);
    for (int i = 0; i < 10000; i++)
        buf_put_c(&text, "log { level = info }\n");
    write_file("hikyaku.conf", buf_str(&text));
    assert_int_equal(settings_load("hikyaku.conf", &s, &errors), -EINVAL);
    buf_reset(&text);
    buf_reset(&errors);
    buf_put_c(&text, "x = [");
    for (int i = 0; i < 100000; i++)
        buf_put_c(&text, "a,");
    write_file("hikyaku.conf", buf_str(&text));
    assert_int_equal(settings_load("hikyaku.conf", &s, &errors), -EINVAL);
    assert_non_null(strstr(buf_c_str(&errors), "more than 16384 values"));
    buf_done(&text);
    buf_done(&errors);
}

/* Removes the # before each default of the sample, so that it is set in so many words. */
static void uncomment(struct buf *text)
{
    for (size_t i = 0; i + 1 < text->len; i++) {
        if (text->ptr[i] == '#' && i > 0 && text->ptr[i - 1] == ' ' && text->ptr[i + 1] != ' ')
            text->ptr[i] = ' ';
    }
}

static void the_sample_loads_as_the_defaults(void **state)
{
    struct settings *expected = defaults_with_hostname();
    struct buf sample;

    (void)state;
    buf_init(&sample, SETTINGS_DOC_MAX_BYTES);
    settings_print_sample(&sample);
    assert_int_equal(buf_status(&sample), 0);
    struct settings *s = load_good(buf_str(&sample));
    assert_same(s, expected);
    settings_free(s);
    uncomment(&sample);
    for (size_t i = 0; i < settings_count(); i++) {
        char *line = xasprintf("\n     %s = ", strchr(settings_name(i), '.') + 1);
        bool is_set = strstr(buf_c_str(&sample), line) != NULL;
        assert_true(is_set || strcmp(settings_name(i), "server.hostname") == 0);
        free(line);
    }
    s = load_good(buf_str(&sample));
    assert_same(s, expected);
    settings_free(s);
    settings_free(expected);
    buf_done(&sample);
}

static void every_row_is_in_every_document(void **state)
{
    struct buf help, man, sample;

    (void)state;
    buf_init(&help, SETTINGS_DOC_MAX_BYTES);
    buf_init(&man, SETTINGS_DOC_MAX_BYTES);
    buf_init(&sample, SETTINGS_DOC_MAX_BYTES);
    settings_print_help(&help);
    settings_print_man(&man);
    settings_print_sample(&sample);
    assert_int_equal(buf_status(&help) | buf_status(&man) | buf_status(&sample), 0);
    for (size_t i = 0; i < settings_count(); i++) {
        char *in_help = xasprintf("\n  %s\n", settings_name(i));
        char *in_man = xasprintf("\n.It Ic %s\n", settings_name(i));
        char *in_sample = xasprintf("%s = ", strchr(settings_name(i), '.') + 1);
        assert_non_null(strstr(buf_c_str(&help), in_help));
        assert_non_null(strstr(buf_c_str(&man), in_man));
        assert_non_null(strstr(buf_c_str(&sample), in_sample));
        free(in_help);
        free(in_man);
        free(in_sample);
    }
    struct str line, rest = buf_str(&help);
    while (rest.len > 0) {
        (void)str_cut(rest, '\n', &line, &rest);
        assert_true(line.len <= 80);
    }
    buf_done(&help);
    buf_done(&man);
    buf_done(&sample);
}

#define CHANGED                                                                                    \
    "server { hostname = mail.example.jp; node = 63; data_dir = \"/srv/\xE9\xA3\x9B \\\"x\\\"\" }" \
    "listen { smtp = [] }\n"                                                                       \
    "smtp { relay_networks = [ 10.0.0.0/8, \"::1\" ]; max_message_size = 1G; banner_text = \"\"\n" \
    "command_timeout = 1500ms; bare_newline = normalise; recipient_separators = \"+-\" }\n"        \
    "store { min_free_space = 1T; expunged_retention = 0 }\n"

static void printed_values_load_again(void **state)
{
    struct buf text;

    (void)state;
    struct settings *s = load_good(STR(CHANGED));
    buf_init(&text, SETTINGS_DOC_MAX_BYTES);
    settings_print(s, &text);
    assert_non_null(strstr(buf_c_str(&text), "    node = 63  # changed, default: 0\n"));
    assert_non_null(strstr(buf_c_str(&text), "    max_errors = 20\n"));
    assert_non_null(strstr(buf_c_str(&text),
                           "    smtp = []  # changed, default: [\"0.0.0.0:25\", \"[::]:25\"]\n"));
    struct settings *again = load_good(buf_str(&text));
    assert_same(s, again);
    settings_free(s);
    settings_free(again);
    buf_done(&text);
}

static void assert_survives_the_wire(struct settings *s)
{
    struct buf wire;
    struct settings *again;

    buf_init(&wire, TEXT_MAX_BYTES);
    settings_encode(s, &wire);
    assert_int_equal(settings_decode(buf_str(&wire), &again), 0);
    assert_same(s, again);
    settings_free(again);
    /* Nothing shorter or longer is taken. */
    for (size_t len = 0; len < wire.len; len++) {
        assert_int_equal(settings_decode(str_sub(buf_str(&wire), 0, len), &again), -EBADMSG);
        assert_null(again);
    }
    buf_put_u8(&wire, 0);
    assert_int_equal(settings_decode(buf_str(&wire), &again), -EBADMSG);
    buf_done(&wire);
    settings_free(s);
}

static void settings_survive_the_wire(void **state)
{
    (void)state;
    assert_survives_the_wire(settings_defaults());
    assert_survives_the_wire(load_good(STR(CHANGED)));
}

static void decode_is_safe_for_random_bytes(void **state)
{
    struct settings *s = load_good(STR(CHANGED));
    struct buf wire, damaged;

    (void)state;
    buf_init(&wire, TEXT_MAX_BYTES);
    buf_init(&damaged, TEXT_MAX_BYTES);
    settings_encode(s, &wire);
    settings_free(s);
    srand(1);
    for (int round = 0; round < 20000; round++) {
        buf_reset(&damaged);
        buf_put_str(&damaged, buf_str(&wire));
        for (int i = 0; i <= round % 4; i++)
            damaged.ptr[(size_t)rand() % damaged.len] = (char)rand();
        if (settings_decode(buf_str(&damaged), &s) < 0)
            continue;
        /* What passes is within its ranges: encoding asserts nothing, so look at two. */
        assert_in_range(s->server_node, 0, 63);
        assert_in_range(s->smtp_max_message_size, 64 << 10, 1 << 30);
        settings_free(s);
    }
    buf_done(&wire);
    buf_done(&damaged);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, enter_directory, leave_directory)

static void the_json_names_every_setting_once(void **state)
{
    (void)state;
    struct settings *s = settings_defaults();
    struct buf out;

    buf_init(&out, 8 * SETTINGS_DOC_MAX_BYTES);
    settings_print_json(s, &out);
    assert_int_equal(buf_status(&out), 0);
    for (size_t i = 0; i < settings_count(); i++) {
        char *key = xasprintf("\"%s\": ", settings_name(i));
        const char *hit = strstr(buf_c_str(&out), key);
        assert_non_null(hit);
        assert_null(strstr(hit + 1, key));
        free(key);
    }
    assert_non_null(strstr(buf_c_str(&out), "\"smtp.max_message_size\": 52428800,"));
    assert_non_null(strstr(buf_c_str(&out), "\"log.format\": \"text\""));
    assert_non_null(strstr(buf_c_str(&out), "\"smtp.relay_networks\": []"));
    buf_done(&out);
    settings_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_json_names_every_setting_once),
        TEST(every_default_is_in_its_own_range),
        TEST(every_row_has_a_section_and_fits_the_searches),
        TEST(all_forms_of_writing_are_read),
        TEST(unknown_names_get_a_suggestion),
        TEST(wrong_types_say_what_is_expected),
        TEST(numbers_out_of_range_say_the_range),
        TEST(strings_and_lists_are_checked_item_by_item),
        TEST(settings_are_given_once),
        TEST(impossible_combinations_name_both),
        TEST(tokens_are_not_taken_from_anybody_for_anything),
        TEST(the_hostname_must_be_set),
        TEST(mistakes_of_syntax_have_their_line),
        TEST(included_files_count_as_if_written_there),
        TEST(optional_files_may_be_missing_and_no_more),
        TEST(files_that_cannot_be_read_give_their_errno),
        TEST(sending_and_waiting_have_the_promised_defaults),
        TEST(composed_texts_are_checked_item_by_item),
        TEST(at_most_twenty_errors_are_told),
        TEST(bounds_hold_against_hostile_files),
        TEST(the_sample_loads_as_the_defaults),
        TEST(every_row_is_in_every_document),
        TEST(printed_values_load_again),
        TEST(settings_survive_the_wire),
        TEST(decode_is_safe_for_random_bytes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
