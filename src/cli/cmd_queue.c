/*
 * queue list, queue show: what waits to go out, for whom, since when and why. What acts on it is
 * in cmd_queue_act.c, what explains a destination in cmd_queue_why.c.
 */
#include <stdio.h>

#include "base/clock.h"
#include "base/id.h"
#include "cli/commands.h"
#include "cli/queue_query.h"
#include "cli/queue_text.h"
#include "cli/table.h"
#include "cli/text.h"
#include "store/wire.h"

enum {
    LIST_ROWS = 1000, /* of a table, unless --limit says otherwise */
    ADDRESS_COLUMNS = 36,
    ANSWER_COLUMNS = 80,
    TEXT_MAX_BYTES = 16 * 1024,
    LABEL_COLUMNS = 12,
};

struct listing {
    struct table *table; /* or */
    json_t *json;
    int64_t now_ms;
    uint64_t rows;
    bool is_japanese;
};

/* Of a ready recipient whose destination waits, the words are those of the destination. */
static void put_reason(struct buf *out, const struct queue_row *row)
{
    if (queue_text_waits_for_destination(row) && row->destination_why.len > 0)
        queue_text_put_answer(out, STR(""), STR(""), row->destination_why);
    else if (row->reply.len > 0)
        queue_text_put_answer(out, row->status, row->remote, row->reply);
}

/* --- list --- */

static int add_row(void *arg, const struct queue_row *row)
{
    struct listing *l = arg;
    char id[ID_TEXT_CHARS + 1];
    struct buf text;

    l->rows++;
    if (l->json != NULL)
        return json_array_append_new(l->json, queue_query_json_row(row)) < 0 ? CLI_FAILED
                                                                             : CLI_DONE;
    buf_init(&text, TEXT_MAX_BYTES);
    table_put_c(l->table, id_format(row->id, id));
    text_put_span(&text, l->now_ms - row->created_ms, l->is_japanese);
    table_put(l->table, buf_str(&text));
    table_put_size(l->table, row->bytes);
    table_put(l->table, row->sender.len > 0 ? row->sender : STR("<>"));
    table_put(l->table, row->address);
    buf_reset(&text);
    queue_text_put_state(&text, row, l->now_ms, l->is_japanese);
    table_put(l->table, buf_str(&text));
    buf_reset(&text);
    put_reason(&text, row);
    table_put(l->table, buf_str(&text));
    buf_done(&text);
    return CLI_DONE;
}

static int list_json(struct cli *cli, const struct queue_filter *filter, uint64_t limit)
{
    struct listing l = {.json = json_array()};

    int status = queue_query_rows(&cli->client, filter, limit, add_row, &l);
    if (status == CLI_DONE)
        return cli_print_json(l.json);
    json_decref(l.json);
    return status;
}

static const char *nothing_listed(const struct queue_filter *f, bool is_japanese)
{
    bool is_any = f->id == 0 && f->sender.len == 0 && f->recipient.len == 0 && f->domain.len == 0 &&
                  f->state_plus_1 == 0;

    if (is_any)
        return is_japanese ? "送信待ちのメールはありません" : "the queue is empty";
    return is_japanese ? "条件に合うものは送信待ちにありません"
                       : "nothing in the queue is like that";
}

static int list_table(struct cli *cli, const struct queue_filter *filter, uint64_t limit)
{
    static const struct table_column english[] = {
        {"id", false, 0},
        {"age", true, 0},
        {"size", true, 0},
        {"from", false, ADDRESS_COLUMNS},
        {"to", false, ADDRESS_COLUMNS},
        {"state", false, 0},
        {"reason", false, ANSWER_COLUMNS},
    };
    static const struct table_column japanese[] = {
        {"id", false, 0},
        {"経過", true, 0},
        {"大きさ", true, 0},
        {"差出人", false, ADDRESS_COLUMNS},
        {"宛先", false, ADDRESS_COLUMNS},
        {"状態", false, 0},
        {"理由", false, ANSWER_COLUMNS},
    };
    struct table table;
    struct listing l = {
        .table = &table, .now_ms = clock_real_ms(), .is_japanese = text_is_japanese()};

    table_init(&table, l.is_japanese ? japanese : english, ARRAY_LEN(english));
    int status = queue_query_rows(&cli->client, filter, limit, add_row, &l);
    if (status == CLI_DONE)
        table_print(&table, nothing_listed(filter, l.is_japanese));
    table_done(&table);
    if (status != CLI_DONE || l.rows < limit)
        return status;
    if (l.is_japanese)
        (void)printf("（先頭の %llu 件。--limit で変えられます）\n", (unsigned long long)l.rows);
    else
        (void)printf("(the first %llu; --limit chooses another number)\n",
                     (unsigned long long)l.rows);
    return status;
}

int cmd_queue_list(struct cli *cli)
{
    struct queue_filter filter;
    uint64_t limit;

    int status = queue_query_filter(cli, &filter);
    if (status == CLI_DONE)
        status = queue_query_limit(cli, cli->args.is_json ? UINT64_MAX : LIST_ROWS, &limit);
    if (status != CLI_DONE)
        return status;
    return cli->args.is_json ? list_json(cli, &filter, limit) : list_table(cli, &filter, limit);
}

/* --- show --- */

static void print_line(const struct listing *l, const char *english, const char *japanese,
                       struct buf *value)
{
    const char *label = l->is_japanese ? japanese : english;
    size_t columns = text_columns(str_from_c(label));
    size_t fill = columns < LABEL_COLUMNS ? LABEL_COLUMNS - columns : 0;

    if (value->len > 0)
        (void)printf("  %s%*s %s\n", label, (int)fill, "", buf_c_str(value));
    buf_reset(value);
}

/* What its sender asked for; also when it is over. */
static void put_release(struct buf *out, const struct listing *l, const struct queue_row *row)
{
    if (row->release_ms == 0)
        return;
    if (row->release_ms > l->now_ms)
        queue_text_put_when(out, row->release_ms, l->now_ms, l->is_japanese);
    else
        queue_text_put_past(out, row->release_ms, l->now_ms, l->is_japanese);
}

static void put_deliver_by(struct buf *out, const struct listing *l, const struct queue_row *row)
{
    bool must_return = (row->by & DELIVER_BY_RETURN) != 0;

    if (row->by == 0)
        return;
    if (row->deliver_by_ms > l->now_ms)
        queue_text_put_when(out, row->deliver_by_ms, l->now_ms, l->is_japanese);
    else
        queue_text_put_past(out, row->deliver_by_ms, l->now_ms, l->is_japanese);
    if (l->is_japanese)
        buf_put_c(out, must_return ? "、過ぎれば返送" : "、過ぎれば差出人に通知");
    else
        buf_put_c(out, must_return ? ", else it is returned" : ", else its sender is told");
}

static void print_message(const struct listing *l, const struct queue_row *row)
{
    char id[ID_TEXT_CHARS + 1];
    struct buf text;

    buf_init(&text, TEXT_MAX_BYTES);
    (void)printf("%s %s\n", l->is_japanese ? "メッセージ" : "message", id_format(row->id, id));
    text_put_safe(&text, row->sender.len > 0 ? row->sender : STR("<>"));
    print_line(l, "from", "差出人", &text);
    text_put_size(&text, row->bytes);
    print_line(l, "size", "大きさ", &text);
    queue_text_put_past(&text, row->created_ms, l->now_ms, l->is_japanese);
    print_line(l, "received", "受付", &text);
    put_release(&text, l, row);
    print_line(l, "to be sent", "送信日時", &text);
    put_deliver_by(&text, l, row);
    print_line(l, "deliver by", "配達期限", &text);
    queue_text_put_when(&text, row->expires_ms, l->now_ms, l->is_japanese);
    print_line(l, "expires", "期限", &text);
    if (row->priority_plus_100 != 100)
        buf_printf(&text, "%d", row->priority_plus_100 - 100);
    print_line(l, "priority", "優先度", &text);
    buf_done(&text);
}

static bool is_unreachable(const struct queue_row *row)
{
    return row->destination_state == QUEUE_DESTINATION_WAITING && row->destination_failures > 0;
}

static void put_attempts(struct buf *out, const struct listing *l, const struct queue_row *row)
{
    if (row->attempts == 0 && is_unreachable(row)) {
        buf_put_c(out, l->is_japanese ? "なし（配送先に接続できていません）"
                                      : "none, because its destination cannot be reached");
        return;
    }
    buf_printf(out, l->is_japanese ? "%u 回" : "%u", row->attempts);
    if (row->last_attempt_ms == 0)
        return;
    buf_put_c(out, l->is_japanese ? "、最後は " : ", the last one at ");
    queue_text_put_past(out, row->last_attempt_ms, l->now_ms, l->is_japanese);
}

/* The destination is told when it is what waits, or is not simply the domain. */
static void put_destination(struct buf *out, const struct listing *l, const struct queue_row *row)
{
    bool waits = is_unreachable(row);

    if (!waits && str_find(row->destination, '/') < 0)
        return;
    text_put_safe(out, row->destination);
    if (!waits)
        return;
    if (l->is_japanese)
        buf_put_c(out, "、接続できません");
    else
        buf_put_c(out, ", unreachable");
    if (row->destination_failures > 1)
        buf_printf(out, l->is_japanese ? "（%u 回続けて失敗）" : " %u times in a row",
                   row->destination_failures);
    buf_put_c(out, ": ");
    text_put_safe_line(out, row->destination_why);
    buf_put_c(out, l->is_japanese ? "。次の試行: " : "; next attempt: ");
    queue_text_put_when(out, row->destination_due_ms, l->now_ms, l->is_japanese);
}

static int show_recipient(void *arg, const struct queue_row *row)
{
    struct listing *l = arg;
    struct buf text;

    if (l->rows++ == 0)
        print_message(l, row);
    buf_init(&text, TEXT_MAX_BYTES);
    text_put_safe(&text, row->address);
    (void)printf("\n");
    print_line(l, "to", "宛先", &text);
    queue_text_put_state(&text, row, l->now_ms, l->is_japanese);
    print_line(l, "state", "状態", &text);
    put_attempts(&text, l, row);
    print_line(l, "attempts", "試行", &text);
    if (row->reply.len > 0)
        queue_text_put_answer(&text, row->status, row->remote, row->reply);
    print_line(l, "last answer", "最後の応答", &text);
    put_destination(&text, l, row);
    print_line(l, "destination", "配送先", &text);
    buf_done(&text);
    return CLI_DONE;
}

static int fail_absent(const struct cli *cli)
{
    return cli_fail("the message %s is not in the queue; what became of it: hikyaku trace %s",
                    cli->args.words[0], cli->args.words[0]);
}

static int show_json(struct cli *cli, const struct queue_filter *filter,
                     const struct trace_query *query)
{
    struct listing l = {.json = json_array()};
    char id[ID_TEXT_CHARS + 1];
    json_t *events = NULL;

    int status = queue_query_rows(&cli->client, filter, UINT64_MAX, add_row, &l);
    if (status == CLI_DONE && l.rows == 0)
        status = fail_absent(cli);
    if (status == CLI_DONE)
        status = trace_json(&cli->client, query, &events);
    if (status == CLI_DONE)
        return cli_print_json(json_pack("{s:s, s:o, s:o}", "id", id_format(filter->id, id),
                                        "recipients", l.json, "trace", events));
    json_decref(l.json);
    return status;
}

int cmd_queue_show(struct cli *cli)
{
    struct listing l = {.now_ms = clock_real_ms(), .is_japanese = text_is_japanese()};
    struct queue_filter filter = {0};
    struct trace_query query = {.max_rows = TRACE_QUERY_ROWS_MAX};
    size_t events;

    int status = queue_query_id(cli, cli_word(cli, 0), &filter.id);
    if (status != CLI_DONE)
        return status;
    query.ref = filter.id;
    if (cli->args.is_json)
        return show_json(cli, &filter, &query);
    status = queue_query_rows(&cli->client, &filter, UINT64_MAX, show_recipient, &l);
    if (status != CLI_DONE)
        return status;
    if (l.rows == 0)
        return fail_absent(cli);
    (void)printf("\n");
    return trace_print(&cli->client, &query, "", &events);
}
