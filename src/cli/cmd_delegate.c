/* account delegate add, remove, list: addresses of others that an account may send as. */
#include <stdio.h>

#include "cli/actions.h"
#include "cli/commands.h"
#include "cli/table.h"
#include "cli/text.h"
#include "store/wire.h"

enum { ACCOUNT_WORD = 1, ADDRESS_WORD = 2 };

static int run_pair(struct cli *cli, unsigned verb, const char *done)
{
    struct buf args;

    buf_init(&args, CLIENT_ARGS_MAX_BYTES);
    buf_put_lp(&args, cli_word(cli, ACCOUNT_WORD));
    buf_put_lp(&args, cli_word(cli, ADDRESS_WORD));
    int status = cli_run_verb(cli, verb, &args, done);
    buf_done(&args);
    return status;
}

static int add(struct cli *cli)
{
    return run_pair(cli, STORE_DELEGATE_ADD,
                    text_in("it may send as that address now",
                            "このアドレスを差出人として使えるようになりました"));
}

static int remove_one(struct cli *cli)
{
    return run_pair(cli, STORE_DELEGATE_REMOVE,
                    text_in("it may not send as that address any more",
                            "このアドレスを差出人として使えなくなりました"));
}

static int print_json(struct cursor *c)
{
    json_t *list = json_array();

    while (cursor_left(c) > 0 && cursor_status(c) == 0) {
        struct str address = cursor_lp(c);
        json_t *since = cli_json_time((int64_t)cursor_u64(c));
        (void)json_array_append_new(
            list, json_pack("{s:o, s:o}", "address", cli_json_text(address), "created", since));
    }
    return cli_print_json(list);
}

static void print_table(struct cursor *c)
{
    const struct table_column columns[] = {
        {text_in("may send as", "差出人として使えるアドレス"), false, 0},
        {text_in("since", "追加日時"), false, 0}};
    struct table table;

    table_init(&table, columns, ARRAY_LEN(columns));
    while (cursor_left(c) > 0 && cursor_status(c) == 0) {
        table_put(&table, cursor_lp(c));
        table_put_time(&table, (int64_t)cursor_u64(c));
    }
    table_print(&table, text_in("no address of others; it may send as its own and its aliases",
                                "ほかのアドレスはありません。自分のアドレスと別名は使えます"));
    table_done(&table);
}

static int list(struct cli *cli)
{
    struct buf args, reply;

    buf_init(&args, CLIENT_ARGS_MAX_BYTES);
    buf_init(&reply, CLIENT_REPLY_MAX_BYTES);
    buf_put_lp(&args, cli_word(cli, ACCOUNT_WORD));
    int status = client_do(&cli->client, STORE_DELEGATE_LIST, buf_str(&args), &reply);
    struct cursor c = cursor_from(buf_str(&reply));
    if (status == CLI_DONE && cli->args.is_json)
        status = print_json(&c);
    else if (status == CLI_DONE)
        print_table(&c);
    buf_done(&args);
    buf_done(&reply);
    return status;
}

int cmd_account_delegate(struct cli *cli)
{
    static const struct cli_action actions[] = {
        {"list", 1, 1, list},
        {"add", 2, 2, add},
        {"remove", 2, 2, remove_one},
    };

    return actions_run(cli, actions, ARRAY_LEN(actions), 0);
}
