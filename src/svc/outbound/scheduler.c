/* The scheduler: see scheduler.h. */
#include "svc/outbound/scheduler.h"

#include <errno.h>

#include "base/clock.h"
#include "base/log.h"
#include "rt/fiber.h"
#include "svc/outbound/reporter.h"
#include "svc/outbound/runner.h"
#include "svc/outbound/site.h"
#include "svc/outbound/worker.h"

enum {
    DESTINATIONS_MAX = 10000, /* at work at one time, whatever the settings say */
    PROBING_SHARE = 4,        /* of the room: destinations that were down the last time */
    WAIT_MAX_MS = 60 * 1000,
    WAIT_MIN_MS = 50,
    SWEEP_EVERY_MS = 1000,
    NAMES_MAX_BYTES = 1000 * 1000,
    OPENED_ARENA_BYTES = 256 * 1024,
};

static struct {
    struct fiber *waiting_for_room;
    bool must_begin;
    uint64_t generation;
} scheduler;

void scheduler_note_channel(void)
{
    scheduler.must_begin = true;
}

static void on_runner_end(void)
{
    if (scheduler.waiting_for_room != NULL)
        fiber_wake(scheduler.waiting_for_room);
}

static unsigned room(void)
{
    /* Each has a connection, or will have one. */
    unsigned max =
        MIN((unsigned)worker.settings->outbound_max_connections, (unsigned)DESTINATIONS_MAX);

    return runner_count() < max ? max - runner_count() : 0;
}

static unsigned probing_room(void)
{
    unsigned max = (unsigned)worker.settings->outbound_max_connections / PROBING_SHARE + 1;

    return runner_probing() < max ? max - runner_probing() : 0;
}

/* Tells the store what is in our hands. Yields. */
static int begin(void)
{
    struct buf args, reply;

    scheduler.must_begin = false;
    buf_init(&args, NAMES_MAX_BYTES);
    buf_init(&reply, 1024);
    runner_put_names(&args);
    int r = worker_call(STORE_QUEUE_BEGIN, &args, &reply);
    buf_done(&args);
    buf_done(&reply);
    return r;
}

/* Ages of messages: warnings, ends. Yields. */
static int look_at_alarms(void)
{
    struct buf args, reply;
    bool has_more = true;
    int r = 0;

    buf_init(&args, 16);
    buf_init(&reply, 1024);
    while (r == 0 && has_more) {
        r = worker_call(STORE_QUEUE_ALARMS, &args, &reply);
        struct cursor c = cursor_from(buf_str(&reply));
        has_more = r == 0 && cursor_u8(&c) != 0;
    }
    buf_done(&args);
    buf_done(&reply);
    return r;
}

/* Opens what is due and starts it. Yields. 1 when there may be more at once, 0, negative errno. */
static int open_due(int64_t *out_next_ms)
{
    uint32_t ready = MIN(room(), (uint32_t)QUEUE_DESTINATIONS_MAX);
    uint32_t waiting = MIN(MIN(probing_room(), ready), (uint32_t)QUEUE_DESTINATIONS_MAX / 2);
    struct queue_opened opened = {.count = 0};
    struct buf args, reply;
    struct arena arena;

    buf_init(&args, 16);
    buf_init(&reply, WORKER_CALL_MAX_BYTES);
    arena_init(&arena, OPENED_ARENA_BYTES);
    buf_put_u32(&args, ready);
    buf_put_u32(&args, waiting);
    /* Not repeated: what it opened, if its answer was lost, is given back by queue.begin. */
    int r = rpc_call(&worker.store.client, STORE_QUEUE_OPEN, buf_str(&args),
                     clock_mono_ms() + WORKER_CALL_WAIT_MS, &reply);
    struct cursor c = cursor_from(buf_str(&reply));
    if (r == 0)
        r = queue_get_opened(&c, &arena, &opened);
    for (size_t i = 0; r == 0 && i < opened.count; i++)
        r = runner_start(&opened.destinations[i]);
    if (r == 0) {
        scheduler.generation = opened.generation;
        *out_next_ms = opened.next_ms;
        if (opened.has_reports)
            reporter_wake();
        if (opened.has_alarms)
            r = look_at_alarms();
    }
    arena_done(&arena);
    buf_done(&args);
    buf_done(&reply);
    return r < 0 ? r : opened.count > 0;
}

/* Yields. */
static int wait_for_room(void)
{
    int r = 0;

    scheduler.waiting_for_room = fiber_self();
    while (r == 0 && room() == 0 && !scheduler.must_begin)
        r = fiber_park(clock_mono_ms() + SWEEP_EVERY_MS);
    scheduler.waiting_for_room = NULL;
    return r == -ETIMEDOUT ? 0 : r;
}

/* Until there is news or something is due. Yields. */
static int wait_for_news(int64_t next_ms)
{
    int64_t now_ms = clock_real_ms();
    int64_t wait_ms = next_ms <= now_ms ? WAIT_MIN_MS : MIN(next_ms - now_ms, WAIT_MAX_MS);
    struct buf args, reply;

    buf_init(&args, 16);
    buf_init(&reply, 1024);
    buf_put_u64(&args, scheduler.generation);
    int r = rpc_call(&worker.store.client, STORE_QUEUE_WAIT, buf_str(&args),
                     clock_mono_ms() + wait_ms, &reply);
    buf_done(&args);
    buf_done(&reply);
    if (r == -EPIPE)
        r = fiber_sleep_until(clock_mono_ms() + WAIT_MIN_MS);
    return r == -ECANCELED ? r : 0;
}

/* Tries again, after telling the store what is really in our hands. Yields. 0 or -ECANCELED. */
static int recover_from(int error)
{
    scheduler.must_begin = true;
    if (error != -EPIPE)
        LOG(LOG_ERROR, "outbound.queue-unreadable", LOG_ERR(error),
            LOG_C("hint", "mail to other servers waits; look at the store's log"));
    return fiber_sleep_until(clock_mono_ms() + (error == -EPIPE ? WAIT_MIN_MS : SWEEP_EVERY_MS));
}

static void run_scheduler(void *arg)
{
    int64_t next_ms = 0;
    int r = 0;

    (void)arg;
    while (r >= 0 && !worker.is_draining) {
        bool had_room = room() > 0;
        r = scheduler.must_begin ? begin() : 0;
        if (r == 0)
            r = open_due(&next_ms);
        if (r < 0 && r != -ECANCELED) {
            r = recover_from(r);
            continue;
        }
        /* What is ready and found no room is no news. */
        if (r == 0 && had_room)
            r = wait_for_news(next_ms);
        if (r >= 0 && room() == 0)
            r = wait_for_room();
    }
}

static void run_sweeper(void *arg)
{
    (void)arg;
    while (!worker.is_draining && fiber_sleep_until(clock_mono_ms() + SWEEP_EVERY_MS) == 0)
        sites_sweep();
}

int scheduler_start(void)
{
    scheduler.must_begin = true;
    runner_on_end(on_runner_end);
    int r = fiber_spawn(&worker.services, "scheduler", run_scheduler, NULL);
    return r < 0 ? r : fiber_spawn(&worker.services, "sweeper", run_sweeper, NULL);
}
