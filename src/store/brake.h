/*
 * How much of something happened lately, for very many keys in little memory: what rates and bans
 * are decided by.
 *
 * A key may have so many in a burst, and one more each interval (the generic cell rate algorithm:
 * one time per key says it all). Keys are kept as a keyed hash, so nobody can choose two that meet;
 * the table has a fixed size, and where it is full, who has done least is forgotten, so that two
 * hundred thousand addresses neither exhaust memory nor wash out those who are at their limit.
 * Pure: time is given.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

struct brake_rule {
    unsigned burst;      /* so many at once; 0: not limited */
    int64_t interval_ms; /* until there is room for one more */
};

struct brake_slot {
    uint64_t hash;   /* 0: free */
    int64_t full_ms; /* when all of the burst will be there again */
};

struct brake {
    struct brake_slot *slots;
    size_t count; /* of slots */
};

/* Embedded; `slots` of 16 bytes each, rounded up. Pair: brake_done. */
void brake_init(struct brake *b, size_t slots);
void brake_done(struct brake *b);

/* So many a period, evenly: the rule for "10 in an hour". */
struct brake_rule brake_rule_of(unsigned count, int64_t period_ms);

/* Takes `amount`, if there is room for it: true; else nothing is taken, and *out_wait_ms (may be
 * NULL) says when there will be. More than the burst never fits. */
bool brake_take(struct brake *b, struct str key, const struct brake_rule *rule, unsigned amount,
                int64_t now_ms, int64_t *out_wait_ms);
/* Whether one more would fit. Takes nothing. */
bool brake_has_room(const struct brake *b, struct str key, const struct brake_rule *rule,
                    int64_t now_ms);
/* How many are counted at the moment, up to the burst; 0 if there is no limit. */
unsigned brake_count(const struct brake *b, struct str key, const struct brake_rule *rule,
                     int64_t now_ms);
/* Gives back `amount` of what was taken; what time has given back already stays so. */
void brake_give(struct brake *b, struct str key, const struct brake_rule *rule, unsigned amount,
                int64_t now_ms);
/* Gives all back. */
void brake_forget(struct brake *b, struct str key);
