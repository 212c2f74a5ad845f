/* account app-password add, list, remove: passwords for single mail programs. */
#include <stdio.h>

#include "base/clock.h"
#include "base/id.h"
#include "cli/actions.h"
#include "cli/commands.h"
#include "cli/table.h"
#include "cli/text.h"
#include "cli/typed_password.h"
#include "conf/value.h"
#include "store/auth_wire.h"
#include "store/wire.h"

enum { ADDRESS_WORD = 1, NAME_WORD = 2 };

/* "send", "read", "send,read". */
static int parse_scope(const struct cli *cli, uint8_t *out)
{
    struct str rest = str_from_c(cli_option(cli, "--scope")), item;

    *out = 0;
    if (rest.len == 0)
        *out = AUTH_ALL;
    while (rest.len > 0) {
        (void)str_cut(rest, ',', &item, &rest);
        if (str_eq(item, STR("send")))
            *out |= AUTH_SEND;
        else if (str_eq(item, STR("read")))
            *out |= AUTH_READ;
        else
            return cli_usage(cli, "--scope is send, read or send,read");
    }
    return CLI_DONE;
}

static int parse_expiry(const struct cli *cli, int64_t *out_ms)
{
    const char *option = cli_option(cli, "--expires");
    int64_t span_ms = 0;

    *out_ms = 0;
    if (option == NULL)
        return CLI_DONE;
    if (value_parse_duration(str_from_c(option), &span_ms) < 0 || span_ms <= 0)
        return cli_usage(cli, "--expires is a span of time, such as 90d");
    *out_ms = clock_real_ms() + span_ms;
    return CLI_DONE;
}

static const char *scope_text(uint8_t scope)
{
    static const char *const texts[][2] = {
        {"", ""}, {"send", "送信"}, {"read", "受信"}, {"send, read", "送信、受信"}};

    return texts[scope & AUTH_ALL][text_is_japanese()];
}

static json_t *scope_json(uint8_t scope)
{
    json_t *list = json_array();

    if (scope & AUTH_SEND)
        (void)json_array_append_new(list, json_string("send"));
    if (scope & AUTH_READ)
        (void)json_array_append_new(list, json_string("read"));
    return list;
}

static json_t *time_json(int64_t ms)
{
    return ms != 0 ? cli_json_time(ms) : json_null();
}

/* --- add --- */

static int print_new(struct cli *cli, uint8_t scope, struct str reply)
{
    struct cursor c = cursor_from(reply);
    char id[ID_TEXT_CHARS + 1];
    struct str name = cli_word(cli, NAME_WORD);

    (void)id_format(cursor_u64(&c), id);
    struct str password = cursor_lp(&c);
    if (cursor_finish(&c) < 0)
        return cli_fail("the server's answer makes no sense; restart the server");
    if (cli->args.is_json)
        return cli_print_json(json_pack("{s:s, s:o, s:o, s:o}", "id", id, "name",
                                        cli_json_text(name), "scope", scope_json(scope), "password",
                                        cli_json_text(password)));
    struct str address = cli_word(cli, ADDRESS_WORD);
    (void)printf("%.*s\n\n", STR_ARG(password));
    if (text_is_japanese())
        (void)printf(
            "これは %.*s の、このメールソフトだけのパスワードです。ハイフンも含めてこのまま\n"
            "入力してください。二度と表示されません。取り消すには:\n",
            STR_ARG(address));
    else
        (void)printf("This is the password of %.*s in this one program, as it stands here, with\n"
                     "the dashes. It is not shown again. To revoke it:\n",
                     STR_ARG(address));
    (void)printf("  hikyaku account app-password remove %.*s %s\n", STR_ARG(address), id);
    return CLI_DONE;
}

static int add(struct cli *cli)
{
    struct buf args, reply;
    int64_t expires_ms;
    uint8_t scope;

    int status = parse_scope(cli, &scope);
    if (status == CLI_DONE)
        status = parse_expiry(cli, &expires_ms);
    if (status != CLI_DONE)
        return status;
    buf_init(&args, CLIENT_ARGS_MAX_BYTES);
    buf_init(&reply, CLIENT_REPLY_MAX_BYTES);
    buf_put_lp(&args, cli_word(cli, ADDRESS_WORD));
    buf_put_lp(&args, cli_word(cli, NAME_WORD));
    buf_put_u8(&args, scope);
    buf_put_u64(&args, (uint64_t)expires_ms);
    status = client_do(&cli->client, STORE_APP_PASSWORD_ADD, buf_str(&args), &reply);
    if (status == CLI_DONE)
        status = print_new(cli, scope, buf_str(&reply));
    buf_done(&args);
    password_done(&reply);
    return status;
}

/* --- list --- */

struct app_row {
    char id[ID_TEXT_CHARS + 1];
    struct str name;
    uint8_t scope;
    int64_t created_ms, used_ms, expires_ms;
};

static bool take_row(struct cursor *c, struct app_row *out)
{
    (void)id_format(cursor_u64(c), out->id);
    out->name = cursor_lp(c);
    out->scope = cursor_u8(c);
    out->created_ms = (int64_t)cursor_u64(c);
    out->used_ms = (int64_t)cursor_u64(c);
    out->expires_ms = (int64_t)cursor_u64(c);
    return cursor_status(c) == 0;
}

static int print_json(struct cursor *c)
{
    json_t *list = json_array();
    struct app_row row;

    while (cursor_left(c) > 0 && take_row(c, &row))
        (void)json_array_append_new(
            list, json_pack("{s:s, s:o, s:o, s:o, s:o, s:o}", "id", row.id, "name",
                            cli_json_text(row.name), "scope", scope_json(row.scope), "created",
                            cli_json_time(row.created_ms), "last_used", time_json(row.used_ms),
                            "expires", time_json(row.expires_ms)));
    return cli_print_json(list);
}

static void put_time(struct table *table, int64_t ms, const char *never)
{
    if (ms != 0)
        table_put_time(table, ms);
    else
        table_put_c(table, never);
}

static void print_table(struct cursor *c)
{
    const struct table_column columns[] = {
        {text_in("name", "名前"), false, 0},
        {text_in("for", "用途"), false, 0},
        {text_in("last used", "最後の使用"), false, 0},
        {text_in("since", "作成日時"), false, 0},
        {text_in("expires", "期限"), false, 0},
        {"id", false, 0},
    };
    struct app_row row;
    struct table table;

    table_init(&table, columns, ARRAY_LEN(columns));
    while (cursor_left(c) > 0 && take_row(c, &row)) {
        table_put(&table, row.name);
        table_put_c(&table, scope_text(row.scope));
        put_time(&table, row.used_ms, text_in("never", "まだありません"));
        table_put_time(&table, row.created_ms);
        put_time(&table, row.expires_ms, text_in("never", "なし"));
        table_put_c(&table, row.id);
    }
    table_print(
        &table,
        text_in(
            "no app passwords; make one: hikyaku account app-password add ADDRESS NAME",
            "アプリパスワードはありません。作成: hikyaku account app-password add アドレス 名前"));
    table_done(&table);
}

static int list(struct cli *cli)
{
    struct buf args, reply;
    int status;

    buf_init(&args, CLIENT_ARGS_MAX_BYTES);
    buf_init(&reply, CLIENT_REPLY_MAX_BYTES);
    buf_put_lp(&args, cli_word(cli, ADDRESS_WORD));
    status = client_do(&cli->client, STORE_APP_PASSWORD_LIST, buf_str(&args), &reply);
    struct cursor c = cursor_from(buf_str(&reply));
    if (status == CLI_DONE && cli->args.is_json)
        status = print_json(&c);
    else if (status == CLI_DONE)
        print_table(&c);
    buf_done(&args);
    buf_done(&reply);
    return status;
}

/* --- remove --- */

static int remove_one(struct cli *cli)
{
    uint64_t id = 0;
    struct buf args;

    if (id_parse(cli_word(cli, NAME_WORD), &id) < 0)
        id = 0;
    buf_init(&args, CLIENT_ARGS_MAX_BYTES);
    buf_put_lp(&args, cli_word(cli, ADDRESS_WORD));
    buf_put_lp(&args, cli_word(cli, NAME_WORD));
    buf_put_u64(&args, id);
    int status =
        cli_run_verb(cli, STORE_APP_PASSWORD_REMOVE, &args, text_in("revoked", "取り消しました"));
    buf_done(&args);
    return status;
}

int cmd_account_app_password(struct cli *cli)
{
    static const struct cli_action actions[] = {
        {"list", 1, 1, list},
        {"add", 2, 2, add},
        {"remove", 2, 2, remove_one},
    };

    return actions_run(cli, actions, ARRAY_LEN(actions), 0);
}
