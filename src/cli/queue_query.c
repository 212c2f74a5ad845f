/* The rows of the queue over the control socket: see queue_query.h. */
#include "cli/queue_query.h"

#include "base/id.h"
#include "cli/queue_text.h"
#include "store/wire.h"

enum { LIMIT_MAX = 1000 * 1000 };

int queue_query_fail(void)
{
    return cli_fail("the server's answer makes no sense; is it the same version?");
}

bool queue_query_is_yes(struct str line)
{
    struct str answer = str_trim(line);

    return str_eq_nocase(answer, STR("yes")) || str_eq_nocase(answer, STR("y")) ||
           str_eq_c(answer, "はい");
}

/* The value of an option that this command may not have. */
static struct str option(const struct cli *cli, const char *name)
{
    return str_from_c(cli_option(cli, name));
}

int queue_query_id(const struct cli *cli, struct str text, uint64_t *out)
{
    if (id_parse(text, out) < 0 || *out == 0)
        return cli_usage(cli, "\"%.*s\" is no id of a message (13 characters, as in the log)",
                         STR_ARG(text));
    return CLI_DONE;
}

int queue_query_limit(const struct cli *cli, uint64_t standard, uint64_t *out)
{
    const char *limit = cli_option(cli, "--limit");

    *out = standard;
    if (limit != NULL && (str_to_u64(str_from_c(limit), LIMIT_MAX, out) < 0 || *out == 0))
        return cli_usage(cli, "--limit is a number from 1 to %d", LIMIT_MAX);
    return CLI_DONE;
}

/* An empty value would mean all: nobody who typed an option means that. */
static int check_values(const struct cli *cli)
{
    const struct cli_option *o = cli->args.command->options;

    for (size_t i = 0; o != NULL && o[i].name != NULL; i++) {
        const char *value = cli->args.values[i];
        if (o[i].value != NULL && value != NULL && value[0] == '\0')
            return cli_usage(cli, "%s has no value", o[i].name);
    }
    return CLI_DONE;
}

int queue_query_filter(const struct cli *cli, struct queue_filter *out)
{
    struct str id = option(cli, "--id"), state = option(cli, "--state");
    enum queue_state wanted;

    *out = (struct queue_filter){.sender = option(cli, "--sender"),
                                 .recipient = option(cli, "--recipient"),
                                 .domain = option(cli, "--domain")};
    int status = check_values(cli);
    if (status == CLI_DONE && id.len > 0)
        status = queue_query_id(cli, id, &out->id);
    if (status == CLI_DONE && cli_option(cli, "--scheduled") != NULL) {
        if (state.len > 0)
            return cli_usage(cli, "say either --state or --scheduled");
        state = STR("scheduled");
    }
    if (status != CLI_DONE || state.len == 0)
        return status;
    if (queue_text_parse_state(state, &wanted) < 0)
        return cli_usage(cli,
                         "\"%.*s\" is no state; there are ready, deferred, held, scheduled, "
                         "sending and reporting",
                         STR_ARG(state));
    out->state_plus_1 = (uint8_t)(wanted + 1);
    return CLI_DONE;
}

/* One page; *io_filter is moved behind it, *io_limit is what may still come: 0 at the end. */
static int walk_page(struct queue_filter *io_filter, const struct buf *reply, queue_row_fn *fn,
                     void *arg, uint64_t *io_limit)
{
    struct cursor c = cursor_from(buf_str(reply));
    bool has_more = cursor_u8(&c) != 0;
    struct queue_row row;
    uint64_t rows = 0;
    int status = CLI_DONE, r;

    while (status == CLI_DONE && (r = queue_next_row(&c, &row)) != 0) {
        if (r < 0)
            return queue_query_fail();
        status = fn(arg, &row);
        io_filter->after_id = row.id;
        io_filter->after_n = row.n;
        rows++;
    }
    /* Without a row the same page would come for ever. */
    if (status == CLI_DONE && (cursor_status(&c) < 0 || (has_more && rows == 0)))
        return queue_query_fail();
    *io_limit = has_more ? *io_limit - MIN(rows, *io_limit) : 0;
    return status;
}

int queue_query_rows(struct client *client, const struct queue_filter *filter, uint64_t limit,
                     queue_row_fn *fn, void *arg)
{
    struct queue_filter place = *filter;
    struct buf args, reply;
    int status;

    buf_init(&args, CLIENT_ARGS_MAX_BYTES);
    buf_init(&reply, CLIENT_REPLY_MAX_BYTES);
    do {
        buf_reset(&args);
        queue_put_filter(&args, &place);
        buf_put_u32(&args, (uint32_t)MIN(limit, (uint64_t)QUEUE_LIST_ROWS_MAX));
        if (buf_status(&args) < 0)
            status = cli_fail("the addresses are too long");
        else
            status = client_do(client, STORE_QUEUE_LIST, buf_str(&args), &reply);
        if (status == CLI_DONE)
            status = walk_page(&place, &reply, fn, arg, &limit);
    } while (status == CLI_DONE && limit > 0);
    buf_done(&args);
    buf_done(&reply);
    return status;
}

json_t *queue_query_json_time(int64_t real_ms)
{
    return real_ms != 0 ? cli_json_time(real_ms) : json_null();
}

json_t *queue_query_json_row(const struct queue_row *row)
{
    char id[ID_TEXT_CHARS + 1];

    json_t *object = json_pack(
        "{s:s, s:I, s:o, s:o, s:o, s:o, s:o, s:I, s:i}", "id", id_format(row->id, id), "n",
        (json_int_t)row->n, "sender", cli_json_text(row->sender), "recipient",
        cli_json_text(row->address), "destination", cli_json_text(row->destination), "received",
        cli_json_time(row->created_ms), "expires", cli_json_time(row->expires_ms), "bytes",
        (json_int_t)row->bytes, "priority", row->priority_plus_100 - 100);
    json_t *times =
        json_pack("{s:o, s:o, s:s}", "release", queue_query_json_time(row->release_ms),
                  "deliver_by", queue_query_json_time(row->by != 0 ? row->deliver_by_ms : 0),
                  "if_late", queue_text_if_late(row->by));
    json_t *more = json_pack("{s:s, s:I, s:o, s:o, s:o, s:o, s:o, s:s, s:I, s:o}", "state",
                             queue_text_row_state_name(row), "attempts", (json_int_t)row->attempts,
                             "last_attempt", queue_query_json_time(row->last_attempt_ms), "next",
                             queue_query_json_time(queue_text_next_ms(row)), "status",
                             cli_json_text(row->status), "remote", cli_json_text(row->remote),
                             "reply", cli_json_text(row->reply), "destination_state",
                             queue_text_destination_name(row->destination_state),
                             "destination_failures", (json_int_t)row->destination_failures,
                             "destination_why", cli_json_text(row->destination_why));
    (void)json_object_update(object, more);
    (void)json_object_update(object, times);
    json_decref(times);
    json_decref(more);
    return object;
}
