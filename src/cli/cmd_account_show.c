/* account list, show: which accounts there are, and what each logs in with. */
#include <stdio.h>

#include "cli/commands.h"
#include "cli/table.h"
#include "cli/text.h"
#include "store/auth_wire.h"
#include "store/wire.h"

enum { LABEL_COLUMNS = 16 };

struct account_row {
    struct str address, key, language;
    uint32_t flags; /* enum account_flags */
    int64_t created_ms;
    uint64_t messages, bytes, app_passwords, recovery_codes;
};

static bool take_account(struct cursor *c, struct account_row *out)
{
    *out = (struct account_row){.address = cursor_lp(c)};
    out->flags = cursor_u32(c);
    out->created_ms = (int64_t)cursor_u64(c);
    out->messages = cursor_u64(c);
    out->bytes = cursor_u64(c);
    out->app_passwords = cursor_u64(c);
    out->recovery_codes = cursor_u64(c);
    out->key = cursor_lp(c);
    out->language = cursor_lp(c);
    return cursor_status(c) == 0;
}

static const char *password_state(const struct account_row *row)
{
    if (!(row->flags & ACCOUNT_HAS_PASSWORD))
        return "none";
    return row->flags & ACCOUNT_IS_IMPORTED ? "imported" : "yes";
}

static const char *totp_state(const struct account_row *row)
{
    if (row->flags & ACCOUNT_HAS_TOTP)
        return "on";
    return row->flags & ACCOUNT_AWAITS_TOTP ? "not confirmed" : "off";
}

static json_t *make_json(const struct account_row *row)
{
    return json_pack(
        "{s:o, s:b, s:s, s:b, s:s, s:b, s:b, s:I, s:I, s:o, s:o, s:I, s:I}", "address",
        cli_json_text(row->address), "has_password", (row->flags & ACCOUNT_HAS_PASSWORD) != 0,
        "password", password_state(row), "is_disabled", (row->flags & ACCOUNT_IS_DISABLED) != 0,
        "second_factor", totp_state(row), "has_scram", (row->flags & ACCOUNT_HAS_SCRAM) != 0,
        "is_recoverable", (row->flags & ACCOUNT_IS_RECOVERABLE) != 0, "app_passwords",
        (json_int_t)row->app_passwords, "recovery_codes", (json_int_t)row->recovery_codes,
        "language", row->language.len > 0 ? cli_json_text(row->language) : json_null(), "created",
        cli_json_time(row->created_ms), "messages", (json_int_t)row->messages, "bytes",
        (json_int_t)row->bytes);
}

/* --- list --- */

static void take_row(struct cursor *c, struct buf *next_args)
{
    struct account_row row;

    if (take_account(c, &row))
        buf_put_lp(next_args, row.key);
}

static int print_json(struct cursor *c)
{
    json_t *list = json_array();
    struct account_row row;

    while (cursor_left(c) > 0 && take_account(c, &row))
        (void)json_array_append_new(list, make_json(&row));
    return cli_print_json(list);
}

static const char *password_word(const struct account_row *row)
{
    if (!(row->flags & ACCOUNT_HAS_PASSWORD))
        return text_in("none", "なし");
    return row->flags & ACCOUNT_IS_IMPORTED ? text_in("imported", "取り込み")
                                            : text_in("yes", "あり");
}

static const char *totp_word(const struct account_row *row)
{
    if (row->flags & ACCOUNT_HAS_TOTP)
        return text_in("on", "有効");
    return row->flags & ACCOUNT_AWAITS_TOTP ? text_in("not confirmed", "未確認")
                                            : text_in("off", "無効");
}

static void print_table(struct cursor *c)
{
    const struct table_column columns[] = {
        {text_in("account", "アカウント"), false, 0},
        {text_in("messages", "メール"), true, 0},
        {text_in("size", "大きさ"), true, 0},
        {text_in("password", "パスワード"), false, 0},
        {text_in("second factor", "二要素認証"), false, 0},
        {text_in("app passwords", "アプリパスワード"), true, 0},
        {text_in("since", "作成日時"), false, 0},
    };
    struct account_row row;
    struct table table;

    table_init(&table, columns, ARRAY_LEN(columns));
    while (cursor_left(c) > 0 && take_account(c, &row)) {
        bool is_disabled = (row.flags & ACCOUNT_IS_DISABLED) != 0;
        table_put(&table, row.address);
        table_put_number(&table, row.messages);
        table_put_size(&table, row.bytes);
        table_put_c(&table, is_disabled ? text_in("disabled", "無効") : password_word(&row));
        table_put_c(&table, totp_word(&row));
        table_put_number(&table, row.app_passwords);
        table_put_time(&table, row.created_ms);
    }
    table_print(&table, text_in("no accounts yet; add one: hikyaku account add ADDRESS",
                                "アカウントはまだありません。追加: hikyaku account add アドレス"));
    table_done(&table);
}

int cmd_account_list(struct cli *cli)
{
    struct buf reply;

    buf_init(&reply, CLIENT_LIST_MAX_BYTES);
    int status = client_list(&cli->client, STORE_ACCOUNT_LIST, take_row, &reply);
    struct cursor c = cursor_from(buf_str(&reply));
    if (status == CLI_DONE && cli->args.is_json)
        status = print_json(&c);
    else if (status == CLI_DONE)
        print_table(&c);
    buf_done(&reply);
    return status;
}

/* --- show --- */

static int show_json(const struct account_row *row, struct cursor *delegated)
{
    json_t *value = make_json(row), *list = json_array();

    while (cursor_left(delegated) > 0 && cursor_status(delegated) == 0)
        (void)json_array_append_new(list, cli_json_text(cursor_lp(delegated)));
    (void)json_object_set_new(value, "may_send_as", list);
    return cli_print_json(value);
}

static const char *password_text(const struct account_row *row)
{
    if (!(row->flags & ACCOUNT_HAS_PASSWORD))
        return text_in("none: nobody logs in with one", "なし（パスワードではログインできません）");
    if (row->flags & ACCOUNT_IS_IMPORTED)
        return text_in("imported; its hash is replaced by the first login",
                       "取り込み（最初のログインでハッシュを作り直します）");
    if (row->flags & ACCOUNT_IS_RECOVERABLE)
        return text_in("yes; also kept so that it can be recovered, for CRAM-MD5",
                       "あり（CRAM-MD5 のため復元できる形でも保管）");
    return row->flags & ACCOUNT_HAS_SCRAM
               ? text_in("yes", "あり")
               : text_in("yes; SCRAM works after the first login",
                         "あり（SCRAM は最初のログインの後から使えます）");
}

static const char *second_factor_text(const struct account_row *row)
{
    if (row->flags & ACCOUNT_HAS_TOTP)
        return text_in("on: mail programs need app passwords",
                       "有効（メールソフトにはアプリパスワードが必要）");
    return row->flags & ACCOUNT_AWAITS_TOTP ? text_in("set, but not confirmed", "設定済み、未確認")
                                            : text_in("off", "無効");
}

static void print_line(const char *english, const char *japanese, struct buf *text)
{
    text_print_labelled(LABEL_COLUMNS, text_in(english, japanese), buf_c_str(text));
    buf_reset(text);
}

static void print_text(const char *english, const char *japanese, const char *text)
{
    text_print_labelled(LABEL_COLUMNS, text_in(english, japanese), text);
}

static void print_delegated(struct cursor *delegated, struct buf *text)
{
    while (cursor_left(delegated) > 0 && cursor_status(delegated) == 0) {
        if (text->len > 0)
            buf_put_c(text, ", ");
        text_put_safe(text, cursor_lp(delegated));
    }
    if (text->len > 0)
        print_line("may send as", "差出人にできる", text);
}

static void show_text(const struct account_row *row, struct cursor *delegated)
{
    struct buf text;

    buf_init(&text, CLIENT_REPLY_MAX_BYTES);
    text_put_safe(&text, row->address);
    print_line("account", "アカウント", &text);
    print_text("login", "ログイン",
               row->flags & ACCOUNT_IS_DISABLED ? text_in("disabled", "できません（無効）")
                                                : text_in("enabled", "できます"));
    print_text("password", "パスワード", password_text(row));
    print_text("second factor", "二要素認証", second_factor_text(row));
    if (row->flags & ACCOUNT_HAS_TOTP) {
        buf_printf(&text, text_is_japanese() ? "残り %llu" : "%llu left",
                   (unsigned long long)row->recovery_codes);
        print_line("recovery codes", "リカバリーコード", &text);
    }
    buf_printf(&text, "%llu", (unsigned long long)row->app_passwords);
    print_line("app passwords", "アプリパスワード", &text);
    print_delegated(delegated, &text);
    buf_printf(&text, text_is_japanese() ? "%llu 通、" : "%llu, ",
               (unsigned long long)row->messages);
    text_put_size(&text, row->bytes);
    print_line("messages", "メール", &text);
    text_put_time(&text, row->created_ms);
    print_line("since", "作成日時", &text);
    buf_done(&text);
}

int cmd_account_show(struct cli *cli)
{
    struct account_row row;
    struct buf args, reply;

    buf_init(&args, CLIENT_ARGS_MAX_BYTES);
    buf_init(&reply, CLIENT_REPLY_MAX_BYTES);
    buf_put_lp(&args, cli_word(cli, 0));
    int status = client_do(&cli->client, STORE_ACCOUNT_SHOW, buf_str(&args), &reply);
    struct cursor c = cursor_from(buf_str(&reply));
    if (status == CLI_DONE && !take_account(&c, &row))
        status = cli_fail("the server's answer makes no sense; restart the server");
    else if (status == CLI_DONE && cli->args.is_json)
        status = show_json(&row, &c);
    else if (status == CLI_DONE)
        show_text(&row, &c);
    buf_done(&args);
    buf_done(&reply);
    return status;
}
