/* A destination at work: see runner.h. */
#include "svc/outbound/runner.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "rt/fiber.h"
#include "svc/outbound/line.h"
#include "svc/outbound/worker.h"

enum { PLACE_WAIT_MS = 20 * 1000, BATCH_ARENA_BYTES = 4 * 1024 * 1024 };

static struct {
    struct list jobs;
    unsigned count, probing;
    void (*on_end)(void);
} runner;

void runner_init(void)
{
    list_init(&runner.jobs);
}

unsigned runner_count(void)
{
    return runner.count;
}

unsigned runner_probing(void)
{
    return runner.probing;
}

void runner_on_end(void (*fn)(void))
{
    runner.on_end = fn;
}

void runner_put_names(struct buf *out)
{
    LIST_FOR_EACH (&runner.jobs, link)
        buf_put_lp(out, str_from_c(CONTAINER_OF(link, struct job_of_destination, link)->name));
}

/* --- laying down --- */

void runner_note_down(struct job_of_destination *d, const struct trouble *why)
{
    if (d->is_down)
        return;
    d->is_down = true;
    d->down = *why;
    LOG(LOG_INFO, "outbound.destination-down", LOG_C("destination", d->name),
        LOG_C("host", why->host), LOG_C("status", why->status), LOG_C("why", why->why));
}

/* It could not be found out which hosts it has. */
static void note_unfound(struct job_of_destination *d)
{
    struct trouble why = {.code = 0};

    (void)snprintf(why.status, sizeof(why.status), "%s", target_status(d->target.outcome));
    (void)snprintf(why.why, sizeof(why.why), "%.*s", STR_ARG(d->target.why));
    runner_note_down(d, &why);
}

/* It is to be taken up again after a while, though nothing is wrong with it. */
void runner_note_busy(struct job_of_destination *d, int64_t until_ms)
{
    d->not_before_ms = MAX(d->not_before_ms, until_ms);
    d->is_empty = true;
}

/* Yields. */
static void lay_down(struct job_of_destination *d)
{
    struct queue_closed closed = {.name = str_from_c(d->name),
                                  .lease = d->lease,
                                  .is_down = d->is_down,
                                  .is_untried = d->is_untried,
                                  .status = str_from_c(d->down.status),
                                  .code = d->down.code,
                                  .why = str_from_c(d->down.why),
                                  .host = str_from_c(d->down.host),
                                  .at_ms = d->begun_ms};
    struct buf args, reply;

    if (d->not_before_ms > clock_mono_ms())
        closed.not_before_ms = clock_real_ms() + d->not_before_ms - clock_mono_ms();
    buf_init(&args, 8192);
    buf_init(&reply, 1024);
    queue_put_closed(&args, &closed);
    int r = worker_call(STORE_QUEUE_CLOSE, &args, &reply);
    if (r < 0 && r != -ECANCELED)
        LOG(LOG_ERROR, "outbound.close-refused", LOG_C("destination", d->name), LOG_ERR(r));
    buf_done(&args);
    buf_done(&reply);
}

static void free_job(struct job_of_destination *d)
{
    if (d->site != NULL)
        site_leave(d->site);
    list_remove(&d->link);
    runner.count--;
    runner.probing -= d->is_probing;
    arena_done(&d->arena);
    free(d->name);
    free(d);
    runner.on_end();
}

/* --- lines --- */

/* A line that has its place; a connection may have come with it. */
static struct line *new_line(struct job_of_destination *d, struct connection *c)
{
    struct line *l = xmalloc(sizeof(*l));

    line_init(l, d, c, 0);
    d->lines++;
    return l;
}

static void run_line(void *arg)
{
    struct line *l = arg;
    struct job_of_destination *d = l->job;

    int r = line_run(l);
    int settled = line_done(l);
    site_release(d->site, l->connection, d->settings->outbound_idle_timeout);
    free(l);
    if (--d->lines > 0)
        return;
    if (r != -ECANCELED && settled != -ECANCELED)
        lay_down(d);
    free_job(d);
}

void runner_add_line(struct job_of_destination *d)
{
    struct connection *c;

    if (site_acquire(d->site, d->place, 0, &c) < 0)
        return;
    struct line *l = new_line(d, c);
    if (fiber_spawn(&worker.deliveries, "line", run_line, l) == 0)
        return;
    (void)!line_done(l);
    site_release(d->site, l->connection, d->settings->outbound_idle_timeout);
    free(l);
    d->lines--;
}

/* --- beginning --- */

static struct delivery refuse(const struct job_of_destination *d, const struct queue_message *m,
                              struct arena *arena)
{
    struct smtp_client_reply reply = {
        .stage = SMTP_CLIENT_CONNECT, .code = 550, .text = d->target.why, .is_local = true};
    struct delivery del = {.message = m,
                           .replies = arena_alloc(arena, m->count * sizeof(del.replies[0])),
                           .begun_ms = clock_real_ms()};

    (void)snprintf(reply.enhanced, sizeof(reply.enhanced), "%s", target_status(d->target.outcome));
    for (size_t i = 0; i < m->count; i++)
        del.replies[i] = reply;
    return del;
}

/* Mail that can never be delivered there: all of it is returned. Yields. */
static int fail_all(struct job_of_destination *d)
{
    struct queue_batch batch = {.count = 0};
    struct arena arena;
    struct line l;
    int r = 1;

    line_init(&l, d, NULL, LINE_BATCH_MAX);
    arena_init(&arena, BATCH_ARENA_BYTES);
    while (r > 0) {
        arena_done(&arena);
        r = line_take(&l, &arena, &batch);
        for (size_t i = 0; r > 0 && i < batch.count; i++) {
            struct delivery del = refuse(d, &batch.messages[i], &arena);
            int told = line_tell(&l, &del, &arena);
            r = told < 0 ? told : 1;
        }
    }
    arena_done(&arena);
    int settled = line_done(&l);
    return r < 0 ? r : settled;
}

/* Finds its hosts and its site. Yields. 1: go on; 0: lay it down; -ECANCELED. */
static int prepare(struct job_of_destination *d)
{
    int r = target_resolve(d->settings, str_from_c(d->name), &d->arena, &d->target);

    if (r < 0)
        return r;
    if (target_is_permanent(d->target.outcome)) {
        r = fail_all(d);
        return r < 0 ? r : 0;
    }
    if (d->target.outcome == MX_TEMPORARY && worker.is_draining) {
        runner_note_busy(d, clock_mono_ms()); /* we have not waited for the answer */
        return 0;
    }
    if (d->target.outcome != MX_OK) {
        note_unfound(d);
        return 0;
    }
    d->site = site_use(d->target.site_key);
    if (d->site == NULL) {
        runner_note_busy(d, clock_mono_ms() + LINE_COME_BACK_MS);
        return 0;
    }
    site_set_limits(d->site, d->settings, d->target.limits);
    if (clock_mono_ms() < d->site->down_until_ms && !d->is_asked) {
        runner_note_down(d, &d->site->down);
        d->is_untried = true;
        d->not_before_ms = d->site->down_until_ms;
        return 0;
    }
    return 1;
}

static void run_destination(void *arg)
{
    struct job_of_destination *d = arg;
    struct connection *c;

    int r = prepare(d);
    if (r > 0) {
        fiber_set_interruptible(true);
        r = site_acquire(d->site, d->place, clock_mono_ms() + PLACE_WAIT_MS, &c);
        fiber_set_interruptible(false);
        if (r == 0) {
            run_line(new_line(d, c));
            return;
        }
        if (r == -EAGAIN)
            runner_note_busy(d, clock_mono_ms() + LINE_COME_BACK_MS);
    }
    if (r != -ECANCELED)
        lay_down(d);
    free_job(d);
}

int runner_start(const struct queue_destination *from)
{
    struct job_of_destination *d = xcalloc(1, sizeof(*d));

    d->name = str_dup(from->name);
    d->lease = from->lease;
    d->place = from->place;
    d->is_probing = from->failures > 0;
    d->is_asked = from->is_asked;
    d->settings = worker.settings;
    d->begun_ms = clock_real_ms();
    arena_init(&d->arena, TARGET_ARENA_BYTES);
    list_init(&d->link);
    list_append(&runner.jobs, &d->link);
    runner.count++;
    runner.probing += d->is_probing;
    int r = fiber_spawn(&worker.deliveries, "destination", run_destination, d);
    if (r < 0) {
        free_job(d);
    }
    return r;
}
