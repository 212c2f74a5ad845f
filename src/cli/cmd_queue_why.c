/*
 * queue why DOMAIN: why mail for a domain waits, what the other side says, what that means and what
 * can be done. queue stats: the whole queue in numbers.
 */
#include <stdio.h>

#include "base/clock.h"
#include "cli/commands.h"
#include "cli/queue_query.h"
#include "cli/queue_text.h"
#include "cli/suppression.h"
#include "cli/table.h"
#include "cli/text.h"
#include "mail/address.h"
#include "mail/dsn.h"
#include "store/wire.h"

enum {
    ARENA_BYTES = 4096,
    DESTINATIONS_MAX = 1000,
    SUPPRESSED_SHOWN_MAX = 5,
    TEXT_MAX_BYTES = 16 * 1024,
    STATES = QUEUE_STATES,
};

struct answer {
    uint64_t count;
    int64_t next_ms;
    struct str status, remote, reply;
};

struct destination {
    struct str name;
    uint8_t state;
    int64_t due_ms, since_ms, last_attempt_ms;
    uint32_t failures;
    uint32_t code; /* of the server's reply; 0: none */
    struct str status, why;
    uint64_t counts[STATES];
    uint64_t total;
    struct answer answers[QUEUE_WHY_REPLIES_MAX];
    size_t answer_count;
};

struct telling {
    struct str domain;
    int64_t now_ms;
    bool is_japanese;
    json_t *json; /* of the destinations; NULL: words */
    uint64_t total;
};

static int64_t take_ms(struct cursor *c)
{
    return (int64_t)cursor_u64(c);
}

static void take_counts(struct cursor *c, uint64_t *counts, uint64_t *out_total)
{
    *out_total = 0;
    for (size_t i = 0; i < STATES; i++) {
        counts[i] = cursor_u64(c);
        *out_total += counts[i];
    }
}

static void take_destination(struct cursor *c, struct destination *d)
{
    *d = (struct destination){.name = cursor_lp(c)};
    d->state = cursor_u8(c);
    d->due_ms = take_ms(c);
    d->failures = cursor_u32(c);
    d->since_ms = take_ms(c);
    d->last_attempt_ms = take_ms(c);
    d->status = cursor_lp(c);
    d->code = cursor_u32(c);
    d->why = cursor_lp(c);
    take_counts(c, d->counts, &d->total);
    uint32_t count = cursor_u32(c);
    if (count > QUEUE_WHY_REPLIES_MAX)
        cursor_fail(c);
    for (uint32_t i = 0; i < count && cursor_status(c) == 0; i++) {
        struct answer *a = &d->answers[d->answer_count++];
        a->count = cursor_u64(c);
        a->next_ms = take_ms(c);
        a->status = cursor_lp(c);
        a->remote = cursor_lp(c);
        a->reply = cursor_lp(c);
    }
}

/* --- words --- */

static void put_counts(struct buf *out, const uint64_t *counts, bool is_down, bool is_japanese)
{
    const char *before = "", *words;

    for (unsigned i = 0; i < STATES; i++) {
        if (counts[i] == 0)
            continue;
        buf_put_c(out, before);
        words = queue_text_state_words(i, is_japanese);
        if (is_down && i == QUEUE_READY)
            words = is_japanese ? "待機中" : "waiting";
        if (is_japanese)
            buf_printf(out, "%s %llu 件", words, (unsigned long long)counts[i]);
        else
            buf_printf(out, "%llu %s", (unsigned long long)counts[i], words);
        before = is_japanese ? "、" : ", ";
    }
}

static void print_line(const char *indent, struct buf *line)
{
    (void)printf("%s%s\n", indent, buf_c_str(line));
    buf_reset(line);
}

/* What an answer means, and what can be done. */
static void print_meaning(const struct telling *t, struct str status, struct str reply,
                          bool is_remote)
{
    struct dsn_reason reason =
        dsn_explain(status, reply, t->is_japanese ? DSN_JAPANESE : DSN_ENGLISH);
    struct buf remedy;

    buf_init(&remedy, TEXT_MAX_BYTES);
    queue_text_put_remedy(&remedy, status, is_remote, t->domain, t->is_japanese);
    (void)printf("      %s\n", reason.meaning);
    print_line("      -> ", &remedy);
    buf_done(&remedy);
}

static void put_failures(const struct telling *t, const struct destination *d, struct buf *out)
{
    if (d->last_attempt_ms == 0) { /* only other mail for the same hosts has tried */
        buf_put_c(out, t->is_japanese ? "つながりません: " : "unreachable since ");
        queue_text_put_past(out, d->since_ms, t->now_ms, t->is_japanese);
        buf_put_c(out, t->is_japanese
                           ? "に、ほかのメールの配送で相手サーバーにつながらないと分かりました"
                           : ", as other mail for the same server has shown");
        return;
    }
    if (t->is_japanese) {
        buf_put_c(out, "つながりません: ");
        queue_text_put_past(out, d->since_ms, t->now_ms, true);
        buf_printf(out, "から %u 回続けて失敗、最後は ", d->failures);
        queue_text_put_past(out, d->last_attempt_ms, t->now_ms, true);
        return;
    }
    buf_put_c(out, "unreachable since ");
    queue_text_put_past(out, d->since_ms, t->now_ms, false);
    buf_printf(out, ": %u attempt%s failed, the last one at ", d->failures,
               d->failures == 1 ? "" : "s");
    queue_text_put_past(out, d->last_attempt_ms, t->now_ms, false);
}

/* Something of it is to be tried. */
static bool moves(const struct destination *d)
{
    return d->counts[QUEUE_READY] + d->counts[QUEUE_DEFERRED] + d->counts[QUEUE_LEASED] > 0;
}

static void print_trouble(const struct telling *t, const struct destination *d, struct buf *line)
{
    put_failures(t, d, line);
    print_line("    ", line);
    buf_put_c(line, t->is_japanese ? "理由: " : "it failed with: ");
    queue_text_put_answer(line, d->status, STR(""), d->why);
    print_line("    ", line);
    print_meaning(t, d->status, d->why, d->code != 0);
    if (!moves(d))
        return;
    buf_put_c(line, t->is_japanese ? "次の試行: " : "next attempt: ");
    if (d->state == QUEUE_DESTINATION_ACTIVE)
        buf_put_c(line, t->is_japanese ? "ただいま実行中" : "this moment");
    else
        queue_text_put_when(line, d->due_ms, t->now_ms, t->is_japanese);
    print_line("    ", line);
}

static void print_reach(const struct telling *t, const struct destination *d, struct buf *line)
{
    bool is_active = d->state == QUEUE_DESTINATION_ACTIVE;

    if (is_active)
        buf_put_c(line, t->is_japanese ? "ただいま接続中" : "being served at this moment");
    else if (d->last_attempt_ms == 0)
        buf_put_c(line, t->is_japanese ? "まだ接続していません" : "not tried yet");
    else {
        buf_put_c(line,
                  t->is_japanese ? "接続できています。最後は " : "reachable, the last time at ");
        queue_text_put_past(line, d->last_attempt_ms, t->now_ms, t->is_japanese);
    }
    print_line("    ", line);
    if (d->state != QUEUE_DESTINATION_WAITING || d->counts[QUEUE_READY] == 0 ||
        d->due_ms <= t->now_ms)
        return;
    /* Reached, and left alone for a while all the same. */
    buf_put_c(line, t->is_japanese ? "次の送信: " : "goes on: ");
    queue_text_put_when(line, d->due_ms, t->now_ms, t->is_japanese);
    if (d->why.len > 0) {
        buf_put_c(line, ": ");
        queue_text_put_answer(line, d->status, STR(""), d->why);
    }
    print_line("    ", line);
}

static void print_answer(const struct telling *t, const struct answer *a, struct buf *line)
{
    if (t->is_japanese)
        buf_printf(line, "%llu 件: ", (unsigned long long)a->count);
    else
        buf_printf(line, "%llu x ", (unsigned long long)a->count);
    queue_text_put_answer(line, a->status, a->remote, a->reply);
    print_line("    ", line);
    print_meaning(t, a->status, a->reply, a->remote.len > 0);
    buf_put_c(line, t->is_japanese ? "次の試行: " : "next attempt: ");
    queue_text_put_when(line, a->next_ms, t->now_ms, t->is_japanese);
    print_line("      ", line);
}

/* "a.example"; "a.example/slow", by the route "slow"; "/inside": the hosts of that route. */
static void put_name(const struct telling *t, struct buf *out, struct str name)
{
    struct str domain, route;

    if (!str_cut(name, '/', &domain, &route)) {
        text_put_safe(out, name);
        return;
    }
    text_put_safe(out, domain);
    if (t->is_japanese)
        buf_put_c(out, domain.len > 0 ? "（経路 " : "経路 ");
    else
        buf_put_c(out, domain.len > 0 ? " by the route " : "the route ");
    text_put_safe(out, route);
    buf_put_c(out, t->is_japanese && domain.len > 0 ? "）" : "");
}

static void print_destination(const struct telling *t, const struct destination *d)
{
    struct buf line;

    buf_init(&line, TEXT_MAX_BYTES);
    put_name(t, &line, d->name);
    buf_put_c(&line, ": ");
    put_counts(&line, d->counts, d->failures > 0, t->is_japanese);
    print_line("  ", &line);
    if (d->name.len > 0 && d->name.ptr[0] == '/') {
        buf_put_c(&line, t->is_japanese ? "（数は、この経路のホストへ送るすべてのメールのもの）"
                                        : "(the numbers are of all mail to its hosts)");
        print_line("    ", &line);
    }
    if (d->failures > 0)
        print_trouble(t, d, &line);
    else if (d->state <= QUEUE_DESTINATION_ACTIVE)
        print_reach(t, d, &line);
    for (size_t i = 0; i < d->answer_count; i++)
        print_answer(t, &d->answers[i], &line);
    if (d->counts[QUEUE_HELD] > 0) {
        buf_put_c(&line, t->is_japanese
                             ? "保留の解除: hikyaku queue release --domain "
                             : "to let go what is held: hikyaku queue release --domain ");
        text_put_safe(&line, t->domain);
        print_line("    ", &line);
    }
    buf_done(&line);
}

/* --- JSON --- */

static json_t *counts_json(const uint64_t *counts)
{
    json_t *object = json_object();

    for (unsigned i = 0; i < STATES; i++)
        (void)json_object_set_new(object, queue_text_state_name(i),
                                  json_integer((json_int_t)counts[i]));
    return object;
}

static json_t *answers_json(const struct telling *t, const struct destination *d)
{
    json_t *list = json_array();

    for (size_t i = 0; i < d->answer_count; i++) {
        const struct answer *a = &d->answers[i];
        struct dsn_reason reason =
            dsn_explain(a->status, a->reply, t->is_japanese ? DSN_JAPANESE : DSN_ENGLISH);
        (void)json_array_append_new(
            list, json_pack("{s:I, s:o, s:o, s:o, s:o, s:s}", "recipients", (json_int_t)a->count,
                            "next", queue_query_json_time(a->next_ms), "status",
                            cli_json_text(a->status), "remote", cli_json_text(a->remote), "reply",
                            cli_json_text(a->reply), "meaning", reason.meaning));
    }
    return list;
}

static json_t *destination_json(const struct telling *t, const struct destination *d)
{
    bool has_next = d->state == QUEUE_DESTINATION_WAITING && moves(d);

    return json_pack(
        "{s:o, s:s, s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "name", cli_json_text(d->name),
        "state", queue_text_destination_name(d->state), "failures", (json_int_t)d->failures,
        "since", queue_query_json_time(d->since_ms), "last_attempt",
        queue_query_json_time(d->last_attempt_ms), "next",
        has_next ? queue_query_json_time(d->due_ms) : json_null(), "status",
        cli_json_text(d->status), "code", d->code != 0 ? json_integer(d->code) : json_null(), "why",
        cli_json_text(d->why), "recipients", counts_json(d->counts), "replies", answers_json(t, d));
}

/* --- why --- */

static int tell_destinations(struct telling *t, const struct buf *reply)
{
    struct cursor c = cursor_from(buf_str(reply));
    uint32_t count = cursor_u32(&c);
    struct destination d;

    for (uint32_t i = 0; i < count && i < DESTINATIONS_MAX; i++) {
        take_destination(&c, &d);
        if (cursor_status(&c) < 0)
            return queue_query_fail();
        if (t->total == 0 && d.total > 0 && t->json == NULL)
            (void)printf(t->is_japanese ? "%.*s 宛で待っているもの:\n" : "what waits for %.*s:\n",
                         STR_ARG(t->domain));
        t->total += d.total;
        if (t->json != NULL)
            (void)json_array_append_new(t->json, destination_json(t, &d));
        else if (d.total > 0)
            print_destination(t, &d);
    }
    return cursor_finish(&c) < 0 ? queue_query_fail() : CLI_DONE;
}

struct suppressed {
    struct str domain; /* A-labels */
    uint64_t count;
    struct buf first; /* the first of them, with commas */
};

static int note_suppressed(void *arg, const struct suppression_row *row)
{
    struct suppressed *s = arg;
    ptrdiff_t at = str_rfind(row->address, '@');

    if (!row->is_active || at < 0 ||
        !str_eq_nocase(str_sub(row->address, (size_t)at + 1, row->address.len), s->domain))
        return CLI_DONE;
    if (s->count++ < SUPPRESSED_SHOWN_MAX) {
        buf_put_c(&s->first, s->count > 1 ? ", " : "");
        text_put_safe(&s->first, row->address);
    }
    return CLI_DONE;
}

static void print_suppressed(const struct telling *t, struct suppressed *s)
{
    const char *more = s->count > SUPPRESSED_SHOWN_MAX ? ", ..." : "";
    unsigned long long count = s->count;

    if (s->count == 0)
        return;
    if (t->is_japanese)
        (void)printf("何度も拒否されたため配送を止めている宛先が %llu 件あります: %s%s\n"
                     "  -> hikyaku suppression list で理由が、hikyaku suppression remove で解除が"
                     "できます。\n",
                     count, buf_c_str(&s->first), more);
    else
        (void)printf("%llu address%s suppressed, because mail to them was refused again and again:"
                     " %s%s\n"
                     "  -> hikyaku suppression list says why; hikyaku suppression remove lets mail "
                     "through again.\n",
                     count, count == 1 ? " is" : "es are", buf_c_str(&s->first), more);
}

static int tell_suppressed(struct cli *cli, const struct telling *t, uint64_t *out_count)
{
    struct suppressed s = {.domain = t->domain};

    buf_init(&s.first, TEXT_MAX_BYTES);
    int status = suppression_walk(&cli->client, note_suppressed, &s);
    if (status == CLI_DONE && t->json == NULL)
        print_suppressed(t, &s);
    *out_count = s.count;
    buf_done(&s.first);
    return status;
}

static int ask_why(struct cli *cli, struct telling *t)
{
    struct buf args, reply;

    buf_init(&args, CLIENT_ARGS_MAX_BYTES);
    buf_init(&reply, CLIENT_REPLY_MAX_BYTES);
    buf_put_lp(&args, t->domain);
    int status = buf_status(&args) < 0
                     ? cli_usage(cli, "that name is too long")
                     : client_do(&cli->client, STORE_QUEUE_WHY, buf_str(&args), &reply);
    if (status == CLI_DONE)
        status = tell_destinations(t, &reply);
    buf_done(&args);
    buf_done(&reply);
    return status;
}

static int why(struct cli *cli, struct telling *t)
{
    uint64_t suppressed = 0;

    int status = ask_why(cli, t);
    if (status == CLI_DONE && t->total == 0 && t->json == NULL)
        (void)printf(t->is_japanese ? "%.*s 宛で待っているものはありません\n"
                                    : "nothing waits for %.*s\n",
                     STR_ARG(t->domain));
    if (status == CLI_DONE)
        status = tell_suppressed(cli, t, &suppressed);
    if (t->json == NULL)
        return status;
    if (status != CLI_DONE) {
        json_decref(t->json);
        return status;
    }
    return cli_print_json(json_pack("{s:o, s:o, s:I, s:I}", "domain", cli_json_text(t->domain),
                                    "destinations", t->json, "recipients", (json_int_t)t->total,
                                    "suppressed", (json_int_t)suppressed));
}

/* What is not a domain may be a destination's name, or nothing known. */
static struct str read_domain(struct str typed, struct arena *arena)
{
    struct str domain;
    ptrdiff_t at = str_rfind(typed, '@');

    if (at >= 0)
        typed = str_sub(typed, (size_t)at + 1, typed.len);
    if (str_find(typed, '/') >= 0 || domain_parse(typed, arena, &domain) != ADDRESS_OK)
        return typed;
    return domain;
}

int cmd_queue_why(struct cli *cli)
{
    struct telling t = {.now_ms = clock_real_ms(), .is_japanese = text_is_japanese()};
    struct arena arena;

    arena_init(&arena, ARENA_BYTES);
    t.domain = read_domain(cli_word(cli, 0), &arena);
    t.json = cli->args.is_json ? json_array() : NULL;
    int status = why(cli, &t);
    arena_done(&arena);
    return status;
}

/* --- stats --- */

struct stats {
    uint64_t messages, total, counts[STATES];
    int64_t oldest_ms;
};

struct busy {
    struct str name, why;
    uint8_t state;
    int64_t due_ms;
    uint32_t failures;
    bool has_next;
    uint64_t recipients, moving; /* of them not held */
};

static bool take_busy(struct cursor *c, struct busy *b)
{
    *b = (struct busy){.name = cursor_lp(c)};
    b->state = cursor_u8(c);
    b->due_ms = take_ms(c);
    b->failures = cursor_u32(c);
    b->why = cursor_lp(c);
    b->recipients = cursor_u64(c);
    b->moving = cursor_u64(c);
    b->has_next = b->state == QUEUE_DESTINATION_WAITING && b->moving > 0;
    return cursor_status(c) == 0;
}

static int stats_json(const struct stats *s, struct cursor *c, uint32_t count)
{
    json_t *list = json_array();
    struct busy b;

    for (uint32_t i = 0; i < count && take_busy(c, &b); i++)
        (void)json_array_append_new(
            list,
            json_pack("{s:o, s:I, s:s, s:I, s:o, s:o}", "name", cli_json_text(b.name), "recipients",
                      (json_int_t)b.recipients, "state", queue_text_destination_name(b.state),
                      "failures", (json_int_t)b.failures, "next",
                      b.has_next ? queue_query_json_time(b.due_ms) : json_null(), "why",
                      cli_json_text(b.why)));
    return cli_print_json(json_pack("{s:I, s:o, s:o, s:o}", "messages", (json_int_t)s->messages,
                                    "recipients", counts_json(s->counts), "oldest",
                                    queue_query_json_time(s->oldest_ms), "destinations", list));
}

static void print_busy(const struct telling *t, struct cursor *c, uint32_t count)
{
    static const struct table_column english[] = {{"destination", false, 60},
                                                  {"recipients", true, 0},
                                                  {"failed", true, 0},
                                                  {"next attempt", false, 0},
                                                  {"why", false, 0}};
    static const struct table_column japanese[] = {{"配送先", false, 60},
                                                   {"宛先", true, 0},
                                                   {"失敗", true, 0},
                                                   {"次の試行", false, 0},
                                                   {"理由", false, 0}};
    struct table table;
    struct buf text;
    struct busy b;

    buf_init(&text, TEXT_MAX_BYTES);
    table_init(&table, t->is_japanese ? japanese : english, ARRAY_LEN(english));
    for (uint32_t i = 0; i < count && take_busy(c, &b); i++) {
        table_put(&table, b.name);
        table_put_number(&table, b.recipients);
        table_put_number(&table, b.failures);
        buf_reset(&text);
        if (b.has_next)
            queue_text_put_when(&text, b.due_ms, t->now_ms, t->is_japanese);
        table_put(&table, b.has_next ? buf_str(&text) : STR("-"));
        buf_reset(&text);
        text_put_safe_line(&text, b.why);
        table_put(&table, buf_str(&text));
    }
    table_print(&table, "");
    table_done(&table);
    buf_done(&text);
}

static void print_stats(const struct telling *t, const struct stats *s)
{
    struct buf line;

    buf_init(&line, TEXT_MAX_BYTES);
    if (t->is_japanese)
        buf_printf(&line, "メール %llu 通、宛先 %llu 件（", (unsigned long long)s->messages,
                   (unsigned long long)s->total);
    else
        buf_printf(&line, "%llu message%s to %llu recipient%s (", (unsigned long long)s->messages,
                   s->messages == 1 ? "" : "s", (unsigned long long)s->total,
                   s->total == 1 ? "" : "s");
    put_counts(&line, s->counts, false, t->is_japanese);
    buf_put_c(&line, t->is_japanese ? "）" : ")");
    print_line("", &line);
    if (s->oldest_ms != 0) {
        buf_put_c(&line, t->is_japanese ? "最も古いもの: " : "the oldest came at ");
        queue_text_put_past(&line, s->oldest_ms, t->now_ms, t->is_japanese);
        print_line("", &line);
    }
    (void)printf("\n");
    buf_done(&line);
}

static int tell_stats(const struct cli *cli, const struct buf *reply)
{
    struct telling t = {.now_ms = clock_real_ms(), .is_japanese = text_is_japanese()};
    struct cursor c = cursor_from(buf_str(reply));
    struct stats s = {.messages = cursor_u64(&c)};

    take_counts(&c, s.counts, &s.total);
    s.oldest_ms = take_ms(&c);
    uint32_t count = cursor_u32(&c);
    if (cursor_status(&c) < 0)
        return queue_query_fail();
    if (cli->args.is_json)
        return stats_json(&s, &c, count);
    if (s.total == 0) {
        (void)printf("%s\n", t.is_japanese ? "送信待ちのメールはありません" : "the queue is empty");
        return CLI_DONE;
    }
    print_stats(&t, &s);
    print_busy(&t, &c, count);
    return cursor_finish(&c) < 0 ? queue_query_fail() : CLI_DONE;
}

int cmd_queue_stats(struct cli *cli)
{
    struct buf reply;

    buf_init(&reply, CLIENT_REPLY_MAX_BYTES);
    int status = client_do(&cli->client, STORE_QUEUE_STATS, STR(""), &reply);
    if (status == CLI_DONE)
        status = tell_stats(cli, &reply);
    buf_done(&reply);
    return status;
}
