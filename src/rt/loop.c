/* The event loop: see loop.h. Timers are a binary heap with the place of each known to its timer.
 */
#include "rt/loop.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/clock.h"
#include "rt/fiber.h"

enum { EVENTS_PER_WAIT = 256, TEST_CLOCK_POLL_MS = 10 };

static struct {
    int epoll_fd;
    bool is_stopping;
    struct loop_timer **heap; /* heap[1] fires first */
    size_t heap_count;
    size_t heap_cap;
    struct list hooks;
    struct list ready;
    struct epoll_event events[EVENTS_PER_WAIT];
} loop = {.epoll_fd = -1};

int loop_init(void)
{
    ASSERT(loop.epoll_fd < 0);
    loop.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (loop.epoll_fd < 0)
        return -errno;
    list_init(&loop.hooks);
    list_init(&loop.ready);
    loop.is_stopping = false;
    return 0;
}

void loop_done(void)
{
    close(loop.epoll_fd);
    loop.epoll_fd = -1;
    free(loop.heap);
    loop.heap = NULL;
    loop.heap_count = loop.heap_cap = 0;
}

struct list *loop_ready_fibers(void)
{
    return &loop.ready;
}

void loop_stop(void)
{
    loop.is_stopping = true;
}

static int add_watch(struct loop_watch *w, uint32_t epoll_events)
{
    struct epoll_event event = {.events = epoll_events, .data = {.ptr = w}};

    return epoll_ctl(loop.epoll_fd, EPOLL_CTL_ADD, w->fd, &event) < 0 ? -errno : 0;
}

static uint32_t to_epoll(unsigned events)
{
    uint32_t epoll_events = EPOLLET | EPOLLRDHUP;

    if (events & LOOP_READ)
        epoll_events |= EPOLLIN;
    if (events & LOOP_WRITE)
        epoll_events |= EPOLLOUT;
    return epoll_events;
}

int loop_watch_add(struct loop_watch *w, unsigned events)
{
    return add_watch(w, to_epoll(events));
}

void loop_watch_change(struct loop_watch *w, unsigned events)
{
    struct epoll_event event = {.events = to_epoll(events), .data.ptr = w};

    ASSERT(epoll_ctl(loop.epoll_fd, EPOLL_CTL_MOD, w->fd, &event) == 0);
}

int loop_watch_add_listener(struct loop_watch *w)
{
    return add_watch(w, EPOLLIN | EPOLLEXCLUSIVE);
}

void loop_watch_remove(struct loop_watch *w)
{
    (void)epoll_ctl(loop.epoll_fd, EPOLL_CTL_DEL, w->fd, NULL);
}

static void heap_place(size_t at, struct loop_timer *t)
{
    loop.heap[at] = t;
    t->heap_at = at;
}

static void heap_rise(size_t at)
{
    struct loop_timer *t = loop.heap[at];

    while (at > 1 && loop.heap[at / 2]->deadline_ms > t->deadline_ms) {
        heap_place(at, loop.heap[at / 2]);
        at /= 2;
    }
    heap_place(at, t);
}

static void heap_sink(size_t at)
{
    struct loop_timer *t = loop.heap[at];

    while (at * 2 <= loop.heap_count) {
        size_t child = at * 2;
        if (child < loop.heap_count &&
            loop.heap[child + 1]->deadline_ms < loop.heap[child]->deadline_ms)
            child++;
        if (t->deadline_ms <= loop.heap[child]->deadline_ms)
            break;
        heap_place(at, loop.heap[child]);
        at = child;
    }
    heap_place(at, t);
}

void loop_timer_clear(struct loop_timer *t)
{
    size_t at = t->heap_at;

    if (at == 0)
        return;
    t->heap_at = 0;
    struct loop_timer *last = loop.heap[loop.heap_count--];
    if (last == t)
        return;
    heap_place(at, last);
    heap_rise(at);
    heap_sink(last->heap_at);
}

void loop_timer_set(struct loop_timer *t, int64_t deadline_ms)
{
    if (deadline_ms == CLOCK_NEVER) {
        loop_timer_clear(t);
        return;
    }
    if (t->heap_at == 0) {
        if (loop.heap_count + 2 > loop.heap_cap) {
            loop.heap_cap = MAX(loop.heap_cap * 2, (size_t)64);
            loop.heap = xrealloc(loop.heap, loop.heap_cap * sizeof(struct loop_timer *));
        }
        loop.heap_count++;
        heap_place(loop.heap_count, t);
    }
    t->deadline_ms = deadline_ms;
    heap_rise(t->heap_at);
    heap_sink(t->heap_at);
}

static void fire_timers(void)
{
    int64_t now_ms = clock_mono_ms();

    while (loop.heap_count > 0 && loop.heap[1]->deadline_ms <= now_ms) {
        struct loop_timer *t = loop.heap[1];
        loop_timer_clear(t);
        t->on_fire(t);
    }
}

static int wait_ms(void)
{
    if (!list_is_empty(&loop.ready))
        return 0;
    if (loop.heap_count == 0)
        return clock_is_test() ? TEST_CLOCK_POLL_MS : -1;
    int64_t left_ms = MAX(loop.heap[1]->deadline_ms - clock_mono_ms(), (int64_t)0);
    if (clock_is_test())
        left_ms = MIN(left_ms, (int64_t)TEST_CLOCK_POLL_MS);
    return (int)MIN(left_ms, (int64_t)3600 * 1000);
}

static void dispatch_events(void)
{
    int count = epoll_wait(loop.epoll_fd, loop.events, EVENTS_PER_WAIT, wait_ms());

    for (int i = 0; i < count; i++) {
        struct loop_watch *w = loop.events[i].data.ptr;
        uint32_t e = loop.events[i].events;
        unsigned ready = 0;
        if (e & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR))
            ready |= LOOP_READ;
        if (e & (EPOLLOUT | EPOLLHUP | EPOLLERR))
            ready |= LOOP_WRITE;
        if (e & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))
            ready |= LOOP_END;
        w->on_ready(w, ready);
    }
}

void loop_before_wait(struct loop_hook *h)
{
    if (list_is_empty(&h->link))
        list_append(&loop.hooks, &h->link);
}

static void run_hooks(void)
{
    struct list *link;

    while ((link = list_pop(&loop.hooks)) != NULL) {
        struct loop_hook *h = CONTAINER_OF(link, struct loop_hook, link);
        h->run(h);
    }
}

void loop_run(void)
{
    loop.is_stopping = false;
    while (!loop.is_stopping) {
        fiber_run_ready();
        run_hooks();
        if (loop.is_stopping)
            break;
        dispatch_events();
        fire_timers();
    }
}
