/*
 * Fibers: see fiber.h. A fiber's own record lies at the top of its stack, so that an idle session
 * costs one or two pages in all.
 */
#include "rt/fiber.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "rt/fiber_switch.h"
#include "rt/loop.h"

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102 /* Linux 6.13: a guard that needs no mapping of its own */
#endif

enum { GUARD_BYTES = 4096 };

struct fiber {
    struct fiber_context context;
    char *mapping; /* guard, then the stack, then this record */
    const char *name;
    fiber_fn *fn;
    void *arg;
    struct fiber_group *group;
    struct list in_group;
    struct list in_ready;
    struct list in_all;
    struct loop_timer timer;
    int64_t parked_at_ms;
    int wake_result;
    bool is_parked;
    bool is_cancelled;
    bool is_interruptible;
    bool is_interrupt_pending;
    bool is_trimmed;
    bool has_ended;
};

static struct {
    struct fiber_context thread;
    struct fiber *self;
    struct list all; /* for the debugger (tools/gdb_fibers.py) and for trimming */
    char *pool[FIBER_POOL_MAX];
    size_t pool_count;
    size_t high_water_bytes;
    bool is_set_up;
} fibers;

static void set_up_once(void)
{
    if (fibers.is_set_up)
        return;
    fiber_context_init_thread(&fibers.thread);
    list_init(&fibers.all);
    fibers.is_set_up = true;
}

static char *map_stack(void)
{
    size_t bytes = GUARD_BYTES + FIBER_STACK_BYTES;
    char *mapping = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (mapping == MAP_FAILED)
        return NULL;
    /* Keeps one idle fiber from being backed by a huge page. */
    (void)madvise(mapping, bytes, MADV_NOHUGEPAGE);
    if (madvise(mapping, GUARD_BYTES, MADV_GUARD_INSTALL) == 0)
        return mapping;
    if (mprotect(mapping, GUARD_BYTES, PROT_NONE) == 0)
        return mapping;
    munmap(mapping, bytes);
    return NULL;
}

static char *take_stack(void)
{
    return fibers.pool_count > 0 ? fibers.pool[--fibers.pool_count] : map_stack();
}

static void give_stack(char *mapping)
{
    if (fibers.pool_count < FIBER_POOL_MAX)
        fibers.pool[fibers.pool_count++] = mapping;
    else
        munmap(mapping, GUARD_BYTES + FIBER_STACK_BYTES);
}

void fiber_pool_done(void)
{
    while (fibers.pool_count > 0)
        munmap(fibers.pool[--fibers.pool_count], GUARD_BYTES + FIBER_STACK_BYTES);
}

/* Fresh stacks are zero, and so is what was never touched: the lowest non-zero word is the depth.
 */
static void note_high_water(const struct fiber *f)
{
#ifdef HIKYAKU_SANITIZED
    const char *p = f->mapping + GUARD_BYTES;
    const char *end = (const char *)f;

    while (p < end && *(const volatile long *)(const void *)p == 0)
        p += sizeof(long);
    fibers.high_water_bytes = MAX(fibers.high_water_bytes, (size_t)(end - p));
#else
    (void)f;
#endif
}

size_t fiber_high_water_bytes(void)
{
    return fibers.high_water_bytes;
}

static void switch_to_loop(struct fiber *f, int is_last)
{
    fibers.self = NULL;
    fiber_context_switch(&f->context, &fibers.thread, is_last);
}

static void run_fiber(void *arg)
{
    struct fiber *f = arg;

    fiber_context_entered();
    f->fn(f->arg);
    f->has_ended = true;
    switch_to_loop(f, 1);
    ASSERT(!"an ended fiber was resumed");
}

static void make_ready(struct fiber *f)
{
    if (list_is_empty(&f->in_ready))
        list_append(loop_ready_fibers(), &f->in_ready);
}

/* Ends the park of the fiber with the given result. */
static void end_park(struct fiber *f, int result)
{
    if (!f->is_parked)
        return;
    f->is_parked = false;
    f->wake_result = result;
    loop_timer_clear(&f->timer);
    make_ready(f);
}

static void on_timeout(struct loop_timer *t)
{
    end_park(CONTAINER_OF(t, struct fiber, timer), -ETIMEDOUT);
}

void fiber_group_init(struct fiber_group *g)
{
    *g = (struct fiber_group){0};
    list_init(&g->fibers);
}

int fiber_spawn(struct fiber_group *g, const char *name, fiber_fn *fn, void *arg)
{
    set_up_once();
    if (g->is_cancelled)
        return -ECANCELED;
    char *mapping = take_stack();
    if (mapping == NULL)
        return -ENOMEM;
    size_t record = (sizeof(struct fiber) + 63) & ~(size_t)63;
    struct fiber *f = (void *)(mapping + GUARD_BYTES + FIBER_STACK_BYTES - record);
    *f = (struct fiber){.mapping = mapping, .name = name, .fn = fn, .arg = arg, .group = g};
    f->timer.on_fire = on_timeout;
    list_init(&f->in_ready);
    list_init(&f->in_group);
    list_init(&f->in_all);
    list_append(&g->fibers, &f->in_group);
    list_append(&fibers.all, &f->in_all);
    g->count++;
    fiber_context_init(&f->context, mapping + GUARD_BYTES, FIBER_STACK_BYTES - record, run_fiber,
                       f);
    make_ready(f);
    return 0;
}

void fiber_group_cancel(struct fiber_group *g)
{
    g->is_cancelled = true;
    LIST_FOR_EACH (&g->fibers, it) {
        struct fiber *f = CONTAINER_OF(it, struct fiber, in_group);
        f->is_cancelled = true;
        end_park(f, -ECANCELED);
    }
}

void fiber_group_interrupt(struct fiber_group *g)
{
    LIST_FOR_EACH (&g->fibers, it) {
        struct fiber *f = CONTAINER_OF(it, struct fiber, in_group);
        if (f->is_parked && f->is_interruptible)
            end_park(f, -EINTR);
        else
            f->is_interrupt_pending = true;
    }
}

int fiber_group_join(struct fiber_group *g, int64_t deadline_ms)
{
    while (g->count > 0) {
        if (fiber_is_cancelled(fiber_self()) && !g->is_cancelled)
            fiber_group_cancel(g);
        ASSERT(g->joiner == NULL);
        g->joiner = fiber_self();
        /* A cancelled joiner still waits: its children need this stack's objects until they end. */
        bool was_cancelled = fiber_self()->is_cancelled;
        fiber_self()->is_cancelled = false;
        int r = fiber_park(was_cancelled ? CLOCK_NEVER : deadline_ms);
        fiber_self()->is_cancelled |= was_cancelled || r == -ECANCELED;
        g->joiner = NULL;
        if (r == -ETIMEDOUT)
            return r;
    }
    return 0;
}

struct fiber *fiber_self(void)
{
    return fibers.self;
}

const char *fiber_name(const struct fiber *f)
{
    return f->name;
}

bool fiber_is_cancelled(const struct fiber *f)
{
    return f->is_cancelled;
}

void fiber_set_interruptible(bool is_interruptible)
{
    fibers.self->is_interruptible = is_interruptible;
}

int fiber_park(int64_t deadline_ms)
{
    struct fiber *f = fibers.self;

    ASSERT(f != NULL);
    if (f->is_cancelled)
        return -ECANCELED;
    if (f->is_interruptible && f->is_interrupt_pending) {
        f->is_interrupt_pending = false;
        return -EINTR;
    }
    f->is_parked = true;
    f->is_trimmed = false;
    loop_timer_set(&f->timer, deadline_ms);
    switch_to_loop(f, 0);
    return f->wake_result;
}

void fiber_wake(struct fiber *f)
{
    end_park(f, 0);
}

int fiber_yield(void)
{
    struct fiber *f = fibers.self;

    make_ready(f);
    switch_to_loop(f, 0);
    return f->is_cancelled ? -ECANCELED : 0;
}

int fiber_sleep_until(int64_t deadline_ms)
{
    int r = fiber_park(deadline_ms);

    return r == -ETIMEDOUT ? 0 : r;
}

static void reap(struct fiber *f)
{
    struct fiber_group *g = f->group;

    list_remove(&f->in_group);
    list_remove(&f->in_all);
    g->count--;
    if (g->count == 0 && g->joiner != NULL)
        fiber_wake(g->joiner);
    note_high_water(f);
    fiber_context_done(&f->context);
    give_stack(f->mapping);
}

static void resume(struct fiber *f)
{
    int64_t started_us = clock_mono_us();

    fibers.self = f;
    fiber_context_switch(&fibers.thread, &f->context, 0);
    int64_t ran_ms = (clock_mono_us() - started_us) / 1000;
    if (ran_ms >= FIBER_SLICE_WARN_MS)
        LOG(LOG_WARNING, "rt.slow-fiber", LOG_C("fiber", f->name), LOG_INT("ran_ms", ran_ms));
    if (f->has_ended)
        reap(f);
    else if (f->is_parked)
        f->parked_at_ms = started_us / 1000 + ran_ms;
}

void fiber_run_ready(void)
{
    struct list batch, *link;

    /* Only what is ready now: fibers that yield to each other must not starve the descriptors. */
    list_init(&batch);
    list_splice(&batch, loop_ready_fibers());
    while ((link = list_pop(&batch)) != NULL)
        resume(CONTAINER_OF(link, struct fiber, in_ready));
}

void fiber_trim_idle(void)
{
    int64_t now_ms = clock_mono_us() / 1000;
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);

    if (!fibers.is_set_up)
        return;
    LIST_FOR_EACH (&fibers.all, it) {
        struct fiber *f = CONTAINER_OF(it, struct fiber, in_all);
        if (!f->is_parked || f->is_trimmed || now_ms - f->parked_at_ms < FIBER_TRIM_AFTER_MS)
            continue;
        f->is_trimmed = true;
#if !defined(HIKYAKU_SANITIZED) && (defined(__x86_64__) || defined(__aarch64__))
        /* Everything below the saved stack pointer (and its red zone) is dead. */
        uintptr_t low = (uintptr_t)f->mapping + GUARD_BYTES;
        uintptr_t dead_end = ((uintptr_t)f->context.stack_pointer - 128) & ~(page - 1);
        if (dead_end > low)
            (void)madvise((void *)low, dead_end - low, MADV_DONTNEED);
#else
        (void)page;
#endif
    }
}
