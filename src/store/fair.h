/*
 * The order in which mail of many senders leaves: each message gets a place in virtual time (start
 * times of fair queueing). A sender who brings much is placed ahead of now, further with every
 * message, so that whoever brings one letter comes first where there is not room for all. Memory of
 * the writer thread: what is forgotten at a restart only matters for order.
 */
#pragma once

#include <stdint.h>

#include "base/map.h"
#include "base/str.h"

enum {
    FAIR_SENDERS_MAX = 20000,
    FAIR_STEP_MS = 20,               /* of virtual time for one transaction's worth of mail */
    FAIR_AHEAD_MAX_MS = 4 * 3600000, /* how far a sender can get ahead */
    FAIR_PRIORITY_MS = 600000,       /* of virtual time for one step of priority */
};

struct fair {
    struct map senders; /* sender -> its next place, as a number in the pointer */
    int64_t swept_ms;
};

void fair_init(struct fair *f);
void fair_done(struct fair *f);
/* The place of the sender's next transaction; priority -9 (last) to 9 (first), 0 is usual. */
int64_t fair_place(struct fair *f, struct str sender, int priority, int64_t now_ms);
