/*
 * suppression list, remove, clear: addresses elsewhere that refused mail for good, again and again,
 * so that mail to them is not even tried.
 */
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/commands.h"
#include "cli/queue_query.h"
#include "cli/queue_text.h"
#include "cli/suppression.h"
#include "cli/table.h"
#include "cli/text.h"
#include "store/wire.h"

enum { PAGE_ROWS = 200, TEXT_MAX_BYTES = 16 * 1024, ANSWER_BYTES = 64 };

/* --- walking --- */

static bool take_row(struct cursor *c, struct suppression_row *out)
{
    *out = (struct suppression_row){.address = cursor_lp(c)};
    out->failures = cursor_u32(c);
    out->is_active = cursor_u8(c) != 0;
    out->first_ms = (int64_t)cursor_u64(c);
    out->last_ms = (int64_t)cursor_u64(c);
    out->expires_ms = (int64_t)cursor_u64(c);
    out->reply = cursor_lp(c);
    return cursor_status(c) == 0;
}

/* One page; `args` becomes the request for the next one. */
static int walk_page(const struct buf *reply, suppression_row_fn *fn, void *arg, struct buf *args,
                     size_t *out_rows)
{
    struct cursor c = cursor_from(buf_str(reply));
    struct suppression_row row;
    int status = CLI_DONE;

    *out_rows = 0;
    while (status == CLI_DONE && cursor_left(&c) > 0) {
        if (!take_row(&c, &row))
            return queue_query_fail();
        status = fn(arg, &row);
        buf_reset(args);
        buf_put_lp(args, row.address);
        (*out_rows)++;
    }
    buf_put_u32(args, PAGE_ROWS);
    return status;
}

int suppression_walk(struct client *client, suppression_row_fn *fn, void *arg)
{
    struct buf args, reply;
    size_t rows;
    int status;

    buf_init(&args, CLIENT_ARGS_MAX_BYTES);
    buf_init(&reply, CLIENT_REPLY_MAX_BYTES);
    buf_put_lp(&args, STR(""));
    buf_put_u32(&args, PAGE_ROWS);
    do {
        rows = 0;
        status = client_do(client, STORE_SUPPRESSION_LIST, buf_str(&args), &reply);
        if (status == CLI_DONE)
            status = walk_page(&reply, fn, arg, &args, &rows);
    } while (status == CLI_DONE && rows == PAGE_ROWS);
    buf_done(&args);
    buf_done(&reply);
    return status;
}

/* --- list --- */

struct listing {
    struct table *table; /* or */
    json_t *json;
    int64_t now_ms;
    bool is_japanese;
};

static int add_json(json_t *list, const struct suppression_row *row)
{
    return json_array_append_new(
        list,
        json_pack("{s:o, s:b, s:I, s:o, s:o, s:o, s:o}", "address", cli_json_text(row->address),
                  "is_active", (int)row->is_active, "failures", (json_int_t)row->failures, "first",
                  queue_query_json_time(row->first_ms), "last", queue_query_json_time(row->last_ms),
                  "expires", queue_query_json_time(row->expires_ms), "reply",
                  cli_json_text(row->reply)));
}

static int add_row(void *arg, const struct suppression_row *row)
{
    struct listing *l = arg;
    struct buf text;

    if (l->json != NULL)
        return add_json(l->json, row) < 0 ? CLI_FAILED : CLI_DONE;
    buf_init(&text, TEXT_MAX_BYTES);
    table_put(l->table, row->address);
    if (l->is_japanese)
        table_put_c(l->table, row->is_active ? "停止中" : "監視中");
    else
        table_put_c(l->table, row->is_active ? "suppressed" : "counted");
    table_put_number(l->table, row->failures);
    queue_text_put_past(&text, row->last_ms, l->now_ms, l->is_japanese);
    table_put(l->table, buf_str(&text));
    buf_reset(&text);
    queue_text_put_when(&text, row->expires_ms, l->now_ms, l->is_japanese);
    table_put(l->table, buf_str(&text));
    buf_reset(&text);
    text_put_safe_line(&text, row->reply);
    table_put(l->table, buf_str(&text));
    buf_done(&text);
    return CLI_DONE;
}

static int list_table(struct cli *cli)
{
    static const struct table_column english[] = {
        {"address", false, 0}, {"state", false, 0},   {"failures", true, 0},
        {"last", false, 0},    {"expires", false, 0}, {"reason", false, 0},
    };
    static const struct table_column japanese[] = {
        {"宛先", false, 0}, {"状態", false, 0}, {"失敗", true, 0},
        {"最後", false, 0}, {"期限", false, 0}, {"理由", false, 0},
    };
    struct table table;
    struct listing l = {
        .table = &table, .now_ms = clock_real_ms(), .is_japanese = text_is_japanese()};

    table_init(&table, l.is_japanese ? japanese : english, ARRAY_LEN(english));
    int status = suppression_walk(&cli->client, add_row, &l);
    if (status == CLI_DONE)
        table_print(&table,
                    l.is_japanese ? "該当する宛先はありません" : "no address is suppressed");
    table_done(&table);
    return status;
}

int cmd_suppression_list(struct cli *cli)
{
    struct listing l = {0};

    if (!cli->args.is_json)
        return list_table(cli);
    l.json = json_array();
    int status = suppression_walk(&cli->client, add_row, &l);
    if (status == CLI_DONE)
        return cli_print_json(l.json);
    json_decref(l.json);
    return status;
}

/* --- remove, clear --- */

/* "" removes all. */
static int remove_rows(struct cli *cli, struct str address, uint32_t *out_removed)
{
    struct buf args, reply;

    buf_init(&args, CLIENT_ARGS_MAX_BYTES);
    buf_init(&reply, CLIENT_REPLY_MAX_BYTES);
    buf_put_lp(&args, address);
    int status = buf_status(&args) < 0
                     ? cli_usage(cli, "that address is too long")
                     : client_do(&cli->client, STORE_SUPPRESSION_REMOVE, buf_str(&args), &reply);
    struct cursor c = cursor_from(buf_str(&reply));
    *out_removed = status == CLI_DONE ? cursor_u32(&c) : 0;
    if (status == CLI_DONE && cursor_finish(&c) < 0)
        status = queue_query_fail();
    buf_done(&args);
    buf_done(&reply);
    return status;
}

int cmd_suppression_remove(struct cli *cli)
{
    struct str address = cli_word(cli, 0);
    uint32_t removed;

    if (address.len == 0)
        return cli_usage(cli, "say an address");
    int status = remove_rows(cli, address, &removed);
    if (status != CLI_DONE)
        return status;
    if (removed == 0)
        return cli_fail("%.*s is not on the list; see: hikyaku suppression list", STR_ARG(address));
    if (cli->args.is_json)
        return cli_print_json(json_pack("{s:I}", "removed", (json_int_t)removed));
    (void)printf("%s\n", text_is_japanese() ? "解除しました。次のメールから配送します"
                                            : "removed: the next mail to it is tried");
    return CLI_DONE;
}

/* A list that many refusals made is not to be lost by a slip. */
static int ask(struct cli *cli)
{
    char line[ANSWER_BYTES];

    if (cli_option(cli, "--yes") != NULL)
        return CLI_DONE;
    if (!isatty(STDIN_FILENO))
        return cli_fail(
            "that forgets all addresses; nothing was changed: add --yes if it is meant");
    (void)fflush(stdout);
    (void)fputs(text_is_japanese() ? "すべての宛先を解除します。よろしいですか？ [yes/no] "
                                   : "forget all addresses? [yes/no] ",
                stderr);
    if (fgets(line, sizeof(line), stdin) == NULL || !queue_query_is_yes(str_from_c(line)))
        return cli_fail("nothing was changed");
    return CLI_DONE;
}

int cmd_suppression_clear(struct cli *cli)
{
    uint32_t removed = 0;

    int status = ask(cli);
    if (status == CLI_DONE)
        status = remove_rows(cli, STR(""), &removed);
    if (status != CLI_DONE)
        return status;
    if (cli->args.is_json)
        return cli_print_json(json_pack("{s:I}", "removed", (json_int_t)removed));
    if (text_is_japanese())
        (void)printf("%u 件を解除しました\n", removed);
    else
        (void)printf("%u address%s removed\n", removed, removed == 1 ? "" : "es");
    return CLI_DONE;
}
