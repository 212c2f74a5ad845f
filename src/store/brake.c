/* How much happened lately: see brake.h. */
#include "store/brake.h"

#include <stdlib.h>

#include "base/map.h"

enum { WAYS = 8 /* slots that one key may be in */ };

void brake_init(struct brake *b, size_t slots)
{
    size_t count = WAYS;

    while (count < slots)
        count *= 2;
    *b = (struct brake){.slots = xcalloc(count, sizeof(b->slots[0])), .count = count};
}

void brake_done(struct brake *b)
{
    free(b->slots);
    *b = (struct brake){.count = 0};
}

struct brake_rule brake_rule_of(unsigned count, int64_t period_ms)
{
    if (count == 0)
        return (struct brake_rule){.burst = 0};
    return (struct brake_rule){.burst = count, .interval_ms = MAX(period_ms / count, (int64_t)1)};
}

/* Never 0, which means free. */
static uint64_t hash_of(struct str key)
{
    return map_hash(key) | 1;
}

static struct brake_slot *ways_of(const struct brake *b, uint64_t hash)
{
    return &b->slots[(hash >> 8) & (b->count - 1) & ~(size_t)(WAYS - 1)];
}

static struct brake_slot *find(const struct brake *b, uint64_t hash)
{
    struct brake_slot *ways = ways_of(b, hash);

    for (size_t i = 0; i < WAYS; i++) {
        if (ways[i].hash == hash)
            return &ways[i];
    }
    return NULL;
}

/* A free slot; else that of whoever is nearest to having done nothing. */
static struct brake_slot *make_room(const struct brake *b, uint64_t hash)
{
    struct brake_slot *ways = ways_of(b, hash);
    struct brake_slot *best = &ways[0];

    for (size_t i = 0; i < WAYS; i++) {
        if (ways[i].hash == 0)
            return &ways[i];
        if (ways[i].full_ms < best->full_ms)
            best = &ways[i];
    }
    return best;
}

/* What the key has left to wait until all of its burst is there: 0 for one who has done nothing. A
 * clock that was set back must not hold anybody up for longer than the whole burst. */
static int64_t debt_ms(const struct brake_slot *slot, const struct brake_rule *rule, int64_t now_ms)
{
    if (slot == NULL || slot->full_ms <= now_ms)
        return 0;
    return MIN(slot->full_ms - now_ms, (int64_t)rule->burst * rule->interval_ms);
}

bool brake_take(struct brake *b, struct str key, const struct brake_rule *rule, unsigned amount,
                int64_t now_ms, int64_t *out_wait_ms)
{
    uint64_t hash = hash_of(key);
    struct brake_slot *slot = find(b, hash);

    if (rule->burst == 0)
        return true;
    int64_t limit_ms = (int64_t)rule->burst * rule->interval_ms;
    int64_t wanted_ms = debt_ms(slot, rule, now_ms) + (int64_t)amount * rule->interval_ms;
    if (out_wait_ms != NULL)
        *out_wait_ms = MAX(wanted_ms - limit_ms, (int64_t)0);
    if (wanted_ms > limit_ms)
        return false;
    if (slot == NULL)
        slot = make_room(b, hash);
    *slot = (struct brake_slot){.hash = hash, .full_ms = now_ms + wanted_ms};
    return true;
}

bool brake_has_room(const struct brake *b, struct str key, const struct brake_rule *rule,
                    int64_t now_ms)
{
    if (rule->burst == 0)
        return true;
    int64_t limit_ms = (int64_t)rule->burst * rule->interval_ms;
    return debt_ms(find(b, hash_of(key)), rule, now_ms) + rule->interval_ms <= limit_ms;
}

unsigned brake_count(const struct brake *b, struct str key, const struct brake_rule *rule,
                     int64_t now_ms)
{
    if (rule->burst == 0)
        return 0;
    int64_t left_ms = debt_ms(find(b, hash_of(key)), rule, now_ms);
    return (unsigned)((left_ms + rule->interval_ms - 1) / rule->interval_ms);
}

void brake_give(struct brake *b, struct str key, const struct brake_rule *rule, unsigned amount,
                int64_t now_ms)
{
    struct brake_slot *slot = find(b, hash_of(key));
    int64_t left_ms = debt_ms(slot, rule, now_ms) - (int64_t)amount * rule->interval_ms;

    if (slot != NULL)
        slot->full_ms = now_ms + MAX(left_ms, (int64_t)0);
}

void brake_forget(struct brake *b, struct str key)
{
    struct brake_slot *slot = find(b, hash_of(key));

    if (slot != NULL)
        *slot = (struct brake_slot){.hash = 0};
}
