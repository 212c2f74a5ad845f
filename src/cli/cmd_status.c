/* status, reload, version. */
#include <stdio.h>

#include "cli/commands.h"
#include "cli/libraries.h"
#include "cli/show_keys.h"
#include "cli/text.h"
#include "config.h"
#include "store/schema.h"
#include "store/wire.h"

enum { LABEL_COLUMNS = 18, REPLY_KEYS_MAX = 40 };

/* --- status --- */

enum unit { UNIT_COUNT, UNIT_BYTES, UNIT_MS, UNIT_WARNING };

/* Keys of the reply in the order in which they are shown; others follow with their own names. */
static const struct {
    const char *key, *label;
    enum unit unit;
    bool hides_zero;
} labels[] = {
    {"uptime_ms", "running for", UNIT_MS, false},
    {"sessions", "open sessions", UNIT_COUNT, false},
    {"logins", "logins", UNIT_COUNT, false},
    {"failed_logins", "failed logins", UNIT_COUNT, false},
    {"domains", "domains", UNIT_COUNT, false},
    {"accounts", "accounts", UNIT_COUNT, false},
    {"aliases", "aliases", UNIT_COUNT, false},
    {"messages", "messages", UNIT_COUNT, false},
    {"mail_bytes", "size of messages", UNIT_BYTES, false},
    {"expunged_kept", "can be undeleted", UNIT_COUNT, false},
    {"damaged_messages", "damaged messages", UNIT_COUNT, false},
    {"queued_messages", "queued messages", UNIT_COUNT, false},
    {"queued_recipients", "queued addresses", UNIT_COUNT, false},
    {"queued_ready", "  ready", UNIT_COUNT, true},
    {"queued_sending", "  being sent", UNIT_COUNT, true},
    {"queued_deferred", "  put off", UNIT_COUNT, true},
    {"queued_held", "  held", UNIT_COUNT, true},
    {"queued_scheduled", "  scheduled", UNIT_COUNT, true},
    {"queued_reporting", "  to be reported", UNIT_COUNT, true},
    {"queue_oldest_ms", "oldest queued", UNIT_MS, true},
    {"segments", "body files", UNIT_COUNT, false},
    {"segment_bytes", "size of those", UNIT_BYTES, false},
    {"segment_live_bytes", "of it needed", UNIT_BYTES, false},
    {"free_bytes", "free on the disk", UNIT_BYTES, false},
    {"lacks_room", "warning: too little (store.min_free_space): no mail is taken; make room",
     UNIT_WARNING, true},
    {"commit_groups", "commits", UNIT_COUNT, false},
    {"commit_requests", "requests in them", UNIT_COUNT, false},
    {"failed_groups", "failed commits", UNIT_COUNT, false},
};

struct pair {
    struct str key;
    uint64_t value;
    bool is_shown;
};

static void print_value(const char *label, enum unit unit, uint64_t value)
{
    struct buf text;

    buf_init(&text, 64);
    if (unit == UNIT_BYTES)
        text_put_size(&text, value);
    else if (unit == UNIT_MS)
        text_put_duration(&text, (int64_t)value);
    else
        buf_printf(&text, "%llu", (unsigned long long)value);
    (void)printf("%-*s %s\n", LABEL_COLUMNS, label, buf_c_str(&text));
    buf_done(&text);
}

static void print_status(struct str version, struct pair *pairs, size_t count)
{
    (void)printf("%-*s %.*s\n", LABEL_COLUMNS, "version", STR_ARG(version));
    for (size_t i = 0; i < ARRAY_LEN(labels); i++) {
        for (size_t j = 0; j < count; j++) {
            if (!str_eq_c(pairs[j].key, labels[i].key))
                continue;
            if (labels[i].unit == UNIT_WARNING && pairs[j].value > 0)
                (void)printf("%-*s %s\n", LABEL_COLUMNS, "", labels[i].label);
            else if (pairs[j].value > 0 || !labels[i].hides_zero)
                print_value(labels[i].label, labels[i].unit, pairs[j].value);
            pairs[j].is_shown = true;
        }
    }
    for (size_t j = 0; j < count; j++) {
        if (!pairs[j].is_shown)
            (void)printf("%-*.*s %llu\n", LABEL_COLUMNS, STR_ARG(pairs[j].key),
                         (unsigned long long)pairs[j].value);
    }
}

static int print_status_json(struct str version, const struct pair *pairs, size_t count,
                             struct str key_reports)
{
    json_t *object = json_pack("{s:o}", "version", cli_json_text(version));
    int status = show_keys_json(key_reports, object);

    for (size_t i = 0; i < count; i++) {
        CLEANUP(cleanup_free) char *key = str_dup(pairs[i].key);
        (void)json_object_set_new(object, key, json_integer((json_int_t)pairs[i].value));
    }
    (void)cli_print_json(object);
    return status;
}

int cmd_status(struct cli *cli)
{
    struct pair pairs[REPLY_KEYS_MAX];
    struct buf reply, key_reports;
    size_t count = 0;

    buf_init(&reply, CLIENT_REPLY_MAX_BYTES);
    buf_init(&key_reports, CLIENT_REPLY_MAX_BYTES);
    int status = client_do(&cli->client, STORE_STATUS, STR(""), &reply);
    struct cursor c = cursor_from(buf_str(&reply));
    struct str version = cursor_lp(&c);
    while (cursor_left(&c) > 0 && cursor_status(&c) == 0 && count < REPLY_KEYS_MAX) {
        pairs[count] = (struct pair){.key = cursor_lp(&c)};
        pairs[count++].value = cursor_u64(&c);
    }
    if (status == CLI_DONE && cursor_status(&c) < 0)
        status = cli_fail("the server's answer makes no sense; is it the same version?");
    if (status == CLI_DONE)
        status = show_keys_ask(cli, &key_reports);
    if (status == CLI_DONE && cli->args.is_json) {
        status = print_status_json(version, pairs, count, buf_str(&key_reports));
    } else if (status == CLI_DONE) {
        print_status(version, pairs, count);
        status = show_keys_print(buf_str(&key_reports), LABEL_COLUMNS);
    }
    buf_done(&key_reports);
    buf_done(&reply);
    return status;
}

/* --- reload --- */

int cmd_reload(struct cli *cli)
{
    struct buf reply;

    buf_init(&reply, CLIENT_REPLY_MAX_BYTES);
    /* It may start processes and wait for them. */
    cli->client.timeout_ms = CLIENT_LONG_TIMEOUT_MS;
    int status = client_do(&cli->client, STORE_RELOAD, STR(""), &reply);
    struct str text = str_trim(buf_str(&reply));
    if (status == CLI_DONE)
        (void)printf("%.*s\n", STR_ARG(text.len > 0 ? text : STR("reloaded")));
    buf_done(&reply);
    return status;
}

/* --- version --- */

int cmd_version(struct cli *cli)
{
    /* Those that it was built with. */
    static const struct {
        const char *name, *version;
    } libraries[] = {
        {"SQLite", LIBRARY_SQLITE},           {"libsodium", LIBRARY_LIBSODIUM},
        {"libseccomp", LIBRARY_LIBSECCOMP},   {"libidn2", LIBRARY_LIBIDN2},
        {"jansson", LIBRARY_JANSSON},         {"libarchive", LIBRARY_LIBARCHIVE},
        {"libdeflate", LIBRARY_LIBDEFLATE},   {"libcrypto", LIBRARY_LIBCRYPTO},
        {"libcrypt", LIBRARY_LIBCRYPT},       {"liboath", LIBRARY_LIBOATH},
        {"libqrencode", LIBRARY_LIBQRENCODE},
    };
    json_t *object = json_object();

    if (!cli->args.is_json)
        (void)printf("hikyaku %s\nschema %zu, trace schema %zu\nbuilt with\n", HIKYAKU_VERSION,
                     schema_main.step_count, schema_trace.step_count);
    for (size_t i = 0; i < ARRAY_LEN(libraries); i++) {
        (void)json_object_set_new(object, libraries[i].name, json_string(libraries[i].version));
        if (!cli->args.is_json)
            (void)printf("  %-11s %s\n", libraries[i].name, libraries[i].version);
    }
    json_t *all = json_pack("{s:s, s:i, s:i, s:o}", "version", HIKYAKU_VERSION, "schema",
                            (int)schema_main.step_count, "trace_schema",
                            (int)schema_trace.step_count, "libraries", object);
    if (cli->args.is_json)
        return cli_print_json(all);
    json_decref(all);
    return CLI_DONE;
}
