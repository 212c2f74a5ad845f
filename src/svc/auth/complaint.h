/* A line of the log that would come with every login: once in ten seconds is enough. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"

enum { COMPLAINT_EVERY_MS = 10000 };

/* Zero at first; shared by threads. */
struct complaint {
    _Atomic int64_t last_ms;
};

/* Whether to say it now. */
static inline bool complaint_may(struct complaint *c)
{
    int64_t now_ms = clock_mono_ms(), last_ms = atomic_load(&c->last_ms);

    return (last_ms == 0 || now_ms - last_ms >= COMPLAINT_EVERY_MS) &&
           atomic_compare_exchange_strong(&c->last_ms, &last_ms, now_ms);
}
