/*
 * ban list, add, remove: networks that may not come in, because of failed logins or because an
 * administrator says so.
 */
#include <stdio.h>

#include "base/clock.h"
#include "base/ip.h"
#include "cli/commands.h"
#include "cli/queue_query.h"
#include "cli/queue_text.h"
#include "cli/table.h"
#include "cli/text.h"
#include "conf/value.h"
#include "store/ban_wire.h"
#include "store/wire.h"

enum { TEXT_MAX_BYTES = 4096 };

typedef int ban_fn(void *arg, const struct ban_row *row);

/* --- walking --- */

/* One page; `args` becomes the request for the next one. */
static int walk_page(const struct buf *reply, ban_fn *fn, void *arg, struct buf *args)
{
    struct cursor c = cursor_from(buf_str(reply));
    struct ban_row row;
    int status = CLI_DONE;

    while (status == CLI_DONE && cursor_left(&c) > 0) {
        if (ban_get_row(&c, &row) < 0)
            return queue_query_fail();
        status = fn(arg, &row);
        buf_reset(args);
        buf_put_lp(args, row.network);
    }
    return status;
}

static int walk(struct client *client, ban_fn *fn, void *arg)
{
    struct buf args, reply;
    int status;

    buf_init(&args, CLIENT_ARGS_MAX_BYTES);
    buf_init(&reply, CLIENT_REPLY_MAX_BYTES);
    buf_put_lp(&args, STR(""));
    do {
        buf_reset(&reply);
        status = client_do(client, STORE_BAN_LIST, buf_str(&args), &reply);
        if (status == CLI_DONE)
            status = walk_page(&reply, fn, arg, &args);
    } while (status == CLI_DONE && reply.len > 0);
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

static int add_json(json_t *list, const struct ban_row *row, int64_t now_ms)
{
    json_t *until = row->until_ms == INT64_MAX ? json_null() : queue_query_json_time(row->until_ms);

    return json_array_append_new(
        list,
        json_pack("{s:o, s:o, s:o, s:b, s:s, s:I, s:o}", "network", cli_json_text(row->network),
                  "since", queue_query_json_time(row->since_ms), "until", until, "is_over",
                  (int)(row->until_ms <= now_ms), "what", row->is_for_all ? "everything" : "logins",
                  "times", (json_int_t)row->strikes, "reason", cli_json_text(row->reason)));
}

static void put_until(struct buf *out, const struct listing *l, const struct ban_row *row)
{
    if (row->until_ms == INT64_MAX)
        buf_put_c(out, l->is_japanese ? "解除するまで" : "lifted by hand");
    else if (row->until_ms <= l->now_ms)
        buf_put_c(out, l->is_japanese ? "終了" : "over");
    else
        queue_text_put_when(out, row->until_ms, l->now_ms, l->is_japanese);
}

/* What the server itself gives as a reason, in the reader's language. */
static const char *translate_reason(struct str reason)
{
    static const char *const known[][2] = {
        {BAN_FOR_FAILURES, "ログインの失敗が多すぎます"},
        {BAN_BY_HAND, "手動"},
    };

    for (size_t i = 0; i < ARRAY_LEN(known); i++) {
        if (str_eq_c(reason, known[i][0]))
            return known[i][1];
    }
    return NULL;
}

static int add_row(void *arg, const struct ban_row *row)
{
    struct listing *l = arg;
    struct buf text;

    if (l->json != NULL)
        return add_json(l->json, row, l->now_ms) < 0 ? CLI_FAILED : CLI_DONE;
    buf_init(&text, TEXT_MAX_BYTES);
    table_put(l->table, row->network);
    if (l->is_japanese)
        table_put_c(l->table, row->is_for_all ? "すべて" : "ログイン");
    else
        table_put_c(l->table, row->is_for_all ? "everything" : "logins");
    queue_text_put_past(&text, row->since_ms, l->now_ms, l->is_japanese);
    table_put(l->table, buf_str(&text));
    buf_reset(&text);
    put_until(&text, l, row);
    table_put(l->table, buf_str(&text));
    table_put_number(l->table, row->strikes);
    buf_reset(&text);
    const char *known = l->is_japanese ? translate_reason(row->reason) : NULL;
    text_put_safe_line(&text, known != NULL ? str_from_c(known) : row->reason);
    table_put(l->table, buf_str(&text));
    buf_done(&text);
    return CLI_DONE;
}

static int list_table(struct cli *cli)
{
    static const struct table_column english[] = {
        {"network", false, 0}, {"bars from", false, 0}, {"since", false, 0},
        {"until", false, 0},   {"times", true, 0},      {"reason", false, 0},
    };
    static const struct table_column japanese[] = {
        {"ネットワーク", false, 0}, {"対象", false, 0}, {"開始", false, 0},
        {"期限", false, 0},         {"回数", true, 0},  {"理由", false, 0},
    };
    struct table table;
    struct listing l = {
        .table = &table, .now_ms = clock_real_ms(), .is_japanese = text_is_japanese()};

    table_init(&table, l.is_japanese ? japanese : english, ARRAY_LEN(english));
    int status = walk(&cli->client, add_row, &l);
    if (status == CLI_DONE)
        table_print(&table,
                    l.is_japanese ? "拒否しているネットワークはありません" : "nobody is banned");
    table_done(&table);
    return status;
}

int cmd_ban_list(struct cli *cli)
{
    struct listing l = {.now_ms = clock_real_ms()};

    if (!cli->args.is_json)
        return list_table(cli);
    l.json = json_array();
    int status = walk(&cli->client, add_row, &l);
    if (status == CLI_DONE)
        return cli_print_json(l.json);
    json_decref(l.json);
    return status;
}

/* --- add, remove --- */

/* The network of the first word as the server writes it. */
static int take_network(struct cli *cli, char out[IP_NET_TEXT_BYTES])
{
    struct str word = cli_word(cli, 0);
    struct ip_net net;

    if (ip_net_parse(word, &net) < 0)
        return cli_usage(cli,
                         "say an address or a network: 192.0.2.1, 192.0.2.0/24, 2001:db8::/64");
    (void)ip_net_print(&net, out);
    return CLI_DONE;
}

static int take_until(struct cli *cli, int64_t now_ms, int64_t *out_until_ms)
{
    const char *text = cli_option(cli, "--for");
    int64_t length_ms;

    *out_until_ms = INT64_MAX;
    if (text == NULL)
        return CLI_DONE;
    if (value_parse_duration(str_from_c(text), &length_ms) < 0 || length_ms <= 0)
        return cli_usage(cli, "--for takes a time such as 45min, 2h, 7d");
    *out_until_ms = now_ms + length_ms;
    return CLI_DONE;
}

static int tell_added(const struct cli *cli, const char *network, bool is_exempt)
{
    bool is_japanese = text_is_japanese();

    if (cli->args.is_json)
        return cli_print_json(
            json_pack("{s:s, s:b}", "banned", network, "touches_exempt", (int)is_exempt));
    (void)printf(is_japanese ? "%s からの接続を拒否します。接続中の相手は、ログインしていなければ"
                               "次のメールから拒否します\n"
                             : "%s may not connect any more; who is connected now may send no "
                               "further mail, unless he has logged in\n",
                 network);
    if (is_exempt)
        (void)printf("%s\n", text_in("But brakes.exempt_networks names all or some of it: for "
                                     "that the ban does not hold, until it is taken out there",
                                     "ただし、全部または一部が brakes.exempt_networks に含まれて"
                                     "います。そこから外すまで、その部分は拒否されません"));
    return CLI_DONE;
}

int cmd_ban_add(struct cli *cli)
{
    const char *reason = cli_option(cli, "--reason");
    char network[IP_NET_TEXT_BYTES];
    int64_t now_ms = clock_real_ms(), until_ms;
    struct buf args, reply;

    int status = take_network(cli, network);
    if (status == CLI_DONE)
        status = take_until(cli, now_ms, &until_ms);
    if (status != CLI_DONE)
        return status;
    struct ban_row row = {.network = str_from_c(network),
                          .since_ms = now_ms,
                          .until_ms = until_ms,
                          .strikes = 1,
                          .is_for_all = true,
                          .reason = str_from_c(reason != NULL ? reason : BAN_BY_HAND)};
    buf_init(&args, CLIENT_ARGS_MAX_BYTES);
    buf_init(&reply, CLIENT_REPLY_MAX_BYTES);
    ban_put_row(&args, &row);
    status = client_do(&cli->client, STORE_BAN_ADD, buf_str(&args), &reply);
    bool is_exempt = reply.len == 1 && reply.ptr[0] != 0;
    buf_done(&args);
    buf_done(&reply);
    return status == CLI_DONE ? tell_added(cli, network, is_exempt) : status;
}

int cmd_ban_remove(struct cli *cli)
{
    char network[IP_NET_TEXT_BYTES];
    struct buf args, reply;

    int status = take_network(cli, network);
    if (status != CLI_DONE)
        return status;
    buf_init(&args, CLIENT_ARGS_MAX_BYTES);
    buf_init(&reply, CLIENT_REPLY_MAX_BYTES);
    buf_put_lp(&args, str_from_c(network));
    status = client_do(&cli->client, STORE_BAN_REMOVE, buf_str(&args), &reply);
    bool was_there = status == CLI_DONE && reply.len == 1 && reply.ptr[0] != 0;
    buf_done(&args);
    buf_done(&reply);
    if (status != CLI_DONE)
        return status;
    if (!was_there)
        return cli_fail("%s is not banned; see: hikyaku ban list", network);
    if (cli->args.is_json)
        return cli_print_json(json_pack("{s:s}", "lifted", network));
    (void)printf(text_is_japanese() ? "%s の拒否を解除しました\n" : "%s may connect again\n",
                 network);
    return CLI_DONE;
}
