/* account limits: what an account may send, what it has sent today, and limits of its own. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "cli/commands.h"
#include "cli/queue_text.h"
#include "cli/table.h"
#include "cli/text.h"
#include "store/usage.h"
#include "store/wire.h"

enum { UNCHANGED = -2, TEXT_MAX_BYTES = 4096 };

/* By enum usage_limit. */
static const struct {
    const char *option, *name; /* as typed, in JSON */
    const char *english, *japanese;
} kinds[USAGE_LIMIT_END] = {
    [USAGE_MESSAGES] = {"--messages-per-minute", "messages_per_minute", "messages a minute",
                        "1 分間のメール数"},
    [USAGE_RECIPIENTS] = {"--recipients-per-day", "recipients_per_day", "recipients a day",
                          "1 日の宛先数"},
    [USAGE_NEW_RECIPIENTS] = {"--new-recipients-per-day", "new_recipients_per_day",
                              "new recipients a day", "1 日の初めての宛先数"},
};

struct limit {
    int64_t of_all, own, used; /* as account.limits has them */
};

struct limits {
    struct str address;
    struct limit list[USAGE_LIMIT_END];
    int64_t day_end_ms;
};

static int64_t in_force(const struct limit *l)
{
    return l->own != USAGE_AS_SET ? l->own : l->of_all;
}

static bool take_limits(struct cursor *c, struct limits *out)
{
    out->address = cursor_lp(c);
    for (int i = 0; i < USAGE_LIMIT_END; i++) {
        out->list[i].of_all = (int64_t)cursor_u64(c);
        out->list[i].own = (int64_t)cursor_u64(c);
        out->list[i].used = (int64_t)cursor_u64(c);
    }
    out->day_end_ms = (int64_t)cursor_u64(c);
    return cursor_finish(c) == 0;
}

/* --- showing --- */

/* null: not limited, or not counted */
static json_t *number_json(int64_t value, int64_t none)
{
    return value == none ? json_null() : json_integer((json_int_t)value);
}

static int print_json(const struct limits *l)
{
    json_t *value = json_pack("{s:o}", "address", cli_json_text(l->address));

    for (int i = 0; i < USAGE_LIMIT_END; i++) {
        const struct limit *limit = &l->list[i];
        json_t *one =
            json_pack("{s:o, s:b, s:o, s:o}", "limit", number_json(in_force(limit), 0), "is_own",
                      limit->own != USAGE_AS_SET, "setting", number_json(limit->of_all, 0),
                      "used_today", number_json(limit->used, -1));
        (void)json_object_set_new(value, kinds[i].name, one);
    }
    (void)json_object_set_new(value, "day_ends", cli_json_time(l->day_end_ms));
    return cli_print_json(value);
}

static void put_count(struct table *table, int64_t value, int64_t none, const char *nothing)
{
    if (value == none)
        table_put_c(table, nothing);
    else
        table_put_number(table, (uint64_t)value);
}

static void put_rows(struct table *table, const struct limits *l, bool is_japanese)
{
    for (int i = 0; i < USAGE_LIMIT_END; i++) {
        const struct limit *limit = &l->list[i];
        table_put_c(table, is_japanese ? kinds[i].japanese : kinds[i].english);
        put_count(table, in_force(limit), 0, is_japanese ? "なし" : "none");
        put_count(table, limit->used, -1, "-");
        if (limit->own != USAGE_AS_SET)
            table_put_c(table, is_japanese ? "このアカウントの設定" : "this account");
        else
            table_put_c(table, usage_limit_setting((enum usage_limit)i));
    }
}

static void print_table(const struct limits *l)
{
    static const struct table_column english[] = {
        {"limit", false, 0}, {"at most", true, 0}, {"today", true, 0}, {"set by", false, 0}};
    static const struct table_column japanese[] = {
        {"制限", false, 0}, {"上限", true, 0}, {"本日", true, 0}, {"設定", false, 0}};
    bool is_japanese = text_is_japanese();
    struct table table;
    struct buf text;

    table_init(&table, is_japanese ? japanese : english, ARRAY_LEN(english));
    put_rows(&table, l, is_japanese);
    table_print(&table, "");
    table_done(&table);
    buf_init(&text, TEXT_MAX_BYTES);
    queue_text_put_when(&text, l->day_end_ms, clock_real_ms(), is_japanese);
    (void)printf(is_japanese ? "1 日の数は %s に 0 に戻ります。\n"
                             : "What is counted by the day begins anew at %s.\n",
                 buf_c_str(&text));
    buf_done(&text);
}

static int show(struct cli *cli)
{
    struct limits limits;
    struct buf args, reply;

    buf_init(&args, CLIENT_ARGS_MAX_BYTES);
    buf_init(&reply, CLIENT_REPLY_MAX_BYTES);
    buf_put_lp(&args, cli_word(cli, 0));
    int status = client_do(&cli->client, STORE_ACCOUNT_LIMITS, buf_str(&args), &reply);
    struct cursor c = cursor_from(buf_str(&reply));
    if (status == CLI_DONE && !take_limits(&c, &limits))
        status = cli_fail("the server's answer makes no sense; restart the server");
    else if (status == CLI_DONE && cli->args.is_json)
        status = print_json(&limits);
    else if (status == CLI_DONE)
        print_table(&limits);
    buf_done(&args);
    buf_done(&reply);
    return status;
}

/* --- setting --- */

/* A number, "none" or "default". CLI_DONE or CLI_USAGE, said. */
static int parse_limit(const struct cli *cli, const char *option, int64_t *out)
{
    const char *text = cli_option(cli, option);
    uint64_t number;

    *out = UNCHANGED;
    if (text == NULL)
        return CLI_DONE;
    if (strcmp(text, "default") == 0)
        *out = USAGE_AS_SET;
    else if (strcmp(text, "none") == 0)
        *out = 0;
    else if (str_to_u64(str_from_c(text), USAGE_LIMIT_MAX, &number) == 0 && number > 0)
        *out = (int64_t)number;
    else
        return cli_usage(cli, "%s takes a number from 1 to %d, none or default", option,
                         USAGE_LIMIT_MAX);
    return CLI_DONE;
}

int cmd_account_limits(struct cli *cli)
{
    struct buf args;
    int64_t wanted;
    bool is_change = false;
    int status = CLI_DONE;

    buf_init(&args, CLIENT_ARGS_MAX_BYTES);
    buf_put_lp(&args, cli_word(cli, 0));
    for (int i = 0; status == CLI_DONE && i < USAGE_LIMIT_END; i++) {
        status = parse_limit(cli, kinds[i].option, &wanted);
        is_change |= wanted != UNCHANGED;
        buf_put_u64(&args, (uint64_t)wanted);
    }
    if (status == CLI_DONE && is_change)
        status = cli_run_verb(cli, STORE_ACCOUNT_LIMIT_SET, &args, NULL);
    buf_done(&args);
    return status == CLI_DONE ? show(cli) : status;
}
