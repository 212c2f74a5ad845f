/*
 * The event loop of a process: descriptors (epoll, edge-triggered), timers, ready fibers.
 *
 * One loop per process, on its main thread; every function here belongs to that thread. Callbacks
 * run on the thread's own stack, must not yield, and should only note what happened and wake a
 * fiber. Deadlines are clock_mono_ms() values.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/list.h"

/* LOOP_END: the peer has closed, or there is an error; always watched, comes with LOOP_READ. */
enum { LOOP_READ = 1, LOOP_WRITE = 2, LOOP_END = 4 };

struct loop_watch {
    int fd;
    void (*on_ready)(struct loop_watch *w,
                     unsigned ready); /* LOOP_READ, LOOP_WRITE, both on error; LOOP_END */
};

struct loop_timer {
    int64_t deadline_ms;
    size_t heap_at; /* 1-based place in the heap; 0: not set */
    void (*on_fire)(struct loop_timer *t);
};

/* Runs once, before the loop waits next: for sending what the turn has gathered. */
struct loop_hook {
    struct list link; /* list_init() before the first use */
    void (*run)(struct loop_hook *h);
};

/* 0 or negative errno. */
MUST_CHECK int loop_init(void);
void loop_done(void);
/* Runs until loop_stop(). */
void loop_run(void);
void loop_stop(void);

/* Watches w->fd for the events, edge-triggered. 0 or negative errno. */
MUST_CHECK int loop_watch_add(struct loop_watch *w, unsigned events);
/* Watches for these events from now on; what is ready already is told once more. */
void loop_watch_change(struct loop_watch *w, unsigned events);
/* The same, level-triggered and waking only one of the processes that wait: for listeners. */
MUST_CHECK int loop_watch_add_listener(struct loop_watch *w);
/* Ends the watch; the descriptor stays open. */
void loop_watch_remove(struct loop_watch *w);

/* Sets or moves the timer. */
void loop_timer_set(struct loop_timer *t, int64_t deadline_ms);
void loop_timer_clear(struct loop_timer *t);

/* Schedules the hook if it is not scheduled yet. */
void loop_before_wait(struct loop_hook *h);

/* Called by fiber.c: run this queue of fibers. */
struct list *loop_ready_fibers(void);
