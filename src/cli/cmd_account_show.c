/* account list, show: which accounts there are, and what each logs in with. */
#include <stdio.h>

#include "cli/commands.h"
#include "cli/table.h"
#include "cli/text.h"
#include "store/auth_wire.h"
#include "store/wire.h"

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

static void print_table(struct cursor *c)
{
    static const struct table_column columns[] = {
        {"account", false, 0},  {"messages", true, 0},       {"size", true, 0},
        {"password", false, 0}, {"second factor", false, 0}, {"app passwords", true, 0},
        {"since", false, 0},
    };
    struct account_row row;
    struct table table;

    table_init(&table, columns, ARRAY_LEN(columns));
    while (cursor_left(c) > 0 && take_account(c, &row)) {
        bool is_disabled = (row.flags & ACCOUNT_IS_DISABLED) != 0;
        table_put(&table, row.address);
        table_put_number(&table, row.messages);
        table_put_size(&table, row.bytes);
        table_put_c(&table, is_disabled ? "disabled" : password_state(&row));
        table_put_c(&table, totp_state(&row));
        table_put_number(&table, row.app_passwords);
        table_put_time(&table, row.created_ms);
    }
    table_print(&table, "no accounts yet; add one: hikyaku account add ADDRESS");
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

static void print_line(const char *name, const struct buf *text)
{
    (void)printf("%-16s%.*s\n", name, STR_ARG(buf_str(text)));
}

static void print_text(const char *name, const char *text)
{
    (void)printf("%-16s%s\n", name, text);
}

static const char *password_text(const struct account_row *row)
{
    if (!(row->flags & ACCOUNT_HAS_PASSWORD))
        return "none: nobody logs in with one";
    if (row->flags & ACCOUNT_IS_IMPORTED)
        return "imported; its hash is replaced by the first login";
    if (row->flags & ACCOUNT_IS_RECOVERABLE)
        return "yes; also kept so that it can be recovered, for CRAM-MD5";
    return row->flags & ACCOUNT_HAS_SCRAM ? "yes" : "yes; SCRAM works after the first login";
}

static const char *second_factor_text(const struct account_row *row)
{
    if (row->flags & ACCOUNT_HAS_TOTP)
        return "on: mail programs need app passwords";
    return row->flags & ACCOUNT_AWAITS_TOTP ? "set, but not confirmed" : "off";
}

static void show_text(const struct account_row *row, struct cursor *delegated)
{
    struct buf text;

    buf_init(&text, CLIENT_REPLY_MAX_BYTES);
    text_put_safe(&text, row->address);
    print_line("account", &text);
    print_text("login", row->flags & ACCOUNT_IS_DISABLED ? "disabled" : "enabled");
    print_text("password", password_text(row));
    print_text("second factor", second_factor_text(row));
    if (row->flags & ACCOUNT_HAS_TOTP)
        (void)printf("%-16s%llu left\n", "recovery codes", (unsigned long long)row->recovery_codes);
    (void)printf("%-16s%llu\n", "app passwords", (unsigned long long)row->app_passwords);
    buf_reset(&text);
    while (cursor_left(delegated) > 0 && cursor_status(delegated) == 0) {
        if (text.len > 0)
            buf_put_c(&text, ", ");
        text_put_safe(&text, cursor_lp(delegated));
    }
    if (text.len > 0)
        print_line("may send as", &text);
    buf_reset(&text);
    buf_printf(&text, "%llu, ", (unsigned long long)row->messages);
    text_put_size(&text, row->bytes);
    print_line("messages", &text);
    buf_reset(&text);
    text_put_time(&text, row->created_ms);
    print_line("since", &text);
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
