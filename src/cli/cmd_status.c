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
    const char *key, *label, *japanese;
    enum unit unit;
    bool hides_zero;
} labels[] = {
    {"uptime_ms", "running for", "稼働時間", UNIT_MS, false},
    {"sessions", "open sessions", "接続中", UNIT_COUNT, false},
    {"logins", "logins", "ログイン", UNIT_COUNT, false},
    {"failed_logins", "failed logins", "失敗したログイン", UNIT_COUNT, false},
    {"domains", "domains", "ドメイン", UNIT_COUNT, false},
    {"accounts", "accounts", "アカウント", UNIT_COUNT, false},
    {"aliases", "aliases", "別名", UNIT_COUNT, false},
    {"messages", "messages", "メール", UNIT_COUNT, false},
    {"mail_bytes", "size of messages", "その大きさ", UNIT_BYTES, false},
    {"expunged_kept", "can be undeleted", "復元できるメール", UNIT_COUNT, false},
    {"damaged_messages", "damaged messages", "壊れたメール", UNIT_COUNT, false},
    {"queued_messages", "queued messages", "送信待ちのメール", UNIT_COUNT, false},
    {"queued_recipients", "queued addresses", "送信待ちの宛先", UNIT_COUNT, false},
    {"queued_ready", "  ready", "  送信可能", UNIT_COUNT, true},
    {"queued_sending", "  being sent", "  送信中", UNIT_COUNT, true},
    {"queued_deferred", "  put off", "  延期中", UNIT_COUNT, true},
    {"queued_held", "  held", "  保留中", UNIT_COUNT, true},
    {"queued_scheduled", "  scheduled", "  予約", UNIT_COUNT, true},
    {"queued_reporting", "  to be reported", "  通知待ち", UNIT_COUNT, true},
    {"queue_oldest_ms", "oldest queued", "最も古い待ち", UNIT_MS, true},
    {"segments", "body files", "本文ファイル", UNIT_COUNT, false},
    {"segment_bytes", "size of those", "その大きさ", UNIT_BYTES, false},
    {"segment_live_bytes", "of it needed", "うち使用中", UNIT_BYTES, false},
    {"free_bytes", "free on the disk", "ディスクの空き", UNIT_BYTES, false},
    {"lacks_room", "warning: too little (store.min_free_space): no mail is taken; make room",
     "警告: 空きが足りないため "
     "(store.min_free_space)、メールを受け付けていません。空きを増やしてください",
     UNIT_WARNING, true},
    {"commit_groups", "commits", "コミット", UNIT_COUNT, false},
    {"commit_requests", "requests in them", "その中の要求", UNIT_COUNT, false},
    {"failed_groups", "failed commits", "失敗したコミット", UNIT_COUNT, false},
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
        text_put_span(&text, (int64_t)value, text_is_japanese());
    else
        buf_printf(&text, "%llu", (unsigned long long)value);
    text_print_labelled(LABEL_COLUMNS, label, buf_c_str(&text));
    buf_done(&text);
}

static void print_status(struct str version, struct pair *pairs, size_t count)
{
    CLEANUP(cleanup_free) char *version_text = str_dup(version);

    text_print_labelled(LABEL_COLUMNS, text_in("version", "バージョン"), version_text);
    for (size_t i = 0; i < ARRAY_LEN(labels); i++) {
        const char *label = text_in(labels[i].label, labels[i].japanese);
        for (size_t j = 0; j < count; j++) {
            if (!str_eq_c(pairs[j].key, labels[i].key))
                continue;
            if (labels[i].unit == UNIT_WARNING && pairs[j].value > 0)
                text_print_labelled(LABEL_COLUMNS, "", label);
            else if (pairs[j].value > 0 || !labels[i].hides_zero)
                print_value(label, labels[i].unit, pairs[j].value);
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
        (void)printf(
            "%.*s\n",
            STR_ARG(text.len > 0 ? text : str_from_c(text_in("reloaded", "設定を読み直しました"))));
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
