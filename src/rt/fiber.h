/*
 * Fibers: sessions written from top to bottom, thousands of them on one thread.
 *
 * The contract (ARCHITECTURE.md): one thread, no migration; nothing that blocks runs in a fiber;
 * only src/rt yields, and a function that may yield says so; every wait has a deadline and may end
 * with -ECANCELED, which is sticky; every fiber belongs to a group that somebody joins; after a
 * yield, shared state is read again. A fiber that runs longer than FIBER_SLICE_WARN_MS without
 * yielding is reported in the log.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/list.h"

#ifdef HIKYAKU_SANITIZED
enum { FIBER_STACK_BYTES = 512 * 1024 };
#else
enum { FIBER_STACK_BYTES = 64 * 1024 };
#endif
enum { FIBER_SLICE_WARN_MS = 50, FIBER_POOL_MAX = 256, FIBER_TRIM_AFTER_MS = 3000 };

struct fiber;
typedef void fiber_fn(void *arg);

/* The parent of a set of fibers. It must outlive them: join before it goes away. */
struct fiber_group {
    struct list fibers;
    size_t count;
    bool is_cancelled;
    struct fiber *joiner;
};

void fiber_group_init(struct fiber_group *g);
/* Starts fn(arg) in a new fiber of the group; it runs when the caller yields or returns to the
 * loop. `name` must stay valid. 0, or -ENOMEM when no stack can be had, -ECANCELED if the group is.
 */
MUST_CHECK int fiber_spawn(struct fiber_group *g, const char *name, fiber_fn *fn, void *arg);
/* Makes every wait of every fiber in the group end with -ECANCELED, now and later. */
void fiber_group_cancel(struct fiber_group *g);
/* Makes waits that fibers marked as interruptible end with -EINTR, once. */
void fiber_group_interrupt(struct fiber_group *g);
/* Waits until all fibers of the group have ended. Yields (from a fiber only). 0, -ETIMEDOUT; when
 * the caller itself is cancelled, the group is cancelled too and then waited for. */
MUST_CHECK int fiber_group_join(struct fiber_group *g, int64_t deadline_ms);

/* The running fiber; NULL on the loop's own stack. */
struct fiber *fiber_self(void);
const char *fiber_name(const struct fiber *f);
bool fiber_is_cancelled(const struct fiber *f);

/* Waits for fiber_wake(). Yields. 0 when woken; -ETIMEDOUT; -ECANCELED; -EINTR (interruptible
 * only). */
MUST_CHECK int fiber_park(int64_t deadline_ms);
/* Wakes a parked fiber; does nothing to one that is not parked. */
void fiber_wake(struct fiber *f);
/* Lets others run. Yields. 0 or -ECANCELED. */
MUST_CHECK int fiber_yield(void);
/* Waits. Yields. -ETIMEDOUT is turned into 0; else -ECANCELED or -EINTR. */
MUST_CHECK int fiber_sleep_until(int64_t deadline_ms);
/* Whether the next waits of the running fiber may be ended by fiber_group_interrupt. */
void fiber_set_interruptible(bool is_interruptible);

/* Runs what is ready; called by the loop. */
void fiber_run_ready(void);
/* Gives the unused stack pages of long-parked fibers back to the kernel; called by a timer. */
void fiber_trim_idle(void);
/* Deepest stack use of any ended fiber so far, in bytes; measured in sanitized builds only. */
size_t fiber_high_water_bytes(void);
/* Frees pooled stacks, at the end of the process. */
void fiber_pool_done(void);
