/* One connection of a destination and the messages that go over it: see line.h. */
#include "svc/outbound/line.h"

#include <errno.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/log.h"
#include "rt/fiber.h"
#include "store/queue_rows.h"
#include "svc/outbound/dial.h"
#include "svc/outbound/verdict.h"
#include "svc/outbound/worker.h"

enum {
    FIRST_BATCH = 2,         /* messages: until the connection has shown what it is worth */
    FAST_MS = 200,           /* a message that took less makes the next batch larger */
    SLOT_WAIT_MS = 5 * 1000, /* for the rate of a site */
    /* Until a site that is down is asked again for any of its destinations: grows from the first
     * to the second, but is never longer than queue.retry says. */
    TRIED_WORDS_BYTES = 300,
    DOWN_PAUSE_MS = 60 * 1000,
    DOWN_PAUSE_MAX_MS = 30 * 60 * 1000,
    /* What is said about one transaction, by all hosts that are tried; only as much as is used. */
    CARRY_ARENA_BYTES = 64 * 1024 * 1024,
    BATCH_ARENA_BYTES = 4 * 1024 * 1024,
    /* Of texts that come along with a batch: each line may hold as much. */
    BATCH_TEXT_BYTES = 128 * 1024,
    TRIED_MAX_BYTES = 1000,
};

/* --- messages --- */

int line_take(struct line *l, struct arena *arena, struct queue_batch *out)
{
    struct job_of_destination *d = l->job;
    struct buf args;

    if (d->is_empty || d->is_down || worker.is_draining)
        return 0;
    buf_init(&args, QUEUE_DESTINATION_MAX_BYTES + 64);
    buf_put_lp(&args, str_from_c(d->name));
    buf_put_u32(&args, l->batch_size);
    buf_put_u32(&args, QUEUE_BATCH_RECIPIENTS_MAX);
    buf_put_u32(&args, BATCH_TEXT_BYTES);
    int r = worker_call(STORE_QUEUE_TAKE, &args, &l->reply);
    buf_done(&args);
    struct cursor c = cursor_from(buf_str(&l->reply));
    if (r == 0)
        r = queue_get_batch(&c, arena, out);
    if (r == -ECANCELED)
        return r;
    if (r < 0) {
        LOG(LOG_ERROR, "outbound.take-failed", LOG_C("destination", d->name), LOG_ERR(r));
        runner_note_busy(d, clock_mono_ms() + LINE_COME_BACK_MS);
        return 0;
    }
    if (!out->has_more)
        d->is_empty = true;
    return out->count > 0;
}

static void tell_tried(struct line *l, const struct smtp_client_reply *reply)
{
    const struct connection *c = l->connection;
    char words[TRIED_WORDS_BYTES];

    if (l->tried.len > 0)
        buf_put_c(&l->tried, "; ");
    verdict_put_words(reply, words, sizeof(words));
    buf_printf(&l->tried, "%s [%s]: %s (%s)", c->host, c->ip, words,
               smtp_client_stage_name(reply->stage));
}

/* The recipients that another host may take. */
static size_t keep_open(struct delivery *del, const struct courier_outcome *o)
{
    size_t kept = 0;

    for (size_t i = 0; i < del->open_count; i++) {
        size_t at = del->open[i];
        del->replies[at] = o->replies[i];
        if (!o->is_unknown && verdict_may_try_next(&o->replies[i]))
            del->open[kept++] = at;
    }
    return kept;
}

static int send_result(struct line *l, const struct delivery *del, struct arena *arena)
{
    const struct queue_message *m = del->message;
    struct queue_result_recipient *list = arena_alloc(arena, m->count * sizeof(*list));
    char tls[SMTP_CLIENT_TLS_BYTES] = "none";

    if (l->connection != NULL)
        smtp_client_describe_tls(&l->connection->client, tls);
    for (size_t i = 0; i < m->count; i++) {
        list[i] = verdict_of(&del->replies[i], arena);
        list[i].n = m->recipients[i].n;
    }
    struct queue_result result = {.message = m->id,
                                  .at_ms = del->begun_ms,
                                  .host = str_from_c(del->host),
                                  .ip = str_from_c(del->ip),
                                  .tls = str_from_c(tls),
                                  .tried = buf_str(&l->tried),
                                  .knows_dsn = del->knows_dsn,
                                  .knows_deliver_by = del->knows_deliver_by,
                                  .recipients = list,
                                  .count = m->count};
    return courier_tell(&l->courier, &result);
}

/* One summary line for the log; the trace has the rest. */
static void log_delivery(const struct line *l, const struct delivery *del)
{
    const struct smtp_client_reply *first = &del->replies[0];
    size_t delivered = 0;

    for (size_t i = 0; i < del->message->count; i++)
        delivered += del->replies[i].code >= 200 && del->replies[i].code < 300;
    LOG(delivered == del->message->count ? LOG_DEBUG : LOG_INFO, "outbound.result",
        LOG_ID("message", del->message->id), LOG_C("destination", l->job->name),
        LOG_C("host", del->host), LOG_INT("delivered", delivered),
        LOG_INT("recipients", del->message->count), LOG_INT("code", first->code),
        LOG_STR("reply", str_sub(first->text, 0, 200)),
        LOG_C("error", first->code == 0 ? verdict_error_text(first->error) : ""));
}

int line_tell(struct line *l, const struct delivery *del, struct arena *arena)
{
    log_delivery(l, del);
    return send_result(l, del, arena);
}

/* Lets the connection go, if there is one. Whoever hears QUIT may believe that we know what he
 * said: the result is settled before. Yields. 0 or -ECANCELED. */
static int leave_host(struct line *l)
{
    if (l->connection == NULL)
        return 0;
    int r = courier_settle(&l->courier);
    if (r < 0)
        return r;
    connection_free(l->connection);
    l->connection = NULL;
    return 0;
}

/* The connection has failed under a message: the next host may do better; or the same one, if the
 * connection had been used before and was closed meanwhile. Yields. 1 with a new connection, 0
 * without, -ECANCELED. */
static int go_to_next_host(struct line *l, const struct smtp_client_reply *reply)
{
    struct trouble failure;
    size_t next_host = l->is_reused ? 0 : l->connection->host_index + 1;

    tell_tried(l, reply);
    if (next_host >= l->job->target.host_count)
        return 0;
    int r = leave_host(l);
    if (r < 0)
        return r;
    l->is_reused = false;
    return dial(l->job->settings, &l->job->target, next_host, &l->connection, &failure);
}

static int64_t down_until_ms(const struct job_of_destination *d)
{
    unsigned failures = d->site->failures;
    int64_t pause_ms =
        MIN((int64_t)DOWN_PAUSE_MS << MIN(failures, 10U), (int64_t)DOWN_PAUSE_MAX_MS);

    return clock_mono_ms() + MIN(pause_ms, queue_pause_ms(d->settings, failures));
}

static void judge(struct line *l, const struct delivery *del, bool was_busy)
{
    struct site *site = l->job->site;
    const struct smtp_client_reply *worst = &del->replies[0];

    for (size_t i = 0; i < del->message->count; i++) {
        if (del->replies[i].code >= 200 && del->replies[i].code < 300) {
            site_note_success(site, was_busy);
            return;
        }
        if (verdict_blames_server(&del->replies[i]))
            worst = &del->replies[i];
    }
    if (!verdict_blames_server(worst)) {
        site->blamed = 0;
        return;
    }
    site_note_blame(site);
    if (site->blamed < SITE_BLAMED_MAX)
        return;
    struct trouble why = {.code = worst->code};
    verdict_host_status(worst, why.status);
    verdict_put_words(worst, why.why, sizeof(why.why));
    (void)snprintf(why.host, sizeof(why.host), "%s", del->host);
    site_note_down(site, down_until_ms(l->job), &why);
    runner_note_down(l->job, &why);
}

static void note_host(struct delivery *del, const struct connection *c)
{
    (void)snprintf(del->host, sizeof(del->host), "%s", c->host);
    (void)snprintf(del->ip, sizeof(del->ip), "%s", c->ip);
    del->knows_dsn = (c->client.extensions & SMTP_EXT_DSN) != 0;
    del->knows_deliver_by = (c->client.extensions & SMTP_EXT_DELIVERBY) != 0;
}

/* Sends one message, to further hosts if need be, and tells the store. Yields. 0 or -ECANCELED. */
static int deliver(struct line *l, const struct queue_message *m, struct arena *arena)
{
    struct delivery del = {.message = m,
                           .replies = arena_alloc(arena, m->count * sizeof(del.replies[0])),
                           .open = arena_alloc(arena, m->count * sizeof(del.open[0])),
                           .open_count = m->count,
                           .begun_ms = clock_real_ms()};
    struct courier_outcome outcome;
    int r = 1;

    buf_reset(&l->tried);
    for (size_t i = 0; i < m->count; i++)
        del.open[i] = i;
    while (r > 0) {
        note_host(&del, l->connection);
        r = courier_carry(&l->courier, l->connection, m, del.open, del.open_count, arena, &outcome);
        if (r < 0)
            return r;
        struct smtp_client_reply last = outcome.replies[0];
        del.open_count = keep_open(&del, &outcome);
        r = del.open_count > 0 ? go_to_next_host(l, &last) : 0;
    }
    if (r < 0)
        return r;
    judge(l, &del, !l->job->is_empty);
    l->is_reused = true;
    return line_tell(l, &del, arena);
}

/* A share of the message's recipients that one transaction may have. */
static struct queue_message share_of(const struct queue_message *m, size_t from, size_t max)
{
    struct queue_message share = *m;

    share.recipients = m->recipients + from;
    share.count = MIN(m->count - from, max);
    return share;
}

static size_t recipients_max(const struct line *l)
{
    size_t max = (size_t)l->job->site->max_recipients;
    uint32_t offered = l->connection->client.max_recipients;

    return offered > 0 ? MIN(max, (size_t)offered) : max;
}

static int tell_returned(struct line *l, const struct queue_message *m, struct arena *arena)
{
    struct queue_result_recipient *list = arena_alloc(arena, m->count * sizeof(*list));

    for (size_t i = 0; i < m->count; i++)
        list[i] = (struct queue_result_recipient){.n = m->recipients[i].n, .verdict = QUEUE_RETURN};
    struct queue_result result = {
        .message = m->id, .tls = STR("none"), .recipients = list, .count = m->count};
    return courier_tell(&l->courier, &result);
}

/* --- connections --- */

static bool is_spent(const struct line *l)
{
    const struct connection *c = l->connection;

    return !c->client.is_usable ||
           c->client.messages >= (uint32_t)l->job->site->messages_per_connection ||
           (c->client.max_messages > 0 && c->client.messages >= c->client.max_messages);
}

/* An idle connection of the site, or a new one. Yields. 1; 0: the destination is down; -ECANCELED.
 */
static int connect_line(struct line *l)
{
    struct job_of_destination *d = l->job;
    struct trouble failure;

    if (l->connection == NULL)
        l->connection = site_take_idle(d->site);
    l->is_reused = l->connection != NULL;
    if (l->is_reused)
        return 1;
    /* Who is to stop need not wait for a connection that carries nothing yet. */
    fiber_set_interruptible(true);
    int r = dial(d->settings, &d->target, 0, &l->connection, &failure);
    fiber_set_interruptible(false);
    l->is_over |= r == 0 && worker.is_draining;
    if (r != 0 || l->is_over)
        return r;
    /* Others are connected: it does not take as many as we tried. */
    if (d->site->in_use > 1) {
        site_note_limit(d->site);
        if (d->lines == 1)
            runner_note_busy(d, clock_mono_ms() + LINE_COME_BACK_MS);
        return 0;
    }
    site_note_down(d->site, down_until_ms(d), &failure);
    runner_note_down(d, &failure);
    return 0;
}

/* Waits for the site's rate. Yields. 1, 0 when it would take too long, -ECANCELED. */
static int wait_for_slot(struct line *l)
{
    int64_t slot_ms = site_take_slot(l->job->site);

    if (slot_ms == 0)
        return 1;
    if (slot_ms > clock_mono_ms() + SLOT_WAIT_MS) {
        site_give_slot_back(l->job->site);
        runner_note_busy(l->job, slot_ms);
        return 0;
    }
    int r = fiber_sleep_until(slot_ms);
    return r < 0 ? r : 1;
}

/* A connection that can take one more message. Yields. 1, 0, -ECANCELED. */
static int have_connection(struct line *l)
{
    if (l->connection != NULL && !is_spent(l))
        return 1;
    int r = leave_host(l);
    if (r < 0)
        return r;
    return l->job->is_down || l->is_over ? 0 : connect_line(l);
}

static int deliver_shares(struct line *l, const struct queue_message *m)
{
    struct arena arena;
    int r = 0;

    arena_init(&arena, CARRY_ARENA_BYTES);
    for (size_t at = 0; r == 0 && at < m->count;) {
        arena_done(&arena);
        r = have_connection(l);
        if (r > 0)
            r = wait_for_slot(l);
        struct queue_message share = share_of(m, at, r > 0 ? recipients_max(l) : m->count);
        if (r < 0)
            break;
        l->is_over |= r == 0;
        r = r > 0 ? deliver(l, &share, &arena) : tell_returned(l, &share, &arena);
        at += share.count;
    }
    arena_done(&arena);
    return r;
}

int line_run(struct line *l)
{
    struct queue_batch batch = {.count = 0};
    struct arena arena;
    bool must_end = false;

    int r = connect_line(l);
    arena_init(&arena, BATCH_ARENA_BYTES);
    while (r > 0 && !l->is_over && !must_end) {
        arena_done(&arena);
        r = line_take(l, &arena, &batch);
        if (r > 0 && batch.has_more && site_has_room(l->job->site))
            runner_add_line(l->job);
        int64_t begun_ms = clock_mono_ms();
        for (size_t i = 0; r > 0 && i < batch.count && !worker.is_draining; i++) {
            int sent = deliver_shares(l, &batch.messages[i]);
            r = sent < 0 ? sent : 1;
        }
        bool is_fast = r > 0 && clock_mono_ms() - begun_ms < FAST_MS * (int64_t)batch.count;
        l->batch_size = is_fast ? MIN(l->batch_size * 2, (uint32_t)LINE_BATCH_MAX) : 1;
        must_end = site_must_give_way(l->job->site, l->job->lines);
    }
    arena_done(&arena);
    return r;
}

void line_init(struct line *l, struct job_of_destination *d, struct connection *c,
               uint32_t batch_size)
{
    *l = (struct line){
        .job = d, .connection = c, .batch_size = batch_size > 0 ? batch_size : FIRST_BATCH};
    courier_init(&l->courier);
    l->courier.is_sure = d->target.is_sure;
    buf_init(&l->reply, WORKER_CALL_MAX_BYTES);
    buf_init(&l->tried, TRIED_MAX_BYTES);
}

int line_done(struct line *l)
{
    int r = courier_settle(&l->courier);

    if (r < 0 && l->connection != NULL)
        l->connection->client.may_quit = false; /* as in leave_host */
    courier_done(&l->courier);
    buf_done(&l->reply);
    buf_done(&l->tried);
    return r;
}
