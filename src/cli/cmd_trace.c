/*
 * trace: what became of messages, in plain words, grouped by message.
 *
 * What is asked for is an id (of a message or a session), an address, or a time; the server answers
 * with events, oldest first.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/id.h"
#include "cli/commands.h"
#include "cli/text.h"
#include "cli/trace_text.h"
#include "store/trace_db.h"
#include "store/wire.h"

enum { ARGS_MAX_BYTES = 4096, LINE_MAX_BYTES = 64 * 1024 };

/* Events come ordered by time within a message, but messages may be mixed: their order is that of
 * their first event. */
struct group {
    uint64_t ref;
    size_t first, last; /* indexes into events */
};

struct trace {
    struct trace_event *events;
    size_t *next; /* of the same message; SIZE_MAX: none */
    size_t count;
    struct group *groups;
    size_t group_count;
};

static struct group *find_group(struct trace *t, uint64_t ref)
{
    /* Mostly the last one. */
    for (size_t i = t->group_count; i > 0; i--) {
        if (t->groups[i - 1].ref == ref)
            return &t->groups[i - 1];
    }
    return NULL;
}

static void add_event(struct trace *t, const struct trace_event *event)
{
    if (t->count % 256 == 0) {
        t->events = xrealloc(t->events, (t->count + 256) * sizeof(t->events[0]));
        t->next = xrealloc(t->next, (t->count + 256) * sizeof(t->next[0]));
        t->groups = xrealloc(t->groups, (t->count + 256) * sizeof(t->groups[0]));
    }
    struct group *group = find_group(t, event->ref);
    if (group != NULL)
        t->next[group->last] = t->count;
    else
        t->groups[t->group_count++] = (struct group){.ref = event->ref, .first = t->count};
    group = group != NULL ? group : &t->groups[t->group_count - 1];
    group->last = t->count;
    t->next[t->count] = SIZE_MAX;
    t->events[t->count++] = *event;
}

static int read_trace(struct trace *t, const struct buf *reply)
{
    struct cursor c = cursor_from(buf_str(reply));
    struct trace_event event;
    int r;

    while ((r = trace_next_event(&c, &event)) > 0)
        add_event(t, &event);
    return r < 0 ? cli_fail("the server's answer makes no sense; is it the same version?")
                 : CLI_DONE;
}

static void free_trace(struct trace *t)
{
    free(t->events);
    free(t->next);
    free(t->groups);
}

static void print_event(const struct trace_event *event, const char *indent, bool is_japanese)
{
    struct buf line;

    buf_init(&line, LINE_MAX_BYTES);
    buf_put_c(&line, indent);
    text_put_time(&line, event->time_ms);
    buf_put_c(&line, "  ");
    trace_text_put(&line, event, is_japanese);
    (void)printf("%s\n", buf_c_str(&line));
    buf_done(&line);
}

/* What the id is of. */
static const char *kind_of(const struct trace_event *first, bool is_japanese)
{
    if (trace_is_incident(first->event))
        return is_japanese ? "アカウント" : "account event";
    if (first->session == first->ref)
        return is_japanese ? "接続" : "session";
    return is_japanese ? "メッセージ" : "message";
}

static void print_group(const struct trace *t, const struct group *group, const char *indent,
                        bool is_japanese)
{
    const struct trace_event *first = &t->events[group->first];
    char id[ID_TEXT_CHARS + 1];
    CLEANUP(cleanup_free) char *deeper = xasprintf("%s  ", indent);

    (void)printf("%s%s %s\n", indent, kind_of(first, is_japanese), id_format(group->ref, id));
    for (size_t i = group->first; i != SIZE_MAX; i = t->next[i])
        print_event(&t->events[i], deeper, is_japanese);
}

static json_t *details_json(const struct trace_event *event)
{
    struct cursor c = cursor_from(event->details);
    json_t *details = json_object();
    struct str key, value;

    while (trace_next_detail(&c, &key, &value) > 0) {
        CLEANUP(cleanup_free) char *name = str_dup(key);
        (void)json_object_set_new(details, name, cli_json_text(value));
    }
    return details;
}

static json_t *events_json(const struct trace *t)
{
    char ref[ID_TEXT_CHARS + 1], session[ID_TEXT_CHARS + 1];
    json_t *list = json_array();

    for (size_t i = 0; i < t->count; i++) {
        const struct trace_event *e = &t->events[i];
        (void)json_array_append_new(
            list, json_pack("{s:s, s:s?, s:o, s:o, s:o, s:o}", "ref", id_format(e->ref, ref),
                            "session", e->session != 0 ? id_format(e->session, session) : NULL,
                            "time", cli_json_time(e->time_ms), "event", cli_json_text(e->event),
                            "address", cli_json_text(e->address), "details", details_json(e)));
    }
    return list;
}

/* Asks the server. CLI_DONE and the events, which point into `reply`. */
static int query(struct client *client, const struct trace_query *q, struct buf *reply,
                 struct trace *out)
{
    struct buf args;

    buf_init(&args, ARGS_MAX_BYTES);
    buf_put_u64(&args, q->ref);
    buf_put_lp(&args, q->address);
    buf_put_u64(&args, (uint64_t)q->since_ms);
    buf_put_u32(&args, q->max_rows);
    int status = client_do(client, STORE_TRACE_QUERY, buf_str(&args), reply);
    buf_done(&args);
    return status == CLI_DONE ? read_trace(out, reply) : status;
}

int trace_print(struct client *client, const struct trace_query *q, const char *indent,
                size_t *out_events)
{
    bool is_japanese = text_is_japanese();
    struct trace trace = {0};
    struct buf reply;

    buf_init(&reply, CLIENT_REPLY_MAX_BYTES);
    int status = query(client, q, &reply, &trace);
    for (size_t i = 0; status == CLI_DONE && i < trace.group_count; i++)
        print_group(&trace, &trace.groups[i], indent, is_japanese);
    *out_events = trace.count;
    free_trace(&trace);
    buf_done(&reply);
    return status;
}

int trace_json(struct client *client, const struct trace_query *q, json_t **out)
{
    struct trace trace = {0};
    struct buf reply;

    buf_init(&reply, CLIENT_REPLY_MAX_BYTES);
    int status = query(client, q, &reply, &trace);
    if (status == CLI_DONE)
        *out = events_json(&trace);
    free_trace(&trace);
    buf_done(&reply);
    return status;
}

/* What to ask for, from the words and options. CLI_DONE or CLI_USAGE, said. */
static int parse_query(const struct cli *cli, struct trace_query *out)
{
    const char *since = cli_option(cli, "--since"), *limit = cli_option(cli, "--limit");
    struct str what = cli_word(cli, 0);
    uint64_t rows = TRACE_QUERY_ROWS_MAX;
    int64_t back_ms = 0;

    *out = (struct trace_query){0};
    if (since == NULL && what.len == 0)
        return cli_usage(cli, "say an id, an address, or --since TIME");
    if (since != NULL && trace_text_parse_since(str_from_c(since), &back_ms) < 0)
        return cli_usage(cli, "\"%s\" is no time; write for example 45min, 2h or 7d", since);
    if (limit != NULL &&
        (str_to_u64(str_from_c(limit), TRACE_QUERY_ROWS_MAX, &rows) < 0 || rows == 0))
        return cli_usage(cli, "--limit is a number from 1 to %d", TRACE_QUERY_ROWS_MAX);
    if (str_find(what, '@') >= 0)
        out->address = what;
    else if (what.len > 0 && id_parse(what, &out->ref) < 0)
        return cli_usage(cli,
                         "\"%.*s\" is neither an id (13 characters, as in the log) nor an "
                         "address",
                         STR_ARG(what));
    if (since != NULL)
        out->since_ms = MAX(clock_real_ms() - back_ms, (int64_t)0);
    out->max_rows = (uint32_t)rows;
    return CLI_DONE;
}

static int query_json(struct cli *cli, const struct trace_query *q)
{
    json_t *events = NULL;
    int status = trace_json(&cli->client, q, &events);

    return status == CLI_DONE ? cli_print_json(events) : status;
}

int cmd_trace(struct cli *cli)
{
    struct trace_query q;
    size_t events;

    int status = parse_query(cli, &q);
    if (status != CLI_DONE)
        return status;
    if (cli->args.is_json)
        return query_json(cli, &q);
    status = trace_print(&cli->client, &q, "", &events);
    if (status == CLI_DONE && events == 0)
        return cli_fail("nothing is recorded about that; traces are kept for "
                        "store.trace_retention");
    if (status == CLI_DONE && events == q.max_rows)
        (void)printf("(the newest %zu events; --limit and --since choose others)\n", events);
    return status;
}
