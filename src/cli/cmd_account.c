/* account add, list, password, language, remove. */
#include <stdio.h>

#include "cli/commands.h"
#include "cli/password.h"
#include "cli/table.h"
#include "store/wire.h"

enum { ARGS_MAX_BYTES = 8192 };

static int get_password(struct cli *cli, struct buf *out)
{
    if (cli_option(cli, "--password-stdin") != NULL)
        return password_read_stdin(out);
    return password_ask(cli->args.words[0], out);
}

int cmd_account_add(struct cli *cli)
{
    bool has_password = cli_option(cli, "--no-password") == NULL;
    struct buf args, password;
    int status = CLI_DONE;

    if (!has_password && cli_option(cli, "--password-stdin") != NULL)
        return cli_usage(cli, "say either --password-stdin or --no-password");
    buf_init(&args, ARGS_MAX_BYTES);
    buf_init(&password, PASSWORD_MAX_BYTES);
    if (has_password)
        status = get_password(cli, &password);
    if (status == CLI_DONE) {
        buf_put_lp(&args, cli_word(cli, 0));
        buf_put_u8(&args, has_password);
        buf_put_lp(&args, buf_str(&password));
        status = cli_run_verb(cli, STORE_ACCOUNT_ADD, &args, "added");
    }
    password_done(&password);
    password_done(&args);
    return status;
}

int cmd_account_password(struct cli *cli)
{
    struct buf args, password;

    buf_init(&args, ARGS_MAX_BYTES);
    buf_init(&password, PASSWORD_MAX_BYTES);
    int status = get_password(cli, &password);
    if (status == CLI_DONE) {
        buf_put_lp(&args, cli_word(cli, 0));
        buf_put_lp(&args, buf_str(&password));
        status = cli_run_verb(cli, STORE_ACCOUNT_PASSWORD, &args, "the new password holds now");
    }
    password_done(&password);
    password_done(&args);
    return status;
}

int cmd_account_language(struct cli *cli)
{
    struct str language = cli_word(cli, 1);
    struct buf args;

    if (str_eq(language, STR("both")))
        language = STR("");
    else if (!str_eq(language, STR("en")) && !str_eq(language, STR("ja")))
        return cli_usage(cli, "the language is en, ja or both");
    buf_init(&args, ARGS_MAX_BYTES);
    buf_put_lp(&args, cli_word(cli, 0));
    buf_put_lp(&args, language);
    int status = cli_run_verb(cli, STORE_ACCOUNT_LANGUAGE, &args, "holds for the next notice");
    buf_done(&args);
    return status;
}

int cmd_account_remove(struct cli *cli)
{
    struct buf args;

    buf_init(&args, ARGS_MAX_BYTES);
    buf_put_lp(&args, cli_word(cli, 0));
    buf_put_u8(&args, cli_option(cli, "--with-mail") != NULL);
    int status = cli_run_verb(cli, STORE_ACCOUNT_REMOVE, &args, "removed");
    buf_done(&args);
    return status;
}

struct account_row {
    struct str address, key;
    bool has_password;
    int64_t created_ms;
    uint64_t messages, bytes;
};

static bool take_account(struct cursor *c, struct account_row *out)
{
    *out = (struct account_row){.address = cursor_lp(c)};
    out->has_password = cursor_u8(c) != 0;
    out->created_ms = (int64_t)cursor_u64(c);
    out->messages = cursor_u64(c);
    out->bytes = cursor_u64(c);
    out->key = cursor_lp(c);
    return cursor_status(c) == 0;
}

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
        (void)json_array_append_new(
            list, json_pack("{s:o, s:b, s:o, s:I, s:I}", "address", cli_json_text(row.address),
                            "has_password", (int)row.has_password, "created",
                            cli_json_time(row.created_ms), "messages", (json_int_t)row.messages,
                            "bytes", (json_int_t)row.bytes));
    return cli_print_json(list);
}

static void print_table(struct cursor *c)
{
    static const struct table_column columns[] = {
        {"account", false, 0},  {"messages", true, 0}, {"size", true, 0},
        {"password", false, 0}, {"since", false, 0},
    };
    struct account_row row;
    struct table table;

    table_init(&table, columns, ARRAY_LEN(columns));
    while (cursor_left(c) > 0 && take_account(c, &row)) {
        table_put(&table, row.address);
        table_put_number(&table, row.messages);
        table_put_size(&table, row.bytes);
        table_put_c(&table, row.has_password ? "yes" : "no");
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
